//! When and why the job is stopped: requests, signals, the timeout, the grace.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Made before the one interrupt is sent, so that whoever takes over does not send another: tools end at the second
/// without storing anything.
const SENT: &str = "interrupted";

/// Why the job is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Asked from outside.
    Interrupt,
    /// It took too long.
    Timeout,
    /// Killed from outside.
    Kill,
}

/// What has to be done to the running step now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Nothing.
    GoOn,
    /// One SIGINT to its process.
    Interrupt,
    /// SIGKILL to everything.
    Kill,
}

/// The state of stopping over all steps.
pub(crate) struct Control<'a> {
    dir: &'a Path,
    signalled: Arc<AtomicBool>,
    deadline: Option<Instant>,
    grace: Duration,
    cause: Option<Cause>,
    kill_at: Option<Instant>,
    interrupt_sent: bool,
    killed: bool,
}

impl<'a> Control<'a> {
    /// Starts the clock of the timeout and takes over the signals: later ones are swallowed by the same flag.
    pub(crate) fn new(dir: &'a Path, timeout: Duration, grace: Duration) -> io::Result<Self> {
        let signalled = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGINT, Arc::clone(&signalled))?;
        signal_hook::flag::register(SIGTERM, Arc::clone(&signalled))?;
        signal_hook::flag::register(SIGHUP, Arc::new(AtomicBool::new(false)))?;
        let deadline = crate::instant().checked_add(timeout);
        Ok(Self { dir, signalled, deadline, grace, cause: None, kill_at: None, interrupt_sent: false, killed: false })
    }

    pub(crate) fn cause(&self) -> Option<Cause> {
        self.cause
    }

    /// Did anything have to be killed?
    pub(crate) fn was_killed(&self) -> bool {
        self.killed
    }

    /// Sees requests, signals and the clock.
    pub(crate) fn look(&mut self) {
        let now = crate::instant();
        if self.cause != Some(Cause::Kill) && self.dir.join("kill").exists() {
            self.cause = Some(Cause::Kill);
            self.kill_at = Some(now);
        }
        if self.cause.is_some() {
            return;
        }
        let asked = || ["interrupt", SENT].iter().any(|name| self.dir.join(name).exists());
        if self.signalled.load(Ordering::Relaxed) || asked() {
            self.stop(Cause::Interrupt, now);
        } else if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.stop(Cause::Timeout, now);
        }
    }

    /// Stops the job as on a request from outside, when it is not being stopped already.
    pub(crate) fn interrupt(&mut self) {
        if self.cause.is_none() {
            self.stop(Cause::Interrupt, crate::instant());
        }
    }

    fn stop(&mut self, cause: Cause, now: Instant) {
        self.cause = Some(cause);
        self.kill_at = now.checked_add(self.grace);
    }

    /// What to do to the running step; each order is given once.
    pub(crate) fn order(&mut self) -> Order {
        self.look();
        if self.killed || self.cause.is_none() {
            return Order::GoOn;
        }
        if self.kill_at.is_some_and(|at| at <= crate::instant()) {
            self.killed = true;
            return Order::Kill;
        }
        if !self.interrupt_sent && self.cause != Some(Cause::Kill) {
            self.interrupt_sent = true;
            if self.is_first() {
                return Order::Interrupt;
            }
        }
        Order::GoOn
    }

    /// Was no interrupt sent before, by whoever attended the job then?
    fn is_first(&self) -> bool {
        let made = File::create_new(self.dir.join(SENT));
        !made.is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists)
    }
}
