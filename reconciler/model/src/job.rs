//! Someone's code as data: what an executor starts, and how it ended.
//!
//! Invariant: a job is argv and environment, never a shell string made from people's input.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::id::{FileName, JobName, RelPath};
use crate::time::Timestamp;

/// What to run. Holds secrets: not serialisable, rebuilt at each start, values never in `Debug`.
pub struct JobSpec {
    /// The files that the steps see, as one tar stream from `Source::tar`, unpacked below the job's root.
    pub source: SourceTree,
    /// The steps see their files at the absolute path at which the job of this name saw its own; `None`: at a path
    /// of their own. That job must have been removed.
    pub place: Option<JobName>,
    /// Steps in order; the first that ends with a code outside of its `ok` ends the job.
    pub steps: Vec<Step>,
    /// Plain environment of all steps. Nothing else is inherited but what the executor lists.
    pub env: BTreeMap<String, String>,
    /// Secret environment of all steps.
    pub secret_env: BTreeMap<String, SecretString>,
    /// Files written before the first step, relative to the job's root.
    pub files: BTreeMap<RelPath, Vec<u8>>,
    /// Files to keep for `Executor::file`: name to path below the job's root. A missing one is not an error.
    pub collect: BTreeMap<FileName, RelPath>,
    /// After this the job is interrupted once, then killed when `grace` has passed.
    pub timeout: Duration,
    /// Time between the interrupt and the kill.
    pub grace: Duration,
    /// Largest output in bytes that is kept as log; the rest is counted.
    pub log_limit: u64,
}

impl fmt::Debug for JobSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobSpec")
            .field("steps", &self.steps)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("secret_env", &self.secret_env.keys().collect::<Vec<_>>())
            .field("files", &self.files.keys().collect::<Vec<_>>())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The source of a job.
#[derive(Debug, Clone)]
pub enum SourceTree {
    /// No files.
    Empty,
    /// A tar archive.
    Tar(bytes::Bytes),
}

/// One command of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// For logs and ends: "init", "plan", "show", a stage's name.
    pub name: String,
    /// Program and arguments. No shell.
    pub argv: Vec<String>,
    /// Working directory below the job's root.
    pub dir: RelPath,
    /// Where standard output goes; standard error is always log.
    pub stdout: Stdout,
    /// Exit codes that let the job go on.
    pub ok: Vec<i32>,
}

/// Where a step's standard output goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stdout {
    /// Into the log.
    Log,
    /// Into a file below the job's root, not into the log.
    File(RelPath),
}

/// How far a reader has come in a job's events: an offset that the executor understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub u64);

/// Something that happened in a job, with the cursor behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEvent {
    /// Read from here to get the next one.
    pub next: Cursor,
    /// When, by the job's machine.
    pub at: Timestamp,
    /// What.
    pub kind: JobEventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEventKind {
    /// A step began.
    StepStarted(String),
    /// Output, not yet masked, in the order written; may end within a line or a UTF-8 sequence.
    Output {
        /// Standard error?
        stderr: bool,
        /// The bytes.
        bytes: bytes::Bytes,
    },
    /// A step ended.
    StepEnded(StepEnd),
    /// The job ended; nothing follows.
    Ended(JobEnd),
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEnd {
    /// The step's name.
    pub name: String,
    /// Its exit code; `None` when a signal ended it or it could not start.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Wall clock time in milliseconds.
    pub millis: u64,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEnd {
    /// Why.
    pub outcome: Outcome,
    /// The steps that ended, in order.
    pub steps: Vec<StepEnd>,
    /// When, by the job's machine.
    pub at: Timestamp,
    /// Bytes of output beyond `log_limit`, not kept.
    pub log_dropped: u64,
}

impl JobEnd {
    /// The end of the step of that name.
    pub fn step(&self, name: &str) -> Option<&StepEnd> {
        self.steps.iter().find(|step| step.name == name)
    }
}

/// Why a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Outcome {
    /// Every step ended with an accepted code.
    Completed,
    /// This step ended with a code that is not accepted, or by a signal of its own.
    StepFailed {
        /// The step.
        step: String,
    },
    /// A step's program could not be started.
    CannotStart {
        /// The step.
        step: String,
        /// The system's reason.
        reason: String,
    },
    /// The timeout passed.
    TimedOut {
        /// The step that ran.
        step: String,
    },
    /// It was interrupted from outside and ended within the grace.
    Interrupted {
        /// The step that ran.
        step: String,
    },
    /// It was killed.
    Killed {
        /// The step that ran.
        step: String,
    },
    /// The executor lost it: no process, no end. Nothing is known about its effects.
    Vanished,
}
