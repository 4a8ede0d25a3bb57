//! What people do around merges: settings, the button, the queue, taking back. Thin: every rule is the model's.

use crate::FakeGitHub;
use crate::error::Error;
use crate::git::Change;
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

    /// Merges a commit by hand and pushes that: on top of the branch stand these changes and nothing else of it.
    ///
    /// # Errors
    /// There is no such repository, person or commit.
    pub fn push_merge(
        &self,
        repository: &str,
        (branch, merged): (&str, &str),
        login: &str,
        changes: &[Change],
    ) -> Result<String, Error> {
        self.writer(repository, login, |model, id, actor| {
            model.commit_merge(id, branch, actor, ("Merge by hand", Some(merged)), changes)
        })
    }

    /// Presses *Merge when ready* on a base with a merge queue. Without required checks it is merged at once.
    ///
    /// # Errors
    /// What GitHub would refuse.
    pub fn enqueue(&self, repository: &str, number: u64, login: &str) -> Result<(), Error> {
        self.writer(repository, login, |model, id, actor| model.enqueue(id, number, actor, None, false).map(drop))
    }

    /// Takes a pull request out of its merge queue.
    ///
    /// # Errors
    /// It is in none.
    pub fn dequeue(&self, repository: &str, number: u64, login: &str) -> Result<(), Error> {
        self.writer(repository, login, |model, id, actor| model.dequeue(id, number, actor).map(drop))
    }

    /// The groups of a base's merge queue in their order: pull request, commit; `None` while it is not tested yet.
    ///
    /// # Errors
    /// There is no such repository.
    pub fn merge_queue(&self, repository: &str, base: &str) -> Result<Vec<(u64, Option<String>)>, Error> {
        let model = self.shared.model();
        let it = model.repository(model.repository_id(repository)?)?;
        let group = |entry: &crate::model::queue::Entry| entry.group.as_ref().map(|group| group.commit.clone());
        Ok(it.queue(base).iter().map(|entry| (entry.number, group(entry))).collect())
    }

    /// Lets the merge queues see that time has passed.
    ///
    /// # Errors
    /// There is no such repository; git fails.
    pub fn settle_queues(&self, repository: &str) -> Result<(), Error> {
        let mut model = self.shared.model();
        let id = model.repository_id(repository)?;
        model.settle_queues(id)
    }

    /// The parents of a commit.
    ///
    /// # Errors
    /// There is no such repository or commit.
    pub fn parents(&self, repository: &str, sha: &str) -> Result<Vec<String>, Error> {
        let model = self.shared.model();
        let commit = model.repository(model.repository_id(repository)?)?.git.commit_object(sha)?;
        commit.map(|it| it.parents).ok_or_else(|| Error::NotFound(format!("commit {sha}")))
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
