//! Owns check suites, check runs and annotations as JSON.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::error::Error;
use crate::model::Model;
use crate::model::check::{CheckRun, CheckSuite};
use crate::model::repository::Repository;
use crate::shape::{Form, app, commit, node, repository};

fn api_url(model: &Model, repository: &Repository) -> String {
    format!("{}/repos/{}", model.api(), model.full_name(repository))
}

/// Open pull requests of this repository (never of a fork) with this head.
fn pulls(model: &Model, it: &Repository, sha: &str) -> Value {
    let api = api_url(model, it);
    let here =
        it.pulls.values().filter(|pull| pull.is_open() && pull.head_sha == sha && pull.head_repository == Some(it.id));
    here.map(|pull| {
        json!({
            "url": format!("{api}/pulls/{}", pull.number),
            "id": pull.id,
            "number": pull.number,
            "head": {"ref": pull.head_ref, "sha": pull.head_sha, "repo": repository::reference(model, it)},
            "base": {"ref": pull.base_ref, "sha": pull.base_sha, "repo": repository::reference(model, it)},
        })
    })
    .collect()
}

/// The status and the conclusion of a suite, from its runs.
pub(crate) fn verdict(it: &Repository, suite: &CheckSuite) -> (&'static str, Option<String>) {
    let runs: Vec<&CheckRun> = it.runs.values().filter(|run| run.suite == suite.id).collect();
    if suite.reset || runs.is_empty() {
        return ("queued", None);
    }
    if runs.iter().any(|run| run.status != "completed") {
        let started = runs.iter().any(|run| run.status != "queued");
        return (if started { "in_progress" } else { "queued" }, None);
    }
    let order = ["failure", "timed_out", "cancelled", "action_required", "success", "neutral", "skipped"];
    let worst = order.into_iter().find(|word| runs.iter().any(|run| run.conclusion.as_deref() == Some(*word)));
    // A suite of skipped runs only is neutral in webhooks' vocabulary.
    ("completed", worst.map(|word| if word == "skipped" { "neutral".into() } else { word.to_owned() }))
}

fn app_of(model: &Model, id: u64, form: Form) -> Value {
    model.apps.get(&id).map_or(Value::Null, |it| app::app(model, it, form))
}

/// A check run.
pub(crate) fn run(model: &Model, it: &Repository, run: &CheckRun, form: Form) -> Result<Value, Error> {
    let (api, id) = (api_url(model, it), run.id);
    let html = format!("{}/{}/runs/{id}", model.url, model.full_name(it));
    let suite = match (form, it.suites.get(&run.suite)) {
        (Form::Webhook, Some(suite)) => suite_in_run(model, it, suite),
        _ => json!({"id": run.suite}),
    };
    let mut shaped = json!({
        "id": id,
        "node_id": node("CR", id),
        "head_sha": run.head_sha,
        "external_id": run.external_id,
        "url": format!("{api}/check-runs/{id}"),
        "html_url": html,
        "details_url": run.details_url.clone().unwrap_or_else(|| model.url.clone()),
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": rfc3339(run.started_at),
        "completed_at": run.completed_at.map(rfc3339),
        "output": {
            "title": run.title,
            "summary": run.summary,
            "text": run.text,
            "annotations_count": run.annotations.len(),
            "annotations_url": format!("{api}/check-runs/{id}/annotations"),
        },
        "name": run.name,
        "check_suite": suite,
        "app": app_of(model, run.app, form),
        "pull_requests": pulls(model, it, &run.head_sha),
    });
    if form == Form::Rest && run.details_url.is_none() {
        shaped["details_url"] = json!(html);
    }
    Ok(shaped)
}

fn suite_in_run(model: &Model, it: &Repository, suite: &CheckSuite) -> Value {
    let (status, conclusion) = verdict(it, suite);
    json!({
        "id": suite.id,
        "node_id": node("CS", suite.id),
        "head_branch": suite.head_branch,
        "head_sha": suite.head_sha,
        "status": status,
        "conclusion": conclusion,
        "url": format!("{}/check-suites/{}", api_url(model, it), suite.id),
        "before": suite.before,
        "after": suite.after,
        "pull_requests": pulls(model, it, &suite.head_sha),
        "app": app_of(model, suite.app, Form::Webhook),
        "created_at": rfc3339(suite.created_at),
        "updated_at": rfc3339(suite.updated_at),
    })
}

/// A check suite.
pub(crate) fn suite(model: &Model, it: &Repository, suite: &CheckSuite, form: Form) -> Result<Value, Error> {
    let mut shaped = suite_in_run(model, it, suite);
    let head = it.git.commit_object(&suite.head_sha)?;
    let head = head.ok_or_else(|| Error::NotFound(format!("commit {}", suite.head_sha)))?;
    let runs = it.runs.values().filter(|run| run.suite == suite.id).count();
    let api = api_url(model, it);
    shaped["latest_check_runs_count"] = json!(runs);
    shaped["check_runs_url"] = json!(format!("{api}/check-suites/{}/check-runs", suite.id));
    shaped["head_commit"] = commit::simple(&head);
    if form == Form::Rest {
        shaped["rerequestable"] = json!(true);
        shaped["runs_rerequestable"] = json!(true);
        shaped["app"] = app_of(model, suite.app, form);
        shaped["repository"] = Value::Object(repository::minimal(model, it));
    }
    Ok(shaped)
}

/// An annotation as the list of annotations answers it.
pub(crate) fn annotation(model: &Model, it: &Repository, run: &CheckRun, sent: &Value) -> Value {
    json!({
        "path": sent["path"],
        "blob_href": format!("{}/git/blobs/{}", api_url(model, it), run.head_sha),
        "start_line": sent["start_line"],
        "start_column": sent["start_column"],
        "end_line": sent["end_line"],
        "end_column": sent["end_column"],
        "annotation_level": sent["annotation_level"],
        "title": sent["title"],
        "message": sent["message"],
        "raw_details": sent["raw_details"],
    })
}
