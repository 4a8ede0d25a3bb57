//! What people do with issues. Thin: every rule is the model's. Comments are those of pull requests.

use crate::FakeGitHub;
use crate::error::Error;
use crate::model::issue::IssueEdit;

impl FakeGitHub {
    /// Opens an issue; answers its number.
    ///
    /// # Errors
    /// There is no such repository or person, or issues are turned off there.
    pub fn open_issue(&self, repository: &str, author: &str, title: &str, body: &str) -> Result<u64, Error> {
        self.pull(repository, author, |model, id, author| model.open_issue(id, author, None, title, Some(body)))
    }

    /// Closes an issue, or opens it again.
    ///
    /// # Errors
    /// There is no such issue or person.
    pub fn set_issue_open(&self, repository: &str, number: u64, actor: &str, open: bool) -> Result<(), Error> {
        let edit = IssueEdit { open: Some(open), ..IssueEdit::default() };
        self.pull(repository, actor, |model, id, actor| model.edit_issue(id, number, actor, &edit))
    }

    /// Removes an issue for good, as an administrator may.
    ///
    /// # Errors
    /// There is no such issue.
    pub fn delete_issue(&self, repository: &str, number: u64) -> Result<(), Error> {
        let mut model = self.shared.model();
        let id = model.repository_id(repository)?;
        let it = model.repository_mut(id)?;
        it.comments.retain(|_, comment| comment.number != number);
        it.issues.remove(&number).map(drop).ok_or_else(|| Error::NotFound(format!("issue {number}")))
    }

    /// Turns issues on or off.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn set_issues(&self, repository: &str, on: bool) -> Result<(), Error> {
        let mut model = self.shared.model();
        let id = model.repository_id(repository)?;
        model.repository_mut(id)?.has_issues = on;
        Ok(())
    }
}
