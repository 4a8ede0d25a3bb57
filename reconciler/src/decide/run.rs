//! What a run needs next.
//!
//! Owns: the order of a run's steps and when a job is stopped. Must never say how a job that ended did: that is
//! read from what it left.

use std::time::Duration;

use model::job::Outcome;
use model::run::{RunEvent, RunKind, RunState, Wanted};
use model::time::Timestamp;

use crate::world::RunRow;

/// From the interrupt to the kill: the job's own grace, and time to tell its end.
const PATIENCE: Duration = Duration::from_secs(90);
/// The same for an apply that someone wants to end now.
const IMPATIENCE: Duration = Duration::from_secs(15);
/// Beyond its timeout and grace a job is not believed to end by itself.
const OVERDUE: Duration = Duration::from_secs(180);
/// A killed job is killed again after this.
const KILL_AGAIN: Duration = Duration::from_secs(30);
/// A plan whose worker vanishes has so many jobs, the first included. What ends them may be the plan itself.
const ATTEMPTS: u32 = 2;
/// A queued run looks by itself after this, should nobody wake it.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The same while this server leaves: the next one is soon there.
const LEFT_ALONE: Duration = Duration::from_secs(5);

/// How far this server is on its way out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// It stays.
    #[default]
    No,
    /// No run gets a place, and no job is started. What runs goes on.
    Soon,
    /// What is applied is interrupted, to store what it has while this server still takes it. Plans go on without
    /// it: they change nothing, and the next server finds them.
    Now,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Take a place if one is free and nobody stands before; else look again then.
    Claim {
        /// When to look again.
        again: Timestamp,
    },
    /// Start the job.
    Start,
    /// Move the state.
    Move(RunEvent),
    /// Read what the job left and end the run.
    Finish,
    /// The job vanished: end the run.
    Lose,
    /// The job vanished, and a plan changes nothing: another one takes its place.
    Again,
    /// Interrupt the job.
    Interrupt,
    /// Kill the job, and look again then.
    Kill {
        /// When to look again.
        again: Timestamp,
    },
    /// Remove what the job left.
    Remove,
    /// Nothing before then.
    Wait(Timestamp),
    /// Nothing any more.
    Done,
}

/// What the run needs now.
pub(crate) fn decide(run: &RunRow, now: Timestamp, leaving: Leaving) -> Step {
    match run.state {
        RunState::Queued => match stop(run) {
            Some(event) => Step::Move(event),
            None if leaving != Leaving::No => Step::Wait(now.after(LEFT_ALONE)),
            None => Step::Claim { again: now.after(LOOK_AGAIN) },
        },
        RunState::Preparing | RunState::Initializing | RunState::Planning | RunState::Applying => {
            active(run, now, leaving)
        }
        RunState::Planned
        | RunState::NoChange
        | RunState::Failed
        | RunState::Cancelled
        | RunState::Superseded
        | RunState::TimedOut
        | RunState::Applied
        | RunState::PartlyApplied
        | RunState::Stale
        | RunState::Lost => {
            // Whoever had a place may have started a job before the row could say so.
            if run.started_at.is_some() && !run.job_removed { Step::Remove } else { Step::Done }
        }
    }
}

fn active(run: &RunRow, now: Timestamp, leaving: Leaving) -> Step {
    let vanished = run.job_lost || run.job_end.as_ref().is_some_and(|end| end.outcome == Outcome::Vanished);
    if vanished && run.what.kind == RunKind::Plan && run.attempt < ATTEMPTS && stop(run).is_none() {
        return Step::Again;
    }
    if run.job_end.is_some() {
        return Step::Finish;
    }
    if run.job_lost {
        // Nobody knows what a lost apply has done, whatever is wanted of it.
        let stopped = stop(run).filter(|_| run.what.kind == RunKind::Plan);
        return stopped.map_or(Step::Lose, Step::Move);
    }
    match stop(run) {
        Some(event) if !run.job_started => Step::Move(event),
        Some(_) if run.wanted == Wanted::CancelNow && run.what.kind == RunKind::Plan => {
            Step::Kill { again: now.after(KILL_AGAIN) }
        }
        Some(_) => ending(run, now),
        None if !run.job_started && leaving != Leaving::No => Step::Wait(now.after(LEFT_ALONE)),
        None if !run.job_started => Step::Start,
        // By a server that left, perhaps.
        None if run.interrupted_at.is_some() => ending(run, now),
        None if leaving == Leaving::Now && run.what.kind == RunKind::Apply => Step::Interrupt,
        None => running(run, now),
    }
}

/// One interrupt, and the kill when it does not end.
fn ending(run: &RunRow, now: Timestamp) -> Step {
    match run.interrupted_at.map(|at| at.after(patience(run))) {
        None => Step::Interrupt,
        Some(until) if now < until => Step::Wait(until),
        Some(_) => Step::Kill { again: now.after(KILL_AGAIN) },
    }
}

/// An apply that is killed loses what it made: it is always interrupted first, and given time to store that.
fn patience(run: &RunRow) -> Duration {
    if run.wanted == Wanted::CancelNow { IMPATIENCE } else { PATIENCE }
}

fn running(run: &RunRow, now: Timestamp) -> Step {
    match (run.phase.as_deref(), run.state) {
        (Some("init"), RunState::Preparing) => return Step::Move(RunEvent::InitStarted),
        (Some("plan" | "show"), RunState::Preparing | RunState::Initializing) => {
            return Step::Move(RunEvent::PlanStarted);
        }
        (Some("apply"), RunState::Preparing | RunState::Initializing) => return Step::Move(RunEvent::ApplyStarted),
        _ => {}
    }
    let limit = Duration::from_secs(run.timeout()).saturating_add(OVERDUE);
    let overdue = run.started_at.unwrap_or(run.created_at).after(limit);
    if now < overdue { Step::Wait(overdue) } else { Step::Kill { again: now.after(KILL_AGAIN) } }
}

/// The event that ends a run that is not wanted any more.
pub(crate) fn stop(run: &RunRow) -> Option<RunEvent> {
    match run.wanted {
        Wanted::Run => None,
        Wanted::Cancel | Wanted::Close | Wanted::CancelNow => Some(RunEvent::Cancel),
        Wanted::Supersede => Some(RunEvent::Supersede),
    }
}

#[cfg(test)]
mod tests {
    use model::job::JobEnd;

    use super::super::sample;
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(10_000);

    fn run() -> RunRow {
        let mut world = sample::world();
        sample::settle(&mut world);
        let mut run = world.runs.remove(0);
        run.state = RunState::Queued;
        run.started_at = None;
        run
    }

    fn started() -> RunRow {
        RunRow { state: RunState::Preparing, started_at: Some(NOW), job_started: true, ..run() }
    }

    #[test]
    fn a_run_goes_its_way() {
        let mut run = run();
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Claim { again: NOW.after(LOOK_AGAIN) });
        (run.state, run.started_at) = (RunState::Preparing, Some(NOW));
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Start);
        run.job_started = true;
        let end = NOW.after(Duration::from_secs(run.timeout()) + OVERDUE);
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Wait(end));
        run.phase = Some("init".to_owned());
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Move(RunEvent::InitStarted));
        run.phase = Some("plan".to_owned());
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Move(RunEvent::PlanStarted));
        run.state = RunState::Planning;
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Wait(end));
        run.job_end = Some(JobEnd { outcome: Outcome::Completed, steps: Vec::new(), at: NOW, log_dropped: 0 });
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Finish);
        run.state = RunState::Planned;
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Remove);
        run.job_removed = true;
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Done);
    }

    #[test]
    fn what_is_not_wanted_is_interrupted_once_and_killed_when_it_does_not_end() {
        let closed = (Wanted::Close, RunEvent::Cancel);
        for (wanted, event) in [(Wanted::Cancel, RunEvent::Cancel), closed, (Wanted::Supersede, RunEvent::Supersede)] {
            let mut run = run();
            run.wanted = wanted;
            assert_eq!(decide(&run, NOW, Leaving::No), Step::Move(event));
            run = RunRow { wanted, ..started() };
            assert_eq!(decide(&run, NOW, Leaving::No), Step::Interrupt);
            run.interrupted_at = Some(NOW);
            assert_eq!(decide(&run, NOW, Leaving::No), Step::Wait(NOW.after(PATIENCE)));
            assert!(matches!(decide(&run, NOW.after(PATIENCE), Leaving::No), Step::Kill { .. }));
            run.job_lost = true;
            assert_eq!(decide(&run, NOW, Leaving::No), Step::Move(event));
        }
    }

    #[test]
    fn now_means_now() {
        let run = RunRow { wanted: Wanted::CancelNow, ..started() };
        assert!(matches!(decide(&run, NOW, Leaving::No), Step::Kill { .. }));
    }

    #[test]
    fn a_job_that_never_ends_is_killed_and_a_vanished_one_ends_the_run() {
        let mut run = started();
        let late = NOW.after(Duration::from_secs(run.timeout()) + OVERDUE);
        assert!(matches!(decide(&run, late, Leaving::No), Step::Kill { .. }));
        run.job_lost = true;
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Again);
        run.attempt = ATTEMPTS;
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Lose);
    }

    #[test]
    fn a_vanished_plan_is_made_once_more_and_an_apply_never() {
        let vanished = JobEnd { outcome: Outcome::Vanished, steps: Vec::new(), at: NOW, log_dropped: 0 };
        let mut run = RunRow { job_end: Some(vanished), ..started() };
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Again);
        run.wanted = Wanted::Cancel;
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Finish, "nobody wants it any more");
        run.wanted = Wanted::Run;
        run.attempt = ATTEMPTS;
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Finish);
        (run.attempt, run.what.kind) = (1, RunKind::Apply);
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Finish);
        (run.job_lost, run.job_end) = (true, None);
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Lose);
    }

    #[test]
    fn a_lost_apply_is_lost_even_when_it_was_cancelled() {
        let mut run = RunRow { wanted: Wanted::Cancel, job_lost: true, ..started() };
        run.what.kind = RunKind::Apply;
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Lose);
        run.what.kind = RunKind::Plan;
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Move(RunEvent::Cancel));
    }

    #[test]
    fn a_job_that_no_row_knows_is_removed_too() {
        let run = RunRow { state: RunState::Cancelled, started_at: Some(NOW), ..run() };
        assert_eq!(decide(&run, NOW, Leaving::No), Step::Remove);
        let never = RunRow { state: RunState::Cancelled, started_at: None, ..run };
        assert_eq!(decide(&never, NOW, Leaving::No), Step::Done);
    }

    #[test]
    fn a_server_that_leaves_begins_nothing() {
        for leaving in [Leaving::Soon, Leaving::Now] {
            let mut run = run();
            let alone = Step::Wait(NOW.after(LEFT_ALONE));
            assert_eq!(decide(&run, NOW, leaving), alone, "it stays in the queue");
            (run.state, run.started_at) = (RunState::Preparing, Some(NOW));
            assert_eq!(decide(&run, NOW, leaving), alone, "it keeps its place for the next server");
            run.wanted = Wanted::Cancel;
            assert_eq!(decide(&run, NOW, leaving), Step::Move(RunEvent::Cancel));
        }
    }

    #[test]
    fn a_server_that_leaves_interrupts_applies_once_and_no_plans() {
        let mut run = started();
        assert!(matches!(decide(&run, NOW, Leaving::Now), Step::Wait(_)), "a plan is found again");
        run.what.kind = RunKind::Apply;
        assert!(matches!(decide(&run, NOW, Leaving::Soon), Step::Wait(_)), "it may end by itself");
        assert_eq!(decide(&run, NOW, Leaving::Now), Step::Interrupt);
        run.interrupted_at = Some(NOW);
        for leaving in [Leaving::Now, Leaving::No] {
            assert_eq!(decide(&run, NOW, leaving), Step::Wait(NOW.after(PATIENCE)));
            assert!(matches!(decide(&run, NOW.after(PATIENCE), leaving), Step::Kill { .. }));
        }
    }
}
