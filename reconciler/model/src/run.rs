//! One operation on a stack at one commit, and its states.
//!
//! Invariant: `RunState::next` is the only way from state to state; nothing leaves a terminal state.

use serde::{Deserialize, Serialize};

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// A plan.
    Plan,
    /// An apply of a saved plan.
    Apply,
}

impl RunKind {
    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            RunKind::Plan => "plan",
            RunKind::Apply => "apply",
        }
    }
    /// The kind of that stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [RunKind::Plan, RunKind::Apply].into_iter().find(|kind| kind.name() == name)
    }
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Waits for a place.
    Queued,
    /// Source and tool are made ready, the job is started.
    Preparing,
    /// The tool initialises.
    Initializing,
    /// The tool plans.
    Planning,
    /// The tool applies a saved plan.
    Applying,
    /// Ended: a plan with changes.
    Planned,
    /// Ended: a plan without changes.
    NoChange,
    /// Ended: an error of the configuration, the tool or the executor.
    Failed,
    /// Ended: someone cancelled it, or its pull request was closed.
    Cancelled,
    /// Ended: a newer run took its place.
    Superseded,
    /// Ended: the timeout passed.
    TimedOut,
    /// Ended: the plan is applied.
    Applied,
    /// Ended: the apply failed when something had been changed.
    PartlyApplied,
    /// Ended before anything was changed: the plan is not of the state or the inputs that there are now.
    Stale,
    /// Ended: the worker of an apply vanished; someone must look.
    Lost,
}

/// What happened to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEvent {
    /// It got a place.
    Claimed,
    /// The job's `init` step began.
    InitStarted,
    /// The job's `plan` step began.
    PlanStarted,
    /// The plan has changes.
    Changes,
    /// The plan has none.
    NoChanges,
    /// It failed.
    Fail,
    /// Cancelled and ended.
    Cancel,
    /// Replaced and ended.
    Supersede,
    /// Timed out and ended.
    TimeOut,
    /// The job's `apply` step began.
    ApplyStarted,
    /// All of the plan was done.
    Applied,
    /// A part of the plan was done.
    PartlyApplied,
    /// The plan is out of date.
    Stale,
    /// The worker of an apply vanished.
    Lose,
}

/// An event that has no meaning in a state: a bug, not a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event {event:?} has no meaning in the state {state:?}")]
pub struct IllegalTransition {
    /// The state.
    pub state: RunState,
    /// The event.
    pub event: RunEvent,
}

impl RunState {
    /// All states, for tables and tests.
    pub const ALL: [RunState; 15] = [
        RunState::Queued,
        RunState::Preparing,
        RunState::Initializing,
        RunState::Planning,
        RunState::Applying,
        RunState::Planned,
        RunState::NoChange,
        RunState::Failed,
        RunState::Cancelled,
        RunState::Superseded,
        RunState::TimedOut,
        RunState::Applied,
        RunState::PartlyApplied,
        RunState::Stale,
        RunState::Lost,
    ];

    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            RunState::Queued => "queued",
            RunState::Preparing => "preparing",
            RunState::Initializing => "initializing",
            RunState::Planning => "planning",
            RunState::Applying => "applying",
            RunState::Planned => "planned",
            RunState::NoChange => "no-change",
            RunState::Failed => "failed",
            RunState::Cancelled => "cancelled",
            RunState::Superseded => "superseded",
            RunState::TimedOut => "timed-out",
            RunState::Applied => "applied",
            RunState::PartlyApplied => "partly-applied",
            RunState::Stale => "stale",
            RunState::Lost => "lost",
        }
    }

    /// The state of that stored name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Has it ended?
    pub const fn is_terminal(self) -> bool {
        match self {
            RunState::Queued
            | RunState::Preparing
            | RunState::Initializing
            | RunState::Planning
            | RunState::Applying => false,
            RunState::Planned
            | RunState::NoChange
            | RunState::Failed
            | RunState::Cancelled
            | RunState::Superseded
            | RunState::TimedOut
            | RunState::Applied
            | RunState::PartlyApplied
            | RunState::Stale
            | RunState::Lost => true,
        }
    }

    /// The one transition function, used live and in replay. A later phase may be reported without the ones
    /// before it, since events of a job may be read late.
    pub fn next(self, event: RunEvent) -> Result<RunState, IllegalTransition> {
        let illegal = Err(IllegalTransition { state: self, event });
        if self.is_terminal() {
            return illegal;
        }
        match event {
            RunEvent::Claimed if self == RunState::Queued => Ok(RunState::Preparing),
            RunEvent::InitStarted if self == RunState::Preparing => Ok(RunState::Initializing),
            RunEvent::PlanStarted if matches!(self, RunState::Preparing | RunState::Initializing) => {
                Ok(RunState::Planning)
            }
            RunEvent::Changes if self != RunState::Queued => Ok(RunState::Planned),
            RunEvent::NoChanges if self != RunState::Queued => Ok(RunState::NoChange),
            RunEvent::Fail => Ok(RunState::Failed),
            RunEvent::Cancel => Ok(RunState::Cancelled),
            RunEvent::Supersede => Ok(RunState::Superseded),
            RunEvent::TimeOut if self != RunState::Queued => Ok(RunState::TimedOut),
            RunEvent::ApplyStarted if matches!(self, RunState::Preparing | RunState::Initializing) => {
                Ok(RunState::Applying)
            }
            RunEvent::Applied if self != RunState::Queued => Ok(RunState::Applied),
            RunEvent::PartlyApplied if self != RunState::Queued => Ok(RunState::PartlyApplied),
            RunEvent::Stale => Ok(RunState::Stale),
            RunEvent::Lose if self != RunState::Queued => Ok(RunState::Lost),
            RunEvent::Claimed
            | RunEvent::InitStarted
            | RunEvent::PlanStarted
            | RunEvent::Changes
            | RunEvent::NoChanges
            | RunEvent::TimeOut
            | RunEvent::ApplyStarted
            | RunEvent::Applied
            | RunEvent::PartlyApplied
            | RunEvent::Lose => illegal,
        }
    }
}

/// What the pull request wants of a run; only `Pull` writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// Go on.
    Run,
    /// End: cancelled.
    Cancel,
    /// End: its pull request was merged or closed. Planned again when that is opened again.
    Close,
    /// End at once: cancelled, killed without an interrupt.
    #[serde(rename = "cancel-now")]
    CancelNow,
    /// End: a newer run takes its place.
    Supersede,
}

impl Wanted {
    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Wanted::Run => "run",
            Wanted::Cancel => "cancel",
            Wanted::Close => "close",
            Wanted::CancelNow => "cancel-now",
            Wanted::Supersede => "supersede",
        }
    }
    /// All values, for tables and tests.
    pub const ALL: [Wanted; 5] = [Wanted::Run, Wanted::Cancel, Wanted::Close, Wanted::CancelNow, Wanted::Supersede];

    /// The value of that stored name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|w| w.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [RunEvent; 14] = [
        RunEvent::Claimed,
        RunEvent::InitStarted,
        RunEvent::PlanStarted,
        RunEvent::Changes,
        RunEvent::NoChanges,
        RunEvent::Fail,
        RunEvent::Cancel,
        RunEvent::Supersede,
        RunEvent::TimeOut,
        RunEvent::ApplyStarted,
        RunEvent::Applied,
        RunEvent::PartlyApplied,
        RunEvent::Stale,
        RunEvent::Lose,
    ];

    #[test]
    fn nothing_leaves_an_end() {
        for state in RunState::ALL.into_iter().filter(|s| s.is_terminal()) {
            for event in EVENTS {
                assert!(state.next(event).is_err(), "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn every_open_state_can_end_and_nothing_goes_back() {
        let rank = |s: RunState| RunState::ALL.iter().position(|x| *x == s);
        for state in RunState::ALL.into_iter().filter(|s| !s.is_terminal()) {
            for end in [RunEvent::Fail, RunEvent::Cancel, RunEvent::Supersede] {
                assert!(state.next(end).expect("an end").is_terminal());
            }
            for event in EVENTS {
                if let Ok(next) = state.next(event) {
                    assert!(rank(next) > rank(state), "{state:?} {event:?} {next:?}");
                }
            }
        }
        assert!(RunState::Queued.next(RunEvent::Changes).is_err());
    }

    #[test]
    fn names_are_read_back() {
        for state in RunState::ALL {
            assert_eq!(RunState::parse(state.name()), Some(state));
        }
        for wanted in Wanted::ALL {
            assert_eq!(Wanted::parse(wanted.name()), Some(wanted));
        }
    }
}
