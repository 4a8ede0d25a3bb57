//! May an apply that has its place start now?
//!
//! Invariant: judged by facts that were read after it got its place; what has moved since the plan was made or
//! accepted stops it (semantics.md, section 3).

use std::time::Duration;

use model::pull::PullState;
use model::run::RunState;
use model::stack::ApplyMode;
use model::survey::SurveyedStack;

use super::gates::Beside;
use super::{answer, current_survey, gates, landing, overtaken};
use crate::gate::Judged;
use crate::world::{PullWorld, RunRow};

/// Facts that are older are asked for again: the server may have been down since.
const FRESH: Duration = Duration::from_secs(120);

/// What follows.
#[derive(Debug)]
pub(crate) enum Start {
    /// Ask GitHub and git first.
    Ask,
    /// The answer is not all there.
    NotYet,
    /// The plan is not of what there is now, for this reason.
    Stale(String),
    /// It must not start, for this reason; its plan stays as it is.
    Refused(String),
    /// It is; so its requirements stand.
    Judged(Box<Judged>),
}

/// Judges an apply; one that is granted already too, since time may have passed.
pub(crate) fn decide(world: Option<&PullWorld>, run: &RunRow) -> Start {
    let Some(world) = world else { return Start::Stale("its pull request is not known any more".to_owned()) };
    let reviewed = run.what.landing.is_none() || world.landing.as_ref().is_some_and(|landing| landing.pull.is_some());
    if reviewed {
        let Some(asked) = run.asked else { return Start::Ask };
        if world.pull.seen < asked || world.pull.snapshot.is_none() {
            return Start::NotYet;
        }
        let read_at = world.pull.gates.at.unwrap_or(world.now);
        if world.now.since(read_at) > FRESH {
            return Start::Ask;
        }
    }
    // The world holds the plan with what it says.
    let Some(plan) = world.runs.iter().chain(&world.landed).find(|row| Some(row.id) == run.what.plan) else {
        return Start::Stale("its plan is not known any more".to_owned());
    };
    match run.what.landing {
        None => of_pull(world, run, plan),
        Some(id) => of_landing(world, run, plan, id),
    }
}

fn of_pull(world: &PullWorld, run: &RunRow, plan: &RunRow) -> Start {
    let Some(snapshot) = &world.pull.snapshot else { return Start::NotYet };
    if let Some(reason) = closed(snapshot.state) {
        return Start::Stale(reason.to_owned());
    }
    if snapshot.head != run.what.head {
        return Start::Stale("the pull request has a newer head".to_owned());
    }
    if snapshot.base_branch != run.what.detail.into {
        return Start::Stale("the pull request goes into another branch now".to_owned());
    }
    let Some(survey) = current_survey(world) else { return Start::NotYet };
    if gates::missing(world, survey, world.now).is_some() {
        return Start::NotYet;
    }
    let Some(stack) = survey.stack(&run.what.stack) else {
        return Start::Stale("the stack is not there any more".to_owned());
    };
    let speaks = answer(world, survey, stack).is_some_and(|speaker| speaker.id == plan.id);
    if let Err(reason) = still(world, stack, run) {
        return Start::Refused(reason);
    }
    match moved(world, stack, plan, speaks) {
        Some(reason) => Start::Stale(reason),
        None => Start::Judged(Box::new(gates::judge(world, survey, stack, plan, Beside::default()))),
    }
}

/// What landed is served by its branch; a push to the pull request's branch or its end change nothing of it.
fn of_landing(world: &PullWorld, run: &RunRow, plan: &RunRow, id: i64) -> Start {
    let row = world.landing.as_ref().filter(|landing| landing.id == id);
    let Some((landing, survey)) = row.and_then(|landing| Some((landing, landing.survey.as_ref()?))) else {
        return Start::Stale("what landed is not known any more".to_owned());
    };
    let item = landing.stacks.iter().find(|item| item.stack == run.what.stack && item.outcome.is_none());
    let (Some(item), Some(stack)) = (item, survey.stack(&run.what.stack)) else {
        return Start::Stale("what landed has ended for this stack".to_owned());
    };
    if item.behind.is_some() {
        return Start::Stale("an earlier commit is served first".to_owned());
    }
    if landing.pull.is_some() && gates::missing(world, survey, world.now).is_some() {
        return Start::NotYet;
    }
    if let Err(reason) = gates::still_may(world, stack, run) {
        return Start::Refused(reason);
    }
    let same = plan.what.inputs == super::pull::inputs(stack) && !overtaken(world, plan);
    match moved(world, stack, plan, same) {
        Some(reason) => Start::Stale(reason),
        None => Start::Judged(Box::new(landing::judge(world, survey, stack, item, plan))),
    }
}

/// Is the stack still applied before the merge, and may whoever asked for it still ask?
fn still(world: &PullWorld, stack: &SurveyedStack, run: &RunRow) -> Result<(), String> {
    match stack.stack.apply {
        ApplyMode::Comment => {}
        ApplyMode::Merge | ApplyMode::Push | ApplyMode::Manual if run.what.forced.is_some() => {}
        mode => return Err(format!("the base says `apply on={}` now", mode.name())),
    }
    gates::still_may(world, stack, run)
}

fn closed(state: PullState) -> Option<&'static str> {
    match state {
        PullState::Open => None,
        PullState::Merged => Some("the pull request is merged"),
        PullState::Closed => Some("the pull request is closed"),
    }
}

/// Which of the plan's inputs is not what it was; `same`: its files, its settings and its state are.
fn moved(world: &PullWorld, stack: &SurveyedStack, plan: &RunRow, same: bool) -> Option<String> {
    let age = plan.ended_at.map(|ended| world.now.since(ended)).unwrap_or_default();
    let ttl = Duration::from_secs(stack.stack.plan.ttl_seconds);
    let reason = if plan.state != RunState::Planned {
        "it has no plan with changes"
    } else if age > ttl {
        "the plan is older than its `ttl`"
    } else if !same {
        "its files, its settings or its state moved since it was made"
    } else {
        return None;
    };
    Some(reason.to_owned())
}
