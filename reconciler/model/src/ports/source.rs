//! Git, seen from the brain.

use async_trait::async_trait;
use bytes::Bytes;

use super::forge::GitCredential;
use crate::id::{CommitSha, RelPath, RepoId, RepoName, TreeId};
use crate::survey::Survey;

/// Commits, trees and what follows from them. All of it is a function of object ids, so results may be kept.
#[async_trait]
pub trait Source: Send + Sync {
    /// Brings exactly these commits with their trees and files into the repository's mirror. Those that are
    /// there cost nothing. One request for known commits; the credential goes into a header only.
    async fn fetch(&self, repo: RepoId, from: &GitCredential, commits: &[CommitSha]) -> Result<(), FetchError>;
    /// Which of these are not in the mirror?
    async fn missing(&self, repo: RepoId, commits: &[CommitSha]) -> Result<Vec<CommitSha>, SourceError>;
    /// The commits that this one was made on, the first one first. It must be in the mirror; they need not be.
    async fn parents(&self, repo: RepoId, commit: &CommitSha) -> Result<Vec<CommitSha>, SourceError>;
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
