//! How a plan compares with others: the one before, and what somebody else has applied.

use model::publication::{SinceLast, Undoes};
use model::run::RunState;
use model::survey::Survey;

use crate::world::{PullWorld, RunRow};

/// What a plan changes that another pull request, which is applied and not merged, has changed.
pub(super) fn undoes(world: &PullWorld, run: &RunRow) -> Option<Undoes> {
    let ahead = world.stacks.get(&run.what.stack)?.ahead.as_ref().filter(|it| it.pull != world.pull.number)?;
    let changes = &run.document.as_ref()?.changes;
    let both = changes.iter().map(|change| &change.address).filter(|address| ahead.addresses.contains(*address));
    let addresses: Vec<String> = both.cloned().collect();
    let url = format!("{}/{}/pull/{}", world.base_url, world.repo.name, ahead.pull);
    (!addresses.is_empty()).then_some(Undoes { pull: ahead.pull, url, addresses })
}

/// Compares with the plan that was shown for an earlier head. A carried plan is that plan.
pub(super) fn since_last(world: &PullWorld, survey: &Survey, run: &RunRow) -> Option<SinceLast> {
    if run.what.head != survey.head {
        return Some(SinceLast { head: run.what.head.clone(), changed: Vec::new() });
    }
    compared(world, run)
}

/// Compares with the newest plan of the stack that was made before, for another head.
pub(super) fn compared(world: &PullWorld, run: &RunRow) -> Option<SinceLast> {
    let earlier = |old: &&RunRow| {
        old.what.stack == run.what.stack
            && old.number < run.number
            && old.what.head != run.what.head
            && matches!(old.state, RunState::Planned | RunState::NoChange)
    };
    let old = world.runs.iter().filter(earlier).max_by_key(|old| old.number)?;
    let (before, after) = (items(old)?, items(run)?);
    let mut changed = crate::decide::differing_items(before, after);
    if old.document.is_none() || run.document.is_none() {
        // Nothing is known of the means of a plan that is not kept.
        changed.retain(|key| !is_means(key));
    }
    Some(SinceLast { head: old.what.head.clone(), changed })
}

/// The items of a run's fingerprint; none when nothing changes, `None` when they are not known.
fn items(run: &RunRow) -> Option<&[(String, String)]> {
    match &run.document {
        Some(document) => Some(&document.fingerprint.items),
        None => (run.state == RunState::NoChange).then_some(&[]),
    }
}

/// Is it an item of what a plan is made with, not of what it changes?
pub(in crate::decide) fn is_means(key: &str) -> bool {
    matches!(key, "tool" | "variables") || key.starts_with("provider.") || key.starts_with("provisioner.")
}
