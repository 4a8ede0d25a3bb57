//! The summary on a terminal: the same verdict, rows and diffs without Markdown.

use model::plan::PlanDocument;
use model::publication::{RowStatus, StackRow, Standing, Summary};

use crate::render::diff::diff;
use crate::render::text::{cut, lines, one_line};
use crate::render::verdict::pull_verdict;
use crate::render::{dangers, failure, words};

/// The longest diff of one stack on a terminal, in characters.
const ONE_DIFF: usize = 200_000;

/// The summary as plain text. No escape sequences; nothing in it moves a cursor.
pub fn terminal(summary: &Summary) -> String {
    let view = &summary.view;
    let verdict = pull_verdict(view);
    let mut out = format!("{}\n", plain(&verdict.headline));
    match &view.standing {
        Standing::Stacks(rows) => {
            for (row, change) in dangers::of(rows) {
                let kind = change.data_kind.as_deref().unwrap_or("data store");
                out.push_str(&format!(
                    "  DANGER  {} destroys {} ({})\n",
                    row.stack,
                    one_line(&change.address),
                    one_line(kind)
                ));
            }
            out.push_str(&table(rows));
            for row in dangers::ordered(rows) {
                out.push_str(&details(row));
            }
        }
        // One error stands in the headline already.
        Standing::ConfigErrors(found) if found.errors().count() > 1 => {
            for diagnostic in found {
                let place = diagnostic.span.as_ref().map(|span| format!("{span}: ")).unwrap_or_default();
                out.push_str(&format!("  {}{}\n", one_line(&place), one_line(&diagnostic.summary)));
                if !diagnostic.help.is_empty() {
                    out.push_str(&format!("    do: {}\n", one_line(&diagnostic.help)));
                }
            }
        }
        Standing::Conflicts(files) => {
            files.iter().for_each(|file| out.push_str(&format!("  {file}\n")));
        }
        Standing::Unaffected { changed } => {
            out.push_str(&format!(
                "  {}, none of a stack's; `buildit explain` shows each rule\n",
                words::count(changed.len(), "changed file")
            ));
        }
        _ => {}
    }
    for path in &view.notes.unclaimed {
        out.push_str(&format!("warning: no stack owns {path}; if one reads it, name it there with `watch`\n"));
    }
    for warning in &view.notes.warnings {
        let place = warning.span.as_ref().map(|span| format!("{span}: ")).unwrap_or_default();
        out.push_str(&format!("warning: {}{}\n", one_line(&place), one_line(&warning.summary)));
    }
    out
}

/// A plan document by itself, for `buildit show`. No escape sequences.
pub fn plan_terminal(plan: &PlanDocument) -> String {
    let mut out = format!("{}\n", plain(&words::sentence(plan.counts)));
    for change in dangers::in_plan(plan) {
        let kind = change.data_kind.as_deref().unwrap_or("data store");
        out.push_str(&format!("  DANGER  destroys {} ({})\n", one_line(&change.address), one_line(kind)));
    }
    for warning in &plan.warnings {
        out.push_str(&format!("  warning: {}\n", one_line(warning)));
    }
    let shown = diff(plan, ONE_DIFF);
    if !shown.lines.is_empty() {
        out.push_str(&format!("\n{}", indented(&shown.text())));
    }
    if shown.left_out > 0 {
        out.push_str(&format!("  and {} more\n", words::count(shown.left_out, "change")));
    }
    for drift in plan.drift.iter().take(20) {
        out.push_str(&format!("  changed outside of this plan: {}\n", one_line(&drift.address)));
    }
    out
}

fn table(rows: &[StackRow]) -> String {
    let names = rows.iter().map(|row| row.stack.as_str().chars().count()).max().unwrap_or(0).min(40);
    let mut out = String::from("\n");
    for row in dangers::ordered(rows) {
        let result = match &row.status {
            RowStatus::Planned(plan) => words::cell(plan.counts).replace("**", ""),
            RowStatus::NoChange => "no changes".to_owned(),
            RowStatus::Failed(failed) => {
                format!("{}: {}", failure::phase(failed), cut(&one_line(&failed.headline), 100))
            }
            RowStatus::TimedOut { seconds, .. } => format!("no end after {}", words::duration(seconds * 1000)),
            RowStatus::NotYet(needs) => {
                let what: Vec<String> = needs.iter().map(|need| one_line(&need.what)).collect();
                format!("not planned: needs {}", words::list(&what, 3))
            }
            RowStatus::Queued { .. } => "queued".to_owned(),
            RowStatus::Deferred { after } => format!("waits for {}", words::stacks(after)),
            RowStatus::Behind { stack } => format!("waits for {stack}, which failed"),
            RowStatus::Skipped { why } => format!("skipped: {}", one_line(&why.replace('`', ""))),
            RowStatus::Blocked { reason, .. } => format!("waits: {}", cut(&one_line(reason), 100)),
            RowStatus::Running(state) => words::state(*state).to_owned(),
            RowStatus::Cancelled => "cancelled".to_owned(),
            RowStatus::Closed => "the pull request ended first".to_owned(),
            RowStatus::Superseded => "replaced by a newer push".to_owned(),
        };
        let time = row.millis.map(|millis| format!("  {}", words::duration(millis))).unwrap_or_default();
        let name = row.stack.as_str();
        out.push_str(&format!("  {name:names$}  {result}{time}\n"));
    }
    out
}

fn details(row: &StackRow) -> String {
    match &row.status {
        RowStatus::Planned(plan) => {
            let shown = diff(plan, ONE_DIFF);
            let mut out = format!("\n{} ({})\n", row.stack, if row.path.is_root() { "." } else { row.path.as_str() });
            if row.state_known == Some(false) {
                out.push_str("  no backend: planned on an empty state, so that everything is to add\n");
            }
            for warning in &plan.warnings {
                out.push_str(&format!("  warning: {}\n", one_line(warning)));
            }
            out.push_str(&indented(&shown.text()));
            if shown.left_out > 0 {
                out.push_str(&format!("  and {} more\n", words::count(shown.left_out, "change")));
            }
            out
        }
        RowStatus::Failed(failed) => {
            let detail = if failed.detail.trim().is_empty() { &failed.headline } else { &failed.detail };
            format!("\n{}: {}\n{}", row.stack, failure::phase(failed), indented(&lines(detail)))
        }
        RowStatus::TimedOut { tail, .. } => format!("\n{}\n{}", row.stack, indented(&lines(tail))),
        _ => String::new(),
    }
}

fn indented(text: &str) -> String {
    text.trim_matches('\n')
        .lines()
        .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") })
        .collect()
}

/// Our own Markdown without its marks.
fn plain(markdown: &str) -> String {
    let mut out = String::new();
    let mut rest = markdown.replace("&#8203;", "").replace("**", "").replace("&lt;", "<").replace("&gt;", ">");
    rest = rest.replace("&#36;", "$").replace("&amp;", "&");
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek().is_some_and(char::is_ascii_punctuation) => out.extend(chars.next()),
            '`' => {}
            c => out.push(c),
        }
    }
    out
}
