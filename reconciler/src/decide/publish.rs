//! What people should see of a pull request on GitHub: its checks and its one comment.
//!
//! Invariant: a projection of rows. Nothing here holds the time of its making, and nothing is shown on a
//! repository that has no configuration.

mod buttons;
mod compare;
mod row;

use model::id::StackName;
use model::publication::{
    Check, CheckName, Deployment, DeploymentState, Notes, PullView, RowStatus, RunLink, StackRow, Standing, Summary,
    View,
};
use model::pull::{PullSnapshot, PullState};
use model::run::RunState;
use model::survey::{BaseTrust, Survey, SurveyedStack};
use model::time::Timestamp;

use self::buttons::actions;
pub(super) use self::compare::is_means;
pub(crate) use self::row::of_run;
use self::row::{landed_item, row};
pub(super) use self::row::{millis, run_link, run_url};
use super::{answer, config, current_survey, is_allowed, landing, merge, newest};
use crate::world::{PullWorld, RunRow, ShownRow};

/// At most so many stacks get checks of their own, the first by name; the aggregate shows all.
const CHILDREN: usize = 20;

/// What should stand on GitHub.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Shown {
    /// The aggregate first.
    pub(crate) checks: Vec<Check>,
    /// Created or edited when it is there; else left as it is.
    pub(crate) summary: Option<Summary>,
}

/// The key under which the summary's publication is stored.
pub(crate) fn summary_target(world: &PullWorld) -> String {
    format!("summary:{}:{}", world.pull.repo, world.pull.number)
}

/// What is shown of a plan without changes: no fingerprint of a plan reads so.
const NO_CHANGE: &str = "no change";

/// What stands on the checks of this head from now on, where that is not what was noted last.
pub(crate) fn fingerprints(world: &PullWorld, at: Timestamp) -> Vec<ShownRow> {
    let (Some(snapshot), Some(survey)) = (&world.pull.snapshot, current_survey(world)) else { return Vec::new() };
    let of_stack = |stack: &SurveyedStack| {
        let fingerprint = fingerprint(shown_plan(world, survey, stack)?)?.to_owned();
        let shown = crate::gate::Shown { head: snapshot.head.clone(), fingerprint, at };
        Some(ShownRow { stack: stack.stack.name.clone(), base_branch: snapshot.base_branch.clone(), shown })
    };
    let known = |row: &ShownRow| {
        let place = |it: &ShownRow| (it.stack.clone(), it.base_branch.clone(), it.shown.head.clone());
        let last = world.shown.iter().rfind(|old| place(old) == place(row));
        last.is_some_and(|last| last.shown.fingerprint == row.shown.fingerprint)
    };
    let rows = shown(world, survey).filter_map(of_stack).filter(|row| world.may_apply && !known(row));
    rows.collect()
}

/// Applies that began, as deployments.
pub(crate) fn deployments(world: &PullWorld) -> Vec<Deployment> {
    let began = world.applies.iter().filter(|run| run.epoch.is_some() && run.job_started);
    began
        .map(|run| Deployment {
            key: run.id.to_string(),
            stack: run.what.stack.clone(),
            commit: run.what.head.clone(),
            state: match run.state {
                RunState::Applied => DeploymentState::Success,
                RunState::Lost => DeploymentState::Error,
                state if state.is_terminal() => DeploymentState::Failure,
                _ => DeploymentState::InProgress,
            },
            run: RunLink { number: run.number, url: run_url(world, run.number) },
        })
        .collect()
}

/// Under what a plan is noted when it is shown; `None`: there is nothing to read of it.
pub(super) fn fingerprint(plan: &RunRow) -> Option<&str> {
    match plan.state {
        RunState::Planned => plan.document.as_ref().map(|document| document.fingerprint.root.as_str()),
        RunState::NoChange => Some(NO_CHANGE),
        _ => None,
    }
}

/// The plan that a stack's row shows; after the merge only one of what landed, since the others were read before it or
/// not at all.
fn shown_plan<'a>(world: &'a PullWorld, survey: &'a Survey, stack: &SurveyedStack) -> Option<&'a RunRow> {
    match landed_item(world, survey, stack) {
        Some((landing, item)) => {
            landing::told(world, landing, survey, item).plan.filter(|plan| plan.what.landing == Some(landing.id))
        }
        None => answer(world, survey, stack),
    }
}

/// What to show now.
pub(crate) fn decide(world: &PullWorld) -> Shown {
    let Some(snapshot) = &world.pull.snapshot else { return Shown::default() };
    let Some(view) = view(world) else { return Shown::default() };
    // After the end what was said is brought to its end, and nothing new is said.
    if snapshot.state != PullState::Open && world.publications.is_empty() {
        return Shown::default();
    }
    let summary = wants_summary(world, &view.standing).then(|| Summary { view: view.clone() });
    let mut checks = Vec::new();
    if let Standing::Stacks(rows) = &view.standing {
        checks.extend(rows.iter().take(CHILDREN).map(|row| child(world, &view, row)));
    }
    checks.insert(0, aggregate(world, &view, CheckName::Plan));
    if world.may_apply {
        checks.insert(1, aggregate(world, &view, CheckName::Apply));
    }
    checks.extend(configuration(world, snapshot, &view));
    Shown { checks, summary }
}

/// All that there is to say; `None` while it is not known that the repository wants to hear of us.
pub(crate) fn view(world: &PullWorld) -> Option<PullView> {
    let snapshot = world.pull.snapshot.as_ref()?;
    let survey = current_survey(world);
    let standing = match (survey, &world.pull.trouble) {
        (Some(survey), _) if !survey.configured => return None,
        (Some(survey), _) => standing(world, snapshot, survey),
        (None, Some(message)) => Standing::Trouble { message: message.clone() },
        (None, None) if world.pull.survey.as_ref().is_some_and(|old| old.configured) => Standing::Reading,
        (None, None) if !world.publications.is_empty() => Standing::Reading,
        (None, None) => return None,
    };
    Some(PullView {
        repo: world.repo.name.clone(),
        number: world.pull.number,
        head: snapshot.head.clone(),
        base: survey.map(|survey| survey.base.clone()),
        base_branch: snapshot.base_branch.clone(),
        url: format!("{}/{}/pull/{}", world.base_url, world.repo.name, world.pull.number),
        standing,
        notes: Notes {
            not_merged: merge::trouble(world, snapshot).map(str::to_owned),
            ..survey.map(notes).unwrap_or_default()
        },
    })
}

fn standing(world: &PullWorld, snapshot: &PullSnapshot, survey: &Survey) -> Standing {
    if snapshot.fork && !is_allowed(world, snapshot) {
        return Standing::Fork;
    }
    if survey.base_trust == BaseTrust::Untrusted {
        return Standing::UntrustedBase { trust: survey.base_trust };
    }
    if survey.diagnostics.has_errors() {
        return Standing::ConfigErrors(survey.diagnostics.errors().cloned().collect());
    }
    if !survey.conflicts.is_empty() || survey.plan_tree.is_none() {
        return Standing::Conflicts(survey.conflicts.clone());
    }
    let rows: Vec<StackRow> = shown(world, survey).map(|stack| row(world, snapshot, survey, stack)).collect();
    if rows.is_empty() {
        return Standing::Unaffected { changed: survey.changed.clone() };
    }
    let silent = rows.iter().all(|row| row.run.is_none());
    let drafts = shown(world, survey).any(|stack| stack.stack.plan.drafts);
    if snapshot.draft && silent && !drafts { Standing::Draft } else { Standing::Stacks(rows) }
}

/// Affected stacks, and those that someone asked for on this head.
fn shown<'a>(world: &'a PullWorld, survey: &'a Survey) -> impl Iterator<Item = &'a SurveyedStack> {
    survey.stacks.iter().filter(move |stack| {
        let name = &stack.stack.name;
        let asked = |run: &RunRow| run.what.request.is_some() && run.what.head == survey.head;
        survey.affected.affected.iter().any(|hit| &hit.stack == name) || newest(world, name).is_some_and(asked)
    })
}

fn notes(survey: &Survey) -> Notes {
    let warnings = survey.diagnostics.iter().filter(|d| d.severity == model::diagnostic::Severity::Warning);
    Notes {
        warnings: warnings.chain(&survey.affected.diagnostics).cloned().collect(),
        unclaimed: survey.affected.unclaimed.clone(),
        removed: survey.affected.removed.iter().map(|hit| hit.stack.clone()).collect::<Vec<StackName>>(),
        moved: survey.affected.moved.clone(),
        not_yet: survey.not_yet.clone(),
        our_merge: survey.ours && survey.plan_tree.is_some(),
        not_merged: None,
    }
}

/// The last content of a check that is not written any more: of an earlier head, or of a stack that is not shown on
/// this one. `None` when what stands there has an end already and is true of its commit.
pub(crate) fn replaced(mut check: Check, of_head: bool) -> Option<Check> {
    let stop = |row: &mut StackRow| {
        let open = matches!(row.status, RowStatus::Queued { .. } | RowStatus::Blocked { .. } | RowStatus::Running(_));
        if open || of_head {
            (row.status, row.millis, row.since_last) = (RowStatus::Superseded, None, None);
        }
        open || of_head
    };
    let changed = match &mut check.view {
        View::Stack(row) => stop(row),
        // What they say is true of their commit.
        View::Config(_) | View::Group(_) => false,
        View::Pull(view) => match &mut view.standing {
            Standing::Stacks(rows) => rows.iter_mut().map(stop).filter(|stopped| *stopped).count() > 0,
            Standing::Reading => {
                view.standing = Standing::Replaced;
                true
            }
            Standing::Replaced
            | Standing::Fork
            | Standing::UntrustedBase { .. }
            | Standing::Draft
            | Standing::ConfigErrors(_)
            | Standing::Conflicts(_)
            | Standing::Unaffected { .. }
            | Standing::Trouble { .. } => false,
        },
    };
    changed.then_some(check)
}

fn aggregate(world: &PullWorld, view: &PullView, name: CheckName) -> Check {
    let rows: &[StackRow] = if let Standing::Stacks(rows) = &view.standing { rows } else { &[] };
    let runs: Vec<&RunRow> = rows.iter().filter_map(|row| run_of(world, row)).collect();
    let ended = runs.len() == rows.len() && runs.iter().all(|run| run.state.is_terminal());
    Check {
        external_id: external_id(view, &name),
        name,
        details_url: view.url.clone(),
        started_at: runs.iter().filter_map(|run| run.started_at).min(),
        completed_at: runs.iter().filter_map(|run| run.ended_at).max().filter(|_| ended),
        view: View::Pull(Box::new(view.clone())),
        actions: if world.may_apply { actions(world, rows) } else { Vec::new() },
    }
}

/// The check of a changed configuration, while that can still be decided.
fn configuration(world: &PullWorld, snapshot: &PullSnapshot, view: &PullView) -> Option<Check> {
    let survey = current_survey(world).filter(|_| snapshot.state == PullState::Open)?;
    let content = config::view(world, survey)?;
    Some(Check {
        external_id: external_id(view, &CheckName::Config),
        name: CheckName::Config,
        details_url: view.url.clone(),
        started_at: None,
        completed_at: None,
        view: View::Config(Box::new(content)),
        actions: Vec::new(),
    })
}

fn child(world: &PullWorld, view: &PullView, row: &StackRow) -> Check {
    let name = CheckName::Stack(row.stack.clone());
    let run = run_of(world, row);
    Check {
        external_id: external_id(view, &name),
        name,
        details_url: row.run.as_ref().map_or(&view.url, |link| &link.url).clone(),
        view: View::Stack(Box::new(row.clone())),
        started_at: run.and_then(|run| run.started_at),
        completed_at: run.filter(|run| run.state.is_terminal()).and_then(|run| run.ended_at),
        actions: if world.may_apply { actions(world, std::slice::from_ref(row)) } else { Vec::new() },
    }
}

fn external_id(view: &PullView, name: &CheckName) -> String {
    format!("{}#{}:{name}", view.repo, view.number)
}

fn run_of<'a>(world: &'a PullWorld, row: &StackRow) -> Option<&'a RunRow> {
    let link = row.run.as_ref()?;
    world.runs.iter().chain(&world.landed).find(|run| run.number == link.number)
}

/// An existing comment is always edited; a new one needs a reason.
fn wants_summary(world: &PullWorld, standing: &Standing) -> bool {
    let target = summary_target(world);
    if world.publications.iter().any(|row| row.target == target && row.remote_id.is_some()) {
        return true;
    }
    let open = world.pull.snapshot.as_ref().is_some_and(|snapshot| snapshot.state == PullState::Open);
    match world.pull.survey.as_ref().map(|survey| survey.comment_on.as_str()) {
        Some("never") | None => false,
        Some("always") => open && !matches!(standing, Standing::Reading),
        Some(_) => open && worth_a_comment(standing),
    }
}

/// Does something change, fail or wait for a person? What waits for a machine shows in the check.
fn worth_a_comment(standing: &Standing) -> bool {
    match standing {
        Standing::Fork | Standing::ConfigErrors(_) | Standing::Conflicts(_) => true,
        Standing::Reading
        | Standing::Replaced
        | Standing::UntrustedBase { .. }
        | Standing::Draft
        | Standing::Unaffected { .. }
        | Standing::Trouble { .. } => false,
        Standing::Stacks(rows) => rows.iter().any(|row| match &row.status {
            RowStatus::NotYet(_) | RowStatus::Planned(_) | RowStatus::Failed(_) | RowStatus::TimedOut { .. } => true,
            RowStatus::Queued { .. }
            | RowStatus::Blocked { .. }
            | RowStatus::Running(_)
            | RowStatus::NoChange
            | RowStatus::Deferred { .. }
            | RowStatus::Behind { .. }
            | RowStatus::Skipped { .. }
            | RowStatus::Cancelled
            | RowStatus::Closed
            | RowStatus::Superseded => false,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, SURVEYS};
    use super::*;

    fn kind(standing: &Standing) -> String {
        match standing {
            Standing::Stacks(rows) => {
                let cell = |row: &StackRow| {
                    let status = match &row.status {
                        RowStatus::Planned(_) => "Planned".to_owned(),
                        RowStatus::NotYet(needs) => format!("NotYet({})", needs[0].what),
                        RowStatus::Queued { position, .. } => format!("Queued({position:?})"),
                        other => format!("{other:?}"),
                    };
                    format!("{}={status}", row.stack)
                };
                rows.iter().map(cell).collect::<Vec<_>>().join(" ")
            }
            other => format!("{other:?}").split([' ', '(']).next().unwrap_or_default().to_owned(),
        }
    }

    fn line(world: &PullWorld) -> String {
        let shown = decide(world);
        let Some(check) = shown.checks.first() else { return "nothing".to_owned() };
        let View::Pull(view) = &check.view else { panic!("the aggregate comes first") };
        let comment = if shown.summary.is_some() { "comment" } else { "no comment" };
        format!("{} | {} checks, {comment}", kind(&view.standing), shown.checks.len())
    }

    #[test]
    fn each_standing() {
        let mut lines = Vec::new();
        for (name, change) in SURVEYS.iter().chain(sample::MOVES) {
            let mut world = sample::world();
            change(&mut world);
            lines.push(format!("{name}: {}", line(&world)));
        }
        insta::assert_snapshot!(lines.join("\n"), @r"
        unconfigured: nothing
        fork: Fork | 1 checks, comment
        untrusted: UntrustedBase | 1 checks, no comment
        errors: ConfigErrors | 1 checks, comment
        conflicts: Conflicts | 1 checks, comment
        unaffected: Unaffected | 1 checks, no comment
        draft: Draft | 1 checks, no comment
        nothing: dns=Queued(None) network=Queued(None) | 3 checks, no comment
        push: dns=Queued(None) network=Queued(None) | 3 checks, no comment
        changed inputs: dns=Queued(None) network=Queued(None) | 3 checks, no comment
        secret: dns=NotYet(the secret `A`) network=Queued(None) | 3 checks, comment
        by hand: dns=NotYet(`buildit plan -p dns`: it is not planned by itself) network=Queued(None) | 3 checks, comment
        closed: nothing
        reading: Reading | 1 checks, no comment
        trouble: Trouble | 1 checks, no comment
        ");
    }

    #[test]
    fn runs_as_rows_and_when_the_comment_begins() {
        let mut lines = Vec::new();
        for state in RunState::ALL {
            let mut world = sample::world();
            sample::settle(&mut world);
            world.runs[1].state = RunState::NoChange;
            world.runs[0].state = state;
            world.runs[0].document = Some(sample::document(&[("a", "1")]));
            lines.push(line(&world));
        }
        insta::assert_snapshot!(lines.join("\n"), @r#"
        dns=Queued(Some(1)) network=NoChange | 3 checks, no comment
        dns=Running(Preparing) network=NoChange | 3 checks, no comment
        dns=Running(Initializing) network=NoChange | 3 checks, no comment
        dns=Running(Planning) network=NoChange | 3 checks, no comment
        dns=Queued(None) network=NoChange | 3 checks, no comment
        dns=Planned network=NoChange | 3 checks, comment
        dns=NoChange network=NoChange | 3 checks, no comment
        dns=Failed(PlanFailure { phase: "start", headline: "the job ended without a reason; see the run's log", detail: "", file: None, line: None }) network=NoChange | 3 checks, comment
        dns=Cancelled network=NoChange | 3 checks, no comment
        dns=Queued(None) network=NoChange | 3 checks, no comment
        dns=TimedOut { seconds: 1800, tail: "" } network=NoChange | 3 checks, comment
        dns=Queued(None) network=NoChange | 3 checks, no comment
        dns=Queued(None) network=NoChange | 3 checks, no comment
        dns=Queued(None) network=NoChange | 3 checks, no comment
        dns=Queued(None) network=NoChange | 3 checks, no comment
        "#);
    }

    #[test]
    fn an_existing_comment_is_always_edited() {
        let mut world = sample::world();
        world.pull.survey.as_mut().expect("sampled").comment_on = "never".to_owned();
        assert!(decide(&world).summary.is_none());
        let target = summary_target(&world);
        world.publications.push(sample::publication(&target));
        assert!(decide(&world).summary.is_some());
    }

    #[test]
    fn plans_are_compared_item_by_item() {
        let mut world = sample::world();
        sample::settle(&mut world);
        for run in &mut world.runs {
            run.state = RunState::Planned;
            run.document = Some(sample::document(&[("a", "1"), ("b", "1")]));
        }
        sample::push(&mut world, 'c');
        world.pull.survey.as_mut().expect("sampled").stacks[1].inputs_digest = "other".to_owned();
        sample::settle(&mut world);
        world.runs[2].state = RunState::Planned;
        world.runs[2].document = Some(sample::document(&[("b", "2"), ("c", "1")]));
        let Some(Standing::Stacks(rows)) = view(&world).map(|view| view.standing) else { panic!("stacks") };
        let changed: Vec<_> = rows.iter().map(|row| row.since_last.clone().expect("compared").changed).collect();
        assert_eq!(changed, [vec![], vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]]);
    }
}
