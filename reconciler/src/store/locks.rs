//! Who may apply to which stack, and who waits for that.
//!
//! Invariant: a lock has one holder; locks are taken all or none, in the order of their keys; a free one is for whoever
//! has waited longest.

use std::collections::BTreeMap;

use model::id::{PullNumber, RepoId};
use model::time::Timestamp;

use super::db::{self, int, maybe_text, sql, text};
use super::{Conn, StoreError};
use crate::world::{Holder, LockKey, LockRow, Waiter};

/// The proof that a pull request holds a lock, or that the stack has none; only `held` makes one. The start of an
/// apply takes it by value.
#[derive(Debug)]
pub(crate) struct StackLock {
    _made_here: (),
}

/// All locks of a repository with their waiters; also those that nobody holds and somebody waits for.
pub(crate) async fn of_repo(conn: &mut Conn, repo: RepoId) -> Result<Vec<LockRow>, StoreError> {
    let mut all: BTreeMap<String, LockRow> = BTreeMap::new();
    let empty = |key: &str| LockRow { key: LockKey::stored(key.to_owned()), holder: None, waiters: Vec::new() };
    let held = sql("select stack, pull, since from locks where repo=$1 order by stack").bind(repo.get());
    for row in db::all(conn, held).await? {
        let key = text(&row, "stack")?;
        let since = Timestamp::from_micros(int(&row, "since")?);
        let holder = Holder { pull: PullNumber::new(int(&row, "pull")?), since };
        all.entry(key.clone()).or_insert_with(|| empty(&key)).holder = Some(holder);
    }
    let waiting = sql("select stack, pull, since, request, fingerprint from lock_waiters where repo=$1 \
         order by stack, since, pull");
    for row in db::all(conn, waiting.bind(repo.get())).await? {
        let key = text(&row, "stack")?;
        all.entry(key.clone()).or_insert_with(|| empty(&key)).waiters.push(Waiter {
            pull: PullNumber::new(int(&row, "pull")?),
            since: Timestamp::from_micros(int(&row, "since")?),
            request: maybe_text(&row, "request")?,
            fingerprint: maybe_text(&row, "fingerprint")?,
        });
    }
    Ok(all.into_values().collect())
}

/// Takes all these locks for a pull request, which leaves their lines. False: one is another's, or another has waited
/// longer, and none was taken; the transaction must be rolled back.
pub(crate) async fn take(
    conn: &mut Conn,
    repo: RepoId,
    pull: PullNumber,
    keys: &[LockKey],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut keys: Vec<&LockKey> = keys.iter().collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let query = sql("insert into locks (repo, stack, pull, since) values ($1, $2, $3, $4) \
             on conflict (repo, stack) do nothing");
        let query = query.bind(repo.get()).bind(key.as_str().to_owned()).bind(pull.get()).bind(now.micros());
        let fresh = db::run(conn, query).await? == 1;
        let query = sql("select pull from locks where repo=$1 and stack=$2").bind(repo.get());
        if int(&db::one(conn, query.bind(key.as_str().to_owned())).await?, "pull")? != pull.get() {
            return Ok(false);
        }
        if fresh && next(conn, repo, key).await?.is_some_and(|first| first != pull) {
            return Ok(false);
        }
        leave(conn, repo, pull, key).await?;
    }
    Ok(true)
}

/// The proof that the pull request holds the lock now; without a key there is none to hold.
pub(crate) async fn held(
    conn: &mut Conn,
    repo: RepoId,
    pull: PullNumber,
    key: Option<&LockKey>,
) -> Result<Option<StackLock>, StoreError> {
    let proof = Some(StackLock { _made_here: () });
    let Some(key) = key else { return Ok(proof) };
    let query = sql("select pull from locks where repo=$1 and stack=$2 and pull=$3").bind(repo.get());
    let row = db::optional(conn, query.bind(key.as_str().to_owned()).bind(pull.get())).await?;
    Ok(row.and(proof))
}

/// Joins the line; who is in it keeps the place.
pub(crate) async fn wait(conn: &mut Conn, repo: RepoId, key: &LockKey, waiter: &Waiter) -> Result<(), StoreError> {
    let query = sql("insert into lock_waiters (repo, stack, pull, since, request, fingerprint) \
         values ($1, $2, $3, $4, $5, $6) on conflict (repo, stack, pull) do update \
         set request=excluded.request, fingerprint=excluded.fingerprint");
    let query = query.bind(repo.get()).bind(key.as_str().to_owned()).bind(waiter.pull.get());
    let query = query.bind(waiter.since.micros()).bind(waiter.request.clone());
    db::run(conn, query.bind(waiter.fingerprint.clone())).await?;
    Ok(())
}

/// Leaves the line.
pub(crate) async fn leave(conn: &mut Conn, repo: RepoId, pull: PullNumber, key: &LockKey) -> Result<(), StoreError> {
    let query = sql("delete from lock_waiters where repo=$1 and stack=$2 and pull=$3").bind(repo.get());
    db::run(conn, query.bind(key.as_str().to_owned()).bind(pull.get())).await?;
    Ok(())
}

/// Lets go of a lock, and of the place in its line.
pub(crate) async fn release(conn: &mut Conn, repo: RepoId, pull: PullNumber, key: &LockKey) -> Result<(), StoreError> {
    leave(conn, repo, pull, key).await?;
    let query = sql("delete from locks where repo=$1 and stack=$2 and pull=$3").bind(repo.get());
    db::run(conn, query.bind(key.as_str().to_owned()).bind(pull.get())).await?;
    Ok(())
}

/// Who has waited longest.
async fn next(conn: &mut Conn, repo: RepoId, key: &LockKey) -> Result<Option<PullNumber>, StoreError> {
    let query = sql("select pull from lock_waiters where repo=$1 and stack=$2 order by since, pull limit 1");
    let row = db::optional(conn, query.bind(repo.get()).bind(key.as_str().to_owned())).await?;
    row.map(|row| Ok(PullNumber::new(int(&row, "pull")?))).transpose()
}
