//! Owns pull requests: opening, editing, closing, their heads and their test merge commits.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::model::Model;
use crate::model::landing::Method;
use crate::model::owners::Owner;
use crate::model::review::Review;
use crate::model::thread::Thread;
use crate::shape;

#[derive(Debug, Clone)]
pub(crate) struct Pull {
    pub(crate) id: u64,
    pub(crate) issue_id: u64,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) author: u64,
    pub(crate) open: bool,
    pub(crate) draft: bool,
    pub(crate) base_ref: String,
    pub(crate) base_sha: String,
    /// `None` when the fork was removed.
    pub(crate) head_repository: Option<u64>,
    pub(crate) head_ref: String,
    pub(crate) head_sha: String,
    /// Every head that it ever had, oldest first.
    pub(crate) heads: Vec<String>,
    /// What its merge added to the base, oldest first; empty until then.
    pub(crate) brought: Vec<String>,
    /// How it was merged, unless by a push.
    pub(crate) landed: Option<Method>,
    pub(crate) labels: Vec<String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) last_edited_at: Option<i64>,
    pub(crate) closed_at: Option<i64>,
    pub(crate) merged_at: Option<i64>,
    pub(crate) merged_by: Option<u64>,
    /// The test merge while open, the real merge afterwards.
    pub(crate) merge_commit_sha: Option<String>,
    /// `None` while GitHub would still be computing it.
    pub(crate) mergeable: Option<bool>,
    pub(crate) reviews: Vec<Review>,
    /// Whose review is asked for.
    pub(crate) asked: BTreeSet<Owner>,
    /// Conversations on lines.
    pub(crate) threads: Vec<Thread>,
}

impl Pull {
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// `open`, `closed`.
    pub(crate) fn state(&self) -> &'static str {
        if self.open { "open" } else { "closed" }
    }
}

/// What someone asks for when opening a pull request.
#[derive(Debug, Clone, Default)]
pub struct NewPull {
    /// The title.
    pub title: String,
    /// The description in Markdown.
    pub body: Option<String>,
    /// `branch`, or `owner:branch` for a fork.
    pub head: String,
    /// The branch to merge into.
    pub base: String,
    /// Not ready for review yet.
    pub draft: bool,
}

/// What an edit changes; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub(crate) struct PullEdit {
    pub(crate) title: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) base: Option<String>,
    pub(crate) open: Option<bool>,
}

impl Model {
    pub(crate) fn open_pull(&mut self, repository: u64, author: u64, new: &NewPull) -> Result<u64, Error> {
        let (head_repository, head_ref) = self.find_head(repository, &new.head)?;
        let head_sha = self.repository(head_repository)?.git.branch(&head_ref)?;
        let head_sha = head_sha.ok_or_else(|| Error::field("PullRequest", "head", "invalid"))?;
        let it = self.repository(repository)?;
        let base_sha = it.git.branch(&new.base)?.ok_or_else(|| Error::field("PullRequest", "base", "invalid"))?;
        let same = |pull: &&super::pull::Pull| {
            pull.open
                && pull.head_repository == Some(head_repository)
                && pull.head_ref == head_ref
                && pull.base_ref == new.base
        };
        if it.pulls.values().find(same).is_some() {
            let owner = self.login(self.repository(head_repository)?.owner);
            return Err(Error::invalid(
                "PullRequest",
                "head",
                format!("A pull request already exists for {owner}:{head_ref}."),
            ));
        }
        if new.title.trim().is_empty() {
            return Err(Error::field("PullRequest", "title", "missing_field"));
        }
        let (id, issue_id, now) = (self.id(), self.id(), self.now());
        let number = self.repository_mut(repository)?.take_number();
        let pull = Pull {
            id,
            issue_id,
            number,
            title: new.title.clone(),
            body: new.body.clone(),
            author,
            open: true,
            draft: new.draft,
            base_ref: new.base.clone(),
            base_sha: base_sha.clone(),
            head_repository: Some(head_repository),
            head_ref,
            head_sha: head_sha.clone(),
            heads: Vec::new(),
            brought: Vec::new(),
            landed: None,
            labels: Vec::new(),
            created_at: now,
            updated_at: now,
            last_edited_at: None,
            closed_at: None,
            merged_at: None,
            merged_by: None,
            merge_commit_sha: None,
            mergeable: None,
            reviews: Vec::new(),
            asked: BTreeSet::new(),
            threads: Vec::new(),
        };
        let between = format!("No commits between {} and {}", pull.base_ref, pull.head_ref);
        self.repository_mut(repository)?.pulls.insert(number, pull);
        self.take_head(repository, number, head_repository, &head_sha)?;
        if self.repository(repository)?.git.is_ancestor(&head_sha, &base_sha)? {
            self.repository_mut(repository)?.pulls.remove(&number);
            return Err(Error::invalid("PullRequest", "head", between));
        }
        self.refresh_merge(repository, number)?;
        self.tell_pull(repository, number, author, "opened", &[])?;
        self.ask_owners(repository, number, author)?;
        Ok(number)
    }

    /// `branch` is here; `owner:branch` is the fork of that owner, or here when the owner is the same.
    fn find_head(&self, repository: u64, head: &str) -> Result<(u64, String), Error> {
        let it = self.repository(repository)?;
        let Some((owner, branch)) = head.split_once(':') else { return Ok((repository, head.to_owned())) };
        let owner = self.account_id(owner).ok_or_else(|| Error::field("PullRequest", "head", "invalid"))?;
        if owner == it.owner {
            return Ok((repository, branch.to_owned()));
        }
        let fork = self.repositories.values().find(|fork| fork.owner == owner && fork.parent == Some(repository));
        let fork = fork.ok_or_else(|| Error::field("PullRequest", "head", "invalid"))?;
        Ok((fork.id, branch.to_owned()))
    }

    /// Brings a new head commit into the base repository as `refs/pull/N/head`.
    pub(crate) fn take_head(
        &mut self,
        repository: u64,
        number: u64,
        head_repository: u64,
        sha: &str,
    ) -> Result<(), Error> {
        let name = format!("refs/pull/{number}/head");
        if head_repository == repository {
            self.repository(repository)?.git.set_ref(&name, sha)?;
        } else {
            let source = self.repository(head_repository)?.git.clone();
            self.repository(repository)?.git.take(&source, sha, &name)?;
        }
        let now = self.now();
        let it = self.repository_mut(repository)?;
        let base = it.pull(number)?.base_ref.clone();
        let base_sha = it.git.branch(&base)?;
        let pull = it.pull_mut(number)?;
        sha.clone_into(&mut pull.head_sha);
        pull.heads.push(sha.to_owned());
        pull.updated_at = now;
        if let Some(base_sha) = base_sha {
            pull.base_sha = base_sha;
        }
        Ok(())
    }

    /// Computes the test merge of an open pull request: `refs/pull/N/merge` and `mergeable`.
    pub(crate) fn refresh_merge(&mut self, repository: u64, number: u64) -> Result<(), Error> {
        let (person, github) = (self.person(self.repository(repository)?.pull(number)?.author), self.web_flow());
        let (at_once, it) = (self.mergeable_at_once, self.repository_mut(repository)?);
        let pull = it.pull(number)?;
        let (head, base_ref) = (pull.head_sha.clone(), pull.base_ref.clone());
        let Some(base) = it.git.branch(&base_ref)? else { return Ok(()) };
        let name = format!("refs/pull/{number}/merge");
        let merge = match it.git.merge_tree(&base, &head)? {
            Some(tree) => {
                let message = format!("Merge {head} into {base}");
                let sha = it.git.commit_tree(&tree, &[&base, &head], &person, &github, &message)?;
                it.git.set_ref(&name, &sha)?;
                Some(sha)
            }
            None => {
                // GitHub keeps the stale merge ref of a conflicting pull request; so does this.
                None
            }
        };
        let pull = it.pull_mut(number)?;
        pull.mergeable = at_once.then_some(merge.is_some());
        pull.merge_commit_sha = merge;
        Ok(())
    }

    /// What a GET of the pull request does: the first one of a new head sees null, the next the answer.
    pub(crate) fn look_at_mergeable(&mut self, repository: u64, number: u64) -> Result<(), Error> {
        let pull = self.repository_mut(repository)?.pull_mut(number)?;
        if pull.open && pull.mergeable.is_none() {
            pull.mergeable = Some(pull.merge_commit_sha.is_some());
        }
        Ok(())
    }

    pub(crate) fn edit_pull(&mut self, repository: u64, number: u64, actor: u64, edit: &PullEdit) -> Result<(), Error> {
        let now = self.now();
        let mut changes = Map::new();
        let base_sha = match &edit.base {
            Some(base) => {
                let found = self.repository(repository)?.git.branch(base)?;
                Some(found.ok_or_else(|| Error::field("PullRequest", "base", "invalid"))?)
            }
            None => None,
        };
        let pull = self.repository_mut(repository)?.pull_mut(number)?;
        if let Some(title) = edit.title.as_ref().filter(|title| **title != pull.title) {
            changes.insert("title".into(), json!({"from": pull.title}));
            pull.title.clone_from(title);
        }
        if let Some(body) = edit.body.as_ref().filter(|body| Some(*body) != pull.body.as_ref()) {
            changes.insert("body".into(), json!({"from": pull.body.clone().unwrap_or_default()}));
            pull.body = Some(body.clone());
            pull.last_edited_at = Some(now);
        }
        if let (Some(base), Some(sha)) = (&edit.base, base_sha)
            && *base != pull.base_ref
        {
            changes.insert("base".into(), json!({"ref": {"from": pull.base_ref}, "sha": {"from": pull.base_sha}}));
            pull.base_ref.clone_from(base);
            pull.base_sha = sha;
        }
        if !changes.is_empty() {
            pull.updated_at = now;
            self.refresh_merge(repository, number)?;
            self.tell_pull(repository, number, actor, "edited", &[("changes", Value::Object(changes))])?;
        }
        match edit.open {
            Some(false) => self.close_pull(repository, number, actor),
            Some(true) => self.reopen_pull(repository, number, actor),
            None => Ok(()),
        }
    }

    pub(crate) fn close_pull(&mut self, repository: u64, number: u64, actor: u64) -> Result<(), Error> {
        let now = self.now();
        if !self.repository(repository)?.pull(number)?.open {
            return Ok(());
        }
        self.leave_queue(repository, number, actor)?;
        let pull = self.repository_mut(repository)?.pull_mut(number)?;
        pull.open = false;
        (pull.closed_at, pull.updated_at) = (Some(now), now);
        self.tell_pull(repository, number, actor, "closed", &[])
    }

    pub(crate) fn reopen_pull(&mut self, repository: u64, number: u64, actor: u64) -> Result<(), Error> {
        let now = self.now();
        let it = self.repository(repository)?;
        let pull = it.pull(number)?;
        if pull.open {
            return Ok(());
        }
        let head = match pull.head_repository {
            Some(head) => self.repository(head)?.git.branch(&pull.head_ref)?,
            None => None,
        };
        if pull.merged_at.is_some() || head.is_none() {
            return Err(Error::invalid(
                "PullRequest",
                "state",
                "state cannot be changed. The pull request cannot be reopened.",
            ));
        }
        let pull = self.repository_mut(repository)?.pull_mut(number)?;
        pull.open = true;
        (pull.closed_at, pull.updated_at) = (None, now);
        self.refresh_merge(repository, number)?;
        self.tell_pull(repository, number, actor, "reopened", &[])
    }

    pub(crate) fn set_draft(&mut self, repository: u64, number: u64, actor: u64, draft: bool) -> Result<(), Error> {
        let pull = self.repository_mut(repository)?.pull_mut(number)?;
        if pull.draft == draft {
            return Ok(());
        }
        pull.draft = draft;
        let action = if draft { "converted_to_draft" } else { "ready_for_review" };
        self.tell_pull(repository, number, actor, action, &[])?;
        self.ask_owners(repository, number, actor)
    }

    pub(crate) fn set_labels(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        labels: &[String],
    ) -> Result<(), Error> {
        let pull = self.repository_mut(repository)?.pull_mut(number)?;
        let before = std::mem::replace(&mut pull.labels, labels.to_vec());
        for label in labels.iter().filter(|label| !before.contains(label)) {
            let shaped = shape::pull::label(self, repository, label)?;
            self.tell_pull(repository, number, actor, "labeled", &[("label", shaped)])?;
        }
        for label in before.iter().filter(|label| !labels.contains(label)) {
            let shaped = shape::pull::label(self, repository, label)?;
            self.tell_pull(repository, number, actor, "unlabeled", &[("label", shaped)])?;
        }
        Ok(())
    }

    /// Sends a `pull_request` webhook with the pull request as it is now.
    pub(crate) fn tell_pull(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        action: &str,
        more: &[(&str, Value)],
    ) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let mut fields = Map::new();
        fields.insert("number".into(), json!(number));
        fields.insert("pull_request".into(), shape::pull::whole(self, it, it.pull(number)?, shape::Form::Webhook)?);
        fields.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        self.tell(repository, actor, "pull_request", Some(action), fields);
        Ok(())
    }
}
