//! Owns accounts as JSON.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::model::Model;
use crate::model::account::{Kind, Role};
use crate::model::repository::Repository;
use crate::shape::node;

/// GitHub's simple user.
pub(crate) fn user(model: &Model, id: u64) -> Value {
    let (login, kind) =
        model.accounts.get(&id).map_or_else(|| ("ghost".to_owned(), Kind::User), |it| (it.login.clone(), it.kind));
    let api = format!("{}/users/{}", model.api(), login.replace('[', "%5B").replace(']', "%5D"));
    let page = match (kind, login.strip_suffix("[bot]")) {
        (Kind::Bot, Some(slug)) => format!("{}/apps/{slug}", model.url),
        _ => format!("{}/{login}", model.url),
    };
    json!({
        "login": login,
        "id": id,
        "node_id": node(if kind == Kind::Bot { "BOT" } else { "U" }, id),
        "avatar_url": format!("{}/avatars/u/{id}", model.url),
        "gravatar_id": "",
        "url": api,
        "html_url": page,
        "followers_url": format!("{api}/followers"),
        "following_url": format!("{api}/following{{/other_user}}"),
        "gists_url": format!("{api}/gists{{/gist_id}}"),
        "starred_url": format!("{api}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{api}/subscriptions"),
        "organizations_url": format!("{api}/orgs"),
        "repos_url": format!("{api}/repos"),
        "events_url": format!("{api}/events{{/privacy}}"),
        "received_events_url": format!("{api}/received_events"),
        "type": kind.word(),
        "site_admin": false,
    })
}

/// GitHub's public user, as `/user` and `/users/{login}` answer.
pub(crate) fn public(model: &Model, id: u64) -> Value {
    let mut it = user(model, id);
    let created = model.accounts.get(&id).map_or(0, |account| account.created_at);
    let more = json!({
        "name": model.login(id), "company": null, "blog": "", "location": null, "email": null, "hireable": null,
        "bio": null, "twitter_username": null, "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
        "created_at": rfc3339(created), "updated_at": rfc3339(created),
    });
    if let (Some(it), Value::Object(more)) = (it.as_object_mut(), more) {
        it.extend(more);
    }
    it
}

/// The `organization` of a webhook; `None` when the owner is a person.
pub(crate) fn organization(model: &Model, id: u64) -> Option<Value> {
    let account = model.accounts.get(&id).filter(|account| account.kind == Kind::Organization)?;
    let api = format!("{}/orgs/{}", model.api(), account.login);
    Some(json!({
        "login": account.login,
        "id": id,
        "node_id": node("O", id),
        "url": api,
        "repos_url": format!("{api}/repos"),
        "events_url": format!("{api}/events"),
        "hooks_url": format!("{api}/hooks"),
        "issues_url": format!("{api}/issues"),
        "members_url": format!("{api}/members{{/member}}"),
        "public_members_url": format!("{api}/public_members{{/member}}"),
        "avatar_url": format!("{}/avatars/u/{id}", model.url),
        "description": "",
    }))
}

/// What a role allows, as flags.
pub(crate) fn flags(role: Option<Role>) -> Value {
    json!({
        "admin": role >= Some(Role::Admin),
        "maintain": role >= Some(Role::Maintain),
        "push": role >= Some(Role::Write),
        "triage": role >= Some(Role::Triage),
        "pull": role >= Some(Role::Read),
    })
}

/// The answer to "what may this person do here".
pub(crate) fn permission(model: &Model, repository: &Repository, id: u64) -> Value {
    let role = model.role(id, repository);
    let mut shaped = user(model, id);
    if let Some(shaped) = shaped.as_object_mut() {
        shaped.insert("permissions".into(), flags(role));
        shaped.insert("role_name".into(), json!(role.map_or("none", Role::name)));
    }
    json!({
        "permission": role.map_or("none", Role::permission),
        "role_name": role.map_or("none", Role::name),
        "user": shaped,
    })
}
