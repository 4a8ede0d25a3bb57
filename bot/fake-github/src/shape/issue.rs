//! Owns issues as JSON.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::model::Model;
use crate::model::issue::Issue;
use crate::model::repository::Repository;
use crate::shape::{Form, app, comment, node, pull, user};

/// Where the page of a pull request or issue is.
pub(crate) fn page(model: &Model, it: &Repository, number: u64) -> String {
    let kind = if it.is_issue(number) { "issues" } else { "pull" };
    format!("{}/{}/{kind}/{number}", model.url, model.full_name(it))
}

/// An issue that is no pull request.
pub(crate) fn issue(model: &Model, it: &Repository, issue: &Issue, form: Form) -> Value {
    let (api, number) = (format!("{}/repos/{}", model.api(), model.full_name(it)), issue.number);
    let url = format!("{api}/issues/{number}");
    let labels: Vec<Value> = issue.labels.iter().filter_map(|name| pull::label(model, it.id, name).ok()).collect();
    let via = issue.app.and_then(|id| model.apps.get(&id)).map(|it| app::app(model, it, form));
    let mut shaped = json!({
        "url": url,
        "repository_url": api,
        "labels_url": format!("{url}/labels{{/name}}"),
        "comments_url": format!("{url}/comments"),
        "events_url": format!("{url}/events"),
        "html_url": page(model, it, number),
        "id": issue.id,
        "node_id": node("I", issue.id),
        "number": number,
        "title": issue.title,
        "user": user::user(model, issue.author),
        "labels": labels,
        "state": issue.state(),
        "locked": false,
        "assignee": null,
        "assignees": [],
        "milestone": null,
        "comments": it.comments.values().filter(|comment| comment.number == number).count(),
        "created_at": rfc3339(issue.created_at),
        "updated_at": rfc3339(issue.updated_at),
        "closed_at": issue.closed_at.map(rfc3339),
        "author_association": model.association(issue.author, it),
        "active_lock_reason": null,
        "body": issue.body,
        "reactions": comment::tally(&format!("{url}/reactions"), &[]),
        "timeline_url": format!("{url}/timeline"),
        "performed_via_github_app": via,
        "state_reason": issue.reason,
    });
    if form == Form::Rest {
        shaped["closed_by"] = issue.closed_by.map_or(Value::Null, |id| user::user(model, id));
    }
    shaped
}

/// The issue of that number: its own, or the one behind a pull request.
pub(crate) fn either(model: &Model, it: &Repository, number: u64, form: Form) -> Option<Value> {
    let own = it.issues.get(&number).map(|found| issue(model, it, found, form));
    own.or_else(|| it.pulls.get(&number).map(|found| pull::issue(model, it, found)))
}
