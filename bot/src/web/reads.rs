//! What the pages read. The composition root gives an implementor over `reconciler::{views, logs}`.

use async_trait::async_trait;
use bytes::Bytes;
use model::id::{CommitSha, PullNumber, RepoName, RunNumber, StackName};
use model::plan::{Counts, Risk};
use model::publication::{PullView, StackRow};
use model::run::RunState;
use model::time::Timestamp;

/// Reads for pages. Every answer is as new as the rows are.
#[async_trait]
pub trait Reads: Send + Sync {
    /// Pull requests with runs, the newest change first.
    async fn recent_pulls(&self, limit: u32) -> Result<Vec<PullCard>, ReadError>;
    /// Runs, the newest first.
    async fn recent_runs(&self, limit: u32) -> Result<Vec<RunCard>, ReadError>;
    /// One pull request.
    async fn pull(&self, repo: &RepoName, number: PullNumber) -> Result<Option<PullPage>, ReadError>;
    /// One run.
    async fn run(&self, number: RunNumber) -> Result<Option<RunPage>, ReadError>;
    /// Masked output of a run from the byte `from` on, at most `limit` bytes; `None` without such a run.
    async fn log(&self, number: RunNumber, from: u64, limit: usize) -> Result<Option<LogWindow>, ReadError>;
}

/// Rows could not be read. The cause is for the log, never for the page.
#[derive(Debug, thiserror::Error)]
#[error("failed to read rows for a page")]
pub struct ReadError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A line of the list of pull requests.
#[derive(Debug, Clone, PartialEq)]
pub struct PullCard {
    /// The repository.
    pub repo: RepoName,
    /// Its number.
    pub number: PullNumber,
    /// Its title, as written.
    pub title: String,
    /// The author's login.
    pub author: String,
    /// Last change.
    pub updated_at: Timestamp,
    /// Why there are no runs ("configuration error"), when something stands in the way.
    pub trouble: Option<String>,
    /// The states of its current runs.
    pub states: Vec<RunState>,
    /// The worst risk among its plans.
    pub risk: Risk,
}

/// A line of the list of runs.
#[derive(Debug, Clone, PartialEq)]
pub struct RunCard {
    /// Its number.
    pub number: RunNumber,
    /// The repository.
    pub repo: RepoName,
    /// The pull request.
    pub pull: PullNumber,
    /// The stack.
    pub stack: StackName,
    /// Where it is.
    pub state: RunState,
    /// What the plan would do, once known.
    pub counts: Option<Counts>,
    /// How dangerous that is.
    pub risk: Risk,
    /// When it was made.
    pub created_at: Timestamp,
    /// Wall clock time of its job in milliseconds, once ended.
    pub millis: Option<u64>,
}

/// A pull request's page.
#[derive(Debug, Clone, PartialEq)]
pub struct PullPage {
    /// Its title, as written.
    pub title: String,
    /// The author's login.
    pub author: String,
    /// Its page on GitHub.
    pub github_url: Option<String>,
    /// Where it stands: the same value that the comment is made of.
    pub view: PullView,
    /// Earlier and current runs, the newest first.
    pub runs: Vec<RunCard>,
}

/// A run's page.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPage {
    /// The list's line of it.
    pub card: RunCard,
    /// The head that it plans.
    pub head: CommitSha,
    /// The same value that the comment's row is made of.
    pub row: StackRow,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogWindow {
    /// The bytes; may end within a line or a UTF-8 sequence.
    pub bytes: Bytes,
    /// Where the next piece begins.
    pub next: u64,
    /// Does nothing follow, now or later?
    pub ended: bool,
}
