//! Owns merging: by button, by API, by queue, and the merge that GitHub notices when a head was pushed to its base.

use crate::error::Error;
use crate::git::CommitObject;
use crate::model::Model;
use crate::model::landing::{Method, Words};
use crate::model::pull::{NewPull, Pull, PullEdit};
use crate::model::repository::Repository;

/// What a repository's settings say about merges.
#[derive(Debug, Clone)]
pub(crate) struct MergeSettings {
    pub(crate) allowed: Vec<Method>,
    /// The head branch goes with the merge.
    pub(crate) delete_branch: bool,
}

impl Default for MergeSettings {
    fn default() -> MergeSettings {
        MergeSettings { allowed: vec![Method::Merge, Method::Squash, Method::Rebase], delete_branch: false }
    }
}

/// What someone asks for when merging.
#[derive(Debug, Clone, Default)]
pub(crate) struct MergeRequest {
    pub(crate) method: Option<Method>,
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
        let method = how.method.unwrap_or(Method::Merge);
        let it = self.repository(repository)?;
        let pull = it.pull(number)?;
        if !pull.open || pull.draft {
            let why = if pull.draft { "Pull Request is still a draft" } else { "Pull Request is not mergeable" };
            return Err(Error::NotAllowed(why.into()));
        }
        if how.sha.as_ref().is_some_and(|sha| *sha != pull.head_sha) {
            return Err(Error::Conflict("Head branch was modified. Review and try the merge again.".into()));
        }
        if let Some(why) = self.merge_refused(it, pull, method)? {
            return Err(Error::NotAllowed(why));
        }
        let base = it.git.branch(&pull.base_ref)?;
        let base = base.ok_or_else(|| Error::NotAllowed("Base branch does not exist".into()))?;
        let words = Words { title: how.title.as_deref(), message: how.message.as_deref() };
        let commit = self.landing(it, pull, &base, actor, method, words)?;
        self.land(repository, number, actor, method, &commit)?;
        Ok(commit)
    }

    /// Moves the base to the commit that brings a pull request, and does what follows.
    pub(crate) fn land(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        method: Method,
        commit: &str,
    ) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let pull = it.pull(number)?;
        let (base_ref, head_ref) = (pull.base_ref.clone(), pull.head_ref.clone());
        let reference = format!("refs/heads/{base_ref}");
        let gone = || Error::NotAllowed("Base branch does not exist".into());
        let before = it.git.branch(&base_ref)?.ok_or_else(gone)?;
        let brought = hashes(&it.git.log(Some(&before), commit, 500)?);
        let here = pull.head_repository == Some(repository);
        it.git.set_ref(&reference, commit)?;
        let it = self.repository_mut(repository)?;
        it.pull_mut(number)?.landed = Some(method);
        if method != Method::Rebase {
            // GitHub signs what it commits itself.
            it.signatures.insert(commit.to_owned(), "valid".into());
        }
        let delete = it.merges.delete_branch && here && head_ref != base_ref && head_ref != it.default_branch;
        self.mark_merged(repository, number, actor, commit, brought)?;
        self.ref_changed(repository, &reference, &before, commit, actor)?;
        if delete {
            self.retarget(repository, &head_ref, &base_ref, actor)?;
            self.remove_ref(repository, &format!("refs/heads/{head_ref}"), actor)?;
        }
        Ok(())
    }

    /// What the repository or a rule of the base has against this merge.
    fn merge_refused(&self, it: &Repository, pull: &Pull, method: Method) -> Result<Option<String>, Error> {
        if !it.merges.allowed.contains(&method) {
            return Ok(Some(method.refused().into()));
        }
        let violates = |what: &str| Ok(Some(format!("Repository rule violations found\n\n{what}\n\n")));
        let rules = it.rules_on(&pull.base_ref);
        if rules.iter().any(|rules| rules.linear) && method == Method::Merge {
            return violates("This branch must not contain merge commits.");
        }
        self.blocked(it, pull)
    }

    /// Pull requests into a branch that goes after its merge go into where it was merged.
    fn retarget(&mut self, repository: u64, from: &str, to: &str, actor: u64) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let stacked = it.pulls.values().filter(|pull| pull.open && pull.base_ref == from);
        for number in stacked.map(|pull| pull.number).collect::<Vec<_>>() {
            let edit = PullEdit { base: Some(to.to_owned()), ..PullEdit::default() };
            self.edit_pull(repository, number, actor, &edit)?;
        }
        Ok(())
    }

    /// The Revert button: a branch that takes the merge back, and a pull request of it. Answers its number.
    pub(crate) fn revert_pull(&mut self, repository: u64, number: u64, actor: u64) -> Result<u64, Error> {
        let it = self.repository(repository)?;
        let pull = it.pull(number)?;
        let gone = || Error::NotAllowed("Base branch does not exist".into());
        let tip = it.git.branch(&pull.base_ref)?.ok_or_else(gone)?;
        let commit = self.reverting(it, pull, &tip, actor)?;
        let branch = format!("revert-{number}-{}", pull.head_ref);
        if it.git.branch(&branch)?.is_some() {
            return Err(Error::invalid("PullRequest", "head", format!("A branch {branch} already exists.")));
        }
        let new = NewPull {
            title: format!("Revert \"{}\"", pull.title),
            body: Some(format!("Reverts {}#{number}", self.full_name(it))),
            head: branch.clone(),
            base: pull.base_ref.clone(),
            draft: false,
        };
        self.repository_mut(repository)?.signatures.insert(commit.clone(), "valid".into());
        self.move_ref(repository, &format!("refs/heads/{branch}"), &commit, actor)?;
        self.open_pull(repository, actor, &new)
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
