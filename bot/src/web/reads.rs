//! What the pages read. The composition root gives an implementor over `reconciler::{views, logs}`.

use async_trait::async_trait;
use bytes::Bytes;
use model::id::{PullNumber, RepoName, RunNumber};
use model::publication::PullView;
pub use reconciler::views::{PullCard, RunCard, RunPage};

/// Reads for pages. Every answer is as new as the rows are.
#[async_trait]
pub trait Reads: Send + Sync {
    /// Open pull requests with something to say, the newest change first.
    async fn recent_pulls(&self, limit: u32) -> Result<Vec<PullCard>, ReadError>;
    /// Runs, the newest first.
    async fn recent_runs(&self, limit: u32) -> Result<Vec<RunCard>, ReadError>;
    /// One pull request.
    async fn pull(&self, repo: &RepoName, number: PullNumber) -> Result<Option<PullPage>, ReadError>;
    /// One run.
    async fn run(&self, number: RunNumber) -> Result<Option<RunPage>, ReadError>;
    /// Do rows answer at all?
    async fn ready(&self) -> Result<(), ReadError>;
    /// Masked output of a run from the byte `from` on, at most `limit` bytes; `None` without such a run.
    async fn log(&self, number: RunNumber, from: u64, limit: usize) -> Result<Option<LogWindow>, ReadError>;
}

/// Rows could not be read. The cause is for the log, never for the page.
#[derive(Debug, thiserror::Error)]
#[error("failed to read rows for a page")]
pub struct ReadError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

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
