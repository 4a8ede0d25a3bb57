//! Owns the repository's activity, newest first. Pages are found by a cursor, as GitHub's are.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::model::Model;
use crate::model::activity::Activity;
use crate::rest::{Answer, Call, Pages, Refusal};
use crate::shape::{node, user};

fn shaped(model: &Model, it: &Activity) -> Value {
    json!({
        "id": it.id,
        "node_id": node("PSH", it.id),
        "before": it.before,
        "after": it.after,
        "ref": it.reference,
        "timestamp": rfc3339(it.at),
        "activity_type": it.kind,
        "actor": user::user(model, it.actor),
    })
}

pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let wanted = |it: &&Activity| {
        // A name without `refs/` is a branch.
        let branch = |name: &str| it.reference == name || it.reference == format!("refs/heads/{name}");
        call.query("ref").is_none_or(branch)
            && call.query("activity_type").is_none_or(|kind| kind == it.kind)
            && call.query("actor").is_none_or(|login| call.model.login(it.actor).eq_ignore_ascii_case(login))
    };
    let mut found: Vec<&Activity> = call.here()?.activity.iter().filter(wanted).collect();
    if call.query("direction") != Some("asc") {
        found.reverse();
    }
    if let Some(after) = call.query("after") {
        let place = found.iter().position(|it| it.id.to_string() == after);
        let place = place.ok_or_else(|| Refusal::new(422, "Invalid cursor"))?;
        found.drain(..=place);
    }
    let size = call.query("per_page").and_then(|text| text.parse().ok()).unwrap_or(30_usize).clamp(1, 100);
    let more = found.len() > size;
    found.truncate(size);
    let next = found.last().filter(|_| more).map(|it| Pages::After(it.id.to_string()));
    let items: Vec<Value> = found.into_iter().map(|it| shaped(call.model, it)).collect();
    Ok(Answer { status: 200, body: Some(json!(items)), pages: next })
}
