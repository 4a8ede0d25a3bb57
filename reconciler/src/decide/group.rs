//! Groups of a merge queue: would merging these pull requests together do what was reviewed of each?
//!
//! Invariant: a group that would do something else never passes; what two of its members change differently names
//! both.

use std::collections::BTreeMap;

use model::id::{PullNumber, StackName};
use model::plan::PlanOptions;
use model::publication::{Check, CheckName, ConfigView, GroupRowView, GroupStand, GroupView, View};
use model::run::{RunState, Wanted};
use model::stack::ApplyMode;
use model::survey::{Survey, SurveyedStack};

use super::pull::{Step, inputs, new_run};
use super::{apply, config, landing, overtaken, speaker};
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
        .filter(|stack| stack.stack.not_yet.is_empty())
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
    world.members.iter().filter(affects).map(|member| (member, reviewed(world, member, stack))).collect()
}

/// The plan that a member shows of a stack, as long as its head is the one that the group has.
fn reviewed<'a>(world: &GroupWorld, member: &'a PullWorld, stack: &StackName) -> Option<&'a RunRow> {
    let (snapshot, survey) = (member.pull.snapshot.as_ref()?, member.pull.survey.as_ref()?);
    world.row.group.members.iter().find(|it| it.number == member.pull.number && it.head == snapshot.head)?;
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
    if let Some(needs) = stack.stack.not_yet.first() {
        return GroupStand::Failed { why: format!("it needs {}", needs.what) };
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

fn changed_config(member: &PullWorld) -> Option<(PullNumber, ConfigView)> {
    Some((member.pull.number, config::view(member, member.pull.survey.as_ref()?)?))
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
        configs: world.members.iter().filter_map(changed_config).collect(),
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
    let mut names = vec![CheckName::Plan];
    names.extend((!view.configs.is_empty()).then_some(CheckName::Config));
    names.extend(world.may_apply.then_some(CheckName::Apply));
    names.into_iter().map(check).collect()
}

#[cfg(test)]
mod tests {
    use model::group::{GroupMember, MergeGroup};
    use model::id::CommitSha;
    use model::plan::Fingerprint;

    use super::*;
    use crate::decide::sample;
    use crate::world::GroupRow;

    /// A plan of each stack with these items, as the pull request of this number shows it.
    fn member(number: i64, items: &[(&str, &str)]) -> PullWorld {
        let mut world = sample::world();
        world.pull.number = PullNumber::new(number);
        sample::settle(&mut world);
        let document = sample::document(items);
        for run in &mut world.runs {
            (run.state, run.document) = (RunState::Planned, Some(document.clone()));
        }
        world
    }

    /// They are tested together, and its `network` is not as any of them has it.
    fn group(members: Vec<PullWorld>, items: &[(&str, &str)]) -> GroupWorld {
        let first = members.first().expect("somebody");
        let mut survey = first.pull.survey.clone().expect("sampled");
        survey.stacks[1].inputs_digest = "together".to_owned();
        let head = survey.head.clone();
        let listed = members.iter().map(|it| {
            let snapshot = it.pull.snapshot.as_ref().expect("sampled");
            GroupMember { number: it.pull.number, head: snapshot.head.clone() }
        });
        let mut run = first.runs.iter().find(|run| run.what.stack.as_str() == "network").expect("planned").clone();
        let document = run.document.as_mut().expect("planned");
        let items = items.iter().map(|(key, hash)| ((*key).to_owned(), (*hash).to_owned())).collect();
        document.fingerprint = Fingerprint { items, ..document.fingerprint.clone() };
        let row = GroupRow {
            branch: "gh-readonly-queue/main/pr-2-x".to_owned(),
            base_branch: "main".to_owned(),
            group: MergeGroup { base: survey.base.clone(), members: listed.collect() },
            head,
            survey: Some(survey),
        };
        GroupWorld {
            base_url: "http://b".to_owned(),
            may_apply: true,
            repo: first.repo.clone(),
            row,
            members,
            waiting: Vec::new(),
            runs: vec![run],
            publications: Vec::new(),
        }
    }

    /// How `network` stands.
    fn network(world: &GroupWorld) -> GroupStand {
        let survey = world.row.survey.as_ref().expect("sampled");
        stand(world, survey, &StackName::parse("network").expect("a name"))
    }

    const ONE: &[(&str, &str)] = &[("a", "1")];
    const TWO: &[(&str, &str)] = &[("b", "2")];
    const BOTH: &[(&str, &str)] = &[("a", "1"), ("b", "2")];

    #[test]
    fn a_group_does_what_its_members_do_together_and_nothing_else() {
        let of = |items| network(&group(vec![member(1, ONE), member(2, TWO)], items));
        assert_eq!(of(BOTH), GroupStand::Same);
        assert_eq!(of(ONE), GroupStand::Differs { delta: vec!["b".to_owned()] });
        assert_eq!(of(&[("a", "1"), ("b", "2"), ("c", "3")]), GroupStand::Differs { delta: vec!["c".to_owned()] });
        assert_eq!(of(&[("a", "1"), ("b", "3")]), GroupStand::Differs { delta: vec!["b".to_owned()] });
        let clash = network(&group(vec![member(1, ONE), member(2, &[("a", "2")])], ONE));
        let (one, other) = (PullNumber::new(1), PullNumber::new(2));
        assert_eq!(clash, GroupStand::Clash { address: "a".to_owned(), one, other });
    }

    #[test]
    fn what_was_merged_before_and_is_not_applied_is_expected() {
        let mut world = group(vec![member(2, TWO), member(3, &[])], BOTH);
        assert_eq!(network(&world), GroupStand::Differs { delta: vec!["a".to_owned()] });
        world.waiting.push(member(1, ONE));
        assert_eq!(network(&world), GroupStand::Same);
    }

    #[test]
    fn a_member_that_was_pushed_to_since_counts_for_nothing() {
        let mut world = group(vec![member(1, ONE), member(2, TWO)], BOTH);
        world.row.group.members[1].head = CommitSha::parse(&"e".repeat(40)).expect("a commit");
        assert_eq!(network(&world), GroupStand::Unreviewed { pull: PullNumber::new(2) });
    }

    #[test]
    fn what_waits_for_somebody_is_not_planned_and_does_not_pass() {
        let mut world = group(vec![member(1, ONE), member(2, TWO)], BOTH);
        world.runs.clear();
        let planned = |world: &GroupWorld| decide(world).len();
        assert_eq!((planned(&world), network(&world)), (2, GroupStand::Planning));
        let survey = world.row.survey.as_mut().expect("sampled");
        survey.stacks[1].stack.not_yet.push(sample::secret());
        let why = "it needs the secret `A`".to_owned();
        assert_eq!((planned(&world), network(&world)), (1, GroupStand::Failed { why }));
    }
}
