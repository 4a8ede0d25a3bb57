//! May an apply that has its place start now?
//!
//! Invariant: judged by facts that were read after it got its place; what has moved since the plan was made or
//! accepted stops it (semantics.md, section 3).

use std::time::Duration;

use model::pull::PullState;
use model::run::RunState;
use model::survey::SurveyedStack;

use super::{answer, current_survey, gates};
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
    /// It is; so its requirements stand.
    Judged(Box<Judged>),
}

/// Judges an apply of an open pull request; of one that is granted already too, since time may have passed.
pub(crate) fn decide(world: Option<&PullWorld>, run: &RunRow) -> Start {
    let Some(world) = world else { return Start::Stale("its pull request is not known any more".to_owned()) };
    let Some(asked) = run.asked else { return Start::Ask };
    let Some(snapshot) = world.pull.snapshot.as_ref().filter(|_| world.pull.seen >= asked) else {
        return Start::NotYet;
    };
    let read_at = world.pull.gates.at.unwrap_or(world.now);
    if world.now.since(read_at) > FRESH {
        return Start::Ask;
    }
    // The world holds the plan with what it says.
    let Some(plan) = world.runs.iter().find(|row| Some(row.id) == run.what.plan) else {
        return Start::Stale("its plan is not known any more".to_owned());
    };
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
    if let Some(reason) = moved(world, survey, stack, plan) {
        return Start::Stale(reason);
    }
    Start::Judged(Box::new(gates::judge(world, survey, stack, plan)))
}

fn closed(state: PullState) -> Option<&'static str> {
    match state {
        PullState::Open => None,
        PullState::Merged => Some("the pull request is merged"),
        PullState::Closed => Some("the pull request is closed"),
    }
}

/// Which of the plan's inputs is not what it was.
fn moved(world: &PullWorld, survey: &model::survey::Survey, stack: &SurveyedStack, plan: &RunRow) -> Option<String> {
    let age = plan.ended_at.map(|ended| world.now.since(ended)).unwrap_or_default();
    let ttl = Duration::from_secs(stack.stack.plan.ttl_seconds);
    if plan.state != RunState::Planned {
        return Some("it has no plan with changes".to_owned());
    }
    if age > ttl {
        return Some("the plan is older than its `ttl`".to_owned());
    }
    let speaks = answer(world, survey, stack).is_some_and(|speaker| speaker.id == plan.id);
    (!speaks).then(|| "its files, its settings or its state moved since it was made".to_owned())
}
