//! Owns `/meta` and `/rate_limit`.

use serde_json::{Value, json};

use crate::limits::{self, Rate};
use crate::rest::{Answer, Call, Refusal};

pub(crate) fn meta(_: &mut Call<'_>) -> Result<Answer, Refusal> {
    Answer::ok(json!({"verifiable_password_authentication": true, "installed_version": "3.19.0"}))
}

/// What is left of the hour.
pub(crate) fn rate_limit(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let whole = Rate { limit: 5000, used: 0, reset: call.model.now() / 1_000_000 + 3600 };
    let core = limits::rate(call.model, &call.caller).unwrap_or(whole);
    let shaped = |it: Rate| -> Value {
        json!({"limit": it.limit, "used": it.used, "remaining": it.remaining(), "reset": it.reset})
    };
    let search = Rate { limit: 30, ..whole };
    let resources = json!({"core": shaped(core), "search": shaped(search), "graphql": shaped(whole)});
    Answer::ok(json!({"resources": resources, "rate": shaped(core)}))
}
