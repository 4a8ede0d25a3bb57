//! Owns reviews as JSON.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::model::Model;
use crate::model::pull::Pull;
use crate::model::repository::Repository;
use crate::model::review::Review;
use crate::shape::{Form, node, user};

/// A review; webhooks write its state in lower case.
pub(crate) fn review(model: &Model, it: &Repository, pull: &Pull, review: &Review, form: Form) -> Value {
    let name = model.full_name(it);
    let html = format!("{}/{name}/pull/{}#pullrequestreview-{}", model.url, pull.number, review.id);
    let api = format!("{}/repos/{name}/pulls/{}", model.api(), pull.number);
    let state = match form {
        Form::Rest => review.state.word().to_owned(),
        Form::Webhook => review.state.word().to_lowercase(),
    };
    let body = (form == Form::Rest || !review.body.is_empty()).then_some(&review.body);
    json!({
        "id": review.id,
        "node_id": node("PRR", review.id),
        "user": user::user(model, review.author),
        "body": body,
        "commit_id": review.commit,
        "submitted_at": rfc3339(review.submitted_at),
        "state": state,
        "html_url": html,
        "pull_request_url": api,
        "author_association": model.association(review.author, it),
        "_links": {"html": {"href": html}, "pull_request": {"href": api}},
    })
}
