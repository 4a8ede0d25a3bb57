//! Owns `/app` and its webhook deliveries.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::model::event::Delivery;
use crate::rest::{Answer, Call, Refusal};
use crate::shape;

fn app(call: &Call<'_>) -> Result<u64, Refusal> {
    call.app().ok_or_else(|| Refusal::new(401, "Requires authentication"))
}

pub(crate) fn me(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = app(call)?;
    let app = call.model.apps.get(&id).ok_or_else(|| Refusal::new(404, "Integration not found"))?;
    let mut it = shape::app::app(call.model, app, shape::Form::Rest);
    it["installations_count"] = json!(call.model.installations.values().filter(|it| it.app == id).count());
    Answer::ok(it)
}

fn item(delivery: &Delivery) -> Value {
    let (code, status) = match &delivery.answer {
        Some((0, _)) => (502, "failed to connect to host".to_owned()),
        Some((code, _)) if *code < 300 => (*code, "OK".to_owned()),
        Some((code, _)) => (*code, format!("Invalid HTTP Response: {code}")),
        None => (0, "pending".to_owned()),
    };
    json!({
        "id": delivery.id,
        "guid": delivery.guid,
        "delivered_at": rfc3339(delivery.created_at),
        "redelivery": delivery.redelivery,
        "duration": 0.1,
        "status": status,
        "status_code": code,
        "event": delivery.event,
        "action": delivery.action,
        "installation_id": delivery.installation,
        "repository_id": delivery.repository,
        "throttled_at": null,
    })
}

/// A lost delivery is on GitHub's list as a failed one, so that a client can find and repeat it.
pub(crate) fn deliveries(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let id = app(call)?;
    let size = call.query("per_page").and_then(|text| text.parse().ok()).unwrap_or(30_usize).clamp(1, 100);
    let below: u64 = call.query("cursor").and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
    let failures = call.query("status") == Some("failure");
    let failed = |it: &Delivery| it.answer.as_ref().is_some_and(|(code, _)| !(200..400).contains(code));
    let all = call.model.deliveries.records.values().rev();
    let items =
        all.filter(|it| it.app == id && it.answer.is_some() && it.id < below).filter(|it| !failures || failed(it));
    Answer::ok(items.take(size).map(item).collect())
}

fn find(call: &Call<'_>) -> Result<Delivery, Refusal> {
    let (id, app) = (call.number("delivery_id")?, app(call)?);
    let found = call.model.deliveries.records.get(&id).filter(|it| it.app == app).cloned();
    found.ok_or_else(|| Refusal::new(404, "Not Found"))
}

pub(crate) fn delivery(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let found = find(call)?;
    let mut it = item(&found);
    let payload: Value = serde_json::from_str(&found.payload).unwrap_or_default();
    it["url"] = json!(call.model.apps.get(&found.app).and_then(|app| app.webhook_url.clone()).unwrap_or_default());
    it["request"] =
        json!({"headers": {"X-GitHub-Delivery": found.guid, "X-GitHub-Event": found.event}, "payload": payload});
    it["response"] = json!({"headers": {}, "payload": found.answer.map(|(_, body)| body)});
    Answer::ok(it)
}

pub(crate) fn redeliver(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let found = find(call)?;
    call.model.redeliver(found.id)?;
    Ok(Answer { status: 202, body: Some(json!({})), pages: None })
}
