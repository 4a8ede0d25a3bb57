//! Owns commit statuses.

use serde_json::Value;

use crate::model::account::Role;
use crate::model::status::StatusInput;
use crate::rest::{Answer, Call, Refusal, commits};
use crate::shape;

pub(crate) fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    call.at_least(Role::Write)?;
    let input = StatusInput {
        state: call.text("state").unwrap_or_default(),
        context: call.text("context"),
        description: call.text("description"),
        target_url: call.text("target_url"),
    };
    let (sha, actor) = (call.param("sha").to_owned(), call.actor()?);
    let id = call.model.set_status(call.repository, &sha, actor, input)?;
    let it = call.here()?;
    let made = it.statuses.iter().find(|it| it.id == id).ok_or_else(|| Refusal::new(404, "Not Found"))?;
    Answer::created(shape::status::status(call.model, it, made))
}

pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let sha = commits::resolve(call, call.param("ref"))?;
    let it = call.here()?;
    call.list(it.statuses_of(&sha).map(|status| shape::status::status(call.model, it, status)).collect())
}

pub(crate) fn combined(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let sha = commits::resolve(call, call.param("ref"))?;
    let (outer, statuses) = shape::status::combined(call.model, call.here()?, &sha);
    let mut answer = call.counted("statuses", statuses)?;
    if let (Some(Value::Object(body)), Value::Object(outer)) = (&mut answer.body, outer) {
        body.extend(outer);
    }
    Ok(answer)
}
