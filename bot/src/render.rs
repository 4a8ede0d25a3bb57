//! Publications and plans as texts: Markdown for GitHub, plain text for terminals, lines for pages.
//!
//! Owns: every word that people read about a pull request. Pure; imports `model` only. It decides nothing: what
//! is said follows from the publication alone, so that equal publications give equal texts.
//!
//! Invariants: text of other people (names, values, errors, branches) reaches Markdown only through `text`, which
//! leaves no mention, reference, link, HTML or hidden character in force. No text is longer than its place
//! allows, and none is cut inside a fence.

mod apply;
mod check;
mod comment;
mod config;
mod dangers;
pub mod diff;
mod failure;
mod group;
mod notice;
mod reply;
mod terminal;
pub mod text;
mod verdict;
pub mod words;

pub use check::{Annotation, Button, Level, RenderedCheck, check};
pub use comment::{plan_markdown, pull_body, row_body, summary};
pub use dangers::ordered;
pub use notice::{issue, issue_title, notice};
pub use reply::reply;
pub use terminal::{plan_terminal, terminal};
pub use verdict::{Status, Verdict, pull_verdict, row_verdict};

use model::id::CommentId;

/// Grows when the same publication would be written differently; part of every digest of what was published.
pub const VERSION: u32 = 3;

/// The first line of the summary comment; by it the comment is found again.
pub const SUMMARY_MARKER: &str = "<!-- buildit:summary:v1 -->";

/// The first line of the answer to the comment `to`; by it the answer is found again.
pub fn reply_marker(to: CommentId) -> String {
    format!("<!-- buildit:reply:{to}:v1 -->")
}

/// The first line of a comment of its own; by it the comment is found again.
pub fn notice_marker(key: &str) -> String {
    format!("<!-- buildit:notice:{}:v1 -->", harmless(key))
}

/// The first line of an issue; by it the issue is found again.
pub fn issue_marker(key: &str) -> String {
    format!("<!-- buildit:issue:{}:v1 -->", harmless(key))
}

/// A key that cannot end the HTML comment that it stands in; different keys stay different.
fn harmless(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_:".contains(&byte);
    key.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Characters that a comment or a field of a check may have; GitHub refuses more than 65,535.
pub const BUDGET: usize = 60_000;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
