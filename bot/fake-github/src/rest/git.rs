//! Owns refs and commits of the git database API.

use serde_json::Value;

use crate::model::account::Role;
use crate::rest::{Answer, Call, Refusal};
use crate::shape;

fn found(call: &Call<'_>, name: &str) -> Result<Value, Refusal> {
    let it = call.here()?;
    let sha = it.git.commit(name)?.ok_or_else(|| Refusal::new(404, "Not Found"))?;
    Ok(shape::commit::reference(call.model, it, name, &sha))
}

fn full(call: &Call<'_>) -> String {
    format!("refs/{}", call.param("ref"))
}

pub(crate) fn get_ref(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Answer::ok(found(call, &full(call))?)
}

pub(crate) fn matching_refs(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (prefix, it) = (full(call), call.here()?);
    let all = it.git.refs("refs/")?;
    let named = all.iter().filter(|(name, _)| name.starts_with(&prefix));
    let items = named.map(|(name, sha)| shape::commit::reference(call.model, it, name, sha)).collect();
    call.list(items)
}

pub(crate) fn create_ref(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    call.at_least(Role::Write)?;
    let (name, sha) = (call.text("ref").unwrap_or_default(), call.text("sha").unwrap_or_default());
    let it = call.here()?;
    if !name.starts_with("refs/") || name.matches('/').count() < 2 || !it.git.valid_ref(&name)? {
        return Err(Refusal::new(422, "Reference name is not valid"));
    }
    if it.git.commit(&name)?.is_some() {
        return Err(Refusal::new(422, "Reference already exists"));
    }
    let actor = call.actor()?;
    call.model.move_ref(call.repository, &name, &sha, actor)?;
    Answer::created(found(call, &name)?)
}

pub(crate) fn update_ref(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    call.at_least(Role::Write)?;
    let (name, sha) = (full(call), call.text("sha").unwrap_or_default());
    let it = call.here()?;
    let before = it.git.commit(&name)?.ok_or_else(|| Refusal::new(422, "Reference does not exist"))?;
    if call.body["force"].as_bool() != Some(true) && !it.git.is_ancestor(&before, &sha)? {
        return Err(Refusal::new(422, "Update is not a fast forward"));
    }
    let actor = call.actor()?;
    call.model.move_ref(call.repository, &name, &sha, actor)?;
    Answer::ok(found(call, &name)?)
}

pub(crate) fn delete_ref(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    call.at_least(Role::Write)?;
    let (name, actor) = (full(call), call.actor()?);
    call.model.remove_ref(call.repository, &name, actor)?;
    Answer::empty(204)
}

pub(crate) fn get_commit(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let it = call.here()?;
    let commit = it.git.commit_object(call.param("commit_sha"))?.ok_or_else(|| Refusal::new(404, "Not Found"))?;
    Answer::ok(shape::commit::object(call.model, it, &commit))
}
