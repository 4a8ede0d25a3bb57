//! Owns repositories: making, forking, committing to them, their branches and who works on them.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::git::{Change, Git, ZERO};
use crate::model::Model;
use crate::model::account::{Kind, Role};
use crate::model::activity::Activity;
use crate::model::check::{CheckRun, CheckSuite};
use crate::model::comment::Comment;
use crate::model::deployment::Deployment;
use crate::model::issue::Issue;
use crate::model::merge::MergeSettings;
use crate::model::protection::{Protection, Ruleset};
use crate::model::pull::Pull;
use crate::model::queue::Entry;
use crate::model::status::Status;

#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) id: u64,
    pub(crate) owner: u64,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) private: bool,
    pub(crate) default_branch: String,
    /// The repository that this one was forked from.
    pub(crate) parent: Option<u64>,
    pub(crate) collaborators: BTreeMap<u64, Role>,
    pub(crate) git: Git,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) pushed_at: i64,
    next_number: u64,
    pub(crate) pulls: BTreeMap<u64, Pull>,
    pub(crate) has_issues: bool,
    pub(crate) issues: BTreeMap<u64, Issue>,
    pub(crate) comments: BTreeMap<u64, Comment>,
    pub(crate) suites: BTreeMap<u64, CheckSuite>,
    pub(crate) runs: BTreeMap<u64, CheckRun>,
    pub(crate) statuses: Vec<Status>,
    pub(crate) deployments: BTreeMap<u64, Deployment>,
    /// Oldest first.
    pub(crate) activity: Vec<Activity>,
    pub(crate) protections: Vec<Protection>,
    pub(crate) rulesets: Vec<Ruleset>,
    pub(crate) merges: MergeSettings,
    /// By base branch, the next to be merged first.
    pub(crate) queues: BTreeMap<String, Vec<Entry>>,
    /// What GitHub says of commits' signatures, in its words; absent ones are unsigned.
    pub(crate) signatures: BTreeMap<String, String>,
}

impl Repository {
    /// The next number of a pull request or issue.
    pub(crate) fn take_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// What GitHub says of a commit's signature: "valid", "unsigned", "unknown_key", …
    pub(crate) fn signature(&self, sha: &str) -> &str {
        self.signatures.get(sha).map_or("unsigned", String::as_str)
    }

    pub(crate) fn pull(&self, number: u64) -> Result<&Pull, Error> {
        self.pulls.get(&number).ok_or_else(|| Error::NotFound(format!("pull request {number}")))
    }

    pub(crate) fn pull_mut(&mut self, number: u64) -> Result<&mut Pull, Error> {
        self.pulls.get_mut(&number).ok_or_else(|| Error::NotFound(format!("pull request {number}")))
    }
}

/// What a new repository is.
#[derive(Debug, Clone)]
pub(crate) struct NewRepository<'a> {
    pub(crate) owner: u64,
    pub(crate) name: &'a str,
    pub(crate) description: Option<String>,
    pub(crate) private: bool,
    pub(crate) parent: Option<u64>,
}

impl Model {
    /// Makes an empty repository with its bare git directory.
    pub(crate) fn new_repository(&mut self, new: NewRepository<'_>) -> Result<u64, Error> {
        let name = new.name;
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if name.is_empty() || !plain || name == "." || name == ".." || name.to_ascii_lowercase().ends_with(".git") {
            return Err(Error::invalid(
                "Repository",
                "name",
                "name can only contain ASCII letters, digits, and the characters ., -, and _",
            ));
        }
        let login = self.login(new.owner);
        if self.repository_id(&format!("{login}/{name}")).is_ok() {
            return Err(Error::invalid("Repository", "name", "name already exists on this account"));
        }
        let id = self.id();
        let git = Git::init(&self.data.join("repositories").join(id.to_string()), "main")?;
        let now = self.now();
        let repository = Repository {
            id,
            owner: new.owner,
            name: name.into(),
            description: new.description,
            private: new.private,
            default_branch: "main".into(),
            parent: new.parent,
            collaborators: BTreeMap::new(),
            git,
            created_at: now,
            updated_at: now,
            pushed_at: now,
            next_number: 0,
            pulls: BTreeMap::new(),
            has_issues: true,
            issues: BTreeMap::new(),
            comments: BTreeMap::new(),
            suites: BTreeMap::new(),
            runs: BTreeMap::new(),
            statuses: Vec::new(),
            deployments: BTreeMap::new(),
            activity: Vec::new(),
            protections: Vec::new(),
            rulesets: Vec::new(),
            merges: MergeSettings::default(),
            queues: BTreeMap::new(),
            signatures: BTreeMap::new(),
        };
        self.repositories.insert(id, repository);
        Ok(id)
    }

    /// The owner of a new repository; an organisation is made when the login is free.
    pub(crate) fn owner_for(&mut self, login: &str) -> Result<u64, Error> {
        match self.account_id(login) {
            Some(id) => Ok(id),
            None => self.add_account(login, Kind::Organization),
        }
    }

    /// Copies the branches of a repository to another account.
    pub(crate) fn fork(&mut self, parent: u64, owner: u64, name: Option<&str>) -> Result<u64, Error> {
        let (parent_name, private, default_branch, source) = {
            let it = self.repository(parent)?;
            (it.name.clone(), it.private, it.default_branch.clone(), it.git.clone())
        };
        let name = name.unwrap_or(&parent_name);
        let existing = self.repositories.values().find(|it| it.owner == owner && it.parent == Some(parent));
        if let Some(existing) = existing {
            return Ok(existing.id);
        }
        let id =
            self.new_repository(NewRepository { owner, name, description: None, private, parent: Some(parent) })?;
        let fork = self.repository_mut(id)?;
        fork.git.take_branches(&source)?;
        fork.git.set_head(&default_branch)?;
        fork.default_branch = default_branch;
        Ok(id)
    }

    /// Commits onto a branch (made from the default branch when it is not there) and tells everyone.
    pub(crate) fn commit(
        &mut self,
        repository: u64,
        branch: &str,
        author: u64,
        message: &str,
        changes: &[Change],
    ) -> Result<String, Error> {
        self.commit_merge(repository, branch, author, (message, None), changes)
    }

    /// The same with a second parent, as somebody makes it who merges by hand.
    pub(crate) fn commit_merge(
        &mut self,
        repository: u64,
        branch: &str,
        author: u64,
        (message, merged): (&str, Option<&str>),
        changes: &[Change],
    ) -> Result<String, Error> {
        let person = self.person(author);
        let it = self.repository(repository)?;
        let before = it.git.branch(branch)?;
        let parent = match &before {
            Some(sha) => Some(sha.clone()),
            None => it.git.branch(&it.default_branch)?,
        };
        let sha = it.git.commit_changes(branch, (parent.as_deref(), merged), &person, message, changes)?;
        self.ref_changed(repository, &format!("refs/heads/{branch}"), before.as_deref().unwrap_or(ZERO), &sha, author)?;
        Ok(sha)
    }

    /// Points a branch (or tag) at a commit that exists, and tells everyone.
    pub(crate) fn move_ref(&mut self, repository: u64, reference: &str, sha: &str, actor: u64) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let sha = it.git.commit(sha)?.ok_or_else(|| Error::invalid("Reference", "sha", "Object does not exist"))?;
        let before = it.git.commit(reference)?.unwrap_or_else(|| ZERO.into());
        it.git.set_ref(reference, &sha)?;
        self.ref_changed(repository, reference, &before, &sha, actor)
    }

    /// Removes a branch (or tag), and tells everyone.
    pub(crate) fn remove_ref(&mut self, repository: u64, reference: &str, actor: u64) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let before = it.git.commit(reference)?;
        let before = before.ok_or_else(|| Error::invalid("Reference", "ref", "Reference does not exist"))?;
        it.git.delete_ref(reference)?;
        self.ref_changed(repository, reference, &before, ZERO, actor)
    }
}
