//! Owns the transcript: what a person would see on each pull request and issue, as text that is the same on every run.
//! Pure. Hashes, ids, ports and times are replaced by words here, so that no test needs to.

use std::fmt::Write as _;

use crate::model::Model;
use crate::model::check::CheckRun;
use crate::model::issue::Issue;
use crate::model::pull::Pull;
use crate::model::repository::Repository;

/// All pull requests and issues of all repositories.
pub(crate) fn transcript(model: &Model) -> String {
    let mut text = String::new();
    for it in model.repositories.values() {
        for pull in it.pulls.values() {
            let mut section = String::new();
            one(&mut section, model, it, pull);
            text.push_str(&stable(&section, it, Some(pull)));
        }
        for issue in it.issues.values() {
            let mut section = String::new();
            asked(&mut section, model, it, issue);
            text.push_str(&stable(&section, it, None));
        }
    }
    text
}

fn one(text: &mut String, model: &Model, it: &Repository, pull: &Pull) {
    let state = match (pull.merged_at.is_some(), pull.is_open(), pull.draft) {
        (true, _, _) => "merged",
        (false, false, _) => "closed",
        (false, true, true) => "draft",
        (false, true, false) => "open",
    };
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "== {}#{} {} [{state}] {} -> {}",
        model.full_name(it),
        pull.number,
        pull.title,
        pull.head_ref,
        pull.base_ref
    );
    let _ = writeln!(text, "head {} of {} by {}", pull.head_sha, pull.heads.len(), model.login(pull.author));
    if !pull.labels.is_empty() {
        let _ = writeln!(text, "labels {}", pull.labels.join(", "));
    }
    for review in &pull.reviews {
        let _ = writeln!(text, "review {} by {}: {}", review.state.word(), model.login(review.author), review.body);
    }
    for sha in &pull.heads {
        checks(text, it, sha);
    }
    comments(text, model, it, pull.number);
}

/// The newest checks of a commit.
pub(crate) fn commit(it: &Repository, sha: &str) -> String {
    let mut text = String::new();
    checks(&mut text, it, sha);
    stable(&text.replace(sha, "<commit>"), it, None)
}

fn checks(text: &mut String, it: &Repository, sha: &str) {
    let mut runs: Vec<&CheckRun> = it.runs.values().filter(|run| run.head_sha == sha && !superseded(it, run)).collect();
    runs.sort_by(|a, b| a.name.cmp(&b.name));
    for run in runs {
        check(text, sha, run);
    }
}

fn asked(text: &mut String, model: &Model, it: &Repository, issue: &Issue) {
    let (name, number, title) = (model.full_name(it), issue.number, &issue.title);
    let _ = writeln!(text, "== {name}#{number} issue: {title} [{}] by {}", issue.state(), model.login(issue.author));
    indented(text, issue.body.as_deref().unwrap_or_default());
    comments(text, model, it, number);
}

/// The comments of a pull request or issue, and the line that ends it.
fn comments(text: &mut String, model: &Model, it: &Repository, number: u64) {
    for comment in it.comments.values().filter(|comment| comment.number == number) {
        let mut marks = Vec::new();
        if comment.last_edited_at.is_some() {
            marks.push("edited".to_owned());
        }
        marks.extend(comment.minimized.as_ref().map(|why| format!("minimized as {why}")));
        marks.extend(comment.reactions.iter().map(|it| format!("{} by {}", it.content, model.login(it.author))));
        let marks = if marks.is_empty() { String::new() } else { format!(" ({})", marks.join(", ")) };
        let _ = writeln!(text, "-- comment by {}{marks}", model.login(comment.author));
        indented(text, &comment.body);
    }
    text.push('\n');
}

fn superseded(it: &Repository, run: &CheckRun) -> bool {
    it.runs.values().any(|other| other.id > run.id && other.name == run.name && other.suite == run.suite)
}

fn check(text: &mut String, sha: &str, run: &CheckRun) {
    let verdict = run.conclusion.as_deref().unwrap_or(&run.status);
    let _ = writeln!(text, "-- check {} at {sha}: {verdict}", run.name);
    if let Some(title) = &run.title {
        let _ = writeln!(text, "  title: {title}");
    }
    if let Some(url) = &run.details_url {
        let _ = writeln!(text, "  details: {url}");
    }
    for (name, part) in [("summary", &run.summary), ("text", &run.text)] {
        if let Some(part) = part {
            let _ = writeln!(text, "  {name}:");
            indented(text, part);
        }
    }
    for it in &run.annotations {
        let word = |name: &str| it[name].as_str().unwrap_or_default();
        let (start, end) = (&it["start_line"], &it["end_line"]);
        let title = if word("title").is_empty() { String::new() } else { format!("{}: ", word("title")) };
        let _ =
            writeln!(text, "  {} {}:{start}-{end} {title}{}", word("annotation_level"), word("path"), word("message"));
    }
    for it in &run.actions {
        let _ = writeln!(text, "  button {} ({}): {}", it["label"], it["identifier"], it["description"]);
    }
}

fn indented(text: &mut String, body: &str) {
    for line in body.lines() {
        let line = line.trim_end();
        if line.is_empty() {
            text.push('\n');
        } else {
            let _ = writeln!(text, "    {line}");
        }
    }
}

/// Replaces what differs from run to run.
fn stable(text: &str, it: &Repository, pull: Option<&Pull>) -> String {
    let mut text = text.to_owned();
    let mut known: Vec<(&str, String)> = Vec::new();
    let heads = pull.map(|pull| pull.heads.as_slice()).unwrap_or_default();
    for (number, sha) in heads.iter().enumerate() {
        if !known.iter().any(|(other, _)| other == sha) {
            known.push((sha, format!("<head {}>", number + 1)));
        }
    }
    if let Some(pull) = pull {
        known.push((&pull.base_sha, "<base>".into()));
    }
    if let Some(sha) = pull.and_then(|pull| pull.merge_commit_sha.as_ref()) {
        known.push((sha, "<merge>".into()));
    }
    // An issue names commits of branches.
    let landed = match pull {
        Some(_) => Vec::new(),
        None => it.git.log(None, &it.default_branch, 500).unwrap_or_default(),
    };
    known.extend(landed.iter().map(|commit| (commit.sha.as_str(), "<commit>".into())));
    for (sha, word) in &known {
        text = text.replace(sha, word);
    }
    for (sha, word) in &known {
        for length in [12, 10, 8, 7] {
            text = text.replace(sha.get(..length).unwrap_or(sha), word);
        }
    }
    for comment in it.comments.values() {
        text = text.replace(&format!("issuecomment-{}", comment.id), "issuecomment-<id>");
    }
    let text = words(&text, is_uuid, 36, "<id>");
    let text = words(&text, is_time, 20, "<time>");
    ports(&text)
}

/// Replaces every window of `length` bytes that fits.
fn words(text: &str, fits: fn(&[u8]) -> bool, length: usize, word: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut kept, mut at) = (String::with_capacity(text.len()), 0, 0);
    while at + length <= bytes.len() {
        if fits(&bytes[at..at + length]) {
            out.push_str(&text[kept..at]);
            out.push_str(word);
            at += length;
            kept = at;
        } else {
            at += 1;
        }
    }
    out.push_str(&text[kept..]);
    out
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .enumerate()
        .all(|(at, byte)| if matches!(at, 8 | 13 | 18 | 23) { *byte == b'-' } else { byte.is_ascii_hexdigit() })
}

/// `2026-01-31T12:00:00Z`.
fn is_time(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .zip(b"0000-00-00T00:00:00Z")
        .all(|(byte, form)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form })
}

/// `127.0.0.1:43210` and `localhost:43210` become `HOST`.
fn ports(text: &str) -> String {
    let mut out = text.to_owned();
    for host in ["127.0.0.1:", "localhost:"] {
        let mut parts = out.split(host);
        let mut joined = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            joined.push_str("HOST");
            joined.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
        }
        out = joined;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{is_time, is_uuid, ports, words};

    #[test]
    fn what_changes_from_run_to_run_becomes_a_word() {
        let text = "ä http://127.0.0.1:4711/runs/0199c2a4-1111-7abc-8def-0123456789ab at 2026-01-31T12:00:00Z.";
        let text = words(&words(text, is_uuid, 36, "<id>"), is_time, 20, "<time>");
        assert_eq!(ports(&text), "ä http://HOST/runs/<id> at <time>.");
    }
}
