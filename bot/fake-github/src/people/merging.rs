//! What people do around merges: settings, the button, the queue, taking back. Thin: every rule is the model's.

use crate::FakeGitHub;
use crate::error::Error;
use crate::model::Model;
use crate::model::account::Role;
use crate::model::landing::Method;
use crate::model::merge::MergeRequest;

impl FakeGitHub {
    /// The ways to merge that the repository's settings allow.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn set_merge_methods(&self, repository: &str, allowed: &[Method]) -> Result<(), Error> {
        let mut model = self.shared.model();
        let id = model.repository_id(repository)?;
        model.repository_mut(id)?.merges.allowed = allowed.to_vec();
        Ok(())
    }

    /// Whether a head branch goes with its merge.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn set_delete_branch_on_merge(&self, repository: &str, delete: bool) -> Result<(), Error> {
        let mut model = self.shared.model();
        let id = model.repository_id(repository)?;
        model.repository_mut(id)?.merges.delete_branch = delete;
        Ok(())
    }

    /// Presses the merge button; answers the commit.
    ///
    /// # Errors
    /// What GitHub would refuse.
    pub fn merge_pull(&self, repository: &str, number: u64, login: &str, method: Method) -> Result<String, Error> {
        let how = MergeRequest { method: Some(method), ..MergeRequest::default() };
        self.writer(repository, login, |model, id, actor| model.merge_pull(id, number, actor, &how))
    }

    /// Presses Revert on a merged pull request; answers the number of the one that takes it back.
    ///
    /// # Errors
    /// It is not merged, or taking it back conflicts.
    pub fn revert(&self, repository: &str, number: u64, login: &str) -> Result<u64, Error> {
        self.writer(repository, login, |model, id, actor| model.revert_pull(id, number, actor))
    }

    /// Somebody who may push.
    fn writer<T>(
        &self,
        repository: &str,
        login: &str,
        run: impl FnOnce(&mut Model, u64, u64) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.pull(repository, login, |model, id, actor| {
            if model.role(actor, model.repository(id)?) < Some(Role::Write) {
                return Err(Error::Forbidden(format!("{login} may not write to {repository}")));
            }
            run(model, id, actor)
        })
    }
}
