//! What a lost apply has left: its state, which is stored after all; what it made, which is brought in; or nothing,
//! which somebody says who looked.
//!
//! Must never plan around a frozen stack: every way on begins with a person.

use model::access::Right;
use model::command::Selector;
use model::id::StackName;
use model::plan::PlanOptions;
use model::pull::PullState;
use model::run::RunState;
use model::survey::SurveyedStack;

use super::apply::{is_frozen, newest, of_plan};
use super::command::{Line, Scene, obstacle, picked};
use super::pull::{Step, into, new_run};
use crate::world::{PullWorld, RunRow};

/// With what the next plan of a stack is made: what is brought in stays so until it is applied, or until somebody says
/// that nothing is missing.
pub(super) fn of(world: &PullWorld, stack: &StackName) -> PlanOptions {
    let plans = world.runs.iter().chain(&world.landed).filter(|run| run.what.stack == *stack);
    let newest = plans.max_by_key(|run| run.number);
    let open = newest.filter(|plan| of_plan(world, plan).is_none_or(|apply| apply.state != RunState::Applied));
    PlanOptions { recovers: open.and_then(|plan| plan.what.options.recovers), ..PlanOptions::default() }
}

/// The lost apply of a frozen stack.
pub(super) fn lost<'a>(world: &'a PullWorld, stack: &StackName) -> Option<&'a RunRow> {
    newest(world, stack).filter(|run| run.state == RunState::Lost && is_frozen(world, stack))
}

/// The version that the lost apply could not make the state.
pub(super) fn unstored(world: &PullWorld, stack: &StackName) -> Option<i64> {
    lost(world, stack).and_then(|_| world.stacks.get(stack)?.unstored)
}

/// Stores what the lost apply could not, if there is something.
pub(super) fn push(scene: &Scene<'_>, stack: &SurveyedStack) -> Result<Option<Step>, String> {
    let name = &stack.stack.name;
    let Some(version) = unstored(scene.world, name) else { return Ok(None) };
    let live = scene.world.stacks.get(name).and_then(|facts| facts.lock.as_ref()).is_some_and(|lock| lock.live);
    if live {
        return Err(format!("the state of `{name}` is being worked on"));
    }
    Ok(Some(Step::PushState { stack: name.clone(), version, by: scene.row.author.clone() }))
}

/// `buildit recover`: plans the import of what a lost apply made and the state does not know.
pub(super) fn command(scene: &Scene<'_>, select: &Selector) -> Line {
    let mut steps = Vec::new();
    for stack in meant(scene, select)? {
        let name = &stack.stack.name;
        let Some(run) = lost(scene.world, name) else { continue };
        scene.may(Right::Recover, &[stack])?;
        if unstored(scene.world, name).is_some() {
            return Err(format!("`{name}`: its state is kept; `buildit approve state -p {name}` stores it"));
        }
        if run.unknown.is_empty() {
            return Err(format!(
                "`{name}`: nothing is known that the state lacks; `buildit approve lost -p {name}` goes on"
            ));
        }
        let options = PlanOptions { recovers: Some(run.id), ..PlanOptions::default() };
        steps.push(Step::Thaw { stack: name.clone() });
        steps.push(plan(scene, stack, options)?);
    }
    if steps.is_empty() { Err("no stack that is meant has lost an apply".to_owned()) } else { Ok((steps, None)) }
}

/// `buildit approve lost`: somebody looked, and nothing is missing.
pub(super) fn approve_lost(scene: &Scene<'_>, select: &Selector) -> Line {
    let mut steps = Vec::new();
    for stack in meant(scene, select)? {
        let name = &stack.stack.name;
        let frozen = is_frozen(scene.world, name);
        if !frozen && of(scene.world, name).recovers.is_none() {
            continue;
        }
        stack.stack.access.may(Right::ApproveLost, &scene.person()).map_err(|reason| format!("`{name}`: {reason}"))?;
        steps.push(match frozen {
            true => Step::Thaw { stack: name.clone() },
            false => plan(scene, stack, PlanOptions::default())?,
        });
    }
    if steps.is_empty() { Err("no stack that is meant is frozen".to_owned()) } else { Ok((steps, None)) }
}

fn meant<'a>(scene: &Scene<'a>, select: &Selector) -> Result<Vec<&'a SurveyedStack>, String> {
    if select.is_empty() { Ok(scene.survey.stacks.iter().collect()) } else { picked(scene, select) }
}

/// A plan of the pull request, or of what landed of it.
fn plan(scene: &Scene<'_>, stack: &SurveyedStack, options: PlanOptions) -> Result<Step, String> {
    let (world, survey) = (scene.world, scene.survey);
    let merged = scene.snapshot.state == PullState::Merged;
    let landing = world.landing.as_ref().filter(|landing| merged && !landing.done);
    if let Some(reason) = obstacle(world, scene.snapshot, survey).filter(|_| landing.is_none()) {
        return Err(reason);
    }
    let hit = survey.affected.affected.iter().find(|hit| hit.stack == stack.stack.name);
    let why = hit.map(|hit| hit.why.clone()).unwrap_or_default();
    let run = new_run(survey, stack, &why, options, Some(scene.row.id.clone()));
    let mut run = into(scene.snapshot, run.ok_or("the pull request has merge conflicts")?);
    if let Some(landing) = landing {
        run.landing = Some(landing.id);
        run.detail.into.clone_from(&landing.branch);
    }
    Ok(Step::Create(Box::new(run)))
}

#[cfg(test)]
mod tests {
    use model::pull::Role;
    use model::run::RunKind;
    use model::time::Timestamp;

    use super::super::{command, sample};
    use super::*;
    use crate::world::CommandRow;

    /// Its first stack, `dns`, was applied, and that was lost.
    fn world(unknown: &[&str], unstored: Option<i64>) -> PullWorld {
        let mut world = sample::world();
        sample::settle(&mut world);
        world.may_apply = true;
        world.runs.iter_mut().for_each(|run| run.state = RunState::Planned);
        let plan = world.runs[0].clone();
        let mut lost = RunRow { state: RunState::Lost, number: model::id::RunNumber::new(9), ..plan.clone() };
        lost.id = model::id::RunId::parse("00000000-0000-7000-8000-000000000009").expect("a UUID");
        (lost.what.kind, lost.what.plan) = (RunKind::Apply, Some(plan.id));
        lost.unknown = unknown.iter().map(|it| (*it).to_owned()).collect();
        world.applies.push(lost);
        let facts = world.stacks.entry(plan.what.stack).or_default();
        (facts.frozen, facts.unstored) = (Some("lost".to_owned()), unstored);
        world
    }

    fn dns() -> StackName {
        StackName::parse("dns").expect("a name")
    }

    /// What comes of a comment: its steps, or why it is refused.
    fn said(world: &mut PullWorld, role: Role, body: &str) -> String {
        world.commands = vec![CommandRow {
            id: "c".to_owned(),
            comment: None,
            author: "ann".to_owned(),
            bot: false,
            edited: false,
            body: body.to_owned(),
            created_at: Timestamp::from_seconds(50),
            role: Some(role),
            done: false,
            outcome: None,
        }];
        let steps = command::decide(world);
        let [Step::Answer { outcome, steps, .. }] = steps.as_slice() else { panic!("{steps:?}") };
        let step = |step: &Step| match step {
            Step::Thaw { stack } => format!("thaw {stack}"),
            Step::PushState { stack, version, by } => format!("{by} stores version {version} of {stack}"),
            Step::Create(run) if run.options.recovers.is_some() => format!("plan {} with imports", run.stack),
            Step::Create(run) => format!("plan {}", run.stack),
            other => format!("{other:?}"),
        };
        let mut told: Vec<String> = steps.iter().map(step).collect();
        let parts = outcome.iter().flat_map(|outcome| &outcome.parts);
        told.extend(parts.map(|part| match part {
            model::publication::ReplyPart::Refused { reason } => format!("refused: {reason}"),
            other => format!("{other:?}"),
        }));
        told.join("\n")
    }

    #[test]
    fn one_way_on_is_open_and_the_others_say_which() {
        let mut missing = world(&["x.a"], None);
        insta::assert_snapshot!(said(&mut missing, Role::Maintain, "buildit recover -p dns"), @r"
        thaw dns
        plan dns with imports
        ");
        insta::assert_snapshot!(said(&mut missing, Role::Write, "buildit recover -p dns"), @"refused: `dns`: `recover` needs the right to maintain here; yours is write");
        insta::assert_snapshot!(said(&mut missing, Role::Maintain, "buildit recover -p network"), @"refused: no stack that is meant has lost an apply");
        insta::assert_snapshot!(said(&mut missing, Role::Maintain, "buildit approve state"), @"refused: no state that is meant has moved, or waits to be stored");
        let mut kept = world(&["x.a"], Some(3));
        insta::assert_snapshot!(said(&mut kept, Role::Maintain, "buildit recover -p dns"), @"refused: `dns`: its state is kept; `buildit approve state -p dns` stores it");
        insta::assert_snapshot!(said(&mut kept, Role::Maintain, "buildit approve state"), @r"
        ann stores version 3 of dns
        thaw dns
        ");
        insta::assert_snapshot!(said(&mut kept, Role::Write, "buildit approve state"), @"refused: `dns`: `approve state` needs the right to maintain here; yours is write");
        let mut nothing = world(&[], None);
        insta::assert_snapshot!(said(&mut nothing, Role::Maintain, "buildit recover -p dns"), @"refused: `dns`: nothing is known that the state lacks; `buildit approve lost -p dns` goes on");
        insta::assert_snapshot!(said(&mut nothing, Role::Maintain, "buildit approve lost"), @"thaw dns");
    }

    #[test]
    fn what_is_brought_in_stays_until_it_is_applied_or_taken_back() {
        let mut world = world(&["x.a"], None);
        let lost = world.applies[0].id;
        assert_eq!(of(&world, &dns()).recovers, None);
        let mut plan = RunRow { number: model::id::RunNumber::new(10), ..world.runs[0].clone() };
        plan.id = model::id::RunId::parse("00000000-0000-7000-8000-000000000010").expect("a UUID");
        plan.what.options.recovers = Some(lost);
        world.runs.push(plan.clone());
        world.stacks.entry(dns()).or_default().frozen = None;
        assert_eq!(of(&world, &dns()).recovers, Some(lost));
        insta::assert_snapshot!(said(&mut world, Role::Write, "buildit plan -p dns"), @"plan dns with imports");
        insta::assert_snapshot!(said(&mut world, Role::Maintain, "buildit approve lost -p dns"), @"plan dns");
        insta::assert_snapshot!(said(&mut world, Role::Write, "buildit approve lost -p dns"), @"refused: `dns`: `approve lost` needs the right to maintain here; yours is write");
        let mut apply = RunRow { state: RunState::PartlyApplied, ..world.applies[0].clone() };
        (apply.number, apply.what.plan) = (model::id::RunNumber::new(11), Some(plan.id));
        world.applies.push(apply);
        assert_eq!(of(&world, &dns()).recovers, Some(lost), "what is left of it");
        world.applies[1].state = RunState::Applied;
        assert_eq!(of(&world, &dns()).recovers, None);
    }
}
