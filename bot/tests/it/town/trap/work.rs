//! The trap around git, jobs and stored values.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use model::id::{CommitSha, FileName, JobName, RelPath, RepoId, TreeId};
use model::job::{Cursor, JobEvent, JobEventKind, JobSpec};
use model::ports::{
    BlobError, BlobKey, Blobs, BoxStream, ExecError, Executor, FetchError, GitCredential, JobStatus, Source,
    SourceError, Started, SurveyRequest,
};
use model::survey::Survey;

use super::{Around, Side, Trap};

impl Trap {
    pub(crate) fn around_source(self: &Arc<Self>, port: Arc<dyn Source>) -> Arc<dyn Source> {
        Arc::new(Around { port, trap: self.clone() })
    }

    pub(crate) fn around_executor(self: &Arc<Self>, port: Arc<dyn Executor>) -> Arc<dyn Executor> {
        Arc::new(Around { port, trap: self.clone() })
    }

    pub(crate) fn around_blobs(self: &Arc<Self>, port: Arc<dyn Blobs>) -> Arc<dyn Blobs> {
        Arc::new(Around { port, trap: self.clone() })
    }
}

/// How far the server has come in a job's events; forgotten when it stops reading.
struct Reader {
    trap: Arc<Trap>,
    number: u64,
}

impl Reader {
    fn new(trap: &Arc<Trap>, port: &Arc<dyn Executor>, job: &JobName, from: Cursor) -> Self {
        let number = trap.calls.load(Ordering::SeqCst);
        let mut all = trap.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let number = all.keys().last().map_or(number, |last| number.max(last + 1));
        all.insert(number, (port.clone(), job.clone(), from));
        Self { trap: trap.clone(), number }
    }

    fn has(&self, event: &JobEvent) {
        let mut all = self.trap.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(event.kind, JobEventKind::Ended(_)) {
            all.remove(&self.number);
        } else if let Some((.., at)) = all.get_mut(&self.number) {
            *at = event.next;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.trap.readers.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

impl Trap {
    /// Has the server every event that its executor has for it now? A task that was only just woken counts as not.
    pub(crate) fn is_read(&self) -> bool {
        let all = self.readers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.values().all(|(port, job, at)| port.events(job, *at).next().now_or_never().is_none())
    }
}

#[async_trait]
impl Source for Around<dyn Source> {
    async fn fetch(&self, repo: RepoId, from: &GitCredential, commits: &[CommitSha]) -> Result<(), FetchError> {
        self.trap.call("fetch", self.port.fetch(repo, from, commits)).await
    }
    async fn missing(&self, repo: RepoId, commits: &[CommitSha]) -> Result<Vec<CommitSha>, SourceError> {
        self.trap.call("missing", self.port.missing(repo, commits)).await
    }
    async fn parents(&self, repo: RepoId, commit: &CommitSha) -> Result<Vec<CommitSha>, SourceError> {
        self.trap.call("parents", self.port.parents(repo, commit)).await
    }
    async fn survey(&self, request: SurveyRequest) -> Result<Survey, SourceError> {
        self.trap.call("survey", self.port.survey(request)).await
    }
    async fn tar(&self, repo: RepoId, tree: &TreeId, paths: &[RelPath]) -> Result<Bytes, SourceError> {
        self.trap.call("tar", self.port.tar(repo, tree, paths)).await
    }
}

#[async_trait]
impl Executor for Around<dyn Executor> {
    async fn start(&self, job: &JobName, spec: JobSpec) -> Result<Started, ExecError> {
        self.trap.call("start", self.port.start(job, spec)).await
    }
    async fn status(&self, job: &JobName) -> Result<JobStatus, ExecError> {
        self.trap.call("status", self.port.status(job)).await
    }
    /// Each event is a call: the server may die with it in hand.
    fn events(&self, job: &JobName, from: Cursor) -> BoxStream<'static, Result<JobEvent, ExecError>> {
        let reader = Reader::new(&self.trap, &self.port, job, from);
        let each = move |event: Result<JobEvent, ExecError>| {
            let trap = reader.trap.clone();
            if let Ok(event) = &event {
                reader.has(event);
            }
            async move {
                match trap.enter("event") {
                    None => event,
                    Some(Side::Before | Side::After) => trap.spring().await,
                }
            }
        };
        self.port.events(job, from).then(each).boxed()
    }
    async fn file(&self, job: &JobName, name: &FileName) -> Result<BoxStream<'static, io::Result<Bytes>>, ExecError> {
        self.trap.call("file", self.port.file(job, name)).await
    }
    async fn interrupt(&self, job: &JobName) -> Result<(), ExecError> {
        self.trap.call("interrupt", self.port.interrupt(job)).await
    }
    async fn kill(&self, job: &JobName) -> Result<(), ExecError> {
        self.trap.call("kill", self.port.kill(job)).await
    }
    async fn remove(&self, job: &JobName) -> Result<(), ExecError> {
        self.trap.call("remove", self.port.remove(job)).await
    }
    async fn ready(&self) -> Result<(), ExecError> {
        self.port.ready().await
    }
    fn kind(&self) -> &'static str {
        self.port.kind()
    }
}

#[async_trait]
impl Blobs for Around<dyn Blobs> {
    async fn put(&self, key: &BlobKey, bytes: Bytes) -> Result<(), BlobError> {
        self.trap.call("put", self.port.put(key, bytes)).await
    }
    async fn get(&self, key: &BlobKey) -> Result<Option<Bytes>, BlobError> {
        self.trap.call("get", self.port.get(key)).await
    }
    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.trap.call("delete", self.port.delete(key)).await
    }
}
