//! `output_changes`.

use std::collections::BTreeMap;

use model::plan::{Action, OutputChange, Shown};
use model::ports::IacError;
use serde_json::Value;
use serde_json::value::RawValue;

use super::change::{RawBody, actions};
use super::diff::{any_true, is_true, shown};
use super::masked::note_marked;
use super::{Reader, unreadable};

/// A collection's text beyond this is only counted.
const LONGEST: usize = 200;

/// Changed outputs, sorted by name.
pub(super) fn read(raw: Option<&RawValue>, reader: &mut Reader<'_>) -> Result<Vec<OutputChange>, IacError> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let all: BTreeMap<String, RawBody> =
        serde_json::from_str(raw.get()).map_err(|error| unreadable("`output_changes`", &error))?;
    let mut changes = Vec::new();
    for (name, body) in all {
        note_marked(&body.before, &body.before_sensitive, &mut reader.secrets);
        note_marked(&body.after, &body.after_sensitive, &mut reader.secrets);
        let action = actions(&body.actions);
        if action == Action::NoOp {
            continue;
        }
        reader.prints.output(&name, &body);
        let (before, after) = both(&body);
        changes.push(OutputChange { name, action, before, after });
    }
    Ok(changes)
}

fn both(body: &RawBody) -> (Option<Shown>, Option<Shown>) {
    // Part of it is sensitive: none of it is shown.
    let before_hidden = any_true(&body.before_sensitive);
    let after_hidden = any_true(&body.after_sensitive);
    let unknown = any_true(&body.after_unknown);
    let counts = (count(&body.before), count(&body.after));
    let by_count = counts.0 != counts.1 && !unknown && counts.0.is_some() && counts.1.is_some();
    let side = |value: &Value, hidden: bool| match value {
        Value::Null => None,
        _ if hidden => Some(Shown::Sensitive),
        value => Some(collection(value, by_count).unwrap_or_else(|| shown(value))),
    };
    let after = match (unknown, after_hidden) {
        (true, true) => Some(Shown::Sensitive),
        (true, false) if is_true(&body.after_unknown) || count(&body.after).is_none() => Some(Shown::Unknown),
        (true, false) => items(&body.after).map(Shown::Value),
        (false, hidden) => side(&body.after, hidden),
    };
    (side(&body.before, before_hidden), after)
}

fn count(value: &Value) -> Option<usize> {
    match value {
        Value::Array(items) => Some(items.len()),
        Value::Object(map) => Some(map.len()),
        _ => None,
    }
}

fn items(value: &Value) -> Option<String> {
    count(value).map(|n| if n == 1 { "1 item".to_owned() } else { format!("{n} items") })
}

fn collection(value: &Value, by_count: bool) -> Option<Shown> {
    let text = items(value)?;
    if by_count || value.to_string().len() > LONGEST { Some(Shown::Value(text)) } else { None }
}
