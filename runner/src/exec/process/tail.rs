//! Reading a job's log and files as streams.

use std::io::{self, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use entry::log::{Decoded, Frame, Kind, decode};
use futures_util::StreamExt;
use futures_util::stream::try_unfold;
use model::job::{Cursor, JobEnd, JobEvent, JobEventKind};
use model::ports::{BoxStream, ExecError, JobStatus};
use model::time::Timestamp;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::directory::JobDirectory;
use super::{blocking, io_error};

/// How often a live log is looked at when nothing comes.
const LOOK: Duration = Duration::from_millis(30);

#[expect(clippy::disallowed_methods, reason = "a file does not tell when it grows")]
async fn pause() {
    tokio::time::sleep(LOOK).await;
}

struct Tail {
    job: JobDirectory,
    file: Option<File>,
    buffer: BytesMut,
    at: u64,
    end: Option<JobEnd>,
    over: bool,
}

pub(super) fn events(job: JobDirectory, from: Cursor) -> BoxStream<'static, Result<JobEvent, ExecError>> {
    let tail = Tail { job, file: None, buffer: BytesMut::new(), at: from.0, end: None, over: false };
    try_unfold(tail, |mut tail| async move { Ok(tail.next().await?.map(|event| (event, tail))) }).boxed()
}

impl Tail {
    async fn next(&mut self) -> Result<Option<JobEvent>, ExecError> {
        if self.over {
            return Ok(None);
        }
        loop {
            if let Some(event) = self.decoded()? {
                return Ok(Some(event));
            }
            if self.read().await? > 0 {
                continue;
            }
            // Nothing more now. An end that was seen before this last look is really the end.
            if let Some(end) = self.end.take() {
                self.over = true;
                return Ok(Some(JobEvent { next: Cursor(self.at), at: end.at, kind: JobEventKind::Ended(end) }));
            }
            let job = self.job.clone();
            match blocking(move || job.status()).await? {
                JobStatus::Ended(end) => self.end = Some(end),
                JobStatus::Running => pause().await,
                JobStatus::Absent => {
                    return Err(ExecError::Absent { what: format!("the job {}", self.job.name) });
                }
            }
        }
    }

    async fn read(&mut self) -> Result<usize, ExecError> {
        if self.file.is_none() {
            match File::open(self.job.path.join("log")).await {
                Ok(mut file) => {
                    file.seek(SeekFrom::Start(self.at)).await.map_err(|error| self.reading(error))?;
                    self.file = Some(file);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
                Err(error) => return Err(self.reading(error)),
            }
        }
        let Some(file) = &mut self.file else { return Ok(0) };
        self.buffer.reserve(64 * 1024);
        let read = file.read_buf(&mut self.buffer).await;
        read.map_err(|error| self.reading(error))
    }

    fn decoded(&mut self) -> Result<Option<JobEvent>, ExecError> {
        let (kind, at, length) = match decode(&self.buffer) {
            Decoded::More(_) => return Ok(None),
            Decoded::Damaged => return Err(self.damaged()),
            Decoded::Frame(frame, length) => (kind(&frame), frame.at, length),
        };
        let kind = kind.ok_or_else(|| self.damaged())?;
        self.buffer.advance(length);
        self.at += length as u64;
        Ok(Some(JobEvent { next: Cursor(self.at), at: Timestamp::from_micros(at), kind }))
    }

    fn damaged(&self) -> ExecError {
        self.reading(io::Error::new(io::ErrorKind::InvalidData, format!("no frame at {}", self.at)))
    }

    fn reading(&self, error: io::Error) -> ExecError {
        io_error(format!("reading the log of job {}", self.job.name), error)
    }
}

fn kind(frame: &Frame<'_>) -> Option<JobEventKind> {
    let output = |stderr| JobEventKind::Output { stderr, bytes: Bytes::copy_from_slice(frame.payload) };
    Some(match frame.kind {
        Kind::StepStarted => JobEventKind::StepStarted(String::from_utf8_lossy(frame.payload).into_owned()),
        Kind::Stdout => output(false),
        Kind::Stderr => output(true),
        Kind::StepEnded => JobEventKind::StepEnded(serde_json::from_slice(frame.payload).ok()?),
    })
}

pub(super) async fn file(path: PathBuf, what: String) -> Result<BoxStream<'static, io::Result<Bytes>>, ExecError> {
    let file = File::open(&path).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ExecError::Absent { what },
        _ => io_error(format!("opening {what}"), error),
    })?;
    Ok(try_unfold(file, |mut file| async move {
        let mut buffer = BytesMut::with_capacity(64 * 1024);
        let read = file.read_buf(&mut buffer).await?;
        Ok((read > 0).then(|| (buffer.freeze(), file)))
    })
    .boxed())
}
