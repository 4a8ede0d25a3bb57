//! Groups of a merge queue: would merging these pull requests together do what was reviewed of each?
//!
//! Invariant: a group that would do something else never passes; what two of its members change differently names
//! both.

use std::collections::BTreeMap;

use model::id::{PullNumber, StackName};
use model::plan::PlanOptions;
use model::publication::{Check, CheckName, GroupRowView, GroupStand, GroupView, View};
use model::run::{RunState, Wanted};
use model::stack::ApplyMode;
use model::survey::{Survey, SurveyedStack};

use super::pull::{Step, inputs, new_run};
use super::{apply, landing, overtaken, speaker};
use crate::world::{GroupWorld, PullWorld, RunRow};

/// Items of fingerprints.
type Items = BTreeMap<String, String>;

/// What a group needs now.
pub(crate) fn decide(world: &GroupWorld) -> Vec<Step> {
    let Some(survey) = &world.row.survey else { return Vec::new() };
    let stacks = landing::served(survey);
    let missing = stacks
        .iter()
        .filter_map(|name| survey.stack(name))
        .filter(|stack| reviewed_alone(world, stack).is_none() && plan(world, &stack.stack.name).is_none());
    missing.filter_map(|stack| create(world, survey, stack)).collect()
}

fn create(world: &GroupWorld, survey: &Survey, stack: &SurveyedStack) -> Option<Step> {
    let why = survey.affected.affected.iter().find(|hit| hit.stack == stack.stack.name).map(|hit| hit.why.clone());
    let request = Some(world.row.request());
    let mut run = new_run(survey, stack, &why.unwrap_or_default(), PlanOptions::default(), request)?;
    run.detail.into.clone_from(&world.row.branch);
    Some(Step::Create(Box::new(run)))
}

/// Ends the runs of a group that the queue has dissolved, or that has another head now.
pub(crate) fn end(runs: &[RunRow]) -> Vec<Step> {
    let live = runs.iter().filter(|run| !run.state.is_terminal() && run.wanted == Wanted::Run);
    live.map(|run| Step::Want { run: run.id, wanted: Wanted::Supersede }).collect()
}

/// The newest plan of the group itself.
fn plan<'a>(world: &'a GroupWorld, stack: &StackName) -> Option<&'a RunRow> {
    world.runs.iter().filter(|run| &run.what.stack == stack).max_by_key(|run| run.number)
}

/// Members that change a stack, each with the plan that was reviewed of it.
fn changing<'a>(world: &'a GroupWorld, stack: &StackName) -> Vec<(&'a PullWorld, Option<&'a RunRow>)> {
    let affects = |member: &&PullWorld| {
        let survey = member.pull.survey.as_ref();
        survey.is_none_or(|survey| survey.affected.affected.iter().any(|hit| &hit.stack == stack))
    };
    world.members.iter().filter(affects).map(|member| (member, reviewed(member, stack))).collect()
}

fn reviewed<'a>(member: &'a PullWorld, stack: &StackName) -> Option<&'a RunRow> {
    let (snapshot, survey) = (member.pull.snapshot.as_ref()?, member.pull.survey.as_ref()?);
    let plan = speaker(member, snapshot, survey, survey.stack(stack)?)?;
    matches!(plan.state, RunState::Planned | RunState::NoChange).then_some(plan)
}

/// One member changes the stack, and its plan saw what the group has: nothing else can come of it.
fn reviewed_alone<'a>(world: &'a GroupWorld, stack: &SurveyedStack) -> Option<(&'a PullWorld, &'a RunRow)> {
    match changing(world, &stack.stack.name)[..] {
        [(member, Some(plan))] => {
            let same = plan.what.inputs == inputs(stack) && !overtaken(member, plan);
            same.then_some((member, plan))
        }
        _ => None,
    }
}

/// How a stack of the group stands.
fn stand(world: &GroupWorld, survey: &Survey, name: &StackName) -> GroupStand {
    let Some(stack) = survey.stack(name) else { return GroupStand::Same };
    let before = stack.stack.apply == ApplyMode::Comment;
    if let Some((member, plan)) = reviewed_alone(world, stack) {
        return match (plan.state, before) {
            (RunState::Planned, true) if !is_applied(member, plan) => {
                GroupStand::Unapplied { pull: member.pull.number }
            }
            _ => GroupStand::Same,
        };
    }
    let Some(run) = plan(world, name) else { return GroupStand::Planning };
    match run.state {
        RunState::Planned | RunState::NoChange => compare(world, name, run, before),
        state if !state.is_terminal() => GroupStand::Planning,
        state => {
            let why = run.failure.as_ref().map_or_else(|| state.name().to_owned(), |failure| failure.headline.clone());
            GroupStand::Failed { why }
        }
    }
}

fn is_applied(member: &PullWorld, plan: &RunRow) -> bool {
    apply::of_plan(member, plan).is_some_and(|run| run.state == RunState::Applied)
}

/// Does the group's own plan do what was reviewed of its members, and of what was merged before and is not applied?
fn compare(world: &GroupWorld, name: &StackName, run: &RunRow, before: bool) -> GroupStand {
    let mut expected = Items::new();
    let mut whose: BTreeMap<&str, PullNumber> = BTreeMap::new();
    for (member, plan) in changing(world, name) {
        let number = member.pull.number;
        let Some(plan) = plan else { return GroupStand::Unreviewed { pull: number } };
        // What is applied already shows no more.
        if before {
            if plan.state == RunState::Planned && !is_applied(member, plan) {
                return GroupStand::Unapplied { pull: number };
            }
            continue;
        }
        for (key, hash) in plan.document.iter().flat_map(|document| &document.fingerprint.items) {
            let other = expected.insert(key.clone(), hash.clone()).filter(|known| known != hash);
            if let (Some(_), Some(first)) = (other, whose.get(key.as_str())) {
                return GroupStand::Clash { address: key.clone(), one: *first, other: number };
            }
            whose.insert(key, number);
        }
    }
    for waiting in &world.waiting {
        let plans = waiting.landed.iter().chain(&waiting.runs).filter(|plan| &plan.what.stack == name);
        let newest = plans.max_by_key(|plan| plan.number).and_then(|plan| plan.document.as_ref());
        let items = newest.iter().flat_map(|document| document.fingerprint.items.clone());
        items.for_each(|(key, hash)| {
            expected.entry(key).or_insert(hash);
        });
    }
    let found: Items = run.document.iter().flat_map(|document| document.fingerprint.items.clone()).collect();
    let mut delta: Vec<String> = differing(&found, &expected).chain(differing(&expected, &found)).collect();
    delta.sort();
    delta.dedup();
    // What a plan is made with stands in the items of any change; without one there is none.
    delta.retain(|key| !super::publish::is_means(key) || (!found.is_empty() && !expected.is_empty()));
    if delta.is_empty() { GroupStand::Same } else { GroupStand::Differs { delta } }
}

fn differing<'a>(one: &'a Items, other: &'a Items) -> impl Iterator<Item = String> + 'a {
    one.iter().filter(|(key, hash)| other.get(*key) != Some(hash)).map(|(key, _)| key.clone())
}

/// What stands on the group's commit.
pub(crate) fn checks(world: &GroupWorld) -> Vec<Check> {
    let Some(survey) = world.row.survey.as_ref().filter(|survey| survey.configured) else { return Vec::new() };
    let rows = landing::served(survey).into_iter().map(|stack| {
        let stand = stand(world, survey, &stack);
        let run = plan(world, &stack).map(|run| super::publish::run_link(&world.base_url, run.number));
        GroupRowView { stack, stand, run }
    });
    let view = GroupView {
        repo: world.repo.name.clone(),
        base_branch: world.row.base_branch.clone(),
        head: world.row.head.clone(),
        members: world.row.group.members.iter().map(|member| member.number).collect(),
        errors: survey.diagnostics.errors().next().map(|error| error.summary.clone()),
        rows: rows.collect(),
    };
    let check = |name: CheckName| Check {
        external_id: format!("{}@{}:{name}", view.repo, view.head),
        name,
        details_url: world.base_url.clone(),
        view: View::Group(Box::new(view.clone())),
        started_at: None,
        completed_at: None,
        actions: Vec::new(),
    };
    // A queue waits for whatever is required of a pull request.
    let mut names = vec![CheckName::Plan, CheckName::Config];
    names.extend(world.may_apply.then_some(CheckName::Apply));
    names.into_iter().map(check).collect()
}
