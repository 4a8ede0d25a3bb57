//! What people are told on GitHub, as typed content, before any Markdown. `bot::render` turns it into texts.
//!
//! Invariant: built by `decide` only; a publication is a projection of rows and holds no time of its making,
//! so that equal rows give equal publications.

mod config;
mod group;
mod notice;

use std::fmt;

pub use config::ConfigView;
pub use group::{GroupRowView, GroupStand, GroupView};
pub use notice::{Deployment, DeploymentState, Issue, Notice, NoticeKind};
use serde::{Deserialize, Serialize};

use crate::affected::{Affected, ChangedFile};
use crate::command::CommandError;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::gate::Gate;
use crate::id::{CommentId, CommitSha, PullNumber, RelPath, RepoName, RunNumber, StackName};
use crate::plan::{PlanDocument, PlanFailure};
use crate::pull::Role;
use crate::run::RunState;
use crate::stack::{ApplyMode, NotYet, Tool};
use crate::survey::BaseTrust;
use crate::time::Timestamp;

/// The name of a check run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckName {
    /// `buildit/plan`, the aggregate.
    Plan,
    /// `buildit/apply`, the aggregate of applies.
    Apply,
    /// `buildit/config`, where the configuration is changed.
    Config,
    /// `plan: NAME`, one stack.
    Stack(StackName),
}

impl CheckName {
    /// Those that are about the whole pull request.
    pub const AGGREGATES: [CheckName; 3] = [CheckName::Plan, CheckName::Apply, CheckName::Config];
}

impl fmt::Display for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckName::Plan => f.write_str("buildit/plan"),
            CheckName::Apply => f.write_str("buildit/apply"),
            CheckName::Config => f.write_str("buildit/config"),
            CheckName::Stack(stack) => write!(f, "plan: {stack}"),
        }
    }
}

/// A check run's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: CheckName,
    /// Found again by this on GitHub: `owner/repo#number:name`.
    pub external_id: String,
    /// Our page.
    pub details_url: String,
    /// What it says. The status, conclusion, title, summary and text follow from it.
    pub view: View,
    /// When the work began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Its buttons, three at most; shown once it has ended.
    #[serde(default)]
    pub actions: Vec<CheckAction>,
}

/// A button of a check. Whoever presses it is authorised as if they had commented what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckAction {
    /// `apply`.
    Apply,
    /// `plan`.
    Replan,
    /// `unlock`.
    Unlock,
    /// `recover`.
    Recover,
    /// `approve state`.
    PushState,
}

impl CheckAction {
    const ALL: [CheckAction; 5] =
        [CheckAction::Apply, CheckAction::Replan, CheckAction::Unlock, CheckAction::Recover, CheckAction::PushState];

    /// What GitHub gives back when it is pressed: 20 characters at most. Which check it was tells the check run's id.
    pub const fn identifier(self) -> &'static str {
        match self {
            CheckAction::Apply => "apply",
            CheckAction::Replan => "replan",
            CheckAction::Unlock => "unlock",
            CheckAction::Recover => "recover",
            CheckAction::PushState => "push-state",
        }
    }

    /// Reads it back; `None` for what is none of ours.
    pub fn parse(identifier: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.identifier() == identifier)
    }

    /// The verb that it stands for.
    pub const fn verb(self) -> &'static str {
        match self {
            CheckAction::Apply => "apply",
            CheckAction::Replan => "plan",
            CheckAction::Unlock => "unlock",
            CheckAction::Recover => "recover",
            CheckAction::PushState => "approve state",
        }
    }
}

/// The content of a check: the whole pull request, or one stack of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// The aggregate.
    Pull(Box<PullView>),
    /// One stack.
    Stack(Box<StackRow>),
    /// What becomes of the configuration.
    Config(Box<ConfigView>),
    /// What a merge queue tests together.
    Group(Box<GroupView>),
}

/// The summary comment's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// What it says.
    pub view: PullView,
}

/// All that people are told about the plans of a pull request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PullView {
    /// The repository.
    pub repo: RepoName,
    /// The pull request.
    pub number: PullNumber,
    /// The head that this is about.
    pub head: CommitSha,
    /// The base tip that it was merged with, once known.
    pub base: Option<CommitSha>,
    /// The base branch.
    pub base_branch: String,
    /// Our page of the pull request.
    pub url: String,
    /// Where things stand.
    pub standing: Standing,
    /// Warnings that belong to the pull request, not to one stack (parse findings, unclaimed inputs, parts of
    /// the configuration that this version does not execute).
    pub notes: Notes,
}

/// Where a pull request stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Git and configuration are being read.
    Reading,
    /// A newer push came before anything was known of this one.
    Replaced,
    /// From a fork: nothing runs before a writer allows it (not in this version).
    Fork,
    /// Into a branch that is not trusted: nothing runs.
    UntrustedBase {
        /// What the base is.
        trust: BaseTrust,
    },
    /// A draft, and drafts are not planned.
    Draft,
    /// The configuration has errors.
    ConfigErrors(Diagnostics),
    /// The merge has conflicts.
    Conflicts(Vec<RelPath>),
    /// Nothing that the pull request changes belongs to a stack.
    Unaffected {
        /// The changed files.
        changed: Vec<ChangedFile>,
    },
    /// Something of ours, git or GitHub failed and will be tried again or needs an operator.
    Trouble {
        /// What, and what to do.
        message: String,
    },
    /// Stacks are planned, or were.
    Stacks(Vec<StackRow>),
}

/// What goes below the table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Notes {
    /// Warnings of configuration and parsing.
    pub warnings: Vec<Diagnostic>,
    /// Files that look like inputs and belong to no stack.
    pub unclaimed: Vec<RelPath>,
    /// Stacks that the pull request removes.
    pub removed: Vec<StackName>,
    /// Stacks that it moves: name, from, to.
    pub moved: Vec<(StackName, RelPath, RelPath)>,
    /// Configuration that this version does not execute.
    pub not_yet: Vec<NotYet>,
    /// The merge was made by us, since GitHub's test merge was not of this base and head.
    pub our_merge: bool,
    /// Everything is applied, and GitHub refused the merge with these words.
    #[serde(default)]
    pub not_merged: Option<String>,
}

/// One affected stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StackRow {
    /// Its name.
    pub stack: StackName,
    /// Its directory.
    pub path: RelPath,
    /// The run's number and page.
    pub run: Option<RunLink>,
    /// How it stands.
    pub status: RowStatus,
    /// Tool and version, once known.
    pub tool: Option<(Tool, String)>,
    /// Wall clock time of the job in milliseconds, once ended.
    pub millis: Option<u64>,
    /// How this plan compares with the one of the previous head.
    pub since_last: Option<SinceLast>,
    /// What it would undo of a pull request that is applied and not merged.
    #[serde(default)]
    pub undoes: Option<Undoes>,
    /// What stands between this plan and its apply; `None` when there is nothing to apply.
    pub apply: Option<ApplyView>,
    /// Was there state to plan against? `Some(false)`: no backend, planned on an empty state.
    pub state_known: Option<bool>,
}

/// A plan and its apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyView {
    /// When it happens.
    pub mode: ApplyMode,
    /// Where it stands.
    pub standing: ApplyStanding,
    /// Its requirements, judged; empty once it is under way.
    #[serde(default)]
    pub gates: Vec<Gate>,
    /// Is the pull request merged?
    #[serde(default)]
    pub merged: bool,
}

/// Where an apply stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApplyStanding {
    /// Requirements do not hold yet: the gates say which.
    Waits,
    /// Another pull request has the lock, or has waited longer for it.
    Locked {
        /// Whose it is.
        holder: PullNumber,
        /// Our page of it.
        url: String,
        /// Since when.
        since: Timestamp,
        /// The place of this pull request in the line, from 1; `None`: it does not wait in it.
        #[serde(default)]
        place: Option<u32>,
    },
    /// It is merged, and an earlier commit is served first.
    After {
        /// "pull request 118" or "commit a1b2c3d".
        what: String,
    },
    /// It is merged, and a person must decide.
    Asks {
        /// Why nothing goes on by itself.
        why: String,
        /// Addresses that differ from what was reviewed.
        delta: Vec<String>,
    },
    /// It is merged, and was given up; its change shows in the next plan.
    Discarded {
        /// Who did.
        by: String,
        /// Their reason.
        why: String,
    },
    /// Everything holds: only the merge or the command is missing.
    Ready,
    /// It is under way.
    Running(Progress),
    /// It is done.
    Applied {
        /// How far.
        progress: Progress,
        /// Its run.
        run: RunLink,
        /// Wall clock time in milliseconds.
        millis: Option<u64>,
    },
    /// It stopped.
    Failed {
        /// How far it came.
        progress: Progress,
        /// Its run.
        run: RunLink,
        /// Of what.
        failure: PlanFailure,
    },
    /// Its worker vanished; nothing was started again.
    Lost {
        /// How far it came.
        progress: Progress,
        /// Its run.
        run: RunLink,
    },
}

/// How far an apply came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Resource instances that are done.
    pub done: u32,
    /// Those of the plan.
    pub total: u32,
}

/// A run for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLink {
    /// "run 1042".
    pub number: RunNumber,
    /// Its page.
    pub url: String,
}

/// How a stack's plan stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowStatus {
    /// Its plan would need something that this version cannot give.
    NotYet(Vec<NotYet>),
    /// Waits for a place.
    Queued {
        /// Place in the queue, from 1; `None` when unknown.
        position: Option<u32>,
        /// Since when.
        since: Timestamp,
    },
    /// Has a place, and cannot start for this reason, which an operator mends; tried again.
    Blocked {
        /// What stands in the way, and what to do.
        reason: String,
        /// Since when it has its place.
        since: Timestamp,
    },
    /// Planned when stacks that come first are applied.
    Deferred {
        /// Which.
        after: Vec<StackName>,
    },
    /// Planned when a stack that comes first was mended.
    Behind {
        /// Which.
        stack: StackName,
    },
    /// Not planned: nothing that it reads changes.
    Skipped {
        /// What it reads, in words.
        why: String,
    },
    /// Runs.
    Running(RunState),
    /// Has a plan with changes.
    Planned(Box<PlanDocument>),
    /// Has a plan without changes.
    NoChange,
    /// Has none, because of this.
    Failed(PlanFailure),
    /// Hit its timeout (seconds).
    TimedOut {
        /// The timeout.
        seconds: u64,
        /// The last lines of the log, masked.
        tail: String,
    },
    /// Cancelled.
    Cancelled,
    /// Cancelled because its pull request was merged or closed.
    Closed,
    /// Replaced by a newer push.
    Superseded,
}

/// What a plan would undo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undoes {
    /// Of which pull request.
    pub pull: PullNumber,
    /// Our page of it.
    pub url: String,
    /// Addresses that both change.
    pub addresses: Vec<String>,
}

/// Comparison with the previous plan of the same stack and pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinceLast {
    /// The head of the previous plan.
    pub head: CommitSha,
    /// Addresses and outputs whose item differs; empty means the same plan.
    pub changed: Vec<String>,
}

/// An answer to a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The command's comment; the reply's hidden marker names it.
    pub to: CommentId,
    /// What it says: one entry per line of the comment that is answered.
    pub parts: Vec<ReplyPart>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplyPart {
    /// `help`.
    Help {
        /// What the author may do here.
        role: Role,
        /// All commands, on our pages.
        url: String,
    },
    /// `status`: where everything stands.
    Status(Box<PullView>),
    /// `why`: what waits, for what, since when; and why stacks are affected.
    Why {
        /// Where things stand.
        view: Box<PullView>,
        /// Reasons of the affected stacks, those that were asked for.
        affected: Affected,
    },
    /// `version`.
    Version,
    /// `config`: the effective configuration of the selected stacks, as text.
    Config(String),
    /// Not understood.
    Error(CommandError),
    /// Understood and refused.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// Done; says what in one line.
    Done {
        /// What.
        message: String,
    },
}

/// A reaction to a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reaction {
    /// 👀: accepted.
    Eyes,
    /// 👎: refused.
    ThumbsDown,
}
