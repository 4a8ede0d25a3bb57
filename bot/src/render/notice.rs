//! Comments of their own and issues: what happened, why, and the one next step of a person.

use std::fmt::Write as _;

use model::publication::{Issue, Notice, NoticeKind, RunLink};

use crate::render::text::{code, cut, fence, inline, link, one_line};
use crate::render::words;
use crate::render::{failure, issue_marker, notice_marker};

/// Addresses that are named; the rest is counted.
const NAMED: usize = 20;
/// GitHub takes 256 characters in a title; people read fewer.
const TITLE: usize = 120;

/// The comment as Markdown, its hidden marker first.
pub fn notice(it: &Notice) -> String {
    format!("{}\n{}", notice_marker(&it.key), body(&it.what, Place::Pull))
}

/// The issue as Markdown, its hidden marker first.
pub fn issue(it: &Issue) -> String {
    format!("{}\n{}", issue_marker(&it.key), body(&it.what, Place::Issue))
}

/// The issue's title: plain text on one line.
pub fn issue_title(it: &Issue) -> String {
    let stack = it.what.stack();
    let title = match &it.what {
        NoticeKind::MergedNotApplied { .. } => format!("{stack} is merged, not applied"),
        NoticeKind::Lost { progress, .. } => {
            format!("{stack}: the apply lost its worker after {} of {} changes", progress.done, progress.total)
        }
        NoticeKind::Unreviewed { commit, branch, .. } => {
            format!("{stack}: {} was pushed to {branch} without a review", commit.short())
        }
        NoticeKind::NotEmptyAfterMerge { commit, .. } => {
            format!("{stack} still changes something after its merge ({})", commit.short())
        }
        NoticeKind::Settled { how, .. } => format!("{stack}: {}", how.replace('`', "")),
    };
    cut(&one_line(&title), TITLE)
}

/// Where it stands: commands are comments of a pull request, so that an issue names the page only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Pull,
    Issue,
}

fn body(what: &NoticeKind, place: Place) -> String {
    let name = code(what.stack().as_str());
    match what {
        NoticeKind::MergedNotApplied { stack, why, delta, run, url } => {
            let mut out = format!("### {name} is merged, **not applied**\n\n{}.\n", reason(why));
            if !delta.is_empty() {
                let page = run.as_ref().map(|run| format!(" ({})", page(run))).unwrap_or_default();
                let _ = writeln!(out, "\nIts plan{page} now differs from the reviewed one:\n{}", addresses(delta));
            } else if let Some(run) = run {
                let _ = writeln!(out, "\nIts plan is in {}.", page(run));
            }
            let way = link("approve it", url);
            out + &next(place, &way, "The stack stays locked until then.", &format!("buildit apply -p {stack}"))
        }
        NoticeKind::Lost { stack, progress, run, unknown, unstored } => {
            let done = format!("{} of {}", progress.done, words::count(progress.total as usize, "change"));
            let page = page(run);
            let mut out = format!(
                "### The apply of {name} lost its worker after {done}\n\nNothing was started again ({page}).\n"
            );
            if *unstored {
                let _ = writeln!(out, "Its tool could not store the state; it is kept, and can be stored now.");
            } else if !unknown.is_empty() {
                let verb = if unknown.len() == 1 { "exists" } else { "exist" };
                let (what, list) = (words::count(unknown.len(), "resource"), addresses(unknown));
                let _ = writeln!(out, "{what} {verb} that the state does not know; the import is ready:\n{list}");
            }
            let (way, verb) = match (unstored, unknown.is_empty()) {
                (true, _) => ("store it with the button of the check", "approve state"),
                (false, false) => ("look at what was made, then import it with the button of the check", "recover"),
                (false, true) => ("look at what was made", "approve lost"),
            };
            out + &next(place, way, "The stack is frozen until then.", &format!("buildit {verb} -p {stack}"))
        }
        NoticeKind::Unreviewed { commit, branch, counts, run, .. } => format!(
            "### {name}: pushed without a review\n\n\
             {} was pushed to {} without a pull request. Applied, it would change {name}: {}.\n\n\
             **Next:** read {} and approve it there, or take the commit back. Nothing is applied until then.\n",
            commit.short(),
            code(branch),
            words::sentence(*counts),
            page(run),
        ),
        NoticeKind::NotEmptyAfterMerge { stack, commit, run } => {
            let page = page(run);
            let out = format!(
                "### {name} is applied, and its merge changes something again\n\n\
                 It was applied before the merge, so that the plan of the merge commit {} should be empty; it is not \
                 ({page}).\n",
                commit.short(),
            );
            let way = format!("read {page} and approve it there");
            out + &next(place, &way, "Nothing more is applied until then.", &format!("buildit apply -p {stack}"))
        }
        NoticeKind::Settled { how, .. } => {
            format!("### {name}: settled\n\n{}. Nothing is left to do here.\n", reason(how))
        }
    }
}

/// The one next step, with the command alone in its fence where a command is possible.
fn next(place: Place, way: &str, until: &str, command: &str) -> String {
    match place {
        Place::Pull => format!("\n**Next:** {way}, or comment this. {until}\n{}\n", fence("", command)),
        Place::Issue => format!("\n**Next:** {way}. {until}\n"),
    }
}

/// A sentence of ours without its full stop, begun with a capital.
fn reason(sentence: &str) -> String {
    let text = cut(sentence.trim_end_matches('.'), 1000);
    failure::prose(&crate::render::verdict::capital(&text))
}

fn page(run: &RunLink) -> String {
    link(&format!("run {}", run.number), &run.url)
}

fn addresses(all: &[String]) -> String {
    let mut lines: Vec<String> = all.iter().take(NAMED).map(|it| format!("- {}", code(&cut(it, 200)))).collect();
    if all.len() > NAMED {
        lines.push(format!("- {}", inline(&format!("and {} more", all.len() - NAMED))));
    }
    lines.join("\n")
}
