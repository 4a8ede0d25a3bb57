//! Which buttons a check has.
//!
//! Invariant: a button is a comment that was not typed; whether it may be pressed is asked when it is.

use model::publication::{ApplyStanding, CheckAction, StackRow};
use model::pull::PullState;
use model::stack::ApplyMode;

use super::super::{line, recover};
use crate::world::PullWorld;

/// GitHub shows so many.
const BUTTONS: usize = 3;

/// Buttons: whoever presses one is authorised as if they had commented.
pub(super) fn actions(world: &PullWorld, rows: &[StackRow]) -> Vec<CheckAction> {
    let ready = rows.iter().filter_map(|row| row.apply.as_ref()).any(|it| match it.standing {
        ApplyStanding::Ready => it.mode == ApplyMode::Comment || it.merged,
        ApplyStanding::Asks { .. } => true,
        _ => false,
    });
    let open = world.pull.snapshot.as_ref().is_some_and(|snapshot| snapshot.state == PullState::Open);
    let held = line::concerns(world, rows.iter().map(|row| &row.stack));
    let kept = rows.iter().any(|row| recover::unstored(world, &row.stack).is_some());
    let missing = rows.iter().filter_map(|row| recover::lost(world, &row.stack)).any(|run| !run.unknown.is_empty());
    let all = [
        (kept, CheckAction::PushState),
        (missing && !kept, CheckAction::Recover),
        (ready, CheckAction::Apply),
        (open, CheckAction::Replan),
        (held, CheckAction::Unlock),
    ];
    all.into_iter().filter(|(offered, _)| *offered).map(|(_, action)| action).take(BUTTONS).collect()
}
