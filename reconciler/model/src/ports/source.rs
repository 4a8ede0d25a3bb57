//! Git, seen from the brain.

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::forge::GitCredential;
use crate::affected::{Affected, ChangedFile};
use crate::config::Directory;
use crate::diagnostic::Diagnostics;
use crate::id::{CommitSha, RelPath, RepoId, RepoName, StackName, TreeId};
use crate::stack::{NotYet, Stack};

/// Commits, trees and what follows from them. All of it is a function of object ids, so results may be kept.
#[async_trait]
pub trait Source: Send + Sync {
    /// Brings exactly these commits with their trees and files into the repository's mirror. Those that are
    /// there cost nothing. One request for known commits; the credential goes into a header only.
    async fn fetch(&self, repo: RepoId, from: &GitCredential, commits: &[CommitSha]) -> Result<(), FetchError>;
    /// Which of these are not in the mirror?
    async fn missing(&self, repo: RepoId, commits: &[CommitSha]) -> Result<Vec<CommitSha>, SourceError>;
    /// The plan tree, the configuration on both sides and the affected stacks of a pull request.
    async fn survey(&self, request: SurveyRequest) -> Result<Survey, SourceError>;
    /// A tar archive of these paths of the tree (all of it when empty), entries sorted, without times.
    async fn tar(&self, repo: RepoId, tree: &TreeId, paths: &[RelPath]) -> Result<Bytes, SourceError>;
}

/// What to survey. All commits must be in the mirror.
#[derive(Debug, Clone)]
pub struct SurveyRequest {
    /// Whose mirror.
    pub repo: RepoId,
    /// Its name, for stacks named after it.
    pub name: RepoName,
    /// Tip of the base branch.
    pub base: CommitSha,
    /// The base branch's name.
    pub base_branch: String,
    /// Tip of the default branch, where `branches` is read.
    pub default_tip: CommitSha,
    /// The default branch's name.
    pub default_branch: String,
    /// Head of the pull request.
    pub head: CommitSha,
    /// GitHub's test merge commit, when it has one and it is in the mirror.
    pub test_merge: Option<CommitSha>,
}

/// What git and the configuration say of a pull request at one (base, head). Stored as a fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// The base that was used.
    pub base: CommitSha,
    /// The head that was used.
    pub head: CommitSha,
    /// The tree that plans run on; `None` when the merge has conflicts.
    pub plan_tree: Option<TreeId>,
    /// Was the merge made by us, not by GitHub?
    pub ours: bool,
    /// Files with conflicts.
    pub conflicts: Vec<RelPath>,
    /// Has either side any configuration (`.buildit/*.kdl` with content)? Without it nothing is written and
    /// nothing runs.
    pub configured: bool,
    /// May the base branch's pull requests be planned at all (trusted or `preview` branch)?
    pub base_trust: BaseTrust,
    /// Findings in the head's configuration; errors stop plans.
    pub diagnostics: Diagnostics,
    /// Files of `.buildit/` that the pull request changes (annotations go there).
    pub config_changed: Vec<RelPath>,
    /// Parts of the configuration that this version does not execute.
    pub not_yet: Vec<NotYet>,
    /// Extra comment prefixes of the trusted base.
    pub prefixes: Vec<String>,
    /// `comment on=…` of the trusted base: "changes", "always" or "never".
    pub comment_on: String,
    /// The changed files between the base tip and the plan tree.
    pub changed: Vec<ChangedFile>,
    /// Affected stacks, with reasons.
    pub affected: Affected,
    /// Every stack of the plan tree (affected or not), sorted by name.
    pub stacks: Vec<SurveyedStack>,
}

/// What the base branch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaseTrust {
    /// The default branch or one that it names.
    Trusted,
    /// Named by `preview`: planned, never applied.
    Preview,
    /// Neither: nothing runs.
    Untrusted,
}

/// A stack on the plan tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SurveyedStack {
    /// The stack; trusted keys are from the base.
    pub stack: Stack,
    /// What its directory holds.
    pub directory: Directory,
    /// What a job must see: the stack's directory, local modules, watched and read files.
    pub paths: Vec<RelPath>,
    /// Hash over (path, object id) of all of it, hexadecimal: equal digests mean equal inputs from git.
    pub inputs_digest: String,
}

impl Survey {
    /// The stack of that name on the plan tree.
    pub fn stack(&self, name: &StackName) -> Option<&SurveyedStack> {
        self.stacks.iter().find(|s| &s.stack.name == name)
    }
}

/// Why a fetch failed.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server does not have (or does not give) this commit; asking again will not help.
    #[error("the commit {commit} is not there")]
    NoCommit {
        /// Which.
        commit: CommitSha,
    },
    /// The credential was refused.
    #[error("the Git server refused the credential")]
    Denied,
    /// A limit on bytes or time was hit.
    #[error("the fetch was stopped: {limit}")]
    TooLarge {
        /// Which limit, and how to raise it.
        limit: String,
    },
    /// Passing: worth another try.
    #[error("the Git server did not answer as it should: {message}")]
    Passing {
        /// What happened, without the credential.
        message: String,
    },
    /// The mirror failed.
    #[error(transparent)]
    Mirror(#[from] SourceError),
}

/// Why git work failed.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// An object is not in the mirror: fetch first.
    #[error("object {id} is not in the mirror")]
    Missing {
        /// Its id.
        id: String,
    },
    /// A limit was hit.
    #[error("{limit}")]
    TooLarge {
        /// Which, in words.
        limit: String,
    },
    /// libgit2 or the disk failed.
    #[error("git: {message}")]
    Git {
        /// Why.
        message: String,
    },
}
