//! What landed on a trusted branch: which plan is applied for it, and what stands before that.
//!
//! Invariant: commits are served in first-parent order, for each stack one at a time. What is applied is the reviewed
//! plan, or one that would do the same; everything else asks a person first.

mod command;
mod told;

pub(super) use command::{ask, discard};
pub(crate) use told::told;

use model::id::StackName;
use model::plan::{PlanDocument, PlanOptions};
use model::publication::ApplyStanding;
use model::pull::{PullSnapshot, PullState};
use model::run::{RunKind, RunState};
use model::stack::{AfterUpstream, ApplyMode};
use model::survey::{BaseTrust, Survey, SurveyedStack};

use super::gates::Beside;
use super::pull::{Step, new_run};
use super::{apply, differing, gates, is_being_applied, line, order, overtaken, publish, recover, speaker};
use crate::gate::{Asked, Judged};
use crate::world::{Before, LandedStack, LandingRow, NewRun, PullWorld, RunRow, ShownRow, StackOutcome};

/// How a stack of a landing stands.
#[derive(Debug)]
pub(crate) enum Stand<'a> {
    /// It has its outcome.
    Ended(StackOutcome),
    /// An earlier commit is served first.
    Behind(&'a Before),
    /// Stacks of the same landing come first.
    After(Vec<StackName>),
    /// What GitHub says of the merged pull request is being read.
    Reading,
    /// A plan is to be made.
    Plan,
    /// It is being planned.
    Planning(&'a RunRow),
    /// It is being applied.
    Applying { plan: Option<&'a RunRow>, apply: &'a RunRow },
    /// It can be noted that it ended like this.
    Ends(StackOutcome),
    /// A person must decide.
    Asks(Question<'a>),
    /// Requirements do not hold.
    Waits { plan: &'a RunRow, judged: Judged },
    /// Somebody else has the lock.
    Locked { plan: Option<&'a RunRow>, locked: ApplyStanding },
    /// It may be applied.
    Go { plan: &'a RunRow, judged: Judged },
}

/// What a person must decide.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// The plan that a command would apply.
    pub(crate) plan: Option<&'a RunRow>,
    /// The apply that stopped.
    pub(crate) apply: Option<&'a RunRow>,
    /// Why nothing goes on by itself.
    pub(crate) why: String,
    /// Addresses that differ from what was reviewed.
    pub(crate) delta: Vec<String>,
    /// It was meant so: nobody is called.
    pub(crate) quiet: bool,
}

/// Stacks that a landing has to serve: those that it affects, unless they are never applied from here.
pub(crate) fn served(survey: &Survey) -> Vec<StackName> {
    let trusted = survey.configured && survey.base_trust == BaseTrust::Trusted && !survey.diagnostics.has_errors();
    let of_stack = |name: &&StackName| survey.stack(name).is_some_and(|it| it.stack.apply != ApplyMode::Never);
    let affected = survey.affected.affected.iter().map(|hit| &hit.stack);
    affected.filter(|_| trusted).filter(of_stack).cloned().collect()
}

/// What a landing needs now; empty when it waits for others.
pub(crate) fn decide(world: &PullWorld) -> Vec<Step> {
    let Some(landing) = world.landing.as_ref().filter(|landing| !landing.done) else { return Vec::new() };
    if !world.may_apply {
        return vec![Step::CloseLanding { landing: landing.id }];
    }
    let Some(survey) = &landing.survey else { return vec![Step::SurveyLanding { landing: landing.id }] };
    if let (Some(_), PullState::Open | PullState::Closed) = (landing.pull, state(world)) {
        // Our facts are older than the merge.
        return vec![Step::AskPull];
    }
    let mut steps: Vec<Step> = landing.stacks.iter().flat_map(|item| one(world, landing, survey, item)).collect();
    if steps.is_empty() && landing.stacks.iter().all(|item| item.outcome.is_some()) {
        steps.push(Step::CloseLanding { landing: landing.id });
    }
    steps
}

fn state(world: &PullWorld) -> PullState {
    world.pull.snapshot.as_ref().map_or(PullState::Open, |snapshot| snapshot.state)
}

fn one(world: &PullWorld, landing: &LandingRow, survey: &Survey, item: &LandedStack) -> Vec<Step> {
    let Some(stack) = survey.stack(&item.stack) else { return end(landing, item, StackOutcome::NotOurs) };
    match stand(world, landing, survey, item) {
        Stand::Ended(_) => line::release(world, stack),
        Stand::Ends(outcome) => end(landing, item, outcome),
        Stand::Plan => line::reserve(world, landing, stack)
            .into_iter()
            .chain(plan(landing, survey, stack, item, recover::of(world, &item.stack)))
            .collect(),
        Stand::Go { plan, .. } => vec![Step::Create(Box::new(apply_run(landing, item, plan)))],
        Stand::Behind(_)
        | Stand::After(_)
        | Stand::Reading
        | Stand::Planning(_)
        | Stand::Applying { .. }
        | Stand::Asks(_)
        | Stand::Waits { .. }
        | Stand::Locked { .. } => line::reserve(world, landing, stack),
    }
}

fn end(landing: &LandingRow, item: &LandedStack, outcome: StackOutcome) -> Vec<Step> {
    vec![Step::EndStack {
        landing: landing.id,
        stack: item.stack.clone(),
        outcome,
        why: String::new(),
        actor: item.asked_by.clone().unwrap_or_default(),
    }]
}

fn plan(
    landing: &LandingRow,
    survey: &Survey,
    stack: &SurveyedStack,
    item: &LandedStack,
    options: PlanOptions,
) -> Option<Step> {
    let why = survey.affected.affected.iter().find(|hit| hit.stack == stack.stack.name);
    let why = why.map(|hit| hit.why.clone()).unwrap_or_default();
    let request = item.request.clone().unwrap_or_else(|| format!("landing:{}", landing.id));
    let mut run = new_run(survey, stack, &why, options, Some(request))?;
    run.landing = Some(landing.id);
    run.detail.into.clone_from(&landing.branch);
    Some(Step::Create(Box::new(run)))
}

fn apply_run(landing: &LandingRow, item: &LandedStack, plan: &RunRow) -> NewRun {
    let request = item.request.clone().unwrap_or_else(|| format!("landing:{}", landing.id));
    NewRun {
        kind: RunKind::Apply,
        plan: Some(plan.id),
        head: landing.commit.clone(),
        request: Some(request),
        landing: Some(landing.id),
        ..plan.what.clone()
    }
}

/// How a stack stands.
pub(crate) fn stand<'a>(
    world: &'a PullWorld,
    landing: &'a LandingRow,
    survey: &'a Survey,
    item: &'a LandedStack,
) -> Stand<'a> {
    if let Some(outcome) = item.outcome {
        return Stand::Ended(outcome);
    }
    if let Some(before) = &item.behind {
        return Stand::Behind(before);
    }
    let Some(stack) = survey.stack(&item.stack) else { return Stand::Ends(StackOutcome::NotOurs) };
    let last = last_apply(world, landing, item);
    match last.map(|run| (run, run.state)) {
        Some((apply, state)) if !state.is_terminal() => {
            let plan = apply.what.plan.and_then(|id| plan_of(world, id));
            return Stand::Applying { plan, apply };
        }
        Some((_, RunState::Applied)) => return Stand::Ends(StackOutcome::Applied),
        Some((apply, RunState::Lost)) if apply::is_frozen(world, &item.stack) => {
            let why = "the apply lost its worker; someone must look first".to_owned();
            return Stand::Asks(Question { plan: None, apply: Some(apply), why, delta: Vec::new(), quiet: false });
        }
        _ => {}
    }
    let before = order::landing_before(world, stack);
    if !before.is_empty() {
        return Stand::After(before);
    }
    if last.is_none() && order::landing_skips(world, survey, stack) {
        return Stand::Ends(StackOutcome::NoChange);
    }
    if landing.pull.is_some() && gates::missing(world, survey, world.now).is_some() {
        return Stand::Reading;
    }
    match candidate(world, landing, stack, last) {
        Candidate::Missing if is_being_applied(world, &item.stack) => match line::locked(world, stack) {
            Some(locked) => Stand::Locked { plan: None, locked },
            None => Stand::Reading,
        },
        Candidate::Missing => Stand::Plan,
        Candidate::Running(run) => Stand::Planning(run),
        Candidate::NoChange => Stand::Ends(StackOutcome::NoChange),
        Candidate::Failed(run) => {
            let why = run.failure.as_ref().map_or(run.state.name(), |failure| failure.headline.as_str());
            let why = format!("there is no plan of the merged commit: {why}");
            Stand::Asks(Question { plan: None, apply: last, why, delta: Vec::new(), quiet: false })
        }
        Candidate::Planned(plan) => planned(world, landing, survey, item, (stack, plan, last)),
    }
}

/// The newest apply of the stack for this landing that was not called off before it began.
fn last_apply<'a>(world: &'a PullWorld, landing: &LandingRow, item: &LandedStack) -> Option<&'a RunRow> {
    let mine = |run: &&RunRow| run.what.landing == Some(landing.id) && run.what.stack == item.stack;
    let began = |run: &&RunRow| run.state != RunState::Cancelled || run.epoch.is_some();
    world.applies.iter().filter(mine).filter(began).max_by_key(|run| run.number)
}

fn plan_of(world: &PullWorld, id: model::id::RunId) -> Option<&RunRow> {
    world.landed.iter().chain(&world.runs).find(|run| run.id == id)
}

enum Candidate<'a> {
    Missing,
    Running(&'a RunRow),
    NoChange,
    Failed(&'a RunRow),
    Planned(&'a RunRow),
}

/// The plan that would be applied: the reviewed one itself when nothing that it saw has moved, else the newest of the
/// landed commit.
fn candidate<'a>(
    world: &'a PullWorld,
    landing: &LandingRow,
    stack: &SurveyedStack,
    last: Option<&RunRow>,
) -> Candidate<'a> {
    let inputs = super::pull::inputs(stack);
    let fits = |run: &RunRow| run.what.inputs == inputs && !overtaken(world, run);
    let mine = |run: &&RunRow| run.what.landing == Some(landing.id) && run.what.stack == stack.stack.name;
    let newest = world.landed.iter().filter(mine).max_by_key(|run| run.number);
    let spent = |run: &RunRow| last.is_some_and(|last| last.number > run.number);
    match newest.filter(|run| fits(run) && !spent(run)) {
        Some(run) if !run.state.is_terminal() => return Candidate::Running(run),
        Some(run) => {
            return match run.state {
                RunState::NoChange => Candidate::NoChange,
                RunState::Planned => Candidate::Planned(run),
                RunState::Superseded => Candidate::Missing,
                _ => Candidate::Failed(run),
            };
        }
        None => {}
    }
    match reviewed(world, stack).filter(|run| newest.is_none() && last.is_none() && fits(run)) {
        Some(run) if run.state == RunState::NoChange => Candidate::NoChange,
        Some(run) if run.state == RunState::Planned && apply::usable(world, run).is_ok() => Candidate::Planned(run),
        _ => Candidate::Missing,
    }
}

/// The plan of the merged head, if people could read what it does before the merge.
fn reviewed<'a>(world: &'a PullWorld, stack: &SurveyedStack) -> Option<&'a RunRow> {
    of_head(world, stack).filter(|plan| was_shown(world, plan))
}

/// The whole plan that was made of the merged head before the merge.
fn of_head<'a>(world: &'a PullWorld, stack: &SurveyedStack) -> Option<&'a RunRow> {
    let survey = world.pull.survey.as_ref()?;
    let snapshot = world.pull.snapshot.as_ref().filter(|snapshot| snapshot.head == survey.head)?;
    let plan = speaker(world, snapshot, survey, survey.stack(&stack.stack.name)?)?;
    let whole = plan.what.options.is_whole();
    (whole && matches!(plan.state, RunState::Planned | RunState::NoChange)).then_some(plan)
}

/// Did a check show what the plan does before it was merged? Else nobody saw it.
fn was_shown(world: &PullWorld, plan: &RunRow) -> bool {
    let Some(fingerprint) = publish::fingerprint(plan) else { return false };
    let seen_at = world.landing.as_ref().map_or(world.now, |landing| landing.seen_at);
    let merged_at =
        world.pull.snapshot.as_ref().and_then(|snapshot| snapshot.merged_at).map_or(seen_at, |at| at.min(seen_at));
    let of_plan = |row: &&ShownRow| {
        (&row.stack, &row.base_branch, &*row.shown.fingerprint)
            == (&plan.what.stack, &plan.what.detail.into, fingerprint)
    };
    world.shown.iter().filter(of_plan).any(|row| row.shown.at < merged_at)
}

/// A plan with changes: may it be applied by itself, or must a person ask?
fn planned<'a>(
    world: &'a PullWorld,
    landing: &'a LandingRow,
    survey: &'a Survey,
    item: &'a LandedStack,
    (stack, plan, last): (&SurveyedStack, &'a RunRow, Option<&'a RunRow>),
) -> Stand<'a> {
    let asks = |why: &str, delta, quiet| {
        Stand::Asks(Question { plan: Some(plan), apply: last, why: why.to_owned(), delta, quiet })
    };
    let seen = reviewed(world, stack);
    if item.asked_plan != Some(plan.id) {
        if last.is_some() {
            return asks("its apply stopped; this is what is left", Vec::new(), false);
        }
        match (stack.stack.apply, landing.pull) {
            (ApplyMode::Merge | ApplyMode::Push, Some(_))
                if seen.is_none() && order::landing_follows(survey, stack) =>
            {
                if stack.stack.apply_options.after_upstream == AfterUpstream::Ask {
                    return asks("what comes before it is applied now, and this is its plan", Vec::new(), false);
                }
            }
            (ApplyMode::Merge | ApplyMode::Push, Some(_)) => {
                if let Some((why, delta)) = unlike(plan, seen) {
                    return asks(why, delta, false);
                }
            }
            (ApplyMode::Push, None) => {}
            (ApplyMode::Comment, Some(_)) if applied_before(world, item) => {
                return asks(
                    "it was applied before the merge, and the merged commit would change more",
                    Vec::new(),
                    false,
                );
            }
            (ApplyMode::Comment, Some(_)) => return asks("it was merged before it was applied", Vec::new(), false),
            (ApplyMode::Manual, Some(_)) => {
                return asks("it is applied when someone asks (`apply on=manual`)", Vec::new(), true);
            }
            (_, None) => return asks("no pull request was reviewed for it", Vec::new(), false),
            (ApplyMode::Never, _) => return Stand::Ends(StackOutcome::NotOurs),
        }
    }
    if let Some(locked) = line::locked(world, stack) {
        return Stand::Locked { plan: Some(plan), locked };
    }
    let judged = judge(world, survey, stack, item, plan);
    if judged.unmet().next().is_some() { Stand::Waits { plan, judged } } else { Stand::Go { plan, judged } }
}

/// Judges the requirements. Where a plan differs from what was reviewed, the approvals of that are none of this one:
/// whoever asks for it by name approves it, as far as their word counts, and others may by a new review.
pub(crate) fn judge(
    world: &PullWorld,
    survey: &Survey,
    stack: &SurveyedStack,
    item: &LandedStack,
    plan: &RunRow,
) -> Judged {
    let asked = item.asked_plan == Some(plan.id);
    let seen = reviewed(world, stack).and_then(|seen| seen.document.as_ref());
    let within = seen.filter(|seen| asked && is_within(plan, seen)).map(|seen| seen.fingerprint.root.as_str());
    let asked = item.request.as_ref().filter(|_| asked);
    let command = asked.and_then(|request| world.commands.iter().find(|row| row.id == *request));
    let asked = command.map(|row| Asked { login: &row.author, bot: row.bot, role: row.role, at: row.created_at });
    gates::judge(world, survey, stack, plan, Beside { within, asked })
}

/// Is everything that the plan does in the other one too?
fn is_within(plan: &RunRow, seen: &PlanDocument) -> bool {
    let Some(document) = &plan.document else { return false };
    let items = &document.fingerprint.items;
    !document.plan_timestamp && !items.is_empty() && items.iter().all(|item| seen.fingerprint.items.contains(item))
}

/// Why a plan is not what was reviewed, and where it differs; `None`: it would do the same.
fn unlike(plan: &RunRow, seen: Option<&RunRow>) -> Option<(&'static str, Vec<String>)> {
    let Some(seen) = seen else { return Some(("it was merged before it was planned", Vec::new())) };
    if seen.id == plan.id {
        return None;
    }
    let (Some(new), Some(old)) = (&plan.document, &seen.document) else {
        let why =
            if seen.state == RunState::NoChange { "no change was reviewed" } else { "the reviewed plan is not kept" };
        return Some((why, Vec::new()));
    };
    if new.plan_timestamp {
        return Some(("`plantimestamp()` makes every plan differ", Vec::new()));
    }
    let same = new.fingerprint.root == old.fingerprint.root;
    (!same).then(|| ("the plan differs from the one that was reviewed", differing(old, new)))
}

/// Was the stack applied in this pull request before the merge?
fn applied_before(world: &PullWorld, item: &LandedStack) -> bool {
    let mine = |run: &&RunRow| run.what.landing.is_none() && run.what.stack == item.stack;
    world.applies.iter().filter(mine).any(|run| run.state == RunState::Applied)
}

/// The survey that speaks for a merged pull request, once there is one.
pub(super) fn survey<'a>(world: &'a PullWorld, snapshot: &PullSnapshot) -> Option<&'a Survey> {
    let landing = world.landing.as_ref().filter(|_| snapshot.state == PullState::Merged)?;
    landing.survey.as_ref()
}
