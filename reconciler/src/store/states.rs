//! Rows of states: one per stack, and its versions.
//!
//! Invariant: whoever writes a stack's rows has called `hold` in the same transaction, so that two writers of a
//! stack follow each other. `states` is the only caller.

use std::collections::BTreeMap;

use model::id::{RepoId, RunId, StackName};
use model::plan::{StateSeen, StateStamp};
use model::run::RunState;
use model::time::Timestamp;
use sqlx::any::AnyRow;

use super::db::{self, int, maybe_int, maybe_text, sql, text};
use super::{Conn, StoreError};
use crate::world::{StackFacts, StateLock};

/// A stack's own row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StackRow {
    pub(crate) repo: RepoId,
    pub(crate) stack: StackName,
    pub(crate) epoch: i64,
    pub(crate) last_number: i64,
    /// Id of the newest accepted version.
    pub(crate) head: Option<String>,
    pub(crate) lock: Option<LockRow>,
    /// The lock that was released last.
    pub(crate) released: Option<String>,
    pub(crate) frozen: Option<(String, Timestamp)>,
}

/// A held lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LockRow {
    pub(crate) id: String,
    /// The JSON that the holder sent.
    pub(crate) info: String,
    pub(crate) run: Option<RunId>,
    /// The id of a person's API token.
    pub(crate) token: Option<String>,
    pub(crate) at: Timestamp,
}

/// A stored version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VersionRow {
    pub(crate) id: String,
    pub(crate) number: i64,
    pub(crate) kind: String,
    pub(crate) lineage: String,
    pub(crate) serial: i64,
    pub(crate) digest: String,
    pub(crate) length: i64,
    pub(crate) encrypted: bool,
    pub(crate) tool: Option<String>,
    /// The binding of the accepted version before; empty for the first.
    pub(crate) previous: String,
    pub(crate) binding: String,
    pub(crate) origin: String,
    pub(crate) source: Option<i64>,
    pub(crate) run: Option<RunId>,
    pub(crate) epoch: Option<i64>,
    /// The id of a person's API token.
    pub(crate) token: Option<String>,
    pub(crate) actor: String,
    pub(crate) refused: Option<String>,
    pub(crate) created_at: Timestamp,
}

pub(super) fn unreadable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unreadable { what: error.to_string() }
}

/// Takes the stack's row for this transaction; makes it when there is none.
pub(crate) async fn hold(conn: &mut Conn, repo: RepoId, stack: &StackName) -> Result<StackRow, StoreError> {
    let query = sql("insert into state_stacks (repo, stack) values ($1, $2) \
         on conflict (repo, stack) do update set writes=state_stacks.writes+1");
    db::run(conn, query.bind(repo.get()).bind(stack.to_string())).await?;
    find(conn, repo, stack).await?.ok_or(StoreError::NoRow)
}

macro_rules! stacks {
    ($rest:literal) => {
        sql(concat!(
            "select repo, stack, epoch, last_number, head, lock_id, lock_info, lock_run, lock_token, locked_at, ",
            "released_id, ",
            "frozen, frozen_at from state_stacks ",
            $rest
        ))
    };
}

/// A stack's row.
pub(crate) async fn find(conn: &mut Conn, repo: RepoId, stack: &StackName) -> Result<Option<StackRow>, StoreError> {
    let query = stacks!("where repo=$1 and stack=$2").bind(repo.get()).bind(stack.to_string());
    db::optional(conn, query).await?.as_ref().map(read_stack).transpose()
}

/// All rows, in the order of repository and name.
pub(crate) async fn all(conn: &mut Conn) -> Result<Vec<StackRow>, StoreError> {
    db::all(conn, stacks!("order by repo, stack")).await?.iter().map(read_stack).collect()
}

/// The rows of a repository, by name.
pub(crate) async fn of_repo(conn: &mut Conn, repo: RepoId) -> Result<Vec<StackRow>, StoreError> {
    db::all(conn, stacks!("where repo=$1 order by stack").bind(repo.get())).await?.iter().map(read_stack).collect()
}

/// What pull requests ask of the stacks of a repository.
pub(crate) async fn facts(conn: &mut Conn, repo: RepoId) -> Result<BTreeMap<StackName, StackFacts>, StoreError> {
    let rows = of_repo(conn, repo).await?;
    let facts = |row: StackRow| {
        let frozen = row.frozen.map(|(why, _)| why);
        let lock = row.lock.map(|held| (held.id, held.run));
        (row.stack, lock, StackFacts { frozen, ..StackFacts::default() })
    };
    let mut all = BTreeMap::new();
    for row in rows {
        let (stack, lock, mut facts) = facts(row);
        if let Some((id, run)) = lock {
            let run = match run {
                Some(run) => super::runs::by_id(conn, run).await?,
                None => None,
            };
            facts.lock = Some(StateLock { id, live: run.is_some_and(|run| !run.state.is_terminal()) });
        }
        all.insert(stack, facts);
    }
    for (stack, lineage) in lineages(conn, repo).await? {
        all.entry(stack).or_insert_with(StackFacts::default).lineage = Some(lineage);
    }
    for (stack, ahead) in super::runs::ahead(conn, repo).await? {
        all.entry(stack).or_default().ahead = Some(ahead);
    }
    for (stack, state) in heads(conn, repo).await? {
        all.entry(stack).or_default().state = Some(state);
    }
    for (stack, last) in super::runs::last_applies(conn, repo).await? {
        let facts = all.entry(stack.clone()).or_default();
        if facts.frozen.is_some() && last.state == RunState::Lost {
            facts.unstored = orphans(conn, repo, &stack, last.run).await?.last().map(|version| version.number);
        }
        facts.last = Some(last);
    }
    Ok(all)
}

async fn lineages(conn: &mut Conn, repo: RepoId) -> Result<Vec<(StackName, String)>, StoreError> {
    let rows =
        db::all(conn, sql("select stack, lineage from stack_lineages where repo=$1 order by stack").bind(repo.get()));
    let read = |row: &AnyRow| Ok((StackName::parse(&text(row, "stack")?).map_err(unreadable)?, text(row, "lineage")?));
    rows.await?.iter().map(read).collect()
}

/// Notes the lineage of a stack's state; `None` forgets it.
pub(crate) async fn set_lineage(
    conn: &mut Conn,
    repo: RepoId,
    stack: &StackName,
    lineage: Option<&str>,
) -> Result<(), StoreError> {
    let Some(lineage) = lineage else {
        let query = sql("delete from stack_lineages where repo=$1 and stack=$2").bind(repo.get());
        db::run(conn, query.bind(stack.to_string())).await?;
        return Ok(());
    };
    let query = sql("insert into stack_lineages (repo, stack, lineage) values ($1, $2, $3) \
         on conflict (repo, stack) do update set lineage=excluded.lineage");
    db::run(conn, query.bind(repo.get()).bind(stack.to_string()).bind(lineage.to_owned())).await?;
    Ok(())
}

/// The newest states of a repository's stacks.
async fn heads(conn: &mut Conn, repo: RepoId) -> Result<Vec<(StackName, StateSeen)>, StoreError> {
    let query = sql("select state_versions.stack, lineage, serial, digest, origin from state_versions \
         join state_stacks on state_stacks.repo=state_versions.repo and state_stacks.stack=state_versions.stack \
         and state_stacks.head=state_versions.id where state_versions.repo=$1 order by state_versions.stack");
    let rows = db::all(conn, query.bind(repo.get())).await?;
    rows.iter()
        .map(|row| {
            let stack = StackName::parse(&text(row, "stack")?).map_err(unreadable)?;
            let digest = Some(text(row, "digest")?);
            let stamp = StateStamp { lineage: text(row, "lineage")?, serial: int(row, "serial")?, digest };
            let there = text(row, "origin")? != "removal";
            Ok((stack, StateSeen::of(there.then_some(stamp))))
        })
        .collect()
}

fn run_id(row: &AnyRow, column: &str) -> Result<Option<RunId>, StoreError> {
    maybe_text(row, column)?.map(|id| RunId::parse(&id).map_err(unreadable)).transpose()
}

fn read_stack(row: &AnyRow) -> Result<StackRow, StoreError> {
    let time = |column| Ok::<_, StoreError>(maybe_int(row, column)?.map(Timestamp::from_micros));
    let lock = match (maybe_text(row, "lock_id")?, maybe_text(row, "lock_info")?, time("locked_at")?) {
        (Some(id), Some(info), Some(at)) => {
            Some(LockRow { id, info, run: run_id(row, "lock_run")?, token: maybe_text(row, "lock_token")?, at })
        }
        _ => None,
    };
    Ok(StackRow {
        repo: RepoId::new(int(row, "repo")?),
        stack: StackName::parse(&text(row, "stack")?).map_err(unreadable)?,
        epoch: int(row, "epoch")?,
        last_number: int(row, "last_number")?,
        head: maybe_text(row, "head")?,
        lock,
        released: maybe_text(row, "released_id")?,
        frozen: maybe_text(row, "frozen")?.zip(time("frozen_at")?),
    })
}

/// Makes the epoch grow by one; `hold` first.
pub(crate) async fn grow_epoch(conn: &mut Conn, repo: RepoId, stack: &StackName) -> Result<(), StoreError> {
    let query = sql("update state_stacks set epoch=epoch+1 where repo=$1 and stack=$2");
    db::run(conn, query.bind(repo.get()).bind(stack.to_string())).await?;
    Ok(())
}

/// Says why a stack is frozen; `None`: it is not any more.
pub(crate) async fn set_frozen(
    conn: &mut Conn,
    repo: RepoId,
    stack: &StackName,
    frozen: Option<(&str, Timestamp)>,
) -> Result<(), StoreError> {
    let query = sql("update state_stacks set frozen=$3, frozen_at=$4 where repo=$1 and stack=$2");
    let query = query.bind(repo.get()).bind(stack.to_string()).bind(frozen.map(|(why, _)| why.to_owned()));
    db::run(conn, query.bind(frozen.map(|(_, at)| at.micros()))).await?;
    Ok(())
}

/// Stores who holds the lock.
pub(crate) async fn lock(conn: &mut Conn, repo: RepoId, stack: &StackName, lock: &LockRow) -> Result<(), StoreError> {
    let query = sql("update state_stacks set lock_id=$3, lock_info=$4, lock_run=$5, locked_at=$6, lock_token=$7 \
         where repo=$1 and stack=$2");
    let query = query.bind(repo.get()).bind(stack.to_string()).bind(lock.id.clone()).bind(lock.info.clone());
    let query = query.bind(lock.run.map(|run| run.to_string())).bind(lock.at.micros());
    db::run(conn, query.bind(lock.token.clone())).await?;
    Ok(())
}

/// Releases the lock and remembers which it was.
pub(crate) async fn unlock(conn: &mut Conn, repo: RepoId, stack: &StackName) -> Result<(), StoreError> {
    let query = sql("update state_stacks set released_id=lock_id, lock_id=null, lock_info=null, lock_run=null, \
         lock_token=null, locked_at=null where repo=$1 and stack=$2 and lock_id is not null");
    db::run(conn, query.bind(repo.get()).bind(stack.to_string())).await?;
    Ok(())
}

/// Adds a version whose content is not stored yet, under the stack's next number.
pub(crate) async fn add(
    conn: &mut Conn,
    repo: RepoId,
    stack: &StackName,
    version: &VersionRow,
) -> Result<(), StoreError> {
    let query = sql("update state_stacks set last_number=$3 where repo=$1 and stack=$2");
    db::run(conn, query.bind(repo.get()).bind(stack.to_string()).bind(version.number)).await?;
    let query = sql(
        "insert into state_versions (id, repo, stack, number, kind, lineage, serial, digest, length, encrypted, tool, \
         previous, binding, origin, source, run, epoch, actor, refused, created_at, token) values ($1, $2, $3, $4, $5, $6, \
         $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)",
    );
    let v = version.clone();
    let query = query.bind(v.id).bind(repo.get()).bind(stack.to_string()).bind(v.number).bind(v.kind).bind(v.lineage);
    let query = query.bind(v.serial).bind(v.digest).bind(v.length).bind(i64::from(v.encrypted)).bind(v.tool);
    let query = query.bind(v.previous).bind(v.binding).bind(v.origin).bind(v.source);
    let query = query.bind(v.run.map(|run| run.to_string())).bind(v.epoch).bind(v.actor).bind(v.refused);
    db::run(conn, query.bind(v.created_at.micros()).bind(v.token)).await?;
    Ok(())
}

/// Makes a version whose content is stored the head.
pub(crate) async fn accept(conn: &mut Conn, repo: RepoId, stack: &StackName, id: &str) -> Result<(), StoreError> {
    let query = sql("update state_versions set kind='accepted' where id=$1 and kind='pending'");
    if db::run(conn, query.bind(id.to_owned())).await? == 0 {
        return Err(StoreError::NoRow);
    }
    let query = sql("update state_stacks set head=$3 where repo=$1 and stack=$2");
    db::run(conn, query.bind(repo.get()).bind(stack.to_string()).bind(id.to_owned())).await?;
    Ok(())
}

/// Keeps a version whose content is stored beside the heads.
pub(crate) async fn set_orphan(conn: &mut Conn, id: &str, refused: &str) -> Result<(), StoreError> {
    let query = sql("update state_versions set kind='orphan', refused=$2 where id=$1 and kind='pending'");
    let touched = db::run(conn, query.bind(id.to_owned()).bind(refused.to_owned())).await?;
    if touched == 0 { Err(StoreError::NoRow) } else { Ok(()) }
}

/// Forgets a version whose content is not needed.
pub(crate) async fn drop_pending(conn: &mut Conn, id: &str) -> Result<(), StoreError> {
    db::run(conn, sql("delete from state_versions where id=$1 and kind='pending'").bind(id.to_owned())).await?;
    Ok(())
}

macro_rules! versions {
    ($rest:literal) => {
        sql(concat!(
            "select id, number, kind, lineage, serial, digest, length, encrypted, tool, previous, binding, origin, ",
            "source, run, epoch, token, actor, refused, created_at from state_versions ",
            $rest
        ))
    };
}

/// The newest accepted version.
pub(crate) async fn newest(conn: &mut Conn, repo: RepoId, stack: &StackName) -> Result<Option<VersionRow>, StoreError> {
    let query = versions!("where repo=$1 and stack=$2 and kind='accepted' order by number desc limit 1");
    db::optional(conn, query.bind(repo.get()).bind(stack.to_string())).await?.as_ref().map(read_version).transpose()
}

/// The version that the stack's row names as its head.
pub(crate) async fn head(conn: &mut Conn, repo: RepoId, stack: &StackName) -> Result<Option<VersionRow>, StoreError> {
    let query =
        versions!("where repo=$1 and stack=$2 and id=(select head from state_stacks s where s.repo=$1 and s.stack=$2)");
    db::optional(conn, query.bind(repo.get()).bind(stack.to_string())).await?.as_ref().map(read_version).transpose()
}

/// The state that was accepted with this serial of the lineage.
pub(crate) async fn accepted(
    conn: &mut Conn,
    repo: RepoId,
    stack: &StackName,
    lineage: &str,
    serial: i64,
) -> Result<Option<VersionRow>, StoreError> {
    let query = versions!(
        "where repo=$1 and stack=$2 and lineage=$3 and serial=$4 and kind='accepted' and origin<>'removal' \
         order by number desc limit 1"
    );
    let query = query.bind(repo.get()).bind(stack.to_string()).bind(lineage.to_owned()).bind(serial);
    db::optional(conn, query).await?.as_ref().map(read_version).transpose()
}

/// Does an accepted version of the stack have this binding?
pub(crate) async fn is_bound(
    conn: &mut Conn,
    repo: RepoId,
    stack: &StackName,
    binding: &str,
) -> Result<bool, StoreError> {
    let query = sql("select id from state_versions where repo=$1 and stack=$2 and kind='accepted' and binding=$3");
    let query = query.bind(repo.get()).bind(stack.to_string()).bind(binding.to_owned());
    Ok(db::optional(conn, query).await?.is_some())
}

/// The accepted and orphan versions of a stack, newest first.
pub(crate) async fn versions(conn: &mut Conn, repo: RepoId, stack: &StackName) -> Result<Vec<VersionRow>, StoreError> {
    let query = versions!("where repo=$1 and stack=$2 and kind<>'pending' order by number desc");
    db::all(conn, query.bind(repo.get()).bind(stack.to_string())).await?.iter().map(read_version).collect()
}

/// The accepted or orphan version of that number.
pub(crate) async fn version(
    conn: &mut Conn,
    repo: RepoId,
    stack: &StackName,
    number: i64,
) -> Result<Option<VersionRow>, StoreError> {
    let query = versions!("where repo=$1 and stack=$2 and number=$3 and kind<>'pending'");
    let query = query.bind(repo.get()).bind(stack.to_string()).bind(number);
    db::optional(conn, query).await?.as_ref().map(read_version).transpose()
}

/// What a run left beside the heads of a stack.
pub(crate) async fn orphans(
    conn: &mut Conn,
    repo: RepoId,
    stack: &StackName,
    run: RunId,
) -> Result<Vec<VersionRow>, StoreError> {
    let query = versions!("where repo=$1 and stack=$2 and run=$3 and kind='orphan' order by number");
    let query = query.bind(repo.get()).bind(stack.to_string()).bind(run.to_string());
    db::all(conn, query).await?.iter().map(read_version).collect()
}

/// What a person left beside the heads of a stack by one API token.
pub(crate) async fn orphans_of_token(
    conn: &mut Conn,
    repo: RepoId,
    stack: &StackName,
    token: &str,
) -> Result<Vec<VersionRow>, StoreError> {
    let query = versions!("where repo=$1 and stack=$2 and token=$3 and kind='orphan' order by number");
    let query = query.bind(repo.get()).bind(stack.to_string()).bind(token.to_owned());
    db::all(conn, query).await?.iter().map(read_version).collect()
}

/// Versions whose content was never stored to its end: writes that a dead server left before that time.
pub(crate) async fn abandoned(
    conn: &mut Conn,
    repo: RepoId,
    stack: &StackName,
    before: Timestamp,
) -> Result<Vec<VersionRow>, StoreError> {
    let query = versions!("where repo=$1 and stack=$2 and kind='pending' and created_at<$3");
    let query = query.bind(repo.get()).bind(stack.to_string()).bind(before.micros());
    db::all(conn, query).await?.iter().map(read_version).collect()
}

/// The highest serial that any kept state of the lineage has, but those of this content.
pub(crate) async fn highest_serial(
    conn: &mut Conn,
    repo: RepoId,
    stack: &StackName,
    lineage: &str,
    except: &str,
) -> Result<Option<i64>, StoreError> {
    let query = sql("select serial from state_versions where repo=$1 and stack=$2 and lineage=$3 \
         and kind<>'pending' and origin<>'removal' and digest<>$4 order by serial desc limit 1");
    let query = query.bind(repo.get()).bind(stack.to_string()).bind(lineage.to_owned()).bind(except.to_owned());
    db::optional(conn, query).await?.map(|row| int(&row, "serial")).transpose()
}

fn read_version(row: &AnyRow) -> Result<VersionRow, StoreError> {
    Ok(VersionRow {
        id: text(row, "id")?,
        number: int(row, "number")?,
        kind: text(row, "kind")?,
        lineage: text(row, "lineage")?,
        serial: int(row, "serial")?,
        digest: text(row, "digest")?,
        length: int(row, "length")?,
        encrypted: int(row, "encrypted")? == 1,
        tool: maybe_text(row, "tool")?,
        previous: text(row, "previous")?,
        binding: text(row, "binding")?,
        origin: text(row, "origin")?,
        source: maybe_int(row, "source")?,
        run: run_id(row, "run")?,
        epoch: maybe_int(row, "epoch")?,
        token: maybe_text(row, "token")?,
        actor: text(row, "actor")?,
        refused: maybe_text(row, "refused")?,
        created_at: Timestamp::from_micros(int(row, "created_at")?),
    })
}
