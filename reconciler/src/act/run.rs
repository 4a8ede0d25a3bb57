//! A run's steps: its place, its job, its end.
//!
//! Invariant: a job is started under a name that a restart finds again, and the row says so only afterwards; a run
//! that had a place gives it on when it ends.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use model::id::FileName;
use model::job::{JobEnd, Outcome, SourceTree};
use model::plan::{PlanDocument, PlanFailure};
use model::ports::{BlobKey, ExecError, PlanRequest};
use model::run::{RunEvent, RunKind, RunState};
use model::time::Timestamp;
use ring::hmac;
use secrecy::SecretString;

use super::{Pass, Trouble, apply, order, recover, secret, state};
use crate::decide::run::{Step, stop};
use crate::states::States;
use crate::store::{Conn, StoreError, due, landings, pulls, runs, states};
use crate::world::{Key, NOBODY, RunRow};

/// So many pull requests at the head of the queue hear at once that it moved, and so many in all after the pause.
const QUEUE_FRONT: usize = 5;
const QUEUE_TOLD: usize = 25;
const QUEUE_PAUSE: Duration = Duration::from_secs(60);
/// A plan document larger than this is not read.
const DOCUMENT_LIMIT: usize = 256 * 1024 * 1024;

/// Carries one step out. Gives when to look again when nothing more is to be done before.
pub(crate) async fn carry_out(pass: &Pass<'_>, run: RunRow, step: Step) -> Result<Option<Timestamp>, Trouble> {
    let executor = &pass.parts.executor;
    match step {
        Step::Claim { again } => return Ok((!claim(pass, run).await?).then_some(again)),
        Step::Start => start(pass, run).await?,
        Step::Move(event) => end(pass, run, event, None).await?,
        Step::Finish if run.what.kind == RunKind::Apply => apply::finish(pass, run).await?,
        Step::Finish => finish(pass, run).await?,
        Step::Lose if run.what.kind == RunKind::Apply => {
            let headline = "the worker of this apply vanished; nothing was started again, and someone must look";
            let unknown = apply::unknown(pass, &run).await?;
            end(pass, RunRow { unknown, ..run }, RunEvent::Lose, Some(failure("apply", headline))).await?;
        }
        Step::Lose => vanished(pass, run).await?,
        Step::Again => again(pass, run).await?,
        Step::Interrupt => {
            executor.interrupt(&run.job()).await?;
            let now = pass.now();
            save(pass, RunRow { interrupted_at: Some(now), ..run }).await?;
        }
        Step::Kill { again } => {
            executor.kill(&run.job()).await?;
            return Ok(Some(again));
        }
        Step::Remove => {
            executor.remove(&run.job()).await?;
            save(pass, RunRow { job_removed: true, ..run }).await?;
        }
        Step::Wait(at) => return Ok(Some(at)),
        Step::Done => {}
    }
    Ok(None)
}

/// Another job takes the place of one that vanished; what it wrote stays in the log.
async fn again(pass: &Pass<'_>, mut run: RunRow) -> Result<(), Trouble> {
    pass.parts.executor.remove(&run.job()).await?;
    (run.attempt, run.job_started, run.interrupted_at) = (run.attempt + 1, false, None);
    run.started_at = Some(pass.now());
    let mut tx = pass.write().await?;
    runs::save(&mut tx, &run).await?;
    runs::forget_job(&mut tx, run.id).await?;
    Ok(pass.commit(tx).await?)
}

/// Ends a plan whose jobs vanish.
async fn vanished(pass: &Pass<'_>, run: RunRow) -> Result<(), Trouble> {
    let headline =
        "the worker of this plan vanished, twice; see what ends processes there, then comment `buildit plan`";
    let phase = run.phase.clone().unwrap_or_else(|| "start".to_owned());
    end(pass, run, RunEvent::Fail, Some(failure(&phase, headline))).await
}

async fn save(pass: &Pass<'_>, run: RunRow) -> Result<(), StoreError> {
    let mut tx = pass.write().await?;
    runs::save(&mut tx, &run).await?;
    pass.commit(tx).await
}

/// Takes a place if one is free and nobody stands before. False: not yet.
async fn claim(pass: &Pass<'_>, mut run: RunRow) -> Result<bool, Trouble> {
    let mut tx = pass.serial().await?;
    let slots = usize::try_from(pass.parts.settings.slots).unwrap_or(usize::MAX);
    let first = runs::next_queued(&mut tx).await? == Some(run.id);
    if !first || runs::placed(&mut tx).await? >= slots {
        return Ok(false);
    }
    run.state = moved(run.state, RunEvent::Claimed)?;
    run.started_at = Some(pass.now());
    runs::save(&mut tx, &run).await?;
    told(pass, &mut tx, &run).await?;
    wake_next(pass, &mut tx).await?;
    queue_moved(pass, &mut tx).await?;
    pass.commit(tx).await?;
    Ok(true)
}

/// The state after the event.
fn moved(state: RunState, event: RunEvent) -> Result<RunState, StoreError> {
    state.next(event).map_err(|error| StoreError::Unreadable { what: error.to_string() })
}

/// What people see has changed.
async fn told(pass: &Pass<'_>, conn: &mut Conn, run: &RunRow) -> Result<(), StoreError> {
    pass.mark(conn, run.repo, &Key::Publish(run.repo, run.pull)).await
}

/// Everybody behind has another place now. Those in front are told at once, those behind them in a while; whoever is
/// further back reads a place that is too high, until it is nearer.
async fn queue_moved(pass: &Pass<'_>, conn: &mut Conn) -> Result<(), StoreError> {
    let (now, later) = (pass.now(), pass.now().after(QUEUE_PAUSE));
    for (place, (repo, pull)) in runs::queued_pulls(conn, QUEUE_TOLD).await?.into_iter().enumerate() {
        let at = if place < QUEUE_FRONT { now } else { later };
        due::mark(conn, &Key::Publish(repo, pull), &repo.to_string(), now, at).await?;
    }
    Ok(())
}

/// The next in the queue looks whether there is a place.
async fn wake_next(pass: &Pass<'_>, conn: &mut Conn) -> Result<(), StoreError> {
    let Some(next) = runs::next_queued(conn).await? else { return Ok(()) };
    let Some(next) = runs::by_id(conn, next).await? else { return Ok(()) };
    pass.mark(conn, next.repo, &Key::Run(next.id)).await
}

async fn start(pass: &Pass<'_>, mut run: RunRow) -> Result<(), Trouble> {
    let parts = pass.parts;
    let given = match secret::give(pass, &run).await? {
        Ok(given) => given,
        Err(message) => return fail(pass, run, &message).await,
    };
    let surveyed = &run.what.detail.surveyed;
    let tool = match &run.tool {
        Some(tool) => tool.clone(),
        None => parts.iac.resolve(surveyed.stack.tool.as_ref(), &surveyed.directory).await?,
    };
    let tar = parts.source.tar(run.repo, &run.what.tree, &surveyed.paths).await?;
    let upstream = match order::inputs(pass, &run).await? {
        Ok(upstream) => upstream,
        Err(reason) => return end(pass, run, RunEvent::Fail, Some(failure("start", &reason))).await,
    };
    let mut secret_var = given.var;
    secret_var.extend(upstream.secret);
    let request = PlanRequest {
        stack: &surveyed.stack,
        tool: &tool,
        source: SourceTree::Tar(tar),
        secret_var,
        secret_env: given.env,
        inputs: upstream.plain,
        state: state::to_read(pass, &run).await?,
        options: run.what.options.clone(),
        import: recover::import(pass, &run).await?,
    };
    let spec = parts.iac.plan_job(request)?;
    parts.executor.start(&run.job(), spec).await?;
    (run.tool, run.job_started, run.failure) = (Some(tool), true, None);
    run.upstream = upstream.seen;
    let mut tx = pass.write().await?;
    runs::save(&mut tx, &run).await?;
    pass.mark(&mut tx, run.repo, &Key::Attend(run.id)).await?;
    told(pass, &mut tx, &run).await?;
    Ok(pass.commit(tx).await?)
}

/// Moves the state; an end gives the place on.
pub(super) async fn end(
    pass: &Pass<'_>,
    mut run: RunRow,
    event: RunEvent,
    failure: Option<PlanFailure>,
) -> Result<(), Trouble> {
    let queued = run.state == RunState::Queued;
    run.state = moved(run.state, event)?;
    if failure.is_some() {
        run.failure = failure;
    }
    let mut tx = pass.write().await?;
    if run.state.is_terminal() {
        let ended = run.job_end.as_ref().map_or_else(|| pass.now(), |end| end.at);
        run.ended_at = Some(ended);
    }
    runs::save(&mut tx, &run).await?;
    if run.state.is_terminal() {
        pass.parts.states.end_tokens(&mut tx, run.id).await?;
        if run.what.landing.is_some() || run.pull == NOBODY {
            pass.mark(&mut tx, run.repo, &Key::Branch(run.repo, run.what.detail.into.clone())).await?;
        }
        if run.pull != NOBODY {
            // What a merge queue tests is held against this.
            super::group::wake(pass, &mut tx, run.repo).await?;
        }
        wake_next(pass, &mut tx).await?;
        if run.state == RunState::Lost {
            let why = format!("the apply of run {} lost its worker; someone must look first", run.number);
            States::freeze(&mut tx, run.repo, &run.what.stack, Some((&why, pass.now()))).await?;
        }
        if run.what.kind == RunKind::Apply
            && let Some(lineage) = apply::lineage(&mut tx, &run).await?
        {
            states::set_lineage(&mut tx, run.repo, &run.what.stack, Some(&lineage)).await?;
        }
        if run.what.kind == RunKind::Apply {
            if run.state != RunState::Lost {
                // Its tool is gone, and could not say so.
                States::let_go(&mut tx, run.repo, &run.what.stack).await?;
            }
            // Locks, what is left and what waited for it follow; other plans of the stack are out of date.
            pass.mark(&mut tx, run.repo, &Key::Pull(run.repo, run.pull)).await?;
            for pull in pulls::open(&mut tx, run.repo, None).await? {
                pass.mark(&mut tx, run.repo, &Key::Pull(run.repo, pull)).await?;
                pass.mark(&mut tx, run.repo, &Key::Publish(run.repo, pull)).await?;
            }
            for (_, branch) in landings::waiting(&mut tx, run.repo).await? {
                pass.mark(&mut tx, run.repo, &Key::Branch(run.repo, branch)).await?;
            }
        }
    }
    if queued {
        queue_moved(pass, &mut tx).await?;
    }
    told(pass, &mut tx, &run).await?;
    Ok(pass.commit(tx).await?)
}

/// Says what stands in the way of a run that is tried again. Its job, once there, takes the words away.
pub(crate) async fn hinder(pass: &Pass<'_>, run: RunRow, message: &str) -> Result<(), StoreError> {
    let failure = Some(failure("start", message));
    if run.state != RunState::Preparing || run.job_started || run.failure == failure {
        return Ok(());
    }
    let mut tx = pass.write().await?;
    runs::save(&mut tx, &RunRow { failure, ..run.clone() }).await?;
    told(pass, &mut tx, &run).await?;
    pass.commit(tx).await
}

/// Ends a run whose pass cannot go on, in words for people.
pub(crate) async fn fail(pass: &Pass<'_>, run: RunRow, message: &str) -> Result<(), Trouble> {
    end(pass, run, RunEvent::Fail, Some(failure("start", message))).await
}

pub(super) fn failure(phase: &str, message: &str) -> PlanFailure {
    let (headline, detail) = message.split_once('\n').unwrap_or((message, ""));
    PlanFailure {
        phase: phase.to_owned(),
        headline: headline.to_owned(),
        detail: detail.to_owned(),
        file: None,
        line: None,
    }
}

async fn finish(pass: &Pass<'_>, run: RunRow) -> Result<(), Trouble> {
    let Some(job) = run.job_end.clone() else { return Ok(()) };
    if let Some(event) = stop(&run) {
        return end(pass, run, event, None).await;
    }
    match (&job.outcome, job.step("plan").and_then(|step| step.code)) {
        (Outcome::Completed, Some(0)) => {
            let plan = file(pass, &run, "plan.bin").await?;
            let state_seen = state::seen(pass, &run, plan.as_ref()).await?;
            end(pass, RunRow { state_seen, ..run }, RunEvent::NoChanges, None).await
        }
        (Outcome::Completed, _) => planned(pass, run).await,
        (Outcome::TimedOut { .. }, _) => end(pass, run, RunEvent::TimeOut, None).await,
        (Outcome::Vanished, _) => vanished(pass, run).await,
        _ => {
            let failure = explained(pass, &run, &job);
            end(pass, run, RunEvent::Fail, Some(failure)).await
        }
    }
}

pub(super) fn explained(pass: &Pass<'_>, run: &RunRow, job: &JobEnd) -> PlanFailure {
    pass.parts.iac.explain_failure(job, run.tail.as_deref().unwrap_or_default()).within(&run.what.path)
}

/// Keeps the plan: its file sealed, its document masked, what it says as a row.
async fn planned(pass: &Pass<'_>, run: RunRow) -> Result<(), Trouble> {
    let parts = pass.parts;
    let json = file(pass, &run, "plan.json").await?;
    let Some(json) = json else {
        return end(pass, run, RunEvent::Fail, Some(failure("show", "the tool left no plan document"))).await;
    };
    let key = stack_key(pass, &run).await?;
    let secrets = secret::masks(pass, &run).await?;
    let document: PlanDocument = match parts.iac.read_plan(&json, &key, &secrets) {
        Ok(document) => document,
        Err(error) => {
            return end(pass, run, RunEvent::Fail, Some(failure("show", &error.to_string()))).await;
        }
    };
    let plan = file(pass, &run, "plan.bin").await?;
    let state_seen = state::seen(pass, &run, plan.as_ref()).await?;
    if let Some(plan) = plan {
        parts.blobs.put(&BlobKey::new("plan-file", run.id), plan).await?;
    }
    if let Some(lock) = file(pass, &run, "lock.hcl").await? {
        parts.blobs.put(&BlobKey::new("lock-file", run.id), lock).await?;
    }
    let masked = parts.iac.mask_plan(&json, &secrets)?;
    parts.blobs.put(&BlobKey::new("plan-json", run.id), Bytes::from(masked)).await?;
    let mut tx = pass.write().await?;
    runs::set_document(&mut tx, run.id, &document).await?;
    pass.commit(tx).await?;
    end(pass, RunRow { state_seen, ..run }, RunEvent::Changes, None).await
}

/// A file that the job left.
pub(super) async fn file(pass: &Pass<'_>, run: &RunRow, name: &str) -> Result<Option<Bytes>, Trouble> {
    let reading = |source| ExecError::Io { doing: format!("reading {name}"), source };
    let file = FileName::parse(name).map_err(|error| ExecError::Refused { reason: error.to_string() })?;
    let mut stream = match pass.parts.executor.file(&run.job(), &file).await {
        Err(ExecError::Absent { .. }) => return Ok(None),
        stream => stream?,
    };
    let mut bytes = BytesMut::new();
    while let Some(part) = stream.try_next().await.map_err(reading)? {
        if bytes.len() + part.len() > DOCUMENT_LIMIT {
            let reason = format!("{name} is larger than {} MiB", DOCUMENT_LIMIT >> 20);
            return Err(ExecError::Refused { reason }.into());
        }
        bytes.extend_from_slice(&part);
    }
    Ok(Some(bytes.freeze()))
}

/// Under this key sensitive values of a stack enter its fingerprints: from the server's own secret, so that it is the
/// same for every plan of the stack and tells nothing elsewhere.
async fn stack_key(pass: &Pass<'_>, run: &RunRow) -> Result<SecretString, Trouble> {
    let sealed = due::setting(&mut *pass.parts.store.read().await?, STACK_SECRET).await?.ok_or(StoreError::NoRow)?;
    let sealed = hex::decode(sealed).map_err(|error| StoreError::Unreadable { what: error.to_string() })?;
    let secret = pass.parts.seal.open(STACK_SECRET, &sealed).map_err(crate::logs::LogError::Seal)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let tag = hmac::sign(&key, format!("{}/{}", run.repo, run.what.stack).as_bytes());
    Ok(SecretString::from(hex::encode(tag.as_ref())))
}

/// The setting that holds the server's secret, sealed, hexadecimal.
pub(crate) const STACK_SECRET: &str = "stack-secret";
