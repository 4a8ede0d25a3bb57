//! GitHub, seen from the brain. `preview` has its own implementor over a clone and a terminal.

use std::fmt;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::group::MergeGroup;
use crate::id::{CheckRunId, CommentId, CommitSha, DeploymentId, InstallationId, IssueNumber, PullNumber, RepoName};
use crate::publication::{Check, CheckName, Deployment, Issue, Notice, Reaction, Reply, Summary};
use crate::pull::{GateFacts, GateWants, PullSnapshot, RepoSnapshot, Role};
use crate::stack::MergeMethod;
use crate::time::Timestamp;

/// Reads. Every answer is the newest that GitHub has; nothing is cached here but tokens.
#[async_trait]
pub trait ForgeRead: Send + Sync {
    /// Every repository of every installation (resync).
    async fn repositories(&self) -> Result<Vec<RepoSnapshot>, ForgeError>;
    /// One repository by name within an installation.
    async fn repository(&self, installation: InstallationId, name: &RepoName) -> Result<RepoSnapshot, ForgeError>;
    /// A pull request now.
    async fn pull(&self, repo: &RepoSnapshot, number: PullNumber) -> Result<PullSnapshot, ForgeError>;
    /// Open pull requests with their heads (resync).
    async fn open_pulls(&self, repo: &RepoSnapshot) -> Result<Vec<PullListing>, ForgeError>;
    /// The tip of a branch; `None` when it is gone.
    async fn branch(&self, repo: &RepoSnapshot, branch: &str) -> Result<Option<BranchSnapshot>, ForgeError>;
    /// The merged pull requests that brought this commit into its branch, oldest merge first. Empty when it was
    /// pushed without one, and for a commit of a merge group that is not merged yet.
    async fn pulls_of(&self, repo: &RepoSnapshot, commit: &CommitSha) -> Result<Vec<PullNumber>, ForgeError>;
    /// The merge group of the base branch's queue whose temporary branch ends at `head`; `None` when the queue has no
    /// such group (any more).
    async fn merge_group(
        &self,
        repo: &RepoSnapshot,
        base_branch: &str,
        head: &CommitSha,
    ) -> Result<Option<MergeGroup>, ForgeError>;
    /// Comments of a pull request created at or after `since`, oldest first, with whether they were edited.
    async fn comments(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        since: Option<Timestamp>,
    ) -> Result<Vec<CommentSnapshot>, ForgeError>;
    /// What a person may do on the repository.
    async fn role(&self, repo: &RepoSnapshot, login: &str) -> Result<Role, ForgeError>;
    /// How git may fetch this repository now: a token for this repository alone, contents:read.
    async fn credential(&self, repo: &RepoSnapshot) -> Result<GitCredential, ForgeError>;
    /// The App's slug: `@slug` is a command prefix, and the author of our comments is `slug[bot]`.
    async fn slug(&self) -> Result<String, ForgeError>;
    /// Our App's id, as check runs and rules carry it.
    async fn app_id(&self) -> Result<i64, ForgeError>;
    /// What requirements and rights ask of a pull request, all of one head: the head is read first and last, and
    /// when it moved in between the answer is `Passing`. What is wanted and cannot be read (a permission is missing)
    /// is `Unreadable` with what to do; what is not wanted is `NotAsked`.
    async fn gate_facts(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        wants: &GateWants,
    ) -> Result<GateFacts, ForgeError>;
}

/// Writes. All are upserts by our own key, so that repeating one changes nothing.
#[async_trait]
pub trait ForgeWrite: Send + Sync {
    /// Grows when the same publication would be written differently; part of each digest.
    fn render_version(&self) -> u32;
    /// Creates or updates the check run of (commit, name). `known` is the id from an earlier write; without
    /// it the check is looked for by its external id first. Annotations are sent once only.
    async fn put_check(
        &self,
        repo: &RepoSnapshot,
        commit: &CommitSha,
        check: &Check,
        known: Option<CheckRunId>,
    ) -> Result<CheckRunId, ForgeError>;
    /// Creates or edits the summary comment of a pull request. Without `known` it is looked for by its hidden
    /// marker among our own comments first.
    async fn put_summary(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        summary: &Summary,
        known: Option<CommentId>,
    ) -> Result<CommentId, ForgeError>;
    /// The same at a new push: when `crowd` or more comments stand below `old`, the summary is written anew below
    /// them and `old` is hidden as outdated; else `old` is edited.
    async fn move_summary(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        summary: &Summary,
        old: CommentId,
        crowd: usize,
    ) -> Result<CommentId, ForgeError>;
    /// Writes a comment of its own, or edits the known one. Without `known` it is looked for by its hidden marker
    /// among our own comments first; a known one that was deleted is written anew.
    async fn put_notice(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        notice: &Notice,
        known: Option<CommentId>,
    ) -> Result<CommentId, ForgeError>;
    /// Creates, edits, closes or opens an issue of ours. Without `known` it is looked for by its hidden marker among
    /// our own issues first. A closed one that is nowhere is `Gone` and not made; issues that are turned off in the
    /// repository are `Denied`.
    async fn put_issue(
        &self,
        repo: &RepoSnapshot,
        issue: &Issue,
        known: Option<IssueNumber>,
    ) -> Result<IssueNumber, ForgeError>;
    /// Records how an apply stands: one deployment per key, one status per state. Without `known` it is looked for by
    /// its key among our own deployments of that commit and stack first. Without the App's permission: `Denied`.
    async fn put_deployment(
        &self,
        repo: &RepoSnapshot,
        deployment: &Deployment,
        known: Option<DeploymentId>,
    ) -> Result<DeploymentId, ForgeError>;
    /// Merges a pull request whose head is still `head`, or puts it into the merge queue of a base that has one. With
    /// no method: the first of merge, squash and rebase that the repository allows; a queue has its own. Already
    /// merged is `Done`, already in the queue is `Queued`.
    async fn merge(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        head: &CommitSha,
        method: Option<MergeMethod>,
    ) -> Result<Merged, ForgeError>;
    /// Answers a command with one short comment; found again by the hidden marker that names the command.
    async fn put_reply(&self, repo: &RepoSnapshot, number: PullNumber, reply: &Reply) -> Result<CommentId, ForgeError>;
    /// Reacts to a comment; a reaction that is there already is Ok.
    async fn react(&self, repo: &RepoSnapshot, comment: CommentId, reaction: Reaction) -> Result<(), ForgeError>;
    /// Hides one of our comments as outdated.
    async fn minimize(&self, repo: &RepoSnapshot, comment: CommentId) -> Result<(), ForgeError>;
    /// Names of our check runs on a commit, to find those to close.
    async fn checks(&self, repo: &RepoSnapshot, commit: &CommitSha)
    -> Result<Vec<(CheckName, CheckRunId)>, ForgeError>;
}

/// Answer of `merge`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// It is merged; the commit on the base.
    Done(CommitSha),
    /// It waits in the base's merge queue.
    Queued,
    /// Not now.
    Not {
        /// GitHub's words.
        why: String,
    },
}

/// A line of a list of pull requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullListing {
    /// Its number.
    pub number: PullNumber,
    /// Its head.
    pub head: CommitSha,
    /// Last change.
    pub updated_at: Timestamp,
}

/// A branch now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchSnapshot {
    /// Its tip.
    pub tip: CommitSha,
    /// Is it protected?
    pub protected: bool,
}

/// A comment now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommentSnapshot {
    /// Its id.
    pub id: CommentId,
    /// The author's login.
    pub author: String,
    /// A bot account?
    pub author_is_bot: bool,
    /// Its text now.
    pub body: String,
    /// When it was written.
    pub created_at: Timestamp,
    /// Was it ever edited (GraphQL `lastEditedAt`)?
    pub edited: bool,
}

/// Where and with what git fetches. The header's value never shows.
#[derive(Clone)]
pub struct GitCredential {
    /// The repository's URL without any credential.
    pub url: String,
    /// The value of the `Authorization` header; `None` for what needs none.
    pub authorization: Option<SecretString>,
}

impl fmt::Debug for GitCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitCredential").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why GitHub did not do it. Adapters must choose; "unknown" is not a class.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// Network, 5xx: again later.
    #[error("GitHub did not answer as it should: {message}")]
    Passing {
        /// What happened.
        message: String,
    },
    /// Rate limited until then.
    #[error("GitHub asks to wait")]
    RateLimited {
        /// When to try again.
        until: Timestamp,
    },
    /// Refused: a person must act.
    #[error("GitHub refused: {message}")]
    Denied {
        /// Its words, and what to do.
        message: String,
    },
    /// Not there (any more).
    #[error("{what} is not there")]
    Gone {
        /// What.
        what: String,
    },
    /// We asked wrongly, or the answer cannot be read: a bug of ours.
    #[error("unexpected: {message}")]
    Bug {
        /// What.
        message: String,
    },
}
