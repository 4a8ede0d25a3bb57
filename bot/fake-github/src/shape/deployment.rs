//! Owns deployments and their statuses as JSON.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::model::Model;
use crate::model::deployment::{Deployment, DeploymentStatus};
use crate::model::repository::Repository;
use crate::shape::{Form, app, node, user};

fn api_url(model: &Model, repository: &Repository) -> String {
    format!("{}/repos/{}", model.api(), model.full_name(repository))
}

fn via(model: &Model, id: Option<u64>, form: Form) -> Value {
    id.and_then(|id| model.apps.get(&id)).map_or(Value::Null, |it| app::app(model, it, form))
}

pub(crate) fn deployment(model: &Model, it: &Repository, deployment: &Deployment, form: Form) -> Value {
    let (api, id) = (api_url(model, it), deployment.id);
    let url = format!("{api}/deployments/{id}");
    let mut shaped = json!({
        "url": url,
        "id": id,
        "node_id": node("DE", id),
        "task": deployment.task,
        "original_environment": deployment.environment,
        "environment": deployment.environment,
        "description": deployment.description,
        "created_at": rfc3339(deployment.created_at),
        "updated_at": rfc3339(deployment.updated_at),
        "statuses_url": format!("{url}/statuses"),
        "repository_url": api,
        "creator": user::user(model, deployment.creator),
        "sha": deployment.sha,
        "ref": deployment.reference,
        "payload": deployment.payload,
        "transient_environment": deployment.transient,
        "production_environment": deployment.production,
    });
    let via = via(model, deployment.app, form);
    if !via.is_null() || form == Form::Rest {
        shaped["performed_via_github_app"] = via;
    }
    shaped
}

pub(crate) fn status(
    model: &Model,
    it: &Repository,
    deployment: &Deployment,
    status: &DeploymentStatus,
    form: Form,
) -> Value {
    let api = api_url(model, it);
    let deployment = format!("{api}/deployments/{}", deployment.id);
    json!({
        "url": format!("{deployment}/statuses/{}", status.id),
        "id": status.id,
        "node_id": node("DES", status.id),
        "state": status.state,
        "creator": user::user(model, status.creator),
        "description": status.description,
        "environment": status.environment,
        "target_url": status.log_url,
        "created_at": rfc3339(status.created_at),
        "updated_at": rfc3339(status.created_at),
        "deployment_url": deployment,
        "repository_url": api,
        "environment_url": status.environment_url,
        "log_url": status.log_url,
        "performed_via_github_app": via(model, status.app, form),
    })
}
