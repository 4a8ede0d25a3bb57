//! Rules about how a file is written, whatever floor it stands on.

use super::Finding;

/// A file past this many lines holds more than one thing. (Past 500 it asks for a split.)
const LINES: usize = 600;

/// Names that say nothing about what a room owns.
const EMPTY_NAMES: &[&str] =
    &["utils", "util", "common", "helpers", "helper", "manager", "managers", "misc", "imp", "service"];

/// Words of code that no file may hold, with what to do instead.
const BANNED: &[(&str, &str)] = &[
    ("#[allow(", "use #[expect(.., reason = \"..\")]"),
    ("#![allow(", "use #![expect(.., reason = \"..\")]"),
    ("#[ignore", "a test runs, or prints its skip line"),
    ("todo!", "finish it or leave it out"),
    ("unimplemented!", "finish it or leave it out"),
    ("cfg!(test)", "production code does not know of tests"),
    ("cfg(not(test))", "production code does not know of tests"),
];

/// What the rules of writing say about one Rust file. `code` is `text` without
/// comments and literals.
pub(super) fn findings(path: &str, text: &str, code: &str) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut finding = |line: usize, what: String| out.push(Finding::new(path, line, what));

    let lines = text.lines().count();
    if lines > LINES {
        finding(lines, format!("{lines} lines; at most {LINES}: split it by what it owns"));
    }
    if !text.starts_with("//!") {
        finding(1, "no `//!` header that says what this owns and must never do".to_owned());
    }
    for part in path.trim_end_matches(".rs").split('/') {
        if EMPTY_NAMES.contains(&part) {
            finding(1, format!("`{part}` names nothing: name what is in it"));
        }
    }
    for (index, line) in code.lines().enumerate() {
        let packed: String = line.split_whitespace().collect();
        for (banned, instead) in BANNED.iter().filter(|(banned, _)| packed.contains(banned)) {
            finding(index + 1, format!("`{banned}`: {instead}"));
        }
    }
    for (index, line) in text.lines().enumerate() {
        let comment = line.split_once("//").map_or("", |(_, comment)| comment);
        if ["TODO", "FIXME", "XXX"].iter().any(|mark| comment.contains(mark)) {
            finding(index + 1, "open ends are issues, not comments".to_owned());
        }
    }
    let lines: Vec<&str> = code.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        if line.trim() != "#[cfg(test)]" && line.contains("cfg(test") {
            finding(index + 1, "write `#[cfg(test)]` on a line of its own, above `mod tests`".to_owned());
        }
        if line.trim() == "#[cfg(test)]" && !guards_tests(&lines[index + 1..]) {
            finding(index + 1, "`#[cfg(test)]` stands above `mod tests` or `mod sample` only".to_owned());
        }
    }
    out
}

/// Is the next item, past other attributes, `mod tests` or the `mod sample` that tests of
/// several rooms share?
fn guards_tests(after: &[&str]) -> bool {
    let item = after.iter().map(|line| line.trim()).find(|line| !line.is_empty() && !line.starts_with("#["));
    let name = item.and_then(|item| item.trim_start_matches("pub(crate) ").strip_prefix("mod "));
    name.is_some_and(|name| name.starts_with("tests") || name.starts_with("sample"))
}

/// The line on which the file's own `mod tests {` begins.
pub(super) fn tests_line(code: &str) -> Option<usize> {
    code.lines().position(|line| line.starts_with("mod tests {")).map(|index| index + 1)
}

/// What no text file of the project may hold: links to what is not in it.
pub(super) fn document_findings(path: &str, text: &str) -> Vec<Finding> {
    let outside = concat!("..", "/shared");
    text.lines()
        .enumerate()
        .filter(|(_, line)| line.contains(outside))
        .map(|(index, _)| Finding::new(path, index + 1, "names a folder outside the project".to_owned()))
        .collect()
}

/// The visible top level; configuration of tools goes into dot-places.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "bot",
    "reconciler",
    "runner",
    "policies",
    "templates",
    "migrations",
    "docs",
    "dev",
    "target",
];

pub(super) fn top_findings(entries: &[String]) -> Vec<Finding> {
    entries
        .iter()
        .filter(|entry| !entry.starts_with('.') && !TOP.contains(&entry.as_str()))
        .map(|entry| Finding::new(entry, 0, "the top level is fixed: find its room".to_owned()))
        .collect()
}
