//! From rows to decisions: which runs there should be, and what people should see.
//!
//! Invariant: synchronous and total. No store, no port, no clock: a world goes in, a value comes out, and a
//! decision that was carried out leads to the empty decision.

pub(crate) mod apply;
pub(crate) mod command;
mod config;
pub(crate) mod gates;
pub(crate) mod group;
pub(crate) mod landing;
pub(crate) mod line;
pub(crate) mod merge;
pub(crate) mod notice;
pub(crate) mod order;
pub(crate) mod publish;
pub(crate) mod pull;
pub(crate) mod recover;
pub(crate) mod run;
pub(crate) mod start;

use model::id::StackName;
use model::plan::{PlanDocument, StateSeen};
use model::pull::{PullSnapshot, PullState};
use model::run::{RunState, Wanted};
use model::survey::{BaseTrust, Survey, SurveyedStack};

use crate::world::{PullWorld, RunRow};

/// Under this key a survey is stored: it is old when one of these moved.
pub(crate) fn survey_key(world: &PullWorld) -> Option<String> {
    let s = world.pull.snapshot.as_ref()?;
    let tip = world.pull.default_tip.as_ref().map_or("", |tip| tip.as_str());
    Some(format!("{} {} {} {tip}", s.base_branch, s.base, s.head))
}

/// The survey of what the facts name; of a merged pull request the one of what landed, of a closed one that of its
/// head, since its base goes on.
fn current_survey(world: &PullWorld) -> Option<&Survey> {
    let snapshot = world.pull.snapshot.as_ref()?;
    if let Some(landed) = landing::survey(world, snapshot) {
        return Some(landed);
    }
    let survey = world.pull.survey.as_ref()?;
    let current = match snapshot.state {
        PullState::Open => world.pull.survey_key == survey_key(world),
        PullState::Closed | PullState::Merged => survey.head == snapshot.head,
    };
    current.then_some(survey)
}

/// Did a person let this head of a fork be planned?
fn is_allowed(world: &PullWorld, snapshot: &PullSnapshot) -> bool {
    world.pull.allowed.as_deref() == Some(snapshot.head.as_str())
}

/// May anything be planned at all?
fn plannable(world: &PullWorld, snapshot: &PullSnapshot, survey: &Survey) -> bool {
    survey.configured
        && (!snapshot.fork || is_allowed(world, snapshot))
        && survey.base_trust != BaseTrust::Untrusted
        && !survey.diagnostics.has_errors()
        && survey.conflicts.is_empty()
        && survey.plan_tree.is_some()
}

/// Is this stack planned without being asked?
fn automatic(snapshot: &PullSnapshot, stack: &SurveyedStack) -> bool {
    stack.stack.plan.auto && (!snapshot.draft || stack.stack.plan.drafts)
}

/// The newest run of a stack.
fn newest<'a>(world: &'a PullWorld, stack: &StackName) -> Option<&'a RunRow> {
    world.runs.iter().filter(|run| &run.what.stack == stack).max_by_key(|run| run.number)
}

/// The run that speaks for a stack now: its newest, made for this head, or carried to it because what it saw is
/// equal. An end that was not a plan is not carried: a push is a reason to try again. What the stack's state was may
/// have moved since it was made.
fn speaker<'a>(
    world: &'a PullWorld,
    snapshot: &PullSnapshot,
    survey: &Survey,
    stack: &SurveyedStack,
) -> Option<&'a RunRow> {
    let run = newest(world, &stack.stack.name)?;
    if run.what.inputs != pull::inputs(stack) || run.wanted == Wanted::Supersede {
        return None;
    }
    if run.what.detail.into != snapshot.base_branch {
        return None;
    }
    let open = snapshot.state == PullState::Open;
    let cut_off = !matches!(run.state, RunState::Planned | RunState::NoChange | RunState::Failed | RunState::TimedOut);
    if open && run.wanted == Wanted::Close && cut_off {
        return None;
    }
    let here = run.what.head == survey.head;
    let carried = run.what.options.is_whole() && run.wanted == Wanted::Run;
    match run.state {
        RunState::Superseded
        | RunState::Applying
        | RunState::Applied
        | RunState::PartlyApplied
        | RunState::Stale
        | RunState::Lost => None,
        RunState::Failed | RunState::Cancelled | RunState::TimedOut => here.then_some(run),
        RunState::Queued
        | RunState::Preparing
        | RunState::Initializing
        | RunState::Planning
        | RunState::Planned
        | RunState::NoChange => (here || carried).then_some(run),
    }
}

/// The same, of the state that there is now.
fn answer<'a>(world: &'a PullWorld, survey: &Survey, stack: &SurveyedStack) -> Option<&'a RunRow> {
    let snapshot = world.pull.snapshot.as_ref()?;
    speaker(world, snapshot, survey, stack).filter(|run| !overtaken(world, run))
}

/// Addresses, outputs and means whose items differ between two plans.
fn differing(before: &PlanDocument, after: &PlanDocument) -> Vec<String> {
    differing_items(&before.fingerprint.items, &after.fingerprint.items)
}

fn differing_items(before: &[(String, String)], after: &[(String, String)]) -> Vec<String> {
    let only = |a: &[(String, String)], b: &[(String, String)]| -> Vec<String> {
        a.iter().filter(|item| !b.contains(item)).map(|(key, _)| key.clone()).collect()
    };
    let mut changed = only(before, after);
    changed.extend(only(after, before));
    changed.sort();
    changed.dedup();
    changed
}

/// Is the stack's state not what the plan saw: was something else applied since it began, is something being applied,
/// or did somebody write it by hand? The plan's own apply does not count.
fn overtaken(world: &PullWorld, plan: &RunRow) -> bool {
    let Some(facts) = world.stacks.get(&plan.what.stack) else { return false };
    let last = facts.last.as_ref();
    if plan.started_at.is_none() || last.is_some_and(|last| last.plan == Some(plan.id)) {
        return false;
    }
    let after = |ended| plan.started_at.is_some_and(|started| started < ended);
    let moved = |(name, seen): (&StackName, &StateSeen)| {
        world.stacks.get(name).and_then(|facts| facts.state.as_ref()).is_some_and(|state| !seen.is_like(state))
    };
    if plan.upstream.iter().any(moved) {
        return true;
    }
    let written = match (&plan.state_seen, &facts.state) {
        (Some(seen), Some(state)) => !seen.is_like(state),
        _ => false,
    };
    written || last.is_some_and(|last| last.ended_at.is_none_or(after))
}

/// Is the stack being applied by anybody?
fn is_being_applied(world: &PullWorld, stack: &StackName) -> bool {
    let last = world.stacks.get(stack).and_then(|facts| facts.last.as_ref());
    last.is_some_and(|last| last.ended_at.is_none())
}

#[cfg(test)]
pub(crate) mod sample;
