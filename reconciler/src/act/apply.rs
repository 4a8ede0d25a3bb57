//! The saga of an apply: what is reviewed is what is applied, at most once.
//!
//! Invariant: the intent is a row before the effect; a job is started under one name and never a second time; what
//! has been done is stored as it happens; a worker that vanished leaves *lost*, never another try.

use std::time::Duration;

use bytes::Bytes;
use model::job::{JobEnd, JobSpec, Outcome, SourceTree};
use model::plan::{PlanFailure, StateSeen};
use model::ports::{ApplyRequest, BlobKey, IacError, JobStatus, StateAccess};
use model::run::{RunEvent, RunState};
use model::stack::ResolvedTool;
use model::time::Timestamp;

use super::run::{end, explained, failure, file};
use super::{Pass, Trouble, recover, secret, state};
use crate::decide::run::stop;
use crate::decide::start::Start;
use crate::gate::{self, ApprovedPlan};
use crate::secrets::Given;
use crate::states::{Access, States};
use crate::store::{Conn, StoreError, gates, locks, pulls, runs};
use crate::world::{Key, RunRow};

/// The file in which the tools leave a state that they cannot store.
const ERRORED: &str = "errored.tfstate";
/// While the plan's own job is being removed, or facts are being read; whoever ends that wakes the run.
const SOON: Duration = Duration::from_secs(1);

/// Starts the job, as far as `decide` lets it. Gives when to look again when it cannot be started yet.
pub(crate) async fn start(pass: &Pass<'_>, run: RunRow, start: Start) -> Result<Option<Timestamp>, Trouble> {
    let Some(plan) = plan_of(pass, &run).await? else {
        return stale(pass, run, "its plan is not known any more").await;
    };
    if !plan.job_removed {
        // The apply runs where the plan's job had its files.
        return Ok(Some(pass.now().after(SOON)));
    }
    if run.epoch.is_some() && pass.parts.executor.status(&run.job()).await? != JobStatus::Absent {
        // It was started before the row could say so.
        return started(pass, run).await;
    }
    let judged = match start {
        Start::Ask => return ask(pass, run).await,
        Start::NotYet => return Ok(Some(pass.now().after(SOON))),
        Start::Stale(reason) => return stale(pass, run, &reason).await,
        Start::Refused(reason) => return held_back(pass, run, &reason).await,
        Start::Judged(judged) => judged,
    };
    let approved = match &run.what.forced {
        Some(who) => gate::force(*judged, who),
        None => gate::approve(*judged),
    };
    let approved = match approved {
        Ok(approved) => approved,
        Err(judged) => {
            let unmet: Vec<String> = judged.unmet().map(ToString::to_string).collect();
            return held_back(pass, run, &unmet.join("; ")).await;
        }
    };
    let material = match gather(pass, &run, &plan).await? {
        Ok(material) => material,
        Err(reason) => return stale(pass, run, reason).await,
    };
    let (run, state) = match grant(pass, run, approved).await? {
        Granted::Yes(run, state) => (*run, state),
        Granted::No(run, reason) => return held_back(pass, *run, &reason).await,
    };
    let spec = job(pass, &run, &plan, material, state)?;
    pass.parts.executor.start(&run.job(), spec).await?;
    started(pass, RunRow { tool: plan.tool, ..run }).await
}

/// What a job is made of.
struct Material {
    given: Given,
    tool: ResolvedTool,
    source: SourceTree,
    plan: Bytes,
    lock: Option<Bytes>,
}

/// What the job is made of, or why there can be none.
async fn gather(pass: &Pass<'_>, run: &RunRow, plan: &RunRow) -> Result<Result<Material, &'static str>, Trouble> {
    let parts = pass.parts;
    let Some(tool) = plan.tool.clone() else { return Ok(Err("it is not known which program planned")) };
    let given = match secret::give(pass, plan).await? {
        Ok(given) if given.versions == plan.what.detail.surveyed.secret_versions => given,
        _ => return Ok(Err("a secret of the stack was changed since it was made")),
    };
    let Some(file) = parts.blobs.get(&BlobKey::new("plan-file", plan.id)).await? else {
        return Ok(Err("its plan file is not stored any more"));
    };
    let lock = parts.blobs.get(&BlobKey::new("lock-file", plan.id)).await?;
    let surveyed = &run.what.detail.surveyed;
    let source = SourceTree::Tar(parts.source.tar(run.repo, &plan.what.tree, &surveyed.paths).await?);
    Ok(Ok(Material { given, tool, source, plan: file, lock }))
}

fn job(
    pass: &Pass<'_>,
    run: &RunRow,
    plan: &RunRow,
    material: Material,
    state: StateAccess,
) -> Result<JobSpec, IacError> {
    pass.parts.iac.apply_job(ApplyRequest {
        stack: &run.what.detail.surveyed.stack,
        tool: &material.tool,
        source: material.source,
        place: plan.job(),
        plan: material.plan.to_vec(),
        lock: material.lock.map(|lock| lock.to_vec()),
        secret_var: material.given.var,
        secret_env: material.given.env,
        state,
    })
}

/// The job is there: whoever reads it begins.
async fn started(pass: &Pass<'_>, mut run: RunRow) -> Result<Option<Timestamp>, Trouble> {
    run.job_started = true;
    let mut tx = pass.write().await?;
    runs::save(&mut tx, &run).await?;
    pass.mark(&mut tx, run.repo, &Key::Attend(run.id)).await?;
    pass.mark(&mut tx, run.repo, &Key::Publish(run.repo, run.pull)).await?;
    pass.commit(tx).await?;
    Ok(None)
}

/// Asks for what GitHub and git say from now on; the run looks again when that is answered.
async fn ask(pass: &Pass<'_>, mut run: RunRow) -> Result<Option<Timestamp>, Trouble> {
    let mut tx = pass.write().await?;
    pass.ask(&mut tx, run.repo, run.pull).await?;
    let row = pulls::pull(&mut tx, run.repo, run.pull).await?.ok_or(StoreError::NoRow)?;
    run.asked = Some(row.asked);
    runs::save(&mut tx, &run).await?;
    pass.commit(tx).await?;
    Ok(Some(pass.now().after(SOON)))
}

enum Granted {
    Yes(Box<RunRow>, StateAccess),
    /// With the reason.
    No(Box<RunRow>, String),
}

/// The intent: from here on the stack's state takes nothing of an older apply. Takes both proofs.
async fn grant(pass: &Pass<'_>, mut run: RunRow, approved: ApprovedPlan) -> Result<Granted, Trouble> {
    let place = state::place(pass, &run)?;
    let mut tx = pass.serial().await?;
    let Some(lock) = locks::held(&mut tx, run.repo, run.pull, run.lock_key().as_ref()).await? else {
        return Ok(Granted::No(Box::new(run), "the stack's lock is not this pull request's".to_owned()));
    };
    if let Some(holder) = States::holder(&mut tx, run.repo, &run.what.stack).await? {
        // Shown, not waited for: nobody knows how long that takes.
        return Ok(Granted::No(Box::new(run), format!("the state is locked by {holder}")));
    }
    let epoch = States::grant_epoch(&mut tx, run.repo, &run.what.stack).await?;
    let state = place.access(pass, &mut tx, &run, Access::Write { epoch }).await?;
    run.epoch = Some(epoch);
    runs::save(&mut tx, &run).await?;
    gates::set_evidence(&mut tx, run.id, approved.gates()).await?;

    pass.commit(tx).await?;
    // The proofs are used up by this one grant.
    drop((lock, approved));
    run.version += 1;
    Ok(Granted::Yes(Box::new(run), state))
}

async fn plan_of(pass: &Pass<'_>, run: &RunRow) -> Result<Option<RunRow>, StoreError> {
    let Some(id) = run.what.plan else { return Ok(None) };
    runs::by_id(&mut *pass.parts.store.read().await?, id).await
}

/// Ends an apply that may not start now; its plan stays as it is.
async fn held_back(pass: &Pass<'_>, run: RunRow, reason: &str) -> Result<Option<Timestamp>, Trouble> {
    let failure = failure("start", &format!("not started: {reason}"));
    end(pass, run, RunEvent::Cancel, Some(failure)).await?;
    Ok(None)
}

async fn stale(pass: &Pass<'_>, run: RunRow, reason: &str) -> Result<Option<Timestamp>, Trouble> {
    let failure = failure("start", &format!("the plan is out of date: {reason}"));
    end(pass, run, RunEvent::Stale, Some(failure)).await?;
    Ok(None)
}

/// Ends the run by what its job left.
pub(crate) async fn finish(pass: &Pass<'_>, run: RunRow) -> Result<(), Trouble> {
    let Some(job) = run.job_end.clone() else { return Ok(()) };
    // The tools name the file; one of that name may have come with the source.
    let left = run.tail.as_ref().is_some_and(|tail| tail.contains(ERRORED)) || job.outcome == Outcome::Vanished;
    let errored = if left { file(pass, &run, ERRORED).await? } else { None };
    let unstored = errored.is_some();
    if let Some(state) = errored {
        // What the tool could not store; whoever mends it needs exactly this.
        pass.parts.blobs.put(&BlobKey::new("errored-state", run.id), state.clone()).await?;
        state::keep_errored(pass, &run, state).await?;
    }
    let mut failure = explained(pass, &run, &job);
    if matches!(job.outcome, Outcome::Interrupted { .. }) && run.interrupted_at.is_some() && stop(&run).is_none() {
        failure.headline = "it was interrupted, since the server was stopped".to_owned();
    }
    let event = event(&job, unstored, run.done, &failure);
    let unknown = if event == RunEvent::Lose { unknown(pass, &run).await? } else { Vec::new() };
    let run = RunRow { unknown, ..run };
    end(pass, run, event, (event != RunEvent::Applied).then_some(failure)).await
}

/// Addresses of what a lost apply made and the state does not know.
pub(super) async fn unknown(pass: &Pass<'_>, run: &RunRow) -> Result<Vec<String>, Trouble> {
    Ok(recover::missing(pass, run).await?.into_iter().map(|(address, _)| address).collect())
}

/// The lineage that the stack's state has after an apply that changed something: that of its plan, or, when there was
/// none, whatever it made.
pub(super) async fn lineage(conn: &mut Conn, run: &RunRow) -> Result<Option<String>, StoreError> {
    let Some(plan) = run.what.plan.filter(|_| run.state == RunState::Applied || run.done > 0) else { return Ok(None) };
    let seen = runs::by_id(conn, plan).await?.and_then(|plan| plan.state_seen);
    Ok(match seen {
        // Nobody knows whether it stored the first state.
        Some(StateSeen::None) if run.state == RunState::Lost => None,
        Some(StateSeen::None) => Some(String::new()),
        Some(StateSeen::State(stamp)) => Some(stamp.lineage),
        None => None,
    })
}

/// What an end means; `unstored`: the tool left its state beside, `done` instances were changed.
fn event(job: &JobEnd, unstored: bool, done: u32, failure: &PlanFailure) -> RunEvent {
    let code = job.step("apply").map(|step| step.code);
    match &job.outcome {
        // The tool was quicker than the interrupt or the timeout.
        _ if code == Some(Some(0)) => RunEvent::Applied,
        // The tool could not bring its state to safety. It ends with 0 or 1 by itself, else by a signal or a crash.
        _ if unstored || code.is_some_and(|code| code != Some(1)) => RunEvent::Lose,
        Outcome::Completed => RunEvent::Applied,
        Outcome::Killed { step } if step == "apply" => RunEvent::Lose,
        Outcome::Vanished => RunEvent::Lose,
        _ if done > 0 => RunEvent::PartlyApplied,
        _ if is_stale(failure) => RunEvent::Stale,
        Outcome::Interrupted { .. } => RunEvent::Cancel,
        Outcome::TimedOut { .. } => RunEvent::TimeOut,
        Outcome::StepFailed { .. } | Outcome::CannotStart { .. } | Outcome::Killed { .. } => RunEvent::Fail,
    }
}

/// The tools' own words for a plan of another state.
fn is_stale(failure: &PlanFailure) -> bool {
    let text = failure.headline.to_lowercase();
    text.contains("saved plan is stale") || text.contains("saved plan does not match the given state")
}

#[cfg(test)]
mod tests {
    use model::job::StepEnd;

    use super::*;

    /// How a job ended, its step `apply` with this code or signal.
    fn ended(outcome: Outcome, apply: Option<(Option<i32>, Option<i32>)>) -> JobEnd {
        let step = |(code, signal)| StepEnd { name: "apply".to_owned(), code, signal, millis: 1 };
        JobEnd { outcome, steps: apply.map(step).into_iter().collect(), at: Timestamp::from_seconds(1), log_dropped: 0 }
    }

    #[test]
    fn every_end_of_a_job_has_its_meaning() {
        let apply = || "apply".to_owned();
        let plain = failure("apply", "creating: no");
        let (well, badly, killed, crashed) =
            (Some((Some(0), None)), Some((Some(1), None)), Some((None, Some(9))), Some((Some(11), None)));
        let table = [
            (Outcome::Completed, well, 0, RunEvent::Applied),
            (Outcome::StepFailed { step: "init".to_owned() }, None, 0, RunEvent::Fail),
            (Outcome::StepFailed { step: apply() }, badly, 0, RunEvent::Fail),
            (Outcome::StepFailed { step: apply() }, badly, 2, RunEvent::PartlyApplied),
            // Whatever it had not stored went with it.
            (Outcome::StepFailed { step: apply() }, killed, 0, RunEvent::Lose),
            (Outcome::StepFailed { step: apply() }, killed, 2, RunEvent::Lose),
            (Outcome::StepFailed { step: apply() }, crashed, 2, RunEvent::Lose),
            (Outcome::TimedOut { step: apply() }, badly, 0, RunEvent::TimeOut),
            (Outcome::TimedOut { step: apply() }, badly, 1, RunEvent::PartlyApplied),
            (Outcome::TimedOut { step: apply() }, killed, 1, RunEvent::Lose),
            (Outcome::TimedOut { step: apply() }, well, 1, RunEvent::Applied),
            (Outcome::Interrupted { step: apply() }, badly, 0, RunEvent::Cancel),
            (Outcome::Interrupted { step: apply() }, badly, 1, RunEvent::PartlyApplied),
            (Outcome::Interrupted { step: apply() }, well, 3, RunEvent::Applied),
            (Outcome::Interrupted { step: "init".to_owned() }, None, 0, RunEvent::Cancel),
            (Outcome::Killed { step: "init".to_owned() }, None, 0, RunEvent::Fail),
            (Outcome::Killed { step: apply() }, killed, 0, RunEvent::Lose),
            (Outcome::Killed { step: apply() }, killed, 3, RunEvent::Lose),
            (Outcome::Vanished, None, 0, RunEvent::Lose),
        ];
        for (outcome, step, done, expected) in table {
            let job = ended(outcome, step);
            assert_eq!(event(&job, false, done, &plain), expected, "{job:?} {done}");
        }
        let failed = ended(Outcome::StepFailed { step: apply() }, badly);
        assert_eq!(event(&failed, true, 2, &plain), RunEvent::Lose, "its state is beside, not where it belongs");
        let stale = failure("apply", "Saved plan is stale: the given plan file can no longer be applied");
        assert_eq!(event(&failed, false, 0, &stale), RunEvent::Stale);
    }
}
