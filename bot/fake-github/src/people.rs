//! Owns what a test or the demo does to the double from outside: making accounts, apps and repositories,
//! and acting as people. Thin: every rule is the model's.

mod issues;
mod merging;
mod rules;
mod talk;

use std::fmt;

use crate::error::Error;
use crate::git::Change;
use crate::model::account::{Kind, Permissions, Role, Token};
use crate::model::app::App;
use crate::model::merge::MergeRequest;
use crate::model::pull::{NewPull, PullEdit};
use crate::model::repository::NewRepository;
use crate::model::review::Verdict;
use crate::{FakeGitHub, token};

/// A key for demos and tests only: it is public, so it proves nothing.
const DEMO_KEY: &str = include_str!("../demo-only-app-key.pem");

/// What a new app is.
#[derive(Debug, Clone)]
pub struct AppSpec {
    /// The app's id; must be free.
    pub id: u64,
    /// Its short name; it acts as `slug[bot]`.
    pub slug: String,
    /// Where webhooks go; may be set later.
    pub webhook_url: Option<String>,
    /// The secret of the signatures.
    pub webhook_secret: String,
    /// GitHub's permission names to `read` or `write`. `metadata: read` comes by itself.
    pub permissions: Vec<(String, String)>,
    /// The subscribed events.
    pub events: Vec<String>,
}

impl AppSpec {
    /// An app with these permissions and events, as pairs and words.
    pub fn new(id: u64, slug: &str, webhook_secret: &str, permissions: &[(&str, &str)], events: &[&str]) -> AppSpec {
        AppSpec {
            id,
            slug: slug.into(),
            webhook_url: None,
            webhook_secret: webhook_secret.into(),
            permissions: permissions.iter().map(|(name, level)| ((*name).into(), (*level).into())).collect(),
            events: events.iter().map(|event| (*event).into()).collect(),
        }
    }
}

/// What the owner of an app holds.
#[derive(Clone)]
pub struct AppCredentials {
    /// The app's id.
    pub app_id: u64,
    /// Its RSA key in PEM (`RSA PRIVATE KEY`, as GitHub gives it).
    pub private_key_pem: String,
    /// The secret of the signatures.
    pub webhook_secret: String,
}

impl fmt::Debug for AppCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppCredentials").field("app_id", &self.app_id).finish_non_exhaustive()
    }
}

/// Accounts, apps and repositories. `repository` is always `owner/name`, accounts are logins.
impl FakeGitHub {
    /// A person with a token, which is the password for git too.
    ///
    /// # Errors
    /// The login is taken or cannot be one.
    pub fn add_user(&self, login: &str, token: &str) -> Result<u64, Error> {
        let mut model = self.shared.model();
        let id = model.add_account(login, Kind::User)?;
        model.tokens.insert(token.into(), Token::Person { account: id });
        Ok(id)
    }

    /// An organisation; its members may do everything in it.
    ///
    /// # Errors
    /// The login is taken, or a member is nobody.
    pub fn add_organization(&self, login: &str, members: &[&str]) -> Result<u64, Error> {
        let mut model = self.shared.model();
        let members = members.iter().map(|login| model.account(login)).collect::<Result<Vec<u64>, Error>>()?;
        let id = model.add_account(login, Kind::Organization)?;
        if let Some(account) = model.accounts.get_mut(&id) {
            account.members = members;
        }
        Ok(id)
    }

    /// Registers an app. All apps have the same public demo key unless `create_app_with_key` gives another.
    ///
    /// # Errors
    /// The id or the slug is taken.
    pub fn create_app(&self, spec: AppSpec) -> Result<AppCredentials, Error> {
        self.create_app_with_key(spec, DEMO_KEY)
    }

    /// Registers an app with a key of its own, in PEM.
    ///
    /// # Errors
    /// The id or the slug is taken, or the key cannot be read.
    pub fn create_app_with_key(&self, spec: AppSpec, private_key_pem: &str) -> Result<AppCredentials, Error> {
        let public_key = token::public_key(private_key_pem)?;
        let mut model = self.shared.model();
        if model.apps.contains_key(&spec.id) {
            return Err(Error::Use(format!("the app {} exists already", spec.id)));
        }
        let bot = model.bot_account(&spec.slug)?;
        let owner = model.owner_for("app-owner")?;
        let (hook_id, created_at) = (model.id(), model.now());
        let mut permissions: Permissions = spec.permissions.into_iter().collect();
        permissions.entry("metadata".into()).or_insert_with(|| "read".into());
        let app = App {
            id: spec.id,
            slug: spec.slug,
            owner,
            bot,
            hook_id,
            webhook_url: spec.webhook_url,
            webhook_secret: spec.webhook_secret.clone(),
            permissions,
            events: spec.events,
            public_key,
            created_at,
        };
        let id = model.add_app(app);
        model.tell_ping(id);
        Ok(AppCredentials { app_id: id, private_key_pem: private_key_pem.into(), webhook_secret: spec.webhook_secret })
    }

    /// Where an app's webhooks go from now on; it is pinged there.
    ///
    /// # Errors
    /// There is no such app.
    pub fn set_webhook_url(&self, app: u64, url: &str) -> Result<(), Error> {
        let mut model = self.shared.model();
        let it = model.apps.get_mut(&app).ok_or_else(|| Error::NotFound(format!("app {app}")))?;
        it.webhook_url = Some(url.into());
        model.tell_ping(app);
        Ok(())
    }

    /// Installs an app on a repository; answers the installation of its owner.
    ///
    /// # Errors
    /// There is no such app or repository.
    pub fn install_app(&self, app: u64, repository: &str) -> Result<u64, Error> {
        let mut model = self.shared.model();
        let id = model.repository_id(repository)?;
        model.install(app, id)
    }

    /// Takes a repository out of an app's installation.
    ///
    /// # Errors
    /// The app is not installed there.
    pub fn uninstall_app(&self, app: u64, repository: &str) -> Result<(), Error> {
        let mut model = self.shared.model();
        let id = model.repository_id(repository)?;
        model.uninstall(app, id)
    }

    /// Makes a private repository with one commit of these files on `main`. A free owner becomes an organisation.
    ///
    /// # Errors
    /// The name is taken or cannot be one; git fails.
    pub fn create_repository(&self, owner: &str, name: &str, files: &[(&str, &str)]) -> Result<u64, Error> {
        let mut model = self.shared.model();
        let owner = model.owner_for(owner)?;
        let id = model.new_repository(NewRepository { owner, name, description: None, private: true, parent: None })?;
        if !files.is_empty() {
            let changes: Vec<Change> = files.iter().map(|(path, content)| Change::write(*path, content)).collect();
            model.commit(id, "main", owner, "Initial commit", &changes)?;
        }
        Ok(id)
    }

    /// Makes a repository public or private.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn set_private(&self, repository: &str, private: bool) -> Result<(), Error> {
        let mut model = self.shared.model();
        let id = model.repository_id(repository)?;
        model.repository_mut(id)?.private = private;
        Ok(())
    }

    /// Copies a repository to a person's account; answers `person/name`.
    ///
    /// # Errors
    /// There is no such repository or person.
    pub fn create_fork(&self, repository: &str, owner: &str) -> Result<String, Error> {
        let mut model = self.shared.model();
        let (id, owner) = (model.repository_id(repository)?, model.account(owner)?);
        let fork = model.fork(id, owner, None)?;
        Ok(model.full_name(model.repository(fork)?))
    }

    /// What a person may do on a repository; `None` takes everything away.
    ///
    /// # Errors
    /// There is no such repository or person.
    pub fn set_permission(&self, repository: &str, login: &str, role: impl Into<Option<Role>>) -> Result<(), Error> {
        let mut model = self.shared.model();
        let (id, account) = (model.repository_id(repository)?, model.account(login)?);
        let it = model.repository_mut(id)?;
        match role.into() {
            Some(role) => it.collaborators.insert(account, role),
            None => it.collaborators.remove(&account),
        };
        Ok(())
    }
}

/// What people do. Each sends the webhooks that GitHub would.
impl FakeGitHub {
    /// Commits and pushes to a branch (from the default branch when it is new); answers the commit.
    ///
    /// # Errors
    /// There is no such repository or person; git fails.
    pub fn commit_files(
        &self,
        repository: &str,
        branch: &str,
        author: &str,
        message: &str,
        changes: &[Change],
    ) -> Result<String, Error> {
        let mut model = self.shared.model();
        let (id, author) = (model.repository_id(repository)?, model.account(author)?);
        model.commit(id, branch, author, message, changes)
    }

    /// Points a branch at a commit that is there, forced if need be.
    ///
    /// # Errors
    /// There is no such repository, person or commit.
    pub fn push(&self, repository: &str, branch: &str, sha: &str, actor: &str) -> Result<(), Error> {
        let mut model = self.shared.model();
        let (id, actor) = (model.repository_id(repository)?, model.account(actor)?);
        model.move_ref(id, &format!("refs/heads/{branch}"), sha, actor)
    }

    /// Removes a branch; its pull requests close.
    ///
    /// # Errors
    /// There is no such repository, person or branch.
    pub fn delete_branch(&self, repository: &str, branch: &str, actor: &str) -> Result<(), Error> {
        let mut model = self.shared.model();
        let (id, actor) = (model.repository_id(repository)?, model.account(actor)?);
        model.remove_ref(id, &format!("refs/heads/{branch}"), actor)
    }

    /// The commit of a branch.
    ///
    /// # Errors
    /// There is no such repository or branch.
    pub fn branch(&self, repository: &str, branch: &str) -> Result<String, Error> {
        let model = self.shared.model();
        let it = model.repository(model.repository_id(repository)?)?;
        it.git.branch(branch)?.ok_or_else(|| Error::NotFound(format!("branch {branch}")))
    }

    /// Opens a pull request; answers its number.
    ///
    /// # Errors
    /// What GitHub would refuse.
    pub fn open_pull(&self, repository: &str, author: &str, new: &NewPull) -> Result<u64, Error> {
        let mut model = self.shared.model();
        let (id, author) = (model.repository_id(repository)?, model.account(author)?);
        model.open_pull(id, author, new)
    }

    /// Changes title or description.
    ///
    /// # Errors
    /// There is no such pull request or person.
    pub fn edit_pull(
        &self,
        repository: &str,
        number: u64,
        actor: &str,
        title: Option<&str>,
        body: Option<&str>,
    ) -> Result<(), Error> {
        let edit = PullEdit { title: title.map(str::to_owned), body: body.map(str::to_owned), ..PullEdit::default() };
        self.pull(repository, actor, |model, id, actor| model.edit_pull(id, number, actor, &edit))
    }

    /// Points a pull request at another base.
    ///
    /// # Errors
    /// There is no such pull request, person or branch.
    pub fn change_base(&self, repository: &str, number: u64, actor: &str, base: &str) -> Result<(), Error> {
        let edit = PullEdit { base: Some(base.to_owned()), ..PullEdit::default() };
        self.pull(repository, actor, |model, id, actor| model.edit_pull(id, number, actor, &edit))
    }

    /// Makes a pull request a draft, or ready.
    ///
    /// # Errors
    /// There is no such pull request or person.
    pub fn set_draft(&self, repository: &str, number: u64, actor: &str, draft: bool) -> Result<(), Error> {
        self.pull(repository, actor, |model, id, actor| model.set_draft(id, number, actor, draft))
    }

    /// Sets the labels.
    ///
    /// # Errors
    /// There is no such pull request or person.
    pub fn set_labels(&self, repository: &str, number: u64, actor: &str, labels: &[&str]) -> Result<(), Error> {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        self.pull(repository, actor, |model, id, actor| model.set_labels(id, number, actor, &labels))
    }

    /// Comments on a pull request; answers the comment's id.
    ///
    /// # Errors
    /// There is no such pull request or person; the body is too long.
    pub fn comment(&self, repository: &str, number: u64, author: &str, body: &str) -> Result<u64, Error> {
        self.pull(repository, author, |model, id, author| model.comment(id, number, author, None, body))
    }

    /// Edits a comment.
    ///
    /// # Errors
    /// There is no such comment or person.
    pub fn edit_comment(&self, repository: &str, comment: u64, actor: &str, body: &str) -> Result<(), Error> {
        self.pull(repository, actor, |model, id, actor| model.edit_comment(id, comment, actor, body))
    }

    /// Deletes a comment.
    ///
    /// # Errors
    /// There is no such comment or person.
    pub fn delete_comment(&self, repository: &str, comment: u64, actor: &str) -> Result<(), Error> {
        self.pull(repository, actor, |model, id, actor| model.delete_comment(id, comment, actor))
    }

    /// Reviews the head of a pull request; answers the review's id.
    ///
    /// # Errors
    /// What GitHub would refuse, as approving one's own.
    pub fn review(
        &self,
        repository: &str,
        number: u64,
        author: &str,
        verdict: Verdict,
        body: &str,
    ) -> Result<u64, Error> {
        self.pull(repository, author, |model, id, author| model.review(id, number, author, verdict, body, None))
    }

    /// Dismisses a review.
    ///
    /// # Errors
    /// There is no such review or person.
    pub fn dismiss_review(&self, repository: &str, number: u64, review: u64, actor: &str) -> Result<(), Error> {
        self.pull(repository, actor, |model, id, actor| model.dismiss_review(id, number, review, actor))
    }

    /// Merges by a merge commit; answers it.
    ///
    /// # Errors
    /// What GitHub would refuse.
    pub fn merge(&self, repository: &str, number: u64, actor: &str) -> Result<String, Error> {
        self.pull(repository, actor, |model, id, actor| model.merge_pull(id, number, actor, &MergeRequest::default()))
    }

    /// Closes a pull request unmerged.
    ///
    /// # Errors
    /// There is no such pull request or person.
    pub fn close_pull(&self, repository: &str, number: u64, actor: &str) -> Result<(), Error> {
        self.pull(repository, actor, |model, id, actor| model.close_pull(id, number, actor))
    }

    /// Opens a closed pull request again.
    ///
    /// # Errors
    /// It was merged, or its branch is gone.
    pub fn reopen_pull(&self, repository: &str, number: u64, actor: &str) -> Result<(), Error> {
        self.pull(repository, actor, |model, id, actor| model.reopen_pull(id, number, actor))
    }

    /// Presses *Re-run* on the newest check of this name at the pull request's head.
    ///
    /// # Errors
    /// There is no such check or person.
    pub fn rerun_check(&self, repository: &str, number: u64, actor: &str, name: &str) -> Result<(), Error> {
        self.pull(repository, actor, |model, id, actor| {
            let run = model.newest_check(id, number, name)?;
            model.rerequest_run(id, run, actor)
        })
    }

    /// Presses *Re-run all checks* of an app at the pull request's head.
    ///
    /// # Errors
    /// There is no such suite or person.
    pub fn rerun_all_checks(&self, repository: &str, number: u64, actor: &str) -> Result<(), Error> {
        self.pull(repository, actor, |model, id, actor| {
            let it = model.repository(id)?;
            let head = it.pull(number)?.head_sha.clone();
            let suites: Vec<u64> =
                it.suites.values().filter(|suite| suite.head_sha == head).map(|suite| suite.id).collect();
            suites.into_iter().try_for_each(|suite| model.rerequest_suite(id, suite, actor))
        })
    }

    /// Presses one of a check's own buttons, by its identifier.
    ///
    /// # Errors
    /// There is no such check, button or person.
    pub fn press_button(
        &self,
        repository: &str,
        number: u64,
        actor: &str,
        check: &str,
        identifier: &str,
    ) -> Result<(), Error> {
        self.pull(repository, actor, |model, id, actor| {
            let run = model.newest_check(id, number, check)?;
            model.request_action(id, run, actor, identifier)
        })
    }

    fn pull<T>(
        &self,
        repository: &str,
        actor: &str,
        run: impl FnOnce(&mut crate::model::Model, u64, u64) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut model = self.shared.model();
        let (id, actor) = (model.repository_id(repository)?, model.account(actor)?);
        run(&mut model, id, actor)
    }
}
