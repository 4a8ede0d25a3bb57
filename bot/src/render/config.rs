//! What people are told of a changed configuration: the check `buildit/config`.
//!
//! Invariant: it is `success` only when nothing is loosened, or when someone with the right said that it is meant so.

use model::config::Weakened;
use model::publication::ConfigView;

use crate::render::text::{code, cut, inline};
use crate::render::verdict::{Status, Verdict, verdict};
use crate::render::{failure, words};

/// More lines than anybody reads.
const LISTED: usize = 100;

/// The verdict, and the summary as Markdown.
pub(super) fn told(view: &ConfigView) -> (Verdict, String) {
    let verdict = verdict_of(view);
    let mut parts = vec![verdict.headline.clone(), verdict.next.clone()];
    let lines: Vec<String> = view.weakened.iter().take(LISTED).map(|one| format!("- {}", inline(&line(one)))).collect();
    parts.push(lines.join("\n"));
    let more = view.weakened.len().saturating_sub(LISTED);
    if more > 0 {
        parts.push(format!("And {more} more."));
    }
    for (word, stacks) in [("Adds", &view.added), ("Removes", &view.removed)] {
        if !stacks.is_empty() {
            let names: Vec<String> = stacks.iter().take(LISTED).map(|name| code(name.as_str())).collect();
            parts.push(format!("{word} {}: {}", words::count(stacks.len(), "stack"), names.join(", ")));
        }
    }
    if !view.weakened.is_empty() {
        parts.push("Until it is merged, plans and applies are held to what the base says.".to_owned());
    }
    parts.retain(|part| !part.is_empty());
    (verdict, parts.join("\n\n"))
}

pub(super) fn verdict_of(view: &ConfigView) -> Verdict {
    if let Some(error) = &view.error {
        let headline = format!("The configuration has errors: {}", failure::prose(&cut(error, 300)));
        let next = "**Next:** correct it, then push.";
        return verdict(Status::ended("failure"), "The configuration has errors", headline, next);
    }
    let Some(first) = view.weakened.first() else {
        let title = "Weakens no gate";
        return verdict(Status::ended("success"), title, title.to_owned(), "");
    };
    let more = view.weakened.len() - 1;
    let and = if more > 0 { format!(" (and {more} more)") } else { String::new() };
    let gates = format!("{}{and}", brief(first));
    let whose = |logins: &[String]| logins.iter().map(|login| inline(login)).collect::<Vec<_>>().join(", ");
    if !view.rejected.is_empty() {
        let headline = format!("{} said no to this: it weakens {}", whose(&view.rejected), inline(&gates));
        let next = "**Next:** push without it, or they take it back with `buildit approve config --clear`.";
        return verdict(Status::ended("failure"), &format!("Rejected: weakens {gates}"), headline, next);
    }
    if !view.approved.is_empty() {
        let headline = format!("Weakens gates, as {} approved", whose(&view.approved));
        return verdict(Status::ended("success"), &format!("Approved: weakens {gates}"), headline, "");
    }
    let headline = format!("Weakens gates: {}", inline(&gates));
    let next = format!("**Next:** {} comments `buildit approve config`, or push without it.", inline(&view.who));
    verdict(Status::ended("action_required"), &format!("Weakens gates: {gates}"), headline, &next)
}

/// `database: approvals 2 → approvals 1`.
pub(super) fn line(one: &Weakened) -> String {
    let stack = one.stack.as_ref().map_or("everywhere", |name| name.as_str());
    let (what, from, to) = (&one.what, &one.from, &one.to);
    if from.starts_with(what.as_str()) || from == "nothing" && to.starts_with(what.as_str()) {
        return format!("{stack}: {from} → {to}");
    }
    format!("{stack}: {what}: {from} → {to}")
}

/// The same for a title: `database 2 → 1 approvals`.
fn brief(one: &Weakened) -> String {
    let number = |text: &str| match text {
        "nothing" if one.what == "approvals" => Some("0".to_owned()),
        text => text.strip_prefix("approvals ").filter(|rest| rest.parse::<u32>().is_ok()).map(str::to_owned),
    };
    match (number(&one.from), number(&one.to), &one.stack) {
        (Some(from), Some(to), Some(stack)) => format!("{stack} {from} → {to} approvals"),
        _ => line(one),
    }
}

#[cfg(test)]
mod tests {
    use model::id::StackName;

    use super::*;

    fn view(change: impl FnOnce(&mut ConfigView)) -> String {
        let name = |text: &str| StackName::parse(text).expect("a name");
        let one = |stack: Option<&str>, what: &str, from: &str, to: &str| Weakened {
            stack: stack.map(name),
            what: what.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            at: None,
        };
        let mut view = ConfigView {
            added: vec![name("new")],
            removed: Vec::new(),
            weakened: vec![
                one(Some("database"), "approvals", "approvals 2", "approvals 1"),
                one(None, "access apply", "team:sre", "user:mallory, team:sre"),
            ],
            approved: Vec::new(),
            rejected: Vec::new(),
            who: "role:maintain".to_owned(),
            error: None,
        };
        change(&mut view);
        let (verdict, summary) = told(&view);
        format!("{} | {}\n{summary}", verdict.status.conclusion.unwrap_or("none"), verdict.title)
    }

    #[test]
    fn what_is_loosened_waits_for_somebody() {
        insta::assert_snapshot!(view(|_| {}), @r"
        action_required | Weakens gates: database 2 → 1 approvals (and 1 more)
        Weakens gates: database 2 → 1 approvals (and 1 more)

        **Next:** role:maintain comments `buildit approve config`, or push without it.

        - database: approvals 2 → approvals 1
        - everywhere: access apply: team:sre → user:mallory, team:sre

        Adds 1 stack: `new`

        Until it is merged, plans and applies are held to what the base says.
        ");
    }

    #[test]
    fn what_was_approved_and_what_loosens_nothing_is_green() {
        let first = |change: &dyn Fn(&mut ConfigView)| view(change).lines().take(2).collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(first(&|view| view.approved.push("ana".to_owned())), @r"
        success | Approved: weakens database 2 → 1 approvals (and 1 more)
        Weakens gates, as ana approved
        ");
        insta::assert_snapshot!(first(&|view| view.rejected.push("ana".to_owned())), @r"
        failure | Rejected: weakens database 2 → 1 approvals (and 1 more)
        ana said no to this: it weakens database 2 → 1 approvals (and 1 more)
        ");
        insta::assert_snapshot!(first(&|view| view.weakened.clear()), @r"
        success | Weakens no gate
        Weakens no gate
        ");
        insta::assert_snapshot!(first(&|view| view.error = Some("unknown node `x`".to_owned())), @r"
        failure | The configuration has errors
        The configuration has errors: unknown node `x`
        ");
    }
}
