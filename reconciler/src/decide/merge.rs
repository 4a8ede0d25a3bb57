//! Merging by ourselves: when everything of a pull request that is applied before the merge is applied.
//!
//! Invariant: asks for the head that it saw; GitHub's own rules decide.

use std::time::Duration;

use model::command::MergeWish;
use model::pull::PullSnapshot;
use model::run::RunState;
use model::stack::{ApplyMode, Automerge, MergeMethod};
use model::survey::{Survey, SurveyedStack};
use model::time::Timestamp;

use super::pull::Step;
use super::{answer, apply, gates};
use crate::world::PullWorld;

/// GitHub may still be taking in our last check when it is asked first; in seconds.
const PAUSES: [u64; 6] = [2, 5, 15, 60, 300, 900];

/// Merges now, if that is wanted and everything is applied.
pub(super) fn decide(world: &PullWorld, snapshot: &PullSnapshot, survey: &Survey) -> Option<Step> {
    let method = wish(world, survey)?;
    let facts = gates::facts(world)?;
    let due = again(world, snapshot).is_none_or(|at| at <= world.now) && !gave_up(world, snapshot);
    let can = !facts.draft && facts.mergeable == Some(true);
    (due && can && is_applied(world, survey)).then_some(Step::Merge { method })
}

/// When it is tried again; `None`: it was not tried for this head.
pub(super) fn again(world: &PullWorld, snapshot: &PullSnapshot) -> Option<Timestamp> {
    let row = &world.pull.merging;
    (row.head.as_deref() == Some(snapshot.head.as_str())).then_some(row.at).flatten()
}

/// Why it could not be merged, once that was tried for this head.
pub(super) fn trouble<'a>(world: &'a PullWorld, snapshot: &PullSnapshot) -> Option<&'a str> {
    let row = &world.pull.merging;
    row.why.as_deref().filter(|_| row.head.as_deref() == Some(snapshot.head.as_str()))
}

fn gave_up(world: &PullWorld, snapshot: &PullSnapshot) -> bool {
    let row = &world.pull.merging;
    row.head.as_deref() == Some(snapshot.head.as_str()) && row.at.is_none()
}

/// The pause after so many refusals; `None`: enough.
pub(crate) fn pause(tries: i64) -> Option<Duration> {
    let at = usize::try_from(tries).unwrap_or(usize::MAX);
    PAUSES.get(at).map(|seconds| Duration::from_secs(*seconds))
}

/// How it is merged, if that is wanted: the last command's word, else the configuration's.
fn wish(world: &PullWorld, survey: &Survey) -> Option<Option<MergeMethod>> {
    let asked = world.commands.iter().filter_map(|row| row.outcome.as_ref()?.merge.as_ref()).next_back();
    match asked {
        Some(MergeWish::No) => return None,
        Some(MergeWish::By(method)) => return Some(MergeMethod::parse(method)),
        None => {}
    }
    let configured = stacks(survey).filter(|stack| stack.stack.apply == ApplyMode::Comment);
    let mut methods = configured.filter_map(|stack| stack.stack.apply_options.automerge);
    methods.next().map(|Automerge { method }| method)
}

fn stacks(survey: &Survey) -> impl Iterator<Item = &SurveyedStack> {
    survey.affected.affected.iter().filter_map(|hit| survey.stack(&hit.stack))
}

/// Is everything that is applied before the merge applied, at least one stack, and is the rest ready for it?
fn is_applied(world: &PullWorld, survey: &Survey) -> bool {
    let mut some = false;
    for stack in stacks(survey) {
        let Some(plan) = answer(world, survey, stack) else { return stack.stack.apply == ApplyMode::Never };
        let done = match (plan.state, stack.stack.apply) {
            (RunState::NoChange, _) | (_, ApplyMode::Never) => true,
            (RunState::Planned, ApplyMode::Comment) => {
                let applied = apply::of_plan(world, plan).is_some_and(|run| run.state == RunState::Applied);
                some |= applied;
                applied
            }
            (RunState::Planned, _) => apply::holds(world, survey, stack, plan) == Some(true),
            _ => false,
        };
        if !done {
            return false;
        }
    }
    // A stack whose plan is made again after its apply has nothing left.
    some || world.applies.iter().any(|run| run.state == RunState::Applied && run.what.head == survey.head)
}
