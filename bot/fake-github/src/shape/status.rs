//! Owns commit statuses as JSON.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::error::Error;
use crate::model::Model;
use crate::model::repository::Repository;
use crate::model::status::Status;
use crate::shape::{node, repository, user};

/// A status as the combined list has it.
fn simple(model: &Model, it: &Repository, status: &Status) -> Value {
    let name = model.full_name(it);
    json!({
        "url": format!("{}/repos/{name}/statuses/{}", model.api(), status.sha),
        "avatar_url": format!("{}/avatars/u/{}", model.url, status.creator),
        "id": status.id,
        "node_id": node("SC", status.id),
        "state": status.state,
        "description": status.description,
        "target_url": status.target_url,
        "context": status.context,
        "created_at": rfc3339(status.created_at),
        "updated_at": rfc3339(status.created_at),
    })
}

/// A status with who set it.
pub(crate) fn status(model: &Model, it: &Repository, status: &Status) -> Value {
    let mut shaped = simple(model, it, status);
    shaped["creator"] = user::user(model, status.creator);
    shaped
}

/// What the newest statuses of a commit come to; `shown` is the page of them.
pub(crate) fn combined(model: &Model, it: &Repository, sha: &str) -> (Value, Vec<Value>) {
    let newest = it.newest_statuses(sha);
    let any = |words: &[&str]| newest.iter().any(|status| words.contains(&status.state.as_str()));
    let state = match (newest.is_empty(), any(&["failure", "error"]), any(&["pending"])) {
        (_, true, _) => "failure",
        (true, ..) | (_, _, true) => "pending",
        (false, false, false) => "success",
    };
    let url = format!("{}/repos/{}/commits/{sha}", model.api(), model.full_name(it));
    let outer = json!({
        "state": state,
        "sha": sha,
        "repository": repository::minimal(model, it),
        "commit_url": url,
        "url": format!("{url}/status"),
    });
    (outer, newest.into_iter().map(|status| simple(model, it, status)).collect())
}

/// Branches that hold the commit, ten at most, as the webhook has them.
pub(crate) fn branches(model: &Model, it: &Repository, sha: &str) -> Result<Value, Error> {
    let mut found = Vec::new();
    for (name, tip) in it.git.refs("refs/heads/")? {
        if found.len() < 10 && it.git.is_ancestor(sha, &tip)? {
            let name = name.trim_start_matches("refs/heads/");
            let url = format!("{}/repos/{}/commits/{tip}", model.api(), model.full_name(it));
            found.push(json!({"name": name, "commit": {"sha": tip, "url": url}, "protected": it.is_protected(name)}));
        }
    }
    Ok(json!(found))
}
