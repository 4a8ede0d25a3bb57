//! Two values into changed attributes.

use std::collections::BTreeSet;

use model::plan::{AttributeChange, Shown};
use serde_json::Value;

static NULL: Value = Value::Null;

/// A longer text is cut for people; the fingerprint has all of it.
const LONGEST: usize = 16 * 1024;
/// JSON inside of strings is compared as JSON up to this size.
const LONGEST_JSON: usize = 256 * 1024;

/// The five views of one place.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) before: &'a Value,
    pub(super) after: &'a Value,
    pub(super) unknown: &'a Value,
    pub(super) before_sensitive: &'a Value,
    pub(super) after_sensitive: &'a Value,
}

impl<'a> Sides<'a> {
    fn field(self, key: &str) -> Self {
        let get = |value: &'a Value| value.get(key).unwrap_or(&NULL);
        self.map(get, get)
    }

    fn item(self, before: Option<usize>, after: Option<usize>) -> Self {
        let get = |index: Option<usize>| move |value: &'a Value| index.and_then(|i| value.get(i)).unwrap_or(&NULL);
        self.map(get(before), get(after))
    }

    fn map(self, before: impl Fn(&'a Value) -> &'a Value, after: impl Fn(&'a Value) -> &'a Value) -> Self {
        // A mark on the whole counts for every part.
        let mark = |mark: &'a Value, get: &dyn Fn(&'a Value) -> &'a Value| if is_true(mark) { mark } else { get(mark) };
        Self {
            before: before(self.before),
            after: after(self.after),
            unknown: mark(self.unknown, &after),
            before_sensitive: mark(self.before_sensitive, &before),
            after_sensitive: mark(self.after_sensitive, &after),
        }
    }

    pub(super) fn is_unknown(self) -> bool {
        is_true(self.unknown)
    }

    pub(super) fn is_sensitive(self) -> bool {
        is_true(self.before_sensitive) || is_true(self.after_sensitive)
    }

    /// Anything unknown within?
    fn has_unknown(self) -> bool {
        any_true(self.unknown)
    }

    fn is_equal(self) -> bool {
        !self.has_unknown() && same(self.before, self.after)
    }
}

pub(super) fn is_true(value: &Value) -> bool {
    matches!(value, Value::Bool(true))
}

pub(super) fn any_true(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::Array(items) => items.iter().any(any_true),
        Value::Object(map) => map.values().any(any_true),
        _ => false,
    }
}

/// `1` and `1.0` are the same number to the tools.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64() && x.as_f64().is_some(),
        _ => a == b,
    }
}

/// A step of a path.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Key(String),
    Index(usize),
}

/// A leaf that differs or is unknown.
pub(super) struct Leaf<'a> {
    pub(super) path: &'a [Part],
    pub(super) sides: Sides<'a>,
}

/// Calls `found` for every differing or unknown leaf, in order of keys and indices.
pub(super) fn walk(sides: Sides<'_>, found: &mut dyn FnMut(Leaf<'_>)) {
    walk_at(sides, &mut Vec::new(), found);
}

fn walk_at(sides: Sides<'_>, path: &mut Vec<Part>, found: &mut dyn FnMut(Leaf<'_>)) {
    let marks_differ = is_true(sides.before_sensitive) != is_true(sides.after_sensitive) && path.len() == 1;
    if sides.is_equal() && !(marks_differ && sides.before.is_string() && sides.after.is_string()) {
        return;
    }
    if sides.is_unknown() || sides.is_sensitive() {
        return found(Leaf { path, sides });
    }
    if is_tree(sides, Value::is_object) && !both_empty(sides) {
        return for_keys(sides, path, found);
    }
    if is_tree(sides, Value::is_array) && !both_empty(sides) {
        return for_items(sides, path, found);
    }
    found(Leaf { path, sides });
}

/// Each side is of that kind or absent, and one is there (or will be: unknown parts).
fn is_tree(sides: Sides<'_>, kind: fn(&Value) -> bool) -> bool {
    let fits = |value: &Value| value.is_null() || kind(value);
    fits(sides.before)
        && fits(sides.after)
        && (kind(sides.before) || kind(sides.after) || (kind(sides.unknown) && sides.has_unknown()))
}

fn both_empty(sides: Sides<'_>) -> bool {
    let empty = |value: &Value| match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    };
    empty(sides.before) && empty(sides.after) && !sides.has_unknown()
}

fn for_keys(sides: Sides<'_>, path: &mut Vec<Part>, found: &mut dyn FnMut(Leaf<'_>)) {
    let maps = [sides.before, sides.after, sides.unknown].map(Value::as_object);
    let keys: BTreeSet<&String> = maps.iter().flatten().flat_map(|map| map.keys()).collect();
    for key in keys {
        path.push(Part::Key(key.clone()));
        walk_at(sides.field(key), path, found);
        path.pop();
    }
}

fn for_items(sides: Sides<'_>, path: &mut Vec<Part>, found: &mut dyn FnMut(Leaf<'_>)) {
    for (before, after) in pairs(sides) {
        path.push(Part::Index(after.or(before).unwrap_or_default()));
        walk_at(sides.item(before, after), path, found);
        path.pop();
    }
}

/// Which item became which. Items that are equal on both sides belong together wherever they stand (blocks and
/// sets come as arrays); the rest is paired in order.
fn pairs(sides: Sides<'_>) -> Vec<(Option<usize>, Option<usize>)> {
    let length = |value: &Value| value.as_array().map_or(0, Vec::len);
    let (befores, afters) = (length(sides.before), length(sides.after).max(length(sides.unknown)));
    let prefix = (0..befores.min(afters)).take_while(|i| sides.item(Some(*i), Some(*i)).is_equal()).count();
    let mut left: Vec<usize> = (prefix..befores).collect();
    let mut rest = Vec::new();
    // Quadratic only within reason.
    let search = left.len().saturating_mul(afters - prefix) <= 250_000;
    for after in prefix..afters {
        let equal = left.iter().position(|before| search && sides.item(Some(*before), Some(after)).is_equal());
        match equal {
            Some(at) => drop(left.remove(at)),
            None => rest.push(after),
        }
    }
    let count = left.len().max(rest.len());
    (0..count).map(|i| (left.get(i).copied(), rest.get(i).copied())).collect()
}

/// The changed attributes of a resource.
pub(super) struct Diff {
    pub(super) attributes: Vec<AttributeChange>,
    pub(super) unchanged: u32,
}

/// `forcing`: the document's `replace_paths`.
pub(super) fn diff(sides: Sides<'_>, forcing: &[Vec<Value>]) -> Diff {
    let mut attributes = Vec::new();
    walk(sides, &mut |leaf| {
        let forces = forcing.iter().any(|path| starts_with(leaf.path, path));
        if forces || !within_json(&leaf, &mut attributes) {
            attributes.push(attribute(&leaf, forces));
        }
    });
    Diff { attributes, unchanged: unchanged(sides) }
}

/// Top-level attributes that are set and stay.
fn unchanged(sides: Sides<'_>) -> u32 {
    let (Some(before), Some(_)) = (sides.before.as_object(), sides.after.as_object()) else { return 0 };
    let stays = |key: &&String| {
        let field = sides.field(key);
        !field.before.is_null() && field.is_equal()
    };
    u32::try_from(before.keys().filter(stays).count()).unwrap_or(u32::MAX)
}

fn starts_with(path: &[Part], prefix: &[Value]) -> bool {
    prefix.len() <= path.len()
        && path.iter().zip(prefix).all(|(part, value)| match (part, value) {
            (Part::Key(key), Value::String(text)) => key == text,
            (Part::Index(index), Value::Number(number)) => number.as_u64() == Some(*index as u64),
            // Sets: the element itself stands for its place.
            (Part::Index(_), _) => true,
            _ => false,
        })
}

fn attribute(leaf: &Leaf<'_>, forces_replacement: bool) -> AttributeChange {
    let Sides { before, after, .. } = leaf.sides;
    let before_shown = side(before, is_true(leaf.sides.before_sensitive));
    let after_shown = match (leaf.sides.is_unknown(), is_true(leaf.sides.after_sensitive)) {
        (_, true) if leaf.sides.is_unknown() || !after.is_null() => Some(Shown::Sensitive),
        (true, _) => Some(Shown::Unknown),
        (false, sensitive) => side(after, sensitive),
    };
    AttributeChange { path: text_of(leaf.path), before: before_shown, after: after_shown, forces_replacement }
}

fn side(value: &Value, sensitive: bool) -> Option<Shown> {
    match (value, sensitive) {
        (Value::Null, _) => None,
        (_, true) => Some(Shown::Sensitive),
        (value, false) => Some(shown(value)),
    }
}

/// A value as it may be shown.
pub(super) fn shown(value: &Value) -> Shown {
    match value {
        Value::String(text) if text.contains('\n') => Shown::Lines(cut(text)),
        other => Shown::Value(cut(&other.to_string())),
    }
}

fn cut(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let at = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    format!("{}… ({} bytes in all)", &text[..at], text.len())
}

/// Both sides are JSON documents in strings (policies, definitions): what differs within.
fn within_json(leaf: &Leaf<'_>, attributes: &mut Vec<AttributeChange>) -> bool {
    if leaf.sides.is_unknown() || leaf.sides.is_sensitive() {
        return false;
    }
    let parse = |value: &Value| {
        let text = value.as_str().filter(|text| text.starts_with(['{', '[']) && text.len() <= LONGEST_JSON)?;
        serde_json::from_str::<Value>(text).ok()
    };
    let (Some(before), Some(after)) = (parse(leaf.sides.before), parse(leaf.sides.after)) else { return false };
    let inner =
        Sides { before: &before, after: &after, unknown: &NULL, before_sensitive: &NULL, after_sensitive: &NULL };
    let mut path = leaf.path.to_vec();
    let known = attributes.len();
    walk_at(inner, &mut path, &mut |leaf| attributes.push(attribute(&leaf, false)));
    attributes.len() > known
}

fn text_of(path: &[Part]) -> String {
    let mut text = String::new();
    for part in path {
        match part {
            Part::Index(index) => text.push_str(&format!("[{index}]")),
            Part::Key(key) => push_key(&mut text, key),
        }
    }
    text
}

fn push_key(text: &mut String, key: &str) {
    let plain = !key.is_empty()
        && !key.starts_with(|c: char| c.is_ascii_digit())
        && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    match (plain, text.is_empty()) {
        (true, true) => text.push_str(key),
        (true, false) => {
            text.push('.');
            text.push_str(key);
        }
        (false, _) => text.push_str(&format!("[{}]", Value::from(key))),
    }
}

/// The text of a path of the document.
pub(super) fn path_text(path: &[Value]) -> String {
    let mut text = String::new();
    for part in path {
        match part {
            Value::String(key) => push_key(&mut text, key),
            Value::Number(index) => text.push_str(&format!("[{index}]")),
            // A set's element, which may be long or sensitive.
            _ => text.push_str("[…]"),
        }
    }
    text
}
