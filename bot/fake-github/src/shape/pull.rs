//! Owns pull requests, their issue side and their labels as JSON.

use serde_json::{Map, Value, json};

use crate::clock::rfc3339;
use crate::error::Error;
use crate::model::Model;
use crate::model::owners::Owner;
use crate::model::pull::Pull;
use crate::model::repository::Repository;
use crate::shape::{Form, comment, node, repository, team, user};

fn api_url(model: &Model, repository: &Repository) -> String {
    format!("{}/repos/{}", model.api(), model.full_name(repository))
}

/// A label by its name; it has the same id wherever it is used.
pub(crate) fn label(model: &Model, repository: u64, name: &str) -> Result<Value, Error> {
    let it = model.repository(repository)?;
    let id =
        name.bytes().fold(repository, |id, byte| id.wrapping_mul(31).wrapping_add(u64::from(byte))) % 1_000_000_007;
    Ok(json!({
        "id": id,
        "node_id": node("LA", id),
        "url": format!("{}/labels/{name}", api_url(model, it)),
        "name": name,
        "color": "ededed",
        "default": false,
        "description": "",
    }))
}

fn labels(model: &Model, repository: &Repository, pull: &Pull) -> Vec<Value> {
    pull.labels.iter().filter_map(|name| label(model, repository.id, name).ok()).collect()
}

/// One side of a pull request.
fn side(model: &Model, side: Option<u64>, reference: &str, sha: &str, form: Form) -> Result<Value, Error> {
    let it = match side {
        Some(id) => Some(model.repository(id)?),
        None => None,
    };
    let owner = it.map(|it| it.owner);
    let login = owner.map_or_else(|| "unknown".into(), |owner| model.login(owner));
    Ok(json!({
        "label": format!("{login}:{reference}"),
        "ref": reference,
        "sha": sha,
        "user": owner.map(|owner| user::user(model, owner)),
        "repo": it.map(|it| repository::whole(model, it, form)),
    }))
}

fn links(pull: &Map<String, Value>) -> Value {
    let href = |name: &str| json!({"href": pull.get(name).cloned().unwrap_or(Value::Null)});
    json!({
        "self": href("url"),
        "html": href("html_url"),
        "issue": href("issue_url"),
        "comments": href("comments_url"),
        "review_comments": href("review_comments_url"),
        "review_comment": href("review_comment_url"),
        "commits": href("commits_url"),
        "statuses": href("statuses_url"),
    })
}

/// A pull request as lists and review webhooks have it.
pub(crate) fn simple(model: &Model, it: &Repository, pull: &Pull, form: Form) -> Result<Value, Error> {
    let (api, number) = (api_url(model, it), pull.number);
    let page = format!("{}/{}/pull/{number}", model.url, model.full_name(it));
    let (mut reviewers, mut teams) = (Vec::new(), Vec::new());
    for owner in &pull.asked {
        match owner {
            Owner::Person(id) => reviewers.push(user::user(model, *id)),
            Owner::Team(id) => teams.extend(model.teams.get(id).map(|it| team::team(model, it, form))),
        }
    }
    let shaped = json!({
        "url": format!("{api}/pulls/{number}"),
        "id": pull.id,
        "node_id": node("PR", pull.id),
        "html_url": page,
        "diff_url": format!("{page}.diff"),
        "patch_url": format!("{page}.patch"),
        "issue_url": format!("{api}/issues/{number}"),
        "number": number,
        "state": pull.state(),
        "locked": false,
        "title": pull.title,
        "user": user::user(model, pull.author),
        "body": pull.body,
        "created_at": rfc3339(pull.created_at),
        "updated_at": rfc3339(pull.updated_at),
        "closed_at": pull.closed_at.map(rfc3339),
        "merged_at": pull.merged_at.map(rfc3339),
        "merge_commit_sha": pull.merge_commit_sha,
        "assignee": null,
        "assignees": [],
        "requested_reviewers": reviewers,
        "requested_teams": teams,
        "labels": labels(model, it, pull),
        "milestone": null,
        "draft": pull.draft,
        "commits_url": format!("{api}/pulls/{number}/commits"),
        "review_comments_url": format!("{api}/pulls/{number}/comments"),
        "review_comment_url": format!("{api}/pulls/comments{{/number}}"),
        "comments_url": format!("{api}/issues/{number}/comments"),
        "statuses_url": format!("{api}/statuses/{}", pull.head_sha),
        "head": side(model, pull.head_repository, &pull.head_ref, &pull.head_sha, form)?,
        "base": side(model, Some(it.id), &pull.base_ref, &pull.base_sha, form)?,
        "author_association": model.association(pull.author, it),
        "auto_merge": null,
        "active_lock_reason": null,
    });
    let Value::Object(mut map) = shaped else { return Ok(shaped) };
    let links = links(&map);
    map.insert("_links".into(), links);
    Ok(Value::Object(map))
}

/// A pull request as `GET` and its own webhooks have it.
pub(crate) fn whole(model: &Model, it: &Repository, pull: &Pull, form: Form) -> Result<Value, Error> {
    let mut shaped = simple(model, it, pull, form)?;
    let base = it.git.merge_base(&pull.base_sha, &pull.head_sha)?;
    let commits = it.git.log(Some(&pull.base_sha), &pull.head_sha, 250)?.len();
    let files = match &base {
        Some(base) => it.git.diff(base, &pull.head_sha)?,
        None => Vec::new(),
    };
    let state = model.mergeable_state(it, pull)?;
    let more = json!({
        "merged": pull.merged_at.is_some(),
        "mergeable": pull.mergeable,
        "rebaseable": pull.mergeable,
        "mergeable_state": state,
        "merged_by": pull.merged_by.map(|id| user::user(model, id)),
        "comments": it.comments.values().filter(|comment| comment.number == pull.number).count(),
        "review_comments": pull.threads.iter().map(|thread| thread.comments.len()).sum::<usize>(),
        "maintainer_can_modify": false,
        "commits": commits,
        "additions": files.iter().map(|file| file.additions).sum::<u64>(),
        "deletions": files.iter().map(|file| file.deletions).sum::<u64>(),
        "changed_files": files.len(),
    });
    if let (Some(map), Value::Object(more)) = (shaped.as_object_mut(), more) {
        map.extend(more);
    }
    Ok(shaped)
}

/// The issue behind a pull request.
pub(crate) fn issue(model: &Model, it: &Repository, pull: &Pull) -> Value {
    let (api, number) = (api_url(model, it), pull.number);
    let page = format!("{}/{}/pull/{number}", model.url, model.full_name(it));
    let url = format!("{api}/issues/{number}");
    json!({
        "url": url,
        "repository_url": api,
        "labels_url": format!("{url}/labels{{/name}}"),
        "comments_url": format!("{url}/comments"),
        "events_url": format!("{url}/events"),
        "html_url": page,
        "id": pull.issue_id,
        "node_id": node("PR", pull.id),
        "number": number,
        "title": pull.title,
        "user": user::user(model, pull.author),
        "labels": labels(model, it, pull),
        "state": pull.state(),
        "locked": false,
        "assignee": null,
        "assignees": [],
        "milestone": null,
        "comments": it.comments.values().filter(|comment| comment.number == number).count(),
        "created_at": rfc3339(pull.created_at),
        "updated_at": rfc3339(pull.updated_at),
        "closed_at": pull.closed_at.map(rfc3339),
        "author_association": model.association(pull.author, it),
        "active_lock_reason": null,
        "draft": pull.draft,
        "pull_request": {
            "url": format!("{api}/pulls/{number}"),
            "html_url": page,
            "diff_url": format!("{page}.diff"),
            "patch_url": format!("{page}.patch"),
            "merged_at": pull.merged_at.map(rfc3339),
        },
        "body": pull.body,
        "reactions": comment::tally(&format!("{url}/reactions"), &[]),
        "timeline_url": format!("{url}/timeline"),
        "performed_via_github_app": null,
        "state_reason": null,
    })
}
