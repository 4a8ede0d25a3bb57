//! Owns comments on pull requests and issues.

use serde_json::Value;

use crate::clock;
use crate::model::account::Role;
use crate::model::comment::Comment;
use crate::rest::{Answer, Call, Refusal, issues};
use crate::shape::{self, Form};

pub(crate) fn find<'a>(call: &'a Call<'_>) -> Result<&'a Comment, Refusal> {
    let id = call.number("comment_id")?;
    call.here()?.comments.get(&id).ok_or_else(|| Refusal::new(404, "Not Found"))
}

fn shaped(call: &Call<'_>, id: u64) -> Result<Value, Refusal> {
    let it = call.here()?;
    let comment = it.comments.get(&id).ok_or_else(|| Refusal::new(404, "Not Found"))?;
    Ok(shape::comment::comment(call.model, it, comment, Form::Rest))
}

pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (number, it) = (issues::number(call)?, call.here()?);
    let since = call.query("since").and_then(clock::parse).unwrap_or(i64::MIN);
    // GitHub compares whole seconds.
    let fresh = |comment: &&Comment| comment.updated_at.div_euclid(1_000_000) >= since.div_euclid(1_000_000);
    let comments = it.comments.values().filter(|comment| comment.number == number).filter(fresh);
    call.list(comments.map(|comment| shape::comment::comment(call.model, it, comment, Form::Rest)).collect())
}

pub(crate) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = find(call)?.id;
    Answer::ok(shaped(call, id)?)
}

pub(crate) fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (number, actor, app) = (issues::number(call)?, call.actor()?, call.app());
    let body = call.text("body").unwrap_or_default();
    let id = call.model.comment(call.repository, number, actor, app, &body)?;
    Answer::created(shaped(call, id)?)
}

/// Another's comment takes write access.
fn may_change(call: &Call<'_>) -> Result<u64, Refusal> {
    let comment = find(call)?;
    if comment.author != call.actor()? {
        call.at_least(Role::Write)?;
    }
    Ok(comment.id)
}

pub(crate) fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (id, actor) = (may_change(call)?, call.actor()?);
    let body = call.text("body").unwrap_or_default();
    call.model.edit_comment(call.repository, id, actor, &body)?;
    Answer::ok(shaped(call, id)?)
}

pub(crate) fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (id, actor) = (may_change(call)?, call.actor()?);
    call.model.delete_comment(call.repository, id, actor)?;
    Answer::empty(204)
}
