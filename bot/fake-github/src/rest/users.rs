//! Owns `/user` and `/users`.

use crate::rest::{Answer, Call, Refusal};
use crate::shape;

pub(crate) fn me(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Answer::ok(shape::user::public(call.model, call.actor()?))
}

pub(crate) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.model.account(call.param("username"))?;
    Answer::ok(shape::user::public(call.model, id))
}
