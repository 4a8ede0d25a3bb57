//! Nothing sensitive leaves: by marks, by the configuration's word on variables, and by value.

use model::plan::{Change, OutputChange, Shown};
use model::ports::IacError;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::diff::is_true;
use super::{Secrets, unreadable};
use model::mask::{MASK, Masker};

/// Notes what the marks call sensitive.
pub(super) fn note_marked(value: &Value, marks: &Value, secrets: &mut Secrets) {
    match (value, marks) {
        (_, Value::Bool(true)) => secrets.note(value),
        (Value::Object(map), Value::Object(marks)) => {
            for (key, mark) in marks {
                note_marked(map.get(key).unwrap_or(&Value::Null), mark, secrets);
            }
        }
        (Value::Array(items), Value::Array(marks)) => {
            items.iter().zip(marks).for_each(|(item, mark)| note_marked(item, mark, secrets));
        }
        _ => {}
    }
}

/// Root variables that the configuration calls sensitive, with their defaults.
pub(super) fn sensitive_variables(
    configuration: Option<&RawValue>,
) -> Result<std::collections::BTreeMap<String, Value>, IacError> {
    #[derive(Deserialize)]
    struct Configuration {
        #[serde(default)]
        root_module: Root,
    }
    #[derive(Default, Deserialize)]
    struct Root {
        #[serde(default)]
        variables: std::collections::BTreeMap<String, Variable>,
    }
    #[derive(Deserialize)]
    struct Variable {
        #[serde(default)]
        sensitive: bool,
        #[serde(default)]
        default: Value,
    }
    let Some(raw) = configuration else { return Ok(Default::default()) };
    let configuration: Configuration =
        serde_json::from_str(raw.get()).map_err(|error| unreadable("`configuration`", &error))?;
    let all = configuration.root_module.variables.into_iter();
    Ok(all.filter(|(_, variable)| variable.sensitive).map(|(name, variable)| (name, variable.default)).collect())
}

/// Masks by value everything that is shown.
pub(super) fn mask_shown(
    masker: &Masker,
    changes: &mut [Change],
    drift: &mut [Change],
    outputs: &mut [OutputChange],
    warnings: &mut [String],
) {
    if masker.is_empty() {
        return;
    }
    for change in changes.iter_mut().chain(drift) {
        for attribute in &mut change.attributes {
            mask_one(masker, &mut attribute.before);
            mask_one(masker, &mut attribute.after);
            mask_text(masker, &mut attribute.path);
        }
        for (_, fact) in &mut change.facts {
            mask_text(masker, fact);
        }
        if let Some(id) = &mut change.import_id {
            mask_text(masker, id);
        }
    }
    for output in outputs {
        mask_one(masker, &mut output.before);
        mask_one(masker, &mut output.after);
    }
    for warning in warnings {
        mask_text(masker, warning);
    }
}

/// Masks instance keys that hold a secret.
pub(super) fn mask_addresses<'a>(masker: &Masker, changes: impl Iterator<Item = &'a mut Change>) {
    if !masker.is_empty() {
        changes.for_each(|change| mask_text(masker, &mut change.address));
    }
}

fn mask_one(masker: &Masker, shown: &mut Option<Shown>) {
    if let Some(Shown::Value(text) | Shown::Lines(text)) = shown {
        mask_text(masker, text);
    }
}

fn mask_text(masker: &Masker, text: &mut String) {
    if masker.finds(text) {
        *text = masker.mask(text);
    }
}

/// The document as it may be stored: sensitive values are `"***"` by marks, sensitive variables by the
/// configuration, and every further text by value, as `known` ones are. The same shape as before, so that policies
/// can read it.
pub fn masked_json(document: &[u8], known: &[SecretString]) -> Result<Vec<u8>, IacError> {
    super::parse(document)?;
    let document = super::without_preface(document);
    let sections: std::collections::BTreeMap<String, &RawValue> =
        serde_json::from_slice(document).map_err(|error| unreadable("the plan document", &error))?;
    let configuration = sections.get("configuration").copied();
    let variables = sensitive_variables(configuration)?;
    let mut secrets = Secrets { values: known.iter().map(|secret| secret.expose_secret().to_owned()).collect() };
    variables.values().for_each(|default| secrets.note(default));
    for name in ["variables", "resource_changes", "resource_drift", "deferred_changes", "output_changes"] {
        let Some(raw) = sections.get(name) else { continue };
        each(raw, &mut |mut value| {
            if name == "variables" {
                for (name, variable) in value.as_object().into_iter().flatten() {
                    if variables.contains_key(name) {
                        secrets.note(&variable["value"]);
                    }
                }
            }
            note_all(&mut value, &mut secrets);
            Ok(())
        })?;
    }
    for name in ["planned_values", "prior_state"] {
        let Some(raw) = sections.get(name) else { continue };
        let mut value = whole(raw)?;
        note_all(&mut value, &mut secrets);
    }
    let masker = Masker::new(secrets.values.iter().map(String::as_str));
    write_sections(&sections, &variables, &masker)
}

fn whole(raw: &RawValue) -> Result<Value, IacError> {
    serde_json::from_str(raw.get()).map_err(|error| unreadable("a section", &error))
}

/// The section's items one by one when it is a list, else all of it.
fn each(raw: &RawValue, found: &mut dyn FnMut(Value) -> Result<(), IacError>) -> Result<(), IacError> {
    if !raw.get().starts_with('[') {
        return found(whole(raw)?);
    }
    let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|error| unreadable("a section", &error))?;
    items.into_iter().try_for_each(|item| found(whole(item)?))
}

/// Pairs of value and marks, as they stand side by side in the document.
const MARKED: [(&str, &str); 3] =
    [("before", "before_sensitive"), ("after", "after_sensitive"), ("values", "sensitive_values")];

fn note_all(value: &mut Value, secrets: &mut Secrets) {
    visit(value, &mut |map| {
        for (values, marks) in MARKED {
            if let (Some(value), Some(marks)) = (map.get(values), map.get(marks)) {
                note_marked(value, marks, secrets);
            }
        }
        if map.get("sensitive").is_some_and(is_true)
            && let Some(value) = map.get("value")
        {
            secrets.note(value);
        }
    });
}

fn visit(value: &mut Value, found: &mut dyn FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            found(map);
            map.values_mut().for_each(|value| visit(value, found));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, found)),
        _ => {}
    }
}

/// Puts masks where the marks are.
fn apply_marks(value: &mut Value, marks: &Value) {
    match (value, marks) {
        (Value::Null, _) => {}
        (value, Value::Bool(true)) => *value = Value::from(MASK),
        (Value::Object(map), Value::Object(marks)) => {
            for (key, mark) in marks {
                map.get_mut(key).into_iter().for_each(|value| apply_marks(value, mark));
            }
        }
        (Value::Array(items), Value::Array(marks)) => {
            items.iter_mut().zip(marks).for_each(|(item, mark)| apply_marks(item, mark));
        }
        _ => {}
    }
}

fn mask_value(value: &mut Value, masker: &Masker) {
    visit(value, &mut |map| {
        for (values, marks) in MARKED {
            if let Some(marks) = map.get(marks).cloned()
                && let Some(value) = map.get_mut(values)
            {
                apply_marks(value, &marks);
            }
        }
        if map.get("sensitive").is_some_and(is_true)
            && let Some(value) = map.get_mut("value")
        {
            apply_marks(value, &Value::Bool(true));
        }
    });
    mask_by_value(value, masker);
}

fn mask_by_value(value: &mut Value, masker: &Masker) {
    match value {
        Value::String(text) => mask_text(masker, text),
        Value::Number(number) if masker.finds(&number.to_string()) => *value = Value::from(MASK),
        Value::Array(items) => items.iter_mut().for_each(|item| mask_by_value(item, masker)),
        Value::Object(map) => {
            let secret: Vec<String> = map.keys().filter(|key| masker.finds(key)).cloned().collect();
            for key in secret {
                if let Some(value) = map.remove(&key) {
                    map.insert(masker.mask(&key), value);
                }
            }
            map.values_mut().for_each(|item| mask_by_value(item, masker));
        }
        _ => {}
    }
}

/// Also those that are too short to be searched for.
fn mask_defaults(configuration: &mut Value, variables: &std::collections::BTreeMap<String, Value>) {
    for name in variables.keys() {
        let variable = configuration.pointer_mut("/root_module/variables").and_then(|all| all.get_mut(name));
        if let Some(default) = variable.and_then(|variable| variable.get_mut("default")) {
            *default = Value::from(MASK);
        }
    }
}

fn write_sections(
    sections: &std::collections::BTreeMap<String, &RawValue>,
    variables: &std::collections::BTreeMap<String, Value>,
    masker: &Masker,
) -> Result<Vec<u8>, IacError> {
    let mut out = vec![b'{'];
    for (index, (name, raw)) in sections.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(Value::from(name.as_str()).to_string().as_bytes());
        out.push(b':');
        let is_list = raw.get().starts_with('[');
        let mut first = true;
        out.extend_from_slice(if is_list { b"[" } else { b"" });
        each(raw, &mut |mut value| {
            if name == "variables" {
                for name in variables.keys() {
                    value.get_mut(name).into_iter().for_each(|variable| variable["value"] = Value::from(MASK));
                }
            }
            if name == "configuration" {
                mask_defaults(&mut value, variables);
            }
            mask_value(&mut value, masker);
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            serde_json::to_writer(&mut out, &value).map_err(|error| unreadable("a section", &error))
        })?;
        out.extend_from_slice(if is_list { b"]" } else { b"" });
    }
    out.push(b'}');
    Ok(out)
}
