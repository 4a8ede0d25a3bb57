//! What the App asks for on GitHub: permissions and events, as `docs/operations.md` lists them.
//!
//! Invariant: a permission is here only when something is asked for with it; what works without stands apart.

use std::collections::BTreeMap;

/// Without these BuildIt does not work.
pub const PERMISSIONS: [(&str, &str); 5] =
    [("checks", "write"), ("contents", "read"), ("issues", "read"), ("pull_requests", "write"), ("statuses", "read")];

/// Without these something is not known or not done, and says so. A higher access takes the place of a lower one.
pub const OPTIONAL_PERMISSIONS: [(&str, &str); 6] = [
    ("administration", "read"),
    ("contents", "write"),
    ("deployments", "write"),
    ("issues", "write"),
    ("members", "read"),
    ("merge_queues", "write"),
];

/// What GitHub is asked to tell. A lost or missing one costs latency only.
pub const EVENTS: [&str; 14] = [
    "branch_protection_rule",
    "check_run",
    "check_suite",
    "issue_comment",
    "membership",
    "merge_group",
    "pull_request",
    "pull_request_review",
    "pull_request_review_thread",
    "push",
    "repository",
    "repository_ruleset",
    "status",
    "team",
];

/// All permissions, each once.
pub fn permissions() -> Vec<(&'static str, &'static str)> {
    let all: BTreeMap<&str, &str> = PERMISSIONS.into_iter().chain(OPTIONAL_PERMISSIONS).collect();
    all.into_iter().collect()
}
