//! From rows to what the pages read.

use async_trait::async_trait;
use bytes::Bytes;
use model::id::{PullNumber, RepoName, RunNumber};
use reconciler::logs::{LogError, Logs};
use reconciler::store::StoreError;
use reconciler::views::Views;

use crate::web::{LogWindow, PullCard, PullPage, ReadError, Reads, RunCard, RunPage};

/// Reads for pages over the database.
#[derive(Debug, Clone)]
pub struct StoreReads {
    /// Rows.
    pub views: Views,
    /// Output of runs.
    pub logs: Logs,
    /// Where people find GitHub (`https://github.com`), for links to pull requests.
    pub github_url: Option<String>,
}

fn unread(error: StoreError) -> ReadError {
    ReadError(Box::new(error))
}

#[async_trait]
impl Reads for StoreReads {
    async fn recent_pulls(&self, limit: u32) -> Result<Vec<PullCard>, ReadError> {
        self.views.recent_pulls(limit).await.map_err(unread)
    }
    async fn recent_runs(&self, limit: u32) -> Result<Vec<RunCard>, ReadError> {
        self.views.recent_runs(limit).await.map_err(unread)
    }
    async fn pull(&self, repo: &RepoName, number: PullNumber) -> Result<Option<PullPage>, ReadError> {
        let Some(pull) = self.views.pull(repo, number).await.map_err(unread)? else { return Ok(None) };
        let link = |url: &String| format!("{url}/{}/pull/{number}", pull.view.repo);
        Ok(Some(PullPage {
            github_url: self.github_url.as_ref().map(link),
            title: pull.title,
            author: pull.author,
            view: pull.view,
            runs: pull.runs,
        }))
    }
    async fn run(&self, number: RunNumber) -> Result<Option<RunPage>, ReadError> {
        self.views.run(number).await.map_err(unread)
    }
    async fn ready(&self) -> Result<(), ReadError> {
        self.views.ready().await.map_err(unread)
    }
    async fn log(&self, number: RunNumber, from: u64, limit: usize) -> Result<Option<LogWindow>, ReadError> {
        let Some(run) = self.views.run_id(number).await.map_err(unread)? else { return Ok(None) };
        match self.logs.read(run, from, limit).await {
            Ok(window) => {
                Ok(Some(LogWindow { bytes: Bytes::from(window.bytes), next: window.next, ended: window.ended }))
            }
            Err(LogError::NoRun { .. }) => Ok(None),
            Err(error) => Err(ReadError(Box::new(error))),
        }
    }
}
