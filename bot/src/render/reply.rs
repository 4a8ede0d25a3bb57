//! Short answers to commands.

use model::affected::Affected;
use model::command::CommandError;
use model::publication::{PullView, Reply, ReplyPart, RowStatus, StackRow, Standing};
use model::pull::Role;

use crate::render::text::{code, cut, fence, inline, link};
use crate::render::verdict::{capital, pull_verdict};
use crate::render::{BUDGET, apply, comment, dangers, failure, reply_marker, words};

/// The answer as Markdown, its hidden marker first. `version` is the server's, such as "0.1.0".
pub fn reply(reply: &Reply, version: &str) -> String {
    let mut out = format!("{}\n", reply_marker(reply.to));
    // Whole parts only, so that no fence is cut.
    let share = BUDGET / reply.parts.len().max(1);
    for (at, part) in reply.parts.iter().enumerate() {
        let text = self::part(part, version, share);
        if comment::length(&out) + comment::length(&text) > BUDGET {
            out.push_str(&format!("\n{} answers are left out.\n", reply.parts.len() - at));
            break;
        }
        if at > 0 {
            out.push('\n');
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

fn part(part: &ReplyPart, version: &str, room: usize) -> String {
    match part {
        ReplyPart::Help { role, url } => help(*role, url),
        ReplyPart::Status(view) => comment::body(view, room.saturating_sub(10)),
        ReplyPart::Why { view, affected } => why(view, affected),
        ReplyPart::Version => format!("BuildIt {version}."),
        ReplyPart::Config(text) => fence("", &cut(text, room.saturating_sub(200))),
        ReplyPart::Error(error) => not_understood(error),
        ReplyPart::Refused { reason } => format!("**Refused:** {}", failure::prose(&cut(reason, 1000))),
        ReplyPart::Done { message } => failure::prose(&cut(message, 1000)),
    }
}

fn not_understood(error: &CommandError) -> String {
    let problem = failure::prose(&cut(&capital(&error.problem), 500));
    let hint = error.hint.as_deref().map(|hint| {
        let ends = if hint.ends_with(['?', '.']) { "" } else { "." };
        format!(" {}{ends}", failure::prose(&cut(&capital(hint), 500)))
    });
    format!("{}: {problem}.{}", code(&error.line), hint.unwrap_or_default())
}

fn help(role: Role, url: &str) -> String {
    let text = "\
buildit plan            plan the affected stacks again     -p NAME for one
buildit apply           apply what is ready                -p NAME for one
buildit why             what waits, for what, since when
buildit status          where everything stands
buildit config          the effective configuration        -p NAME for one
buildit cancel          end what is queued or running      -p NAME for one
buildit unlock   ·   buildit version   ·   buildit help";
    let may = match role {
        Role::None => "nothing".to_owned(),
        Role::Read | Role::Triage => "why, status, config, version; the others need the right to write".to_owned(),
        Role::Write | Role::Maintain | Role::Admin => {
            "all of these, where the configuration does not say otherwise".to_owned()
        }
    };
    format!("{}\nHere you may: {may}. {}\n", fence("", text), link("All commands", url))
}

fn why(view: &PullView, affected: &Affected) -> String {
    let mut out = String::new();
    match &view.standing {
        Standing::Stacks(rows) => {
            for row in dangers::ordered(rows).into_iter().take(100) {
                out.push_str(&format!("- {}\n{}", waits(row), apply::evidence(row)));
            }
        }
        _ => {
            let verdict = pull_verdict(view);
            out.push_str(&format!("{}\n\n{}\n", verdict.headline, verdict.next));
        }
    }
    if !affected.affected.is_empty() {
        out.push_str("\n**Why these stacks**\n");
        for stack in affected.affected.iter().take(30) {
            let reasons: Vec<String> = stack
                .why
                .iter()
                .take(3)
                .map(|why| {
                    let at = why.at.as_deref().map(|at| format!(", {}", code(at))).unwrap_or_default();
                    format!("{} ({}{at})", code(&why.file), inline(&why.rule))
                })
                .collect();
            let more = stack.why.len().saturating_sub(3);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            out.push_str(&format!("- {}: {}{more}\n", code(stack.stack.as_str()), reasons.join(", ")));
        }
    }
    if out.is_empty() { "Nothing waits.".to_owned() } else { out }
}

/// What a stack waits for.
fn waits(row: &StackRow) -> String {
    let name = code(row.stack.as_str());
    match &row.status {
        RowStatus::Queued { position, since } => {
            let place = position.map(|at| format!(", {} in queue", words::ordinal(at))).unwrap_or_default();
            format!("{name} waits for a runner{place}, since {}", words::date(*since))
        }
        RowStatus::Blocked { reason, since } => {
            format!("{name} waits since {}: {}", words::date(*since), inline(&cut(reason, 300)))
        }
        RowStatus::Running(state) => format!("{name} is being planned ({})", words::state(*state)),
        RowStatus::Planned(plan) => {
            let waits = apply::waits(row).unwrap_or_else(|| "review".to_owned());
            format!("{name} waits for {waits}: {}", words::cell(plan.counts))
        }
        RowStatus::NoChange => format!("{name} waits for nothing: no changes"),
        RowStatus::Failed(failed) => {
            let place = failure::place(failed).map(|place| format!(" in {}", code(&place))).unwrap_or_default();
            format!("{name} waits for a fix{place}: {}", inline(&cut(&failed.headline, 300)))
        }
        RowStatus::TimedOut { seconds, .. } => {
            format!("{name} waits for a fix or a longer `timeout`: no end after {}", words::duration(seconds * 1000))
        }
        RowStatus::NotYet(needs) => {
            let what: Vec<String> = needs.iter().map(|need| failure::prose(&need.what)).collect();
            format!("{name} waits for a version that can give {}", words::list(&what, 5))
        }
        RowStatus::Cancelled => {
            format!("{name} was cancelled; {} plans it again", code(&format!("buildit plan -p {}", row.stack)))
        }
        RowStatus::Closed => format!("{name} waits for nothing: the pull request ended first"),
        RowStatus::Deferred { after } => {
            format!("{name} is planned when {} is applied", inline(&words::stacks(after)))
        }
        RowStatus::Behind { stack } => format!("{name} waits for a fix of {}", code(stack.as_str())),
        RowStatus::Skipped { why } => format!("{name} waits for nothing: {}", failure::prose(why)),
        RowStatus::Superseded => format!("{name} was replaced by a newer push"),
    }
}
