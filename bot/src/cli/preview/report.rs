//! The answer of a preview: for people, as the comment, for programs.
//!
//! Invariant: the JSON form is stable (docs/preview.md): fields are added, never renamed or removed.

use model::diagnostic::{Diagnostic, Diagnostics};
use model::id::{CommitSha, RelPath, StackName};
use model::plan::{Counts, PlanFailure};
use model::publication::{PullView, RowStatus, StackRow, Standing, Summary};
use serde::Serialize;

use super::Format;
use crate::cli::show::Shown;
use crate::local::{Preview, Published};
use crate::render::{self, words};

/// Has every stack that the change affects a plan? Changes are good; what failed or was not planned is not.
pub(super) fn is_good(published: &Published) -> bool {
    let conclusion = published.view().and_then(|view| render::pull_verdict(view).status.conclusion);
    matches!(conclusion, Some("success" | "neutral"))
}

/// The answer in that form.
pub(super) fn text(format: Format, preview: &Preview, published: &Published) -> anyhow::Result<String> {
    let view = published.view().ok_or_else(|| anyhow::anyhow!("nothing was published"))?;
    let summary = Summary { view: without_pages(view) };
    Ok(match format {
        Format::Human => render::terminal(&summary),
        Format::Markdown => render::summary(&summary) + "\n",
        Format::Json => serde_json::to_string_pretty(&Report::of(preview, view, is_good(published)))? + "\n",
    })
}

/// There is no server whose pages links could lead to.
fn without_pages(view: &PullView) -> PullView {
    let mut view = view.clone();
    view.url.clear();
    if let Standing::Stacks(rows) = &mut view.standing {
        rows.iter_mut().for_each(|row| row.run = None);
    }
    view
}

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    base: Side<'a>,
    head: Side<'a>,
    good: bool,
    title: String,
    result: &'static str,
    counts: Counts,
    stacks: Vec<Stack<'a>>,
    removed: &'a [StackName],
    errors: Vec<&'a Diagnostic>,
    conflicts: &'a [RelPath],
    warnings: &'a [Diagnostic],
    unclaimed: &'a [RelPath],
}

#[derive(Serialize)]
struct Side<'a> {
    name: &'a str,
    commit: &'a CommitSha,
}

#[derive(Serialize)]
struct Stack<'a> {
    name: &'a StackName,
    path: &'a RelPath,
    result: &'static str,
    tool: Option<&'static str>,
    tool_version: Option<&'a str>,
    millis: Option<u64>,
    state_known: Option<bool>,
    plan: Option<Shown<'a>>,
    failure: Option<&'a PlanFailure>,
    needs: Vec<&'a str>,
}

impl<'a> Report<'a> {
    fn of(preview: &'a Preview, view: &'a PullView, good: bool) -> Self {
        let (result, rows, errors, conflicts) = parts(&view.standing);
        let counts = rows.iter().fold(Counts::default(), |sum, row| match &row.status {
            RowStatus::Planned(plan) => words::add(sum, plan.counts),
            _ => sum,
        });
        Self {
            version: 1,
            base: Side { name: &preview.base_branch, commit: &preview.base },
            head: Side { name: &preview.head_branch, commit: &preview.head },
            good,
            title: render::pull_verdict(view).title,
            result,
            counts,
            stacks: rows.iter().map(Stack::of).collect(),
            removed: &view.notes.removed,
            errors: errors.into_iter().flat_map(Diagnostics::errors).collect(),
            conflicts,
            warnings: &view.notes.warnings,
            unclaimed: &view.notes.unclaimed,
        }
    }
}

type Parts<'a> = (&'static str, &'a [StackRow], Option<&'a Diagnostics>, &'a [RelPath]);

fn parts(standing: &Standing) -> Parts<'_> {
    match standing {
        Standing::Stacks(rows) => ("planned", rows, None, &[]),
        Standing::ConfigErrors(found) => ("config-errors", &[], Some(found), &[]),
        Standing::Conflicts(files) => ("conflicts", &[], None, files),
        Standing::Unaffected { .. } => ("unaffected", &[], None, &[]),
        Standing::UntrustedBase { .. } => ("untrusted-base", &[], None, &[]),
        // A preview has no push, fork or draft.
        Standing::Reading | Standing::Replaced | Standing::Fork | Standing::Draft | Standing::Trouble { .. } => {
            ("undecided", &[], None, &[])
        }
    }
}

impl<'a> Stack<'a> {
    fn of(row: &'a StackRow) -> Self {
        let mut one = Self {
            name: &row.stack,
            path: &row.path,
            result: "cancelled",
            tool: row.tool.as_ref().map(|(tool, _)| tool.name()),
            tool_version: row.tool.as_ref().map(|(_, version)| version.as_str()),
            millis: row.millis,
            state_known: row.state_known,
            plan: None,
            failure: None,
            needs: Vec::new(),
        };
        match &row.status {
            RowStatus::Planned(plan) => {
                one.result = "changes";
                one.plan = Some(Shown::of(plan));
            }
            RowStatus::NoChange => one.result = "no-changes",
            RowStatus::Failed(failure) => {
                one.result = "failed";
                one.failure = Some(failure);
            }
            RowStatus::TimedOut { .. } => one.result = "timed-out",
            RowStatus::NotYet(needs) => {
                one.result = "not-planned";
                one.needs = needs.iter().map(|need| need.what.as_str()).collect();
            }
            RowStatus::Deferred { .. } => one.result = "deferred",
            RowStatus::Behind { .. } => one.result = "blocked",
            RowStatus::Skipped { .. } => one.result = "skipped",
            RowStatus::Queued { .. }
            | RowStatus::Blocked { .. }
            | RowStatus::Running(_)
            | RowStatus::Cancelled
            | RowStatus::Closed
            | RowStatus::Superseded => {}
        }
        one
    }
}

#[cfg(test)]
mod tests {
    use model::id::RepoName;
    use model::time::Timestamp;

    use super::*;
    use crate::render::sample;

    fn preview() -> Preview {
        Preview {
            name: RepoName::parse("local/shop").expect("a name"),
            path: ".".to_owned(),
            base: sample::sha("1"),
            base_branch: "origin/main".to_owned(),
            head: sample::sha("2"),
            head_branch: "cache".to_owned(),
            at: Timestamp::from_seconds(1),
        }
    }

    fn published(standing: Standing) -> Published {
        let mut published = Published::default();
        published.checks.push(model::publication::Check {
            name: model::publication::CheckName::Plan,
            external_id: String::new(),
            details_url: String::new(),
            view: model::publication::View::Pull(Box::new(sample::view(standing))),
            started_at: None,
            completed_at: None,
            actions: Vec::new(),
        });
        published
    }

    #[test]
    fn only_what_has_all_its_plans_is_good() {
        let planned = || sample::row("a", 1, sample::planned(sample::network()));
        let cases = [
            (Standing::Stacks(vec![planned()]), true),
            (Standing::Stacks(vec![planned(), sample::row("b", 2, RowStatus::NoChange)]), true),
            (Standing::Unaffected { changed: Vec::new() }, true),
            (Standing::Stacks(vec![planned(), sample::row("b", 2, RowStatus::Failed(sample::failure()))]), false),
            (Standing::Stacks(vec![sample::row("b", 2, RowStatus::NotYet(Vec::new()))]), false),
            (Standing::Conflicts(Vec::new()), false),
            (Standing::ConfigErrors(Diagnostics::new()), false),
        ];
        for (standing, good) in cases {
            assert_eq!(is_good(&published(standing.clone())), good, "{standing:?}");
        }
    }

    #[test]
    fn programs_get_results_counts_and_reasons() {
        let text = text(Format::Json, &preview(), &published(Standing::Stacks(sample::many()))).expect("a report");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let results: Vec<String> = json["stacks"]
            .as_array()
            .expect("stacks")
            .iter()
            .map(|one| format!("{}={}", one["name"].as_str().unwrap_or("?"), one["result"].as_str().unwrap_or("?")))
            .collect();
        insta::assert_snapshot!(results.join(" "), @"iam=no-changes audit=no-changes dns=changes network=changes database=changes cluster=failed");
        assert_eq!((&json["good"], &json["version"]), (&false.into(), &1.into()));
        assert_eq!(json["base"]["name"], "origin/main");
        assert!(json["stacks"].to_string().contains("\"phase\":\"init\""), "{text}");
    }

    #[test]
    fn the_comment_has_no_links_to_a_server_that_is_not_there() {
        let published = published(Standing::Stacks(sample::many()));
        let comment = text(Format::Markdown, &preview(), &published).expect("a comment");
        assert!(comment.starts_with("<!-- buildit:summary:v1 -->\n### 6 stacks") && comment.contains("```diff"));
        for absent in ["](", "buildit help"] {
            assert!(!comment.contains(absent), "{absent} in {comment}");
        }
    }
}
