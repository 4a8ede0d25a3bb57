//! Reading `show -json` documents.
//!
//! The document is cut into its sections without building a tree of all of it; only one resource's values are a
//! tree at a time. Must never put a value of the document into an error text: it may be a secret.

mod change;
mod diff;
mod fingerprint;
mod masked;
mod outputs;
mod reasons;
mod risk;

use model::plan::{Action, Change, Counts, PlanDocument, Risk};
use model::ports::IacError;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use change::{RawChange, actions};
use fingerprint::Fingerprinter;
pub use masked::masked_json;
use model::mask::Masker;

/// The sections. Those that are not here are not read.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(default)]
    format_version: Option<String>,
    #[serde(default)]
    terraform_version: Option<String>,
    #[serde(borrow, default)]
    variables: Option<&'a RawValue>,
    #[serde(borrow, default)]
    resource_changes: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    resource_drift: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    deferred_changes: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    output_changes: Option<&'a RawValue>,
    #[serde(borrow, default)]
    configuration: Option<&'a RawValue>,
    #[serde(default)]
    checks: Option<Vec<Value>>,
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default)]
    complete: Option<bool>,
    #[serde(default)]
    errored: Option<bool>,
}

/// Lines in front of a document at most.
const PREFACE: usize = 100;

fn unreadable(what: &str, error: &serde_json::Error) -> IacError {
    // The error's own words may quote the document.
    let kind = match error.classify() {
        serde_json::error::Category::Eof => "it is cut off",
        serde_json::error::Category::Syntax => "it is not JSON",
        _ => "it has another shape than expected",
    };
    let message = format!("{what}: {kind} (line {}, column {})", error.line(), error.column());
    IacError::Unreadable { message }
}

/// The document alone: OpenTofu (tried with 1.12.6) writes what it thinks of its CLI configuration in front of it,
/// as whole lines on the same output.
fn without_preface(bytes: &[u8]) -> &[u8] {
    let lines = std::iter::once(0).chain(bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1));
    let begins = |at: &usize| bytes[*at..].starts_with(b"{\"format_version\"");
    lines.take(PREFACE).find(begins).map_or(bytes, |at| &bytes[at..])
}

fn parse(bytes: &[u8]) -> Result<Document<'_>, IacError> {
    let document: Document<'_> =
        serde_json::from_slice(without_preface(bytes)).map_err(|error| unreadable("the plan document", &error))?;
    match document.format_version.as_deref() {
        Some(version) if version.starts_with("1.") || version.starts_with("0.") => Ok(document),
        Some(version) => Err(IacError::Unreadable {
            message: format!(
                "its format is {:?}; this version reads 0.x and 1.x; is there a newer BuildIt?",
                version.chars().take(20).collect::<String>()
            ),
        }),
        None => Err(IacError::Unreadable {
            message: "it has no `format_version`: make it with `terraform show -json PLANFILE`".to_owned(),
        }),
    }
}

/// See `IacEngine::read_plan`.
pub(super) fn read_plan(
    bytes: &[u8],
    stack_key: &SecretString,
    known: &[SecretString],
) -> Result<PlanDocument, IacError> {
    let document = parse(bytes)?;
    let known = Masker::new(known.iter().map(|secret| secret.expose_secret()));
    let mut reader = Reader {
        counts: Counts::default(),
        changes: Vec::new(),
        warnings: Vec::new(),
        prints: Fingerprinter::new(stack_key, known.clone()),
        secrets: Secrets::default(),
        attributes: 0,
        left_out: 0,
    };
    for raw in document.resource_changes.iter().flatten() {
        reader.resource(raw, None)?;
    }
    for raw in document.deferred_changes.iter().flatten() {
        reader.deferred(raw)?;
    }
    let mut drift = Vec::new();
    for raw in document.resource_drift.iter().flatten() {
        let raw = RawChange::parse(raw)?;
        drift.extend(raw.change(&mut reader.secrets));
    }
    let mut outputs = outputs::read(document.output_changes, &mut reader)?;
    reader.variables(&document)?;
    reader.prints.configuration(document.configuration)?;
    reader.prints.tool(document.terraform_version.as_deref());
    reader.checks(document.checks.as_deref().unwrap_or_default());
    let complete = document.complete.unwrap_or(true) && document.deferred_changes.as_ref().is_none_or(Vec::is_empty);
    let Reader { mut counts, mut changes, mut warnings, prints, secrets, left_out, .. } = reader;
    if left_out > 0 {
        warnings.push(format!("this plan is very large: the attributes of {left_out} additions are not shown"));
    }
    let masker = Masker::new(secrets.values.iter().map(String::as_str));
    masked::mask_shown(&masker, &mut changes, &mut drift, &mut outputs, &mut warnings);
    masked::mask_shown(&known, &mut changes, &mut drift, &mut outputs, &mut warnings);
    masked::mask_addresses(&known, changes.iter_mut().chain(&mut drift));
    // Unstable: the stable sort would need half of the list again.
    changes.sort_unstable_by(|a, b| {
        b.risk
            .cmp(&a.risk)
            .then_with(|| order(a.action).cmp(&order(b.action)))
            .then_with(|| a.address.cmp(&b.address))
            .then_with(|| a.deposed.cmp(&b.deposed))
    });
    counts.outputs = u32::try_from(outputs.len()).unwrap_or(u32::MAX);
    let worst = changes.iter().map(|change| change.risk).max().unwrap_or_default();
    let risk = if outputs.is_empty() { worst } else { worst.max(Risk::Low) };
    Ok(PlanDocument {
        counts,
        changes,
        outputs,
        drift,
        warnings,
        complete,
        errored: document.errored.unwrap_or(false),
        plan_timestamp: uses_timestamp(bytes, document.timestamp.as_deref()),
        risk,
        fingerprint: prints.finish(),
        tool_version: document.terraform_version.unwrap_or_default(),
    })
}

/// `plantimestamp()` is the document's own timestamp; where that text stands a second time it was used. (The
/// document does not name functions.)
fn uses_timestamp(bytes: &[u8], timestamp: Option<&str>) -> bool {
    let Some(timestamp) = timestamp.filter(|text| text.len() >= 10) else { return false };
    let needle = aho_corasick::AhoCorasick::new([timestamp]);
    needle.is_ok_and(|needle| needle.find_iter(bytes).nth(1).is_some())
}

/// Sensitive values that the document shows in clear, for masking by value.
#[derive(Default)]
struct Secrets {
    values: std::collections::BTreeSet<String>,
}

/// Shorter sensitive values are masked where they are marked, but not searched for elsewhere: "prod" would
/// black out half of a plan.
const SHORTEST: usize = 6;

impl Secrets {
    fn note_text(&mut self, text: String) {
        if text.trim().len() >= SHORTEST {
            self.values.insert(text);
        }
    }
    /// All texts of a sensitive value.
    fn note(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.note_text(text.clone()),
            Value::Number(number) => self.note_text(number.to_string()),
            Value::Array(items) => items.iter().for_each(|item| self.note(item)),
            Value::Object(map) => map.values().for_each(|item| self.note(item)),
            Value::Null | Value::Bool(_) => {}
        }
    }
}

struct Reader<'k> {
    counts: Counts,
    changes: Vec<Change>,
    warnings: Vec<String>,
    prints: Fingerprinter<'k>,
    secrets: Secrets,
    attributes: usize,
    left_out: usize,
}

/// So many attributes are kept for people; nobody reads more.
const ATTRIBUTES: usize = 50_000;

impl Reader<'_> {
    fn resource(&mut self, raw: &RawValue, deferred: Option<&str>) -> Result<(), IacError> {
        if change::is_pure_no_op(raw)? {
            return Ok(());
        }
        let raw = RawChange::parse(raw)?;
        self.prints.change(&raw, deferred);
        if deferred.is_none() {
            self.count(&raw);
            if let Some(change) = raw.change(&mut self.secrets) {
                self.keep(change);
            }
        } else {
            raw.note_secrets(&mut self.secrets);
        }
        Ok(())
    }

    /// Memory is bounded: beyond the budget, harmless changes keep their line but not their attributes.
    fn keep(&mut self, mut change: Change) {
        if change.risk <= Risk::Low && self.attributes >= ATTRIBUTES && !change.attributes.is_empty() {
            change.attributes = Vec::new();
            self.left_out += 1;
        }
        self.attributes += change.attributes.len();
        change.attributes.shrink_to_fit();
        self.changes.push(change);
    }

    fn deferred(&mut self, raw: &RawValue) -> Result<(), IacError> {
        #[derive(Deserialize)]
        struct Deferred<'a> {
            #[serde(default)]
            reason: String,
            #[serde(borrow, default)]
            resource_change: Option<&'a RawValue>,
        }
        let deferred: Deferred<'_> =
            serde_json::from_str(raw.get()).map_err(|error| unreadable("a deferred change", &error))?;
        let Some(change) = deferred.resource_change else { return Ok(()) };
        let address = RawChange::parse(change)?.address;
        self.warnings.push(format!("{address} is deferred: {}", reasons::deferred(&deferred.reason)));
        self.resource(change, Some(&deferred.reason))
    }

    fn count(&mut self, raw: &RawChange) {
        let counts = &mut self.counts;
        match actions(&raw.change.actions) {
            Action::NoOp | Action::Other => {}
            Action::Create => counts.add += 1,
            Action::Read => counts.read += 1,
            Action::Update => counts.change += 1,
            Action::Delete => counts.destroy += 1,
            Action::DeleteCreate | Action::CreateDelete => {
                counts.add += 1;
                counts.destroy += 1;
                counts.replace += 1;
            }
            Action::Forget => counts.forget += 1,
        }
        counts.import += u32::from(raw.change.importing.is_some());
        counts.moved += u32::from(raw.moved_from().is_some());
    }

    /// Variables carry no marks: the configuration says which of them are sensitive.
    fn variables(&mut self, document: &Document<'_>) -> Result<(), IacError> {
        let Some(raw) = document.variables else { return Ok(()) };
        let values: std::collections::BTreeMap<String, Value> =
            serde_json::from_str(raw.get()).map_err(|error| unreadable("`variables`", &error))?;
        let sensitive = masked::sensitive_variables(document.configuration)?;
        for default in sensitive.values() {
            self.secrets.note(default);
        }
        for (_, value) in values.iter().filter(|(name, _)| sensitive.contains_key(*name)) {
            self.secrets.note(&value["value"]);
        }
        self.prints.variables(&values);
        Ok(())
    }

    fn checks(&mut self, checks: &[Value]) {
        for check in checks {
            let status = check["status"].as_str().unwrap_or_default();
            if !matches!(status, "fail" | "error") {
                continue;
            }
            let name = check["address"]["to_display"].as_str().unwrap_or("a check");
            let problems = check["instances"].as_array().into_iter().flatten().flat_map(|instance| {
                instance["problems"].as_array().into_iter().flatten().filter_map(|problem| problem["message"].as_str())
            });
            let problems: Vec<&str> = problems.collect();
            let verb = if status == "fail" { "failed" } else { "could not be evaluated" };
            let colon = if problems.is_empty() { "" } else { ": " };
            self.warnings.push(format!("{name} {verb}{colon}{}", problems.join(" ")));
        }
    }
}

/// Within one risk: what destroys first.
fn order(action: Action) -> u8 {
    match action {
        Action::Other => 0,
        Action::Delete => 1,
        Action::DeleteCreate => 2,
        Action::CreateDelete => 3,
        Action::Forget => 4,
        Action::Update => 5,
        Action::Create => 6,
        Action::Read => 7,
        Action::NoOp => 8,
    }
}
