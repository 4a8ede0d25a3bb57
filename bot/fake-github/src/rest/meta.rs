//! Owns `/meta` and `/rate_limit`.

use serde_json::{Value, json};

use crate::rest::{Answer, Call, Refusal};

pub(crate) fn meta(_: &mut Call<'_>) -> Result<Answer, Refusal> {
    Answer::ok(json!({"verifiable_password_authentication": true, "installed_version": "3.19.0"}))
}

/// The double limits nobody; the numbers only have GitHub's form.
pub(crate) fn rate_limit(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let reset = call.model.now() / 1_000_000 + 3600;
    let rate = |limit: u64| -> Value { json!({"limit": limit, "used": 0, "remaining": limit, "reset": reset}) };
    Answer::ok(
        json!({"resources": {"core": rate(5000), "search": rate(30), "graphql": rate(5000)}, "rate": rate(5000)}),
    )
}
