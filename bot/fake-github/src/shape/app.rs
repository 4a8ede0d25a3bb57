//! Owns apps and installations as JSON.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::model::Model;
use crate::model::account::Kind;
use crate::model::app::{App, Installation};
use crate::shape::{Form, node, user};

/// An app.
pub(crate) fn app(model: &Model, app: &App, form: Form) -> Value {
    let mut it = json!({
        "id": app.id,
        "slug": app.slug,
        "node_id": node("A", app.id),
        "owner": user::user(model, app.owner),
        "name": app.slug,
        "description": "",
        "external_url": model.url,
        "html_url": format!("{}/apps/{}", model.url, app.slug),
        "created_at": rfc3339(app.created_at),
        "updated_at": rfc3339(app.created_at),
        "permissions": app.permissions,
        "events": app.events,
    });
    if form == Form::Rest {
        it["client_id"] = json!(client_id(app));
    }
    it
}

/// The other name that GitHub takes as `iss` of a JWT.
pub(crate) fn client_id(app: &App) -> String {
    format!("Iv23fake{}", app.id)
}

/// An installation.
pub(crate) fn installation(model: &Model, installation: &Installation, form: Form) -> Value {
    let kind = model.accounts.get(&installation.account).map_or(Kind::User, |account| account.kind);
    let slug = model.apps.get(&installation.app).map(|app| app.slug.clone());
    let api = format!("{}/app/installations/{}", model.api(), installation.id);
    let mut it = json!({
        "id": installation.id,
        "account": user::user(model, installation.account),
        "repository_selection": "selected",
        "access_tokens_url": format!("{api}/access_tokens"),
        "repositories_url": format!("{}/installation/repositories", model.api()),
        "html_url": format!("{}/settings/installations/{}", model.url, installation.id),
        "app_id": installation.app,
        "app_slug": slug,
        "target_id": installation.account,
        "target_type": kind.word(),
        "permissions": installation.permissions,
        "events": installation.events,
        "created_at": rfc3339(installation.created_at),
        "updated_at": rfc3339(installation.updated_at),
        "single_file_name": null,
        "has_multiple_single_files": false,
        "single_file_paths": [],
        "suspended_by": null,
        "suspended_at": null,
    });
    if form == Form::Rest {
        it["client_id"] = json!(model.apps.get(&installation.app).map(client_id));
    }
    it
}

/// The payload of a `ping`; `None` for an app without an address.
pub(crate) fn ping(model: &Model, app: u64) -> Option<Value> {
    let app = model.apps.get(&app)?;
    let url = app.webhook_url.clone()?;
    let api = format!("{}/app/hook", model.api());
    Some(json!({
        "zen": "Approachable is better than simple.",
        "hook_id": app.hook_id,
        "hook": {
            "type": "App",
            "id": app.hook_id,
            "name": "web",
            "active": true,
            "app_id": app.id,
            "events": app.events,
            "config": {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": url},
            "updated_at": rfc3339(app.created_at),
            "created_at": rfc3339(app.created_at),
            "url": api,
            "ping_url": format!("{api}/pings"),
            "deliveries_url": format!("{api}/deliveries"),
        },
    }))
}
