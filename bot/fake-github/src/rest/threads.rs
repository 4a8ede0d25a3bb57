//! Owns comments on lines of a pull request.

use serde_json::Value;

use crate::model::thread;
use crate::rest::{Answer, Call, Refusal, pulls};
use crate::shape::{self, Form};

fn all(call: &Call<'_>, number: u64) -> Result<Vec<Value>, Refusal> {
    let it = call.here()?;
    let pull = it.pull(number)?;
    let each = pull.threads.iter().flat_map(|thread| thread.comments.iter().map(move |comment| (thread, comment)));
    let mut each: Vec<_> = each.collect();
    each.sort_by_key(|(_, comment)| comment.id);
    Ok(each
        .into_iter()
        .map(|(thread, comment)| shape::thread::comment(call.model, it, pull, thread, comment, Form::Rest))
        .collect())
}

pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let number = pulls::number(call)?;
    call.list(all(call, number)?)
}

/// Remarks on the head only; on what was replaced since nobody remarks here.
pub(crate) fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (number, actor) = (pulls::number(call)?, call.actor()?);
    if call.text("commit_id").as_deref() != Some(call.here()?.pull(number)?.head_sha.as_str()) {
        return Err(Refusal::new(422, "the double takes remarks on the head commit only"));
    }
    let body = call.body.clone();
    let id = match body["in_reply_to"].as_u64() {
        Some(first) => {
            let pull = call.here()?.pull(number)?;
            let found = pull.threads.iter().find(|thread| thread.comments.iter().any(|it| it.id == first));
            let thread = found.ok_or_else(|| Refusal::new(404, "Not Found"))?.id;
            let text = body["body"].as_str().unwrap_or_default();
            call.model.answer_thread(call.repository, number, thread, actor, text)?
        }
        None => call.model.open_thread(call.repository, number, actor, thread::sent(&body))?.1,
    };
    let made = all(call, number)?.into_iter().find(|it| it["id"] == id);
    Answer::created(made.ok_or_else(|| Refusal::new(404, "Not Found"))?)
}
