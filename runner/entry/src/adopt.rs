//! A job whose entry was killed: its running step is attended to its end, and what it left is kept.
//!
//! Must never start a step: nobody knows how the one before it ended. For the same reason the end is always
//! `Vanished`.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::process::{Signal, kill_process, kill_process_group};

use crate::control::{Control, Order};
use crate::log::LogWriter;
use crate::pipes::Pipes;
use crate::spec::{End, Outcome, Spec};
use crate::step::LOOK;
use crate::{STARTED_FILE, collect, processes, write_end};

/// Between a try that failed and the next entry's.
const PAUSE: Duration = Duration::from_secs(1);

/// Attends the job of that directory to its end.
#[expect(clippy::disallowed_methods, reason = "the next entry comes as soon as this one has ended")]
pub(crate) fn run(dir: &Path) -> io::Result<()> {
    let done = to_its_end(dir);
    if done.is_err() {
        // The disk may be full: what the step left is kept, and its end told, once it is not.
        std::thread::sleep(PAUSE);
    }
    done
}

fn to_its_end(dir: &Path) -> io::Result<()> {
    // Without what a damaged directory lacks there is less to keep, and an end all the same.
    let spec = fs::read(dir.join("spec.json")).ok().and_then(|json| serde_json::from_slice(&json).ok());
    let spec: Spec = spec.unwrap_or_default();
    let log = dir.join("log");
    let (mut log, steps) = LogWriter::reopen(&log, spec.log_limit)
        .or_else(|_| LogWriter::create(&log, spec.log_limit).map(|log| (log, Vec::new())))?;
    processes::record(dir, "entry.json", rustix::process::getpid());
    let mut control = Control::new(dir, left(dir, &spec), Duration::from_millis(spec.grace_millis))?;
    attend(dir, &mut control, &mut log);
    collect::collect(dir, &spec.root(dir), &spec.collect)?;
    write_end(dir, &End { outcome: Outcome::Vanished, steps, at: crate::now_micros(), log_dropped: log.dropped() })
}

/// What is left of the job's time.
#[expect(clippy::disallowed_methods, reason = "the entry is a program of its own: no port reaches it")]
fn left(dir: &Path, spec: &Spec) -> Duration {
    let started = fs::metadata(dir.join(STARTED_FILE)).and_then(|found| found.modified());
    let past = started.ok().and_then(|started| SystemTime::now().duration_since(started).ok());
    Duration::from_millis(spec.timeout_millis).saturating_sub(past.unwrap_or_default())
}

/// Until the step is gone.
fn attend(dir: &Path, control: &mut Control<'_>, log: &mut LogWriter) {
    let Some(step) = processes::recorded_step(dir) else { return };
    let mut pipes = Pipes::of_running(step);
    // Its number is its own as long as it is seen to live, which is looked at before each signal.
    while processes::recorded_step(dir).is_some() {
        match control.order() {
            Order::GoOn => {}
            Order::Interrupt => drop(kill_process(step, Signal::INT)),
            Order::Kill => processes::kill_recorded_step(dir),
        }
        pipes.wait(LOOK);
        if pipes.carry(log).is_err() {
            control.interrupt();
        }
    }
    // What it left in its group; it was there a moment ago.
    let _ = kill_process_group(step, Signal::KILL);
    // What cannot be kept now stays unknown.
    let _ = pipes.drain(log);
}
