//! Owns deployments and their statuses.

use serde_json::Value;

use crate::model::account::Role;
use crate::model::deployment::{Deployment, NewDeployment, NewDeploymentStatus};
use crate::rest::{Answer, Call, Refusal};
use crate::shape::{self, Form};

fn found<'a>(call: &'a Call<'_>) -> Result<&'a Deployment, Refusal> {
    Ok(call.model.deployment(call.repository, call.number("deployment_id")?)?)
}

fn shaped(call: &Call<'_>, it: &Deployment) -> Result<Value, Refusal> {
    Ok(shape::deployment::deployment(call.model, call.here()?, it, Form::Rest))
}

pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let fits = |name: &str, has: &str| call.query(name).is_none_or(|wanted| wanted == "none" || wanted == has);
    let all = call.here()?.deployments.values().rev();
    let listed = all.filter(|it| {
        fits("sha", &it.sha)
            && fits("ref", &it.reference)
            && fits("task", &it.task)
            && fits("environment", &it.environment)
    });
    let items = listed.map(|it| shaped(call, it)).collect::<Result<Vec<Value>, Refusal>>()?;
    call.list(items)
}

pub(crate) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Answer::ok(shaped(call, found(call)?)?)
}

pub(crate) fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    call.at_least(Role::Write)?;
    let (actor, app) = (call.actor()?, call.app());
    let flag = |name: &str| call.body[name].as_bool();
    let contexts = call.body["required_contexts"].as_array();
    let new = NewDeployment {
        reference: call.text("ref").unwrap_or_default(),
        task: call.text("task"),
        auto_merge: flag("auto_merge").unwrap_or(true),
        required_contexts: contexts.map(|all| all.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect()),
        payload: call.body.get("payload").cloned(),
        environment: call.text("environment"),
        description: call.text("description"),
        transient: flag("transient_environment").unwrap_or(false),
        production: flag("production_environment"),
    };
    let id = call.model.create_deployment(call.repository, actor, app, new)?;
    Answer::created(shaped(call, call.model.deployment(call.repository, id)?)?)
}

pub(crate) fn statuses(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (it, of) = (call.here()?, found(call)?);
    let all = of.statuses.iter().rev();
    call.list(all.map(|status| shape::deployment::status(call.model, it, of, status, Form::Rest)).collect())
}

pub(crate) fn status(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    one(call, call.number("status_id")?).map(|it| Answer { status: 200, body: Some(it), pages: None })
}

fn one(call: &Call<'_>, id: u64) -> Result<Value, Refusal> {
    let (it, of) = (call.here()?, found(call)?);
    let status = of.statuses.iter().find(|it| it.id == id).ok_or_else(|| Refusal::new(404, "Not Found"))?;
    Ok(shape::deployment::status(call.model, it, of, status, Form::Rest))
}

pub(crate) fn create_status(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    call.at_least(Role::Write)?;
    let (id, actor, app) = (found(call)?.id, call.actor()?, call.app());
    let new = NewDeploymentStatus {
        state: call.text("state").unwrap_or_default(),
        description: call.text("description"),
        environment: call.text("environment"),
        log_url: call.text("log_url").or_else(|| call.text("target_url")),
        environment_url: call.text("environment_url"),
        auto_inactive: call.body["auto_inactive"].as_bool().unwrap_or(true),
    };
    let status = call.model.set_deployment_status(call.repository, id, actor, app, new)?;
    Answer::created(one(call, status)?)
}
