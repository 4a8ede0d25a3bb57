//! Which stack of a change comes before which: what waits for whom, what is skipped, what goes on by itself.
//!
//! Invariant: a stack is not planned by itself while one that it depends on has changes that are not applied, for its
//! plan would be of values that are about to change.

use model::affected::Why;
use model::id::StackName;
use model::plan::PlanDocument;
use model::run::RunState;
use model::stack::{AfterUpstream, ApplyMode};
use model::survey::{Survey, SurveyedStack};

use super::pull::Step;
use super::{answer, apply, line};
use crate::world::{PullWorld, RunRow};

/// The rule of `affected` for stacks that only depend on one that changes.
const EDGE: &str = "depends-on";

/// When a stack is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Now.
    Now,
    /// When these are applied.
    Deferred(Vec<StackName>),
    /// When somebody has mended this one.
    Blocked(StackName),
    /// Not at all: nothing that it reads changes.
    Skipped(String),
}

/// When a stack of a pull request is planned.
pub(crate) fn of(world: &PullWorld, survey: &Survey, stack: &SurveyedStack) -> Order {
    let before = upstream(survey, stack);
    let mut waits = Vec::new();
    let mut changed = Vec::new();
    for other in &before {
        match reached(world, survey, other) {
            Reached::Blocked => return Order::Blocked(other.stack.name.clone()),
            Reached::Pending => waits.push(other.stack.name.clone()),
            Reached::Unchanged => {}
            Reached::Applied(plan) => changed.push((other.stack.name.clone(), plan)),
        }
    }
    if !waits.is_empty() {
        return Order::Deferred(waits);
    }
    match why(survey, &stack.stack.name) {
        Some(why) if skips(stack, why, &changed) => Order::Skipped(reason(&before)),
        _ => Order::Now,
    }
}

/// Stacks of the change that a stack depends on.
fn upstream<'a>(survey: &'a Survey, stack: &SurveyedStack) -> Vec<&'a SurveyedStack> {
    let affected = |name: &StackName| survey.affected.affected.iter().any(|hit| &hit.stack == name);
    let mut names: Vec<&StackName> =
        stack.stack.depends_on.iter().map(|it| &it.stack).filter(|it| affected(it)).collect();
    names.sort();
    names.dedup();
    let found = names.into_iter().filter_map(|name| survey.stack(name));
    found.filter(|it| it.stack.apply != ApplyMode::Never).collect()
}

fn why<'a>(survey: &'a Survey, name: &StackName) -> Option<&'a [Why]> {
    survey.affected.affected.iter().find(|hit| &hit.stack == name).map(|hit| hit.why.as_slice())
}

/// How far a stack that comes first has come.
enum Reached<'a> {
    Pending,
    Blocked,
    Unchanged,
    Applied(Option<&'a PlanDocument>),
}

fn reached<'a>(world: &'a PullWorld, survey: &'a Survey, stack: &'a SurveyedStack) -> Reached<'a> {
    // Cycles are errors of the configuration, so this ends.
    match of(world, survey, stack) {
        Order::Skipped(_) => return Reached::Unchanged,
        Order::Deferred(_) => return Reached::Pending,
        Order::Blocked(_) => return Reached::Blocked,
        Order::Now => {}
    }
    let Some(plan) = answer(world, survey, stack) else { return Reached::Pending };
    match plan.state {
        RunState::NoChange => after_apply(world, stack).map_or(Reached::Unchanged, Reached::Applied),
        RunState::Planned => match apply::of_plan(world, plan).map(|run| run.state) {
            Some(RunState::Applied) => Reached::Applied(plan.document.as_ref()),
            None | Some(RunState::Cancelled) => Reached::Pending,
            Some(state) if state.is_terminal() => Reached::Blocked,
            Some(_) => Reached::Pending,
        },
        RunState::Failed | RunState::TimedOut | RunState::Cancelled => Reached::Blocked,
        _ => Reached::Pending,
    }
}

/// A stack that was applied for this head and was planned again since: what its apply changed.
fn after_apply<'a>(world: &'a PullWorld, stack: &SurveyedStack) -> Option<Option<&'a PlanDocument>> {
    let last = apply::newest(world, &stack.stack.name).filter(|run| run.state == RunState::Applied)?;
    let plan = world.runs.iter().find(|run| Some(run.id) == last.what.plan);
    Some(plan.and_then(|plan| plan.document.as_ref()))
}

/// Is the stack affected only because others come before it, and does nothing that it reads of them change?
fn skips(stack: &SurveyedStack, why: &[Why], changed: &[(StackName, Option<&PlanDocument>)]) -> bool {
    !why.is_empty()
        && why.iter().all(|why| why.rule == EDGE)
        && !changed.iter().any(|(name, plan)| reads(stack, name, *plan))
}

/// Does the stack read something that this apply of the other has changed?
fn reads(stack: &SurveyedStack, other: &StackName, plan: Option<&PlanDocument>) -> bool {
    let mut edges = stack.stack.depends_on.iter().filter(|it| &it.stack == other);
    edges.any(|edge| match (&edge.input, plan) {
        (Some(input), Some(plan)) => plan.outputs.iter().any(|output| output.name == input.output),
        // Without a named output nobody knows what it reads.
        (None, _) | (_, None) => true,
    })
}

fn reason(before: &[&SurveyedStack]) -> String {
    let names: Vec<String> = before.iter().map(|it| format!("`{}`", it.stack.name)).collect();
    format!("nothing that it reads of {} changes", names.join(", "))
}

/// Stacks that go on by themselves when those before them are applied, as their trusted configuration says.
pub(super) fn follow(world: &PullWorld, survey: &Survey) -> Vec<Step> {
    let wants = |stack: &&SurveyedStack| {
        stack.stack.apply_options.after_upstream == AfterUpstream::Apply && stack.stack.apply == ApplyMode::Comment
    };
    let stacks = survey.affected.affected.iter().filter_map(|hit| survey.stack(&hit.stack)).filter(wants);
    stacks.filter_map(|stack| followed(world, survey, stack)).collect()
}

fn followed(world: &PullWorld, survey: &Survey, stack: &SurveyedStack) -> Option<Step> {
    let plan = answer(world, survey, stack)?;
    let after = plan.started_at?;
    // The command that applied what comes first is the one that this follows.
    let first = upstream(survey, stack).into_iter().filter_map(|it| apply::newest(world, &it.stack.name));
    let done = |run: &&RunRow| run.state == RunState::Applied && run.ended_at.is_some_and(|at| at <= after);
    let cause = first.filter(done).max_by_key(|run| run.number)?;
    let free = line::locked(world, stack).is_none() && apply::usable(world, plan).is_ok();
    let ready =
        free && of(world, survey, stack) == Order::Now && apply::holds(world, survey, stack, plan) == Some(true);
    let request = cause.what.request.clone().unwrap_or_default();
    ready.then(|| Step::Create(Box::new(apply::run(survey, plan, &request))))
}

/// What landed: stacks before this one that have not ended, in the same landing.
pub(super) fn landing_before(world: &PullWorld, stack: &SurveyedStack) -> Vec<StackName> {
    let Some(landing) = &world.landing else { return Vec::new() };
    let waits = |name: &StackName| landing.stacks.iter().any(|item| &item.stack == name && item.outcome.is_none());
    let mut names: Vec<StackName> =
        stack.stack.depends_on.iter().map(|it| it.stack.clone()).filter(|name| waits(name)).collect();
    names.sort();
    names.dedup();
    names
}

/// What landed: is the stack only there for others, and has nothing that it reads of them changed?
pub(super) fn landing_skips(world: &PullWorld, survey: &Survey, stack: &SurveyedStack) -> bool {
    let Some(landing) = &world.landing else { return false };
    let plan_of = |run: &RunRow| world.runs.iter().chain(&world.landed).find(|plan| Some(plan.id) == run.what.plan);
    let applied = |name: &StackName| {
        let mine = |run: &&RunRow| &run.what.stack == name && run.state == RunState::Applied;
        let of_landing = |run: &&RunRow| run.what.landing == Some(landing.id) || run.what.landing.is_none();
        world.applies.iter().filter(mine).filter(of_landing).max_by_key(|run| run.number)
    };
    let changed: Vec<(StackName, Option<&PlanDocument>)> = upstream(survey, stack)
        .into_iter()
        .filter_map(|it| applied(&it.stack.name))
        .map(|run| (run.what.stack.clone(), plan_of(run).and_then(|plan| plan.document.as_ref())))
        .collect();
    why(survey, &stack.stack.name).is_some_and(|why| !why.is_empty() && skips(stack, why, &changed))
}

/// Has something that it depends on landed with it?
pub(super) fn landing_follows(survey: &Survey, stack: &SurveyedStack) -> bool {
    !upstream(survey, stack).is_empty()
}
