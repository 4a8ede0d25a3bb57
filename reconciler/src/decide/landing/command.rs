//! Commands on a merged pull request.

use model::access::Right;
use model::command::Selector;
use model::publication::ReplyPart;
use model::survey::{Survey, SurveyedStack};

use super::{Question, Stand, stand};
use crate::decide::command::{Line, Scene, picked};
use crate::decide::pull::Step;
use crate::decide::{apply, line};
use crate::world::{LandingRow, PullWorld, RunRow, StackOutcome};

/// `buildit apply` on a merged pull request: what a person asks for is applied, although nobody reviewed just that.
pub(in crate::decide) fn ask(scene: &Scene<'_>, select: &Selector) -> Line {
    let Some((landing, survey)) = open(scene.world) else {
        return Err("the pull request is merged, and nothing of it waits".to_owned());
    };
    let (mut steps, mut left_out) = (Vec::new(), Vec::new());
    for stack in picked(scene, select)? {
        let name = &stack.stack.name;
        match askable(scene, landing, survey, stack) {
            Ok(plan) => steps.push(Step::AskStack {
                landing: landing.id,
                stack: name.clone(),
                plan: plan.id,
                by: scene.row.author.clone(),
                request: scene.row.id.clone(),
            }),
            Err(reason) if select.is_empty() => left_out.push(format!("`{name}`: {reason}")),
            Err(reason) => return Err(format!("`{name}`: {reason}")),
        }
    }
    if steps.is_empty() {
        return Err(format!("nothing can be applied now. {}", left_out.join("; ")));
    }
    let message = format!("Left out: {}.", left_out.join("; "));
    Ok((steps, (!left_out.is_empty()).then_some(ReplyPart::Done { message })))
}

fn open(world: &PullWorld) -> Option<(&LandingRow, &Survey)> {
    let landing = world.landing.as_ref().filter(|landing| !landing.done)?;
    Some((landing, landing.survey.as_ref()?))
}

fn askable<'a>(
    scene: &Scene<'a>,
    landing: &'a LandingRow,
    survey: &'a Survey,
    stack: &SurveyedStack,
) -> Result<&'a RunRow, String> {
    let item = landing.stacks.iter().find(|item| item.stack == stack.stack.name);
    let item = item.ok_or("what was merged does not change it")?;
    stack.stack.access.may(Right::Apply, &scene.person())?;
    let plan = match stand(scene.world, landing, survey, item) {
        Stand::Asks(Question { plan: Some(plan), .. }) => plan,
        Stand::Asks(Question { why, .. }) => return Err(why),
        Stand::Ended(outcome) | Stand::Ends(outcome) => return Err(format!("it has ended: {}", outcome.name())),
        Stand::After(_) => return Err("stacks that it depends on come first".to_owned()),
        Stand::Behind(_) => return Err("an earlier commit is served first".to_owned()),
        Stand::Plan | Stand::Planning(_) | Stand::Reading => {
            return Err("it is being planned; read that first".to_owned());
        }
        Stand::Applying { .. } | Stand::Go { .. } => return Err("it is being applied".to_owned()),
        Stand::Locked { .. } => return Err(format!("it is locked: {}", line::words(scene.world, stack))),
        Stand::Waits { judged, .. } => {
            let unmet: Vec<String> = judged.unmet().map(ToString::to_string).collect();
            return Err(format!("waits for {}", unmet.join("; ")));
        }
    };
    apply::was_read(scene, plan).map(|()| plan)
}

/// `buildit discard`: a merged change is given up; it shows in the next plan, which asks.
pub(in crate::decide) fn discard(scene: &Scene<'_>, select: &Selector, why: &str) -> Line {
    let Some((landing, _)) = open(scene.world) else {
        return Err("nothing that was merged here waits".to_owned());
    };
    let mut steps = Vec::new();
    for stack in picked(scene, select)? {
        let name = &stack.stack.name;
        let item = landing.stacks.iter().find(|item| item.stack == *name && item.outcome.is_none());
        item.ok_or_else(|| format!("nothing of `{name}` waits"))?;
        stack.stack.access.may(Right::Discard, &scene.person()).map_err(|reason| format!("`{name}`: {reason}"))?;
        if scene.world.applies.iter().any(|run| run.what.stack == *name && !run.state.is_terminal()) {
            return Err(format!("`{name}` is being applied; `buildit cancel` stops that first"));
        }
        steps.push(Step::EndStack {
            landing: landing.id,
            stack: name.clone(),
            outcome: StackOutcome::Discarded,
            why: why.to_owned(),
            actor: scene.row.author.clone(),
        });
    }
    Ok((steps, None))
}
