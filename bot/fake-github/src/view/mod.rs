//! Owns the pages that a person looks at: the list of pull requests, one pull request, and a form to act on it.
//! Never shows Markdown that was not made harmless, and lets nobody act unless the starter allowed it.

mod files;
mod markdown;

use std::collections::BTreeMap;

use crate::clock::written;
use crate::error::Error;
use crate::model::Model;
use crate::model::check::CheckRun;
use crate::model::merge::MergeRequest;
use crate::model::pull::Pull;
use crate::model::repository::Repository;
use crate::model::review::Verdict;
use markdown::{escaped, rendered};

const STYLE: &str = include_str!("page.css");

/// What a page answers.
#[derive(Debug)]
pub(crate) enum Page {
    Html(String),
    /// After a form: look at this path again.
    Back(String),
    /// Status and a sentence.
    No(u16, String),
}

fn shell(title: &str, body: &str) -> Page {
    Page::Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{}</title>\
         <style>{STYLE}</style><header class=\"top\"><a href=\"/\"><b>fake GitHub</b></a> <span class=\"mute\">a double for tests and demos</span></header>\
         <main>{body}</main></html>",
        escaped(title)
    ))
}

/// Answers a GET of a page.
pub(crate) fn show(model: &Model, path: &str) -> Page {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        [""] => home(model),
        [owner, name] | [owner, name, "pulls"] => found(model, owner, name, |it| Ok(list(model, it))),
        [owner, name, "pull", number] => {
            found(model, owner, name, |it| one(model, it, it.pull(number.parse().unwrap_or(0))?))
        }
        _ => Page::No(404, "There is no such page.".into()),
    }
}

fn found(model: &Model, owner: &str, name: &str, page: impl Fn(&Repository) -> Result<Page, Error>) -> Page {
    let it = model.repository_id(&format!("{owner}/{name}")).and_then(|id| model.repository(id));
    it.and_then(page).unwrap_or_else(|error| Page::No(404, error.to_string()))
}

fn home(model: &Model) -> Page {
    let row = |it: &Repository| {
        let name = escaped(&model.full_name(it));
        format!(
            "<div class=\"row\"><a href=\"/{name}\">{name}</a> <span class=\"mute\">{} pull requests</span></div>",
            it.pulls.len()
        )
    };
    let rows: String = model.repositories.values().map(row).collect();
    shell("Repositories", &format!("<h1>Repositories</h1><div class=\"box\">{rows}</div>"))
}

fn state(pull: &Pull) -> &'static str {
    match (pull.merged_at.is_some(), pull.is_open(), pull.draft) {
        (true, _, _) => "merged",
        (_, false, _) => "closed",
        (_, _, true) => "draft",
        _ => "open",
    }
}

fn list(model: &Model, it: &Repository) -> Page {
    let name = escaped(&model.full_name(it));
    let row = |pull: &Pull| {
        let (state, title, number) = (state(pull), escaped(&pull.title), pull.number);
        let author = escaped(&model.login(pull.author));
        format!(
            "<div class=\"row\"><span class=\"state {state}\">{state}</span> <a href=\"/{name}/pull/{number}\">{title}</a> \
             <span class=\"mute\">#{number} by {author}</span></div>"
        )
    };
    let rows: String = it.pulls.values().rev().map(row).collect();
    let rows = if rows.is_empty() { "<div class=\"row mute\">No pull requests yet.</div>".to_owned() } else { rows };
    shell(
        &name,
        &format!(
            "<h1>{name}</h1><p class=\"mute\">git clone {}/{name}.git</p><div class=\"box\">{rows}</div>",
            model.url
        ),
    )
}

fn one(model: &Model, it: &Repository, pull: &Pull) -> Result<Page, Error> {
    let name = escaped(&model.full_name(it));
    let (state, author) = (state(pull), escaped(&model.login(pull.author)));
    let mut body = format!(
        "<p><a href=\"/{name}\">{name}</a></p><h1>{} <small>#{}</small></h1>\
         <p><span class=\"state {state}\">{state}</span> {author} wants to merge <code>{}</code> into <code>{}</code></p>",
        escaped(&pull.title),
        pull.number,
        escaped(&pull.head_ref),
        escaped(&pull.base_ref)
    );
    let text = pull
        .body
        .as_deref()
        .filter(|body| !body.trim().is_empty())
        .map_or("<p class=\"mute\">No description.</p>".into(), rendered);
    body.push_str(&boxed(&format!("<b>{author}</b>"), &text));
    let commits = it.git.log(Some(&pull.base_sha), &pull.head_sha, 100)?;
    let commit = |it: &crate::git::CommitObject| {
        let first = it.message.lines().next().unwrap_or_default();
        format!("<div class=\"row\"><code>{}</code> {}</div>", it.sha.get(..7).unwrap_or_default(), escaped(first))
    };
    let commits: String = commits.iter().map(commit).collect();
    body.push_str(&format!("<h2>Commits</h2><div class=\"box\">{commits}</div>"));
    body.push_str(&files::changed(it, pull)?);
    body.push_str(&checks(it, pull));
    for review in &pull.reviews {
        let head = format!(
            "<b>{}</b> {}",
            escaped(&model.login(review.author)),
            review.state.word().to_lowercase().replace('_', " ")
        );
        body.push_str(&boxed(&head, &rendered(&review.body)));
    }
    for comment in it.comments.values().filter(|comment| comment.number == pull.number) {
        let edited = if comment.last_edited_at.is_some() { " · edited" } else { "" };
        let reactions: String = comment
            .reactions
            .iter()
            .map(|it| format!(" · {} {}", emoji(&it.content), escaped(&model.login(it.author))))
            .collect();
        let when = written(comment.created_at);
        let head = format!(
            "<b>{}</b> <span class=\"mute\">{when}{edited}{reactions}</span>",
            escaped(&model.login(comment.author))
        );
        let text = rendered(&comment.body);
        let text = match &comment.minimized {
            Some(why) => {
                format!("<details><summary class=\"mute\">Hidden as {}</summary>{text}</details>", escaped(why))
            }
            None => text,
        };
        body.push_str(&boxed(&head, &text));
    }
    if model.act_as_anyone {
        body.push_str(&form(model, it, pull));
    }
    Ok(shell(&format!("{} · {name}#{}", pull.title, pull.number), &body))
}

fn emoji(content: &str) -> &'static str {
    match content {
        "+1" => "👍",
        "-1" => "👎",
        "laugh" => "😄",
        "confused" => "😕",
        "heart" => "❤️",
        "hooray" => "🎉",
        "rocket" => "🚀",
        _ => "👀",
    }
}

fn boxed(head: &str, body: &str) -> String {
    format!("<div class=\"box\"><div class=\"head\">{head}</div><div class=\"body\">{body}</div></div>")
}

/// The newest check of each name at the head.
fn checks(it: &Repository, pull: &Pull) -> String {
    let mut newest: BTreeMap<&str, &CheckRun> = BTreeMap::new();
    for run in it.runs.values().filter(|run| run.head_sha == pull.head_sha) {
        newest.insert(&run.name, run);
    }
    if newest.is_empty() {
        return String::new();
    }
    let rows: String = newest.values().map(|run| check(run)).collect();
    format!("<h2>Checks</h2><div class=\"box\">{rows}</div>")
}

fn check(run: &CheckRun) -> String {
    let verdict = run.conclusion.as_deref().unwrap_or(&run.status);
    let sign = match verdict {
        "success" => "✓",
        "failure" | "timed_out" => "✗",
        "action_required" => "!",
        "in_progress" => "◐",
        "queued" => "○",
        _ => "–",
    };
    let details = run.details_url.as_ref().filter(|url| url.starts_with("http"));
    let link = details.map_or(String::new(), |url| format!("<p><a href=\"{}\">Details</a></p>", escaped(url)));
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
    format!(
        "<details class=\"row\"><summary><span class=\"dot {verdict}\">{sign}</span><b>{}</b> <span class=\"{verdict}\">{}</span> <span class=\"mute\">{}</span></summary>{}{}{notes}{link}</details>",
        escaped(&run.name),
        verdict.replace('_', " "),
        escaped(run.title.as_deref().unwrap_or_default()),
        part(&run.summary),
        part(&run.text)
    )
}

fn form(model: &Model, it: &Repository, pull: &Pull) -> String {
    let people = model.accounts.values().filter(|account| account.is_person());
    let options: String = people.map(|account| format!("<option>{}</option>", escaped(&account.login))).collect();
    let merge = if pull.is_open() { "<button name=\"do\" value=\"merge\">Merge</button>" } else { "" };
    let action = format!("/{}/pull/{}", escaped(&model.full_name(it)), pull.number);
    format!(
        "<h2>Act</h2><div class=\"box\"><div class=\"body\"><form method=\"post\" action=\"{action}\">\
         <textarea name=\"body\" aria-label=\"Comment\" placeholder=\"buildit plan\"></textarea>\
         <label>as <select name=\"as\">{options}</select></label><button class=\"go\" name=\"do\" value=\"comment\">Comment</button>\
         <button name=\"do\" value=\"approve\">Approve</button>{merge}<button name=\"do\" value=\"rerun\">Re-run checks</button></form></div></div>"
    )
}

/// Answers the form. `same_origin` is false when another page sent it.
pub(crate) fn act(model: &mut Model, path: &str, fields: &BTreeMap<String, String>, same_origin: bool) -> Page {
    if !model.act_as_anyone || !same_origin {
        return Page::No(403, "Acting from the page is not allowed here.".into());
    }
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let [owner, name, "pull", number] = parts.as_slice() else { return Page::No(404, "There is no such page.".into()) };
    match acted(model, &format!("{owner}/{name}"), number.parse().unwrap_or(0), fields) {
        Ok(()) => Page::Back(path.to_owned()),
        Err(error) => Page::No(422, error.to_string()),
    }
}

fn acted(model: &mut Model, repository: &str, number: u64, fields: &BTreeMap<String, String>) -> Result<(), Error> {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let (id, actor, body) =
        (model.repository_id(repository)?, model.account(field("as"))?, field("body").replace("\r\n", "\n"));
    let it = model.repository(id)?;
    let role =
        model.role(actor, it).ok_or_else(|| Error::Forbidden(format!("{} may not see {repository}", field("as"))))?;
    match field("do") {
        "approve" => model.review(id, number, actor, Verdict::Approve, &body, None).map(drop),
        "comment" => model.comment(id, number, actor, None, &body).map(drop),
        "merge" | "rerun" if role < crate::Role::Write => {
            Err(Error::Forbidden(format!("{} may not write to {repository}", field("as"))))
        }
        "merge" => model.merge_pull(id, number, actor, &MergeRequest::default()).map(drop),
        "rerun" => {
            let head = it.pull(number)?.head_sha.clone();
            let suites: Vec<u64> =
                it.suites.values().filter(|suite| suite.head_sha == head).map(|suite| suite.id).collect();
            suites.into_iter().try_for_each(|suite| model.rerequest_suite(id, suite, actor))
        }
        other => Err(Error::Use(format!("there is no button `{other}`"))),
    }
}
