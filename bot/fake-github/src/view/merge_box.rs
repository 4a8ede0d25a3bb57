//! Owns the box at the end of a pull request: reviews, checks, conversations, conflicts, and the way to merge.

use crate::error::Error;
use crate::model::account::Role;
use crate::model::landing::Method;
use crate::model::pull::Pull;
use crate::model::repository::Repository;
use crate::model::review::ReviewState;
use crate::model::thread;
use crate::view::markdown::escaped;
use crate::view::{Look, checks};

/// A part of the box. `class` colours its sign.
fn part(class: &str, sign: &str, title: &str, more: &str) -> String {
    let more = if more.is_empty() { String::new() } else { format!("<p class=\"mute\">{more}</p>") };
    format!("<div class=\"row part\"><span class=\"dot {class}\">{sign}</span><div><b>{title}</b>{more}</div></div>")
}

pub(crate) fn merge_box(look: Look<'_>, it: &Repository, pull: &Pull) -> Result<String, Error> {
    let mut rows = reviews(look, it, pull)?;
    rows.push_str(&all_checks(look, it, pull));
    if pull.is_open() {
        let open = thread::open(&pull.threads);
        if open > 0 {
            rows.push_str(&part("queued", "●", &format!("{open} unresolved conversations"), ""));
        }
        rows.push_str(&conflicts(pull));
        rows.push_str(&way(look, it, pull)?);
    } else {
        rows.push_str(&ended(look, it, pull));
    }
    Ok(format!("<div class=\"box merge\" id=\"merge\">{rows}</div>"))
}

fn reviews(look: Look<'_>, it: &Repository, pull: &Pull) -> Result<String, Error> {
    let of = |state: ReviewState| -> Vec<String> {
        let mut names: Vec<String> =
            pull.reviews.iter().filter(|it| it.state == state).map(|it| look.login(it.author)).collect();
        names.dedup();
        names
    };
    let (approved, against) = (of(ReviewState::Approved), of(ReviewState::ChangesRequested));
    let decision = look.model.review_decision(it, pull)?;
    let by = |names: &[String]| format!("by {}", names.join(", "));
    Ok(match decision {
        _ if !against.is_empty() => part("failure", "✗", "Changes requested", &by(&against)),
        Some("REVIEW_REQUIRED") => {
            let why = look.model.blocked(it, pull)?.unwrap_or_default();
            part("queued", "○", "Review required", &escaped(&why))
        }
        _ if !approved.is_empty() => part("success", "✓", "Approved", &by(&approved)),
        _ => String::new(),
    })
}

fn all_checks(look: Look<'_>, it: &Repository, pull: &Pull) -> String {
    let required: Vec<&str> = it
        .rules_on(&pull.base_ref)
        .into_iter()
        .flat_map(|rules| &rules.checks)
        .map(|(name, _)| name.as_str())
        .collect();
    let runs = checks::newest(it, &pull.head_sha);
    let statuses = it.newest_statuses(&pull.head_sha);
    let there = |name: &str| runs.iter().any(|run| run.name == name) || statuses.iter().any(|it| it.context == name);
    let missing = required.iter().filter(|name| !there(name)).map(|name| {
        format!(
            "<div class=\"row\"><span class=\"dot queued\">○</span><b>{}</b> <span class=\"mute\">Expected: waiting for \
             somebody to report it</span> <span class=\"pill\">required</span></div>",
            escaped(name)
        )
    });
    let status = statuses.iter().map(|it| {
        let (state, context) = (&it.state, escaped(&it.context));
        format!(
            "<div class=\"row\"><span class=\"dot {state}\">{}</span><b>{context}</b> <span class=\"{state}\">{state}</span> \
             <span class=\"mute\">{}</span></div>",
            checks::sign(state),
            escaped(it.description.as_deref().unwrap_or_default())
        )
    });
    let rows: String = runs
        .iter()
        .map(|run| checks::row(look, it, run, required.contains(&run.name.as_str())))
        .chain(status)
        .chain(missing)
        .collect();
    match checks::overall(it, &pull.head_sha) {
        Some((class, words)) => {
            format!("{}<div class=\"list\">{rows}</div>", part(class, checks::sign(class), &words, ""))
        }
        None if rows.is_empty() => String::new(),
        None => format!("{}<div class=\"list\">{rows}</div>", part("queued", "○", "Waiting for checks", "")),
    }
}

fn conflicts(pull: &Pull) -> String {
    let base = escaped(&pull.base_ref);
    match pull.mergeable {
        Some(true) => part("success", "✓", &format!("No conflicts with <code>{base}</code>"), ""),
        Some(false) => {
            part("failure", "✗", &format!("Conflicts with <code>{base}</code>"), "Push a commit that solves them.")
        }
        None => part("queued", "○", "Looking for conflicts", "Reload the page."),
    }
}

/// What can be done to merge it, or what stands in the way.
fn way(look: Look<'_>, it: &Repository, pull: &Pull) -> Result<String, Error> {
    let number = pull.number;
    if let Some((base, entry)) = it.queued(number) {
        let place = it.queue(base).iter().position(|it| it.id == entry.id).map_or(0, |place| place + 1);
        let words = it.queue_state(base, entry).to_lowercase().replace('_', " ");
        let out = if look.may(it, Role::Write) {
            look.button("", "dequeue", "Remove from queue", &[])
        } else {
            String::new()
        };
        return Ok(format!(
            "<div class=\"row act\"><b>Number {place} in the merge queue</b> <span class=\"mute\">{words}</span>{out}</div>"
        ));
    }
    let why = match (pull.draft, look.model.blocked(it, pull)?) {
        (true, _) => Some("This is still a draft.".to_owned()),
        (false, Some(why)) => Some(why),
        (false, None) if pull.mergeable == Some(false) => Some("There are conflicts.".to_owned()),
        (false, None) => None,
    };
    if let Some(why) = why {
        let ready = pull.draft && look.may(it, Role::Write);
        let button = if ready { look.button("go", "ready", "Ready for review", &[]) } else { String::new() };
        return Ok(format!(
            "<div class=\"row act\"><b>Merging is blocked</b> <span class=\"mute\">{}</span>{button}</div>",
            escaped(&why)
        ));
    }
    if !look.may(it, Role::Write) {
        return Ok("<div class=\"row act mute\">Only those with write access can merge.</div>".to_owned());
    }
    if it.queue_rules(&pull.base_ref).is_some() {
        let button = look.button("go", "enqueue", "Merge when ready", &[]);
        return Ok(format!(
            "<div class=\"row act\">{button}<span class=\"mute\">This branch has a merge queue.</span></div>"
        ));
    }
    let option = |method: &Method| {
        let label = match method {
            Method::Merge => "Create a merge commit",
            Method::Squash => "Squash and merge",
            Method::Rebase => "Rebase and merge",
        };
        format!("<option value=\"{}\">{label}</option>", method.name())
    };
    let ways: String = it.merges.allowed.iter().map(option).collect();
    Ok(format!(
        "<div class=\"row act\"><form method=\"post\" action=\"{}\"><button class=\"go\" name=\"do\" value=\"merge\">Merge pull \
         request</button><label>by <select name=\"method\">{ways}</select></label></form></div>",
        escaped(look.path)
    ))
}

/// What a pull request that is over still allows.
fn ended(look: Look<'_>, it: &Repository, pull: &Pull) -> String {
    if pull.merged_at.is_none() {
        return part("closed", "✗", "Closed without a merge", "");
    }
    let sha = pull.merge_commit_sha.as_deref().and_then(|sha| sha.get(..7)).unwrap_or_default();
    let by = pull.merged_by.map_or(String::new(), |by| format!("by {} as <code>{sha}</code>", look.login(by)));
    let there = it.git.branch(&pull.head_ref).ok().flatten().is_some() && pull.head_repository == Some(it.id);
    let may = look.may(it, Role::Write);
    let revert = if may { look.button("", "revert", "Revert", &[]) } else { String::new() };
    let delete = if may && there { look.button("", "delete", "Delete branch", &[]) } else { String::new() };
    format!("{}<div class=\"row act\">{revert}{delete}</div>", part("merged", "✓", "Merged", &by))
}
