//! The shapes of `spec.json`, of the message on standard input and of `end.json`.
//!
//! The JSON of `End` is that of `model::job::JobEnd`; a test in `runner` holds the two together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What to run. Nothing secret is in here.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Spec {
    /// Where the steps' files are, absolute; empty: in `WORK` of the job's directory.
    #[serde(default)]
    pub work: String,
    /// Steps in order.
    pub steps: Vec<Step>,
    /// Environment of all steps.
    pub env: BTreeMap<String, String>,
    /// Names that are taken over from our own environment when it has them; `env` wins.
    pub inherit: Vec<String>,
    /// Files to keep: name to path below the job's root.
    pub collect: BTreeMap<String, String>,
    /// Then one interrupt.
    pub timeout_millis: u64,
    /// Between interrupt and kill.
    pub grace_millis: u64,
    /// Bytes of output that are kept.
    pub log_limit: u64,
}

impl Spec {
    /// The directory at the top of the steps' files.
    pub fn root(&self, dir: &Path) -> PathBuf {
        if self.work.is_empty() { dir.join(crate::WORK) } else { PathBuf::from(&self.work) }
    }
}

/// One command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    /// For logs and ends.
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Working directory below the job's root.
    pub dir: String,
    /// Standard output goes into this file below the job's root; `None` is the log.
    pub stdout: Option<String>,
    /// Exit codes that let the job go on.
    pub ok: Vec<i32>,
}

/// The message on standard input: the start signal, and the only way in which secrets come.
#[derive(Default, Serialize, Deserialize)]
pub struct Secrets {
    /// Environment of all steps; wins over `Spec::env`.
    pub secret_env: BTreeMap<String, String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

/// `end.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Why it ended.
    pub outcome: Outcome,
    /// The steps that ended.
    pub steps: Vec<StepEnd>,
    /// Microseconds since 1970.
    pub at: i64,
    /// Bytes of output that were not kept.
    pub log_dropped: u64,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEnd {
    /// Its name.
    pub name: String,
    /// Its exit code.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Wall clock time.
    pub millis: u64,
}

/// Why a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Outcome {
    /// Every step ended with an accepted code.
    Completed,
    /// This one did not.
    StepFailed {
        /// Its name.
        step: String,
    },
    /// Its program could not be started.
    CannotStart {
        /// Its name.
        step: String,
        /// The system's reason.
        reason: String,
    },
    /// The timeout passed.
    TimedOut {
        /// The step that ran.
        step: String,
    },
    /// Interrupted, and ended within the grace.
    Interrupted {
        /// The step that ran.
        step: String,
    },
    /// Killed.
    Killed {
        /// The step that ran.
        step: String,
    },
    /// The entry was killed: nobody saw how its step ended.
    Vanished,
}
