//! Trusted branches, and what lands on them.

use model::id::{CommitSha, PullNumber, RunId, StackName};
use model::survey::Survey;
use model::time::Timestamp;

/// A trusted branch as far as it was walked.
#[derive(Debug, Clone)]
pub(crate) struct BranchRow {
    pub(crate) name: String,
    /// The newest commit that is noted.
    pub(crate) walked: CommitSha,
    /// Grows with each hint; the tip was read when it stood at `seen`.
    pub(crate) asked: i64,
    pub(crate) seen: i64,
}

/// Commits that came to a branch together: a merged pull request, or one commit of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewLanding {
    /// The commit just before the first of them.
    pub(crate) before: CommitSha,
    /// The last of them.
    pub(crate) commit: CommitSha,
    pub(crate) pull: Option<PullNumber>,
}

/// The same, noted.
#[derive(Debug, Clone)]
pub(crate) struct LandingRow {
    pub(crate) id: i64,
    pub(crate) branch: String,
    pub(crate) before: CommitSha,
    pub(crate) commit: CommitSha,
    pub(crate) pull: Option<PullNumber>,
    /// When it was noted.
    pub(crate) seen_at: Timestamp,
    /// Between `before` and `commit`; what is trusted is read at `before`.
    pub(crate) survey: Option<Survey>,
    /// Every stack has an outcome.
    pub(crate) done: bool,
    /// Stacks that it affects and that may be applied.
    pub(crate) stacks: Vec<LandedStack>,
}

/// What became of a stack.
#[derive(Debug, Clone)]
pub(crate) struct LandedStack {
    pub(crate) stack: StackName,
    /// An earlier commit that must end first.
    pub(crate) behind: Option<Before>,
    pub(crate) outcome: Option<StackOutcome>,
    pub(crate) why: Option<String>,
    pub(crate) actor: Option<String>,
    /// The plan that a person asked to apply, who, and by which command.
    pub(crate) asked_plan: Option<RunId>,
    pub(crate) asked_by: Option<String>,
    pub(crate) request: Option<String>,
}

/// A commit that is served before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) commit: CommitSha,
    pub(crate) pull: Option<PullNumber>,
}

/// How it ended for a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StackOutcome {
    /// Its plan was applied.
    Applied,
    /// There was nothing to do.
    NoChange,
    /// A person gave it up; its change shows in the next plan.
    Discarded,
    /// It is never applied from here.
    NotOurs,
}

impl StackOutcome {
    const ALL: [Self; 4] = [Self::Applied, Self::NoChange, Self::Discarded, Self::NotOurs];
    /// The stored name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            StackOutcome::Applied => "applied",
            StackOutcome::NoChange => "no-change",
            StackOutcome::Discarded => "discarded",
            StackOutcome::NotOurs => "not-ours",
        }
    }
    /// The outcome of that stored name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}
