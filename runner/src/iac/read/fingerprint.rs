//! The fingerprint: what the plan would do and by what means, as hashes.
//!
//! Two plans with equal roots would do the same. Keyed with the stack's key wherever a value may be sensitive, so
//! that nobody can guess a secret from a hash. Numbers are written as the document writes them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use model::mask::Masker;
use model::plan::Fingerprint;
use model::ports::IacError;
use ring::{digest, hmac};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::change::{RawBody, RawChange};
use super::diff::{Part, Sides, is_true, walk};
use super::unreadable;

pub(super) struct Fingerprinter<'k> {
    key: hmac::Key,
    /// Finds what is secret although the document does not mark it.
    known: Masker,
    items: BTreeMap<String, String>,
    stack_key: std::marker::PhantomData<&'k SecretString>,
}

impl<'k> Fingerprinter<'k> {
    pub(super) fn new(stack_key: &'k SecretString, known: Masker) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, stack_key.expose_secret().as_bytes());
        Self { key, known, items: BTreeMap::new(), stack_key: std::marker::PhantomData }
    }

    pub(super) fn change(&mut self, raw: &RawChange, deferred: Option<&str>) {
        let mut key = match deferred {
            Some(_) => format!("deferred.{}", raw.address),
            None => raw.address.clone(),
        };
        if let Some(deposed) = &raw.deposed {
            let _ = write!(key, " (deposed {deposed})");
        }
        let mut text = Canonical::new();
        text.field("previous", raw.moved_from().unwrap_or_default());
        text.field("import", &raw.import_id().unwrap_or_default());
        text.field("provider", &raw.provider_name);
        text.field("mode", &raw.mode);
        text.field("actions", &raw.change.actions.join(","));
        text.field("reason", raw.action_reason.as_deref().unwrap_or_default());
        text.field("deferred", deferred.unwrap_or_default());
        // Elements of sets stand in these paths as they are, so they may be sensitive.
        let mut paths: Vec<String> =
            raw.change.replace_paths.iter().flatten().map(|path| canonical(&Value::Array(path.clone()))).collect();
        paths.sort();
        text.field("replace", &self.keyed("replace", &paths.join("\n")));
        if let Some(id) = raw.change.before.get("id") {
            text.field("id", &self.leaf("id", id, is_true(&raw.change.before_sensitive["id"])));
        }
        self.leaves(&mut text, raw.sides());
        self.put(key, &text);
    }

    pub(super) fn output(&mut self, name: &str, body: &RawBody) {
        let mut text = Canonical::new();
        text.field("actions", &body.actions.join(","));
        let sides = Sides {
            before: &body.before,
            after: &body.after,
            unknown: &body.after_unknown,
            before_sensitive: &body.before_sensitive,
            after_sensitive: &body.after_sensitive,
        };
        self.leaves(&mut text, sides);
        self.put(format!("output.{name}"), &text);
    }

    fn leaves(&self, text: &mut Canonical, sides: Sides<'_>) {
        let mut lines = Vec::new();
        walk(sides, &mut |leaf| {
            let path = path_json(leaf.path);
            let before = self.leaf(&path, leaf.sides.before, is_true(leaf.sides.before_sensitive));
            let after = if leaf.sides.is_unknown() {
                "UNKNOWN".to_owned()
            } else {
                self.leaf(&path, leaf.sides.after, is_true(leaf.sides.after_sensitive))
            };
            lines.push(format!("{path} {before} {after}"));
        });
        lines.sort();
        for line in lines {
            text.field("leaf", &line);
        }
    }

    fn leaf(&self, path: &str, value: &Value, sensitive: bool) -> String {
        let text = canonical(value);
        let secret = sensitive && !value.is_null() || self.known.finds(&text);
        if secret { self.keyed(path, &text) } else { format!("={text}") }
    }

    fn keyed(&self, path: &str, text: &str) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(path.as_bytes());
        context.update(&[0]);
        context.update(text.as_bytes());
        format!("#{}", hex::encode(context.sign().as_ref()))
    }

    /// The variable set. Keyed: any of it may be sensitive.
    pub(super) fn variables(&mut self, values: &BTreeMap<String, Value>) {
        if values.is_empty() {
            return;
        }
        let mut all = String::new();
        for (name, value) in values {
            let _ = writeln!(all, "{} {}", Value::from(name.as_str()), canonical(&value["value"]));
        }
        let digest = self.keyed("variables", &all);
        self.means("variables", &digest);
    }

    /// The program's version.
    pub(super) fn tool(&mut self, version: Option<&str>) {
        self.means("tool", version.unwrap_or_default());
    }

    fn means(&mut self, key: &str, text: &str) {
        let mut canonical = Canonical::new();
        canonical.field("means", text);
        self.put(key.to_owned(), &canonical);
    }

    /// Provider configurations and provisioners.
    pub(super) fn configuration(&mut self, raw: Option<&RawValue>) -> Result<(), IacError> {
        #[derive(Deserialize)]
        struct Configuration {
            #[serde(default)]
            provider_config: BTreeMap<String, Value>,
            #[serde(default)]
            root_module: Module,
        }
        let Some(raw) = raw else { return Ok(()) };
        let configuration: Configuration =
            serde_json::from_str(raw.get()).map_err(|error| unreadable("`configuration`", &error))?;
        for (name, config) in &configuration.provider_config {
            let digest = self.keyed(name, &canonical(config));
            self.means(&format!("provider.{name}"), &digest);
        }
        self.provisioners("", &configuration.root_module);
        Ok(())
    }

    fn provisioners(&mut self, prefix: &str, module: &Module) {
        for resource in &module.resources {
            if !resource.provisioners.is_null() {
                let address = format!("{prefix}{}", resource.address);
                let digest = self.keyed(&address, &canonical(&resource.provisioners));
                self.means(&format!("provisioner.{address}"), &digest);
            }
        }
        for (name, call) in &module.module_calls {
            if let Some(inner) = &call.module {
                self.provisioners(&format!("{prefix}module.{name}."), inner);
            }
        }
    }

    fn put(&mut self, key: String, text: &Canonical) {
        let key = if self.known.finds(&key) { self.known.mask(&key) + &self.keyed("key", &key) } else { key };
        let digest = digest::digest(&digest::SHA256, text.0.as_bytes());
        self.items.insert(key, hex::encode(digest.as_ref()));
    }

    pub(super) fn finish(self) -> Fingerprint {
        let mut all = digest::Context::new(&digest::SHA256);
        for (key, hash) in &self.items {
            all.update(key.as_bytes());
            all.update(&[0]);
            all.update(hash.as_bytes());
            all.update(b"\n");
        }
        Fingerprint { root: hex::encode(all.finish().as_ref()), items: self.items.into_iter().collect() }
    }
}

/// Only what the fingerprint needs; expressions are skipped.
#[derive(Default, Deserialize)]
struct Module {
    #[serde(default)]
    resources: Vec<Resource>,
    #[serde(default)]
    module_calls: BTreeMap<String, Call>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    address: String,
    #[serde(default)]
    provisioners: Value,
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    module: Option<Module>,
}

/// Fields that cannot run into each other: each with its length.
struct Canonical(String);

impl Canonical {
    fn new() -> Self {
        Self(String::new())
    }
    fn field(&mut self, name: &str, value: &str) {
        let _ = writeln!(self.0, "{name} {} {value}", value.len());
    }
}

fn path_json(path: &[Part]) -> String {
    let parts = path.iter().map(|part| match part {
        Part::Key(key) => Value::from(key.as_str()),
        Part::Index(index) => Value::from(*index),
    });
    Value::Array(parts.collect()).to_string()
}

/// JSON with sorted keys and the job's root as `${root}`.
fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            out.push('{');
            for key in keys {
                let _ = write!(out, "{}:", Value::from(without_root(key)));
                write_canonical(&map[key], out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::String(text) => {
            let _ = write!(out, "{}", Value::from(without_root(text)));
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// Jobs of runs live in directories named `b-<32 hexadecimal digits>-<attempt>` with their root in `work`; that
/// path becomes `${root}`, so that the same plan made by another job is the same plan.
pub(super) fn without_root(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((start, end)) = find_root(rest) {
        out.push_str(&rest[..start]);
        out.push_str("${root}");
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

fn find_root(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(at) = text[from..].find("/b-") {
        let at = from + at;
        if let Some(length) = job_component(&text[at + 1..]) {
            // The path begins behind the last character that no path of ours holds.
            let begin = text[..at]
                .rfind(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '=' | ':' | ',' | ';' | '(' | '[' | '{'))
                .map_or(0, |i| i + text[i..].chars().next().map_or(1, char::len_utf8));
            return Some((begin, at + 1 + length));
        }
        from = at + 3;
    }
    None
}

/// The length of `b-<32 hex>-<digits>/work` at the begin.
fn job_component(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("b-")?;
    let hex = rest.get(..32)?;
    let digits = rest.get(32..)?.strip_prefix('-')?;
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    let behind = digits.get(count..)?.strip_prefix("/work")?;
    let whole = behind.is_empty() || !behind.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-');
    (hex.bytes().all(|b| b.is_ascii_hexdigit()) && count > 0 && whole).then_some(2 + 32 + 1 + count + 5)
}

#[cfg(test)]
mod tests {
    use super::without_root;

    #[test]
    fn the_job_root_is_replaced_wherever_it_stands() {
        let job = "b-0123456789abcdef0123456789abcdef-12";
        for (text, expected) in [
            (format!("/var/lib/x/jobs/{job}/work/infra/a.sh"), "${root}/infra/a.sh".to_owned()),
            (format!("cd '/j/{job}/work' && x=/j/{job}/work/b"), "cd '${root}' && x=${root}/b".to_owned()),
            (format!("/j/{job}/workshop"), format!("/j/{job}/workshop")),
            (format!("/j/{job}/home"), format!("/j/{job}/home")),
            ("/b-/b-x".to_owned(), "/b-/b-x".to_owned()),
        ] {
            assert_eq!(without_root(&text), expected);
        }
    }
}
