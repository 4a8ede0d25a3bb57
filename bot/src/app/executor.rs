//! The executor of a server to which nobody gave one.
//!
//! Invariant: it starts nothing and knows no job; each refusal says what an operator can do.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use model::id::{FileName, JobName};
use model::job::{Cursor, JobEvent, JobSpec};
use model::ports::{BoxStream, ExecError, Executor, JobStatus, Started};

const REASON: &str = "this server runs nothing: no executor is set. Whoever runs it can set executor = \"process\" and \
     allow_process_executor = true, which runs the code of pull requests as the server's own user, without walls";

/// Refuses every job.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoExecutor;

fn absent(job: &JobName) -> ExecError {
    ExecError::Absent { what: format!("the job {job}") }
}

#[async_trait]
impl Executor for NoExecutor {
    async fn start(&self, _job: &JobName, _spec: JobSpec) -> Result<Started, ExecError> {
        Err(ExecError::Refused { reason: REASON.to_owned() })
    }
    async fn status(&self, _job: &JobName) -> Result<JobStatus, ExecError> {
        Ok(JobStatus::Absent)
    }
    fn events(&self, job: &JobName, _from: Cursor) -> BoxStream<'static, Result<JobEvent, ExecError>> {
        let error = absent(job);
        Box::pin(futures_util::stream::once(async move { Err(error) }))
    }
    async fn file(&self, job: &JobName, _name: &FileName) -> Result<BoxStream<'static, io::Result<Bytes>>, ExecError> {
        Err(absent(job))
    }
    async fn interrupt(&self, _job: &JobName) -> Result<(), ExecError> {
        Ok(())
    }
    async fn kill(&self, _job: &JobName) -> Result<(), ExecError> {
        Ok(())
    }
    async fn remove(&self, _job: &JobName) -> Result<(), ExecError> {
        Ok(())
    }
    async fn ready(&self) -> Result<(), ExecError> {
        Err(ExecError::Unavailable { reason: REASON.to_owned() })
    }
    fn kind(&self) -> &'static str {
        "none"
    }
}
