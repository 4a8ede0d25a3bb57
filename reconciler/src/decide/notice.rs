//! What asks a person to act outside of the one comment: comments of their own, and issues.
//!
//! Invariant: nothing is written anew for a person who was told already; what was said is brought to its end.

use model::id::StackName;
use model::publication::{ApplyStanding, Issue, Notice, NoticeKind, Progress, RunLink};
use model::pull::PullState;
use model::run::RunState;
use model::survey::Survey;

use super::landing::{Question, Stand, stand};
use super::{apply, publish, recover};
use crate::world::{LandedStack, LandingRow, PullWorld, RunRow, StackOutcome};

/// Comments of their own on the pull request.
pub(crate) fn notices(world: &PullWorld) -> Vec<Notice> {
    let mut all: Vec<Notice> = landed(world).map(|(key, what)| Notice { key, what }).collect();
    all.extend(lost(world));
    all
}

/// Issues, for what landed: with a pull request beside its comment, since who merged may not look there any more.
pub(crate) fn issues(world: &PullWorld) -> Vec<Issue> {
    let closed = |what: &NoticeKind| matches!(what, NoticeKind::Settled { .. });
    landed(world).map(|(key, what)| Issue { key, closed: closed(&what), what }).collect()
}

/// What there is to say of each stack that landed.
fn landed(world: &PullWorld) -> impl Iterator<Item = (String, NoticeKind)> {
    let known = world.landing.as_ref().and_then(|landing| Some((landing, landing.survey.as_ref()?)));
    known.into_iter().flat_map(move |(landing, survey)| {
        landing.stacks.iter().filter_map(move |item| {
            let what = one(world, landing, survey, item)?;
            Some((format!("landing:{}:{}", landing.id, item.stack), what))
        })
    })
}

fn one(world: &PullWorld, landing: &LandingRow, survey: &Survey, item: &LandedStack) -> Option<NoticeKind> {
    let stack = item.stack.clone();
    let settled = |how: String| Some(NoticeKind::Settled { stack: item.stack.clone(), how });
    match stand(world, landing, survey, item) {
        Stand::Ended(StackOutcome::Applied) => {
            let last = world.applies.iter().filter(|run| run.what.stack == item.stack).max_by_key(|run| run.number);
            settled(last.map_or_else(|| "applied".to_owned(), |run| format!("applied with run {}", run.number)))
        }
        Stand::Ended(StackOutcome::Discarded) => {
            let (by, why) = (item.actor.as_deref().unwrap_or("someone"), item.why.as_deref().unwrap_or(""));
            settled(format!("{by} gave it up: {why}"))
        }
        Stand::Ended(StackOutcome::NoChange | StackOutcome::NotOurs) => settled("nothing is left to apply".to_owned()),
        Stand::Asks(Question { apply: Some(apply), plan: None, .. }) if apply.state == RunState::Lost => {
            Some(of_lost(world, apply))
        }
        Stand::Asks(Question { quiet: true, .. }) => None,
        Stand::Asks(Question { plan, why, delta, .. }) => Some(asks(world, landing, &stack, plan, (why, delta))),
        // Nothing of a push can be reviewed: somebody has to look.
        Stand::Waits { plan, .. } if landing.pull.is_none() => {
            Some(asks(world, landing, &stack, Some(plan), (String::new(), Vec::new())))
        }
        Stand::Behind(_)
        | Stand::After(_)
        | Stand::Reading
        | Stand::Plan
        | Stand::Planning(_)
        | Stand::Applying { .. }
        | Stand::Ends(_)
        | Stand::Waits { .. }
        | Stand::Locked { .. }
        | Stand::Go { .. } => None,
    }
}

fn asks(
    world: &PullWorld,
    landing: &LandingRow,
    stack: &StackName,
    plan: Option<&RunRow>,
    (why, delta): (String, Vec<String>),
) -> NoticeKind {
    let (stack, link) = (stack.clone(), plan.map(|plan| run_link(world, plan)));
    let document = plan.and_then(|plan| plan.document.as_ref());
    match (landing.pull, link, document) {
        (None, Some(run), Some(document)) => NoticeKind::Unreviewed {
            stack,
            commit: landing.commit.clone(),
            branch: landing.branch.clone(),
            counts: document.counts,
            run,
        },
        (Some(_), Some(run), _) if applied_before(world, &stack) && delta.is_empty() => {
            NoticeKind::NotEmptyAfterMerge { stack, commit: landing.commit.clone(), run }
        }
        (_, run, _) => {
            let url = match landing.pull {
                Some(pull) => format!("{}/{}/pull/{pull}", world.base_url, world.repo.name),
                None => world.base_url.clone(),
            };
            NoticeKind::MergedNotApplied { stack, why, delta, run, url }
        }
    }
}

fn applied_before(world: &PullWorld, stack: &StackName) -> bool {
    let before = |run: &&RunRow| run.what.landing.is_none() && &run.what.stack == stack;
    let landed = |run: &RunRow| run.what.landing.is_some() && &run.what.stack == stack;
    world.applies.iter().filter(before).any(|run| run.state == RunState::Applied) && !world.applies.iter().any(landed)
}

/// Applies before the merge that lost their workers.
fn lost(world: &PullWorld) -> Vec<Notice> {
    let open = world.pull.snapshot.as_ref().is_some_and(|snapshot| snapshot.state != PullState::Merged);
    let applies = world.applies.iter().filter(|run| run.what.landing.is_none() && run.state == RunState::Lost);
    applies
        .filter(|_| open)
        .map(|run| {
            let key = format!("lost:{}", run.id);
            let newest = apply::newest(world, &run.what.stack).is_some_and(|last| last.id == run.id);
            let what = match newest && apply::is_frozen(world, &run.what.stack) {
                true => of_lost(world, run),
                false => NoticeKind::Settled {
                    stack: run.what.stack.clone(),
                    how: "somebody looked, and it goes on".to_owned(),
                },
            };
            Notice { key, what }
        })
        .collect()
}

fn of_lost(world: &PullWorld, run: &RunRow) -> NoticeKind {
    let plan = run.what.plan.and_then(|id| world.runs.iter().chain(&world.landed).find(|plan| plan.id == id));
    let progress = match apply::under_way(world, plan, run) {
        ApplyStanding::Lost { progress, .. } => progress,
        _ => Progress { done: run.done, total: run.done },
    };
    let stack = run.what.stack.clone();
    let unstored = recover::unstored(world, &stack).is_some();
    NoticeKind::Lost { stack, progress, run: run_link(world, run), unknown: run.unknown.clone(), unstored }
}

fn run_link(world: &PullWorld, run: &RunRow) -> RunLink {
    RunLink { number: run.number, url: publish::run_url(world, run.number) }
}
