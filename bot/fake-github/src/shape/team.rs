//! Owns teams as JSON.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::model::Model;
use crate::model::team::Team;
use crate::shape::{Form, node, user};

/// A team without its parent.
fn plain(model: &Model, team: &Team, form: Form) -> Value {
    let organization = model.login(team.organization);
    let api = format!("{}/organizations/{}/team/{}", model.api(), team.organization, team.id);
    let mut it = json!({
        "id": team.id,
        "node_id": node("T", team.id),
        "name": team.slug,
        "slug": team.slug,
        "description": "",
        "privacy": "closed",
        "notification_setting": "notifications_enabled",
        "permission": "pull",
        "url": api,
        "html_url": format!("{}/orgs/{organization}/teams/{}", model.url, team.slug),
        "members_url": format!("{api}/members{{/member}}"),
        "repositories_url": format!("{api}/repos"),
    });
    if form == Form::Rest {
        it["type"] = json!("organization");
        it["organization_id"] = json!(team.organization);
    }
    it
}

/// A team as lists and webhooks have it.
pub(crate) fn team(model: &Model, team: &Team, form: Form) -> Value {
    let mut it = plain(model, team, form);
    let parent = team.parent.and_then(|id| model.teams.get(&id)).map(|parent| plain(model, parent, form));
    if form == Form::Rest || parent.is_some() {
        it["parent"] = json!(parent);
    }
    it
}

/// A team as its own page has it.
pub(crate) fn whole(model: &Model, it: &Team) -> Value {
    let mut shaped = team(model, it, Form::Rest);
    let created = rfc3339(it.created_at);
    let more = json!({
        "created_at": created,
        "updated_at": created,
        "members_count": model.team_members(it.id).len(),
        "repos_count": it.repositories.len(),
        "organization": organization(model, it.organization),
    });
    if let (Some(shaped), Value::Object(more)) = (shaped.as_object_mut(), more) {
        shaped.extend(more);
    }
    shaped
}

fn organization(model: &Model, id: u64) -> Value {
    let mut shaped = user::organization(model, id).unwrap_or_default();
    let created = rfc3339(model.accounts.get(&id).map_or(0, |it| it.created_at));
    let more = json!({
        "html_url": format!("{}/{}", model.url, model.login(id)),
        "has_organization_projects": false,
        "has_repository_projects": false,
        "public_repos": 0,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "type": "Organization",
        "created_at": created,
        "updated_at": created,
        "archived_at": null,
    });
    if let (Some(shaped), Value::Object(more)) = (shaped.as_object_mut(), more) {
        shaped.extend(more);
    }
    shaped
}
