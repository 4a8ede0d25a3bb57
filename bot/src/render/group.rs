//! What people read of a merge queue's group.
//!
//! Invariant: a group passes only when merging its pull requests together does what was reviewed of each.

use model::id::PullNumber;
use model::publication::{CheckName, ConfigView, GroupRowView, GroupStand, GroupView};

use crate::render::text::{code, cut, link};
use crate::render::verdict::{Status, Verdict, verdict};
use crate::render::{config, failure, words};

/// The verdict of one of its checks.
pub(super) fn group_verdict(view: &GroupView, name: &CheckName) -> Verdict {
    let next = "**Next:** take one of the pull requests out of the queue, or mend it and queue it again.";
    if let Some(error) = &view.errors {
        let title = "The configuration has errors";
        return verdict(Status::ended("failure"), title, failure::prose(&cut(error, 300)), next);
    }
    if *name == CheckName::Config {
        return config_verdict(view, next);
    }
    let of = |stand: fn(&GroupStand) -> bool| view.rows.iter().find(|row| stand(&row.stand));
    if *name == CheckName::Apply {
        return match of(|stand| matches!(stand, GroupStand::Unapplied { .. })) {
            Some(row) => {
                let title = format!("{} is not applied", cut(row.stack.as_str(), 40));
                verdict(Status::ended("failure"), &title, sentence(row), next)
            }
            None => {
                let title = "Nothing is left to apply before the merge";
                verdict(Status::ended("success"), title, title.to_owned(), "**Next:** nothing to do.")
            }
        };
    }
    let wrong = of(|stand| !matches!(stand, GroupStand::Same | GroupStand::Planning | GroupStand::Unapplied { .. }));
    if let Some(row) = wrong {
        let title = match &row.stand {
            GroupStand::Failed { .. } => format!("{}: no plan in the queue", cut(row.stack.as_str(), 35)),
            _ => format!("In the queue the plan differs: {}", cut(row.stack.as_str(), 25)),
        };
        return verdict(Status::ended("failure"), &title, sentence(row), next);
    }
    if of(|stand| *stand == GroupStand::Planning).is_some() {
        let title = "Planning what the queue would merge";
        return verdict(Status::RUNNING, title, title.to_owned(), "**Next:** nothing to do; this follows the plans.");
    }
    let title = match view.rows.len() {
        0 => "No stacks affected".to_owned(),
        count => format!("As reviewed: {}", words::count(count, "stack")),
    };
    verdict(Status::ended("success"), &title, title.clone(), "**Next:** nothing to do.")
}

/// As green as the least green of its pull requests: what they loosen together is what each of them loosens.
fn config_verdict(view: &GroupView, next: &str) -> Verdict {
    let verdicts = view.configs.iter().map(|(pull, config)| (pull, config::verdict_of(config)));
    match verdicts.into_iter().find(|(_, verdict)| verdict.status.conclusion != Some("success")) {
        Some((pull, wrong)) => {
            let headline = format!("Pull request {pull}: {}", wrong.headline);
            verdict(Status::ended("failure"), &format!("#{pull}: {}", wrong.title), headline, next)
        }
        None => {
            let title = "Weakens nothing that was not approved";
            verdict(Status::ended("success"), title, title.to_owned(), "**Next:** nothing to do.")
        }
    }
}

/// What its check lists: what was changed of the configuration, or stacks.
pub(super) fn lines(view: &GroupView, name: &CheckName) -> String {
    if *name == CheckName::Config {
        let line = |(pull, config): &(PullNumber, ConfigView)| {
            format!("- pull request {pull}: {}\n", config::verdict_of(config).headline)
        };
        return view.configs.iter().map(line).collect();
    }
    let line = |row: &GroupRowView| {
        let log = row.run.as_ref().map(|run| format!(" ({})", link(&format!("run {}", run.number), &run.url)));
        format!("- {}{}\n", sentence(row), log.unwrap_or_default())
    };
    view.rows.iter().map(line).collect()
}

fn sentence(row: &GroupRowView) -> String {
    format!("{}: {}", code(row.stack.as_str()), group_words(&row.stand))
}

/// How a stack stands, in words.
fn group_words(stand: &GroupStand) -> String {
    match stand {
        GroupStand::Same => "as reviewed".to_owned(),
        GroupStand::Planning => "being planned".to_owned(),
        GroupStand::Differs { delta } => {
            let named: Vec<String> = delta.iter().map(|key| code(&cut(key, 100))).collect();
            format!("merged together it would do something else: {}", words::list(&named, 10))
        }
        GroupStand::Clash { address, one, other } => {
            format!("pull requests {one} and {other} change {} differently", code(&cut(address, 100)))
        }
        GroupStand::Unreviewed { pull } => format!("pull request {pull} has no plan of it that was reviewed"),
        GroupStand::Unapplied { pull } => format!("pull request {pull} is applied before its merge, and is not"),
        GroupStand::Failed { why } => format!("it could not be planned: {}", failure::prose(&cut(why, 300))),
    }
}
