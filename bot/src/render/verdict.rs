//! Where a pull request or a stack stands, in one line and in a check's terms.
//!
//! Invariant: waiting is never red. `queued` and `in_progress` wait, `failure` means that something broke,
//! `action_required` that a person must decide something here.

use model::diagnostic::{Diagnostic, Diagnostics};
use model::plan::{Counts, PlanDocument};
use model::publication::{PullView, RowStatus, StackRow, Standing};
use model::run::RunState;

use crate::render::text::{code, cut, inline, one_line};
use crate::render::{apply, dangers, failure, words};

/// The longest title of a check, in characters.
const TITLE: usize = 60;

/// A check's state in GitHub's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// `queued`, `in_progress` or `completed`.
    pub status: &'static str,
    /// Set when completed.
    pub conclusion: Option<&'static str>,
}

impl Status {
    pub(super) const QUEUED: Self = Self { status: "queued", conclusion: None };
    pub(super) const RUNNING: Self = Self { status: "in_progress", conclusion: None };

    pub(super) const fn ended(conclusion: &'static str) -> Self {
        Self { status: "completed", conclusion: Some(conclusion) }
    }
}

/// The verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The check's state.
    pub status: Status,
    /// The check's title: plain text, at most 60 characters.
    pub title: String,
    /// The comment's first line as Markdown, without `###`.
    pub headline: String,
    /// The comment's second line as Markdown: the next step of a person.
    pub next: String,
}

pub(super) fn verdict(status: Status, title: &str, headline: String, next: &str) -> Verdict {
    Verdict { status, title: cut(&one_line(title), TITLE), headline, next: next.to_owned() }
}

/// The verdict on a pull request.
pub fn pull_verdict(view: &PullView) -> Verdict {
    match &view.standing {
        Standing::Stacks(rows) => {
            let plans = rows_verdict(rows);
            let headline = apply::headline(rows).unwrap_or(plans.headline);
            Verdict { headline, ..plans }
        }
        Standing::Reading => {
            let title = "Reading the pull request";
            verdict(Status::RUNNING, title, title.to_owned(), "**Next:** nothing to do; the plans follow.")
        }
        Standing::Replaced => {
            let title = "Replaced by a newer push";
            verdict(Status::ended("cancelled"), title, title.to_owned(), "**Next:** nothing to do.")
        }
        Standing::Fork => {
            let head = view.head.short();
            let title = format!("A writer must allow {head}");
            let next = format!("**Next:** read the diff, then a writer comments `buildit allow {head}`.");
            let headline = "From a fork: nothing was run".to_owned();
            verdict(Status::ended("action_required"), &title, headline, &next)
        }
        Standing::UntrustedBase { .. } => {
            let title = format!("Not planned: {} is not a trusted branch", view.base_branch);
            let headline = format!("Not planned: {} is not a trusted branch", code(&view.base_branch));
            let next = "**Next:** nothing to do. To have it planned, name the branch in `branches` of the default branch's `.buildit/`.";
            verdict(Status::ended("neutral"), &title, headline, next)
        }
        Standing::Draft => {
            let title = "Draft: planned when it is ready for review";
            let next = "**Next:** mark it as ready for review, or comment `buildit plan`.";
            verdict(Status::QUEUED, title, title.to_owned(), next)
        }
        Standing::ConfigErrors(diagnostics) => config_errors(diagnostics),
        Standing::Conflicts(files) => {
            let title = format!("Conflicts with {} in {}", view.base_branch, words::count(files.len(), "file"));
            let headline =
                format!("Conflicts with {} in {}", code(&view.base_branch), words::count(files.len(), "file"));
            let next = format!("**Next:** merge or rebase onto {}, then push.", code(&view.base_branch));
            verdict(Status::ended("failure"), &title, headline, &next)
        }
        Standing::Unaffected { .. } => unaffected(),
        Standing::Trouble { message } => {
            let title = format!("Waiting: {message}");
            let headline = format!("Waiting: {}", failure::prose(&cut(message, 200)));
            verdict(Status::QUEUED, &title, headline, "**Next:** nothing to do here; it is tried again.")
        }
    }
}

fn unaffected() -> Verdict {
    let title = "No stacks affected";
    verdict(Status::ended("success"), title, title.to_owned(), "**Next:** nothing to apply.")
}

fn config_errors(diagnostics: &Diagnostics) -> Verdict {
    let Some(first) = diagnostics.errors().next() else {
        let title = "The configuration has errors";
        return verdict(Status::ended("failure"), title, title.to_owned(), "**Next:** correct it, then push.");
    };
    let more = diagnostics.errors().count() - 1;
    let and = if more > 0 { format!(" (and {more} more)") } else { String::new() };
    let title = match &first.span {
        Some(span) => {
            let file = span.file.rsplit('/').next().unwrap_or_default();
            format!("{file}:{}: {}", span.line, first.summary.replace('`', "\""))
        }
        None => first.summary.replace('`', "\""),
    };
    let headline = format!("{}{and}", diagnostic_line(first));
    verdict(Status::ended("failure"), &title, headline, "**Next:** correct it, then push. Nothing runs before.")
}

/// A diagnostic in one Markdown line: place, what, what to do.
pub(super) fn diagnostic_line(diagnostic: &Diagnostic) -> String {
    let place = diagnostic.span.as_ref().map(|s| format!("{} line {}: ", inline(&s.file), s.line)).unwrap_or_default();
    let help = if diagnostic.help.is_empty() {
        String::new()
    } else {
        format!(". {}", failure::prose(&cut(&capital(&diagnostic.help), 500)))
    };
    format!("{place}{}{help}", failure::prose(&cut(&diagnostic.summary, 300)))
}

pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

const ENDED_FIRST: &str = "The pull request ended first";

/// How the rows of a pull request are counted.
#[derive(Debug, Default)]
struct Tally {
    waiting: usize,
    running: usize,
    changed: usize,
    unchanged: usize,
    failed: usize,
    not_yet: usize,
    cancelled: usize,
    closed: usize,
    superseded: usize,
    deferred: usize,
    behind: usize,
    counts: Counts,
}

impl Tally {
    fn of(rows: &[StackRow]) -> Self {
        let mut tally = Self::default();
        for row in rows {
            match &row.status {
                RowStatus::Queued { .. } | RowStatus::Blocked { .. } => tally.waiting += 1,
                RowStatus::Running(_) => tally.running += 1,
                RowStatus::Planned(plan) => {
                    tally.changed += 1;
                    tally.counts = words::add(tally.counts, plan.counts);
                }
                RowStatus::NoChange | RowStatus::Skipped { .. } => tally.unchanged += 1,
                RowStatus::Deferred { .. } => tally.deferred += 1,
                RowStatus::Behind { .. } => tally.behind += 1,
                RowStatus::Failed(_) | RowStatus::TimedOut { .. } => tally.failed += 1,
                RowStatus::NotYet(_) => tally.not_yet += 1,
                RowStatus::Cancelled => tally.cancelled += 1,
                RowStatus::Closed => tally.closed += 1,
                RowStatus::Superseded => tally.superseded += 1,
            }
        }
        tally
    }
    const fn planned(&self) -> usize {
        self.changed + self.unchanged
    }
}

fn rows_verdict(rows: &[StackRow]) -> Verdict {
    match rows {
        [] => return unaffected(),
        [only] => return row_verdict(only),
        _ => {}
    }
    let tally = Tally::of(rows);
    let all = rows.len();
    let stacks = words::count(all, "stack");
    if tally.waiting + tally.running > 0 {
        let done = all - tally.waiting - tally.running;
        let headline = format!("Planning {stacks}: {done} done");
        let blocked = rows.iter().find(|row| matches!(row.status, RowStatus::Blocked { .. }));
        if let Some(blocked) = blocked.filter(|_| tally.running == 0) {
            let one = row_verdict(blocked);
            return verdict(Status::QUEUED, &one.title, headline, &one.next);
        }
        if done == 0 && tally.running == 0 {
            let first = rows.iter().find_map(|row| queue_place(&row.status));
            let title = first.map_or_else(
                || format!("Waiting for a runner: {stacks}"),
                |place| format!("Waiting for a runner: {place}"),
            );
            return verdict(Status::QUEUED, &title, headline, "**Next:** nothing to do; this follows the plans.");
        }
        return verdict(
            Status::RUNNING,
            &headline.clone(),
            headline,
            "**Next:** nothing to do; this follows the plans.",
        );
    }
    let sorted = dangers::ordered(rows);
    let danger = dangers::tally(dangers::of(rows).into_iter().map(|(_, change)| change));
    let headline = ended_headline(&tally, &stacks, danger.as_deref());
    let worst = sorted.first().copied();
    let (status, title, next) = match worst.map(|row| (row, &row.status)) {
        Some((row, RowStatus::Failed(_) | RowStatus::TimedOut { .. })) => {
            let of = format!(" ({} of {all} planned)", tally.planned());
            let one = row_verdict(row);
            let title = format!("{}{of}", cut(&one.title, TITLE - of.chars().count()));
            let others = if tally.changed > 0 { " and review the other plans." } else { "." };
            let names: Vec<String> = failed_names(&sorted);
            (one.status, title, format!("**Next:** mend {}, then push{others}", words::list(&names, 5)))
        }
        _ if tally.not_yet > 0 => {
            let row = sorted.iter().find(|row| matches!(row.status, RowStatus::NotYet(_)));
            let one = row.map(|row| row_verdict(row).title).unwrap_or_default();
            (Status::ended("action_required"), one, apply::next(rows))
        }
        _ if tally.cancelled > 0 => {
            let title = format!("Cancelled: {} of {all} planned", tally.planned());
            (Status::ended("cancelled"), title, "**Next:** comment `buildit plan` to plan again.".to_owned())
        }
        _ if tally.closed > 0 => {
            let title = format!("{ENDED_FIRST}: {} of {all} planned", tally.planned());
            (Status::ended("cancelled"), title, "**Next:** nothing to do.".to_owned())
        }
        _ if tally.superseded > 0 => {
            (Status::ended("cancelled"), "Replaced by a newer push".to_owned(), "**Next:** nothing to do.".to_owned())
        }
        _ if tally.deferred > 0 => {
            let waits = rows.iter().find_map(|row| match &row.status {
                RowStatus::Deferred { after } => Some(words::stacks(after)),
                _ => None,
            });
            let title =
                format!("{} planned, {} waits for {}", tally.planned(), tally.deferred, waits.unwrap_or_default());
            (Status::ended("success"), title, apply::next(rows))
        }
        _ if tally.changed == 0 && tally.behind == 0 => {
            (Status::ended("success"), format!("No changes in {stacks}"), "**Next:** nothing to apply.".to_owned())
        }
        _ => {
            let sum = words::short(tally.counts);
            let title = match danger {
                Some(danger) => format!("Destroys {danger}: {sum}"),
                None => format!("{} of {all} stacks change: {sum}", tally.changed),
            };
            (Status::ended("success"), title, apply::next(rows))
        }
    };
    verdict(status, &title, headline, &next)
}

fn failed_names(sorted: &[&StackRow]) -> Vec<String> {
    sorted
        .iter()
        .filter(|row| matches!(row.status, RowStatus::Failed(_) | RowStatus::TimedOut { .. }))
        .map(|row| code(row.stack.as_str()))
        .collect()
}

fn ended_headline(tally: &Tally, stacks: &str, danger: Option<&str>) -> String {
    let rest = [
        (tally.failed, "failed"),
        (tally.not_yet, "not planned"),
        (tally.behind, "blocked"),
        (tally.deferred, "deferred"),
        (tally.changed, "with changes"),
        (tally.cancelled + tally.closed, "cancelled"),
        (tally.superseded, "replaced by a newer push"),
        (tally.unchanged, "unchanged"),
    ];
    let alike = rest.iter().filter(|(number, _)| *number > 0).count() == 1;
    if alike && tally.unchanged > 0 {
        return format!("No changes in {stacks}");
    }
    let danger = danger.map(|danger| format!(" · **{} would be destroyed**", inline(danger))).unwrap_or_default();
    if alike && tally.changed > 0 {
        return format!("{stacks} change: {}{danger}", words::sentence(tally.counts));
    }
    let parts: Vec<String> =
        rest.iter().filter(|(number, _)| *number > 0).map(|(number, words)| format!("{number} {words}")).collect();
    format!("{stacks}: {}{danger}", parts.join(", "))
}

fn queue_place(status: &RowStatus) -> Option<String> {
    match status {
        RowStatus::Queued { position: Some(position), .. } => Some(format!("{} in queue", words::ordinal(*position))),
        _ => None,
    }
}

/// The verdict on one stack.
pub fn row_verdict(row: &StackRow) -> Verdict {
    let name = row.stack.as_str();
    let short = cut(name, 30);
    let marked = code(name);
    let follow = "**Next:** nothing to do; this follows the plan.";
    match &row.status {
        RowStatus::Queued { .. } => {
            let place = queue_place(&row.status).map(|place| format!(": {place}")).unwrap_or_default();
            verdict(
                Status::QUEUED,
                &format!("Waiting for a runner{place}"),
                format!("Planning {marked}: waits for a runner"),
                follow,
            )
        }
        RowStatus::Blocked { reason, .. } => verdict(
            Status::QUEUED,
            &format!("Waiting: {}", reason.replace('`', "")),
            format!("Planning {marked}: cannot start yet. {}", capital(&failure::prose(&cut(reason, 300)))),
            "**Next:** nothing to do here; the operator of this server mends it, and it goes on by itself.",
        ),
        RowStatus::Running(state) => {
            let doing = match state {
                RunState::Planning => String::new(),
                other => format!(": {}", words::state(*other)),
            };
            verdict(Status::RUNNING, &format!("Planning {short}{doing}"), format!("Planning {marked}{doing}"), follow)
        }
        RowStatus::Planned(plan) => planned(row, &marked, plan),
        RowStatus::NoChange => verdict(
            Status::ended("success"),
            &format!("No changes in {name}"),
            format!("No changes in {marked}"),
            "**Next:** nothing to apply.",
        ),
        RowStatus::Failed(failed) => {
            let phase = failure::phase(failed);
            let next = match failure::place(failed) {
                Some(place) => format!("**Next:** correct {}, then push.", code(&place)),
                None => {
                    format!("**Next:** correct it and push, or comment {}.", code(&format!("buildit plan -p {name}")))
                }
            };
            verdict(
                Status::ended("failure"),
                &format!("{short}: {phase}"),
                format!("{marked}: {}", inline(&phase)),
                &next,
            )
        }
        RowStatus::TimedOut { seconds, .. } => {
            let after = format!("no end after {}", words::duration(seconds * 1000));
            let next = "**Next:** look at the last lines; make it faster or raise `timeout`.";
            verdict(Status::ended("timed_out"), &format!("{short}: {after}"), format!("{marked}: {after}"), next)
        }
        RowStatus::NotYet(needs) => {
            let first = needs.first().map(|need| need.what.as_str()).unwrap_or("more than this version can");
            let title = format!("{short} needs {}", first.replace('`', ""));
            let headline = format!("{marked} is not planned: it needs {}", failure::prose(&cut(first, 200)));
            verdict(
                Status::ended("action_required"),
                &title,
                headline,
                "**Next:** this version cannot give it; plan by hand, or take it out of the configuration.",
            )
        }
        RowStatus::Cancelled => {
            let next = format!("**Next:** comment {} to plan again.", code(&format!("buildit plan -p {name}")));
            verdict(Status::ended("cancelled"), &format!("{short}: cancelled"), format!("{marked}: cancelled"), &next)
        }
        RowStatus::Closed => verdict(
            Status::ended("cancelled"),
            ENDED_FIRST,
            format!("{marked}: cancelled, the pull request ended first"),
            "**Next:** nothing to do.",
        ),
        RowStatus::Deferred { after } => {
            let names = words::stacks(after);
            let headline = format!("{marked} waits for {0}: it is planned when {0} is applied", inline(&names));
            let title = format!("{short} waits for {names}");
            verdict(Status::ended("success"), &title, headline, "**Next:** nothing to do here; this follows.")
        }
        RowStatus::Behind { stack } => {
            let headline = format!("{marked} waits for {}, which failed", code(stack.as_str()));
            let title = format!("{short}: blocked by {stack}");
            let next = format!("**Next:** mend {}; this is planned when it is applied.", code(stack.as_str()));
            verdict(Status::QUEUED, &title, headline, &next)
        }
        RowStatus::Skipped { why } => {
            let headline = format!("{marked} is not planned: {}", failure::prose(why));
            verdict(
                Status::ended("success"),
                &format!("No changes in {short}"),
                headline,
                "**Next:** nothing to apply.",
            )
        }
        RowStatus::Superseded => verdict(
            Status::ended("cancelled"),
            "Replaced by a newer push",
            format!("{marked}: replaced by a newer push"),
            "**Next:** nothing to do.",
        ),
    }
}

fn planned(row: &StackRow, marked: &str, plan: &PlanDocument) -> Verdict {
    let name = row.stack.as_str();
    let sum = words::short(plan.counts);
    let danger = dangers::tally(dangers::in_plan(plan));
    let title = match &danger {
        Some(danger) => format!("Destroys {danger}: {sum}"),
        None => {
            let room = TITLE.saturating_sub(sum.chars().count() + 2);
            format!("{}: {sum}", cut(name, room))
        }
    };
    let danger = danger.map(|danger| format!(" · **{} would be destroyed**", inline(&danger))).unwrap_or_default();
    let headline = format!("{marked}: {}{danger}", words::sentence(plan.counts));
    verdict(Status::ended("success"), &title, headline, &apply::next(std::slice::from_ref(row)))
}
