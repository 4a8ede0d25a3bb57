//! Owns issues: list, create, get, edit. A pull request is an issue too.

use serde_json::Value;

use crate::clock;
use crate::model::account::{Caller, Role};
use crate::model::issue::IssueEdit;
use crate::model::pull::PullEdit;
use crate::rest::{Answer, Call, Refusal};
use crate::shape::{self, Form};

/// The number of a pull request or issue that is there.
pub(crate) fn number(call: &Call<'_>) -> Result<u64, Refusal> {
    let (number, it) = (call.number("issue_number")?, call.here()?);
    if it.is_issue(number) { Ok(number) } else { Ok(it.pull(number)?.number) }
}

fn shaped(call: &Call<'_>, number: u64) -> Result<Value, Refusal> {
    let found = shape::issue::either(call.model, call.here()?, number, Form::Rest);
    found.ok_or_else(|| Refusal::new(404, "Not Found"))
}

pub(crate) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Answer::ok(shaped(call, number(call)?)?)
}

pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let it = call.here()?;
    let state = call.query("state").unwrap_or("open");
    let since = call.query("since").and_then(clock::parse).unwrap_or(i64::MIN);
    let labels: Vec<&str> = call.query("labels").map(|it| it.split(',').collect()).unwrap_or_default();
    // Whoever may see no issues sees the pull requests.
    let sees = match &call.caller {
        Caller::Installation { permissions, .. } => permissions.contains_key("issues"),
        _ => true,
    };
    let own = it.issues.values().filter(|_| sees && it.has_issues);
    let own = own.map(|it| (it.number, it.author, it.state(), it.created_at, it.updated_at, &it.labels));
    let pulls = it.pulls.values();
    let pulls = pulls.map(|it| (it.number, it.author, it.state(), it.created_at, it.updated_at, &it.labels));
    let mut found: Vec<(u64, i64, i64)> = own
        .chain(pulls)
        .filter(|(_, _, is, ..)| state == "all" || *is == state)
        .filter(|(_, author, ..)| call.query("creator").is_none_or(|login| call.model.login(*author) == login))
        .filter(|(.., updated, _)| updated.div_euclid(1_000_000) >= since.div_euclid(1_000_000))
        .filter(|(.., has)| labels.iter().all(|label| has.iter().any(|it| it == label)))
        .map(|(number, _, _, created, updated, _)| (number, created, updated))
        .collect();
    let by_update = call.query("sort") == Some("updated");
    found.sort_by_key(|(number, created, updated)| (if by_update { *updated } else { *created }, *number));
    if call.query("direction") != Some("asc") {
        found.reverse();
    }
    let items = found.into_iter().map(|(number, ..)| shaped(call, number)).collect::<Result<Vec<Value>, Refusal>>()?;
    call.list(items)
}

pub(crate) fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (actor, app) = (call.actor()?, call.app());
    let (title, body) = (call.text("title").unwrap_or_default(), call.text("body"));
    let number = call.model.open_issue(call.repository, actor, app, &title, body.as_deref())?;
    Answer::created(shaped(call, number)?)
}

pub(crate) fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (number, actor) = (number(call)?, call.actor()?);
    let it = call.here()?;
    let author = if it.is_issue(number) { it.issue(number)?.author } else { it.pull(number)?.author };
    if author != actor {
        call.at_least(Role::Triage)?;
    }
    let open = call.text("state").map(|state| state == "open");
    let (title, body) = (call.text("title"), call.text("body"));
    if it.is_issue(number) {
        let labels = call.body.get("labels").map(|_| super::pulls::names(&call.body));
        let edit = IssueEdit { title, body, open, reason: call.text("state_reason"), labels };
        call.model.edit_issue(call.repository, number, actor, &edit)?;
    } else {
        let edit = PullEdit { title, body, open, base: None };
        call.model.edit_pull(call.repository, number, actor, &edit)?;
    }
    Answer::ok(shaped(call, number)?)
}
