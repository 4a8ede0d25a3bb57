//! The one summary comment of a pull request.
//!
//! Invariant: at most `BUDGET` characters. Diffs give way first, the least dangerous first, each replaced by
//! its link; then errors shrink to their ends and the table to its first rows; headline and dangers stay.

use model::id::RelPath;
use model::plan::PlanDocument;
use model::publication::{Notes, PullView, RowStatus, SinceLast, StackRow, Standing, Summary, Undoes};

use crate::render::diff::{Diff, diff};
use crate::render::text::{code, code_cell, cut, fence, html, inline, link};
use crate::render::verdict::{diagnostic_line, pull_verdict};
use crate::render::{BUDGET, SUMMARY_MARKER, apply, dangers, failure, words};

/// A single diff takes at most this many characters; the rest of it is on the page.
const ONE_DIFF: usize = 24_000;
/// Rows of the table when everything else did not help.
const FEW_ROWS: usize = 60;

/// The comment as Markdown, its hidden marker first.
pub fn summary(summary: &Summary) -> String {
    format!("{SUMMARY_MARKER}\n{}", body(&summary.view, BUDGET - SUMMARY_MARKER.len() - 1))
}

/// The comment without its marker, in at most `budget` characters.
pub(super) fn body(view: &PullView, budget: usize) -> String {
    let verdict = pull_verdict(view);
    let mut head = format!("### {}\n\n{}\n", verdict.headline, verdict.next);
    let foot = footer(view);
    if let Standing::Stacks(rows) = &view.standing {
        let gates = apply::gates(rows);
        if !gates.is_empty() {
            head.push_str(&format!("{gates}\n"));
        }
    }
    let Standing::Stacks(rows) = &view.standing else {
        let room = budget.saturating_sub(length(&head) + length(&foot) + 4);
        let text = format!("{head}\n{}", bounded(&[standing(&view.standing), notes(&view.notes)], room));
        return format!("{}\n\n{foot}", text.trim_end());
    };
    let mut plans = Plans::of(rows);
    let mut limits = Limits { error: 6_000, rows: usize::MAX };
    loop {
        let fixed = fixed(view, rows, &limits);
        let used =
            length(&head) + length(&foot) + length(&fixed.before) + length(&fixed.errors) + length(&fixed.after) + 8;
        if used <= budget || limits.rows == FEW_ROWS {
            let sections = plans.within(budget.saturating_sub(used));
            let middle = format!("{}{}{sections}", fixed.before, fixed.errors);
            let parts = [head.as_str(), &middle, &fixed.after];
            let text: Vec<&str> = parts.into_iter().map(str::trim_end).filter(|part| !part.is_empty()).collect();
            return format!("{}\n\n{foot}", text.join("\n\n"));
        }
        limits = match limits.error {
            6_000 => Limits { error: 800, ..limits },
            _ => Limits { error: 300, rows: FEW_ROWS },
        };
    }
}

/// What a pull request's page says below the verdict and apart from its table of stacks: dangers, what is said
/// instead of stacks, notes. Markdown.
pub fn pull_body(view: &PullView) -> String {
    let first = match &view.standing {
        Standing::Stacks(rows) => dangers::caution(&dangers::of(rows)),
        other => standing(other),
    };
    format!("{first}\n{}", notes(&view.notes))
}

/// What a run's page says below the verdict and apart from diff and log: dangers, the error, the comparison with
/// the plan before. Markdown.
pub fn row_body(row: &StackRow) -> String {
    let mut out = dangers::caution(&dangers::of(std::slice::from_ref(row)));
    // The page carries the log itself; only failed rows, which hold no plan, are copied.
    let error = (!matches!(row.status, RowStatus::Planned(_)))
        .then(|| failure::body(&StackRow { run: None, ..row.clone() }, 20_000))
        .flatten();
    if let Some(error) = error {
        out.push_str(&format!("{error}\n\n"));
    }
    if let Some(since) = &row.since_last {
        out.push_str(&format!("{}\n", since_last(since)));
    }
    out
}

/// A plan document by itself, for `buildit show`. Markdown.
pub fn plan_markdown(plan: &PlanDocument) -> String {
    let Some(row) = dangers::bare_row(plan) else { return String::new() };
    let danger = dangers::caution(&dangers::of(std::slice::from_ref(&row)));
    let more = if plan.drift.is_empty() {
        String::new()
    } else {
        let objects: Vec<String> = plan.drift.iter().map(|drift| code(&cut(&drift.address, 100))).collect();
        format!("\nChanged outside of this plan: {}\n", words::list(&objects, 10))
    };
    format!("### {}\n\n{danger}{}{more}", words::sentence(plan.counts), plan_text(&row, plan, ONE_DIFF).0)
}

struct Limits {
    error: usize,
    rows: usize,
}

/// What stands around the plans.
struct Fixed {
    before: String,
    errors: String,
    after: String,
}

fn fixed(view: &PullView, rows: &[StackRow], limits: &Limits) -> Fixed {
    let mut before = dangers::caution(&dangers::of(rows));
    if rows.len() > 1 {
        before.push_str(&table(rows, limits.rows, &view.url));
        before.push('\n');
    }
    let mut errors = String::new();
    for row in dangers::ordered(rows).into_iter().take(limits.rows) {
        if let Some(text) = failure::body(row, limits.error) {
            errors.push_str(&section(row, rows.len() == 1, &text));
        }
    }
    Fixed { before, errors, after: notes(&view.notes) }
}

fn section(row: &StackRow, only: bool, text: &str) -> String {
    if only {
        return format!("{text}\n\n");
    }
    format!("<details open><summary>{}</summary>\n\n{text}\n</details>\n", label(row))
}

/// A row's name and result as HTML.
fn label(row: &StackRow) -> String {
    let what = match &row.status {
        RowStatus::Planned(plan) => words::cell(plan.counts).replace("**", ""),
        RowStatus::Failed(failed) => html(&failure::phase(failed)),
        RowStatus::TimedOut { .. } => "timed out".to_owned(),
        RowStatus::NotYet(_) => "not planned".to_owned(),
        _ => String::new(),
    };
    format!("{} <b>{}</b>: {what}", words::sign(&row.status), html(row.stack.as_str()))
}

/// The table: the worst first, unchanged stacks in one row.
pub(super) fn table(rows: &[StackRow], limit: usize, page: &str) -> String {
    let mut out = "| | Stack | Plan | Waits for |\n|:-:|:--|:--|:--|\n".to_owned();
    let sorted = dangers::ordered(rows);
    let (same, others): (Vec<&StackRow>, Vec<&StackRow>) =
        sorted.into_iter().partition(|row| matches!(row.status, RowStatus::NoChange));
    for row in others.iter().take(limit) {
        out.push_str(&table_row(row));
    }
    if others.len() > limit {
        out.push_str(&format!("| | {} | | |\n", link(&format!("{} more stacks", others.len() - limit), page)));
    }
    if !same.is_empty() {
        let names: Vec<String> = same.iter().map(|row| inline(row.stack.as_str())).collect();
        out.push_str(&format!("| ⚪ | {} | no changes | |\n", words::list(&names, 20)));
    }
    out
}

fn table_row(row: &StackRow) -> String {
    let name = inline(row.stack.as_str());
    let name = row.run.as_ref().map_or(name.clone(), |run| link(&name, &run.url));
    let (plan, waits) = match &row.status {
        RowStatus::NotYet(needs) => {
            let first = needs.first().map(|need| need.what.as_str()).unwrap_or("more");
            ("not planned".to_owned(), format!("{}, which this version lacks", cell(first)))
        }
        RowStatus::Queued { position, since } => {
            let place = position.map(|at| format!(", {} in queue", words::ordinal(at))).unwrap_or_default();
            ("queued".to_owned(), format!("a runner{place}, since {}", words::clock(*since)))
        }
        RowStatus::Blocked { reason, since } => {
            ("cannot start".to_owned(), format!("{}, since {}", cell(&cut(reason, 200)), words::clock(*since)))
        }
        RowStatus::Running(state) => (words::state(*state).to_owned(), "the plan".to_owned()),
        RowStatus::Planned(plan) => {
            (words::cell(plan.counts), apply::waits(row).unwrap_or_else(|| planned_waits(plan)))
        }
        RowStatus::NoChange => ("no changes".to_owned(), String::new()),
        RowStatus::Failed(failed) => {
            (inline(&failure::phase(failed)), format!("a fix: {}", cell(&cut(&failed.headline, 200))))
        }
        RowStatus::TimedOut { seconds, .. } => {
            (format!("no end after {}", words::duration(seconds * 1000)), "a fix, or a longer `timeout`".to_owned())
        }
        RowStatus::Cancelled => ("cancelled".to_owned(), "`buildit plan`".to_owned()),
        RowStatus::Closed => ("cancelled".to_owned(), "nothing: the pull request ended first".to_owned()),
        RowStatus::Deferred { after } => ("deferred".to_owned(), inline(&words::stacks(after))),
        RowStatus::Behind { stack } => ("blocked".to_owned(), format!("a fix of {}", inline(stack.as_str()))),
        RowStatus::Skipped { why } => ("skipped".to_owned(), cell(why)),
        RowStatus::Superseded => ("replaced".to_owned(), "the newer push".to_owned()),
    };
    format!("| {} | {name} | {plan} | {waits} |\n", words::sign(&row.status))
}

fn planned_waits(plan: &PlanDocument) -> String {
    if plan.complete { "review".to_owned() } else { "review; the plan is not complete".to_owned() }
}

/// A sentence with code in backticks, for a cell of the table.
fn cell(sentence: &str) -> String {
    let parts: Vec<&str> = sentence.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return inline(sentence);
    }
    parts.iter().enumerate().map(|(at, part)| if at % 2 == 1 { code_cell(part) } else { inline(part) }).collect()
}

/// The plans of the rows, each as a full section and as its replacement.
struct Plans {
    /// In the order of danger: (full, instead).
    sections: Vec<(String, String)>,
}

impl Plans {
    fn of(rows: &[StackRow]) -> Self {
        let only = rows.len() == 1;
        let mut sections = Vec::new();
        let mut spent = 0;
        for row in dangers::ordered(rows) {
            let RowStatus::Planned(plan) = &row.status else { continue };
            // What cannot fit any more is not made: a plan may have a hundred thousand lines.
            let room = ONE_DIFF.min(BUDGET.saturating_sub(spent));
            let instead = instead(row, plan);
            let full = if room < 200 { instead.clone() } else { full(row, plan, only, room) };
            spent += length(&full);
            sections.push((full, instead));
        }
        Self { sections }
    }

    /// As many full sections as fit, the most dangerous first; the links of the others always.
    fn within(&mut self, room: usize) -> String {
        let mut keep = self.sections.len();
        let total = |keep: usize| -> usize {
            self.sections
                .iter()
                .enumerate()
                .map(|(at, (full, instead))| length(if at < keep { full } else { instead }))
                .sum()
        };
        while keep > 0 && total(keep) > room {
            keep -= 1;
        }
        let mut out = String::new();
        let mut used = 0;
        for (at, (full, instead)) in self.sections.iter().enumerate() {
            let text = if at < keep { full } else { instead };
            used += length(text);
            if used > room {
                break;
            }
            out.push_str(text);
        }
        out
    }
}

fn full(row: &StackRow, plan: &PlanDocument, only: bool, room: usize) -> String {
    let (text, lines) = plan_text(row, plan, room);
    let open = only && lines <= 40;
    let title = if only { format!("Plan of <code>{}</code>", html(place(row))) } else { label(row) };
    format!("<details{}><summary>{title}</summary>\n\n{text}</details>\n", if open { " open" } else { "" })
}

/// A plan's warnings and diff as Markdown, and the number of the diff's lines.
fn plan_text(row: &StackRow, plan: &PlanDocument, room: usize) -> (String, usize) {
    let shown = diff(plan, room);
    let mut text = String::new();
    if let Some(it) = &row.undoes {
        text.push_str(&format!("{}\n\n", undoes(it)));
    }
    if let Some(since) = &row.since_last {
        text.push_str(&format!("{}\n\n", since_last(since)));
    }
    if row.state_known == Some(false) {
        text.push_str("There is no backend: planned on an empty state, so that everything is to add.\n\n");
    }
    for warning in plan.warnings.iter().take(20) {
        text.push_str(&format!("- Warning: {}\n", inline(&cut(warning, 500))));
    }
    if !plan.warnings.is_empty() {
        text.push('\n');
    }
    if plan.plan_timestamp {
        text.push_str("It uses `plantimestamp()`, so that every plan of it differs.\n\n");
    }
    if !shown.lines.is_empty() {
        text.push_str(&fence("diff", &shown.text()));
        text.push('\n');
    }
    if shown.left_out > 0 {
        let more = format!("{} more", words::count(shown.left_out, "change"));
        let more = more.replace(" changes more", " more changes").replace(" change more", " more change");
        text.push_str(&format!("{}\n", row.run.as_ref().map_or(more.clone(), |run| link(&more, &run.url))));
    }
    (text, shown.lines.len())
}

fn place(row: &StackRow) -> &str {
    if row.path.is_root() { row.stack.as_str() } else { row.path.as_str() }
}

fn instead(row: &StackRow, plan: &PlanDocument) -> String {
    let label = format!("plan of {}: {}", inline(row.stack.as_str()), words::cell(plan.counts).replace("**", ""));
    let page = row.run.as_ref().map_or(label.clone(), |run| link(&label, &run.url));
    format!("{} {page} (too long for this comment)\n\n", words::sign(&row.status))
}

/// What a plan would undo, as a warning.
pub(super) fn undoes(it: &Undoes) -> String {
    let named: Vec<String> = it.addresses.iter().map(|address| code(&cut(address, 100))).collect();
    let pull = link(&format!("PR {}", it.pull), &it.url);
    format!("⚠️ Would undo {pull}, which is applied and not merged: {}", words::list(&named, 10))
}

pub(super) fn since_last(since: &SinceLast) -> String {
    if since.changed.is_empty() {
        return format!("Since your last push ({}): same plan.", since.head.short());
    }
    let names: Vec<String> = since.changed.iter().map(|name| code(&cut(name, 100))).collect();
    format!("Since your last push ({}): {} changed.", since.head.short(), words::list(&names, 5))
}

/// What is said instead of a table.
fn standing(standing: &Standing) -> String {
    match standing {
        Standing::ConfigErrors(found) if found.errors().count() > 1 => {
            let mut out = String::new();
            for diagnostic in found.errors().take(50) {
                out.push_str(&format!("- {}\n", diagnostic_line(diagnostic)));
            }
            out
        }
        Standing::Conflicts(files) => paths(files, 50),
        Standing::Unaffected { changed } => {
            let files: Vec<RelPath> = changed.iter().map(|file| file.path.clone()).collect();
            let what = words::count(files.len(), "changed file");
            format!("{what}, none of a stack's. `buildit explain` shows each rule.\n\n{}", paths(&files, 20))
        }
        _ => String::new(),
    }
}

fn paths(files: &[RelPath], limit: usize) -> String {
    let mut out = String::new();
    for file in files.iter().take(limit) {
        out.push_str(&format!("- {}\n", code(file.as_str())));
    }
    if files.len() > limit {
        out.push_str(&format!("- and {} more\n", files.len() - limit));
    }
    out
}

/// What belongs to the pull request and to no single stack.
pub(super) fn notes(notes: &Notes) -> String {
    let mut lines = Vec::new();
    for diagnostic in notes.warnings.iter().take(10) {
        lines.push(format!("⚠️ {}", diagnostic_line(diagnostic)));
    }
    if notes.warnings.len() > 10 {
        lines.push(format!("⚠️ {} more warnings: run `buildit check`", notes.warnings.len() - 10));
    }
    let name_all = |items: Vec<String>| words::list(&items, 10);
    if !notes.unclaimed.is_empty() {
        let files = name_all(notes.unclaimed.iter().map(|path| code(path.as_str())).collect());
        lines.push(format!("⚠️ No stack owns {files}. If one reads it, name it there with `watch`."));
    }
    if !notes.removed.is_empty() {
        let stacks = name_all(notes.removed.iter().map(|stack| code(stack.as_str())).collect());
        lines.push(format!("Removed by this pull request: {stacks}. What they made is not destroyed by it."));
    }
    for (stack, from, to) in notes.moved.iter().take(10) {
        lines.push(format!("{} moves from {} to {}", code(stack.as_str()), code(from.as_str()), code(to.as_str())));
    }
    for need in notes.not_yet.iter().take(10) {
        let at = need.at.as_ref().map(|span| format!(" ({})", code(&format!("{}:{}", span.file, span.line))));
        lines.push(format!("Not in this version: {}{}", failure::prose(&need.what), at.unwrap_or_default()));
    }
    if let Some(why) = &notes.not_merged {
        lines
            .push(format!("⚠️ Everything is applied, and GitHub did not merge it: {}", failure::prose(&cut(why, 300))));
    }
    if notes.our_merge {
        lines.push("Planned on a merge made by BuildIt, since GitHub's was not of this head and base.".to_owned());
    }
    if lines.is_empty() { String::new() } else { format!("- {}\n", lines.join("\n- ")) }
}

fn footer(view: &PullView) -> String {
    let mut parts = vec![match &view.base {
        Some(base) => format!("{} on {} {}", view.head.short(), html(&view.base_branch), base.short()),
        None => format!("{} into {}", view.head.short(), html(&view.base_branch)),
    }];
    if let Standing::Stacks(rows) = &view.standing {
        let mut tools: Vec<String> = rows
            .iter()
            .filter_map(|row| row.tool.as_ref())
            .map(|(tool, version)| format!("{} {}", tool.name(), html(version)))
            .collect();
        tools.sort();
        tools.dedup();
        if !tools.is_empty() {
            parts.push(words::list(&tools, 3));
        }
        if let Some(longest) = rows.iter().filter_map(|row| row.millis).max() {
            parts.push(words::duration(longest));
        }
        if let [only] = rows.as_slice()
            && let Some(run) = &only.run
        {
            parts.push(link(&format!("run {}", run.number), &run.url));
        }
    }
    if !view.url.is_empty() {
        parts.push(link("pull request page", &view.url));
        parts.push("<code>buildit help</code>".to_owned());
    }
    format!("<sub>{}</sub>\n", parts.join(" · "))
}

/// The parts on whole lines, as far as they fit.
fn bounded(parts: &[String], room: usize) -> String {
    let mut out = String::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        for line in part.lines() {
            if length(&out) + length(line) + 2 > room {
                return out;
            }
            out.push_str(line);
            out.push('\n');
        }
        out.push('\n');
    }
    out
}

/// The length as GitHub counts it.
pub(super) fn length(text: &str) -> usize {
    text.chars().count()
}

/// The diff of a plan for a check's text.
pub(super) fn check_diff(row: &StackRow, plan: &PlanDocument, room: usize) -> (Diff, String) {
    let shown = diff(plan, room);
    let text = if shown.lines.is_empty() { String::new() } else { fence("diff", &shown.text()) };
    let more = if shown.left_out > 0 {
        let label = format!("{} more, on the page", shown.left_out);
        format!("\n{}\n", row.run.as_ref().map_or(label.clone(), |run| link(&label, &run.url)))
    } else {
        "\n".to_owned()
    };
    (shown, format!("{text}{more}"))
}
