//! Jobs as detached processes of this machine.
//!
//! A job is a directory below the executor's root: found by its name, alive as long as its lock is held. It
//! survives the server. There is no isolation: the operator must trust all code that it runs.

mod directory;
mod start;
mod tail;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use model::id::{FileName, JobName};
use model::job::{Cursor, JobEvent, JobSpec};
use model::ports::{BoxStream, ExecError, Executor, JobStatus, Started};

use directory::JobDirectory;

/// What jobs inherit from the server's environment unless told otherwise: where programs are, language, time
/// zone, trusted certificates and proxies. No credential of the server is among them.
const INHERITED: [&str; 16] = [
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "NIX_SSL_CERT_FILE",
];

/// The process executor.
#[derive(Debug, Clone)]
pub struct Process {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    entry: Vec<OsString>,
    inherit: Vec<String>,
}

impl Process {
    /// Jobs live below `root`; `entry_argv` followed by a job's directory starts `entry::run`.
    pub fn new(root: impl Into<PathBuf>, entry_argv: Vec<OsString>) -> Self {
        let inherit = INHERITED.iter().map(|name| (*name).to_owned()).collect();
        // The entry works in the job's directory, where a relative path would mean something else.
        let root = root.into();
        let root = std::path::absolute(&root).unwrap_or(root);
        Self { inner: Arc::new(Inner { root, entry: entry_argv, inherit }) }
    }

    /// Lets jobs inherit these variables of the server's environment too, such as `HOME` and the user's cloud
    /// credentials in `preview`.
    #[must_use]
    pub fn inheriting(self, names: impl IntoIterator<Item = String>) -> Self {
        let mut inherit = self.inner.inherit.clone();
        inherit.extend(names);
        Self { inner: Arc::new(Inner { root: self.inner.root.clone(), entry: self.inner.entry.clone(), inherit }) }
    }

    fn directory(&self, job: &JobName) -> JobDirectory {
        JobDirectory::new(&self.inner, job)
    }
}

/// Work on files, off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ExecError> + Send + 'static,
) -> Result<T, ExecError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(io_error("running the executor's own work", io::Error::other(error))),
    }
}

fn io_error(doing: impl Into<String>, source: io::Error) -> ExecError {
    ExecError::Io { doing: doing.into(), source }
}

#[async_trait]
impl Executor for Process {
    async fn start(&self, job: &JobName, spec: JobSpec) -> Result<Started, ExecError> {
        let (this, job) = (self.clone(), job.clone());
        blocking(move || start::start(&this.inner, &this.directory(&job), spec)).await
    }

    async fn status(&self, job: &JobName) -> Result<JobStatus, ExecError> {
        let directory = self.directory(job);
        blocking(move || directory.status()).await
    }

    fn events(&self, job: &JobName, from: Cursor) -> BoxStream<'static, Result<JobEvent, ExecError>> {
        tail::events(self.directory(job), from)
    }

    async fn file(&self, job: &JobName, name: &FileName) -> Result<BoxStream<'static, io::Result<Bytes>>, ExecError> {
        let (directory, wanted) = (self.directory(job), name.clone());
        let path = blocking(move || directory.collected(&wanted)).await?;
        tail::file(path, format!("the file {name} of job {job}")).await
    }

    async fn interrupt(&self, job: &JobName) -> Result<(), ExecError> {
        let directory = self.directory(job);
        blocking(move || directory.interrupt()).await
    }

    async fn kill(&self, job: &JobName) -> Result<(), ExecError> {
        let directory = self.directory(job);
        blocking(move || directory.kill()).await
    }

    async fn remove(&self, job: &JobName) -> Result<(), ExecError> {
        let directory = self.directory(job);
        blocking(move || start::remove(&directory)).await
    }

    async fn ready(&self) -> Result<(), ExecError> {
        let this = self.clone();
        blocking(move || start::ready(&this.inner)).await
    }

    fn kind(&self) -> &'static str {
        "process"
    }
}
