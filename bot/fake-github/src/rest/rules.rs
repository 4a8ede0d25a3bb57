//! Owns rulesets and the rules in force on a branch. All who see the repository may read them.

use crate::rest::{Answer, Call, Refusal};
use crate::shape;

/// Rules of private repositories cost money.
pub(crate) fn paid(call: &Call<'_>) -> Result<(), Refusal> {
    let it = call.here()?;
    if it.private && call.model.accounts.get(&it.owner).is_some_and(|owner| owner.free) {
        let message = "Upgrade to GitHub Pro or make this repository public to enable this feature.";
        return Err(Refusal::new(403, message));
    }
    Ok(())
}

pub(crate) fn of_branch(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    paid(call)?;
    call.list(shape::rules::in_force(call.model, call.here()?, call.param("branch")))
}

pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    paid(call)?;
    let it = call.here()?;
    call.list(it.rulesets.iter().map(|ruleset| shape::rules::ruleset(call.model, it, ruleset)).collect())
}

pub(crate) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    paid(call)?;
    let (id, it) = (call.number("ruleset_id")?, call.here()?);
    let found = it.rulesets.iter().find(|ruleset| ruleset.id == id).ok_or_else(|| Refusal::new(404, "Not Found"))?;
    Answer::ok(shape::rules::ruleset(call.model, it, found))
}
