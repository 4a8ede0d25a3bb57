//! Which facts a pull request's requirements want, and what `gate` says of them.
//!
//! Invariant: fails closed: what is not known, or was read before it was asked for, does not hold.

use std::time::Duration;

use model::access::Right;
use model::id::StackName;
use model::publication::CheckName;
use model::pull::{Fact, GateFacts, GateWants, PullState};
use model::stack::ApplyMode;
use model::survey::{Survey, SurveyedStack};
use model::time::Timestamp;
use model::who::{Person, Teams};

use super::apply;
use crate::gate::{self, Asked, Context, Divergence, Judged, PlanFacts, Shown, Way};
use crate::world::{CommandRow, NOBODY, PullWorld, RunRow};

/// While GitHub computes whether it merges, it is asked again after these pauses, in seconds; then a webhook or the
/// next look at everything must do.
const PAUSES: [u64; 7] = [1, 3, 7, 15, 30, 60, 120];

/// What is wanted of GitHub: for what may be applied from here, and for commands that wait, whose rights may hang on
/// teams. `None`: nothing.
fn wants(world: &PullWorld, survey: &Survey) -> Option<GateWants> {
    let affected = |stack: &&SurveyedStack| survey.affected.affected.iter().any(|hit| hit.stack == stack.stack.name);
    let applied = |stack: &&SurveyedStack| stack.stack.apply != ApplyMode::Never;
    let stacks: Vec<_> = survey.stacks.iter().filter(affected).filter(applied).map(|stack| &stack.stack).collect();
    let judged = world.may_apply && !stacks.is_empty();
    let mut wants = if judged { GateWants::of(stacks, &survey.access) } else { GateWants::default() };
    // Whoever asked for an apply must have the right to when it starts.
    let begins = |run: &&RunRow| !run.state.is_terminal() && !run.job_started;
    let asked = world.applies.iter().filter(begins).filter_map(|run| asker(world, run));
    wants.people.extend(asked.map(|row| row.author.to_ascii_lowercase()));
    if !wants.people.is_empty() || world.commands.iter().any(|row| !row.done) {
        wants.teams_of(&survey.access);
        survey.stacks.iter().for_each(|stack| wants.teams_of(&stack.stack.access));
    }
    (judged || wants != GateWants::default()).then_some(wants)
}

/// Must the facts be read before anything is judged by them?
pub(crate) fn missing(world: &PullWorld, survey: &Survey, now: Timestamp) -> Option<GateWants> {
    let wants = wants(world, survey)?;
    let snapshot = world.pull.snapshot.as_ref()?;
    let row = &world.pull.gates;
    let old = match &row.facts {
        None => true,
        Some(facts) => {
            row.seen < world.pull.seen
                || facts.head != snapshot.head
                || facts.state != snapshot.state
                || facts.base_branch != snapshot.base_branch
                || !wants.within(&facts.wants)
                || computed_at(world).is_some_and(|at| at <= now)
        }
    };
    old.then_some(wants)
}

/// May a requirement ask for this check of ours? What was read of it is old once it ends.
pub(crate) fn asks_for(world: &PullWorld, check: &CheckName) -> bool {
    let wanted = super::current_survey(world).and_then(|survey| wants(world, survey)).is_some_and(|it| it.checks);
    wanted
        && *check != CheckName::Apply
        && match world.pull.gates.facts.as_ref().map(|facts| &facts.required) {
            Some(Fact::Is(required)) => required.iter().any(|it| it.context == check.to_string()),
            _ => true,
        }
}

/// When GitHub, which is computing whether the pull request merges, is asked again.
fn computed_at(world: &PullWorld) -> Option<Timestamp> {
    let row = &world.pull.gates;
    row.facts.as_ref().filter(|facts| facts.mergeable.is_none() && facts.state == PullState::Open)?;
    let tries = usize::try_from(row.tries).unwrap_or(usize::MAX).saturating_sub(1);
    Some(row.at?.after(Duration::from_secs(*PAUSES.get(tries)?)))
}

/// When to look again although nobody says that something changed: GitHub computes, or a window opens or closes.
pub(crate) fn again(world: &PullWorld) -> Option<Timestamp> {
    let landed = world.landing.as_ref().filter(|landing| !landing.done).and_then(|landing| landing.survey.as_ref());
    let survey = super::current_survey(world).or(landed)?;
    wants(world, survey)?;
    let windows = survey.stacks.iter().flat_map(|stack| &stack.stack.require.windows);
    let turns = windows.flat_map(|windows| &windows.any).filter_map(|window| match window.at(world.now) {
        model::window::Opening::Open { until } => Some(until),
        model::window::Opening::Closed { next } => next,
    });
    let merging = world.pull.snapshot.as_ref().and_then(|snapshot| super::merge::again(world, snapshot));
    turns.chain(computed_at(world)).chain(merging.filter(|at| *at > world.now)).min()
}

/// The facts, when they answer the newest request and are of this head.
pub(crate) fn facts(world: &PullWorld) -> Option<&GateFacts> {
    let row = &world.pull.gates;
    row.facts.as_ref().filter(|_| row.seen >= world.pull.seen)
}

/// The command that an apply comes from; `None`: nobody asked for it by a command.
fn asker<'a>(world: &'a PullWorld, apply: &RunRow) -> Option<&'a CommandRow> {
    let request = apply.what.request.as_ref()?;
    world.commands.iter().find(|row| &row.id == request)
}

/// May whoever asked for an apply still do so, by the rules and with the right that there are now?
pub(crate) fn still_may(world: &PullWorld, stack: &SurveyedStack, apply: &RunRow) -> Result<(), String> {
    let Some(row) = asker(world, apply) else { return Ok(()) };
    let nobody = Teams::none();
    let facts = facts(world);
    let known = facts.and_then(|facts| facts.roles.get(&row.author.to_ascii_lowercase())).copied();
    let author = world.pull.snapshot.as_ref().map(|snapshot| snapshot.author.eq_ignore_ascii_case(&row.author));
    let person = Person {
        login: &row.author,
        bot: row.bot,
        role: known.or(row.role),
        is_author: author,
        teams: facts.map_or(&nobody, |facts| &facts.teams),
    };
    let right = if apply.what.forced.is_some() { Right::ForceApply } else { Right::Apply };
    let who = |reason| format!("{} asked for it, and may not any more: {reason}", row.author);
    stack.stack.access.may(right, &person).map_err(who)
}

/// What counts of a plan that landed beside the approvals of its own fingerprint.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Beside<'a> {
    /// The fingerprint of a reviewed plan that holds all that this one does.
    pub(crate) within: Option<&'a str>,
    /// Whoever asked for exactly this plan.
    pub(crate) asked: Option<Asked<'a>>,
}

/// Judges every requirement of a stack's plan, which was made for these inputs and this base or carried to them.
pub(crate) fn judge(
    world: &PullWorld,
    survey: &Survey,
    stack: &SurveyedStack,
    plan: &RunRow,
    beside: Beside<'_>,
) -> Judged {
    let snapshot = world.pull.snapshot.as_ref();
    let landed = world.landing.as_ref().filter(|_| snapshot.is_none_or(|it| it.state == PullState::Merged));
    let into = landed.map(|landing| &landing.branch).or(snapshot.map(|snapshot| &snapshot.base_branch));
    let into = into.map_or("", String::as_str);
    let of_stack = world.shown.iter().filter(|row| row.stack == stack.stack.name && row.base_branch == into);
    let shown: Vec<Shown> = of_stack.map(|row| row.shown.clone()).collect();
    let head = snapshot.map_or(&survey.head, |snapshot| &snapshot.head);
    let closed = snapshot.is_some_and(|snapshot| snapshot.state == PullState::Closed);
    let way = match (world.pull.number == NOBODY, stack.stack.apply) {
        (false, _) if closed => Way::Closed,
        (false, _) => Way::Pull,
        (true, ApplyMode::Push) => Way::OnPush,
        (true, _) => Way::Push,
    };
    let context = Context {
        plan: PlanFacts {
            run: plan.id,
            stack: &stack.stack.name,
            head,
            into,
            fingerprint: plan.document.as_ref().map_or("", |document| document.fingerprint.root.as_str()),
            shown: &shown,
            since: world.pull.since,
            within: beside.within,
            asked: beside.asked,
        },
        way,
        trusted: apply::is_trusted(survey),
        app: world.app,
        divergence: divergence(survey, plan),
        frozen: frozen(world, &stack.stack.name),
        waits_for: apply::waits_for(world, survey, stack),
        state_moved: apply::state_moved(world, plan),
        base_error: survey.trusted_errors.errors().next().map(|error| error.summary.clone()),
    };
    gate::judge(&stack.stack.require, facts(world), &context, world.now)
}

/// The plan's inputs are those of the survey, which is of the newest base: what moved does not concern the stack.
fn divergence(survey: &Survey, plan: &RunRow) -> Fact<Divergence> {
    let moved = (plan.what.base != survey.base).then(|| (plan.what.base.clone(), survey.base.clone()));
    Fact::Is(Divergence { moved, touching: Vec::new() })
}

/// Who holds every apply of the stack back.
fn frozen(world: &PullWorld, stack: &StackName) -> Option<String> {
    let own = || world.stacks.get(stack).and_then(|facts| facts.frozen.clone());
    let off = (!world.may_apply).then(|| "this server applies nothing".to_owned());
    off.or_else(|| world.freeze.clone()).or_else(own)
}
