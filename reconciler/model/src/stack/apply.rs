//! When an apply happens, what follows it, and what holds others off.

use std::fmt;

use serde::{Deserialize, Serialize};

/// When an apply happens; semantics in docs/configuration.md, "apply".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApplyMode {
    /// After the merge, by itself.
    Merge,
    /// Before the merge, by command or button.
    Comment,
    /// As merge, and for pushes without a pull request.
    Push,
    /// After the merge, when asked.
    Manual,
    /// Plans only.
    Never,
}

impl ApplyMode {
    /// All, the one that does the least by itself first.
    pub const ALL: [Self; 5] = [Self::Never, Self::Manual, Self::Comment, Self::Merge, Self::Push];

    /// The word in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            ApplyMode::Merge => "merge",
            ApplyMode::Comment => "comment",
            ApplyMode::Push => "push",
            ApplyMode::Manual => "manual",
            ApplyMode::Never => "never",
        }
    }

    /// The mode of that word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == text)
    }
}

/// The rest of the `apply` node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyOptions {
    /// Merge by itself when every affected stack is applied?
    pub automerge: Option<Automerge>,
    /// What happens to a stack when one that it depends on was applied.
    pub after_upstream: AfterUpstream,
    /// How long an apply may run, in seconds.
    pub timeout_seconds: u64,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        Self { automerge: None, after_upstream: AfterUpstream::Ask, timeout_seconds: 2 * 3600 }
    }
}

impl fmt::Display for ApplyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.automerge {
            Some(Automerge { method: Some(method) }) => write!(f, "automerge={} ", method.name())?,
            Some(Automerge { method: None }) => f.write_str("automerge ")?,
            None => {}
        }
        write!(f, "after-upstream={} timeout={}s", self.after_upstream.name(), self.timeout_seconds)
    }
}

/// `automerge squash`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Automerge {
    /// How; `None`: the first way that the repository allows of merge, squash, rebase.
    pub method: Option<MergeMethod>,
}

/// How a pull request is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MergeMethod {
    /// A merge commit.
    Merge,
    /// One commit.
    Squash,
    /// The commits, made anew on the base.
    Rebase,
}

impl MergeMethod {
    /// The word in configuration, in commands and on GitHub.
    pub const fn name(self) -> &'static str {
        match self {
            MergeMethod::Merge => "merge",
            MergeMethod::Squash => "squash",
            MergeMethod::Rebase => "rebase",
        }
    }

    /// The method of that word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Merge, Self::Squash, Self::Rebase].into_iter().find(|method| method.name() == text)
    }
}

/// What happens to a stack when one that it depends on was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AfterUpstream {
    /// It is planned and waits for a person.
    Ask,
    /// It is planned, and applied when its requirements hold.
    Apply,
}

impl AfterUpstream {
    /// The word in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            AfterUpstream::Ask => "ask",
            AfterUpstream::Apply => "apply",
        }
    }
}

/// The `lock` node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// When it is taken.
    pub mode: LockMode,
    /// One lock for each base branch?
    pub per_base_branch: bool,
}

impl Default for Lock {
    fn default() -> Self {
        Self { mode: LockMode::Apply, per_base_branch: false }
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.mode.name(), if self.per_base_branch { " per=base-branch" } else { "" })
    }
}

/// When a stack's lock is taken. The weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LockMode {
    /// Never; applies of one stack still exclude each other.
    None,
    /// When an apply is accepted.
    Apply,
    /// With the first plan.
    Plan,
    /// When an apply is accepted, and by a merge without one until it is applied.
    Strict,
}

impl LockMode {
    /// The word in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            LockMode::None => "none",
            LockMode::Apply => "apply",
            LockMode::Plan => "plan",
            LockMode::Strict => "strict",
        }
    }

    /// The mode of that word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Apply, Self::Plan, Self::Strict].into_iter().find(|mode| mode.name() == text)
    }
}
