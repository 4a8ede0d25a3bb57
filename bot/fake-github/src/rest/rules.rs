//! Owns rulesets and the rules in force on a branch. All who see the repository may read them.

use crate::rest::{Answer, Call, Refusal};
use crate::shape;

pub(crate) fn of_branch(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    call.list(shape::rules::in_force(call.model, call.here()?, call.param("branch")))
}

pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let it = call.here()?;
    call.list(it.rulesets.iter().map(|ruleset| shape::rules::ruleset(call.model, it, ruleset)).collect())
}

pub(crate) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (id, it) = (call.number("ruleset_id")?, call.here()?);
    let found = it.rulesets.iter().find(|ruleset| ruleset.id == id).ok_or_else(|| Refusal::new(404, "Not Found"))?;
    Answer::ok(shape::rules::ruleset(call.model, it, found))
}
