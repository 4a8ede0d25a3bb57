//! Commands in comments: the grammar, pure.
//!
//! Only plain paragraph text counts: never code blocks, quotes, headings, links or images. One command per
//! line, and the line must begin with a prefix.

use serde::{Deserialize, Serialize};

use crate::ports::PlanOptions;

/// What one line of a comment asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// What to do.
    pub verb: Verb,
    /// For which stacks; empty selects all that the verb means by default.
    pub select: Selector,
}

/// Which stacks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// `-p`: names or globs.
    pub names: Vec<String>,
    /// `-d`: directories.
    pub dirs: Vec<String>,
    /// `-w`: a workspace.
    pub workspace: Option<String>,
    /// `-t`: a tag expression.
    pub tags: Option<String>,
}

/// A verb with its own arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Plan again.
    Plan(PlanOptions),
    /// What waits, for what, since when.
    Why,
    /// Where everything stands.
    Status,
    /// The effective configuration.
    Config,
    /// The help text.
    Help,
    /// The server's version.
    Version,
    /// End queued and running plans.
    Cancel {
        /// Kill instead of interrupting.
        now: bool,
    },
    /// A verb of the grammar that this version does not carry out, by name: `apply`, `approve`, `unlock`, ….
    NotYet(String),
}

/// A line that was meant as a command and is not one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandError {
    /// The line, cut to 200 characters.
    pub line: String,
    /// What is wrong.
    pub problem: String,
    /// The nearest that exists, or what to write.
    pub hint: Option<String>,
}
