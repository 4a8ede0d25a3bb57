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
        let base = pull.base_ref.clone();
        self.land(repository, &base, actor, method, &[(number, commit.clone())])?;
        Ok(commit)
    }

    /// Moves a base over the commits that bring pull requests, in this order, and does what follows.
    pub(crate) fn land(
        &mut self,
        repository: u64,
        base: &str,
        actor: u64,
        method: Method,
        landed: &[(u64, String)],
    ) -> Result<(), Error> {
        let Some((_, tip)) = landed.last() else { return Ok(()) };
        let reference = format!("refs/heads/{base}");
        let it = self.repository(repository)?;
        let gone = || Error::NotAllowed("Base branch does not exist".into());
        let before = it.git.branch(base)?.ok_or_else(gone)?;
        it.git.set_ref(&reference, tip)?;
        let mut from = before.clone();
        for (number, commit) in landed {
            let it = self.repository_mut(repository)?;
            let brought = hashes(&it.git.log(Some(&from), commit, 500)?);
            it.pull_mut(*number)?.landed = Some(method);
            if method != Method::Rebase {
                // GitHub signs what it commits itself.
                it.signatures.insert(commit.clone(), "valid".into());
            }
            self.mark_merged(repository, *number, actor, commit, brought)?;
            from.clone_from(commit);
        }
        self.ref_changed(repository, &reference, &before, tip, actor)?;
        landed.iter().try_for_each(|(number, _)| self.drop_head(repository, *number, actor))
    }

    /// The head branch goes with the merge where the repository says so.
    fn drop_head(&mut self, repository: u64, number: u64, actor: u64) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let pull = it.pull(number)?;
        let (head, base) = (pull.head_ref.clone(), pull.base_ref.clone());
        let here = pull.head_repository == Some(repository) && head != base && head != it.default_branch;
        if !it.merges.delete_branch || !here || it.git.branch(&head)?.is_none() {
            return Ok(());
        }
        self.retarget(repository, &head, &base, actor)?;
        self.remove_ref(repository, &format!("refs/heads/{head}"), actor)
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
        if it.queue_rules(&pull.base_ref).is_some() {
            return violates("Changes must be made through the merge queue");
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
        self.leave_queue(repository, number, actor)?;
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
