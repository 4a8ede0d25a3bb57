//! How a stack stands, as the row that checks, the comment and pages show.
//!
//! Invariant: a row says what its run says; what that means for the whole pull request is not known here.

use model::id::RunNumber;
use model::plan::PlanFailure;
use model::publication::{ApplyView, RowStatus, RunLink, StackRow};
use model::pull::PullSnapshot;
use model::run::{RunState, Wanted};
use model::stack::{NotYet, StateKind};
use model::survey::{Survey, SurveyedStack};

use super::super::order::{self, Order};
use super::super::{answer, apply, automatic, landing};
use super::compare::{compared, since_last, undoes};
use crate::world::{LandedStack, LandingRow, PullWorld, RunRow};

/// A stack that the pull request affects.
pub(super) fn row(world: &PullWorld, snapshot: &PullSnapshot, survey: &Survey, stack: &SurveyedStack) -> StackRow {
    if let Some(row) = landed(world, survey, stack) {
        return row;
    }
    let mut needs = stack.stack.not_yet.clone();
    let run = answer(world, survey, stack).filter(|_| needs.is_empty());
    if run.is_none() && needs.is_empty() && !automatic(snapshot, stack) {
        let what = format!("`buildit plan -p {}`: it is not planned by itself", stack.stack.name);
        needs.push(NotYet { what, at: stack.stack.declared_at.clone() });
    }
    let status = match run {
        Some(run) => status(world, run),
        None if needs.is_empty() => match order::of(world, survey, stack) {
            Order::Deferred(after) => RowStatus::Deferred { after },
            Order::Blocked(stack) => RowStatus::Behind { stack },
            Order::Skipped(why) => RowStatus::Skipped { why },
            Order::Now => RowStatus::Queued { position: None, since: world.pull.first_seen },
        },
        None => RowStatus::NotYet(needs),
    };
    let planned = matches!(status, RowStatus::Planned(_) | RowStatus::NoChange);
    StackRow {
        stack: stack.stack.name.clone(),
        path: stack.stack.path.clone(),
        apply: apply::view(world, survey, stack),
        run: run.map(|run| RunLink { number: run.number, url: run_url(world, run.number) }),
        status,
        tool: run.and_then(|run| run.tool.as_ref()).map(|tool| (tool.tool, tool.version.clone())),
        millis: run.and_then(millis),
        since_last: run.filter(|_| planned).and_then(|run| since_last(world, survey, run)),
        undoes: run.and_then(|run| undoes(world, run)),
        state_known: planned.then(|| has_state(world, stack)),
    }
}

/// A stack of what landed of a merged pull request.
fn landed(world: &PullWorld, survey: &Survey, stack: &SurveyedStack) -> Option<StackRow> {
    let (landing, item) = landed_item(world, survey, stack)?;
    let told = landing::told(world, landing, survey, item);
    let status = match told.plan {
        Some(run) => status(world, run),
        None => RowStatus::Queued { position: None, since: world.pull.first_seen },
    };
    let planned = matches!(status, RowStatus::Planned(_) | RowStatus::NoChange);
    Some(StackRow {
        stack: stack.stack.name.clone(),
        path: stack.stack.path.clone(),
        apply: told.standing.map(|standing| ApplyView {
            mode: stack.stack.apply,
            standing,
            gates: told.gates,
            merged: true,
        }),
        run: told.plan.map(|run| RunLink { number: run.number, url: run_url(world, run.number) }),
        status,
        tool: told.plan.and_then(|run| run.tool.as_ref()).map(|tool| (tool.tool, tool.version.clone())),
        millis: told.plan.and_then(millis),
        since_last: None,
        undoes: None,
        state_known: planned.then(|| has_state(world, stack)),
    })
}

/// One run as it was made, whatever the pull request shows now.
pub(crate) fn of_run(world: &PullWorld, run: &RunRow) -> StackRow {
    let planned = matches!(run.state, RunState::Planned | RunState::NoChange);
    StackRow {
        stack: run.what.stack.clone(),
        path: run.what.path.clone(),
        apply: None,
        run: Some(RunLink { number: run.number, url: run_url(world, run.number) }),
        status: status(world, run),
        tool: run.tool.as_ref().map(|tool| (tool.tool, tool.version.clone())),
        millis: millis(run),
        since_last: planned.then(|| compared(world, run)).flatten(),
        undoes: None,
        state_known: planned.then(|| has_state(world, &run.what.detail.surveyed)),
    }
}

fn has_state(world: &PullWorld, stack: &SurveyedStack) -> bool {
    world.keeps_states || stack.stack.state_kind(&stack.directory) == Ok(StateKind::Own)
}

pub(in crate::decide) fn run_link(base_url: &str, number: RunNumber) -> RunLink {
    RunLink { number, url: format!("{base_url}/r/{number}") }
}

pub(in crate::decide) fn run_url(world: &PullWorld, number: RunNumber) -> String {
    format!("{}/r/{number}", world.base_url)
}

pub(in crate::decide) fn millis(run: &RunRow) -> Option<u64> {
    u64::try_from(run.ended_at?.since(run.started_at?).as_millis()).ok()
}

fn status(world: &PullWorld, run: &RunRow) -> RowStatus {
    let lost = |phase: &str, headline: &str| PlanFailure {
        phase: phase.to_owned(),
        headline: headline.to_owned(),
        detail: String::new(),
        file: None,
        line: None,
    };
    match run.state {
        RunState::Queued => {
            let place = world.queue.iter().position(|number| *number == run.number);
            let position = place.and_then(|place| u32::try_from(place + 1).ok());
            RowStatus::Queued { position, since: run.created_at }
        }
        // The run's failure is what stands in its way, until its job is started.
        RunState::Preparing if run.failure.is_some() => RowStatus::Blocked {
            reason: run.failure.as_ref().map(|failure| failure.headline.clone()).unwrap_or_default(),
            since: run.started_at.unwrap_or(run.created_at),
        },
        RunState::Preparing | RunState::Initializing | RunState::Planning | RunState::Applying => {
            RowStatus::Running(run.state)
        }
        // An apply's own page says so; here its plan is asked for.
        RunState::Applied | RunState::PartlyApplied | RunState::Stale | RunState::Lost => {
            RowStatus::Failed(run.failure.clone().unwrap_or_else(|| lost("apply", run.state.name())))
        }
        RunState::Planned => match &run.document {
            Some(document) => RowStatus::Planned(Box::new(document.clone())),
            None => {
                RowStatus::Failed(lost("show", "the plan is no longer stored; comment `buildit plan` for a new one"))
            }
        },
        RunState::NoChange => RowStatus::NoChange,
        RunState::Failed => RowStatus::Failed(
            run.failure.clone().unwrap_or_else(|| lost("start", "the job ended without a reason; see the run's log")),
        ),
        RunState::Cancelled if run.wanted == Wanted::Close => RowStatus::Closed,
        RunState::Cancelled => RowStatus::Cancelled,
        RunState::Superseded => RowStatus::Superseded,
        RunState::TimedOut => {
            RowStatus::TimedOut { seconds: run.timeout(), tail: run.tail.clone().unwrap_or_default() }
        }
    }
}

/// The part of a landing that the stack is, when the survey is the landing's.
pub(super) fn landed_item<'a>(
    world: &'a PullWorld,
    survey: &Survey,
    stack: &SurveyedStack,
) -> Option<(&'a LandingRow, &'a LandedStack)> {
    let landing = world.landing.as_ref().filter(|landing| landing.survey.as_ref() == Some(survey))?;
    Some((landing, landing.stacks.iter().find(|item| item.stack == stack.stack.name)?))
}
