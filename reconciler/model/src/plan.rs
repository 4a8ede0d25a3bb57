//! What a plan would do, apart from any file format.
//!
//! Invariant: nothing sensitive is in here; values were masked by the plan reader.

use serde::{Deserialize, Serialize};

use crate::id::{RelPath, RunId};

/// A plan read from its JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanDocument {
    /// How many of what.
    pub counts: Counts,
    /// Changes in display order: the most dangerous first.
    pub changes: Vec<Change>,
    /// Changed outputs.
    pub outputs: Vec<OutputChange>,
    /// Objects that differ from the state for reasons outside of this plan.
    pub drift: Vec<Change>,
    /// Failed or unknown `check` blocks and failed conditions, as text.
    pub warnings: Vec<String>,
    /// Is the plan complete (no targets, no deferred changes)?
    pub complete: bool,
    /// Did planning end with an error (the document then shows what was planned)?
    pub errored: bool,
    /// Does `plantimestamp()` stand in the configuration?
    pub plan_timestamp: bool,
    /// The worst of all changes.
    pub risk: Risk,
    /// Canonical hash of what the plan would do: root, then one per item, hexadecimal.
    pub fingerprint: Fingerprint,
    /// The tool's version that the document names.
    pub tool_version: String,
}

/// A stack's state at one moment, as far as it tells two states apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateStamp {
    /// Which state; none of another lineage follows it.
    pub lineage: String,
    /// Counts up with each write.
    pub serial: i64,
    /// SHA-256 of its bytes, hexadecimal; `None` where another backend keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// The state that a plan was made on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateSeen {
    /// There was none.
    None,
    /// This one.
    State(StateStamp),
}

impl StateSeen {
    /// Of the state that is there, if there is one.
    pub fn of(stamp: Option<StateStamp>) -> Self {
        stamp.map_or(Self::None, Self::State)
    }
    /// The same state, as far as both are known?
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::State(one), Self::State(other)) => {
                let digests = one.digest.as_ref().zip(other.digest.as_ref());
                one.lineage == other.lineage && one.serial == other.serial && digests.is_none_or(|(a, b)| a == b)
            }
            (Self::None, Self::State(_)) | (Self::State(_), Self::None) => false,
        }
    }
}

/// See docs/concepts: two plans with equal roots would do the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The hash over all items, hexadecimal SHA-256.
    pub root: String,
    /// (item key, item hash), sorted by key. Keys are addresses, `output.NAME` and means such as
    /// `provider.NAME`.
    pub items: Vec<(String, String)>,
}

/// Numbers of changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Created.
    pub add: u32,
    /// Updated in place.
    pub change: u32,
    /// Destroyed.
    pub destroy: u32,
    /// Destroyed and created anew; also counted in `add` and `destroy`.
    pub replace: u32,
    /// Imported.
    pub import: u32,
    /// Moved to another address.
    pub moved: u32,
    /// Forgotten (removed from the state only).
    pub forget: u32,
    /// Changed outputs.
    pub outputs: u32,
    /// Data sources read during the apply.
    pub read: u32,
}

/// How dangerous.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// Nothing changes.
    #[default]
    None,
    /// Additions and outputs.
    Low,
    /// Updates in place.
    Medium,
    /// Something is destroyed or replaced, or who-may-what widens.
    High,
    /// Something that keeps data is destroyed or replaced.
    Data,
}

/// What happens to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Only its address, import or state entry changes.
    NoOp,
    /// Created.
    Create,
    /// Read during the apply.
    Read,
    /// Updated in place.
    Update,
    /// Destroyed.
    Delete,
    /// Destroyed, then created.
    DeleteCreate,
    /// Created, then destroyed.
    CreateDelete,
    /// Removed from the state only.
    Forget,
    /// Something that this version does not know; `Change::reason` names it. Treated as dangerous.
    Other,
}

/// One resource instance that changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Its address, such as `aws_subnet.private["c"]`.
    pub address: String,
    /// The address before, when it moves.
    pub previous_address: Option<String>,
    /// `aws_subnet`.
    pub resource_type: String,
    /// Set when it is a deposed object.
    pub deposed: Option<String>,
    /// The id that is imported.
    pub import_id: Option<String>,
    /// What happens.
    pub action: Action,
    /// Why it is replaced or destroyed, in plain words.
    pub reason: Option<String>,
    /// Attributes that force the replacement.
    pub replace_paths: Vec<String>,
    /// Changed attributes, sorted by path; for creations the ones that are set or unknown.
    pub attributes: Vec<AttributeChange>,
    /// Attributes that stay.
    pub unchanged: u32,
    /// How dangerous.
    pub risk: Risk,
    /// For `Risk::Data`: what kind of store, in plain words ("database").
    pub data_kind: Option<String>,
    /// Facts about a data store that is destroyed, such as `deletion_protection = false`.
    pub facts: Vec<(String, String)>,
}

/// One attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeChange {
    /// Path such as `route[0].nat_gateway_id`.
    pub path: String,
    /// Before; `None` when absent.
    pub before: Option<Shown>,
    /// After; `None` when absent.
    pub after: Option<Shown>,
    /// Does this change force the replacement?
    pub forces_replacement: bool,
}

/// A value as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// Canonical text: strings in quotes, the rest as JSON.
    Value(String),
    /// A text of several lines.
    Lines(String),
    /// Known after apply.
    Unknown,
    /// Sensitive.
    Sensitive,
}

/// One output that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputChange {
    /// Its name.
    pub name: String,
    /// What happens.
    pub action: Action,
    /// Before.
    pub before: Option<Shown>,
    /// After.
    pub after: Option<Shown>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanFailure {
    /// The phase that failed: "init", "plan", "show", or "start".
    pub phase: String,
    /// One line, as the tool says it: "S3 bucket \"x\" does not exist".
    pub headline: String,
    /// The tool's own error block(s), masked, without ANSI.
    pub detail: String,
    /// The file, from the repository root, when the tool names one.
    pub file: Option<String>,
    /// Its line.
    pub line: Option<u32>,
}

impl PlanFailure {
    /// The tool names files from the stack's directory; makes them paths from the repository root, in the detail
    /// too. A file outside of the repository (a downloaded module's) stays in the detail only.
    #[must_use]
    pub fn within(mut self, directory: &RelPath) -> Self {
        let Some(file) = self.file.take() else { return self };
        let downloaded = file.split('/').any(|part| part == ".terraform");
        self.file = directory.join(&file).filter(|_| !downloaded).map(String::from);
        if let Some(mapped) = &self.file {
            self.detail = self.detail.replace(&format!("on {file} line "), &format!("on {mapped} line "));
        } else {
            self.line = None;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(file: &str) -> PlanFailure {
        PlanFailure {
            phase: "init".to_owned(),
            headline: "h".to_owned(),
            detail: format!("Error: x\n  on {file} line 4:"),
            file: Some(file.to_owned()),
            line: Some(4),
        }
    }

    #[test]
    fn files_of_failures_become_paths_of_the_repository() {
        let stack = RelPath::parse("infra/net").expect("a path");
        let here = failure("main.tf").within(&stack);
        assert_eq!((here.file.as_deref(), here.line), (Some("infra/net/main.tf"), Some(4)));
        assert_eq!(here.detail, "Error: x\n  on infra/net/main.tf line 4:");
        assert_eq!(failure("../../modules/a/x.tf").within(&stack).file.as_deref(), Some("modules/a/x.tf"));
        let away = failure(".terraform/modules/vpc/x.tf").within(&stack);
        assert_eq!((away.file, away.line), (None, None));
        assert!(away.detail.contains("on .terraform/modules/vpc/x.tf line 4"));
    }
}

/// An apply runs at most so long: databases take an hour, and an interrupt leaves things half done.
pub const APPLY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(4 * 3600);

/// A resource instance that an apply has done. The id is what an import needs should the state be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedItem {
    /// Its address.
    pub address: String,
    /// What was done.
    pub action: Action,
    /// The attribute that identifies it, usually `id`, and its value.
    pub id: Option<(String, String)>,
}

/// Flags of `buildit plan`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanOptions {
    /// `--destroy`.
    pub destroy: bool,
    /// `--refresh-only`.
    pub refresh_only: bool,
    /// `--target`.
    pub target: Vec<String>,
    /// `--replace`.
    pub replace: Vec<String>,
    /// Checked tool arguments after `--`.
    pub args: Vec<String>,
    /// Brings in what this lost apply made and the state does not know. Not a flag: `buildit recover` asks for it.
    #[serde(default)]
    pub recovers: Option<RunId>,
}

impl PlanOptions {
    /// Is it a plan of all that there is to do, which can be applied? What is brought in narrows nothing.
    pub fn is_whole(&self) -> bool {
        Self { recovers: None, ..self.clone() } == Self::default()
    }
}
