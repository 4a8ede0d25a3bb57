//! Owns check runs and suites. Only apps write them.

use serde_json::Value;

use crate::clock;
use crate::model::account::Caller;
use crate::model::check::{CheckInput, CheckRun, Output};
use crate::rest::{Answer, Call, Refusal, commits};
use crate::shape::{self, Form};

/// The app that writes; people may not.
fn writer(call: &Call<'_>) -> Result<u64, Refusal> {
    let refused = || Refusal::new(403, "You must authenticate via a GitHub App.");
    call.app().filter(|_| matches!(call.caller, Caller::Installation { .. })).ok_or_else(refused)
}

fn output(body: &Value) -> Option<Output> {
    let output = body.get("output").filter(|output| output.is_object())?;
    let text = |name: &str| output[name].as_str().map(str::to_owned);
    let annotations = output["annotations"].as_array().cloned().unwrap_or_default();
    Some(Output { title: text("title"), summary: text("summary"), text: text("text"), annotations })
}

fn input(call: &Call<'_>) -> CheckInput {
    let time = |name: &str| call.body[name].as_str().and_then(clock::parse);
    CheckInput {
        name: call.text("name"),
        details_url: call.text("details_url"),
        external_id: call.text("external_id"),
        status: call.text("status"),
        conclusion: call.text("conclusion"),
        started_at: time("started_at"),
        completed_at: time("completed_at"),
        output: output(&call.body),
        actions: call.body["actions"].as_array().cloned(),
    }
}

fn shaped(call: &Call<'_>, id: u64) -> Result<Value, Refusal> {
    let it = call.here()?;
    Ok(shape::check::run(call.model, it, call.model.run(it.id, id)?, Form::Rest)?)
}

pub(crate) fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (app, input, sha) = (writer(call)?, input(call), call.text("head_sha").unwrap_or_default());
    let id = call.model.create_check(call.repository, app, &sha, input)?;
    Answer::created(shaped(call, id)?)
}

pub(crate) fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (app, id, input) = (writer(call)?, call.number("check_run_id")?, input(call));
    if call.model.run(call.repository, id)?.app != app {
        return Err(Refusal::new(
            403,
            "Invalid app_id `check_run.app_id` - check run can only be modified by the GitHub App that created it.",
        ));
    }
    call.model.update_check(call.repository, id, input)?;
    Answer::ok(shaped(call, id)?)
}

pub(crate) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Answer::ok(shaped(call, call.number("check_run_id")?)?)
}

pub(crate) fn annotations(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let it = call.here()?;
    let run = call.model.run(it.id, call.number("check_run_id")?)?;
    call.list(run.annotations.iter().map(|sent| shape::check::annotation(call.model, it, run, sent)).collect())
}

fn runs(call: &Call<'_>, wanted: impl Fn(&CheckRun) -> bool) -> Result<Answer, Refusal> {
    let it = call.here()?;
    let same = |name: &str, value: &str| call.query(name).is_none_or(|wanted| wanted == value);
    let mut found: Vec<&CheckRun> = it.runs.values().filter(|run| wanted(run)).collect();
    found.retain(|run| {
        same("check_name", &run.name) && same("status", &run.status) && same("app_id", &run.app.to_string())
    });
    if call.query("filter") != Some("all") {
        // `latest`: the newest of each name in its suite.
        let newest: Vec<u64> = found
            .iter()
            .filter(|run| {
                !found.iter().any(|other| other.id > run.id && other.name == run.name && other.suite == run.suite)
            })
            .map(|run| run.id)
            .collect();
        found.retain(|run| newest.contains(&run.id));
    }
    let items: Result<Vec<Value>, _> =
        found.into_iter().rev().map(|run| shape::check::run(call.model, it, run, Form::Rest)).collect();
    call.counted("check_runs", items?)
}

pub(crate) fn list_for_ref(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let sha = commits::resolve(call, call.param("ref"))?;
    runs(call, |run| run.head_sha == sha)
}

pub(crate) fn list_for_suite(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.number("check_suite_id")?;
    runs(call, |run| run.suite == id)
}

pub(crate) fn suites_for_ref(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let sha = commits::resolve(call, call.param("ref"))?;
    let it = call.here()?;
    let app = call.query("app_id");
    let suites =
        it.suites.values().filter(|suite| suite.head_sha == sha && app.is_none_or(|app| app == suite.app.to_string()));
    let items: Result<Vec<Value>, _> =
        suites.map(|suite| shape::check::suite(call.model, it, suite, Form::Rest)).collect();
    call.counted("check_suites", items?)
}

pub(crate) fn get_suite(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let it = call.here()?;
    let suite = it.suites.get(&call.number("check_suite_id")?).ok_or_else(|| Refusal::new(404, "Not Found"))?;
    Answer::ok(shape::check::suite(call.model, it, suite, Form::Rest)?)
}

fn begun() -> Result<Answer, Refusal> {
    Answer::created(serde_json::json!({}))
}

pub(crate) fn rerequest_run(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (id, actor) = (call.number("check_run_id")?, call.actor()?);
    call.model.rerequest_run(call.repository, id, actor)?;
    begun()
}

pub(crate) fn rerequest_suite(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (id, actor) = (call.number("check_suite_id")?, call.actor()?);
    call.model.rerequest_suite(call.repository, id, actor)?;
    begun()
}
