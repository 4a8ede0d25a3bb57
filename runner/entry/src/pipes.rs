//! The pipes between a step and whoever writes its log.
//!
//! Invariant: nobody's death takes the other end of a pipe from a step. A tool that writes where nobody reads is
//! ended by the system at once, with all that it has not stored.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::process::Stdio;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

use crate::log::{Kind, LogWriter};

/// How long an ended step's output may still come: somebody else holds its pipe.
const DRAIN: Duration = Duration::from_secs(2);

struct Pipe {
    kind: Kind,
    file: File,
}

/// What is read of one step.
#[derive(Default)]
pub(crate) struct Pipes(Vec<Pipe>);

impl Pipes {
    /// A new pipe of this kind; gives the step's end.
    pub(crate) fn add(&mut self, kind: Kind) -> io::Result<Stdio> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&read, true)?;
        self.0.push(Pipe { kind, file: read.into() });
        Ok(Stdio::from(kept_open(write)))
    }

    /// The pipes of a step that runs already.
    pub(crate) fn of_running(step: Pid) -> Self {
        let open = |(kind, number)| {
            let path = format!("/proc/{}/fd/{number}", step.as_raw_nonzero());
            // What is no pipe was never read by us.
            if !std::fs::metadata(&path).is_ok_and(|found| found.file_type().is_fifo()) {
                return None;
            }
            let no_wait = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
            let file = OpenOptions::new().read(true).custom_flags(no_wait).open(path).ok()?;
            Some(Pipe { kind, file })
        };
        Self([(Kind::Stdout, 1), (Kind::Stderr, 2)].into_iter().filter_map(open).collect())
    }

    /// Has each of them ended?
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Until there is something to read, or this time has passed.
    pub(crate) fn wait(&self, wait: Duration) {
        let mut fds: Vec<PollFd<'_>> =
            self.0.iter().map(|pipe| PollFd::from_borrowed_fd(pipe.file.as_fd(), PollFlags::IN)).collect();
        let timeout = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
        // An error is a signal or a full table: whoever waits looks again either way.
        let _ = poll(&mut fds, Some(&timeout));
    }

    /// Takes over what is there; drops pipes that ended.
    pub(crate) fn carry(&mut self, log: &mut LogWriter) -> io::Result<()> {
        let mut buffer = vec![0_u8; 64 * 1024];
        let mut failed = None;
        self.0.retain_mut(|pipe| match pipe.file.read(&mut buffer) {
            Ok(0) => false,
            Ok(n) => {
                if let Err(error) = log.output(pipe.kind, &buffer[..n]) {
                    failed = Some(error);
                }
                true
            }
            Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        });
        failed.map_or(Ok(()), Err)
    }

    /// What an ended step left in its pipes.
    pub(crate) fn drain(&mut self, log: &mut LogWriter) -> io::Result<()> {
        let until = crate::instant() + DRAIN;
        while !self.is_empty() && crate::instant() < until {
            self.wait(Duration::from_millis(20));
            self.carry(log)?;
        }
        Ok(())
    }
}

/// The writing end, which can read too: so its pipe has a reader for as long as the step lives.
fn kept_open(write: OwnedFd) -> OwnedFd {
    let both = OpenOptions::new().read(true).write(true).open(format!("/proc/self/fd/{}", write.as_raw_fd()));
    // Where the system cannot do that, the step ends with its reader.
    both.map_or(write, OwnedFd::from)
}
