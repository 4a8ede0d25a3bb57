//! Check runs: state, title, summary, text and annotations.

use model::config::Weakened;
use model::diagnostic::{Diagnostic, Severity};
use model::publication::{Check, CheckAction, CheckName, GroupView, PullView, RowStatus, StackRow, Standing, View};

use crate::render::group::{self, group_verdict};
use crate::render::text::{cut, inline, link, one_line};
use crate::render::verdict::{Verdict, capital, pull_verdict, row_verdict};
use crate::render::{BUDGET, apply, comment, config, dangers, failure, words};

/// A check run as GitHub takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedCheck {
    /// `queued`, `in_progress` or `completed`.
    pub status: &'static str,
    /// Set exactly when completed.
    pub conclusion: Option<&'static str>,
    /// Plain text, at most 60 characters.
    pub title: String,
    /// Markdown, at most 60,000 characters.
    pub summary: String,
    /// Markdown, at most 60,000 characters; may be empty.
    pub text: String,
    /// Marks on lines of files, in order. GitHub takes 50 per request.
    pub annotations: Vec<Annotation>,
    /// Buttons, three at most.
    pub buttons: Vec<Button>,
}

/// A button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Button {
    /// What GitHub gives back: 20 characters at most.
    pub identifier: &'static str,
    /// At most 20 characters.
    pub label: &'static str,
    /// At most 40 characters.
    pub description: &'static str,
}

/// A mark on lines of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// The file, from the repository's root.
    pub path: String,
    /// First line, from 1.
    pub start_line: u32,
    /// Last line.
    pub end_line: u32,
    /// How bad.
    pub level: Level,
    /// Plain text, at most 60,000 characters.
    pub message: String,
    /// Plain text, at most 255 characters.
    pub title: String,
}

/// GitHub's annotation levels, as far as they are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `warning`
    Warning,
    /// `failure`
    Failure,
}

impl Level {
    /// GitHub's word.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Warning => "warning",
            Level::Failure => "failure",
        }
    }
}

/// The check run of a publication.
pub fn check(check: &Check) -> RenderedCheck {
    let rendered = match &check.view {
        View::Pull(view) if check.name == CheckName::Apply => applies(view),
        View::Pull(view) => pull(view),
        View::Stack(row) => stack(row),
        View::Config(view) => {
            let (verdict, summary) = config::told(view);
            rendered(verdict, cut(&summary, BUDGET), String::new(), view.weakened.iter().filter_map(loosened).collect())
        }
        View::Group(view) => group(view, &check.name),
    };
    RenderedCheck { buttons: check.actions.iter().map(|action| button(*action)).collect(), ..rendered }
}

fn button(action: CheckAction) -> Button {
    let (label, description) = match action {
        CheckAction::Apply => ("Apply", "Apply what is ready"),
        CheckAction::Replan => ("Re-plan", "Plan again on the newest base"),
        CheckAction::Recover => ("Import", "Plan the import of what was made"),
        CheckAction::PushState => ("Store state", "Store the state that was kept beside"),
        CheckAction::Unlock => ("Unlock", "Drop this pull request's locks and plans"),
    };
    Button { identifier: action.identifier(), label, description }
}

/// A group of a merge queue: its checks decide whether it is merged.
fn group(view: &GroupView, name: &CheckName) -> RenderedCheck {
    let verdict = group_verdict(view, name);
    let members: Vec<String> = view.members.iter().map(|pull| format!("pull request {pull}")).collect();
    let lines = group::lines(view, name);
    let of = words::list(&members, 10);
    let summary = format!("{}\n\n{}\n\n{lines}\nTested together: {of}.\n", verdict.headline, verdict.next);
    rendered(verdict, cut(&summary, BUDGET), String::new(), Vec::new())
}

fn rendered(verdict: Verdict, summary: String, text: String, annotations: Vec<Annotation>) -> RenderedCheck {
    RenderedCheck {
        status: verdict.status.status,
        conclusion: verdict.status.conclusion,
        title: verdict.title,
        summary,
        text,
        annotations,
        buttons: Vec::new(),
    }
}

fn pull(view: &PullView) -> RenderedCheck {
    let verdict = pull_verdict(view);
    let mut annotations: Vec<Annotation> = view.notes.warnings.iter().filter_map(annotation).collect();
    match &view.standing {
        Standing::ConfigErrors(found) => annotations.extend(found.iter().filter_map(annotation)),
        Standing::Stacks(rows) => annotations.extend(rows.iter().filter_map(failed_line)),
        _ => {}
    }
    annotations.dedup();
    // The comment says all of it in the right order; the check is the same text in another place.
    rendered(verdict, comment::body(view, BUDGET), String::new(), annotations)
}

fn applies(view: &PullView) -> RenderedCheck {
    let verdict = apply::apply_verdict(view);
    let lines = match &view.standing {
        Standing::Stacks(rows) => rows
            .iter()
            .filter_map(|row| {
                let waits = apply::waits(row)?;
                Some(format!("- {}: {waits}\n{}", inline(row.stack.as_str()), apply::evidence(row)))
            })
            .collect(),
        _ => String::new(),
    };
    let summary = format!("{}\n\n{}\n\n{lines}", verdict.headline, verdict.next);
    rendered(verdict, cut(&summary, BUDGET), String::new(), Vec::new())
}

fn stack(row: &StackRow) -> RenderedCheck {
    let verdict = row_verdict(row);
    let mut summary = format!("{}\n\n{}\n\n", verdict.headline, verdict.next);
    if let RowStatus::Planned(_) = &row.status {
        summary.push_str(&dangers::caution(&dangers::of(std::slice::from_ref(row))));
    }
    if let Some(error) = failure::body(row, 20_000) {
        summary.push_str(&format!("{error}\n\n"));
    }
    if let Some(it) = &row.undoes {
        summary.push_str(&format!("{}\n\n", comment::undoes(it)));
    }
    if let Some(since) = &row.since_last {
        summary.push_str(&format!("{}\n\n", comment::since_last(since)));
    }
    if row.state_known == Some(false) {
        summary.push_str("There is no backend: planned on an empty state, so that everything is to add.\n\n");
    }
    if let Some(run) = &row.run {
        summary.push_str(&format!("{}\n", link(&format!("Run {}", run.number), &run.url)));
    }
    let text = match &row.status {
        RowStatus::Planned(plan) => comment::check_diff(row, plan, BUDGET - 2_000).1,
        _ => String::new(),
    };
    rendered(verdict, summary, text, failed_line(row).into_iter().collect())
}

fn annotation(diagnostic: &Diagnostic) -> Option<Annotation> {
    let span = diagnostic.span.as_ref()?;
    let help = if diagnostic.help.is_empty() { String::new() } else { format!("\n{}", capital(&diagnostic.help)) };
    Some(Annotation {
        path: span.file.clone(),
        start_line: span.line.max(1),
        end_line: span.end_line.max(span.line).max(1),
        level: match diagnostic.severity {
            Severity::Error => Level::Failure,
            Severity::Warning => Level::Warning,
        },
        message: cut(&format!("{}{help}", capital(&diagnostic.summary)), BUDGET),
        title: cut(&one_line(&diagnostic.code), 255),
    })
}

/// The line that loosens something.
fn loosened(one: &Weakened) -> Option<Annotation> {
    let span = one.at.as_ref()?;
    Some(Annotation {
        path: span.file.clone(),
        start_line: span.line.max(1),
        end_line: span.end_line.max(span.line).max(1),
        level: Level::Warning,
        message: cut(&one_line(&config::line(one)), 2_000),
        title: "weakens a gate".to_owned(),
    })
}

/// The line that the tool names in its error.
fn failed_line(row: &StackRow) -> Option<Annotation> {
    let RowStatus::Failed(failed) = &row.status else { return None };
    let (path, line) = (failed.file.clone()?, failed.line?.max(1));
    Some(Annotation {
        path,
        start_line: line,
        end_line: line,
        level: Level::Failure,
        message: cut(&one_line(&failed.headline), 2_000),
        title: cut(&format!("{}: {}", row.stack, failure::phase(failed)), 255),
    })
}
