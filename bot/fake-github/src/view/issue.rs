//! Owns the page of an issue, and the form that opens one.

use crate::clock::written;
use crate::error::Error;
use crate::model::account::Role;
use crate::model::repository::Repository;
use crate::view::markdown::{escaped, rendered};
use crate::view::{Look, Page, talk};

pub(crate) fn page(look: Look<'_>, it: &Repository, number: u64) -> Result<Page, Error> {
    let issue = it.issue(number)?;
    let (state, author) = (issue.state(), look.login(issue.author));
    let mut body = look.bar(it, "Issues");
    body.push_str(&format!(
        "<h1>{} <small>#{number}</small></h1><p><span class=\"state {state}\">{state}</span> \
         <b>{author}</b> opened this on {}</p>",
        escaped(&issue.title),
        written(issue.created_at),
    ));
    let text = issue.body.as_deref().filter(|body| !body.trim().is_empty());
    let text = text.map_or("<p class=\"mute\">No description.</p>".into(), rendered);
    body.push_str(&talk::boxed(&format!("<b>{author}</b>"), &text));
    for comment in it.comments.values().filter(|comment| comment.number == number) {
        body.push_str(&talk::comment(look, comment));
    }
    if let (Some(at), Some(by)) = (issue.closed_at, issue.closed_by) {
        let reason = issue.reason.as_deref().unwrap_or("completed").replace('_', " ");
        body.push_str(&talk::event("closed", &format!("<b>{}</b> closed this as {reason}", look.login(by)), at));
    }
    if look.me.is_some() {
        let own = look.me == Some(issue.author) || look.may(it, Role::Triage);
        let turn = match (own, issue.open) {
            (false, _) => "",
            (true, true) => "<button name=\"do\" value=\"close\">Close issue</button>",
            (true, false) => "<button name=\"do\" value=\"reopen\">Reopen issue</button>",
        };
        let buttons = format!("<button class=\"go\" name=\"do\" value=\"comment\">Comment</button>{turn}");
        body.push_str(&talk::form(look, "Add a comment", "", &buttons));
    }
    Ok(look.shell(&format!("{} · {}#{number}", issue.title, look.model.full_name(it)), &body))
}

/// Opens a new one.
pub(crate) fn form(look: Look<'_>, it: &Repository) -> String {
    if look.me.is_none() || !it.has_issues {
        return String::new();
    }
    let title = "<input name=\"title\" aria-label=\"Title\" placeholder=\"Title\" required maxlength=\"256\">";
    talk::form(look, "New issue", title, "<button class=\"go\" name=\"do\" value=\"open\">Open issue</button>")
}
