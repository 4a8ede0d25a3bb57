//! The saga of an apply: what is reviewed is what is applied, at most once.
//!
//! Invariant: the intent is a row before the effect; a job is started under one name and never a second time; what
//! has been done is stored as it happens; a worker that vanished leaves *lost*, never another try.

use std::collections::BTreeMap;
use std::time::Duration;

use model::job::{Outcome, SourceTree};
use model::plan::PlanFailure;
use model::ports::{ApplyRequest, BlobKey};
use model::pull::PullState;
use model::run::{RunEvent, RunState};
use model::stack::ApplyMode;
use model::time::Timestamp;

use super::run::{end, explained, failure, file};
use super::{Pass, Trouble};
use crate::store::{StoreError, pulls, runs};
use crate::world::{Key, RunRow};

/// While the plan's own job is being removed.
const SOON: Duration = Duration::from_secs(1);

/// Starts the job. Gives when to look again when it cannot be started yet.
pub(crate) async fn start(pass: &Pass<'_>, mut run: RunRow) -> Result<Option<Timestamp>, Trouble> {
    let parts = pass.parts;
    let Some(plan) = plan_of(pass, &run).await? else {
        return stale(pass, run, "its plan is not known any more").await;
    };
    if !plan.job_removed {
        // The apply runs where the plan's job had its files.
        return Ok(Some(pass.now().after(SOON)));
    }
    if let Some(reason) = obstacle(pass, &run, &plan).await? {
        return stale(pass, run, &reason).await;
    }
    let Some(file) = parts.blobs.get(&BlobKey::new("plan-file", plan.id)).await? else {
        return stale(pass, run, "its plan file is not stored any more").await;
    };
    let lock = parts.blobs.get(&BlobKey::new("lock-file", plan.id)).await?;
    let surveyed = &run.what.detail.surveyed;
    let Some(tool) = plan.tool.clone() else {
        return stale(pass, run, "it is not known which program planned").await;
    };
    let source = SourceTree::Tar(parts.source.tar(run.repo, &plan.what.tree, &surveyed.paths).await?);
    let spec = parts.iac.apply_job(ApplyRequest {
        stack: &surveyed.stack,
        tool: &tool,
        source,
        place: plan.job(),
        plan: file.to_vec(),
        lock: lock.map(|lock| lock.to_vec()),
        secret_var: BTreeMap::new(),
    })?;
    run.tool = Some(tool);
    if run.epoch.is_none() {
        run = grant(pass, run).await?;
    }
    parts.executor.start(&run.job(), spec).await?;
    run.job_started = true;
    let mut tx = pass.write().await?;
    runs::save(&mut tx, &run).await?;
    pass.mark(&mut tx, run.repo, &Key::Attend(run.id)).await?;
    pass.mark(&mut tx, run.repo, &Key::Publish(run.repo, run.pull)).await?;
    pass.commit(tx).await?;
    Ok(None)
}

/// The intent: from here on the stack's state takes nothing of an older apply.
async fn grant(pass: &Pass<'_>, mut run: RunRow) -> Result<RunRow, StoreError> {
    let mut tx = pass.serial().await?;
    run.epoch = Some(runs::next_epoch(&mut tx, run.repo, &run.what.stack).await?);
    runs::save(&mut tx, &run).await?;
    pass.commit(tx).await?;
    run.version += 1;
    Ok(run)
}

async fn plan_of(pass: &Pass<'_>, run: &RunRow) -> Result<Option<RunRow>, StoreError> {
    let Some(id) = run.what.plan else { return Ok(None) };
    runs::by_id(&mut *pass.parts.store.read().await?, id).await
}

/// What makes the plan invalid now, by what GitHub says at this moment (semantics.md, section 3).
async fn obstacle(pass: &Pass<'_>, run: &RunRow, plan: &RunRow) -> Result<Option<String>, Trouble> {
    let repo = pass.repository(run.repo).await?;
    let now = pass.parts.forge.pull(&repo, run.pull).await?;
    let row = pulls::pull(&mut *pass.parts.store.read().await?, run.repo, run.pull).await?.ok_or(StoreError::NoRow)?;
    let stack = &plan.what.detail.surveyed.stack;
    let merged = matches!(stack.apply, ApplyMode::Merge | ApplyMode::Push | ApplyMode::Manual);
    let wanted = if merged { PullState::Merged } else { PullState::Open };
    let age = plan.ended_at.map(|ended| pass.now().since(ended)).unwrap_or_default();
    let reason = if now.state != wanted {
        "the pull request is not open any more"
    } else if now.head != run.what.head {
        "the pull request has a newer head"
    } else if row.snapshot.is_none_or(|before| before.base_branch != now.base_branch) {
        "the pull request goes into another branch now"
    } else if plan.state != RunState::Planned {
        "it has no plan with changes"
    } else if age > Duration::from_secs(stack.plan.ttl_seconds) {
        "the plan is older than its `ttl`"
    } else {
        return Ok(None);
    };
    Ok(Some(reason.to_owned()))
}

async fn stale(pass: &Pass<'_>, run: RunRow, reason: &str) -> Result<Option<Timestamp>, Trouble> {
    let failure = failure("start", &format!("the plan is out of date: {reason}"));
    end(pass, run, RunEvent::Stale, Some(failure)).await?;
    Ok(None)
}

/// Ends the run by what its job left.
pub(crate) async fn finish(pass: &Pass<'_>, run: RunRow) -> Result<(), Trouble> {
    let Some(job) = run.job_end.clone() else { return Ok(()) };
    if let Some(state) = file(pass, &run, "errored.tfstate").await? {
        // What the tool could not store; whoever mends it needs exactly this.
        pass.parts.blobs.put(&BlobKey::new("errored-state", run.id), state).await?;
    }
    let failure = explained(pass, &run, &job);
    let event = event(&job.outcome, run.done, &failure);
    end(pass, run, event, (event != RunEvent::Applied).then_some(failure)).await
}

/// What an end means; `done` instances were changed.
fn event(outcome: &Outcome, done: u32, failure: &PlanFailure) -> RunEvent {
    match outcome {
        Outcome::Completed => RunEvent::Applied,
        // The tool could not bring its state to safety.
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
    use super::*;

    #[test]
    fn every_end_of_a_job_has_its_meaning() {
        let apply = || "apply".to_owned();
        let plain = failure("apply", "creating: no");
        let table = [
            (Outcome::Completed, 0, RunEvent::Applied),
            (Outcome::StepFailed { step: "init".to_owned() }, 0, RunEvent::Fail),
            (Outcome::StepFailed { step: apply() }, 0, RunEvent::Fail),
            (Outcome::StepFailed { step: apply() }, 2, RunEvent::PartlyApplied),
            (Outcome::TimedOut { step: apply() }, 0, RunEvent::TimeOut),
            (Outcome::TimedOut { step: apply() }, 1, RunEvent::PartlyApplied),
            (Outcome::Interrupted { step: apply() }, 0, RunEvent::Cancel),
            (Outcome::Interrupted { step: apply() }, 1, RunEvent::PartlyApplied),
            (Outcome::Killed { step: "init".to_owned() }, 0, RunEvent::Fail),
            (Outcome::Killed { step: apply() }, 0, RunEvent::Lose),
            (Outcome::Killed { step: apply() }, 3, RunEvent::Lose),
            (Outcome::Vanished, 0, RunEvent::Lose),
        ];
        for (outcome, done, expected) in table {
            assert_eq!(event(&outcome, done, &plain), expected, "{outcome:?} {done}");
        }
        let stale = failure("apply", "Saved plan is stale: the given plan file can no longer be applied");
        assert_eq!(event(&Outcome::StepFailed { step: apply() }, 0, &stale), RunEvent::Stale);
    }
}
