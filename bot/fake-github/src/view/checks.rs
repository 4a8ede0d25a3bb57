//! Owns checks: their rows with what they say and their buttons, the page of one, and the sign of a whole commit.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::model::account::Role;
use crate::model::check::CheckRun;
use crate::model::repository::Repository;
use crate::view::markdown::{escaped, rendered};
use crate::view::{Look, Page};

/// The newest check of each name on a commit.
pub(crate) fn newest<'a>(it: &'a Repository, sha: &str) -> Vec<&'a CheckRun> {
    let mut newest: BTreeMap<(&str, u64), &CheckRun> = BTreeMap::new();
    for run in it.runs.values().filter(|run| run.head_sha == sha) {
        newest.insert((&run.name, run.app), run);
    }
    newest.into_values().collect()
}

pub(crate) fn verdict(run: &CheckRun) -> &str {
    run.conclusion.as_deref().unwrap_or(&run.status)
}

pub(crate) fn sign(verdict: &str) -> &'static str {
    match verdict {
        "success" => "✓",
        "failure" | "timed_out" | "error" => "✗",
        "action_required" => "!",
        "in_progress" => "◐",
        "queued" | "pending" => "○",
        _ => "–",
    }
}

/// How all checks and statuses of a commit stand: the class, and words; `None` without any.
pub(crate) fn overall(it: &Repository, sha: &str) -> Option<(&'static str, String)> {
    let runs = newest(it, sha).into_iter().map(|run| verdict(run).to_owned());
    let words: Vec<String> =
        runs.chain(it.newest_statuses(sha).into_iter().map(|status| status.state.clone())).collect();
    let count = |of: &[&str]| words.iter().filter(|word| of.contains(&word.as_str())).count();
    let (failed, waiting) = (count(&["failure", "timed_out", "error"]), count(&["queued", "in_progress", "pending"]));
    let asking = count(&["action_required"]);
    let of = |some: usize, one: &str, many: &str| {
        let checks = if words.len() == 1 { "check" } else { "checks" };
        format!("{some} of {} {checks} {}", words.len(), if some == 1 { one } else { many })
    };
    match (words.len(), failed, waiting, asking) {
        (0, ..) => None,
        (1, 0, 0, 0) => Some(("success", "The check has passed".to_owned())),
        (all, 0, 0, 0) => Some(("success", format!("All {all} checks have passed"))),
        (_, 0, 0, asking) => Some(("action_required", of(asking, "asks for somebody", "ask for somebody"))),
        (_, 0, waiting, _) => Some(("queued", of(waiting, "has not completed yet", "have not completed yet"))),
        (_, failed, ..) => Some(("failure", of(failed, "was not successful", "were not successful"))),
    }
}

/// The sign of a commit in a list.
pub(crate) fn summary(it: &Repository, sha: &str) -> String {
    overall(it, sha).map_or_else(String::new, |(class, words)| {
        format!(
            " <span class=\"dot {class}\" title=\"{words}\" role=\"img\" aria-label=\"{words}\">{}</span>",
            sign(class)
        )
    })
}

/// A check in the list of a pull request; what it says is folded away.
pub(crate) fn row(look: Look<'_>, it: &Repository, run: &CheckRun, required: bool) -> String {
    let verdict = verdict(run);
    let pill = if required { " <span class=\"pill\">required</span>" } else { "" };
    format!(
        "<details class=\"row\"><summary><span class=\"dot {verdict}\">{}</span><b>{}</b> \
         <span class=\"{verdict}\">{}</span> <span class=\"mute\">{}</span>{pill}</summary><div class=\"said\">{}</div></details>",
        sign(verdict),
        escaped(&run.name),
        verdict.replace('_', " "),
        escaped(run.title.as_deref().unwrap_or_default()),
        said(look, it, run),
    )
}

/// What a check says, and what can be pressed.
fn said(look: Look<'_>, it: &Repository, run: &CheckRun) -> String {
    let part = |text: &Option<String>| text.as_deref().map_or(String::new(), rendered);
    let word = |it: &serde_json::Value, name: &str| escaped(it[name].as_str().unwrap_or_default());
    let note = |it: &serde_json::Value| {
        format!(
            "<p><b>{}</b> <code>{}:{}</code> {}</p>",
            word(it, "annotation_level"),
            word(it, "path"),
            it["start_line"],
            word(it, "message")
        )
    };
    let notes: String = run.annotations.iter().map(note).collect();
    let details = run.details_url.as_ref().filter(|url| url.starts_with("http"));
    let link = details.map_or(String::new(), |url| format!("<a href=\"{}\">Details</a>", escaped(url)));
    format!(
        "{}{}{notes}<div class=\"buttons\">{}{link}</div>",
        part(&run.summary),
        part(&run.text),
        buttons(look, it, run)
    )
}

fn buttons(look: Look<'_>, it: &Repository, run: &CheckRun) -> String {
    if !look.may(it, Role::Write) {
        return String::new();
    }
    let id = run.id.to_string();
    let own = run.actions.iter().map(|action| {
        let text = |name: &str| action[name].as_str().unwrap_or_default();
        let (identifier, what) = (text("identifier"), escaped(text("description")));
        let button = look.button("go", "press", text("label"), &[("check", &id), ("identifier", identifier)]);
        format!("<span class=\"pair\">{button}<span class=\"mute\">{what}</span></span>")
    });
    // Only what has ended can run again.
    let again = run.conclusion.as_ref().map(|_| look.button("", "rerun", "Re-run", &[("check", &id)]));
    own.chain(again).collect()
}

/// The page of one check, where GitHub has the buttons.
pub(crate) fn page(look: Look<'_>, it: &Repository, id: u64) -> Result<Page, Error> {
    let run = it.runs.get(&id).ok_or_else(|| Error::NotFound(format!("check run {id}")))?;
    let (verdict, name) = (verdict(run), look.name(it));
    let of = it.pulls.values().rfind(|pull| pull.head_sha == run.head_sha);
    let back = of.map_or(String::new(), |pull| {
        format!("<p><a href=\"/{name}/pull/{}\">{} #{}</a></p>", pull.number, escaped(&pull.title), pull.number)
    });
    let body = format!(
        "{}{back}<h1>{} <small>at <code>{}</code></small></h1><p><span class=\"dot {verdict}\">{}</span> \
         <b class=\"{verdict}\">{}</b> {}</p><div class=\"box\"><div class=\"body\">{}</div></div>",
        look.bar(it, "Pull requests"),
        escaped(&run.name),
        run.head_sha.get(..7).unwrap_or_default(),
        sign(verdict),
        verdict.replace('_', " "),
        escaped(run.title.as_deref().unwrap_or_default()),
        said(look, it, run),
    );
    Ok(look.shell(&format!("{} · {name}", run.name), &body))
}
