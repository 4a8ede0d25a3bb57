//! Runs and the plans that they left.
//!
//! Invariant: each column has one writer. `Pull` inserts rows and sets `wanted`; `save` is for the run's own pass
//! and moves nothing that another moved first; the attendant writes how far the job is read and how it ended.

use std::collections::HashMap;

use model::id::{CommitSha, PullNumber, RelPath, RepoId, RunId, RunNumber, StackName, TreeId};
use model::job::JobEnd;
use model::plan::{AppliedItem, PlanDocument};
use model::run::{RunKind, RunState, Wanted};
use model::time::Timestamp;
use sqlx::any::AnyRow;

use super::db::{self, int, json, maybe_int, maybe_json, maybe_text, sql, text, to_json};
use super::{Conn, StoreError};
use crate::brief::PlanBrief;
use crate::world::{Ahead, LastApply, NewRun, RunRow};

/// Plans of a stack whose documents a pull request's world holds: enough to compare the newest with the one before.
const DOCUMENTS: i64 = 3;

/// Creates a run; its number is the next of the server. The transaction must be `Store::serial`.
pub(crate) async fn insert(
    conn: &mut Conn,
    id: RunId,
    (repo, pull): (RepoId, PullNumber),
    what: &NewRun,
    now: Timestamp,
) -> Result<RunNumber, StoreError> {
    let last = db::optional(conn, sql("select number from runs order by number desc limit 1")).await?;
    let number = last.map(|row| int(&row, "number")).transpose()?.unwrap_or(0) + 1;
    let query = sql(
        "insert into runs (id, number, repo, pull, stack, path, head, base, tree, inputs, detail, options, request, \
         state, wanted, created_at, kind, plan, landing, forced) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
    );
    let query = query.bind(id.to_string()).bind(number).bind(repo.get()).bind(pull.get());
    let query = query.bind(what.stack.to_string()).bind(what.path.to_string());
    let query = query.bind(what.head.to_string()).bind(what.base.to_string()).bind(what.tree.to_string());
    let query = query.bind(what.inputs.clone()).bind(to_json(&what.detail)?).bind(to_json(&what.options)?);
    let query = query.bind(what.request.clone()).bind(RunState::Queued.name()).bind(Wanted::Run.name());
    let query = query.bind(now.micros()).bind(what.kind.name()).bind(what.plan.map(|plan| plan.to_string()));
    db::run(conn, query.bind(what.landing).bind(what.forced.clone())).await?;
    Ok(RunNumber::new(number))
}

/// Says what is wanted of a run.
pub(crate) async fn want(conn: &mut Conn, id: RunId, wanted: Wanted) -> Result<(), StoreError> {
    let query = sql("update runs set wanted=$2 where id=$1").bind(id.to_string()).bind(wanted.name());
    db::run(conn, query).await?;
    Ok(())
}

/// The newest granted apply of each stack of a repository.
pub(crate) async fn last_applies(conn: &mut Conn, repo: RepoId) -> Result<Vec<(StackName, LastApply)>, StoreError> {
    let query = sql("select id, stack, plan, pull, state, ended_at from \
         (select id, stack, plan, pull, state, ended_at, \
          row_number() over (partition by stack order by epoch desc) as place from runs \
          where repo=$1 and kind='apply' and epoch is not null) newest where place=1 order by stack");
    let rows = db::all(conn, query.bind(repo.get())).await?;
    rows.iter()
        .map(|row| {
            let state = text(row, "state")?;
            let last = LastApply {
                run: RunId::parse(&text(row, "id")?).map_err(unreadable)?,
                plan: maybe_text(row, "plan")?.map(|id| RunId::parse(&id).map_err(unreadable)).transpose()?,
                pull: PullNumber::new(int(row, "pull")?),
                state: RunState::parse(&state).ok_or_else(|| unreadable(format!("the state {state:?} of a run")))?,
                ended_at: maybe_int(row, "ended_at")?.map(Timestamp::from_micros),
            };
            Ok((StackName::parse(&text(row, "stack")?).map_err(unreadable)?, last))
        })
        .collect()
}

/// Stores what the run's own pass writes; `Fenced` when another pass has written since the row was read.
pub(crate) async fn save(conn: &mut Conn, row: &RunRow) -> Result<(), StoreError> {
    let query =
        sql("update runs set state=$3, attempt=$4, started_at=$5, ended_at=$6, job_started=$7, job_removed=$8, \
         interrupted_at=$9, tool=$10, failure=$11, epoch=$12, \
         asked=$13, state_seen=$14, unknown=$15, upstream=$16, version=version+1 where id=$1 and version=$2");
    let query = query.bind(row.id.to_string()).bind(row.version).bind(row.state.name()).bind(i64::from(row.attempt));
    let query = query.bind(row.started_at.map(Timestamp::micros)).bind(row.ended_at.map(Timestamp::micros));
    let query = query.bind(i64::from(row.job_started)).bind(i64::from(row.job_removed));
    let query = query.bind(row.interrupted_at.map(Timestamp::micros));
    let query = query.bind(row.tool.as_ref().map(to_json).transpose()?);
    let query = query.bind(row.failure.as_ref().map(to_json).transpose()?);
    let seen = row.state_seen.as_ref().map(to_json).transpose()?;
    let upstream = (!row.upstream.is_empty()).then(|| to_json(&row.upstream)).transpose()?;
    let unknown = (!row.unknown.is_empty()).then(|| to_json(&row.unknown)).transpose()?;
    let touched = db::run(conn, query.bind(row.epoch).bind(row.asked).bind(seen).bind(unknown).bind(upstream)).await?;
    if touched == 0 { Err(StoreError::Fenced) } else { Ok(()) }
}

/// How far an attendant has read a job.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    /// The executor's cursor.
    pub(crate) cursor: u64,
    /// Bytes of output behind the cursor that are stored already.
    pub(crate) skip: u64,
    /// The step that runs.
    pub(crate) phase: Option<String>,
}

/// Stores how far the job is read.
pub(crate) async fn progress(conn: &mut Conn, id: RunId, at: &Progress) -> Result<(), StoreError> {
    let query = sql("update runs set cursor=$2, skip=$3, phase=$4 where id=$1").bind(id.to_string());
    db::run(conn, query.bind(number(at.cursor)).bind(number(at.skip)).bind(at.phase.clone())).await?;
    Ok(())
}

/// Stores what an apply has done, `before` being how much was stored so far.
pub(crate) async fn add_done(
    conn: &mut Conn,
    id: RunId,
    before: u32,
    items: &[AppliedItem],
) -> Result<u32, StoreError> {
    let mut done = before;
    for item in items {
        let query = sql("insert into applied_items (run, seq, item) values ($1, $2, $3)").bind(id.to_string());
        db::run(conn, query.bind(i64::from(done)).bind(to_json(item)?)).await?;
        done += 1;
    }
    db::run(conn, sql("update runs set done=$2 where id=$1").bind(id.to_string()).bind(i64::from(done))).await?;
    Ok(done)
}

/// Stacks whose newest apply that changed something is of a pull request that is not merged, with what it changed.
pub(crate) async fn ahead(conn: &mut Conn, repo: RepoId) -> Result<Vec<(StackName, Ahead)>, StoreError> {
    let query = sql("select newest.id, newest.stack, newest.pull from \
         (select id, stack, pull, landing, row_number() over (partition by stack order by epoch desc) as place from runs \
          where repo=$1 and kind='apply' and epoch is not null and done>0) newest \
         join pulls on pulls.repo=$1 and pulls.number=newest.pull \
         where newest.place=1 and newest.landing is null and pulls.merged=0 order by newest.stack");
    let mut all = Vec::new();
    for row in db::all(conn, query.bind(repo.get())).await? {
        let run = RunId::parse(&text(&row, "id")?).map_err(unreadable)?;
        let addresses = done(conn, run).await?.into_iter().map(|item| item.address).collect();
        let stack = StackName::parse(&text(&row, "stack")?).map_err(unreadable)?;
        all.push((stack, Ahead { pull: PullNumber::new(int(&row, "pull")?), addresses }));
    }
    Ok(all)
}

/// What an apply has done, in order.
pub(crate) async fn done(conn: &mut Conn, id: RunId) -> Result<Vec<AppliedItem>, StoreError> {
    let query = sql("select item from applied_items where run=$1 order by seq").bind(id.to_string());
    db::all(conn, query).await?.iter().map(|row| json(row, "item")).collect()
}

/// Stores the job's end, exactly once, with the last lines of its log.
pub(crate) async fn end_job(conn: &mut Conn, id: RunId, end: &JobEnd, tail: &str) -> Result<(), StoreError> {
    let query = sql("update runs set job_end=$2, tail=$3 where id=$1 and job_end is null").bind(id.to_string());
    db::run(conn, query.bind(to_json(end)?).bind(tail.to_owned())).await?;
    Ok(())
}

/// What was read of a job that another one follows.
pub(crate) async fn forget_job(conn: &mut Conn, id: RunId) -> Result<(), StoreError> {
    let query = sql("update runs set job_end=null, job_lost=0, cursor=0, skip=0, phase=null, tail=null where id=$1");
    db::run(conn, query.bind(id.to_string())).await?;
    Ok(())
}

/// The executor does not know the job any more.
pub(crate) async fn lose_job(conn: &mut Conn, id: RunId) -> Result<(), StoreError> {
    db::run(conn, sql("update runs set job_lost=1 where id=$1").bind(id.to_string())).await?;
    Ok(())
}

/// A statement over all columns of runs.
macro_rules! select {
    ($rest:literal) => {
        sql(concat!(
            "select id, number, repo, pull, stack, path, head, base, tree, inputs, detail, options, request, state, ",
            "wanted, version, attempt, created_at, started_at, ended_at, job_started, job_lost, job_removed, ",
            "interrupted_at, job_end, tool, failure, tail, cursor, skip, log_bytes, phase, kind, plan, done, epoch, ",
            "asked, landing, state_seen, unknown, upstream, forced from runs ",
            $rest
        ))
    };
}

/// A run, without its document.
pub(crate) async fn by_id(conn: &mut Conn, id: RunId) -> Result<Option<RunRow>, StoreError> {
    db::optional(conn, select!("where id=$1").bind(id.to_string())).await?.as_ref().map(read).transpose()
}

/// The run of that number, without its document.
pub(crate) async fn by_number(conn: &mut Conn, number: RunNumber) -> Result<Option<RunRow>, StoreError> {
    db::optional(conn, select!("where number=$1").bind(number.get())).await?.as_ref().map(read).transpose()
}

/// All runs, of all kinds, of a pull request in the order of their numbers, the newest plans of each stack with their documents.
pub(crate) async fn of_pull(conn: &mut Conn, repo: RepoId, pull: PullNumber) -> Result<Vec<RunRow>, StoreError> {
    let rows =
        db::all(conn, select!("where repo=$1 and pull=$2 order by number").bind(repo.get()).bind(pull.get())).await?;
    let mut runs = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let query = sql("select plans.run, plans.document from plans join \
         (select id, row_number() over (partition by stack order by number desc) as place from runs \
          where repo=$1 and pull=$2 and state='planned') newest on newest.id=plans.run where newest.place<=$3");
    let plans = db::all(conn, query.bind(repo.get()).bind(pull.get()).bind(DOCUMENTS)).await?;
    let mut documents: HashMap<String, PlanDocument> = HashMap::new();
    for row in plans {
        documents.insert(text(&row, "run")?, json(&row, "document")?);
    }
    for run in &mut runs {
        run.document = documents.remove(&run.id.to_string());
    }
    Ok(runs)
}

/// All runs of what landed without a pull request, in the order of their numbers, with their documents.
pub(crate) async fn of_landing(conn: &mut Conn, repo: RepoId, landing: i64) -> Result<Vec<RunRow>, StoreError> {
    let rows = db::all(conn, select!("where repo=$1 and landing=$2 order by number").bind(repo.get()).bind(landing));
    let mut runs = rows.await?.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    for run in runs.iter_mut().filter(|run| run.state == RunState::Planned) {
        run.document = document(conn, run.id).await?;
    }
    Ok(runs)
}

/// All runs that one request of ours made, with their documents.
pub(crate) async fn of_request(conn: &mut Conn, repo: RepoId, request: &str) -> Result<Vec<RunRow>, StoreError> {
    let rows = select!("where repo=$1 and request=$2 order by number").bind(repo.get()).bind(request.to_owned());
    let mut runs = db::all(conn, rows).await?.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    for run in runs.iter_mut().filter(|run| run.state == RunState::Planned) {
        run.document = document(conn, run.id).await?;
    }
    Ok(runs)
}

/// Stores what a plan says, masked.
pub(crate) async fn set_document(conn: &mut Conn, id: RunId, document: &PlanDocument) -> Result<(), StoreError> {
    let query = sql("insert into plans (run, document, brief) values ($1, $2, $3) \
         on conflict (run) do update set document=excluded.document, brief=excluded.brief");
    let brief = to_json(&PlanBrief::from(document))?;
    db::run(conn, query.bind(id.to_string()).bind(to_json(document)?).bind(brief)).await?;
    Ok(())
}

/// What a run's plan says.
pub(crate) async fn document(conn: &mut Conn, id: RunId) -> Result<Option<PlanDocument>, StoreError> {
    let row = db::optional(conn, sql("select document from plans where run=$1").bind(id.to_string())).await?;
    row.map(|row| json(&row, "document")).transpose()
}

/// The apply that was granted the stack and has no end.
pub(crate) async fn applying(
    conn: &mut Conn,
    repo: RepoId,
    stack: &StackName,
) -> Result<Option<RunNumber>, StoreError> {
    let query = sql("select number from runs where state in ('preparing', 'initializing', 'applying') \
         and repo=$1 and stack=$2 and kind='apply' and epoch is not null order by number limit 1");
    let row = db::optional(conn, query.bind(repo.get()).bind(stack.to_string())).await?;
    row.map(|row| Ok(RunNumber::new(int(&row, "number")?))).transpose()
}

/// Numbers of the runs that wait for a place, in order.
pub(crate) async fn queue(conn: &mut Conn) -> Result<Vec<RunNumber>, StoreError> {
    let query = sql("select number from runs where state='queued' and wanted='run' order by number");
    let rows = db::all(conn, query).await?;
    rows.iter().map(|row| Ok(RunNumber::new(int(row, "number")?))).collect()
}

/// The pull requests that have runs in the queue, at most so many, in the order of their first ones.
pub(crate) async fn queued_pulls(conn: &mut Conn, limit: usize) -> Result<Vec<(RepoId, PullNumber)>, StoreError> {
    let query = sql("select repo, pull from runs where state='queued' and wanted='run' group by repo, pull \
         order by min(number) limit $1");
    let rows = db::all(conn, query.bind(i64::try_from(limit).unwrap_or(i64::MAX))).await?;
    rows.iter().map(|row| Ok((RepoId::new(int(row, "repo")?), PullNumber::new(int(row, "pull")?)))).collect()
}

/// The run that gets the next place.
pub(crate) async fn next_queued(conn: &mut Conn) -> Result<Option<RunId>, StoreError> {
    // An apply waits for the one of its stack that runs; others pass it meanwhile.
    let query = sql("select id from runs where state='queued' and wanted='run' and (kind='plan' or not exists \
         (select 1 from runs other where other.kind='apply' and other.repo=runs.repo and other.stack=runs.stack \
          and other.state in ('preparing', 'initializing', 'applying'))) order by number limit 1");
    let row = db::optional(conn, query).await?;
    row.map(|row| RunId::parse(&text(&row, "id")?).map_err(unreadable)).transpose()
}

/// How many runs have a place.
pub(crate) async fn placed(conn: &mut Conn) -> Result<usize, StoreError> {
    let query = sql("select id from runs where state in ('preparing', 'initializing', 'planning', 'applying')");
    Ok(db::all(conn, query).await?.len())
}

/// Applies that run whose jobs this worker was the last to read.
pub(crate) async fn attended_applies(conn: &mut Conn, owner: &str) -> Result<Vec<(RepoId, RunId)>, StoreError> {
    let query = sql("select runs.repo, runs.id from runs join leases on leases.key='attend:' || runs.id \
         where runs.kind='apply' and runs.job_started=1 and runs.ended_at is null and leases.owner=$1");
    let rows = db::all(conn, query.bind(owner.to_owned())).await?;
    rows.iter()
        .map(|row| Ok((RepoId::new(int(row, "repo")?), RunId::parse(&text(row, "id")?).map_err(unreadable)?)))
        .collect()
}

fn unreadable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unreadable { what: error.to_string() }
}

/// A count as the database has it.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn read(row: &AnyRow) -> Result<RunRow, StoreError> {
    let time = |column| Ok::<_, StoreError>(maybe_int(row, column)?.map(Timestamp::from_micros));
    let flag = |column| Ok::<_, StoreError>(int(row, column)? == 1);
    let size = |column| Ok::<_, StoreError>(int(row, column)?.unsigned_abs());
    let state = text(row, "state")?;
    let wanted = text(row, "wanted")?;
    Ok(RunRow {
        id: RunId::parse(&text(row, "id")?).map_err(unreadable)?,
        number: RunNumber::new(int(row, "number")?),
        repo: RepoId::new(int(row, "repo")?),
        pull: PullNumber::new(int(row, "pull")?),
        what: read_what(row)?,
        state: RunState::parse(&state).ok_or_else(|| unreadable(format!("the state {state:?} of a run")))?,
        wanted: Wanted::parse(&wanted).ok_or_else(|| unreadable(format!("the wish {wanted:?} for a run")))?,
        version: int(row, "version")?,
        attempt: u32::try_from(int(row, "attempt")?).map_err(unreadable)?,
        created_at: Timestamp::from_micros(int(row, "created_at")?),
        started_at: time("started_at")?,
        ended_at: time("ended_at")?,
        job_started: flag("job_started")?,
        job_lost: flag("job_lost")?,
        job_removed: flag("job_removed")?,
        interrupted_at: time("interrupted_at")?,
        job_end: maybe_json(row, "job_end")?,
        tool: maybe_json(row, "tool")?,
        failure: maybe_json(row, "failure")?,
        tail: maybe_text(row, "tail")?,
        cursor: size("cursor")?,
        skip: size("skip")?,
        log_bytes: size("log_bytes")?,
        phase: maybe_text(row, "phase")?,
        done: u32::try_from(int(row, "done")?).map_err(unreadable)?,
        epoch: maybe_int(row, "epoch")?,
        asked: maybe_int(row, "asked")?,
        state_seen: maybe_json(row, "state_seen")?,
        unknown: maybe_json(row, "unknown")?.unwrap_or_default(),
        upstream: maybe_json(row, "upstream")?.unwrap_or_default(),
        document: None,
    })
}

fn read_what(row: &AnyRow) -> Result<NewRun, StoreError> {
    let kind = text(row, "kind")?;
    Ok(NewRun {
        kind: RunKind::parse(&kind).ok_or_else(|| unreadable(format!("the kind {kind:?} of a run")))?,
        plan: maybe_text(row, "plan")?.map(|id| RunId::parse(&id).map_err(unreadable)).transpose()?,
        stack: StackName::parse(&text(row, "stack")?).map_err(unreadable)?,
        path: RelPath::parse(&text(row, "path")?).map_err(unreadable)?,
        head: CommitSha::parse(&text(row, "head")?).map_err(unreadable)?,
        base: CommitSha::parse(&text(row, "base")?).map_err(unreadable)?,
        tree: TreeId::parse(&text(row, "tree")?).map_err(unreadable)?,
        inputs: text(row, "inputs")?,
        detail: json(row, "detail")?,
        options: json(row, "options")?,
        request: maybe_text(row, "request")?,
        forced: maybe_text(row, "forced")?,
        landing: maybe_int(row, "landing")?,
    })
}
