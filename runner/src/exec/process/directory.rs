//! A job's directory: what it says about the job, and how to reach a running one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::id::{FileName, JobName};
use model::job::JobEnd;
use model::ports::{ExecError, JobStatus};
use rustix::fs::{FlockOperation, flock};

use super::{Inner, io_error, start};

/// How long a killed job may take to write its end before its entry is killed too.
const KILL_BOUND: Duration = Duration::from_secs(5);

/// Looks until it holds; false when the bound passed.
#[expect(clippy::disallowed_methods, reason = "a bounded wait for another process, on a blocking thread")]
pub(super) fn wait_until(
    bound: Duration,
    mut holds: impl FnMut() -> Result<bool, ExecError>,
) -> Result<bool, ExecError> {
    let until = Instant::now() + bound;
    while !holds()? {
        if Instant::now() > until {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(true)
}

/// `ROOT/NAME`.
#[derive(Debug, Clone)]
pub(super) struct JobDirectory {
    pub(super) path: PathBuf,
    pub(super) name: String,
    inner: Arc<Inner>,
}

impl JobDirectory {
    pub(super) fn new(inner: &Arc<Inner>, job: &JobName) -> Self {
        Self { path: inner.root.join(job.as_str()), name: job.to_string(), inner: inner.clone() }
    }

    /// The lock that holds other starts and removals of this job off.
    pub(super) fn start_lock_path(&self) -> PathBuf {
        self.path.with_file_name(format!(".start-{}", self.name))
    }

    /// What is known of the job. One whose entry was killed gets another, which sees to its end.
    pub(super) fn status(&self) -> Result<JobStatus, ExecError> {
        if let Some(end) = self.end()? {
            return Ok(JobStatus::Ended(end));
        }
        if self.entry_lives()? {
            return Ok(JobStatus::Running);
        }
        if !self.path.join(entry::STARTED_FILE).exists() {
            return Ok(self.end()?.map_or(JobStatus::Absent, JobStatus::Ended));
        }
        let Some(lock) = self.free_lock()? else { return Ok(JobStatus::Running) };
        // Who held it may have written the end since we looked.
        if let Some(end) = self.end()? {
            return Ok(JobStatus::Ended(end));
        }
        start::attend(&self.inner, self, lock)?;
        Ok(JobStatus::Running)
    }

    fn end(&self) -> Result<Option<JobEnd>, ExecError> {
        let path = self.path.join("end.json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| io_error(format!("reading {}", path.display()), error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error(format!("reading {}", path.display()), error)),
        }
    }

    /// Does an entry hold the lock?
    pub(super) fn entry_lives(&self) -> Result<bool, ExecError> {
        let file = match File::open(self.path.join("lock")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(io_error(format!("opening the lock of job {}", self.name), error)),
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(io_error(format!("looking at the lock of job {}", self.name), error.into())),
        }
    }

    /// The lock, when no entry holds it.
    fn free_lock(&self) -> Result<Option<File>, ExecError> {
        let doing = |error| io_error(format!("locking job {}", self.name), error);
        let file = OpenOptions::new().write(true).open(self.path.join("lock")).map_err(doing)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(doing(error.into())),
        }
    }

    pub(super) fn collected(&self, name: &FileName) -> Result<PathBuf, ExecError> {
        let path = self.path.join("files").join(name.as_str());
        match self.status()? {
            JobStatus::Ended(_) if path.exists() => Ok(path),
            _ => Err(ExecError::Absent { what: format!("the file {name} of job {}", self.name) }),
        }
    }

    pub(super) fn interrupt(&self) -> Result<(), ExecError> {
        if self.status()? == JobStatus::Running {
            self.request("interrupt")?;
        }
        Ok(())
    }

    /// Returns when the job is gone.
    pub(super) fn kill(&self) -> Result<(), ExecError> {
        if self.status()? != JobStatus::Running {
            return Ok(());
        }
        self.request("kill")?;
        if !wait_until(KILL_BOUND, || Ok(self.status()? != JobStatus::Running))? {
            // An entry that does not obey is followed by one that does.
            entry::kill_recorded(&self.path);
        }
        if wait_until(KILL_BOUND, || Ok(self.status()? != JobStatus::Running))? {
            return Ok(());
        }
        Err(io_error(format!("killing job {}", self.name), io::Error::other("its processes do not end")))
    }

    /// Leaves a request for the entry.
    fn request(&self, name: &str) -> Result<(), ExecError> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path.join(name)) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            // Removed in the meantime.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io_error(format!("asking job {} to stop", self.name), error)),
        }
    }
}
