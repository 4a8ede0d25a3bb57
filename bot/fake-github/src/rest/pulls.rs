//! Owns pull requests: list, create, get, edit, commits, files, labels.

use serde_json::Value;

use crate::model::account::{Caller, Role};
use crate::model::pull::{NewPull, Pull, PullEdit};
use crate::rest::{Answer, Call, Refusal};
use crate::shape::{self, Form};

pub(crate) fn number(call: &Call<'_>) -> Result<u64, Refusal> {
    let name = if call.param("pull_number").is_empty() { "issue_number" } else { "pull_number" };
    let number = call.number(name)?;
    call.here()?.pull(number)?;
    Ok(number)
}

fn whole(call: &Call<'_>, number: u64) -> Result<Value, Refusal> {
    let it = call.here()?;
    Ok(shape::pull::whole(call.model, it, it.pull(number)?, Form::Rest)?)
}

pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let it = call.here()?;
    let state = call.query("state").unwrap_or("open");
    let head = |pull: &Pull| {
        let owner =
            pull.head_repository.and_then(|id| call.model.repositories.get(&id)).map(|it| call.model.login(it.owner));
        format!("{}:{}", owner.unwrap_or_default(), pull.head_ref)
    };
    let mut pulls: Vec<&Pull> = it
        .pulls
        .values()
        .filter(|pull| state == "all" || pull.state() == state)
        .filter(|pull| call.query("base").is_none_or(|base| base == pull.base_ref))
        .filter(|pull| call.query("head").is_none_or(|wanted| wanted == head(pull)))
        .collect();
    let by_update = call.query("sort") == Some("updated");
    pulls.sort_by_key(|pull| if by_update { (pull.updated_at, pull.number) } else { (pull.created_at, pull.number) });
    if call.query("direction") != Some("asc") {
        pulls.reverse();
    }
    let items: Result<Vec<Value>, _> =
        pulls.into_iter().map(|pull| shape::pull::simple(call.model, it, pull, Form::Rest)).collect();
    call.list(items?)
}

pub(crate) fn create(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let new = NewPull {
        title: call.text("title").unwrap_or_default(),
        body: call.text("body"),
        head: call.text("head").unwrap_or_default(),
        base: call.text("base").unwrap_or_default(),
        draft: call.body["draft"].as_bool().unwrap_or(false),
    };
    let actor = call.actor()?;
    let number = call.model.open_pull(call.repository, actor, &new)?;
    Answer::created(whole(call, number)?)
}

/// The first look after a new head sees `mergeable: null` and starts the computing, as on GitHub.
pub(crate) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let number = number(call)?;
    let shaped = whole(call, number)?;
    call.model.look_at_mergeable(call.repository, number)?;
    Answer::ok(shaped)
}

pub(crate) fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (number, actor) = (number(call)?, call.actor()?);
    let own = call.here()?.pull(number)?.author == actor;
    if matches!(call.caller, Caller::Person(_)) && !own {
        call.at_least(Role::Triage)?;
    }
    let open = call.text("state").map(|state| state == "open");
    let edit = PullEdit { title: call.text("title"), body: call.text("body"), base: call.text("base"), open };
    call.model.edit_pull(call.repository, number, actor, &edit)?;
    Answer::ok(whole(call, number)?)
}

pub(crate) fn commits(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let it = call.here()?;
    let pull = it.pull(number(call)?)?;
    let commits = it.git.log(Some(&pull.base_sha), &pull.head_sha, 250)?;
    call.list(commits.iter().map(|commit| shape::commit::commit(call.model, it, commit)).collect())
}

pub(crate) fn files(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let it = call.here()?;
    let pull = it.pull(number(call)?)?;
    let base = it.git.merge_base(&pull.base_sha, &pull.head_sha)?.unwrap_or_else(|| pull.base_sha.clone());
    let changes = it.git.diff(&base, &pull.head_sha)?;
    call.list(
        changes.iter().take(3000).map(|change| shape::commit::file(call.model, it, &pull.head_sha, change)).collect(),
    )
}

pub(crate) fn names(body: &Value) -> Vec<String> {
    let list = body.get("labels").unwrap_or(body);
    let name = |it: &Value| it.as_str().or_else(|| it["name"].as_str()).map(str::to_owned);
    list.as_array().into_iter().flatten().filter_map(name).collect()
}

fn label_all(call: &mut Call<'_>, labels: &[String]) -> Result<Answer, Refusal> {
    let (number, actor) = (number(call)?, call.actor()?);
    call.at_least(Role::Triage)?;
    call.model.set_labels(call.repository, number, actor, labels)?;
    let items: Result<Vec<Value>, _> =
        labels.iter().map(|name| shape::pull::label(call.model, call.repository, name)).collect();
    call.list(items?)
}

pub(crate) fn set_labels(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let labels = names(&call.body);
    label_all(call, &labels)
}

pub(crate) fn add_labels(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let mut labels = call.here()?.pull(number(call)?)?.labels.clone();
    labels.extend(names(&call.body).into_iter().filter(|name| !labels.contains(name)).collect::<Vec<_>>());
    label_all(call, &labels)
}
