//! Due keys, leases and deliveries.

use model::time::Timestamp;
use std::time::Duration;

use super::db::{self, int, sql, text};
use super::{Conn, Store, StoreError};
use crate::world::Key;

/// How long a worker may be silent before another takes its key.
pub(crate) const LEASE: Duration = Duration::from_secs(60);
/// What one pass costs its tenant in the order of claims, in microseconds.
const COST: i64 = 1_000;

/// A claimed key.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) key: Key,
    pub(crate) generation: i64,
    pub(crate) attempt: i64,
    pub(crate) fence: i64,
}

/// Makes a key due at `at`, or earlier when it already is. Work under way notices by the generation.
pub(crate) async fn mark(
    conn: &mut Conn,
    key: &Key,
    tenant: &str,
    now: Timestamp,
    at: Timestamp,
) -> Result<(), StoreError> {
    let last = db::optional(
        conn,
        sql("select turn from due where tenant=$1 order by turn desc limit 1").bind(tenant.to_owned()),
    )
    .await?;
    let last = last.map(|row| int(&row, "turn")).transpose()?;
    let turn = last.map_or(now.micros(), |turn| now.micros().max(turn + COST));
    let query = sql("insert into due (key, tenant, due_at, turn) values ($1, $2, $3, $4) \
         on conflict (key) do update set generation=due.generation+1, \
         due_at=case when due.due_at>excluded.due_at then excluded.due_at else due.due_at end");
    db::run(conn, query.bind(key.text()).bind(tenant.to_owned()).bind(at.micros()).bind(turn)).await?;
    Ok(())
}

/// Claims up to `limit` due keys for this worker, in the order of their turn, and takes their leases.
pub(crate) async fn claim(
    store: &Store,
    owner: &str,
    token: &str,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Claim>, StoreError> {
    if next(store).await?.is_none_or(|at| at > now) && !stale(store, now).await? {
        return Ok(Vec::new());
    }
    let mut tx = store.write().await?;
    let free =
        sql("update due set claim=null where claim is not null and key not in (select key from leases where until>$1)");
    db::run(&mut tx, free.bind(now.micros())).await?;
    let claim = sql(store.dialect.claim());
    db::run(&mut tx, claim.bind(token.to_owned()).bind(now.micros()).bind(limit)).await?;
    let rows = db::all(
        &mut tx,
        sql("select key, generation, attempt from due where claim=$1 order by turn, key").bind(token.to_owned()),
    )
    .await?;
    let mut claims = Vec::new();
    for row in rows {
        let name = text(&row, "key")?;
        let lease = sql("insert into leases (key, fence, until, beat, owner) values ($1, 1, $2, $3, $4) \
             on conflict (key) do update set fence=leases.fence+1, until=excluded.until, beat=excluded.beat, owner=excluded.owner");
        let until = now.after(LEASE).micros();
        db::run(&mut tx, lease.bind(name.clone()).bind(until).bind(now.micros()).bind(owner.to_owned())).await?;
        let lease = db::one(&mut tx, sql("select fence from leases where key=$1").bind(name.clone())).await?;
        let Some(key) = Key::parse(&name) else {
            db::run(&mut tx, sql("delete from due where key=$1").bind(name)).await?;
            continue;
        };
        let (generation, attempt) = (int(&row, "generation")?, int(&row, "attempt")?);
        claims.push(Claim { key, generation, attempt, fence: int(&lease, "fence")? });
    }
    tx.commit().await?;
    Ok(claims)
}

/// Begins every transaction of a pass: renews the lease, or ends the pass when another has it.
pub(crate) async fn hold(conn: &mut Conn, key: &Key, fence: i64, now: Timestamp) -> Result<(), StoreError> {
    let query = sql("update leases set beat=$1, until=$2 where key=$3 and fence=$4");
    let query = query.bind(now.micros()).bind(now.after(LEASE).micros()).bind(key.text()).bind(fence);
    if db::run(conn, query).await? == 0 { Err(StoreError::Fenced) } else { Ok(()) }
}

/// Renews all leases of a worker.
pub(crate) async fn beat(store: &Store, owner: &str, now: Timestamp) -> Result<(), StoreError> {
    let mut tx = store.write().await?;
    let query = sql("update leases set beat=$1, until=$2 where owner=$3 and until>0");
    db::run(&mut tx, query.bind(now.micros()).bind(now.after(LEASE).micros()).bind(owner.to_owned())).await?;
    tx.commit().await?;
    Ok(())
}

/// Lets go of all leases: for the one process of a SQLite database when it starts.
pub(crate) async fn release_all(store: &Store) -> Result<(), StoreError> {
    let mut tx = store.write().await?;
    db::run(&mut tx, sql("update leases set until=0")).await?;
    db::run(&mut tx, sql("update due set claim=null where claim is not null")).await?;
    tx.commit().await?;
    Ok(())
}

/// Lets go of all leases of a worker that ends.
pub(crate) async fn release(store: &Store, owner: &str) -> Result<(), StoreError> {
    let mut tx = store.write().await?;
    let mine = sql(
        "update due set claim=null where claim is not null and key in (select key from leases where owner=$1 and until>0)",
    );
    db::run(&mut tx, mine.bind(owner.to_owned())).await?;
    // The fence grows: a pass that is still under way can write no more.
    let query = sql("update leases set until=0, fence=fence+1 where owner=$1 and until>0");
    db::run(&mut tx, query.bind(owner.to_owned())).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends a pass: the key is gone, or due again at `again`; a hint in between makes it due at once.
pub(crate) async fn settle(
    store: &Store,
    claim: &Claim,
    now: Timestamp,
    again: Option<Timestamp>,
    attempt: i64,
) -> Result<(), StoreError> {
    let mut tx = store.write().await?;
    hold(&mut tx, &claim.key, claim.fence, now).await?;
    let key = claim.key.text();
    let touched = match again {
        None => {
            let query = sql("delete from due where key=$1 and generation=$2");
            db::run(&mut tx, query.bind(key.clone()).bind(claim.generation)).await?
        }
        Some(at) => {
            let query = sql("update due set claim=null, due_at=$3, attempt=$4 where key=$1 and generation=$2");
            db::run(&mut tx, query.bind(key.clone()).bind(claim.generation).bind(at.micros()).bind(attempt)).await?
        }
    };
    if touched == 0 {
        db::run(&mut tx, sql("update due set claim=null, attempt=$2 where key=$1").bind(key.clone()).bind(attempt))
            .await?;
    }
    db::run(&mut tx, sql("update leases set until=0 where key=$1").bind(key)).await?;
    tx.commit().await?;
    Ok(())
}

/// When the next unclaimed key is due.
pub(crate) async fn next(store: &Store) -> Result<Option<Timestamp>, StoreError> {
    let mut conn = store.read().await?;
    let row =
        db::optional(&mut conn, sql("select due_at from due where claim is null order by due_at limit 1")).await?;
    row.map(|row| Ok(Timestamp::from_micros(int(&row, "due_at")?))).transpose()
}

async fn stale(store: &Store, now: Timestamp) -> Result<bool, StoreError> {
    let mut conn = store.read().await?;
    let query = sql(
        "select key from due where claim is not null and key not in (select key from leases where until>$1) limit 1",
    );
    Ok(db::optional(&mut conn, query.bind(now.micros())).await?.is_some())
}

/// Notes a delivery. False when it was noted before.
pub(crate) async fn deliver(
    conn: &mut Conn,
    id: &str,
    event: &str,
    action: Option<&str>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let query = sql(
        "insert into deliveries (id, event, action, received_at) values ($1, $2, $3, $4) on conflict (id) do nothing",
    );
    let query = query.bind(id.to_owned()).bind(event.to_owned()).bind(action.map(str::to_owned)).bind(now.micros());
    Ok(db::run(conn, query).await? == 1)
}

/// The setting that holds the App's slug, once GitHub told it.
pub(crate) const SLUG: &str = "slug";

/// The setting that holds the App's id, once GitHub told it.
pub(crate) const APP: &str = "app";

/// The setting that says whether plans are applied from here: "yes" or "no".
pub(crate) const APPLIES: &str = "applies";
/// Are states served to jobs? "yes" or "no".
pub(crate) const STATES: &str = "states";

/// A value of the server's own settings.
pub(crate) async fn setting(conn: &mut Conn, name: &str) -> Result<Option<String>, StoreError> {
    let row = db::optional(conn, sql("select value from settings where name=$1").bind(name.to_owned())).await?;
    row.map(|row| text(&row, "value")).transpose()
}

/// Stores such a value unless there is one.
pub(crate) async fn set_setting(conn: &mut Conn, name: &str, value: &str) -> Result<(), StoreError> {
    let query = sql("insert into settings (name, value) values ($1, $2) on conflict (name) do nothing");
    db::run(conn, query.bind(name.to_owned()).bind(value.to_owned())).await?;
    Ok(())
}

/// Stores such a value, whatever was there.
pub(crate) async fn put_setting(conn: &mut Conn, name: &str, value: &str) -> Result<(), StoreError> {
    let query = sql("insert into settings (name, value) values ($1, $2) \
         on conflict (name) do update set value=excluded.value");
    db::run(conn, query.bind(name.to_owned()).bind(value.to_owned())).await?;
    Ok(())
}
