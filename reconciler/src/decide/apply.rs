//! Which plans are applied, and what stands before that.
//!
//! Owns: accepting applies, their locks, and what follows an apply. Must never accept a plan that was not shown for
//! this head, or a stack whose gates do not hold; the run itself looks again when it starts.

use model::command::{MergeWish, Selector};
use model::plan::{PlanFailure, PlanOptions};
use model::publication::{ApplyStanding, ApplyView, Progress, ReplyPart, RunLink};
use model::pull::PullState;
use model::run::{RunKind, RunState};
use model::stack::ApplyMode;
use model::survey::{Survey, SurveyedStack};

use super::command::{Line, Scene, picked};
use super::pull::Step;
use super::{answer, plannable};
use crate::world::{LockRow, NewRun, PullWorld, RunRow};

/// The newest apply of a plan.
pub(crate) fn of_plan<'a>(world: &'a PullWorld, plan: &RunRow) -> Option<&'a RunRow> {
    world.applies.iter().filter(|run| run.what.plan == Some(plan.id)).max_by_key(|run| run.number)
}

/// How far the plan of a stack is from its apply; `None` when nothing is to be applied.
pub(crate) fn view(world: &PullWorld, survey: &Survey, stack: &SurveyedStack) -> Option<ApplyView> {
    let planned = |run: &&RunRow| world.may_apply && run.state == RunState::Planned;
    let plan = answer(world, survey, stack).filter(planned)?;
    if plan.what.options != PlanOptions::default() {
        return None;
    }
    let apply = of_plan(world, plan).filter(|apply| apply.state != RunState::Cancelled);
    let standing = match apply {
        Some(apply) => under_way(world, plan, apply),
        None => waiting(world, stack),
    };
    Some(ApplyView { mode: stack.stack.apply, standing })
}

fn waiting(world: &PullWorld, stack: &SurveyedStack) -> ApplyStanding {
    if let Some(lock) = foreign_lock(world, stack) {
        let url = format!("{}/{}/pull/{}", world.base_url, world.repo.name, lock.pull);
        return ApplyStanding::Locked { holder: lock.pull, url, since: lock.since };
    }
    match super::gates::unmet(world, stack) {
        waits if waits.is_empty() => ApplyStanding::Ready,
        waits => ApplyStanding::Waits(waits),
    }
}

fn under_way(world: &PullWorld, plan: &RunRow, apply: &RunRow) -> ApplyStanding {
    let changes = plan.document.as_ref().map_or(0, |document| document.changes.len());
    let total = u32::try_from(changes).unwrap_or(u32::MAX).max(apply.done);
    let progress = Progress { done: apply.done, total };
    let run = RunLink { number: apply.number, url: super::publish::run_url(world, apply.number) };
    match apply.state {
        RunState::Queued | RunState::Preparing | RunState::Initializing | RunState::Applying => {
            ApplyStanding::Running(progress)
        }
        RunState::Applied => ApplyStanding::Applied { progress, run, millis: super::publish::millis(apply) },
        RunState::Lost => ApplyStanding::Lost { progress, run },
        RunState::Planning
        | RunState::Planned
        | RunState::NoChange
        | RunState::Cancelled
        | RunState::Superseded
        | RunState::PartlyApplied
        | RunState::Stale
        | RunState::Failed
        | RunState::TimedOut => {
            let failure = apply.failure.clone().unwrap_or_else(|| PlanFailure {
                phase: "apply".to_owned(),
                headline: apply.state.name().to_owned(),
                detail: String::new(),
                file: None,
                line: None,
            });
            ApplyStanding::Failed { progress, run, failure }
        }
    }
}

fn foreign_lock<'a>(world: &'a PullWorld, stack: &SurveyedStack) -> Option<&'a LockRow> {
    world.locks.iter().find(|lock| lock.stack == stack.stack.name && lock.pull != world.pull.number)
}

/// `buildit apply`.
pub(super) fn command(scene: &Scene<'_>, select: &Selector, destroy: bool, merge: Option<&MergeWish>) -> Line {
    if !scene.world.may_apply {
        return Err("this version does not carry out `apply`".to_owned());
    }
    if destroy {
        return Err("this version does not carry out `apply --destroy`".to_owned());
    }
    if let Some(MergeWish::By(method)) = merge {
        return Err(format!("this version does not merge; leave `--merge-method {method}` out and merge by hand"));
    }
    if !plannable(scene.snapshot, scene.survey) {
        return Err("nothing of this pull request may be applied; its check `buildit/plan` says why".to_owned());
    }
    let (mut steps, mut left_out) = (Vec::new(), Vec::new());
    for stack in picked(scene, select)? {
        match ready(scene, stack) {
            Ok(plan) => steps.push(Step::Create(Box::new(apply_run(scene, plan)))),
            // A stack that was named must be ready; of the others those that are.
            Err(reason) if select.is_empty() => left_out.push(format!("`{}`: {reason}", stack.stack.name)),
            Err(reason) => return Err(format!("`{}`: {reason}", stack.stack.name)),
        }
    }
    if steps.is_empty() {
        return Err(match left_out.is_empty() {
            true => "there is nothing to apply".to_owned(),
            false => format!("nothing can be applied now. {}", left_out.join("; ")),
        });
    }
    let told =
        (!left_out.is_empty()).then(|| ReplyPart::Done { message: format!("Left out: {}.", left_out.join("; ")) });
    Ok((steps, told))
}

fn apply_run(scene: &Scene<'_>, plan: &RunRow) -> NewRun {
    NewRun {
        kind: RunKind::Apply,
        plan: Some(plan.id),
        head: scene.survey.head.clone(),
        request: Some(scene.row.id.clone()),
        ..plan.what.clone()
    }
}

/// The plan that may be applied now, or why there is none.
fn ready<'a>(scene: &Scene<'a>, stack: &SurveyedStack) -> Result<&'a RunRow, String> {
    let world = scene.world;
    let plan = answer(world, scene.survey, stack).ok_or("it has no plan for this head")?;
    match plan.state {
        RunState::Planned => {}
        RunState::NoChange => return Err("nothing would change".to_owned()),
        state if state.is_terminal() => return Err(format!("its plan is {}", state.name())),
        _ => return Err("its plan is not made yet".to_owned()),
    }
    if plan.what.options != PlanOptions::default() {
        return Err("its newest plan was made with flags; comment `buildit plan` first".to_owned());
    }
    match of_plan(world, plan).map(|apply| apply.state) {
        None | Some(RunState::Cancelled) => {}
        Some(RunState::Applied) => return Err("it is applied".to_owned()),
        Some(RunState::Lost) => return Err("its last apply was lost; someone must look first".to_owned()),
        Some(state) if !state.is_terminal() => return Err("it is being applied".to_owned()),
        Some(_) => return Err("its plan was used; it is planned again".to_owned()),
    }
    let unseen = plan.ended_at.is_none_or(|ended| ended > scene.row.created_at);
    if unseen {
        return Err("its plan is newer than the comment; read it, then comment again".to_owned());
    }
    mode(scene, stack)?;
    if let Some(lock) = foreign_lock(world, stack) {
        return Err(format!("it is locked by pull request {}", lock.pull));
    }
    match super::gates::unmet(world, stack) {
        waits if waits.is_empty() => Ok(plan),
        waits => Err(format!("waits for {}", waits.join(", "))),
    }
}

fn mode(scene: &Scene<'_>, stack: &SurveyedStack) -> Result<(), String> {
    let open = scene.snapshot.state == PullState::Open;
    let reason = match (stack.stack.apply, open) {
        (ApplyMode::Comment, true) => return Ok(()),
        (ApplyMode::Manual, false) if scene.snapshot.state == PullState::Merged => return Ok(()),
        (ApplyMode::Merge | ApplyMode::Push, true) => "it is applied right after the merge (`apply on=merge`)",
        (ApplyMode::Manual, true) => "it is applied after the merge (`apply on=manual`)",
        (ApplyMode::Never, _) => "it is never applied (`apply on=never`)",
        (_, false) => "the pull request is closed",
    };
    Err(reason.to_owned())
}

/// `buildit unlock`.
pub(super) fn unlock(scene: &Scene<'_>, select: &Selector) -> Line {
    let world = scene.world;
    if !world.may_apply {
        return Err("this version does not carry out `unlock`".to_owned());
    }
    let picked = if select.is_empty() { None } else { Some(picked(scene, select)?) };
    let chosen = |lock: &&LockRow| {
        let named = picked.as_ref().is_none_or(|all| all.iter().any(|stack| stack.stack.name == lock.stack));
        lock.pull == world.pull.number && named
    };
    let locks: Vec<&LockRow> = world.locks.iter().filter(chosen).collect();
    if locks.is_empty() {
        return Err("this pull request holds no lock".to_owned());
    }
    for lock in &locks {
        if world.applies.iter().any(|run| run.what.stack == lock.stack && !run.state.is_terminal()) {
            return Err(format!("`{}` is being applied; `buildit cancel` stops that first", lock.stack));
        }
        if last_apply(world, lock).is_some_and(|run| run.state == RunState::Lost) {
            return Err(format!("the last apply of `{}` was lost; someone must look first", lock.stack));
        }
    }
    Ok((locks.iter().map(|lock| Step::Release { stack: lock.stack.clone() }).collect(), None))
}

fn last_apply<'a>(world: &'a PullWorld, lock: &LockRow) -> Option<&'a RunRow> {
    world.applies.iter().filter(|run| run.what.stack == lock.stack).max_by_key(|run| run.number)
}

/// Locks that nothing holds any more: everything is applied and merged, or closed with nothing applied.
pub(crate) fn releases(world: &PullWorld) -> Vec<Step> {
    let Some(snapshot) = &world.pull.snapshot else { return Vec::new() };
    let mine = world.locks.iter().filter(|lock| lock.pull == world.pull.number);
    let free = mine.filter(|lock| {
        let mut applies = world.applies.iter().filter(|run| run.what.stack == lock.stack);
        match snapshot.state {
            PullState::Open => false,
            PullState::Merged => last_apply(world, lock).is_none_or(|run| run.state == RunState::Applied),
            // What was applied of a pull request that is not merged is ahead of the branch: the lock stays.
            PullState::Closed => {
                applies.all(|run| run.state.is_terminal() && run.done == 0 && run.state != RunState::Lost)
            }
        }
    });
    free.map(|lock| Step::Release { stack: lock.stack.clone() }).collect()
}

/// Plans that show what is left after an apply that did not end well; each once.
pub(crate) fn again(world: &PullWorld, stack: &SurveyedStack) -> Option<String> {
    let last = world.applies.iter().filter(|run| run.what.stack == stack.stack.name).max_by_key(|run| run.number)?;
    let newer = world.runs.iter().any(|run| run.what.stack == stack.stack.name && run.number > last.number);
    let spent = match last.state {
        RunState::PartlyApplied | RunState::Stale | RunState::TimedOut => true,
        RunState::Failed => last.job_started,
        _ => false,
    };
    (spent && !newer).then(|| format!("after:{}", last.id))
}
