//! Locks of stacks, and the line before each: who holds it, whose turn it is, when it is let go of.
//!
//! Owns: `unlock`, taking one's turn, and releases. A lock is free only to whoever has waited longest; what was asked
//! for together is applied together or not yet.

use std::collections::BTreeMap;

use model::access::Right;
use model::command::Selector;
use model::id::{PullNumber, StackName};
use model::publication::ApplyStanding;
use model::pull::PullState;
use model::run::RunState;
use model::stack::{ApplyMode, LockMode};
use model::survey::{Survey, SurveyedStack};

use super::command::{Line, Scene, picked};
use super::pull::Step;
use super::{answer, apply};
use crate::world::{Holder, LandedStack, LandingRow, LockKey, LockRow, PullWorld, RunRow, Waiter};

fn lock<'a>(world: &'a PullWorld, key: &LockKey) -> Option<&'a LockRow> {
    world.locks.iter().find(|lock| &lock.key == key)
}

/// Who stands before this pull request: the holder, or whoever has waited longer; `None`: nobody.
fn before(world: &PullWorld, lock: &LockRow) -> Option<Holder> {
    let me = world.pull.number;
    match lock.holder {
        Some(holder) if holder.pull == me => None,
        Some(holder) => Some(holder),
        None => {
            let first = lock.waiters.first().filter(|first| first.pull != me)?;
            Some(Holder { pull: first.pull, since: first.since })
        }
    }
}

/// The place in the line, from 1; `None`: not in it.
fn place(world: &PullWorld, lock: &LockRow) -> Option<u32> {
    let at = lock.waiters.iter().position(|waiter| waiter.pull == world.pull.number)?;
    u32::try_from(at + 1).ok()
}

/// What keeps the stack from this pull request; `None`: nothing.
pub(super) fn locked(world: &PullWorld, stack: &SurveyedStack) -> Option<ApplyStanding> {
    let lock = lock(world, &apply::key(world, stack)?)?;
    let Holder { pull, since } = before(world, lock)?;
    let url = format!("{}/{}/pull/{pull}", world.base_url, world.repo.name);
    Some(ApplyStanding::Locked { holder: pull, url, since, place: place(world, lock) })
}

/// The same in words for a reply.
pub(super) fn words(world: &PullWorld, stack: &SurveyedStack) -> String {
    let lock = apply::key(world, stack).and_then(|key| lock(world, &key));
    let ahead = lock.map_or(0, |lock| lock.waiters.iter().filter(|waiter| waiter.pull != world.pull.number).count());
    match lock.and_then(|lock| lock.holder).filter(|holder| holder.pull != world.pull.number) {
        Some(holder) if ahead == 0 => format!("pull request {} has the lock", holder.pull),
        Some(holder) => format!("pull request {} has the lock, and {ahead} wait before this one", holder.pull),
        None if ahead > 0 => format!("{ahead} wait before this one"),
        None => "it goes with the stacks that were named beside it".to_owned(),
    }
}

/// Reserves a stack for what landed: its lock is taken, or its line is joined.
pub(super) fn reserve(world: &PullWorld, landing: &LandingRow, stack: &SurveyedStack) -> Vec<Step> {
    let Some(key) = apply::key(world, stack) else {
        return Vec::new();
    };
    let by_itself =
        matches!(stack.stack.apply, ApplyMode::Merge | ApplyMode::Push) || stack.stack.lock.mode == LockMode::Strict;
    let row = lock(world, &key);
    let held = row.and_then(|lock| lock.holder).is_some_and(|holder| holder.pull == world.pull.number);
    let asked = landing.stacks.iter().any(|item| item.stack == stack.stack.name && item.asked_plan.is_some());
    if held || !(by_itself || asked) {
        return Vec::new();
    }
    match row {
        Some(lock) if before(world, lock).is_some() && place(world, lock).is_some() => Vec::new(),
        Some(lock) if before(world, lock).is_some() => {
            let request = Some(format!("landing:{}", landing.id));
            let waiter = Waiter { pull: world.pull.number, since: world.now, request, fingerprint: None };
            vec![Step::Enter { key, waiter }]
        }
        _ => vec![Step::Take { key }],
    }
}

/// Lets go of what a landing had reserved.
pub(super) fn release(world: &PullWorld, stack: &SurveyedStack) -> Vec<Step> {
    let Some(key) = apply::key(world, stack) else { return Vec::new() };
    let mine = |lock: &LockRow| lock.holder.is_some_and(|holder| holder.pull == world.pull.number);
    let held = lock(world, &key).is_some_and(|lock| mine(lock) || place(world, lock).is_some());
    if held { vec![Step::Release { key, pull: world.pull.number }] } else { Vec::new() }
}

/// What this pull request waits for, by the command that asked.
fn mine(world: &PullWorld) -> BTreeMap<&str, Vec<(&LockRow, &Waiter)>> {
    let mut groups: BTreeMap<&str, Vec<(&LockRow, &Waiter)>> = BTreeMap::new();
    for lock in &world.locks {
        for waiter in lock.waiters.iter().filter(|waiter| waiter.pull == world.pull.number) {
            groups.entry(waiter.request.as_deref().unwrap_or_default()).or_default().push((lock, waiter));
        }
    }
    groups
}

/// What follows when it is this pull request's turn: its applies when the plans are as they were asked for, else it
/// leaves the line, so that nobody waits for a person.
pub(super) fn turns(world: &PullWorld, survey: &Survey) -> Vec<Step> {
    let mut steps = Vec::new();
    for (request, group) in mine(world) {
        if group.iter().any(|(lock, _)| before(world, lock).is_some()) {
            continue;
        }
        match turn(world, survey, &group) {
            Turn::NotYet => {}
            Turn::Go(plans) => {
                steps.extend(plans.into_iter().map(|plan| Step::Create(Box::new(apply::run(survey, plan, request)))))
            }
            Turn::Gone => steps.extend(group.iter().map(|(lock, _)| Step::Leave { key: lock.key.clone() })),
        }
    }
    steps
}

enum Turn<'a> {
    NotYet,
    Go(Vec<&'a RunRow>),
    Gone,
}

fn turn<'a>(world: &'a PullWorld, survey: &Survey, group: &[(&LockRow, &Waiter)]) -> Turn<'a> {
    let mut plans = Vec::new();
    for (lock, waiter) in group {
        let keyed = |stack: &&SurveyedStack| apply::key(world, stack).as_ref() == Some(&lock.key);
        let Some(stack) = survey.stacks.iter().find(keyed) else { return Turn::Gone };
        let Some(plan) = answer(world, survey, stack) else { return Turn::NotYet };
        if !plan.state.is_terminal() {
            return Turn::NotYet;
        }
        let same = plan.document.as_ref().map(|document| &document.fingerprint.root) == waiter.fingerprint.as_ref();
        if !same || apply::usable(world, plan).is_err() {
            return Turn::Gone;
        }
        match apply::holds(world, survey, stack, plan) {
            None => return Turn::NotYet,
            Some(false) => return Turn::Gone,
            Some(true) => plans.push(plan),
        }
    }
    Turn::Go(plans)
}

/// `buildit unlock`: this pull request's locks and places, or those of others.
pub(super) fn unlock(scene: &Scene<'_>, select: &Selector, pulls: &[PullNumber], accept_ahead: bool) -> Line {
    let world = scene.world;
    if !world.may_apply {
        return Err("nothing is applied from here, so nothing is locked".to_owned());
    }
    let own = [world.pull.number];
    let whose = if pulls.is_empty() { &own[..] } else { pulls };
    let stacks = if select.is_empty() { scene.survey.stacks.iter().collect() } else { picked(scene, select)? };
    let mut steps = Vec::new();
    for stack in stacks {
        let Some(lock) = apply::key(world, stack).and_then(|key| lock(world, &key)) else { continue };
        for pull in whose {
            let held = lock.holder.is_some_and(|holder| holder.pull == *pull);
            if !held && !lock.waiters.iter().any(|waiter| waiter.pull == *pull) {
                continue;
            }
            scene.may(Right::Unlock, &[stack])?;
            if held {
                lets_go(world, stack, *pull, accept_ahead)?;
            }
            steps.push(Step::Release { key: lock.key.clone(), pull: *pull });
        }
    }
    if steps.is_empty() {
        let who = if pulls.is_empty() { "this pull request holds" } else { "they hold" };
        return Err(format!("{who} no lock of that and wait for none"));
    }
    Ok((steps, None))
}

/// May the lock of a stack be let go of by hand?
fn lets_go(world: &PullWorld, stack: &SurveyedStack, pull: PullNumber, accept_ahead: bool) -> Result<(), String> {
    let name = &stack.stack.name;
    let queued = world.applies.iter().any(|run| &run.what.stack == name && !run.state.is_terminal());
    if queued || super::is_being_applied(world, name) {
        return Err(format!("`{name}` is being applied; `buildit cancel` stops that first"));
    }
    if apply::is_frozen(world, name) {
        return Err(format!("the last apply of `{name}` was lost; someone must look first"));
    }
    let ahead = world.stacks.get(name).and_then(|facts| facts.ahead.as_ref()).is_some_and(|it| it.pull == pull);
    if ahead && !accept_ahead {
        return Err(format!(
            "`{name}` was applied by pull request {pull}, which is not merged: other plans would undo that. \
             `buildit unlock -p {name} --accept-ahead` lets go all the same"
        ));
    }
    Ok(())
}

/// Locks that nothing holds any more: everything is applied and merged, or closed with nothing applied. Whoever is
/// closed leaves the lines too.
pub(crate) fn releases(world: &PullWorld) -> Vec<Step> {
    let Some(snapshot) = &world.pull.snapshot else { return Vec::new() };
    let me = world.pull.number;
    let mut steps = Vec::new();
    for lock in &world.locks {
        let of_lock = |run: &&RunRow| run.lock_key().as_ref() == Some(&lock.key);
        let mut applies = world.applies.iter().filter(of_lock);
        let last = || world.applies.iter().filter(of_lock).max_by_key(|run| run.number);
        let free = match snapshot.state {
            // It goes into another branch now, and nothing of it was applied into the one before.
            PullState::Open => {
                let gone = |run: &RunRow| run.what.detail.into != snapshot.base_branch;
                last().is_some() && applies.all(|run| gone(run) && is_without_trace(run))
            }
            // What landed lets go of its own stacks.
            PullState::Merged => world.landing.as_ref().is_some_and(|landing| {
                let served = |item: &LandedStack| last().is_some_and(|run| run.what.stack == item.stack);
                !landing.stacks.iter().any(served) && last().is_none_or(|run| run.state == RunState::Applied)
            }),
            // What was applied of a pull request that is not merged is ahead of the branch: the lock stays.
            PullState::Closed => applies.all(is_without_trace),
        };
        if lock.holder.is_some_and(|holder| holder.pull == me) && free {
            steps.push(Step::Release { key: lock.key.clone(), pull: me });
        } else if snapshot.state == PullState::Closed && place(world, lock).is_some() {
            steps.push(Step::Leave { key: lock.key.clone() });
        }
    }
    steps
}

/// Did the apply end without having changed anything?
fn is_without_trace(run: &RunRow) -> bool {
    run.state.is_terminal() && run.done == 0 && run.state != RunState::Lost
}

/// Does this pull request hold a lock of one of these stacks, or wait for one?
pub(super) fn concerns<'a>(world: &PullWorld, stacks: impl IntoIterator<Item = &'a StackName>) -> bool {
    let Some(survey) = super::current_survey(world) else { return false };
    let mine = |lock: &LockRow| {
        lock.holder.is_some_and(|holder| holder.pull == world.pull.number) || place(world, lock).is_some()
    };
    let keyed = |name: &StackName| apply::key(world, survey.stack(name)?);
    stacks.into_iter().filter_map(keyed).any(|key| lock(world, &key).is_some_and(mine))
}

/// Leaves the line before a stack.
pub(super) fn leaves(world: &PullWorld, stack: &SurveyedStack) -> impl Iterator<Item = Step> {
    let key = apply::key(world, stack);
    let waits = |key: &LockKey| lock(world, key).is_some_and(|lock| place(world, lock).is_some());
    key.filter(waits).map(|key| Step::Leave { key }).into_iter()
}

/// Leaves every line: nothing of this pull request can be applied.
pub(super) fn leave_all(world: &PullWorld) -> Vec<Step> {
    let mine = world.locks.iter().filter(|lock| place(world, lock).is_some());
    mine.map(|lock| Step::Leave { key: lock.key.clone() }).collect()
}
