//! The tidy test: Rust checks the edges between crates, this checks the walls between
//! the rooms inside them. It reads the whole tree as text, knows each client and each
//! room's walls (`floors`), and how files are written (`text`).
//!
//! A new rule comes with a case in `proofs` that shows it catching a violation.

mod floors;
mod lex;
mod proofs;
mod text;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: String) -> Finding {
        Finding { path: path.to_owned(), line, what }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// All rules for one Rust file; `path` is relative to the top of the project.
fn rust_findings(path: &str, source: &str) -> Vec<Finding> {
    let code = lex::code_of(source);
    let mut out = text::findings(path, source, &code);
    out.extend(floors::findings(path, &code));
    out
}

fn top() -> PathBuf {
    let bot = Path::new(env!("CARGO_MANIFEST_DIR"));
    bot.parent().expect("bot/ stands in the top folder").to_owned()
}

/// Every file below `folder` as (path from the top, text), tools' own folders left out.
fn files(folder: &Path, top: &Path, out: &mut Vec<(String, String)>) {
    let entries = fs::read_dir(folder).expect("the tree can be read");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the tree can be read").path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "target" | "node_modules" | ".git") {
                files(&path, top, out);
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            let shown = path.strip_prefix(top).expect("below the top").to_string_lossy().into_owned();
            out.push((shown, text));
        }
    }
}

fn assert_none(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "{} broken rules:\n{}\n", lines.len(), lines.join("\n"));
}

#[test]
fn every_file_keeps_the_floors_and_the_house_rules() {
    let top = top();
    let mut all = Vec::new();
    files(&top, &top, &mut all);
    let rust: Vec<_> = all.iter().filter(|(path, _)| path.ends_with(".rs")).collect();
    assert!(rust.len() > 10, "the scan found only {} Rust files: it looks in the wrong place", rust.len());

    let mut found: Vec<Finding> = rust.iter().flat_map(|(path, text)| rust_findings(path, text)).collect();
    found.extend(all.iter().flat_map(|(path, text)| text::document_findings(path, text)));
    assert_none(&found);
}

#[test]
fn every_manifest_keeps_the_floors() {
    let mut found = Vec::new();
    for (manifest, _) in floors::MANIFESTS {
        let text = fs::read_to_string(top().join(manifest)).expect("each crate has its manifest");
        found.extend(floors::manifest_findings(manifest, &text));
    }
    assert_none(&found);
}

#[test]
fn the_top_level_is_the_fixed_one() {
    let entries: Vec<String> = fs::read_dir(top())
        .expect("the tree can be read")
        .map(|entry| entry.expect("the tree can be read").file_name().to_string_lossy().into_owned())
        .collect();
    assert_none(&text::top_findings(&entries));
}
