//! Owns the lists: repositories, pull requests, issues.

use crate::clock::written;
use crate::model::pull::Pull;
use crate::model::repository::Repository;
use crate::view::markdown::escaped;
use crate::view::{Look, Page, checks, issue, talk};

pub(crate) fn home(look: Look<'_>) -> Page {
    let row = |it: &Repository| {
        let name = look.name(it);
        let (open, all) = (it.pulls.values().filter(|pull| pull.is_open()).count(), it.pulls.len());
        format!(
            "<div class=\"row\"><a class=\"title\" href=\"/{name}\">{name}</a>\
             <span class=\"mute\">{open} open of {all} pull requests, {} issues</span></div>",
            it.issues.len()
        )
    };
    let rows: String = look.model.repositories.values().map(row).collect();
    look.shell(
        "Repositories",
        &format!("<h1>Repositories</h1><div class=\"box\">{}</div>", or_none(rows, "No repositories yet.")),
    )
}

/// How a pull request stands, for its pill.
pub(crate) fn state(pull: &Pull) -> &'static str {
    match (pull.merged_at.is_some(), pull.is_open(), pull.draft) {
        (true, _, _) => "merged",
        (_, false, _) => "closed",
        (_, _, true) => "draft",
        _ => "open",
    }
}

fn or_none(rows: String, none: &str) -> String {
    if rows.is_empty() { format!("<div class=\"row mute\">{none}</div>") } else { rows }
}

pub(crate) fn pulls(look: Look<'_>, it: &Repository) -> Page {
    let name = look.name(it);
    let row = |pull: &Pull| {
        let (number, state) = (pull.number, state(pull));
        format!(
            "<div class=\"row\"><span class=\"state {state}\">{state}</span>\
             <a class=\"title\" href=\"/{name}/pull/{number}\">{}</a>{}\
             <span class=\"mute right\">#{number} by {} · {}</span></div>",
            escaped(&pull.title),
            checks::summary(it, &pull.head_sha),
            look.login(pull.author),
            talk::count(it, number),
        )
    };
    let rows: String = it.pulls.values().rev().map(row).collect();
    let body = format!(
        "{}<div class=\"box\">{}</div><p class=\"mute\">Push to it: <code>git clone {}/{name}</code></p>",
        look.bar(it, "Pull requests"),
        or_none(rows, "No pull requests yet."),
        escaped(&look.model.url),
    );
    look.shell(&name, &body)
}

pub(crate) fn issues(look: Look<'_>, it: &Repository) -> Page {
    let name = look.name(it);
    let row = |issue: &crate::model::issue::Issue| {
        let (number, state) = (issue.number, issue.state());
        format!(
            "<div class=\"row\"><span class=\"state {state}\">{state}</span>\
             <a class=\"title\" href=\"/{name}/issues/{number}\">{}</a>\
             <span class=\"mute right\">#{number} by {} · {} · {}</span></div>",
            escaped(&issue.title),
            look.login(issue.author),
            written(issue.created_at),
            talk::count(it, number),
        )
    };
    let rows: String = it.issues.values().rev().map(row).collect();
    let none = if it.has_issues { "No issues yet." } else { "Issues are turned off here." };
    let body =
        format!("{}<div class=\"box\">{}</div>{}", look.bar(it, "Issues"), or_none(rows, none), issue::form(look, it));
    look.shell(&format!("Issues · {name}"), &body)
}
