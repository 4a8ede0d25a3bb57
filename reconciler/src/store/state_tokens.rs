//! The tokens with which runs reach the states of their stacks.
//!
//! Invariant: hashes only. `states` is the only caller.

use model::id::{RepoId, RunId, StackName};
use model::time::Timestamp;
use sqlx::any::AnyRow;

use super::db::{self, int, maybe_int, sql, text};
use super::states::unreadable;
use super::{Conn, StoreError};

/// A run's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenRow {
    pub(crate) nonce: String,
    pub(crate) run: RunId,
    pub(crate) repo: RepoId,
    pub(crate) stack: StackName,
    /// `Some`: may write, with this epoch.
    pub(crate) epoch: Option<i64>,
    pub(crate) ended_at: Option<Timestamp>,
}

/// Stores a token by its hash.
pub(crate) async fn add(conn: &mut Conn, hash: &str, token: &TokenRow, now: Timestamp) -> Result<(), StoreError> {
    let query = sql("insert into state_tokens (hash, nonce, run, repo, stack, access, epoch, created_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8)");
    let query = query.bind(hash.to_owned()).bind(token.nonce.clone()).bind(token.run.to_string());
    let query = query.bind(token.repo.get()).bind(token.stack.to_string());
    let access = if token.epoch.is_some() { "write" } else { "read" };
    db::run(conn, query.bind(access).bind(token.epoch).bind(now.micros())).await?;
    Ok(())
}

macro_rules! tokens {
    ($rest:literal) => {
        sql(concat!("select nonce, run, repo, stack, access, epoch, ended_at from state_tokens ", $rest))
    };
}

/// The token of that hash.
pub(crate) async fn by_hash(conn: &mut Conn, hash: &str) -> Result<Option<TokenRow>, StoreError> {
    db::optional(conn, tokens!("where hash=$1").bind(hash.to_owned())).await?.as_ref().map(read_token).transpose()
}

/// All tokens of a run.
pub(crate) async fn of_run(conn: &mut Conn, run: RunId) -> Result<Vec<TokenRow>, StoreError> {
    db::all(conn, tokens!("where run=$1 order by hash").bind(run.to_string())).await?.iter().map(read_token).collect()
}

/// Ends the tokens of a run that have not ended.
pub(crate) async fn end(conn: &mut Conn, run: RunId, now: Timestamp) -> Result<(), StoreError> {
    let query = sql("update state_tokens set ended_at=$2 where run=$1 and ended_at is null");
    db::run(conn, query.bind(run.to_string()).bind(now.micros())).await?;
    Ok(())
}

fn read_token(row: &AnyRow) -> Result<TokenRow, StoreError> {
    let epoch = match (text(row, "access")?.as_str(), maybe_int(row, "epoch")?) {
        ("write", Some(epoch)) => Some(epoch),
        ("read", None) => None,
        (access, _) => return Err(unreadable(format!("the access {access:?} of a token"))),
    };
    Ok(TokenRow {
        nonce: text(row, "nonce")?,
        run: RunId::parse(&text(row, "run")?).map_err(unreadable)?,
        repo: RepoId::new(int(row, "repo")?),
        stack: StackName::parse(&text(row, "stack")?).map_err(unreadable)?,
        epoch,
        ended_at: maybe_int(row, "ended_at")?.map(Timestamp::from_micros),
    })
}
