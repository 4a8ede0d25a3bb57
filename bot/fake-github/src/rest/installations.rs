//! Owns installations: looking them up, minting narrowed tokens, and what a token reaches.

use serde_json::{Map, Value, json};

use crate::clock::rfc3339;
use crate::model::account::{Caller, Permissions};
use crate::model::app::Installation;
use crate::rest::{Answer, Call, Refusal};
use crate::shape::{self, Form};

fn mine<'a>(call: &'a Call<'_>) -> impl Iterator<Item = &'a Installation> {
    let app = call.app();
    call.model.installations.values().filter(move |it| Some(it.app) == app)
}

fn shaped(call: &Call<'_>, found: Option<&Installation>) -> Result<Answer, Refusal> {
    let found = found.ok_or_else(|| Refusal::new(404, "Not Found"))?;
    Answer::ok(shape::app::installation(call.model, found, Form::Rest))
}

pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let items = mine(call).map(|it| shape::app::installation(call.model, it, Form::Rest)).collect();
    call.list(items)
}

pub(crate) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.number("installation_id")?;
    shaped(call, mine(call).find(|it| it.id == id))
}

pub(crate) fn of_user(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    of_account(call, "username")
}

pub(crate) fn of_organization(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    of_account(call, "org")
}

fn of_account(call: &Call<'_>, param: &str) -> Result<Answer, Refusal> {
    let account = call.model.account(call.param(param))?;
    shaped(call, mine(call).find(|it| it.account == account))
}

pub(crate) fn of_repository(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.model.repository_id(&format!("{}/{}", call.param("owner"), call.param("repo")))?;
    shaped(call, mine(call).find(|it| it.repositories.contains(&id)))
}

fn refuse(message: &str) -> Refusal {
    Refusal::new(422, message)
}

/// The repositories that a body names, by id or by name.
fn narrowed(call: &Call<'_>, installation: &Installation) -> Result<Option<Vec<u64>>, Refusal> {
    let missing = || {
        refuse("There is at least one repository that does not exist or is not accessible to the parent installation.")
    };
    let mut wanted = Vec::new();
    for id in call.body["repository_ids"].as_array().into_iter().flatten() {
        wanted.push(id.as_u64().ok_or_else(missing)?);
    }
    for name in call.body["repositories"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        let held = installation.repositories.iter().filter_map(|id| call.model.repositories.get(id));
        let found = held.filter(|it| it.name.eq_ignore_ascii_case(name)).map(|it| it.id).next();
        wanted.push(found.ok_or_else(missing)?);
    }
    if wanted.iter().any(|id| !installation.repositories.contains(id)) {
        return Err(missing());
    }
    Ok((!wanted.is_empty()).then_some(wanted))
}

fn granted(call: &Call<'_>, installation: &Installation) -> Result<Permissions, Refusal> {
    let Some(wanted) = call.body["permissions"].as_object() else { return Ok(installation.permissions.clone()) };
    let rank = |level: &str| ["read", "write", "admin"].iter().position(|it| *it == level);
    let mut permissions = Permissions::new();
    for (name, level) in wanted {
        let level = level.as_str().unwrap_or_default();
        let have = installation.permissions.get(name).and_then(|have| rank(have));
        if rank(level).is_none() || have < rank(level) {
            return Err(refuse("The permissions requested are not granted to this installation."));
        }
        permissions.insert(name.clone(), level.to_owned());
    }
    // Every token may see metadata.
    permissions.entry("metadata".into()).or_insert_with(|| "read".into());
    Ok(permissions)
}

pub(crate) fn token(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = call.number("installation_id")?;
    let installation = mine(call).find(|it| it.id == id).cloned().ok_or_else(|| Refusal::new(404, "Not Found"))?;
    let (repositories, permissions) = (narrowed(call, &installation)?, granted(call, &installation)?);
    let named: Option<Vec<Value>> = repositories.as_ref().map(|ids| {
        let found = ids.iter().filter_map(|id| call.model.repositories.get(id));
        found.map(|it| shape::repository::whole(call.model, it, Form::Rest)).collect()
    });
    let (token, expires_at) = call.model.mint(id, repositories, permissions.clone())?;
    let mut it = Map::new();
    it.insert("token".into(), json!(token));
    it.insert("expires_at".into(), json!(rfc3339(expires_at)));
    it.insert("permissions".into(), json!(permissions));
    it.insert("repository_selection".into(), json!("selected"));
    if let Some(named) = named {
        it.insert("repositories".into(), json!(named));
    }
    Answer::created(Value::Object(it))
}

pub(crate) fn repositories(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let Caller::Installation { installation, .. } = &call.caller else {
        return Err(Refusal::new(403, "Resource not accessible by integration"));
    };
    let held = call.model.installations.get(installation).map(|it| it.repositories.clone()).unwrap_or_default();
    let reached = held
        .iter()
        .filter(|id| crate::token::reaches(call.model, &call.caller, **id))
        .filter_map(|id| call.model.repositories.get(id));
    let items = reached.map(|it| shape::repository::whole(call.model, it, Form::Rest)).collect();
    let mut answer = call.counted("repositories", items)?;
    if let Some(body) = &mut answer.body {
        body["repository_selection"] = json!("selected");
    }
    Ok(answer)
}

pub(crate) fn revoke(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    crate::token::revoke(call.model, &call.caller);
    Answer::empty(204)
}
