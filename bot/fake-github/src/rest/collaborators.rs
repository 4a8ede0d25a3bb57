//! Owns who works on a repository.

use crate::model::account::Role;
use crate::rest::{Answer, Call, Refusal};
use crate::shape;

pub(crate) fn permission(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.model.account(call.param("username"))?;
    Answer::ok(shape::user::permission(call.model, call.here()?, id))
}

/// Adds at once: nobody has to accept an invitation here.
pub(crate) fn add(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    call.at_least(Role::Admin)?;
    let id = call.model.account(call.param("username"))?;
    let name = call.text("permission").unwrap_or_else(|| "push".into());
    let role = Role::from_name(&name).ok_or_else(|| Refusal::new(422, format!("{name} is no permission")))?;
    call.model.repository_mut(call.repository)?.collaborators.insert(id, role);
    Answer::empty(204)
}
