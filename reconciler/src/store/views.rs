//! Lists for pages: a few rows each, never a large value.
//!
//! Invariant: reads only; a list costs a fixed number of statements, however long it is.

use model::id::{CommitSha, PullNumber, RepoId, RepoName, RunId, RunNumber, StackName};
use model::pull::PullSnapshot;
use model::run::{RunState, Wanted};
use model::time::Timestamp;
use sqlx::any::AnyRow;

use super::db::{self, Sql, int, json, maybe_int, maybe_json, maybe_text, sql, text};
use super::{Conn, StoreError};
use crate::brief::{PlanBrief, SurveyBrief};

/// A pull request in a list.
#[derive(Debug, Clone)]
pub(crate) struct ListedPull {
    pub(crate) repo: RepoId,
    pub(crate) name: RepoName,
    pub(crate) snapshot: PullSnapshot,
    pub(crate) brief: Option<SurveyBrief>,
    pub(crate) trouble: Option<String>,
}

/// The newest run of a stack of a listed pull request.
#[derive(Debug, Clone)]
pub(crate) struct NewestRun {
    pub(crate) repo: RepoId,
    pub(crate) pull: PullNumber,
    pub(crate) stack: StackName,
    pub(crate) head: CommitSha,
    pub(crate) asked_for: bool,
    pub(crate) state: RunState,
    pub(crate) wanted: Wanted,
    pub(crate) plan: Option<PlanBrief>,
}

/// A run in a list.
#[derive(Debug, Clone)]
pub(crate) struct ListedRun {
    pub(crate) number: RunNumber,
    pub(crate) repo: RepoName,
    pub(crate) pull: PullNumber,
    pub(crate) stack: StackName,
    pub(crate) state: RunState,
    pub(crate) plan: Option<PlanBrief>,
    pub(crate) created_at: Timestamp,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
}

/// Open pull requests of which there is something to say, the newest change first, `$1` of them.
macro_rules! listed {
    ($columns:literal) => {
        concat!(
            "select ",
            $columns,
            " from pulls where open=1 and snapshot is not null and (brief is not null or trouble is not null) ",
            "order by changed_at desc, repo, number limit $1"
        )
    };
}

/// The list of pull requests.
pub(crate) async fn pulls(conn: &mut Conn, limit: u32) -> Result<Vec<ListedPull>, StoreError> {
    let query = sql(concat!(
        "select listed.repo, repositories.name, listed.snapshot, listed.brief, listed.trouble from (",
        listed!("repo, number, snapshot, brief, trouble, changed_at"),
        ") listed join repositories on repositories.id=listed.repo ",
        "order by listed.changed_at desc, listed.repo, listed.number"
    ));
    let rows = db::all(conn, query.bind(i64::from(limit))).await?;
    let read = |row: &AnyRow| {
        Ok(ListedPull {
            repo: RepoId::new(int(row, "repo")?),
            name: RepoName::parse(&text(row, "name")?).map_err(unreadable)?,
            snapshot: json(row, "snapshot")?,
            brief: maybe_json(row, "brief")?,
            trouble: maybe_text(row, "trouble")?,
        })
    };
    rows.iter().map(read).collect()
}

/// The newest run of each stack of these pull requests, by number.
pub(crate) async fn newest_runs(conn: &mut Conn, limit: u32) -> Result<Vec<NewestRun>, StoreError> {
    let query = sql(concat!(
        "select newest.repo, newest.pull, newest.stack, newest.head, newest.request, newest.state, newest.wanted, ",
        "plans.brief from (select runs.*, ",
        "row_number() over (partition by runs.repo, runs.pull, runs.stack order by runs.number desc) as place ",
        "from runs join (",
        listed!("repo, number"),
        ") listed on listed.repo=runs.repo and listed.number=runs.pull) newest ",
        "left join plans on plans.run=newest.id where newest.place=1 order by newest.number"
    ));
    let rows = db::all(conn, query.bind(i64::from(limit))).await?;
    let read = |row: &AnyRow| {
        let wanted = text(row, "wanted")?;
        Ok(NewestRun {
            repo: RepoId::new(int(row, "repo")?),
            pull: PullNumber::new(int(row, "pull")?),
            stack: StackName::parse(&text(row, "stack")?).map_err(unreadable)?,
            head: CommitSha::parse(&text(row, "head")?).map_err(unreadable)?,
            asked_for: maybe_text(row, "request")?.is_some(),
            state: state(row)?,
            wanted: Wanted::parse(&wanted).ok_or_else(|| unreadable(format!("the wish {wanted:?} for a run")))?,
            plan: maybe_json(row, "brief")?,
        })
    };
    rows.iter().map(read).collect()
}

/// A statement over what lists show of runs.
macro_rules! runs {
    ($rest:literal) => {
        sql(concat!(
            "select runs.number, repositories.name, runs.pull, runs.stack, runs.state, plans.brief, runs.created_at, ",
            "runs.started_at, runs.ended_at from runs join repositories on repositories.id=runs.repo ",
            "left join plans on plans.run=runs.id ",
            $rest
        ))
    };
}

/// The list of runs, the newest first.
pub(crate) async fn runs(conn: &mut Conn, limit: u32) -> Result<Vec<ListedRun>, StoreError> {
    listed_runs(conn, runs!("order by runs.number desc limit $1").bind(i64::from(limit))).await
}

/// The runs of a pull request, the newest first.
pub(crate) async fn runs_of(
    conn: &mut Conn,
    repo: RepoId,
    pull: PullNumber,
    limit: u32,
) -> Result<Vec<ListedRun>, StoreError> {
    let query = runs!("where runs.repo=$1 and runs.pull=$2 order by runs.number desc limit $3");
    listed_runs(conn, query.bind(repo.get()).bind(pull.get()).bind(i64::from(limit))).await
}

/// One line of the list.
pub(crate) async fn run(conn: &mut Conn, number: RunNumber) -> Result<Option<ListedRun>, StoreError> {
    Ok(listed_runs(conn, runs!("where runs.number=$1").bind(number.get())).await?.pop())
}

async fn listed_runs(conn: &mut Conn, query: Sql<'_>) -> Result<Vec<ListedRun>, StoreError> {
    let time = |row: &AnyRow, column| Ok::<_, StoreError>(maybe_int(row, column)?.map(Timestamp::from_micros));
    let read = |row: &AnyRow| {
        Ok(ListedRun {
            number: RunNumber::new(int(row, "number")?),
            repo: RepoName::parse(&text(row, "name")?).map_err(unreadable)?,
            pull: PullNumber::new(int(row, "pull")?),
            stack: StackName::parse(&text(row, "stack")?).map_err(unreadable)?,
            state: state(row)?,
            plan: maybe_json(row, "brief")?,
            created_at: Timestamp::from_micros(int(row, "created_at")?),
            started_at: time(row, "started_at")?,
            ended_at: time(row, "ended_at")?,
        })
    };
    db::all(conn, query).await?.iter().map(read).collect()
}

/// Which run has that number?
pub(crate) async fn run_id(conn: &mut Conn, number: RunNumber) -> Result<Option<RunId>, StoreError> {
    let row = db::optional(conn, sql("select id from runs where number=$1").bind(number.get())).await?;
    row.map(|row| RunId::parse(&text(&row, "id")?).map_err(unreadable)).transpose()
}

/// The repository of that name which knows a pull request of that number. A name may have had several owners: the
/// one that was seen last counts.
pub(crate) async fn repo_with(
    conn: &mut Conn,
    name: &RepoName,
    number: PullNumber,
) -> Result<Option<RepoId>, StoreError> {
    let query = sql("select repositories.id from repositories join pulls on pulls.repo=repositories.id \
         where repositories.name_key=$1 and pulls.number=$2 order by repositories.observed_at desc, repositories.id desc limit 1");
    let row = db::optional(conn, query.bind(name.to_string().to_ascii_lowercase()).bind(number.get())).await?;
    row.map(|row| Ok(RepoId::new(int(&row, "id")?))).transpose()
}

/// Answers when the database does.
pub(crate) async fn ping(conn: &mut Conn) -> Result<(), StoreError> {
    db::one(conn, sql("select count(*) as steps from migrations")).await.map(drop)
}

fn state(row: &AnyRow) -> Result<RunState, StoreError> {
    let state = text(row, "state")?;
    RunState::parse(&state).ok_or_else(|| unreadable(format!("the state {state:?} of a run")))
}

fn unreadable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unreadable { what: error.to_string() }
}
