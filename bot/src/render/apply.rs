//! What people are told of applies: the check `buildit/apply`, and the next step in the comment.
//!
//! Invariant: waiting is never red; `success` before the merge means that a merge now leads to an apply.

use model::gate::{Gate, Outcome};
use model::publication::{ApplyStanding, ApplyView, Progress, PullView, RowStatus, StackRow, Standing};
use model::stack::ApplyMode;

use crate::render::text::{code, cut, inline, link};
use crate::render::verdict::{Status, Verdict, verdict};
use crate::render::{failure, words};

/// Where nothing can be applied at all, as in a preview.
const REVIEW: &str = "**Next:** review the plan. This version does not apply.";

/// The verdict of `buildit/apply`.
pub(super) fn apply_verdict(view: &PullView) -> Verdict {
    let rows: &[StackRow] = if let Standing::Stacks(rows) = &view.standing { rows } else { &[] };
    let applies: Vec<(&StackRow, &ApplyView)> = rows
        .iter()
        .filter_map(|row| Some((row, row.apply.as_ref()?)))
        .filter(|(_, it)| it.mode != ApplyMode::Never)
        .collect();
    if unfinished(rows) {
        let title = "Waits for the plans";
        return verdict(Status::QUEUED, title, title.to_owned(), "**Next:** nothing to do; this follows the plans.");
    }
    if let Some(row) = rows.iter().find(|row| row.apply.is_none() && !has_no_changes(row)) {
        let name = cut(row.stack.as_str(), 30);
        let headline = format!("{} has no plan that could be applied", code(row.stack.as_str()));
        let next = "**Next:** see `buildit/plan`.";
        return verdict(Status::QUEUED, &format!("{name}: no plan to apply"), headline, next);
    }
    if applies.is_empty() {
        let why = if rows.iter().any(|row| row.apply.is_some()) { "by configuration" } else { "no plan has changes" };
        return verdict(Status::ended("success"), "Nothing to apply", format!("Nothing to apply: {why}"), "");
    }
    let mut sorted = applies;
    sorted.sort_by_key(|(row, it)| (rank(&it.standing), row.stack.clone()));
    let (worst, it) = sorted[0];
    told(worst, it, &sorted)
}

fn unfinished(rows: &[StackRow]) -> bool {
    rows.iter().any(|row| matches!(row.status, RowStatus::Queued { .. } | RowStatus::Running(_)))
}

fn has_no_changes(row: &StackRow) -> bool {
    matches!(row.status, RowStatus::NoChange)
}

/// The worst first.
const fn rank(standing: &ApplyStanding) -> u8 {
    match standing {
        ApplyStanding::Lost { .. } => 0,
        ApplyStanding::Failed { .. } => 1,
        ApplyStanding::Running(_) => 2,
        ApplyStanding::Locked { .. } => 3,
        ApplyStanding::Waits => 4,
        ApplyStanding::Ready => 5,
        ApplyStanding::Applied { .. } => 6,
    }
}

fn told(row: &StackRow, it: &ApplyView, all: &[(&StackRow, &ApplyView)]) -> Verdict {
    let name = cut(row.stack.as_str(), 30);
    let marked = code(row.stack.as_str());
    let merges = all.iter().any(|(_, it)| after_merge(it.mode));
    match &it.standing {
        ApplyStanding::Lost { progress, run } => {
            let title = format!("{name}: worker lost, review needed");
            let headline = format!(
                "The apply of {marked} lost its worker after {}. Nothing was started again. {}",
                of(*progress),
                link("Log", &run.url)
            );
            verdict(
                Status::ended("action_required"),
                &title,
                headline,
                "**Next:** look at what was made, then plan again.",
            )
        }
        ApplyStanding::Failed { progress, run, failure } => {
            let title = format!("{name} failed after {}", of(*progress));
            let headline = format!(
                "Apply stopped: {marked} failed after {}: {}. {}",
                of(*progress),
                inline(&cut(&failure.headline, 200)),
                link("Log", &run.url)
            );
            verdict(
                Status::ended("failure"),
                &title,
                headline,
                "**Next:** what is left is planned again; the lock is kept.",
            )
        }
        ApplyStanding::Running(progress) => {
            let title = format!("Applying {name}: {}", of(*progress));
            let headline = format!("Applying {marked}: {}", of(*progress));
            verdict(Status::RUNNING, &title, headline, "**Next:** nothing to do; this follows the apply.")
        }
        ApplyStanding::Locked { holder, url, since, place } => {
            let line = place.map(|place| format!(", {}", words::ordinal(place))).unwrap_or_default();
            let title = format!("{name}: behind PR {holder} since {}{line}", words::clock(*since));
            let line = place.map(|place| format!("; {} in line", words::ordinal(place))).unwrap_or_default();
            let pull = link(&format!("PR {holder}"), url);
            let headline = format!("{marked} is locked by {pull} since {}{line}", words::date(*since));
            let next = match place {
                Some(_) => "**Next:** nothing to do; it is planned again when its turn comes.",
                None => "**Next:** `buildit apply` joins the line.",
            };
            verdict(Status::QUEUED, &title, headline, next)
        }
        ApplyStanding::Waits => {
            let waits = unmet(it);
            let first = waits.first().map_or_else(String::new, |gate| gate.title.replace('`', ""));
            let start = if merges { "Merging now would not apply" } else { "Waits for" };
            let title = format!("{start}: {first}");
            let list: Vec<String> = waits.iter().map(|gate| failure::prose(&gate.title)).collect();
            verdict(Status::QUEUED, &title, format!("{marked} waits for {}", words::list(&list, 5)), "")
        }
        ApplyStanding::Ready => {
            let stacks =
                words::count(all.iter().filter(|(_, it)| it.standing == ApplyStanding::Ready).count(), "stack");
            if merges {
                let title = format!("Ready: {stacks} applied on merge");
                return verdict(Status::ended("success"), &title, title.clone(), "");
            }
            let title = "Ready: comment \"buildit apply\"";
            verdict(Status::QUEUED, title, format!("Ready: {stacks} wait for `buildit apply`"), "")
        }
        ApplyStanding::Applied { .. } => {
            let millis: u64 = all.iter().filter_map(|(_, it)| took(it)).sum();
            let title = format!("Applied {} in {}", words::count(all.len(), "stack"), words::duration(millis));
            verdict(Status::ended("success"), &title, title.clone(), "")
        }
    }
}

/// The requirements that do not hold.
fn unmet(it: &ApplyView) -> Vec<&Gate> {
    it.gates.iter().filter(|gate| !gate.holds()).collect()
}

/// `⏳ approvals 0 of 1 · ✅ up to date with main`, each gate once.
pub(super) fn gates(rows: &[StackRow]) -> String {
    let mut seen: Vec<&Gate> = Vec::new();
    for gate in rows.iter().filter_map(|row| row.apply.as_ref()).flat_map(|it| &it.gates) {
        if !seen.iter().any(|known| (&known.title, known.outcome) == (&gate.title, gate.outcome)) {
            seen.push(gate);
        }
    }
    let few = seen.iter().take(MANY_GATES).map(|gate| format!("{} {}", sign(gate), failure::prose(&gate.title)));
    few.collect::<Vec<_>>().join(" · ")
}

/// More do not stand on one line.
const MANY_GATES: usize = 12;

const fn sign(gate: &Gate) -> &'static str {
    match gate.outcome {
        Outcome::Pass => "✅",
        Outcome::Pending => "⏳",
        Outcome::Fail => "❌",
    }
}

/// Every gate of a stack with its evidence, one per line.
pub(super) fn evidence(row: &StackRow) -> String {
    let gates = row.apply.iter().flat_map(|it| &it.gates);
    let line = |gate: &Gate| {
        format!("  - {} {}: {}\n", sign(gate), failure::prose(&gate.title), failure::prose(&cut(&gate.evidence, 500)))
    };
    gates.map(line).collect()
}

fn took(it: &ApplyView) -> Option<u64> {
    if let ApplyStanding::Applied { millis, .. } = &it.standing { *millis } else { None }
}

const fn after_merge(mode: ApplyMode) -> bool {
    matches!(mode, ApplyMode::Merge | ApplyMode::Push | ApplyMode::Manual)
}

fn of(progress: Progress) -> String {
    format!("{} of {}", progress.done, words::count(progress.total as usize, "change"))
}

/// The next step of a person once all is planned and something changes.
pub(super) fn next(rows: &[StackRow]) -> String {
    let applies: Vec<&ApplyView> = rows.iter().filter_map(|row| row.apply.as_ref()).collect();
    if applies.is_empty() {
        return REVIEW.to_owned();
    }
    let waits: Vec<String> = applies.iter().filter_map(|it| first_wait(it)).collect();
    let open = applies.iter().any(|it| it.standing == ApplyStanding::Ready && it.mode == ApplyMode::Comment);
    let some = |mode: fn(ApplyMode) -> bool| applies.iter().any(|it| mode(it.mode));
    if applies.iter().any(|it| matches!(it.standing, ApplyStanding::Lost { .. })) {
        "**Next:** an apply lost its worker; look at what was made before anything else.".to_owned()
    } else if applies.iter().any(|it| matches!(it.standing, ApplyStanding::Failed { .. })) {
        "**Next:** mend the cause; what is left is planned again. The lock is kept.".to_owned()
    } else if applies.iter().any(|it| matches!(it.standing, ApplyStanding::Running(_))) {
        "**Next:** nothing to do; this follows the apply.".to_owned()
    } else if open {
        "**Next:** comment this to apply what is ready.\n```\nbuildit apply\n```".to_owned()
    } else if let Some(first) = waits.first() {
        let then = if some(after_merge) {
            "then merge. It is applied right after the merge"
        } else {
            "then comment `buildit apply`"
        };
        format!("**Next:** {first}, {then}.")
    } else if some(after_merge) && applies.iter().any(|it| it.standing == ApplyStanding::Ready) {
        "**Next:** merge. This plan is applied right after the merge.".to_owned()
    } else if applies.iter().any(|it| matches!(it.standing, ApplyStanding::Applied { .. })) {
        "**Next:** merge when you like; the locks go with the merge.".to_owned()
    } else {
        "**Next:** review the plan. It is never applied from here (`apply on=never`).".to_owned()
    }
}

fn first_wait(it: &ApplyView) -> Option<String> {
    match &it.standing {
        ApplyStanding::Waits => unmet(it).first().map(|gate| failure::prose(&gate.title)),
        ApplyStanding::Locked { holder, .. } => Some(format!("wait for PR {holder}, which has the lock")),
        ApplyStanding::Ready
        | ApplyStanding::Running(_)
        | ApplyStanding::Applied { .. }
        | ApplyStanding::Failed { .. }
        | ApplyStanding::Lost { .. } => None,
    }
}

/// What a planned stack waits for, in a cell of the table.
pub(super) fn waits(row: &StackRow) -> Option<String> {
    let it = row.apply.as_ref()?;
    Some(match &it.standing {
        ApplyStanding::Lost { run, .. } => format!("someone: its worker was lost ({})", link("log", &run.url)),
        ApplyStanding::Failed { failure, run, .. } => {
            format!("a fix: {} ({})", inline(&cut(&failure.headline, 200)), link("log", &run.url))
        }
        ApplyStanding::Running(progress) => format!("the apply: {}", of(*progress)),
        ApplyStanding::Locked { holder, url, since, place } => {
            let place = place.map(|place| format!("; {} in line", words::ordinal(place))).unwrap_or_default();
            format!("lock of {} since {}{place}", link(&format!("PR {holder}"), url), words::clock(*since))
        }
        ApplyStanding::Waits => {
            unmet(it).into_iter().map(|gate| failure::prose(&gate.title)).collect::<Vec<_>>().join(", ")
        }
        ApplyStanding::Ready if after_merge(it.mode) => "the merge".to_owned(),
        ApplyStanding::Ready => "`buildit apply`".to_owned(),
        ApplyStanding::Applied { progress, run, .. } => link(&format!("applied, {}", of(*progress)), &run.url),
    })
}
