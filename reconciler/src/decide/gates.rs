//! What a stack's apply still waits for, from the facts of its pull request.
//!
//! Invariant: fails closed: what is not known does not hold.

use model::survey::SurveyedStack;

use crate::world::PullWorld;

/// The requirements that do not hold, each with its evidence; empty when the apply may start.
pub(crate) fn unmet(_world: &PullWorld, _stack: &SurveyedStack) -> Vec<String> {
    vec!["approvals: this version does not read reviews".to_owned()]
}
