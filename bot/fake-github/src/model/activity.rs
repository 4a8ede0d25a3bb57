//! Owns the activity of a repository: who moved which branch, when and how.

use crate::error::Error;
use crate::git::ZERO;
use crate::model::Model;

#[derive(Debug, Clone)]
pub(crate) struct Activity {
    pub(crate) id: u64,
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) reference: String,
    /// GitHub's word.
    pub(crate) kind: &'static str,
    pub(crate) actor: u64,
    pub(crate) at: i64,
}

impl Model {
    /// Notes that a branch moved; tags are not told.
    pub(crate) fn note_activity(
        &mut self,
        repository: u64,
        reference: &str,
        before: &str,
        after: &str,
        actor: u64,
    ) -> Result<(), Error> {
        if !reference.starts_with("refs/heads/") {
            return Ok(());
        }
        let it = self.repository(repository)?;
        let merged =
            it.pulls.values().any(|pull| pull.merged_at.is_some() && pull.merge_commit_sha.as_deref() == Some(after));
        let kind = if before == ZERO {
            "branch_creation"
        } else if after == ZERO {
            "branch_deletion"
        } else if merged {
            "pr_merge"
        } else if it.git.is_ancestor(before, after)? {
            "push"
        } else {
            "force_push"
        };
        let (id, at) = (self.id(), self.now());
        let (before, after, reference) = (before.to_owned(), after.to_owned(), reference.to_owned());
        self.repository_mut(repository)?.activity.push(Activity { id, before, after, reference, kind, actor, at });
        Ok(())
    }

    /// The account that made the branch point to this commit last.
    pub(crate) fn last_pusher(&self, repository: u64, branch: &str, sha: &str) -> Option<u64> {
        let reference = format!("refs/heads/{branch}");
        let it = self.repositories.get(&repository)?;
        it.activity.iter().rev().find(|it| it.reference == reference && it.after == sha).map(|it| it.actor)
    }
}
