//! Locks of stacks, and the lines before them.

use model::id::PullNumber;
use model::stack::{LockMode, Stack};
use model::time::Timestamp;

/// What a lock is of: a stack, or with `per=base-branch` a stack and the branch that pull requests go into.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LockKey(String);

impl LockKey {
    /// The lock that keeps others off; `None` with `lock none`.
    pub(crate) fn of(stack: &Stack, base_branch: &str) -> Option<Self> {
        // No name has a space in it.
        let key =
            if stack.lock.per_base_branch { format!("{} {base_branch}", stack.name) } else { stack.name.to_string() };
        (stack.lock.mode != LockMode::None).then_some(Self(key))
    }
    /// As it is stored.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }
    /// The stored form.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who may apply to a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LockRow {
    pub(crate) key: LockKey,
    /// Whose it is; `None`: nobody's, but there is a line before it.
    pub(crate) holder: Option<Holder>,
    /// Who waits for it, in order.
    pub(crate) waiters: Vec<Waiter>,
}

/// Whose a lock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) pull: PullNumber,
    pub(crate) since: Timestamp,
}

/// Who waits for a lock, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub(crate) pull: PullNumber,
    pub(crate) since: Timestamp,
    /// The command that asked; its stacks are applied together.
    pub(crate) request: Option<String>,
    /// What the plan that is to be applied would do.
    pub(crate) fingerprint: Option<String>,
}
