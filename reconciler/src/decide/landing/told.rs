//! What people are told of a stack of a landing.

use model::gate::Gate;
use model::publication::ApplyStanding;
use model::run::RunState;
use model::survey::Survey;

use super::{Question, Stand, last_apply, of_head, plan_of, stand};
use crate::decide::apply;
use crate::world::{LandedStack, LandingRow, PullWorld, RunRow, StackOutcome};

/// Its plan, and where its apply stands.
#[derive(Debug, Default)]
pub(crate) struct Told<'a> {
    pub(crate) plan: Option<&'a RunRow>,
    pub(crate) standing: Option<ApplyStanding>,
    pub(crate) gates: Vec<Gate>,
}

/// What people are told of a stack.
pub(crate) fn told<'a>(
    world: &'a PullWorld,
    landing: &'a LandingRow,
    survey: &'a Survey,
    item: &'a LandedStack,
) -> Told<'a> {
    let last = last_apply(world, landing, item);
    let plan_of_last = || last.and_then(|apply| plan_of(world, apply.what.plan?));
    let seen = || survey.stack(&item.stack).and_then(|stack| of_head(world, stack));
    let told = |plan, standing| Told { plan, standing: Some(standing), gates: Vec::new() };
    let empty = |plan| Told { plan, ..Told::default() };
    match stand(world, landing, survey, item) {
        Stand::Ended(StackOutcome::Discarded) => {
            let (by, why) = (item.actor.clone().unwrap_or_default(), item.why.clone().unwrap_or_default());
            told(newest_plan(world, landing, item).or_else(seen), ApplyStanding::Discarded { by, why })
        }
        Stand::Ended(_) | Stand::Ends(_) => match last.or_else(|| earlier_apply(world, item)) {
            Some(apply) => {
                let plan = apply.what.plan.and_then(|id| plan_of(world, id));
                told(plan, apply::under_way(world, plan, apply))
            }
            None => empty(newest_plan(world, landing, item).or_else(seen)),
        },
        Stand::Behind(before) => {
            let what = match before.pull {
                Some(pull) => format!("pull request {pull}"),
                None => format!("commit {}", before.commit.short()),
            };
            told(seen(), ApplyStanding::After { what })
        }
        Stand::After(names) => {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            told(seen(), ApplyStanding::After { what: names.join(", ") })
        }
        Stand::Reading => empty(newest_plan(world, landing, item).or_else(seen)),
        Stand::Plan => empty(None),
        Stand::Planning(run) => empty(Some(run)),
        Stand::Applying { plan, apply } => told(plan, apply::under_way(world, plan, apply)),
        Stand::Asks(Question { plan: None, apply: Some(apply), .. }) => {
            told(plan_of_last(), apply::under_way(world, plan_of_last(), apply))
        }
        // Nobody is called: it was meant so.
        Stand::Asks(Question { plan: Some(plan), quiet: true, .. }) => told(Some(plan), ApplyStanding::Ready),
        Stand::Asks(Question { plan, why, delta, .. }) => {
            told(plan.or_else(|| newest_plan(world, landing, item)), ApplyStanding::Asks { why, delta })
        }
        Stand::Waits { plan, judged } => {
            Told { plan: Some(plan), standing: Some(ApplyStanding::Waits), gates: judged.into_gates() }
        }
        Stand::Go { plan, judged } => {
            Told { plan: Some(plan), standing: Some(ApplyStanding::Ready), gates: judged.into_gates() }
        }
        Stand::Locked { plan, locked } => told(plan.or_else(seen), locked),
    }
}

fn newest_plan<'a>(world: &'a PullWorld, landing: &LandingRow, item: &LandedStack) -> Option<&'a RunRow> {
    let mine = |run: &&RunRow| run.what.landing == Some(landing.id) && run.what.stack == item.stack;
    world.landed.iter().filter(mine).max_by_key(|run| run.number)
}

/// The apply before the merge.
fn earlier_apply<'a>(world: &'a PullWorld, item: &LandedStack) -> Option<&'a RunRow> {
    let mine = |run: &&RunRow| run.what.landing.is_none() && run.what.stack == item.stack;
    world.applies.iter().filter(mine).filter(|run| run.state == RunState::Applied).max_by_key(|run| run.number)
}
