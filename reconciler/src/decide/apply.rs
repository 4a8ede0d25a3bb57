//! Which plans are applied, and what stands before that.
//!
//! Owns: accepting applies, their locks, and what follows an apply. Must never accept a plan that was not shown for
//! this head, or a stack whose gates do not hold; the run itself looks again when it starts.

use model::access::Right;
use model::command::Selector;
use model::gate::{Gate, Outcome as Holds};
use model::id::StackName;
use model::plan::{PlanFailure, StateSeen};
use model::publication::{ApplyStanding, ApplyView, Progress, ReplyPart, RunLink};
use model::pull::PullState;
use model::run::{RunKind, RunState};
use model::stack::ApplyMode;
use model::survey::{BaseTrust, Survey, SurveyedStack};

use super::command::{Line, Scene, picked};
use super::gates::Beside;
use super::order::{self, Order};
use super::pull::Step;
use super::{answer, gates, landing, line, plannable, recover};
use crate::world::{LockKey, NewRun, PullWorld, RunRow, ShownRow, StackFacts, Waiter};

/// The newest apply of a plan.
pub(crate) fn of_plan<'a>(world: &'a PullWorld, plan: &RunRow) -> Option<&'a RunRow> {
    world.applies.iter().filter(|run| run.what.plan == Some(plan.id)).max_by_key(|run| run.number)
}

/// Was the apply cancelled before it began? Its plan was not used then.
fn called_off(apply: &RunRow) -> bool {
    apply.state == RunState::Cancelled && apply.epoch.is_none()
}

/// The newest apply of a stack in this pull request.
pub(super) fn newest<'a>(world: &'a PullWorld, stack: &StackName) -> Option<&'a RunRow> {
    world.applies.iter().filter(|run| &run.what.stack == stack).max_by_key(|run| run.number)
}

/// The lock of a stack; `None` when it has none.
pub(super) fn key(world: &PullWorld, stack: &SurveyedStack) -> Option<LockKey> {
    let landed = world.landing.as_ref().map(|landing| &landing.branch);
    let branch = world.pull.snapshot.as_ref().map(|snapshot| &snapshot.base_branch).or(landed)?;
    LockKey::of(&stack.stack, branch)
}

/// How far the plan of a stack is from its apply; `None` when nothing is to be applied.
pub(crate) fn view(world: &PullWorld, survey: &Survey, stack: &SurveyedStack) -> Option<ApplyView> {
    let planned = |run: &&RunRow| world.may_apply && is_trusted(survey) && run.state == RunState::Planned;
    let plan = answer(world, survey, stack).filter(planned)?;
    if !plan.what.options.is_whole() {
        return None;
    }
    let apply = of_plan(world, plan).filter(|apply| !called_off(apply));
    let (standing, gates) = match apply {
        Some(apply) => (under_way(world, Some(plan), apply), Vec::new()),
        None => waiting(world, survey, stack, plan),
    };
    let standing = stopped(world, plan).unwrap_or(standing);
    Some(ApplyView { mode: stack.stack.apply, standing, gates, merged: false })
}

fn waiting(world: &PullWorld, survey: &Survey, stack: &SurveyedStack, plan: &RunRow) -> (ApplyStanding, Vec<Gate>) {
    let judged = gates::judge(world, survey, stack, plan, Beside::default());
    let ready = judged.unmet().next().is_none();
    let standing = match line::locked(world, stack) {
        Some(locked) => locked,
        None if ready => ApplyStanding::Ready,
        None => ApplyStanding::Waits,
    };
    let mut gates = judged.into_gates();
    gates.extend(not_started(world, plan));
    (standing, gates)
}

/// Why the last apply of the plan was not started, although it had been accepted: whoever asked reads it here.
fn not_started(world: &PullWorld, plan: &RunRow) -> Option<Gate> {
    let out_of_date = || made_after(world, plan).filter(|apply| apply.state == RunState::Stale);
    let last = of_plan(world, plan).filter(|apply| called_off(apply)).or_else(out_of_date)?;
    let why = last.failure.as_ref().filter(|failure| failure.phase == "start")?;
    Some(Gate::new("last-apply", Holds::Fail, why.headline.clone()).titled("the last `buildit apply`"))
}

/// The apply that stopped, of which this plan shows what is left: that is said until it is applied.
fn stopped(world: &PullWorld, plan: &RunRow) -> Option<ApplyStanding> {
    let apply = made_after(world, plan)?;
    let unused = of_plan(world, plan).is_none_or(called_off);
    let failed =
        matches!(apply.state, RunState::PartlyApplied | RunState::Failed | RunState::TimedOut | RunState::Cancelled);
    let before = world.runs.iter().find(|run| Some(run.id) == apply.what.plan);
    (unused && failed).then(|| under_way(world, before, apply))
}

/// The apply after whose end the plan was made, to show what is left.
fn made_after<'a>(world: &'a PullWorld, plan: &RunRow) -> Option<&'a RunRow> {
    let id = plan.what.request.as_deref()?.strip_prefix(AFTER)?;
    world.applies.iter().find(|run| run.id.to_string() == id)
}

/// Requests of plans that show what an apply has left begin so.
const AFTER: &str = "after:";

pub(super) fn under_way(world: &PullWorld, plan: Option<&RunRow>, apply: &RunRow) -> ApplyStanding {
    let changes = plan.and_then(|plan| plan.document.as_ref()).map_or(0, |document| document.changes.len());
    let total = u32::try_from(changes).unwrap_or(u32::MAX).max(apply.done);
    let progress = Progress { done: apply.done, total };
    let run = RunLink { number: apply.number, url: super::publish::run_url(world, apply.number) };
    match apply.state {
        RunState::Queued | RunState::Preparing | RunState::Initializing | RunState::Applying => {
            ApplyStanding::Running(progress)
        }
        // Of imports and moves the tools do not tell one by one.
        RunState::Applied => ApplyStanding::Applied {
            progress: Progress { done: total, total },
            run,
            millis: super::publish::millis(apply),
        },
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

/// Is the base one whose rules count? Into any other branch nothing is applied: whoever may push to it would decide
/// what is asked for.
pub(super) fn is_trusted(survey: &Survey) -> bool {
    survey.base_trust == BaseTrust::Trusted
}

/// Stacks of this pull request that a stack depends on and that are not applied yet.
pub(crate) fn waits_for(world: &PullWorld, survey: &Survey, stack: &SurveyedStack) -> Vec<StackName> {
    let first = stack.stack.depends_on.iter().map(|it| &it.stack);
    first.filter(|name| pending(world, survey, name)).cloned().collect()
}

/// Has the pull request changes for the stack that are not applied?
fn pending(world: &PullWorld, survey: &Survey, name: &StackName) -> bool {
    let affected = survey.affected.affected.iter().any(|hit| &hit.stack == name);
    let Some(stack) = survey.stack(name).filter(|stack| affected && stack.stack.apply != ApplyMode::Never) else {
        return false;
    };
    if matches!(order::of(world, survey, stack), Order::Skipped(_)) {
        return false;
    }
    match answer(world, survey, stack) {
        Some(plan) if plan.state == RunState::NoChange => false,
        Some(plan) => of_plan(world, plan).is_none_or(|apply| apply.state != RunState::Applied),
        None => true,
    }
}

/// `buildit apply`.
pub(super) fn command(scene: &Scene<'_>, select: &Selector, destroy: bool) -> Line {
    if !scene.world.may_apply {
        return Err("nothing is applied from here".to_owned());
    }
    if destroy {
        return Err("this version does not carry out `apply --destroy`".to_owned());
    }
    if scene.snapshot.state == PullState::Merged {
        return landing::ask(scene, select);
    }
    if !plannable(scene.world, scene.snapshot, scene.survey) {
        return Err("nothing of this pull request may be applied; its check `buildit/plan` says why".to_owned());
    }
    let named = !select.is_empty();
    let (mut ready_now, mut locked, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for stack in picked(scene, select)? {
        match ready(scene, stack) {
            Ok(plan) if line::locked(scene.world, stack).is_some() => locked.push((stack, plan)),
            Ok(plan) => ready_now.push((stack, plan)),
            // A stack that was named must be ready; of the others those that are.
            Err(reason) if !named => left_out.push(format!("`{}`: {reason}", stack.stack.name)),
            Err(reason) => return Err(format!("`{}`: {reason}", stack.stack.name)),
        }
    }
    if named && !locked.is_empty() {
        // What was named together is applied together.
        locked.append(&mut ready_now);
    }
    if ready_now.is_empty() && locked.is_empty() {
        return Err(match left_out.is_empty() {
            true => "there is nothing to apply".to_owned(),
            false => format!("nothing can be applied now. {}", left_out.join("; ")),
        });
    }
    let mut steps: Vec<Step> =
        ready_now.iter().map(|(_, plan)| Step::Create(Box::new(run(scene.survey, plan, &scene.row.id)))).collect();
    let mut told = Vec::new();
    for (stack, plan) in &locked {
        steps.extend(enter(scene, stack, plan));
        told.push(format!("`{}` waits in line: {}", stack.stack.name, line::words(scene.world, stack)));
    }
    told.extend((!left_out.is_empty()).then(|| format!("Left out: {}", left_out.join("; "))));
    let message = format!("{}.", told.join(". "));
    Ok((steps, (!told.is_empty()).then_some(ReplyPart::Done { message })))
}

fn enter(scene: &Scene<'_>, stack: &SurveyedStack, plan: &RunRow) -> Option<Step> {
    let waiter = Waiter {
        pull: scene.world.pull.number,
        since: scene.row.created_at,
        request: Some(scene.row.id.clone()),
        fingerprint: plan.document.as_ref().map(|document| document.fingerprint.root.clone()),
    };
    Some(Step::Enter { key: key(scene.world, stack)?, waiter })
}

/// The apply of a plan.
pub(super) fn run(survey: &Survey, plan: &RunRow, request: &str) -> NewRun {
    NewRun {
        kind: RunKind::Apply,
        plan: Some(plan.id),
        head: survey.head.clone(),
        request: Some(request.to_owned()),
        ..plan.what.clone()
    }
}

/// The plan that may be applied now but for its lock, or why there is none.
fn ready<'a>(scene: &Scene<'a>, stack: &SurveyedStack) -> Result<&'a RunRow, String> {
    let world = scene.world;
    stack.stack.access.may(Right::Apply, &scene.person())?;
    match order::of(world, scene.survey, stack) {
        Order::Deferred(names) => return Err(format!("it is planned when {} is applied", listed(&names))),
        Order::Blocked(name) => return Err(format!("`{name}` comes first, and failed")),
        Order::Skipped(why) => return Err(why),
        Order::Now => {}
    }
    let plan = answer(world, scene.survey, stack).ok_or("it has no plan for this head")?;
    usable(world, plan)?;
    was_read(scene, plan)?;
    mode(scene, stack)?;
    let judged = gates::judge(world, scene.survey, stack, plan, Beside::default());
    let unmet: Vec<String> = judged.unmet().map(ToString::to_string).collect();
    if unmet.is_empty() { Ok(plan) } else { Err(format!("waits for {}", unmet.join("; "))) }
}

fn listed(names: &[StackName]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Could whoever wrote the command have read what the plan does, and of this very head?
pub(super) fn was_read(scene: &Scene<'_>, plan: &RunRow) -> Result<(), String> {
    let (world, written) = (scene.world, scene.row.created_at);
    let open = scene.snapshot.state == PullState::Open;
    if open && world.pull.head_since.is_some_and(|since| since > written) {
        return Err("the pull request was pushed to since the comment; read its plan, then comment again".to_owned());
    }
    let of_stack = |row: &&ShownRow| row.stack == plan.what.stack && row.base_branch == plan.what.detail.into;
    let before = world.shown.iter().filter(of_stack).filter(|row| row.shown.at <= written);
    let last = before.max_by_key(|row| row.shown.at).map(|row| row.shown.fingerprint.as_str());
    let newer = plan.ended_at.is_none_or(|ended| ended > written);
    if newer || last != super::publish::fingerprint(plan) {
        return Err("its plan is newer than the comment; read it, then comment again".to_owned());
    }
    Ok(())
}

/// Is this a plan that can be applied, and was not used?
pub(super) fn usable(world: &PullWorld, plan: &RunRow) -> Result<(), String> {
    match plan.state {
        RunState::Planned => {}
        RunState::NoChange => return Err("nothing would change".to_owned()),
        state if state.is_terminal() => return Err(format!("its plan is {}", state.name())),
        _ => return Err("its plan is not made yet".to_owned()),
    }
    if !plan.what.options.is_whole() {
        return Err("its newest plan was made with flags; comment `buildit plan` first".to_owned());
    }
    match of_plan(world, plan).filter(|apply| !called_off(apply)).map(|apply| apply.state) {
        None => Ok(()),
        Some(RunState::Applied) => Err("it is applied".to_owned()),
        Some(RunState::Lost) if is_frozen(world, &plan.what.stack) => {
            Err("its last apply was lost; someone must look first".to_owned())
        }
        Some(state) if !state.is_terminal() => Err("it is being applied".to_owned()),
        Some(_) => Err("its plan was used; it is planned again".to_owned()),
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

/// Do the gates hold now? `None`: not yet, and nobody need do anything about that.
pub(super) fn holds(world: &PullWorld, survey: &Survey, stack: &SurveyedStack, plan: &RunRow) -> Option<bool> {
    let judged = gates::judge(world, survey, stack, plan, Beside::default());
    let computing = |gate: &Gate| gate.name == "no-conflicts" && gate.outcome == Holds::Pending;
    if judged.unmet().any(computing) {
        return None;
    }
    Some(judged.unmet().next().is_none())
}

/// Does the stack wait for somebody to look at it?
pub(super) fn is_frozen(world: &PullWorld, stack: &StackName) -> bool {
    world.stacks.get(stack).is_some_and(|facts| facts.frozen.is_some())
}

/// Why a plan's state is not the one that was applied to before; `None`: it is, or there was none.
pub(super) fn state_moved(world: &PullWorld, plan: &RunRow) -> Option<String> {
    let name = &plan.what.stack;
    let approve = format!("`buildit approve state -p {name}` says that it is the right one");
    let seen = plan.state_seen.as_ref()?;
    let before = world.stacks.get(name).and_then(|facts| facts.lineage.as_ref());
    if let (StateSeen::State(stamp), false) = (seen, before.is_some_and(|before| !before.is_empty()))
        && let Some(other) = of_another(world, plan, &stamp.lineage)
    {
        return Some(format!("the state is the one of `{other}` (lineage {}); {approve}", stamp.lineage));
    }
    let before = before?;
    match seen {
        StateSeen::None => Some(format!("there is no state any more where there was one; {approve}")),
        StateSeen::State(stamp) if !before.is_empty() && stamp.lineage != *before => {
            Some(format!("the state is another one (lineage {} after {before}); {approve}", stamp.lineage))
        }
        StateSeen::State(_) => None,
    }
}

/// The stack whose state has this lineage: a new stack that is put on the state of another would get past what is
/// asked of that one. Whoever says what they were keeps that state.
fn of_another<'a>(world: &'a PullWorld, plan: &RunRow, lineage: &str) -> Option<&'a StackName> {
    let own = |name: &StackName| {
        *name == plan.what.stack || plan.what.detail.surveyed.stack.was.iter().any(|was| was == name.as_str())
    };
    let same = |facts: &StackFacts| !lineage.is_empty() && facts.lineage.as_deref() == Some(lineage);
    world.stacks.iter().find(|(name, facts)| !own(name) && same(facts)).map(|(name, _)| name)
}

/// `buildit approve state`: the state that the newest plan was made on is the right one.
pub(super) fn approve_state(scene: &Scene<'_>, select: &Selector) -> Line {
    let world = scene.world;
    let stacks = if select.is_empty() { scene.survey.stacks.iter().collect() } else { picked(scene, select)? };
    let plans = |name: &StackName| {
        world.runs.iter().chain(&world.landed).filter(|run| run.what.stack == *name).max_by_key(|run| run.number)
    };
    let mut steps = Vec::new();
    for stack in stacks {
        let name = &stack.stack.name;
        if let Some(step) = recover::push(scene, stack)? {
            scene.may(Right::ApproveState, &[stack])?;
            steps.extend([step, Step::Thaw { stack: name.clone() }]);
            continue;
        }
        let Some(plan) = plans(name).filter(|plan| state_moved(world, plan).is_some()) else { continue };
        scene.may(Right::ApproveState, &[stack])?;
        let lineage = match &plan.state_seen {
            Some(StateSeen::State(stamp)) => Some(stamp.lineage.clone()),
            Some(StateSeen::None) | None => None,
        };
        steps.push(Step::TrustState { stack: name.clone(), lineage });
    }
    if steps.is_empty() {
        Err("no state that is meant has moved, or waits to be stored".to_owned())
    } else {
        Ok((steps, None))
    }
}

/// `buildit force-unlock`: breaks the lock of a state that is kept here, whose holder is gone.
pub(super) fn force_unlock(scene: &Scene<'_>, select: &Selector, id: &str) -> Line {
    let stacks = if select.is_empty() { scene.survey.stacks.iter().collect() } else { picked(scene, select)? };
    let held = |stack: &&&SurveyedStack| {
        let facts = scene.world.stacks.get(&stack.stack.name);
        facts.and_then(|facts| facts.lock.as_ref()).is_some_and(|lock| lock.id == id)
    };
    let Some(stack) = stacks.iter().find(held) else {
        return Err("no state that is kept here is locked by that id; a backend of its own is unlocked with the tool"
            .to_owned());
    };
    scene.may(Right::ForceUnlock, &[stack])?;
    let name = &stack.stack.name;
    let live = scene.world.stacks.get(name).and_then(|facts| facts.lock.as_ref()).is_some_and(|lock| lock.live);
    if live {
        return Err(format!(
            "the run that holds the lock of `{name}` has not ended; `buildit cancel -p {name}` ends it"
        ));
    }
    Ok((vec![Step::BreakLock { stack: name.clone(), lock: id.to_owned() }], None))
}

/// `buildit force-apply`: whatever requirements say, but never against a lock or with a plan that does not fit.
pub(super) fn force(scene: &Scene<'_>, select: &Selector, reason: &str) -> Line {
    let world = scene.world;
    if !world.may_apply || scene.snapshot.state != PullState::Open {
        return Err("only plans of an open pull request are applied by force".to_owned());
    }
    let mut steps = Vec::new();
    for stack in picked(scene, select)? {
        let name = &stack.stack.name;
        scene.may(Right::ForceApply, &[stack])?;
        let refused = |why: String| format!("`{name}`: {why}");
        if stack.stack.apply == ApplyMode::Never {
            return Err(refused("it is never applied (`apply on=never`)".to_owned()));
        }
        let plan =
            answer(world, scene.survey, stack).ok_or_else(|| refused("it has no plan for this head".to_owned()))?;
        usable(world, plan).and_then(|()| was_read(scene, plan)).map_err(refused)?;
        if let Some(why) = state_moved(world, plan) {
            return Err(refused(why));
        }
        if line::locked(world, stack).is_some() {
            return Err(refused(format!("it is locked: {}", line::words(world, stack))));
        }
        let forced = Some(format!("{}: {reason}", scene.row.author));
        steps.push(Step::Create(Box::new(NewRun { forced, ..run(scene.survey, plan, &scene.row.id) })));
    }
    Ok((steps, None))
}

/// Plans that show what is left after an apply that did not end well; each once.
pub(crate) fn again(world: &PullWorld, stack: &SurveyedStack) -> Option<String> {
    let last = newest(world, &stack.stack.name)?;
    let newer = world.runs.iter().any(|run| run.what.stack == stack.stack.name && run.number > last.number);
    let spent = match last.state {
        RunState::PartlyApplied | RunState::Stale | RunState::TimedOut => true,
        RunState::Failed => last.job_started,
        // What an interrupted tool was about to make may be there.
        RunState::Cancelled => !called_off(last),
        // Somebody looked.
        RunState::Lost => !is_frozen(world, &stack.stack.name),
        _ => false,
    };
    (spent && !newer).then(|| format!("{AFTER}{}", last.id))
}
