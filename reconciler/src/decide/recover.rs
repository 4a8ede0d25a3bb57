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
