//! Owns what people said: comments, reviews, events between them, and the form to say more.

use crate::clock::written;
use crate::model::comment::Comment;
use crate::model::pull::Pull;
use crate::model::repository::Repository;
use crate::model::review::{Review, ReviewState};
use crate::view::Look;
use crate::view::markdown::{escaped, rendered};

pub(crate) fn boxed(head: &str, body: &str) -> String {
    format!("<div class=\"box\"><div class=\"head\">{head}</div><div class=\"body\">{body}</div></div>")
}

/// "3 comments", "no comments".
pub(crate) fn count(it: &Repository, number: u64) -> String {
    match it.comments.values().filter(|comment| comment.number == number).count() {
        0 => "no comments".into(),
        1 => "1 comment".into(),
        many => format!("{many} comments"),
    }
}

/// Something that happened, on a line of its own. `what` is HTML.
pub(crate) fn event(class: &str, what: &str, at: i64) -> String {
    format!("<p class=\"event {class}\">{what} <span class=\"mute\">{}</span></p>", written(at))
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

pub(crate) fn comment(look: Look<'_>, comment: &Comment) -> String {
    let edited = if comment.last_edited_at.is_some() { " · edited" } else { "" };
    let bot = if comment.app.is_some() { " <span class=\"pill\">bot</span>" } else { "" };
    let head = format!(
        "<b>{}</b>{bot} <span class=\"mute\">{}{edited}</span>",
        look.login(comment.author),
        written(comment.created_at)
    );
    let reactions: String = comment
        .reactions
        .iter()
        .map(|it| format!("<span class=\"pill\" title=\"{}\">{}</span>", look.login(it.author), emoji(&it.content)))
        .collect();
    let reactions = if reactions.is_empty() { reactions } else { format!("<p class=\"reactions\">{reactions}</p>") };
    let text = format!("{}{reactions}", rendered(&comment.body));
    let text = match &comment.minimized {
        Some(why) => format!("<details><summary class=\"mute\">Hidden as {}</summary>{text}</details>", escaped(why)),
        None => text,
    };
    boxed(&head, &text)
}

pub(crate) fn review(look: Look<'_>, pull: &Pull, review: &Review, may_dismiss: bool) -> String {
    let (class, sign, words) = match review.state {
        ReviewState::Approved => ("success", "✓", "approved these changes"),
        ReviewState::ChangesRequested => ("failure", "✗", "requested changes"),
        ReviewState::Commented => ("mute", "●", "reviewed"),
        ReviewState::Dismissed => ("mute", "–", "had a review that was dismissed"),
    };
    let old = if review.commit == pull.head_sha { "" } else { " · of an older commit" };
    let head = format!(
        "<span class=\"dot {class}\">{sign}</span><b>{}</b> {words} <span class=\"mute\">{}{old}</span>",
        look.login(review.author),
        written(review.submitted_at)
    );
    let dismiss = may_dismiss && matches!(review.state, ReviewState::Approved | ReviewState::ChangesRequested);
    let id = review.id.to_string();
    let button = if dismiss { look.button("small", "dismiss", "Dismiss", &[("review", &id)]) } else { String::new() };
    let text = if review.body.trim().is_empty() { String::new() } else { rendered(&review.body) };
    if text.is_empty() {
        return format!("<div class=\"event wide\"><span>{head}</span>{button}</div>");
    }
    boxed(&format!("{head}{button}"), &text)
}

/// A form with a text and these buttons; `more` stands above the text.
pub(crate) fn form(look: Look<'_>, title: &str, more: &str, buttons: &str) -> String {
    format!(
        "<h2>{title}</h2><form class=\"say\" method=\"post\" action=\"{}\">{more}\
         <textarea name=\"body\" aria-label=\"{title}\" placeholder=\"Markdown\"></textarea>\
         <div class=\"buttons\">{buttons}</div></form>",
        escaped(look.path)
    )
}
