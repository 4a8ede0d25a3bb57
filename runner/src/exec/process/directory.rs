//! A job's directory: what it says about the job, and how to reach a running one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use entry::log::{Decoded, Kind, decode};
use model::id::{FileName, JobName};
use model::job::{JobEnd, Outcome};
use model::ports::{ExecError, JobStatus};
use model::time::Timestamp;
use rustix::fs::{FlockOperation, flock};

use super::io_error;

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
}

impl JobDirectory {
    pub(super) fn new(root: &Path, job: &JobName) -> Self {
        Self { path: root.join(job.as_str()), name: job.to_string() }
    }

    /// The lock that holds other starts and removals of this job off.
    pub(super) fn start_lock_path(&self) -> PathBuf {
        self.path.with_file_name(format!(".start-{}", self.name))
    }

    pub(super) fn status(&self) -> Result<JobStatus, ExecError> {
        if let Some(end) = self.end()? {
            return Ok(JobStatus::Ended(end));
        }
        if self.entry_lives()? {
            return Ok(JobStatus::Running);
        }
        // The end may have been written between the two looks.
        if let Some(end) = self.end()? {
            return Ok(JobStatus::Ended(end));
        }
        if !self.path.join("started").exists() {
            return Ok(JobStatus::Absent);
        }
        if entry::recorded_step_lives(&self.path) {
            return Ok(JobStatus::Running);
        }
        Ok(JobStatus::Ended(self.vanished()?))
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

    /// The end of a job whose entry is gone without one; always the same for the same job.
    fn vanished(&self) -> Result<JobEnd, ExecError> {
        let path = self.path.join("log");
        let reading = |error| io_error(format!("reading {}", path.display()), error);
        let at = fs::metadata(&path).and_then(|found| found.modified()).map_err(reading)?;
        let micros = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let log = fs::read(&path).map_err(reading)?;
        let (mut steps, mut rest) = (Vec::new(), log.as_slice());
        while let Decoded::Frame(frame, length) = decode(rest) {
            if frame.kind == Kind::StepEnded {
                steps.extend(serde_json::from_slice(frame.payload).ok());
            }
            rest = &rest[length..];
        }
        let at = Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX));
        Ok(JobEnd { outcome: Outcome::Vanished, steps, at, log_dropped: 0 })
    }

    pub(super) fn collected(&self, name: &FileName) -> Result<PathBuf, ExecError> {
        let path = self.path.join("files").join(name.as_str());
        match self.status()? {
            JobStatus::Ended(_) if path.exists() => Ok(path),
            _ => Err(ExecError::Absent { what: format!("the file {name} of job {}", self.name) }),
        }
    }

    pub(super) fn interrupt(&self) -> Result<(), ExecError> {
        if self.status()? != JobStatus::Running || !self.request("interrupt")? {
            return Ok(());
        }
        if !self.entry_lives()? {
            entry::interrupt_recorded_step(&self.path);
        }
        Ok(())
    }

    /// Returns when the job is gone.
    pub(super) fn kill(&self) -> Result<(), ExecError> {
        if self.status()? != JobStatus::Running {
            return Ok(());
        }
        self.request("kill")?;
        wait_until(KILL_BOUND, || Ok(!self.entry_lives()?))?;
        entry::kill_recorded(&self.path);
        entry::kill_recorded_step(&self.path);
        if wait_until(KILL_BOUND, || Ok(self.status()? != JobStatus::Running))? {
            return Ok(());
        }
        Err(io_error(format!("killing job {}", self.name), io::Error::other("its processes do not end")))
    }

    /// Leaves a request for the entry; false when it was there already.
    fn request(&self, name: &str) -> Result<bool, ExecError> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path.join(name)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            // Removed in the meantime.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(io_error(format!("asking job {} to stop", self.name), error)),
        }
    }
}
