//! The small program between an executor and someone's command.
//!
//! It leads its own session, runs the steps of `DIR/spec.json` with stdin closed, writes framed output to
//! `DIR/log`, obeys `DIR/interrupt` and `DIR/kill`, and renames `DIR/end.json` into place when all is over. It
//! must never use a network, nor write a secret anywhere: secrets arrive on its standard input.
//!
//! Files of a job's directory: `spec.json`, `lock` (flocked by us as long as we live: the executor opens it and
//! hands it over as our standard output), `started` (made once, before any effect), `log`, `step.json` (the
//! running step's process, for the case that we are killed), `interrupt` and `kill` (requests), `interrupted` (made
//! before the one interrupt is sent), `work/` (the job's root), `home/`, `tmp/`, `files/` (collected) and `end.json`.
//!
//! An entry that is killed leaves its step at work. The executor then starts another on the same directory, which
//! finds `started`, attends the step to its end and keeps what it left.

mod adopt;
mod collect;
mod control;
pub mod log;
mod pipes;
mod processes;
pub mod spec;
mod step;

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use control::{Cause, Control};
use log::LogWriter;
pub use processes::kill_recorded;
use spec::{End, Outcome, Secrets, Spec};
use step::Ran;

/// Written to standard error once the job is durably started.
pub const STARTED: &str = "started\n";
/// Made once, before any effect of the job.
pub const STARTED_FILE: &str = "started";
/// The job's root below its directory.
pub const WORK: &str = "work";

/// Runs the job of that directory to its end, or attends one to its end whose entry was killed. The number is the
/// exit code: 0 when an end was written.
pub fn run(dir: &Path) -> u8 {
    // Without a terminal nothing can ask a question, and no Ctrl-C of the server's terminal reaches the job.
    // It fails only when the caller made us a group leader already.
    let _ = rustix::process::setsid();
    let ended = if dir.join(STARTED_FILE).exists() {
        adopt::run(dir)
    } else {
        match prepare(dir) {
            Ok(job) => job.run(),
            Err(error) => {
                let _ = writeln!(io::stderr(), "cannot start: {error}");
                return 1;
            }
        }
    };
    u8::from(ended.is_err())
}

/// For timeouts and durations only.
#[expect(clippy::disallowed_methods, reason = "the entry is a program of its own: no port reaches it")]
pub(crate) fn instant() -> std::time::Instant {
    std::time::Instant::now()
}

/// Microseconds since 1970 by this machine.
#[expect(clippy::disallowed_methods, reason = "the entry is a program of its own: no port reaches it")]
pub(crate) fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

struct Job<'a> {
    dir: &'a Path,
    spec: Spec,
    secrets: Secrets,
    control: Control<'a>,
    log: LogWriter,
}

/// Reads everything, then makes `started`. An executor that dies before it has sent all of the secrets leaves
/// a message that does not parse: nothing is started then.
fn prepare(dir: &Path) -> io::Result<Job<'_>> {
    let mut message = Vec::new();
    io::stdin().lock().read_to_end(&mut message)?;
    let secrets: Secrets = serde_json::from_slice(&message)?;
    let spec: Spec = serde_json::from_slice(&fs::read(dir.join("spec.json"))?)?;
    let log = LogWriter::create(&dir.join("log"), spec.log_limit)?;
    processes::adopt_orphans();
    processes::record(dir, "entry.json", rustix::process::getpid());
    let control =
        Control::new(dir, Duration::from_millis(spec.timeout_millis), Duration::from_millis(spec.grace_millis))?;
    fs::File::create_new(dir.join(STARTED_FILE))?.sync_all()?;
    fs::File::open(dir)?.sync_all()?;
    let _ = io::stderr().write_all(STARTED.as_bytes());
    Ok(Job { dir, spec, secrets, control, log })
}

impl Job<'_> {
    fn run(mut self) -> io::Result<()> {
        let mut steps = Vec::new();
        let outcome = self.steps(&mut steps)?;
        collect::collect(self.dir, &self.spec.root(self.dir), &self.spec.collect)?;
        let end = End { outcome, steps, at: now_micros(), log_dropped: self.log.dropped() };
        write_end(self.dir, &end)
    }

    fn steps(&mut self, ends: &mut Vec<spec::StepEnd>) -> io::Result<Outcome> {
        for step in &self.spec.steps {
            self.control.look();
            if let Some(cause) = self.control.cause() {
                return Ok(stopped(cause, &step.name, self.control.was_killed()));
            }
            match step::run(self.dir, &self.spec, step, &self.secrets, &mut self.control, &mut self.log)? {
                Ran::CannotStart(reason) => return Ok(Outcome::CannotStart { step: step.name.clone(), reason }),
                Ran::Ended(end) => {
                    self.log.step_ended(&end)?;
                    let accepted = end.code.is_some_and(|code| step.ok.contains(&code));
                    ends.push(end);
                    if let Some(cause) = self.control.cause() {
                        return Ok(stopped(cause, &step.name, self.control.was_killed()));
                    }
                    if !accepted {
                        return Ok(Outcome::StepFailed { step: step.name.clone() });
                    }
                }
            }
        }
        Ok(Outcome::Completed)
    }
}

/// The outcome of a job that was stopped while (or before) that step ran.
fn stopped(cause: Cause, step: &str, killed: bool) -> Outcome {
    let step = step.to_owned();
    match cause {
        Cause::Timeout => Outcome::TimedOut { step },
        Cause::Interrupt if !killed => Outcome::Interrupted { step },
        Cause::Interrupt | Cause::Kill => Outcome::Killed { step },
    }
}

/// All of it or nothing, also when the machine stops.
fn write_end(dir: &Path, end: &End) -> io::Result<()> {
    let temporary = dir.join("end.json.new");
    let mut file = fs::File::create(&temporary)?;
    file.write_all(&serde_json::to_vec(end)?)?;
    file.sync_all()?;
    fs::rename(&temporary, dir.join("end.json"))?;
    fs::File::open(dir)?.sync_all()
}
