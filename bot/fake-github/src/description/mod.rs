//! Owns GitHub's own description: the extract of its OpenAPI document and webhook schemas, and checking against it.
//! Never excuses anything: what does not fit is an error with the place.
//!
//! The extract is made by `dev/github-description` from the npm packages `@octokit/openapi`,
//! `@octokit/webhooks-schemas` and `@octokit/webhooks-examples` (all MIT), without their prose.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::Read as _;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

static REST: LazyLock<Value> = LazyLock::new(|| unpacked(include_bytes!("../../description/rest.json.gz")));
static WEBHOOKS: LazyLock<Value> = LazyLock::new(|| unpacked(include_bytes!("../../description/webhooks.json.gz")));
static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

fn unpacked(bytes: &[u8]) -> Value {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).expect("the extract is compressed by our own script");
    serde_json::from_str(&text).expect("the extract is written by our own script")
}

/// One webhook that GitHub published as an example.
#[derive(Debug, Clone)]
pub struct WebhookExample {
    /// The value of `X-GitHub-Event`.
    pub event: String,
    /// The payload.
    pub payload: Value,
}

/// Every webhook example that GitHub published, of all events (also those that BuildIt ignores).
pub fn webhook_examples() -> Vec<WebhookExample> {
    let all = unpacked(include_bytes!("../../description/webhook-examples.json.gz"));
    let events = all["events"].as_array().cloned().unwrap_or_default();
    let mut examples = Vec::new();
    for event in &events {
        let name = event["name"].as_str().unwrap_or_default();
        for payload in event["examples"].as_array().into_iter().flatten() {
            examples.push(WebhookExample { event: name.to_owned(), payload: payload.clone() });
        }
    }
    examples
}

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    what: String,
    /// GitHub would refuse it; otherwise it would silently ignore a part.
    pub(crate) refused: bool,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Checks a webhook that the double is about to send.
pub(crate) fn webhook(event: &str, action: Option<&str>, payload: &Value) -> Result<(), String> {
    let name = action.map_or_else(|| event.to_owned(), |action| format!("{event}.{action}"));
    let schema = WEBHOOKS["events"].get(&name).ok_or_else(|| format!("there is no webhook {name}"))?;
    fits(&format!("webhook {name}"), schema, &WEBHOOKS["definitions"], payload)
}

/// Checks an answer that the double is about to give. `key` is `METHOD /template`.
pub(crate) fn answer(key: &str, status: u16, body: Option<&Value>) -> Result<(), String> {
    let operation = REST["operations"]
        .get(key)
        .ok_or_else(|| format!("{key} is not in the extract; run dev/github-description"))?;
    let schema = operation["answers"].get(status.to_string()).ok_or_else(|| format!("{key} never answers {status}"))?;
    match (schema, body) {
        (Value::Null, _) => Ok(()),
        (_, None) => Err(format!("{key} answers {status} with a body")),
        (schema, Some(body)) => fits(&format!("{key} {status}"), schema, &REST["definitions"], body),
    }
}

/// Checks a request that a client sent: known query parameters, a body of the described form, no unknown field.
pub(crate) fn request(key: &str, query: &BTreeMap<String, String>, body: &Value) -> Result<(), Wrong> {
    let ignored = |what: String| Err(Wrong { what, refused: false });
    let refused = |what: String| Wrong { what, refused: true };
    let Some(operation) = REST["operations"].get(key) else {
        return ignored(format!("{key} is not in the extract; run dev/github-description"));
    };
    for (name, value) in query {
        let Some(schema) = operation["query"].get(name) else {
            return ignored(format!("there is no query parameter `{name}`"));
        };
        // A query has no types: a value may be read as text, as a number or as a flag.
        let read = serde_json::from_str::<Value>(value).unwrap_or_else(|_| json!(value));
        let check = |value: &Value| fits(&format!("{key} ?{name}"), schema, &REST["definitions"], value);
        check(&read)
            .or_else(|_| check(&json!(value)))
            .map_err(|why| refused(format!("query parameter `{name}`: {why}")))?;
    }
    let schema = &operation["body"];
    match (schema, body) {
        (_, Value::Null) => Ok(()),
        (Value::Null, Value::Object(fields)) if fields.is_empty() => Ok(()),
        (Value::Null, _) => ignored("there is no request body here".into()),
        (schema, body) => {
            fits(&format!("{key} body"), schema, &REST["definitions"], body).map_err(refused)?;
            match unknown(schema, body) {
                Some(name) => ignored(format!("there is no field `{name}` in the request body")),
                None => Ok(()),
            }
        }
    }
}

/// A field of the body that no part of the schema names.
fn unknown(schema: &Value, body: &Value) -> Option<String> {
    let fields = body.as_object()?;
    let mut known = Map::new();
    named(schema, &mut known);
    if known.is_empty() {
        return None;
    }
    fields.keys().find(|name| !known.contains_key(*name)).cloned()
}

fn named(schema: &Value, known: &mut Map<String, Value>) {
    if let Some(properties) = schema["properties"].as_object() {
        known.extend(properties.clone());
    }
    for part in ["oneOf", "anyOf", "allOf"] {
        schema[part].as_array().into_iter().flatten().for_each(|part| named(part, known));
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/definitions/")) {
        named(&REST["definitions"][name], known);
    }
}

fn fits(name: &str, schema: &Value, definitions: &Value, value: &Value) -> Result<(), String> {
    let validator = {
        let mut known = VALIDATORS.lock().map_err(|_| "a check panicked before")?;
        match known.get(name) {
            Some(validator) => Arc::clone(validator),
            None => {
                let made = Arc::new(compiled(schema, definitions)?);
                known.insert(name.to_owned(), Arc::clone(&made));
                made
            }
        }
    };
    let wrong: Vec<String> = validator.iter_errors(value).take(3).map(|error| place(&error)).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

fn place(error: &jsonschema::ValidationError<'_>) -> String {
    let mut text = error.masked().to_string();
    if text.len() > 300 {
        let end = text.floor_char_boundary(300);
        text.truncate(end);
    }
    format!("at `{}`: {text}", error.instance_path())
}

/// Only the definitions that the schema reaches, so that compiling stays quick.
fn compiled(schema: &Value, definitions: &Value) -> Result<Validator, String> {
    let mut reached = Map::new();
    reach(schema, definitions, &mut reached);
    let whole = json!({"allOf": [schema], "definitions": reached});
    let options = jsonschema::options()
        .with_draft(jsonschema::Draft::Draft7)
        .should_validate_formats(true)
        .should_ignore_unknown_formats(true);
    options.build(&whole).map_err(|error| format!("the extract has a schema that cannot be read: {error}"))
}

fn reach(node: &Value, definitions: &Value, reached: &mut Map<String, Value>) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| reach(item, definitions, reached)),
        Value::Object(fields) => {
            if let Some(name) =
                fields.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix("#/definitions/"))
                && !reached.contains_key(name)
                && let Some(found) = definitions.get(name)
            {
                reached.insert(name.to_owned(), found.clone());
                reach(found, definitions, reached);
            }
            fields.values().for_each(|value| reach(value, definitions, reached));
        }
        _ => {}
    }
}
