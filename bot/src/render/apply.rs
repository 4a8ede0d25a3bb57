//! What people are told of applies: the check `buildit/apply`, and the next step in the comment.
//!
//! Invariant: waiting is never red; `success` before the merge means that a merge now leads to an apply.

use model::gate::{Gate, Outcome};
use model::id::PullNumber;
use model::publication::{ApplyStanding, ApplyView, Progress, PullView, RowStatus, StackRow, Standing};
use model::stack::ApplyMode;

use crate::render::text::{code, cut, inline, link};
use crate::render::verdict::{Status, Verdict, verdict};
use crate::render::{failure, words};

/// Where nothing can be applied at all, as in a preview.
const REVIEW: &str = "**Next:** review the plan. Nothing is applied from here.";

/// The verdict of `buildit/apply`.
pub(super) fn apply_verdict(view: &PullView) -> Verdict {
    let rows: &[StackRow] = match &view.standing {
        Standing::Stacks(rows) => rows,
        Standing::Unaffected { .. } | Standing::UntrustedBase { .. } => &[],
        Standing::Replaced => {
            let title = "Replaced by a newer push";
            return verdict(Status::ended("cancelled"), title, title.to_owned(), "**Next:** nothing to do.");
        }
        Standing::Reading
        | Standing::Fork
        | Standing::Draft
        | Standing::ConfigErrors(_)
        | Standing::Conflicts(_)
        | Standing::Trouble { .. } => {
            let title = "Waits for the plans";
            return verdict(Status::QUEUED, title, title.to_owned(), "**Next:** see `buildit/plan`.");
        }
    };
    let mut applies: Vec<(&StackRow, &ApplyView)> = rows
        .iter()
        .filter_map(|row| Some((row, row.apply.as_ref()?)))
        .filter(|(_, it)| it.mode != ApplyMode::Never)
        .collect();
    applies.sort_by_key(|(row, it)| (rank(&it.standing), row.stack.clone()));
    if let Some((row, it)) = applies.first().filter(|(_, it)| matches!(it.standing, ApplyStanding::Lost { .. })) {
        // Somebody must look, whatever the other stacks wait for.
        return told(row, it, &applies);
    }
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
    let Some((worst, it)) = applies.first() else {
        let why = if rows.iter().any(|row| row.apply.is_some()) { "by configuration" } else { "no plan has changes" };
        return verdict(Status::ended("success"), "Nothing to apply", format!("Nothing to apply: {why}"), "");
    };
    told(worst, it, &applies)
}

fn unfinished(rows: &[StackRow]) -> bool {
    rows.iter().any(|row| matches!(row.status, RowStatus::Queued { .. } | RowStatus::Running(_)))
}

fn has_no_changes(row: &StackRow) -> bool {
    matches!(row.status, RowStatus::NoChange | RowStatus::Skipped { .. } | RowStatus::Deferred { .. })
}

/// The worst first.
const fn rank(standing: &ApplyStanding) -> u8 {
    match standing {
        ApplyStanding::Lost { .. } => 0,
        ApplyStanding::Failed { .. } => 1,
        ApplyStanding::Asks { .. } => 2,
        ApplyStanding::Running(_) => 3,
        ApplyStanding::Locked { .. } => 4,
        ApplyStanding::After { .. } => 5,
        ApplyStanding::Waits => 6,
        ApplyStanding::Ready => 7,
        ApplyStanding::Applied { .. } => 8,
        ApplyStanding::Discarded { .. } => 9,
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
            verdict(Status::ended("action_required"), &title, headline, &look(row))
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
                "**Next:** mend the cause. What is left was planned again; `buildit apply` applies it. The lock is kept.",
            )
        }
        ApplyStanding::Asks { why, delta } => {
            let title = format!("Merged, not applied: {name}");
            let headline =
                format!("Merged, but **not applied**: {marked}: {}{}", failure::prose(&cut(why, 300)), differs(delta));
            let next = format!(
                "**Next:** read the plan. Then comment {} to apply it, or {} to give it up.",
                code(&format!("buildit apply -p {}", row.stack)),
                code(&format!("buildit discard -p {} \"reason\"", row.stack)),
            );
            verdict(Status::ended("action_required"), &title, headline, &next)
        }
        ApplyStanding::After { what } => {
            let title = format!("{name}: after {what}");
            let headline = format!("{marked} is served after {}", inline(what));
            verdict(Status::QUEUED, &title, headline, "**Next:** nothing to do; commits are served in their order.")
        }
        ApplyStanding::Discarded { by, why } => {
            let headline = format!("{marked} was given up by {}: {}", inline(by), inline(&cut(why, 300)));
            verdict(Status::ended("success"), "Given up: its change shows in the next plan", headline, "")
        }
        ApplyStanding::Running(progress) => {
            let title = format!("Applying {name}: {}", of(*progress));
            let headline = format!("Applying {marked}: {}", of(*progress));
            verdict(Status::RUNNING, &title, headline, "**Next:** nothing to do; this follows the apply.")
        }
        ApplyStanding::Locked { holder, url, since, place } => {
            let line = place.map(|place| format!(", {}", words::ordinal(place))).unwrap_or_default();
            let who = if holder.get() == 0 { "a push".to_owned() } else { format!("PR {holder}") };
            let title = format!("{name}: behind {who} since {}{line}", words::clock(*since));
            let line = place.map(|place| format!("; {} in line", words::ordinal(place))).unwrap_or_default();
            let pull = pull(*holder, url);
            let headline = format!("{marked} is locked by {pull} since {}{line}", words::date(*since));
            verdict(Status::QUEUED, &title, headline, &behind(it).unwrap_or_default())
        }
        ApplyStanding::Waits => {
            let waits = unmet(it);
            let first = waits.first().map_or_else(String::new, |gate| gate.title.replace('`', ""));
            let start = if merges && !it.merged { "Merging now would not apply" } else { "Waits for" };
            let title = format!("{start}: {first}");
            let list: Vec<String> = waits.iter().map(|gate| failure::prose(&gate.title)).collect();
            verdict(Status::QUEUED, &title, format!("{marked} waits for {}", words::list(&list, 5)), "")
        }
        ApplyStanding::Ready => {
            let stacks =
                words::count(all.iter().filter(|(_, it)| it.standing == ApplyStanding::Ready).count(), "stack");
            if merges && !it.merged {
                let title = format!("Ready: {stacks} applied on merge");
                return verdict(Status::ended("success"), &title, title.clone(), "");
            }
            let title = "Ready: comment \"buildit apply\"";
            verdict(Status::QUEUED, title, format!("Ready: `buildit apply` applies {stacks}"), "")
        }
        ApplyStanding::Applied { .. } => {
            let millis: u64 = all.iter().filter_map(|(_, it)| took(it)).sum();
            let title = format!("Applied {} in {}", words::count(all.len(), "stack"), words::duration(millis));
            verdict(Status::ended("success"), &title, title.clone(), "")
        }
    }
}

/// Who has a lock; a push has no pull request.
fn pull(number: PullNumber, url: &str) -> String {
    if number.get() == 0 { "a push".to_owned() } else { link(&format!("PR {number}"), url) }
}

/// Where a plan is not what was reviewed.
fn differs(delta: &[String]) -> String {
    let named: Vec<String> = delta.iter().map(|key| code(&cut(key, 100))).collect();
    if named.is_empty() { String::new() } else { format!(" ({})", words::list(&named, 5)) }
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

/// The comment's first line from the moment something is applied; `None` before.
pub(super) fn headline(rows: &[StackRow]) -> Option<String> {
    let mut applies: Vec<(&StackRow, &ApplyView)> =
        rows.iter().filter_map(|row| Some((row, row.apply.as_ref()?))).collect();
    applies.sort_by_key(|(row, it)| (rank(&it.standing), row.stack.clone()));
    let (row, it) = *applies.first()?;
    let name = code(row.stack.as_str());
    let is_done = |it: &&(&StackRow, &ApplyView)| matches!(it.1.standing, ApplyStanding::Applied { .. });
    let done = applies.iter().filter(is_done).count();
    Some(match &it.standing {
        ApplyStanding::Lost { progress, .. } => format!("The apply of {name} lost its worker after {}", of(*progress)),
        ApplyStanding::Failed { progress, .. } => format!("Apply stopped: {name} failed after {}", of(*progress)),
        ApplyStanding::Asks { why, .. } => {
            format!("Merged, not applied: {name}: {}", failure::prose(&cut(why, 200)))
        }
        ApplyStanding::Running(progress) if applies.len() == 1 => format!("Applying {name}: {}", of(*progress)),
        ApplyStanding::Running(progress) => {
            format!("Applying {} of {}: {name}, {}", done + 1, words::count(applies.len(), "stack"), of(*progress))
        }
        ApplyStanding::Applied { .. } if unfinished(rows) => return None,
        ApplyStanding::Applied { .. } => {
            let millis: u64 = applies.iter().filter_map(|(_, it)| took(it)).sum();
            format!("Applied {} in {}", words::count(done, "stack"), words::duration(millis))
        }
        ApplyStanding::Locked { .. }
        | ApplyStanding::After { .. }
        | ApplyStanding::Waits
        | ApplyStanding::Ready
        | ApplyStanding::Discarded { .. } => return None,
    })
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
    let lost = |row: &&StackRow| row.apply.as_ref().is_some_and(|it| matches!(it.standing, ApplyStanding::Lost { .. }));
    if let Some(row) = rows.iter().find(lost) {
        look(row)
    } else if applies.iter().any(|it| matches!(it.standing, ApplyStanding::Failed { .. })) {
        "**Next:** mend the cause. What is left was planned again; `buildit apply` applies it. The lock is kept."
            .to_owned()
    } else if let Some(row) = rows.iter().find(|row| asks(row)) {
        let (apply, discard) =
            (format!("buildit apply -p {}", row.stack), format!("buildit discard -p {} \"reason\"", row.stack));
        format!(
            "**Next:** this is merged and not applied. Read the plan, then comment {} or {}.",
            code(&apply),
            code(&discard)
        )
    } else if applies.iter().any(|it| matches!(it.standing, ApplyStanding::Running(_))) {
        "**Next:** nothing to do; this follows the apply.".to_owned()
    } else if open {
        "**Next:** comment this to apply what is ready.\n```\nbuildit apply\n```".to_owned()
    } else if let Some(first) = waits.first() {
        let then = if applies.iter().any(|it| it.merged) {
            "then it is applied"
        } else if some(after_merge) {
            "then merge. It is applied right after the merge"
        } else {
            "then comment `buildit apply`"
        };
        format!("**Next:** {first}, {then}.")
    } else if let Some(behind) = applies.iter().find_map(|it| behind(it)) {
        behind
    } else if applies.iter().any(|it| it.standing == ApplyStanding::Ready && it.merged) {
        "**Next:** comment this to apply what is ready.\n```\nbuildit apply\n```".to_owned()
    } else if some(after_merge) && applies.iter().any(|it| it.standing == ApplyStanding::Ready) {
        "**Next:** merge. This plan is applied right after the merge.".to_owned()
    } else if applies.iter().all(|it| it.merged) {
        "**Next:** nothing to do.".to_owned()
    } else if applies.iter().any(|it| matches!(it.standing, ApplyStanding::Applied { .. })) {
        "**Next:** merge when you like; the locks go with the merge.".to_owned()
    } else {
        "**Next:** review the plan. It is never applied from here (`apply on=never`).".to_owned()
    }
}

/// What a lost apply wants of a person.
fn look(row: &StackRow) -> String {
    let approve = code(&format!("buildit approve lost -p {}", row.stack));
    format!("**Next:** look at what was made. Then comment {approve}: what is left is planned.")
}

fn asks(row: &StackRow) -> bool {
    row.apply.as_ref().is_some_and(|it| matches!(it.standing, ApplyStanding::Asks { .. }))
}

fn first_wait(it: &ApplyView) -> Option<String> {
    match &it.standing {
        ApplyStanding::Waits => unmet(it).first().map(|gate| failure::prose(&gate.title)),
        ApplyStanding::After { what } => Some(format!("wait for {}", inline(what))),
        ApplyStanding::Ready
        | ApplyStanding::Asks { .. }
        | ApplyStanding::Discarded { .. }
        | ApplyStanding::Running(_)
        | ApplyStanding::Locked { .. }
        | ApplyStanding::Applied { .. }
        | ApplyStanding::Failed { .. }
        | ApplyStanding::Lost { .. } => None,
    }
}

/// The next step of whoever finds the stack locked: who has it, since when, and where they stand.
fn behind(it: &ApplyView) -> Option<String> {
    let ApplyStanding::Locked { holder, url, since, place } = &it.standing else { return None };
    let (who, since) = (pull(*holder, url), words::clock(*since));
    Some(match place {
        Some(place) => format!(
            "**Next:** nothing to do; {} in line behind {who}, which has the lock since {since}. When its turn comes it is \
             planned again, and applied if that plan is the same.",
            words::ordinal(*place)
        ),
        None if after_merge(it.mode) && !it.merged => {
            format!("**Next:** nothing to do until {who} lets go of the lock, which it has since {since}.")
        }
        None => format!("**Next:** comment `buildit apply` to join the line; {who} has the lock since {since}."),
    })
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
            format!("lock of {} since {}{place}", pull(*holder, url), words::clock(*since))
        }
        ApplyStanding::Waits => {
            unmet(it).into_iter().map(|gate| failure::prose(&gate.title)).collect::<Vec<_>>().join(", ")
        }
        ApplyStanding::Asks { why, delta } => {
            format!(
                "someone: {}{}; {}",
                failure::prose(&cut(why, 200)),
                differs(delta),
                code(&format!("buildit apply -p {}", row.stack))
            )
        }
        ApplyStanding::After { what } => inline(what),
        ApplyStanding::Discarded { by, .. } => format!("nothing: given up by {}", inline(by)),
        ApplyStanding::Ready if after_merge(it.mode) && !it.merged => "the merge".to_owned(),
        ApplyStanding::Ready => "`buildit apply`".to_owned(),
        ApplyStanding::Applied { progress, run, .. } => link(&format!("applied, {}", of(*progress)), &run.url),
    })
}
