//! Owns comments and reactions as JSON.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::model::Model;
use crate::model::comment::{Comment, REACTIONS, Reaction};
use crate::model::repository::Repository;
use crate::shape::{Form, app, issue, node, user};

/// A comment on a pull request or issue.
pub(crate) fn comment(model: &Model, it: &Repository, comment: &Comment, form: Form) -> Value {
    let (name, id) = (model.full_name(it), comment.id);
    let api = format!("{}/repos/{name}", model.api());
    let url = format!("{api}/issues/comments/{id}");
    let via = comment.app.and_then(|id| model.apps.get(&id)).map(|it| app::app(model, it, form));
    json!({
        "url": url,
        "html_url": format!("{}#issuecomment-{id}", issue::page(model, it, comment.number)),
        "issue_url": format!("{api}/issues/{}", comment.number),
        "id": id,
        "node_id": node("IC", id),
        "user": user::user(model, comment.author),
        "created_at": rfc3339(comment.created_at),
        "updated_at": rfc3339(comment.updated_at),
        "author_association": model.association(comment.author, it),
        "body": comment.body,
        "reactions": tally(&format!("{url}/reactions"), &comment.reactions),
        "performed_via_github_app": via,
    })
}

/// The counts of reactions.
pub(crate) fn tally(url: &str, reactions: &[Reaction]) -> Value {
    let mut it = json!({"url": url, "total_count": reactions.len()});
    for content in REACTIONS {
        it[content] = json!(reactions.iter().filter(|reaction| reaction.content == content).count());
    }
    it
}

/// One reaction.
pub(crate) fn reaction(model: &Model, reaction: &Reaction) -> Value {
    json!({
        "id": reaction.id,
        "node_id": node("REA", reaction.id),
        "user": user::user(model, reaction.author),
        "content": reaction.content,
        "created_at": rfc3339(reaction.created_at),
    })
}
