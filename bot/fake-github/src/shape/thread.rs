//! Owns conversations and their comments as JSON.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::model::Model;
use crate::model::pull::Pull;
use crate::model::repository::Repository;
use crate::model::thread::{ReviewComment, Thread};
use crate::shape::{Form, comment as comments, node, user};

/// A conversation as its webhook has it.
pub(crate) fn thread(model: &Model, it: &Repository, pull: &Pull, thread: &Thread) -> Value {
    let all: Vec<Value> =
        thread.comments.iter().map(|one| comment(model, it, pull, thread, one, Form::Webhook)).collect();
    json!({"node_id": node("PRRT", thread.id), "comments": all})
}

/// A comment on a line.
pub(crate) fn comment(
    model: &Model,
    it: &Repository,
    pull: &Pull,
    thread: &Thread,
    comment: &ReviewComment,
    form: Form,
) -> Value {
    let (name, id) = (model.full_name(it), comment.id);
    let api = format!("{}/repos/{name}/pulls", model.api());
    let (url, pull_url) = (format!("{api}/comments/{id}"), format!("{api}/{}", pull.number));
    let html = format!("{}/{name}/pull/{}#discussion_r{id}", model.url, pull.number);
    let mut shaped = json!({
        "url": url,
        "pull_request_review_id": comment.review,
        "id": id,
        "node_id": node("PRRC", id),
        "diff_hunk": "@@ -0,0 +1 @@",
        "path": thread.path,
        "position": 1,
        "original_position": 1,
        "commit_id": comment.commit,
        "original_commit_id": comment.commit,
        "user": user::user(model, comment.author),
        "body": comment.body,
        "created_at": rfc3339(comment.created_at),
        "updated_at": rfc3339(comment.created_at),
        "html_url": html,
        "pull_request_url": pull_url,
        "author_association": model.association(comment.author, it),
        "_links": {"self": {"href": url}, "html": {"href": html}, "pull_request": {"href": pull_url}},
        "start_line": null,
        "original_start_line": null,
        "start_side": null,
        "line": thread.line,
        "original_line": thread.line,
        "side": "RIGHT",
        "reactions": comments::tally(&format!("{url}/reactions"), &[]),
    });
    if form == Form::Rest {
        shaped["subject_type"] = json!("line");
    }
    if let Some(first) = thread.comments.first().filter(|first| first.id != id) {
        shaped["in_reply_to_id"] = json!(first.id);
    }
    shaped
}
