//! Owns merging: by button, by API, and the merge that GitHub notices when a head was pushed to its base.

use crate::error::Error;
use crate::git::CommitObject;
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
        let brought = hashes(&it.git.log(Some(&base), &commit, 500)?);
        self.mark_merged(repository, number, actor, &commit, brought)?;
        self.ref_changed(repository, &reference, &base, &commit, actor)?;
        Ok(commit)
    }

    fn mark_merged(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        commit: &str,
        brought: Vec<String>,
    ) -> Result<(), Error> {
        let now = self.now();
        let pull = self.repository_mut(repository)?.pull_mut(number)?;
        pull.open = false;
        (pull.closed_at, pull.merged_at, pull.updated_at) = (Some(now), Some(now), now);
        pull.merged_by = Some(actor);
        pull.brought = brought;
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
        let mut brought = hashes(&it.git.log(Some(&pull.base_sha), &pull.head_sha, 500)?);
        if brought.is_empty() {
            brought.push(pull.head_sha.clone());
        }
        self.mark_merged(repository, number, actor, &base, brought)?;
        Ok(true)
    }

    /// The pull requests of a commit, by number. On the default branch: the merged ones that brought it. Elsewhere:
    /// also those that have it among their own commits, open or merged.
    pub(crate) fn pulls_of(&self, repository: u64, sha: &str) -> Result<Vec<u64>, Error> {
        let it = self.repository(repository)?;
        let default = it.git.branch(&it.default_branch)?;
        let landed = match default {
            Some(tip) => it.git.is_ancestor(sha, &tip)?,
            None => false,
        };
        let mut found = Vec::new();
        for pull in it.pulls.values().filter(|pull| pull.open || pull.merged_at.is_some()) {
            let brought = pull.brought.iter().any(|it| it == sha);
            let own = || it.git.log(Some(&pull.base_sha), &pull.head_sha, 250);
            if brought || (!landed && hashes(&own()?).iter().any(|it| it == sha)) {
                found.push(pull.number);
            }
        }
        Ok(found)
    }
}

fn hashes(commits: &[CommitObject]) -> Vec<String> {
    commits.iter().map(|commit| commit.sha.clone()).collect()
}
