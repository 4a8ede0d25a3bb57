//! Which stacks a change affects, and why. The same value feeds the check, `buildit explain` and decide.

use serde::{Deserialize, Serialize};

use crate::diagnostic::Diagnostics;
use crate::id::{RelPath, StackName};

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected {
    /// Affected stacks, by name.
    pub affected: Vec<AffectedStack>,
    /// Stacks that the change removes, by name.
    pub removed: Vec<AffectedStack>,
    /// Stacks whose directory changes: (name, path on the base, path on the plan tree).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<(StackName, RelPath, RelPath)>,
    /// Changed files that look like inputs and belong to no stack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unclaimed: Vec<RelPath>,
    /// Findings: files that cannot be parsed, markers that vanished.
    #[serde(default, skip_serializing_if = "Diagnostics::is_empty")]
    pub diagnostics: Diagnostics,
}

/// One stack with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AffectedStack {
    /// Its name.
    pub stack: StackName,
    /// Its directory.
    pub path: RelPath,
    /// At least one reason, in the order of the files.
    pub why: Vec<Why>,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The changed file; for dependents the upstream stack's name.
    pub file: String,
    /// The rule, in a few words: "in the stack's directory", "module ../../modules/vpc", "watch", …
    pub rule: String,
    /// The place that decided, `file:line`, when there is one.
    pub at: Option<String>,
}

/// A changed file between the base tip and the plan tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedFile {
    /// Its path (the new one of a rename).
    pub path: RelPath,
    /// The old path of a rename.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<RelPath>,
    /// What happened.
    pub kind: ChangeKind,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// New.
    Added,
    /// Content or mode differ.
    Modified,
    /// Gone.
    Deleted,
    /// Moved, with or without a change.
    Renamed,
}
