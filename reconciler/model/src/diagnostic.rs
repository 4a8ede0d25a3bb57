//! What people are told about what they wrote.
//!
//! Invariant: input of a person never becomes an `Err(String)`; it becomes diagnostics that say what, where
//! and what to do. They map one to one onto check-run annotations and onto `buildit check`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad it is. An error stops the run that needs the value; a warning is only shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Must be mended before anything runs.
    Error,
    /// Should be looked at.
    Warning,
}

/// A place in a file. Lines and columns count from 1, columns in characters; offsets are bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// Path from the repository root, or as the person gave it on the command line.
    pub file: String,
    /// Line of the first character.
    pub line: u32,
    /// Column of the first character.
    pub column: u32,
    /// Line of the last character.
    pub end_line: u32,
    /// Column just behind the last character.
    pub end_column: u32,
    /// Byte offset of the first character.
    pub offset: u32,
    /// Length in bytes.
    pub length: u32,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// Stable short name, `kebab-case`, for filters and docs.
    pub code: String,
    /// One line: what is wrong. Lower-case start, no full stop.
    pub summary: String,
    /// What to do, or why; may be empty.
    pub help: String,
    /// Where; `None` when it concerns no single place.
    pub span: Option<Span>,
}

impl Diagnostic {
    /// An error.
    pub fn error(code: &str, summary: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code: code.to_owned(),
            summary: summary.into(),
            help: String::new(),
            span: None,
        }
    }
    /// A warning.
    pub fn warning(code: &str, summary: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, summary) }
    }
    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
    /// Adds the place.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }
}

/// Findings in the order in which they were found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// None yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }
    /// Adds all of another list.
    pub fn extend(&mut self, other: Diagnostics) {
        self.0.extend(other.0);
    }
    /// Is any of error level?
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }
    /// Those of error level.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter().filter(|d| d.severity == Severity::Error)
    }
    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }
    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Orders by file and place, for people.
    pub fn sort(&mut self) {
        self.0.sort_by(|a, b| a.span.cmp(&b.span).then(a.severity.cmp(&b.severity)));
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<T: IntoIterator<Item = Diagnostic>>(iter: T) -> Self {
        Self(iter.into_iter().collect())
    }
}
