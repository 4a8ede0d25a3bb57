//! What comes of a comment: runs, ends of runs, and an answer.
//!
//! Owns: who may use which verb and what each does. A command counts only as first written, by a person with the
//! right on the repository; whatever is refused says why. Must never act on facts older than the comment.

use model::affected::Why;
use model::command::{self, Command, Selector, Verb};
use model::id::RunId;
use model::plan::PlanOptions;
use model::publication::ReplyPart;
use model::pull::{PullSnapshot, PullState, Role};
use model::run::Wanted;
use model::survey::{BaseTrust, Survey, SurveyedStack};

use super::pull::{Step, new_run};
use super::{current_survey, publish};
use crate::world::{CommandRow, Outcome, PullWorld};

/// Answers to the commands that wait, oldest first.
pub(crate) fn decide(world: &PullWorld) -> Vec<Step> {
    let Some(snapshot) = &world.pull.snapshot else { return Vec::new() };
    let Some(survey) = current_survey(world) else { return Vec::new() };
    let waiting = world.commands.iter().filter(|row| !row.done && row.role.is_some());
    waiting.map(|row| answer(&Scene { world, snapshot, survey, row }, row)).collect()
}

/// All that an answer depends on.
struct Scene<'a> {
    world: &'a PullWorld,
    snapshot: &'a PullSnapshot,
    survey: &'a Survey,
    row: &'a CommandRow,
}

/// What a line comes to, or why it is refused.
type Line = Result<(Vec<Step>, Option<ReplyPart>), String>;

fn answer(scene: &Scene<'_>, row: &CommandRow) -> Step {
    let done = |outcome| Step::Answer { id: row.id.clone(), outcome, steps: Vec::new() };
    let lines = command::parse(&row.body, &scene.survey.prefixes, &scene.world.slug);
    if row.bot || lines.is_empty() {
        return done(None);
    }
    let role = row.role.unwrap_or(Role::None);
    if role < Role::Read {
        // Not even told that this is a place where commands are heard.
        return done(Some(Box::new(Outcome { refused: true, ..Outcome::default() })));
    }
    if row.edited {
        let reason = "the comment was edited, and only what was first written counts; please write a new one";
        return done(Some(Box::new(Outcome {
            refused: true,
            parts: vec![refused(reason.to_owned())],
            ..Outcome::default()
        })));
    }
    let mut outcome = Outcome::default();
    let mut steps = Vec::new();
    for line in lines {
        let come = match line {
            Ok(command) => carry_out(scene, &command, role).map_err(refused),
            Err(error) => Err(ReplyPart::Error(error)),
        };
        match come {
            Ok((more, part)) => {
                outcome.accepted = true;
                steps.extend(more);
                outcome.parts.extend(part);
            }
            Err(part) => {
                outcome.refused = true;
                outcome.parts.push(part);
            }
        }
    }
    Step::Answer { id: row.id.clone(), outcome: Some(Box::new(outcome)), steps }
}

fn refused(reason: String) -> ReplyPart {
    ReplyPart::Refused { reason }
}

fn carry_out(scene: &Scene<'_>, command: &Command, role: Role) -> Line {
    let world = scene.world;
    let told = |part| Ok((Vec::new(), Some(part)));
    let view =
        || publish::view(world).map(Box::new).ok_or_else(|| "nothing is known of this pull request yet".to_owned());
    match &command.verb {
        Verb::Help => told(ReplyPart::Help { role, url: format!("{}/help/comments", world.base_url) }),
        Verb::Version => told(ReplyPart::Version),
        Verb::Status => told(ReplyPart::Status(view()?)),
        Verb::Why => {
            let picked = picked(scene, &command.select)?;
            let mut affected = scene.survey.affected.clone();
            affected.affected.retain(|hit| picked.iter().any(|stack| stack.stack.name == hit.stack));
            told(ReplyPart::Why { view: view()?, affected })
        }
        Verb::Config => {
            let stacks = picked(scene, &command.select)?;
            let texts: Vec<String> = stacks.iter().map(|stack| stack.stack.describe()).collect();
            told(ReplyPart::Config(texts.join("\n")))
        }
        Verb::Plan(options) => {
            may(role, "plan")?;
            plan(scene, &command.select, options)
        }
        Verb::Cancel { now } => {
            may(role, "cancel")?;
            cancel(scene, &command.select, *now)
        }
        Verb::NotYet(verb) => Err(format!("this version does not carry out `{verb}`")),
    }
}

fn may(role: Role, verb: &str) -> Result<(), String> {
    let reason = format!("`{verb}` needs the right to push to this repository (role write)");
    if role >= Role::Write { Ok(()) } else { Err(reason) }
}

/// The stacks that a selector means; without one the affected stacks.
fn picked<'a>(scene: &Scene<'a>, select: &Selector) -> Result<Vec<&'a SurveyedStack>, String> {
    let survey = scene.survey;
    let affected = |stack: &SurveyedStack| survey.affected.affected.iter().any(|hit| hit.stack == stack.stack.name);
    if select.is_empty() {
        return Ok(survey.stacks.iter().filter(|stack| affected(stack)).collect());
    }
    if let Some(name) = select.names.iter().find(|name| !survey.stacks.iter().any(|s| named(name).picks(&s.stack))) {
        let near = survey.stacks.iter().map(|stack| stack.stack.name.as_str());
        let near = near.max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(format!("there is no stack `{name}` here{hint}"));
    }
    let stacks: Vec<_> = survey.stacks.iter().filter(|stack| select.picks(&stack.stack)).collect();
    if stacks.is_empty() { Err("no stack is selected by this".to_owned()) } else { Ok(stacks) }
}

fn named(name: &str) -> Selector {
    Selector { names: vec![name.to_owned()], ..Selector::default() }
}

fn plan(scene: &Scene<'_>, select: &Selector, options: &PlanOptions) -> Line {
    let Scene { snapshot, survey, row, .. } = scene;
    let stacks = picked(scene, select)?;
    if let Some(reason) = obstacle(snapshot, survey) {
        return Err(reason);
    }
    let why = |stack: &SurveyedStack| survey.affected.affected.iter().find(|hit| hit.stack == stack.stack.name);
    let mut steps = Vec::new();
    for stack in stacks {
        let name = &stack.stack.name;
        let restricted = stack.stack.plan.restrict && why(stack).is_none();
        if restricted {
            return Err(format!("`{name}` is not affected here, and its configuration restricts plans to that"));
        }
        if let Some(needs) = stack.stack.not_yet.first() {
            if select.is_empty() {
                continue;
            }
            return Err(format!("a plan of `{name}` needs {}, which this version cannot give", needs.what));
        }
        let reasons: Vec<Why> = why(stack).map(|hit| hit.why.clone()).unwrap_or_default();
        let run = new_run(survey, stack, &reasons, options.clone(), Some(row.id.clone()));
        steps.extend(run.map(|run| Step::Create(Box::new(run))));
    }
    let told = steps.is_empty().then(|| ReplyPart::Done { message: "There is nothing to plan here.".to_owned() });
    Ok((steps, told))
}

/// What stands in the way of every plan.
fn obstacle(snapshot: &PullSnapshot, survey: &Survey) -> Option<String> {
    let reason = if snapshot.state != PullState::Open {
        "the pull request is not open"
    } else if snapshot.fork {
        "the pull request comes from a fork, and this version runs nothing of a fork"
    } else if survey.base_trust == BaseTrust::Untrusted {
        "the base branch is not one that the configuration trusts"
    } else if survey.diagnostics.has_errors() {
        "the configuration has errors; they stand in the check `buildit/plan`"
    } else if !survey.conflicts.is_empty() || survey.plan_tree.is_none() {
        "the pull request has merge conflicts"
    } else {
        return None;
    };
    Some(reason.to_owned())
}

fn cancel(scene: &Scene<'_>, select: &Selector, now: bool) -> Line {
    let wanted = if now { Wanted::CancelNow } else { Wanted::Cancel };
    let stacks = if select.is_empty() { None } else { Some(picked(scene, select)?) };
    let chosen = |run: &crate::world::RunRow| {
        stacks.as_ref().is_none_or(|stacks| stacks.iter().any(|stack| stack.stack.name == run.what.stack))
    };
    let stops = |run: &crate::world::RunRow| run.wanted == Wanted::Run || (now && run.wanted == Wanted::Cancel);
    let live = scene.world.runs.iter().filter(|run| !run.state.is_terminal() && stops(run) && chosen(run));
    let runs: Vec<RunId> = live.map(|run| run.id).collect();
    if runs.is_empty() {
        return Err("no plan is queued or running".to_owned());
    }
    Ok((runs.into_iter().map(|run| Step::Want { run, wanted }).collect(), None))
}
