//! Where jobs run.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;

use super::BoxStream;
use crate::id::{FileName, JobName};
use crate::job::{Cursor, JobEnd, JobEvent, JobSpec};

/// Runs jobs that outlive the server and are found again by name.
///
/// Every method may be called from several tasks and after a restart of the server.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Creates and starts the job, or finds the one of that name: never a second one. Returns when the job is
    /// durably started, not when it ends. A job that was removed may be started anew.
    async fn start(&self, job: &JobName, spec: JobSpec) -> Result<Started, ExecError>;
    /// What is known of the job now.
    async fn status(&self, job: &JobName) -> Result<JobStatus, ExecError>;
    /// Events from the cursor on, live until the end; the last item is `Ended`. Dropping the stream only stops
    /// reading. The same cursor gives the same events again, without gap or repetition; the cursor behind
    /// `Ended` is that of `Ended` itself, so that every stream of an ended job ends with it.
    fn events(&self, job: &JobName, from: Cursor) -> BoxStream<'static, Result<JobEvent, ExecError>>;
    /// A collected file, once the job has ended. `Absent` when the job left none of that name.
    async fn file(&self, job: &JobName, name: &FileName) -> Result<BoxStream<'static, io::Result<Bytes>>, ExecError>;
    /// Sends one SIGINT to the running step's process; the grace of the spec begins. Repeating it does
    /// nothing. An ended or absent job is Ok.
    async fn interrupt(&self, job: &JobName) -> Result<(), ExecError>;
    /// Kills the whole process group now. An ended or absent job is Ok.
    async fn kill(&self, job: &JobName) -> Result<(), ExecError>;
    /// Removes an ended job and its files; kills it first when it runs. Absent is Ok.
    async fn remove(&self, job: &JobName) -> Result<(), ExecError>;
    /// Can jobs be started here? The error says what to do.
    async fn ready(&self) -> Result<(), ExecError>;
    /// A short name for people: "process", "docker".
    fn kind(&self) -> &'static str;
}

/// Answer of `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// This call started it.
    New,
    /// It was there, running or ended.
    AlreadyThere,
}

/// Answer of `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobStatus {
    /// Never started, or removed.
    Absent,
    /// Started and not ended.
    Running,
    /// Ended.
    Ended(JobEnd),
}

/// Why the executor could not do it.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// Not there: the job or the file.
    #[error("{what} is not there")]
    Absent {
        /// Which.
        what: String,
    },
    /// The job as such cannot be started here; asking again will not help.
    #[error("{reason}")]
    Refused {
        /// What is wrong with it.
        reason: String,
    },
    /// The executor itself cannot work; a person must mend it.
    #[error("{reason}")]
    Unavailable {
        /// What and what to do.
        reason: String,
    },
    /// Passing: worth another try.
    #[error("{doing} failed")]
    Io {
        /// What was tried.
        doing: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}
