//! Gates: a requirement with what came of it, in words for people.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One requirement of one plan, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// The word of the requirement, such as "approvals"; several rules may share one.
    pub name: String,
    /// A few words for a line: "approvals 0 of 1".
    pub title: String,
    /// Does it hold?
    pub outcome: Outcome,
    /// Why one may say so: who, which, since when, and what would help.
    pub evidence: String,
}

/// What came of a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It holds.
    Pass,
    /// Not yet; it may come to hold by itself, or when someone does what is asked.
    Pending,
    /// It does not hold.
    Fail,
}

impl Gate {
    /// A gate whose title is its name.
    pub fn new(name: &str, outcome: Outcome, evidence: impl Into<String>) -> Self {
        Self { name: name.to_owned(), title: name.to_owned(), outcome, evidence: evidence.into() }
    }
    /// Gives it other words for a line.
    #[must_use]
    pub fn titled(self, title: impl Into<String>) -> Self {
        Self { title: title.into(), ..self }
    }
    /// Does it hold?
    pub fn holds(&self) -> bool {
        self.outcome == Outcome::Pass
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.evidence)
    }
}
