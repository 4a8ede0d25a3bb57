//! Owns reading git's raw diff into changed files. Pure but for the one command that it is handed.

use crate::git::{FileChange, GitError};

/// Runs `git diff` through `run` and reads names, counts and patches.
pub(crate) fn between(
    run: impl Fn(&[&str]) -> Result<Vec<u8>, GitError>,
    from: &str,
    to: &str,
) -> Result<Vec<FileChange>, GitError> {
    let raw = run(&["diff-tree", "-r", "-M", "--no-commit-id", "--raw", "--numstat", "--no-abbrev", "-z", from, to])?;
    let text = String::from_utf8_lossy(&raw);
    let mut fields = text.split('\0').filter(|field| !field.is_empty());
    let mut changes: Vec<FileChange> = Vec::new();
    let mut next = fields.next();
    while let Some(field) = next {
        if let Some(head) = field.strip_prefix(':') {
            if let Some(change) = raw_entry(head, &mut fields) {
                changes.push(change);
            }
        } else {
            numstat_entry(field, &mut fields, &mut changes);
        }
        next = fields.next();
    }
    let patch = run(&["diff-tree", "-r", "-M", "--no-commit-id", "-p", "--no-color", "--no-ext-diff", from, to])?;
    attach_patches(&String::from_utf8_lossy(&patch), &mut changes);
    Ok(changes)
}

fn raw_entry<'a>(head: &str, fields: &mut impl Iterator<Item = &'a str>) -> Option<FileChange> {
    let words: Vec<&str> = head.split(' ').collect();
    let [_, _, old, new, letter] = words.as_slice() else { return None };
    let first = fields.next()?.to_owned();
    let (path, previous) =
        if letter.starts_with('R') { (fields.next()?.to_owned(), Some(first)) } else { (first, None) };
    let (status, blob) = match letter.chars().next()? {
        'A' => ("added", new),
        'D' => ("removed", old),
        'R' => ("renamed", new),
        _ => ("modified", new),
    };
    Some(FileChange { path, previous, status, additions: 0, deletions: 0, blob: (*blob).to_owned(), patch: None })
}

fn numstat_entry<'a>(head: &str, fields: &mut impl Iterator<Item = &'a str>, changes: &mut [FileChange]) {
    let mut parts = head.splitn(3, '\t');
    let (added, deleted, path) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
    let path = if path.is_empty() {
        // A rename: the old and the new path follow as fields of their own.
        let _old = fields.next();
        fields.next().unwrap_or_default()
    } else {
        path
    };
    if let Some(change) = changes.iter_mut().find(|change| change.path == path) {
        change.additions = added.and_then(|n| n.parse().ok()).unwrap_or(0);
        change.deletions = deleted.and_then(|n| n.parse().ok()).unwrap_or(0);
    }
}

/// The sections of a patch come in the order of the raw entries.
fn attach_patches(patch: &str, changes: &mut [FileChange]) {
    let mut sections: Vec<String> = Vec::new();
    for line in patch.lines() {
        if line.starts_with("diff --git ") {
            sections.push(String::new());
        } else if let Some(section) = sections.last_mut() {
            section.push_str(line);
            section.push('\n');
        }
    }
    for (change, section) in changes.iter_mut().zip(sections) {
        change.patch = section.find("@@ ").map(|at| section[at..].trim_end().to_owned());
    }
}
