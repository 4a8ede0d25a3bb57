//! The values that `decide` reads: rows, typed.
//!
//! Invariant: nothing here reads a database or a clock.

mod group;
mod key;
mod landing;
mod lock;

pub(crate) use group::{GroupRow, GroupWorld};
pub(crate) use key::Key;
pub(crate) use landing::{Before, BranchRow, LandedStack, LandingRow, NewLanding, StackOutcome};
pub(crate) use lock::{Holder, LockKey, LockRow, Waiter};

use std::collections::{BTreeMap, BTreeSet};

use model::command::MergeWish;
use model::id::{
    CommentId, CommitSha, InstallationId, JobName, PullNumber, RelPath, RepoId, RepoName, RunId, RunNumber, StackName,
};
use model::job::JobEnd;
use model::plan::{PlanDocument, PlanFailure, PlanOptions, StateSeen};
use model::pull::{GateFacts, PullSnapshot, RepoSnapshot, Role};
use model::run::{RunKind, RunState, Wanted};
use model::stack::ResolvedTool;
use model::survey::Survey;
use model::survey::SurveyedStack;
use model::time::Timestamp;

use crate::gate::Shown;

/// A repository as we know it.
#[derive(Debug, Clone)]
pub(crate) struct RepoRow {
    pub(crate) installation: InstallationId,
    pub(crate) name: RepoName,
    pub(crate) snapshot: Option<RepoSnapshot>,
}

/// A pull request as we know it.
#[derive(Debug, Clone)]
pub(crate) struct PullRow {
    pub(crate) repo: RepoId,
    pub(crate) number: PullNumber,
    /// Grows with each hint; facts read when it stood at `seen` are old when it has grown.
    pub(crate) asked: i64,
    pub(crate) seen: i64,
    pub(crate) first_seen: Timestamp,
    pub(crate) snapshot: Option<PullSnapshot>,
    pub(crate) default_tip: Option<CommitSha>,
    /// Comments were read when `asked` stood here.
    pub(crate) heard: i64,
    /// When the newest comment that was read was written.
    pub(crate) cursor: Option<Timestamp>,
    pub(crate) survey: Option<Survey>,
    pub(crate) survey_key: Option<String>,
    pub(crate) trouble: Option<String>,
    pub(crate) gates: GatesRow,
    /// The head that a person let be planned although it comes from a fork, or binds secrets anew.
    pub(crate) allowed: Option<String>,
    pub(crate) merging: MergingRow,
    /// Since when it goes into its base, when we know that it went into another before.
    pub(crate) since: Option<Timestamp>,
    /// When its head was first seen here.
    pub(crate) head_since: Option<Timestamp>,
}

/// How merging the pull request by ourselves went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MergingRow {
    /// The head that was to be merged.
    pub(crate) head: Option<String>,
    /// How often GitHub refused that.
    pub(crate) tries: i64,
    /// When it is tried again.
    pub(crate) at: Option<Timestamp>,
    /// GitHub's last words.
    pub(crate) why: Option<String>,
}

/// The number under which runs of pushes without a pull request stand; GitHub counts from 1.
pub(crate) const NOBODY: PullNumber = PullNumber::new(0);

impl PullRow {
    /// Stands where there is no pull request.
    pub(crate) fn nobody(repo: RepoId, now: Timestamp) -> Self {
        Self {
            repo,
            number: NOBODY,
            asked: 0,
            seen: 0,
            first_seen: now,
            snapshot: None,
            default_tip: None,
            heard: 0,
            cursor: None,
            survey: None,
            survey_key: None,
            trouble: None,
            gates: GatesRow::default(),
            allowed: None,
            merging: MergingRow::default(),
            since: None,
            head_since: None,
        }
    }
}

/// What GitHub said about requirements.
#[derive(Debug, Clone, Default)]
pub(crate) struct GatesRow {
    pub(crate) facts: Option<GateFacts>,
    /// They were read when `asked` stood here.
    pub(crate) seen: i64,
    /// When they were read.
    pub(crate) at: Option<Timestamp>,
    /// How often in a row GitHub was still computing whether it merges.
    pub(crate) tries: i64,
}

/// A fingerprint that was shown of a stack's plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShownRow {
    pub(crate) stack: StackName,
    pub(crate) base_branch: String,
    pub(crate) shown: Shown,
}

/// What is known of a stack besides its plans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StackFacts {
    /// The state, when it is kept here.
    pub(crate) state: Option<StateSeen>,
    /// Why no apply may start.
    pub(crate) frozen: Option<String>,
    /// The lineage of its state when it was last applied; empty when that apply made the state.
    pub(crate) lineage: Option<String>,
    /// The newest version that its lost apply left beside, while nobody has looked.
    pub(crate) unstored: Option<i64>,
    /// Who holds the lock of the state that is kept here.
    pub(crate) lock: Option<StateLock>,
    /// What was applied of a pull request that is not merged.
    pub(crate) ahead: Option<Ahead>,
    /// The newest apply that was granted, of whatever pull request.
    pub(crate) last: Option<LastApply>,
}

/// The lock of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateLock {
    pub(crate) id: String,
    /// The run that took it has not ended.
    pub(crate) live: bool,
}

/// A stack whose last apply is not in the branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ahead {
    pub(crate) pull: PullNumber,
    /// What was changed.
    pub(crate) addresses: BTreeSet<String>,
}

/// The newest apply of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastApply {
    pub(crate) run: RunId,
    pub(crate) plan: Option<RunId>,
    pub(crate) pull: PullNumber,
    pub(crate) state: RunState,
    /// `None` while it runs.
    pub(crate) ended_at: Option<Timestamp>,
}

/// What a run plans, fixed when it is created.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct RunDetail {
    pub(crate) surveyed: SurveyedStack,
    pub(crate) why: Vec<model::affected::Why>,
    /// The branch that the pull request goes into; empty when that is not known.
    #[serde(default)]
    pub(crate) into: String,
}

/// A run that is to be created.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewRun {
    pub(crate) kind: RunKind,
    /// The plan that an apply applies.
    pub(crate) plan: Option<RunId>,
    pub(crate) stack: StackName,
    pub(crate) path: RelPath,
    pub(crate) head: CommitSha,
    pub(crate) base: CommitSha,
    pub(crate) tree: model::id::TreeId,
    pub(crate) inputs: String,
    pub(crate) detail: RunDetail,
    pub(crate) options: PlanOptions,
    /// The command that asked for it.
    pub(crate) request: Option<String>,
    /// Who wants it whatever requirements say, and why.
    pub(crate) forced: Option<String>,
    /// What landed on a trusted branch and is served by it; `None`: it belongs to an open pull request.
    pub(crate) landing: Option<i64>,
}

/// A run.
#[derive(Debug, Clone)]
pub(crate) struct RunRow {
    pub(crate) id: RunId,
    pub(crate) number: RunNumber,
    pub(crate) repo: RepoId,
    pub(crate) pull: PullNumber,
    pub(crate) what: NewRun,
    pub(crate) state: RunState,
    pub(crate) wanted: Wanted,
    pub(crate) version: i64,
    pub(crate) attempt: u32,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) job_started: bool,
    pub(crate) job_lost: bool,
    pub(crate) job_removed: bool,
    pub(crate) interrupted_at: Option<Timestamp>,
    pub(crate) job_end: Option<JobEnd>,
    pub(crate) tool: Option<ResolvedTool>,
    pub(crate) failure: Option<PlanFailure>,
    pub(crate) tail: Option<String>,
    /// How far the job was read: the executor's cursor, and bytes of output behind it.
    pub(crate) cursor: u64,
    pub(crate) skip: u64,
    pub(crate) log_bytes: u64,
    pub(crate) phase: Option<String>,
    /// The states that its inputs came from, by stack.
    pub(crate) upstream: BTreeMap<StackName, StateSeen>,
    /// Of a lost apply: addresses of what it made and the state does not know.
    pub(crate) unknown: Vec<String>,
    /// Of an apply: resource instances that are done.
    pub(crate) done: u32,
    /// What grows with each apply that is granted for the stack: of an apply its own, of a plan the newest when it
    /// began.
    pub(crate) epoch: Option<i64>,
    /// Of an apply: its requirements are judged by facts that answer at least this request.
    pub(crate) asked: Option<i64>,
    /// Of a plan that was made: the state that it was made on, when that is known.
    pub(crate) state_seen: Option<StateSeen>,
    /// Read beside it where a view needs it.
    pub(crate) document: Option<PlanDocument>,
}

impl RunRow {
    /// The name under which the executor knows the current attempt.
    pub(crate) fn job(&self) -> JobName {
        JobName::for_run(self.id, self.attempt)
    }
    /// The lock under which it is applied.
    pub(crate) fn lock_key(&self) -> Option<LockKey> {
        LockKey::of(&self.what.detail.surveyed.stack, &self.what.detail.into)
    }
    /// Seconds after which the job is stopped.
    pub(crate) fn timeout(&self) -> u64 {
        match self.what.kind {
            RunKind::Plan => self.what.detail.surveyed.stack.plan.timeout_seconds,
            RunKind::Apply => self.what.detail.surveyed.stack.apply_options.timeout_seconds,
        }
    }
}

/// A comment that may be a command, or a request to run again.
#[derive(Debug, Clone)]
pub(crate) struct CommandRow {
    pub(crate) id: String,
    pub(crate) comment: Option<CommentId>,
    pub(crate) author: String,
    pub(crate) bot: bool,
    pub(crate) edited: bool,
    pub(crate) body: String,
    pub(crate) created_at: Timestamp,
    pub(crate) role: Option<Role>,
    pub(crate) done: bool,
    pub(crate) outcome: Option<Outcome>,
}

/// What came of a comment; `publish` answers from it.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Outcome {
    pub(crate) accepted: bool,
    pub(crate) refused: bool,
    /// What it says about merging after the apply.
    #[serde(default)]
    pub(crate) merge: Option<MergeWish>,
    /// What it says about the configuration that is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) config: Option<ConfigWord>,
    pub(crate) parts: Vec<model::publication::ReplyPart>,
}

/// A person's word on what a pull request loosens.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct ConfigWord {
    /// Of exactly what.
    pub(crate) digest: String,
    pub(crate) said: Said,
}

/// What a person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Said {
    Approve,
    Reject,
    /// They take back what they said.
    Nothing,
}

/// What was written to GitHub.
#[derive(Debug, Clone)]
pub(crate) struct PublicationRow {
    pub(crate) target: String,
    pub(crate) commit: Option<String>,
    pub(crate) published: Option<String>,
    pub(crate) remote_id: Option<i64>,
    pub(crate) content: Option<String>,
    pub(crate) closed: bool,
}

/// All of a pull request, for `Pull` and `Publish`.
#[derive(Debug, Clone)]
pub(crate) struct PullWorld {
    pub(crate) base_url: String,
    pub(crate) slug: String,
    /// Our App's id, as checks carry it.
    pub(crate) app: Option<i64>,
    /// When this was observed.
    pub(crate) now: Timestamp,
    /// Are states kept here and served to jobs?
    pub(crate) keeps_states: bool,
    /// May plans be applied from here?
    pub(crate) may_apply: bool,
    pub(crate) repo: RepoRow,
    pub(crate) pull: PullRow,
    /// Plans of the pull request, in the order of their numbers.
    pub(crate) runs: Vec<RunRow>,
    /// Plans of what landed of it, in the order of their numbers.
    pub(crate) landed: Vec<RunRow>,
    /// What landed of it.
    pub(crate) landing: Option<LandingRow>,
    /// Applies, in the order of their numbers.
    pub(crate) applies: Vec<RunRow>,
    /// All locks of the repository, and the lines before them.
    pub(crate) locks: Vec<LockRow>,
    /// What was shown of plans, oldest first.
    pub(crate) shown: Vec<ShownRow>,
    /// Stacks of the repository that were ever applied or frozen.
    pub(crate) stacks: BTreeMap<StackName, StackFacts>,
    /// Who froze every apply of the repository or the server, and why.
    pub(crate) freeze: Option<String>,
    pub(crate) commands: Vec<CommandRow>,
    pub(crate) publications: Vec<PublicationRow>,
    /// Numbers of all queued runs of the server, in order.
    pub(crate) queue: Vec<RunNumber>,
}
