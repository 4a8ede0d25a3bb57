//! Owns the page of a pull request: what happened in its order, the merge box, the form, the changed files.

use crate::error::Error;
use crate::model::account::Role;
use crate::model::pull::Pull;
use crate::model::repository::Repository;
use crate::view::markdown::{escaped, rendered};
use crate::view::{Look, Page, files, lists, merge_box, talk};

pub(crate) fn page(look: Look<'_>, it: &Repository, pull: &Pull) -> Result<Page, Error> {
    let mut body = look.bar(it, "Pull requests");
    body.push_str(&head(look, pull, it)?);
    let text = pull.body.as_deref().filter(|body| !body.trim().is_empty());
    let text = text.map_or("<p class=\"mute\">No description.</p>".into(), rendered);
    body.push_str(&talk::boxed(&format!("<b>{}</b>", look.login(pull.author)), &text));
    body.push_str(&story(look, it, pull)?);
    body.push_str(&merge_box::merge_box(look, it, pull)?);
    body.push_str(&form(look, it, pull));
    body.push_str(&files::changed(it, pull)?);
    let title = format!("{} · {}#{}", pull.title, look.model.full_name(it), pull.number);
    Ok(look.shell(&title, &body))
}

fn head(look: Look<'_>, pull: &Pull, it: &Repository) -> Result<String, Error> {
    let state = lists::state(pull);
    let count = it.git.log(Some(&pull.base_sha), &pull.head_sha, 250)?.len();
    let commits = if count == 1 { "1 commit".to_owned() } else { format!("{count} commits") };
    let owner = pull.head_repository.filter(|head| *head != it.id).and_then(|id| look.model.repository(id).ok());
    let from = owner.map_or(String::new(), |head| format!("{}:", look.login(head.owner)));
    let verb = if pull.merged_at.is_some() { "merged" } else { "wants to merge" };
    let who = pull.merged_by.unwrap_or(pull.author);
    Ok(format!(
        "<h1>{} <small>#{}</small></h1><p><span class=\"state {state}\">{state}</span> <b>{}</b> {verb} {commits} into \
         <code>{}</code> from <code>{from}{}</code></p>",
        escaped(&pull.title),
        pull.number,
        look.login(who),
        escaped(&pull.base_ref),
        escaped(&pull.head_ref)
    ))
}

/// Commits, comments, reviews and ends in the order of their times.
fn story(look: Look<'_>, it: &Repository, pull: &Pull) -> Result<String, Error> {
    let may = look.may(it, Role::Write);
    let mut told: Vec<(i64, String)> = Vec::new();
    for commit in it.git.log(Some(&pull.base_sha), &pull.head_sha, 100)? {
        let (sha, first) = (commit.sha.get(..7).unwrap_or_default(), commit.message.lines().next().unwrap_or_default());
        let line = format!(
            "<p class=\"event\">● <b>{}</b> {} <code>{sha}</code></p>",
            escaped(&commit.author.name),
            escaped(first)
        );
        told.push((commit.committer.at, line));
    }
    let comments = it.comments.values().filter(|comment| comment.number == pull.number);
    told.extend(comments.map(|comment| (comment.created_at, talk::comment(look, comment))));
    let reviews = pull.reviews.iter().map(|it| (it.submitted_at, talk::review(look, pull, it, may)));
    told.extend(reviews);
    if let Some(at) = pull.closed_at {
        let merged = pull.merged_at.is_some();
        let class = if merged { "merged" } else { "closed" };
        let by = pull.merged_by.map_or(String::new(), |by| format!(" by <b>{}</b>", look.login(by)));
        told.push((at, talk::event(class, &format!("● {class}{by}"), at)));
    }
    // What came at the same time stays in its order.
    told.sort_by_key(|(at, _)| *at);
    Ok(told.into_iter().map(|(_, html)| html).collect())
}

fn form(look: Look<'_>, it: &Repository, pull: &Pull) -> String {
    let Some(me) = look.me else { return String::new() };
    let button = |act: &str, label: &str| format!("<button name=\"do\" value=\"{act}\">{label}</button>");
    let mut buttons = "<button class=\"go\" name=\"do\" value=\"comment\">Comment</button>".to_owned();
    if pull.is_open() && me != pull.author {
        buttons.push_str(&button("approve", "Approve"));
        buttons.push_str(&button("against", "Request changes"));
    }
    let own = me == pull.author || look.may(it, Role::Triage);
    match (own, pull.is_open(), pull.merged_at) {
        (true, true, _) => buttons.push_str(&button("close", "Close pull request")),
        (true, false, None) => buttons.push_str(&button("reopen", "Reopen")),
        _ => {}
    }
    if look.may(it, Role::Write) && !it.suites.values().all(|suite| suite.head_sha != pull.head_sha) {
        buttons.push_str(&button("rerun-all", "Re-run all checks"));
    }
    talk::form(look, "Add a comment", "", &buttons)
}
