//! Owns reactions to comments.

use crate::rest::{Answer, Call, Refusal, comments};
use crate::shape;

pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let content = call.query("content");
    let reactions =
        comments::find(call)?.reactions.iter().filter(|it| content.is_none_or(|content| content == it.content));
    call.list(reactions.map(|it| shape::comment::reaction(call.model, it)).collect())
}

pub(crate) fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (id, actor) = (comments::find(call)?.id, call.actor()?);
    let content = call.text("content").unwrap_or_default();
    let (reaction, new) = call.model.react(call.repository, id, actor, &content)?;
    let body = Some(shape::comment::reaction(call.model, &reaction));
    Ok(Answer { status: if new { 201 } else { 200 }, body, pages: None })
}

pub(crate) fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (id, reaction, actor) = (comments::find(call)?.id, call.number("reaction_id")?, call.actor()?);
    let comment = call.model.comment_mut(call.repository, id)?;
    let before = comment.reactions.len();
    comment.reactions.retain(|it| it.id != reaction || it.author != actor);
    if comment.reactions.len() == before { Err(Refusal::new(404, "Not Found")) } else { Answer::empty(204) }
}
