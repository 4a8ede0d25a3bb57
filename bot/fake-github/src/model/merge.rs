//! Owns merging: by button, by API, and the merge that GitHub notices when a head was pushed to its base.

use crate::error::Error;
use crate::model::Model;

/// What someone asks for when merging.
#[derive(Debug, Clone, Default)]
pub(crate) struct MergeRequest {
    /// `merge` or `squash`.
    pub(crate) method: Option<String>,
    /// The head must still be this.
    pub(crate) sha: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) message: Option<String>,
}

impl Model {
    /// Merges an open pull request and answers the commit.
    pub(crate) fn merge_pull(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        how: &MergeRequest,
    ) -> Result<String, Error> {
        let person = self.person(actor);
        let it = self.repository(repository)?;
        let pull = it.pull(number)?;
        if !pull.open || pull.draft {
            let why = if pull.draft { "Pull Request is still a draft" } else { "Pull Request is not mergeable" };
            return Err(Error::NotAllowed(why.into()));
        }
        if how.sha.as_ref().is_some_and(|sha| *sha != pull.head_sha) {
            return Err(Error::Conflict("Head branch was modified. Review and try the merge again.".into()));
        }
        if let Some(why) = self.blocked(it, pull)? {
            return Err(Error::NotAllowed(why));
        }
        let base = it.git.branch(&pull.base_ref)?;
        let base = base.ok_or_else(|| Error::NotAllowed("Base branch does not exist".into()))?;
        let tree = it.git.merge_tree(&base, &pull.head_sha)?;
        let tree = tree.ok_or_else(|| Error::NotAllowed("Pull Request is not mergeable".into()))?;
        let head_owner = match pull.head_repository {
            Some(head) => self.login(self.repository(head)?.owner),
            None => "unknown".into(),
        };
        let squash = match how.method.as_deref() {
            None | Some("merge") => false,
            Some("squash") => true,
            Some(other) => {
                return Err(Error::NotAllowed(format!("{other} merges are not allowed on this repository.")));
            }
        };
        let (title, body) = if squash {
            (format!("{} (#{number})", pull.title), String::new())
        } else {
            (format!("Merge pull request #{number} from {head_owner}/{}", pull.head_ref), pull.title.clone())
        };
        let (title, body) = (how.title.clone().unwrap_or(title), how.message.clone().unwrap_or(body));
        let message = if body.is_empty() { title } else { format!("{title}\n\n{body}") };
        let parents: &[&str] = if squash { &[&base] } else { &[&base, &pull.head_sha] };
        let commit = it.git.commit_tree(&tree, parents, &person, &message)?;
        let reference = format!("refs/heads/{}", pull.base_ref);
        it.git.set_ref(&reference, &commit)?;
        self.mark_merged(repository, number, actor, &commit)?;
        self.ref_changed(repository, &reference, &base, &commit, actor)?;
        Ok(commit)
    }

    fn mark_merged(&mut self, repository: u64, number: u64, actor: u64, commit: &str) -> Result<(), Error> {
        let now = self.now();
        let pull = self.repository_mut(repository)?.pull_mut(number)?;
        pull.open = false;
        (pull.closed_at, pull.merged_at, pull.updated_at) = (Some(now), Some(now), now);
        pull.merged_by = Some(actor);
        pull.merge_commit_sha = Some(commit.to_owned());
        pull.mergeable = None;
        self.tell_pull(repository, number, actor, "closed", &[])
    }

    /// A pull request whose head is in its base is merged, whoever pushed it.
    pub(crate) fn merged_by_push(&mut self, repository: u64, number: u64, actor: u64) -> Result<bool, Error> {
        let it = self.repository(repository)?;
        let pull = it.pull(number)?;
        let Some(base) = it.git.branch(&pull.base_ref)? else { return Ok(false) };
        if !pull.open || !it.git.is_ancestor(&pull.head_sha, &base)? {
            return Ok(false);
        }
        self.mark_merged(repository, number, actor, &base)?;
        Ok(true)
    }
}
