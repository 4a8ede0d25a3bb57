//! Owns reviews.

use serde_json::Value;

use crate::model::account::Role;
use crate::model::review::Verdict;
use crate::rest::{Answer, Call, Refusal, pulls};
use crate::shape::{self, Form};

fn shaped(call: &Call<'_>, number: u64, id: u64) -> Result<Value, Refusal> {
    let it = call.here()?;
    let pull = it.pull(number)?;
    let review = pull.reviews.iter().find(|review| review.id == id).ok_or_else(|| Refusal::new(404, "Not Found"))?;
    Ok(shape::review::review(call.model, it, pull, review, Form::Rest))
}

pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let it = call.here()?;
    let pull = it.pull(pulls::number(call)?)?;
    call.list(
        pull.reviews.iter().map(|review| shape::review::review(call.model, it, pull, review, Form::Rest)).collect(),
    )
}

pub(crate) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Answer::ok(shaped(call, pulls::number(call)?, call.number("review_id")?)?)
}

pub(crate) fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (number, actor) = (pulls::number(call)?, call.actor()?);
    let verdict = match call.text("event").as_deref() {
        Some("APPROVE") => Verdict::Approve,
        Some("REQUEST_CHANGES") => Verdict::RequestChanges,
        Some("COMMENT") => Verdict::Comment,
        _ => {
            return Err(Refusal::new(
                422,
                "the double submits reviews at once: event must be APPROVE, REQUEST_CHANGES or COMMENT",
            ));
        }
    };
    let (body, commit) = (call.text("body").unwrap_or_default(), call.text("commit_id"));
    let id = call.model.review(call.repository, number, actor, verdict, &body, commit.as_deref())?;
    Answer::ok(shaped(call, number, id)?)
}

pub(crate) fn dismiss(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    call.at_least(Role::Write)?;
    let (number, id, actor) = (pulls::number(call)?, call.number("review_id")?, call.actor()?);
    call.model.dismiss_review(call.repository, number, id, actor)?;
    Answer::ok(shaped(call, number, id)?)
}
