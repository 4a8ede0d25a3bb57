//! Owns repositories: get, create, fork, delete.

use serde_json::{Value, json};

use crate::error::Error;
use crate::model::account::{Caller, Role};
use crate::model::landing::Method;
use crate::model::repository::NewRepository;
use crate::rest::{Answer, Call, Refusal};
use crate::shape::{self, Form};

const METHODS: [Method; 3] = [Method::Merge, Method::Squash, Method::Rebase];

/// The name of the setting that allows it.
fn setting(method: Method) -> String {
    let name = if method == Method::Merge { "merge_commit".to_owned() } else { format!("{}_merge", method.name()) };
    format!("allow_{name}")
}

fn shaped(call: &Call<'_>, id: u64) -> Result<Value, Refusal> {
    let it = call.model.repository(id)?;
    let mut shaped = shape::repository::whole(call.model, it, Form::Rest);
    if let Caller::Person(person) = call.caller {
        let role = call.model.role(person, it);
        shaped["permissions"] = shape::user::flags(role);
        // Who may not push is not told how merges are done.
        if role >= Some(Role::Write) {
            for method in METHODS {
                shaped[setting(method)] = json!(it.merges.allowed.contains(&method));
            }
            shaped["delete_branch_on_merge"] = json!(it.merges.delete_branch);
        }
    }
    if let Some(parent) = it.parent {
        let parent = shape::repository::whole(call.model, call.model.repository(parent)?, Form::Rest);
        shaped["source"] = parent.clone();
        shaped["parent"] = parent;
    }
    Ok(shaped)
}

pub(crate) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    Answer::ok(shaped(call, call.repository)?)
}

pub(crate) fn list_mine(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let me = call.actor()?;
    let seen = call.model.repositories.values().filter(|it| it.owner == me || it.collaborators.contains_key(&me));
    let items = seen.map(|it| shape::repository::whole(call.model, it, Form::Rest)).collect();
    call.list(items)
}

pub(crate) fn create_mine(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let owner = call.actor()?;
    create(call, owner)
}

pub(crate) fn create_in_organization(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let owner = call.model.account(call.param("org"))?;
    let me = call.actor()?;
    if !call.model.accounts.get(&owner).is_some_and(|it| it.members.contains(&me)) {
        return Err(Refusal::new(403, "You need admin access to the organization before adding a repository to it."));
    }
    create(call, owner)
}

fn create(call: &mut Call<'_>, owner: u64) -> Result<Answer, Refusal> {
    let name = call.text("name").unwrap_or_default();
    let private = call.body["private"].as_bool().unwrap_or(false);
    let description = call.text("description");
    let id = call.model.new_repository(NewRepository { owner, name: &name, description, private, parent: None })?;
    if call.body["auto_init"].as_bool() == Some(true) {
        let readme = [crate::git::Change::write("README.md", format!("# {name}\n"))];
        let actor = call.actor()?;
        call.model.commit(id, "main", actor, "Initial commit", &readme)?;
    }
    Answer::created(shaped(call, id)?)
}

pub(crate) fn fork(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let owner = match call.text("organization") {
        Some(login) => call.model.account(&login)?,
        None => call.actor()?,
    };
    let name = call.text("name");
    let id = call.model.fork(call.repository, owner, name.as_deref())?;
    Ok(Answer { status: 202, body: Some(shaped(call, id)?), pages: None })
}

/// Settings; only those that the double has.
pub(crate) fn update(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    call.at_least(Role::Admin)?;
    let flag = |name: &str| call.body[name].as_bool();
    let mut allowed = call.here()?.merges.allowed.clone();
    for method in METHODS {
        match flag(&setting(method)) {
            Some(true) if !allowed.contains(&method) => allowed.push(method),
            Some(false) => allowed.retain(|it| *it != method),
            _ => {}
        }
    }
    if allowed.is_empty() {
        let why = "Sorry, you need to allow at least one merge strategy.";
        return Err(Error::invalid("Repository", "merge_commit_allowed", why).into());
    }
    let (delete_branch, description) = (flag("delete_branch_on_merge"), call.text("description"));
    let it = call.model.repository_mut(call.repository)?;
    it.merges.allowed = allowed;
    it.merges.delete_branch = delete_branch.unwrap_or(it.merges.delete_branch);
    it.description = description.or_else(|| it.description.take());
    Answer::ok(shaped(call, call.repository)?)
}

pub(crate) fn delete(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    call.at_least(Role::Admin)?;
    let id = call.repository;
    call.model.repositories.remove(&id);
    for installation in call.model.installations.values_mut() {
        installation.repositories.retain(|held| *held != id);
    }
    for other in call.model.repositories.values_mut() {
        other
            .pulls
            .values_mut()
            .filter(|pull| pull.head_repository == Some(id))
            .for_each(|pull| pull.head_repository = None);
        other.parent = other.parent.filter(|parent| *parent != id);
    }
    Answer::empty(204)
}
