//! Which runs a pull request should have.
//!
//! Owns: creating runs and what is wanted of them. Must never move a run's state, and never decide on facts
//! that are known to be old.

use model::affected::Why;
use model::id::{PullNumber, RunId, StackName};
use model::plan::PlanOptions;
use model::pull::{GateWants, PullSnapshot, PullState};
use model::run::{RunKind, RunState, Wanted};
use model::stack::MergeMethod;
use model::survey::{Survey, SurveyedStack};

use super::order::{self, Order};
use super::{
    answer, apply, automatic, command, current_survey, gates, is_being_applied, line, merge, newest, plannable,
    recover, survey_key,
};
use crate::world::{LockKey, NewRun, Outcome, PullWorld, RunDetail, RunRow, StackOutcome, Waiter};

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Read the pull request from GitHub again.
    Refresh,
    /// Read git and configuration, and store the survey under this key.
    Survey {
        /// See `survey_key`.
        key: String,
    },
    /// Read the comments that were written since.
    Listen,
    /// End a command with what came of it; its runs follow in the same transaction.
    Answer {
        /// Which.
        id: String,
        /// What is told; `None` when nothing is.
        outcome: Option<Box<Outcome>>,
        /// Runs to create, and runs to end.
        steps: Vec<Step>,
    },
    /// Create this run.
    Create(Box<NewRun>),
    /// Read what GitHub says of these requirements.
    ReadGates(Box<GateWants>),
    /// Let go of a lock, and of the place in its line.
    Release {
        /// Which.
        key: LockKey,
        /// Whose.
        pull: PullNumber,
    },
    /// Join the line before a lock.
    Enter {
        /// Which.
        key: LockKey,
        /// Who, and what for.
        waiter: Waiter,
    },
    /// Leave the line before a lock.
    Leave {
        /// Which.
        key: LockKey,
    },
    /// Take a lock that is free for this pull request.
    Take {
        /// Which.
        key: LockKey,
    },
    /// Say that the pull request's facts are old.
    AskPull,
    /// Read git and configuration between a landing's two commits.
    SurveyLanding {
        /// Which.
        landing: i64,
    },
    /// Note that a person asked to apply this plan of what landed.
    AskStack {
        /// Which landing.
        landing: i64,
        /// Which stack.
        stack: StackName,
        /// The plan that they saw.
        plan: RunId,
        /// Who.
        by: String,
        /// Their command.
        request: String,
    },
    /// Note how what landed ended for a stack.
    EndStack {
        /// Which landing.
        landing: i64,
        /// Which stack.
        stack: StackName,
        /// How.
        outcome: StackOutcome,
        /// In words, when a person said so.
        why: String,
        /// Who said so.
        actor: String,
    },
    /// A person says that the state of a stack is the right one, whatever it was before.
    TrustState {
        /// Which stack.
        stack: StackName,
        /// The lineage of the state that they saw; `None`: there was none.
        lineage: Option<String>,
    },
    /// Make the state of a stack what its lost apply could not store.
    PushState {
        /// Which stack.
        stack: StackName,
        /// The version that was kept beside.
        version: i64,
        /// Who says so.
        by: String,
    },
    /// Break the lock of a state.
    BreakLock {
        /// Which stack.
        stack: StackName,
        /// The lock's id.
        lock: String,
    },
    /// Merge it.
    Merge {
        /// How; `None`: the first way that the repository allows.
        method: Option<MergeMethod>,
    },
    /// A person lets this head be planned.
    Allow {
        /// The whole id.
        head: String,
    },
    /// Somebody looked at a frozen stack: it goes on.
    Thaw {
        /// Which.
        stack: StackName,
    },
    /// Every stack of a landing has ended.
    CloseLanding {
        /// Which.
        landing: i64,
    },
    /// Write what is wanted of a run.
    Want {
        /// Which.
        run: RunId,
        /// What.
        wanted: Wanted,
    },
}

/// What the pull request needs now; empty when all is as it should be.
pub(crate) fn decide(world: &PullWorld) -> Vec<Step> {
    let Some(snapshot) = world.pull.snapshot.as_ref().filter(|_| world.pull.asked <= world.pull.seen) else {
        return vec![Step::Refresh];
    };
    let archived = world.repo.snapshot.as_ref().is_some_and(|repo| repo.archived);
    if archived || (snapshot.state != PullState::Open && current_survey(world).is_none()) {
        return end(world, Wanted::Close, |_| true);
    }
    if snapshot.state != PullState::Open {
        let mut steps = end(world, Wanted::Close, |_| true);
        steps.extend(queued_applies(world));
        steps.extend(line::releases(world));
        let asked = world.commands.iter().any(|row| !row.done);
        if asked && snapshot.state == PullState::Closed && world.pull.survey_key != survey_key(world) {
            // Rights are those of the base as it is now, not as it was when the pull request was closed.
            return survey_key(world).map(|key| Step::Survey { key }).into_iter().collect();
        }
        steps.extend(heard(world));
        if steps.is_empty() && world.landing.as_ref().is_some_and(|landing| !landing.done) {
            steps.extend(
                current_survey(world)
                    .and_then(|survey| gates::missing(world, survey, world.now))
                    .map(|wants| Step::ReadGates(Box::new(wants))),
            );
        }
        return steps;
    }
    let Some(survey) = current_survey(world) else {
        // Runs of the old head go on: their inputs may prove to be equal.
        return survey_key(world).map(|key| Step::Survey { key }).into_iter().collect();
    };
    let steps = heard(world);
    if !steps.is_empty() {
        return steps;
    }
    if !plannable(world, snapshot, survey) {
        let mut steps = end(world, Wanted::Supersede, |_| true);
        steps.extend(line::leave_all(world));
        return steps;
    }
    let steps = plans(world, snapshot, survey);
    if !steps.is_empty() {
        return steps;
    }
    // Facts are not waited for by plans.
    if let Some(wants) = gates::missing(world, survey, world.now) {
        return vec![Step::ReadGates(Box::new(wants))];
    }
    let steps = line::turns(world, survey);
    if !steps.is_empty() {
        return steps;
    }
    let steps = line::releases(world);
    if !steps.is_empty() {
        return steps;
    }
    let steps = order::follow(world, survey);
    if !steps.is_empty() {
        return steps;
    }
    merge::decide(world, snapshot, survey).into_iter().collect()
}

/// Ends plans that do not speak for their stacks any more, and asks for those that are missing.
fn plans(world: &PullWorld, snapshot: &PullSnapshot, survey: &Survey) -> Vec<Step> {
    let mut steps = end(world, Wanted::Supersede, |run| !speaks(world, survey, run));
    let wanted = survey.affected.affected.iter().filter_map(|hit| Some((survey.stack(&hit.stack)?, &hit.why)));
    let missing = wanted
        .filter(|(stack, _)| automatic(snapshot, stack) && stack.stack.not_yet.is_empty())
        .filter(|(stack, _)| order::of(world, survey, stack) == Order::Now)
        .filter(|(stack, _)| answer(world, survey, stack).is_none() || apply::again(world, stack).is_some())
        // A plan that an apply overtook is made again when that has ended: before, it would be overtaken again.
        .filter(|(stack, _)| newest(world, &stack.stack.name).is_none() || !is_being_applied(world, &stack.stack.name));
    for (stack, why) in missing {
        let request = apply::again(world, stack);
        let run =
            new_run(survey, stack, why, recover::of(world, &stack.stack.name), request).map(|run| into(snapshot, run));
        steps.extend(run.map(|run| Step::Create(Box::new(run))));
    }
    steps
}

/// The run of a pull request into its base branch.
pub(super) fn into(snapshot: &PullSnapshot, mut run: NewRun) -> NewRun {
    run.detail.into.clone_from(&snapshot.base_branch);
    run
}

/// Of a pull request that is not open any more: applies of its own that have not begun.
fn queued_applies(world: &PullWorld) -> Vec<Step> {
    let queued =
        |run: &&RunRow| run.state == RunState::Queued && run.wanted == Wanted::Run && run.what.landing.is_none();
    world.applies.iter().filter(queued).map(|run| Step::Want { run: run.id, wanted: Wanted::Close }).collect()
}

/// Comments come before runs: what they ask for is seen by the next look. What they ask is judged by facts that are
/// newer than they are.
fn heard(world: &PullWorld) -> Vec<Step> {
    let Some(survey) = current_survey(world).filter(|survey| survey.configured) else {
        return command::decide(world);
    };
    if world.pull.heard < world.pull.asked {
        return vec![Step::Listen];
    }
    let asked = world.commands.iter().any(|row| !row.done);
    match gates::missing(world, survey, world.now).filter(|_| asked) {
        Some(wants) => vec![Step::ReadGates(Box::new(wants))],
        None => command::decide(world),
    }
}

/// Does the run still speak for its stack? It must be affected, or have been asked for on this head.
fn speaks(world: &PullWorld, survey: &Survey, run: &RunRow) -> bool {
    let affected = survey.affected.affected.iter().any(|hit| hit.stack == run.what.stack);
    let asked = run.what.request.is_some() && run.what.head == survey.head;
    let stack = survey.stack(&run.what.stack).filter(|stack| stack.stack.not_yet.is_empty());
    (affected || asked)
        && stack.and_then(|stack| answer(world, survey, stack)).is_some_and(|speaker| speaker.id == run.id)
        && newest(world, &run.what.stack).is_some_and(|last| last.id == run.id)
}

/// Ends the runs that are still wanted.
fn end(world: &PullWorld, wanted: Wanted, which: impl Fn(&RunRow) -> bool) -> Vec<Step> {
    let live = world.runs.iter().filter(|run| !run.state.is_terminal() && run.wanted == Wanted::Run);
    live.filter(|run| which(run)).map(|run| Step::Want { run: run.id, wanted }).collect()
}

/// A run of a stack on the survey's tree; `None` when there is no tree to plan on. Commands create theirs here
/// too, with their comment as `request`.
pub(crate) fn new_run(
    survey: &Survey,
    stack: &SurveyedStack,
    why: &[Why],
    options: PlanOptions,
    request: Option<String>,
) -> Option<NewRun> {
    Some(NewRun {
        kind: RunKind::Plan,
        plan: None,
        stack: stack.stack.name.clone(),
        path: stack.stack.path.clone(),
        head: survey.head.clone(),
        base: survey.base.clone(),
        tree: survey.plan_tree.clone()?,
        inputs: inputs(stack),
        detail: RunDetail { surveyed: stack.clone(), why: why.to_vec(), into: String::new() },
        options,
        request,
        forced: None,
        landing: None,
    })
}

/// Digest of all that a plan of the stack can see and that we know before it starts: files, and the settings
/// that reach the tool (they stand in `.buildit/`, outside of the files).
pub(crate) fn inputs(stack: &SurveyedStack) -> String {
    let s = &stack.stack;
    let inputs: Vec<_> = s.depends_on.iter().filter_map(|it| Some((&it.stack, it.input.as_ref()?))).collect();
    let settings = (
        &s.path,
        &s.workspace,
        &s.tool,
        &s.var,
        &s.env,
        &s.var_files,
        &s.state,
        &stack.directory,
        &stack.secret_versions,
        inputs,
    );
    let text = serde_json::to_string(&(&stack.inputs_digest, settings)).expect("settings are plain data");
    hex::encode(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, SURVEYS};
    use super::*;
    use model::run::RunState;

    fn names(world: &PullWorld) -> String {
        let line = |step: &Step| match step {
            Step::Refresh => "refresh".to_owned(),
            Step::Survey { .. } => "survey".to_owned(),
            Step::Listen => "listen".to_owned(),
            Step::Answer { id, .. } => format!("answer {id}"),
            Step::ReadGates(_) => "read gates".to_owned(),
            Step::AskPull => "ask".to_owned(),
            Step::Take { key } => format!("take {}", key.as_str()),
            Step::SurveyLanding { .. } => "survey what landed".to_owned(),
            Step::AskStack { stack, .. } => format!("asked for {stack}"),
            Step::EndStack { stack, outcome, .. } => format!("end {stack}: {}", outcome.name()),
            Step::CloseLanding { .. } => "close what landed".to_owned(),
            Step::TrustState { stack, .. } => format!("trust the state of {stack}"),
            Step::PushState { stack, .. } => format!("store the state of {stack}"),
            Step::BreakLock { stack, .. } => format!("break the lock of {stack}"),
            Step::Merge { .. } => "merge".to_owned(),
            Step::Allow { head } => format!("allow {head}"),
            Step::Thaw { stack } => format!("thaw {stack}"),
            Step::Release { key, .. } => format!("release {}", key.as_str()),
            Step::Enter { key, .. } => format!("enter the line of {}", key.as_str()),
            Step::Leave { key } => format!("leave the line of {}", key.as_str()),
            Step::Create(run) => format!("create {} at {}", run.stack, run.head.short()),
            Step::Want { run, wanted } => {
                let row = world.runs.iter().find(|row| row.id == *run).expect("a run of this world");
                format!("{} {}", wanted.name(), row.number)
            }
        };
        decide(world).iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn old_facts_come_first_and_then_the_survey() {
        let mut world = sample::world();
        world.pull.asked = world.pull.seen + 1;
        insta::assert_snapshot!(names(&world), @"refresh");
        world.pull.seen = world.pull.asked;
        world.pull.survey_key = None;
        insta::assert_snapshot!(names(&world), @"survey");
    }

    #[test]
    fn affected_stacks_get_runs_unless_something_is_missing_or_off() {
        let mut world = sample::world();
        insta::assert_snapshot!(names(&world), @r"
        create dns at aaaaaaa
        create network at aaaaaaa
        ");
        let survey = world.pull.survey.as_mut().expect("sampled");
        survey.stacks[0].stack.plan.auto = false;
        survey.stacks[1].stack.not_yet.push(sample::secret());
        insta::assert_snapshot!(names(&world), @"");
    }

    #[test]
    fn nothing_runs_where_nothing_may() {
        for (name, change) in SURVEYS {
            let mut world = sample::world();
            sample::settle(&mut world);
            change(&mut world);
            let kept = *name == "draft";
            let expected = if kept { "" } else { "supersede 1\nsupersede 2" };
            assert_eq!(names(&world), expected, "{name}");
            world.runs.clear();
            assert_eq!(names(&world), "", "{name}");
        }
    }

    #[test]
    fn a_push_carries_equal_inputs_and_replaces_the_rest() {
        let mut world = sample::world();
        sample::settle(&mut world);
        world.runs[0].state = RunState::Planned;
        sample::push(&mut world, 'c');
        assert_eq!(names(&world), "", "both carried");
        world.pull.survey.as_mut().expect("sampled").stacks[1].inputs_digest = "other".to_owned();
        insta::assert_snapshot!(names(&world), @r"
        supersede 2
        create network at ccccccc
        ");
        world.runs[0].state = RunState::Failed;
        insta::assert_snapshot!(names(&world), @r"
        supersede 2
        create dns at ccccccc
        create network at ccccccc
        ");
    }

    #[test]
    fn a_changed_variable_is_a_changed_input() {
        let mut world = sample::world();
        sample::settle(&mut world);
        let stack = &mut world.pull.survey.as_mut().expect("sampled").stacks[0].stack;
        stack.var.insert("zone".to_owned(), model::stack::Value::Plain("b".into()));
        insta::assert_snapshot!(names(&world), @r"
        supersede 1
        create dns at aaaaaaa
        ");
    }

    #[test]
    fn a_closed_pull_request_cancels_what_is_live() {
        let mut world = sample::world();
        sample::settle(&mut world);
        world.runs[1].state = RunState::Planned;
        world.pull.snapshot.as_mut().expect("sampled").state = PullState::Closed;
        insta::assert_snapshot!(names(&world), @"close 1");
    }

    #[test]
    fn what_was_cut_off_is_planned_when_the_pull_request_opens_again() {
        let mut world = sample::world();
        sample::settle(&mut world);
        world.runs[1].state = RunState::Planned;
        world.pull.snapshot.as_mut().expect("sampled").state = PullState::Closed;
        sample::settle(&mut world);
        world.pull.snapshot.as_mut().expect("sampled").state = PullState::Open;
        let again = "create dns at aaaaaaa";
        assert_eq!(names(&world), again, "while it still ends");
        world.runs[0].state = RunState::Cancelled;
        assert_eq!(names(&world), again, "when it has ended");
    }

    #[test]
    fn what_was_cancelled_stays_so_until_the_next_push() {
        let mut world = sample::world();
        sample::settle(&mut world);
        world.runs[0].wanted = Wanted::Cancel;
        assert_eq!(names(&world), "");
        world.runs[0].state = RunState::Cancelled;
        assert_eq!(names(&world), "");
        sample::push(&mut world, 'c');
        insta::assert_snapshot!(names(&world), @"create dns at ccccccc");
    }

    #[test]
    fn every_decision_that_is_carried_out_leads_to_none() {
        for state in RunState::ALL {
            for wanted in Wanted::ALL {
                for (name, change) in SURVEYS.iter().chain(sample::MOVES) {
                    let mut world = sample::world();
                    sample::settle(&mut world);
                    (world.runs[0].state, world.runs[0].wanted) = (state, wanted);
                    change(&mut world);
                    // Where the survey is old it comes first, then what follows from it.
                    let passes = if world.pull.survey_key.is_some() { 1 } else { 2 };
                    (0..passes).for_each(|_| sample::settle(&mut world));
                    assert_eq!(decide(&world), [], "{name} {state:?} {wanted:?}");
                }
            }
        }
    }
}
