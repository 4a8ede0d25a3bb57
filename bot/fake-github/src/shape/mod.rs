//! Owns how GitHub writes the model as JSON: one file per noun. Pure; never changes the model.

pub(crate) mod app;
pub(crate) mod check;
pub(crate) mod comment;
pub(crate) mod commit;
pub(crate) mod deployment;
pub(crate) mod issue;
pub(crate) mod pull;
pub(crate) mod repository;
pub(crate) mod review;
pub(crate) mod rules;
pub(crate) mod status;
pub(crate) mod team;
pub(crate) mod thread;
pub(crate) mod user;

/// GitHub writes some nouns differently in answers and in webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Rest,
    Webhook,
}

/// A global node id: a kind and a number, so that GraphQL finds the noun again.
pub(crate) fn node(kind: &str, id: u64) -> String {
    format!("{kind}_{id:010}")
}

/// The number behind a node id of this kind.
pub(crate) fn from_node(kind: &str, node: &str) -> Option<u64> {
    node.strip_prefix(kind)?.strip_prefix('_')?.parse().ok()
}
