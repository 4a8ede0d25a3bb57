//! What asks a person to act outside of the summary comment: comments of their own, issues, deployments.
//!
//! Invariant: one of a key is written once and edited afterwards, never written anew.

use serde::{Deserialize, Serialize};

use super::{Progress, RunLink};
use crate::id::{CommitSha, StackName};
use crate::plan::Counts;

/// A comment of its own, since a person must act now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Unique within its pull request; the comment's hidden marker holds it.
    pub key: String,
    /// What it says.
    pub what: NoticeKind,
}

/// An issue, where no pull request is that could say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Unique within its repository; the issue's hidden marker holds it.
    pub key: String,
    /// Is it over?
    pub closed: bool,
    /// What it says.
    pub what: NoticeKind,
}

/// What a person must know and do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// The merge was done, the apply was not.
    MergedNotApplied {
        /// Of which stack.
        stack: StackName,
        /// Why not, as a sentence without its full stop: "the state changed since the review".
        why: String,
        /// Addresses that the new plan changes otherwise than the reviewed one.
        delta: Vec<String>,
        /// The new plan, when there is one.
        run: Option<RunLink>,
        /// Our page where it can be approved.
        url: String,
    },
    /// An apply lost its worker.
    Lost {
        /// Of which stack.
        stack: StackName,
        /// How far it came.
        progress: Progress,
        /// Its run.
        run: RunLink,
        /// Addresses of what was made and the state does not know.
        unknown: Vec<String>,
        /// The state that it could not store is kept.
        #[serde(default)]
        unstored: bool,
    },
    /// A push that no pull request brought would change something.
    Unreviewed {
        /// Which stack.
        stack: StackName,
        /// The pushed commit.
        commit: CommitSha,
        /// The branch.
        branch: String,
        /// What its plan does.
        counts: Counts,
        /// The plan.
        run: RunLink,
    },
    /// What was applied before the merge would change something again after it.
    NotEmptyAfterMerge {
        /// Which stack.
        stack: StackName,
        /// The merge commit.
        commit: CommitSha,
        /// The plan.
        run: RunLink,
    },
    /// It is over: what a notice or an issue says then.
    Settled {
        /// Which stack.
        stack: StackName,
        /// How it ended, as a sentence without its full stop: "applied with run 1051".
        how: String,
    },
}

impl NoticeKind {
    /// The stack that it is about.
    pub const fn stack(&self) -> &StackName {
        match self {
            NoticeKind::MergedNotApplied { stack, .. }
            | NoticeKind::Lost { stack, .. }
            | NoticeKind::Unreviewed { stack, .. }
            | NoticeKind::NotEmptyAfterMerge { stack, .. }
            | NoticeKind::Settled { stack, .. } => stack,
        }
    }
}

/// An apply as GitHub's list of deployments shows it. The environment is the stack's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Found again by this: the run's number or id.
    pub key: String,
    /// Which stack.
    pub stack: StackName,
    /// The commit that is applied.
    pub commit: CommitSha,
    /// How it stands.
    pub state: DeploymentState,
    /// Its run.
    pub run: RunLink,
}

/// How an apply stands, in GitHub's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    /// It runs.
    InProgress,
    /// All of it was done.
    Success,
    /// It stopped.
    Failure,
    /// Its worker was lost: nobody knows.
    Error,
}

impl DeploymentState {
    /// GitHub's word.
    pub const fn name(self) -> &'static str {
        match self {
            DeploymentState::InProgress => "in_progress",
            DeploymentState::Success => "success",
            DeploymentState::Failure => "failure",
            DeploymentState::Error => "error",
        }
    }
}
