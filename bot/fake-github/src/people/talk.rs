//! What people and other programs say about a commit or a line: conversations, review requests, statuses, checks of
//! other Apps, signatures, buttons. Thin: every rule is the model's.

use crate::FakeGitHub;
use crate::error::Error;
use crate::model::check::CheckInput;
use crate::model::owners::Owner;
use crate::model::status::StatusInput;
use crate::model::thread::Remark;

/// GitHub's words for a signature.
const SIGNATURES: [&str; 12] = [
    "expired_key",
    "not_signing_key",
    "gpgverify_error",
    "gpgverify_unavailable",
    "unsigned",
    "no_user",
    "unverified_email",
    "bad_email",
    "unknown_key",
    "malformed_signature",
    "invalid",
    "valid",
];

impl FakeGitHub {
    /// Remarks on a changed file's line, which begins a conversation; answers its number.
    ///
    /// # Errors
    /// There is no such pull request, person or changed file.
    pub fn open_thread(
        &self,
        repository: &str,
        number: u64,
        author: &str,
        path: &str,
        line: u64,
        body: &str,
    ) -> Result<u64, Error> {
        let remark = Remark { path, line, body };
        self.pull(repository, author, |model, id, author| {
            model.open_thread(id, number, author, remark).map(|(thread, _)| thread)
        })
    }

    /// Answers in a conversation.
    ///
    /// # Errors
    /// There is no such pull request, person or conversation.
    pub fn answer_thread(
        &self,
        repository: &str,
        number: u64,
        thread: u64,
        author: &str,
        body: &str,
    ) -> Result<u64, Error> {
        self.pull(repository, author, |model, id, author| model.answer_thread(id, number, thread, author, body))
    }

    /// Resolves a conversation, or opens it again.
    ///
    /// # Errors
    /// There is no such pull request, person or conversation; the person may not.
    pub fn resolve_thread(
        &self,
        repository: &str,
        number: u64,
        thread: u64,
        actor: &str,
        resolved: bool,
    ) -> Result<(), Error> {
        self.pull(repository, actor, |model, id, actor| model.resolve_thread(id, number, thread, actor, resolved))
    }

    /// Asks people for a review.
    ///
    /// # Errors
    /// There is no such pull request or person, or they cannot be asked.
    pub fn request_review(&self, repository: &str, number: u64, actor: &str, logins: &[&str]) -> Result<(), Error> {
        self.pull(repository, actor, |model, id, actor| {
            let people = logins.iter().map(|login| model.account(login).map(Owner::Person));
            let people = people.collect::<Result<Vec<_>, Error>>()?;
            model.ask_reviews(id, number, actor, people)
        })
    }

    /// Sets a commit status (`success`, `failure`, `error`, `pending`) in a person's or App's (`slug[bot]`) name.
    ///
    /// # Errors
    /// There is no such repository, account or commit, or the state is none.
    pub fn set_status(
        &self,
        repository: &str,
        sha: &str,
        creator: &str,
        context: &str,
        state: &str,
    ) -> Result<(), Error> {
        let input = StatusInput { state: state.into(), context: Some(context.into()), ..StatusInput::default() };
        self.pull(repository, creator, |model, id, creator| model.set_status(id, sha, creator, input).map(drop))
    }

    /// A check run of an App as it reports it: `queued`, `in_progress`, or a conclusion. A name that the commit has
    /// already is run again: a new check run, as on GitHub. Answers its id.
    ///
    /// # Errors
    /// There is no such App, repository or commit; the word is none of a check.
    pub fn report_check(&self, repository: &str, sha: &str, app: u64, name: &str, verdict: &str) -> Result<u64, Error> {
        let mut model = self.shared.model();
        let id = model.repository_id(repository)?;
        if model.installation_on(app, id).is_none() {
            return Err(Error::Use(format!("the app {app} is not installed on {repository}")));
        }
        let open = ["queued", "in_progress"].contains(&verdict);
        let (status, conclusion) = if open { (Some(verdict), None) } else { (Some("completed"), Some(verdict)) };
        let word = |word: Option<&str>| word.map(str::to_owned);
        let input = CheckInput {
            name: Some(name.to_owned()),
            status: word(status),
            conclusion: word(conclusion),
            ..CheckInput::default()
        };
        model.create_check(id, app, sha, input)
    }

    /// Puts buttons on a check run, identifier and label, as if its App had said so.
    ///
    /// # Errors
    /// There is no such repository or check run; GitHub would refuse the buttons.
    pub fn offer(&self, repository: &str, check_run: u64, buttons: &[(&str, &str)]) -> Result<(), Error> {
        let mut model = self.shared.model();
        let id = model.repository_id(repository)?;
        let action = |(identifier, label): &(&str, &str)| serde_json::json!({"identifier": identifier, "label": label, "description": label});
        let actions = Some(buttons.iter().map(action).collect());
        model.update_check(id, check_run, CheckInput { actions, ..CheckInput::default() })
    }

    /// The newest check run of a name at the head of a pull request.
    ///
    /// # Errors
    /// There is no such pull request or check.
    pub fn check_run(&self, repository: &str, number: u64, name: &str) -> Result<u64, Error> {
        let model = self.shared.model();
        model.newest_check(model.repository_id(repository)?, number, name)
    }

    /// A check run of an App that waits with these buttons: `label`, `description`, `identifier`. Answers its id.
    ///
    /// # Errors
    /// There is no such App, repository or commit; GitHub would not take the buttons.
    pub fn offer_buttons(
        &self,
        repository: &str,
        sha: &str,
        app: u64,
        name: &str,
        actions: &serde_json::Value,
    ) -> Result<u64, Error> {
        let mut model = self.shared.model();
        let id = model.repository_id(repository)?;
        let input =
            CheckInput { name: Some(name.to_owned()), actions: actions.as_array().cloned(), ..CheckInput::default() };
        model.create_check(id, app, sha, input)
    }

    /// What GitHub finds of a commit's signature: `valid`, `unsigned`, `unknown_key`, …
    ///
    /// # Errors
    /// There is no such repository or commit, or the word is none of GitHub's.
    pub fn set_signature(&self, repository: &str, sha: &str, reason: &str) -> Result<(), Error> {
        let mut model = self.shared.model();
        let id = model.repository_id(repository)?;
        if model.repository(id)?.git.commit(sha)?.as_deref() != Some(sha) {
            return Err(Error::NotFound(format!("commit {sha}")));
        }
        if !SIGNATURES.contains(&reason) {
            return Err(Error::Use(format!("{reason} is no word of GitHub's for a signature")));
        }
        model.repository_mut(id)?.signatures.insert(sha.to_owned(), reason.to_owned());
        Ok(())
    }

    /// Presses one of the buttons of a check run, by its identifier.
    ///
    /// # Errors
    /// There is no such check run, button or person.
    pub fn press(&self, repository: &str, check_run: u64, identifier: &str, login: &str) -> Result<(), Error> {
        self.pull(repository, login, |model, id, actor| model.request_action(id, check_run, actor, identifier))
    }
}
