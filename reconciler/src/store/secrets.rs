//! Rows of secrets: the value of each name in each scope, and values of before.
//!
//! Invariant: a version belongs to one value for ever, also after a removal.

use model::time::Timestamp;
use sqlx::any::AnyRow;

use super::db::{self, int, maybe_bytes, sql, text};
use super::{Conn, StoreError};

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretRow {
    pub(crate) scope: String,
    pub(crate) name: String,
    pub(crate) version: i64,
    /// `None`: it was removed.
    pub(crate) sealed: Option<Vec<u8>>,
    pub(crate) changed_at: Timestamp,
    pub(crate) actor: String,
}

/// A statement over all columns.
macro_rules! select {
    ($rest:literal) => {
        sql(concat!("select scope, name, version, sealed, changed_at, actor from secrets ", $rest))
    };
}

/// Takes the row of a name for this transaction; one that was never set gets the version 0 and no value.
pub(crate) async fn hold(conn: &mut Conn, scope: &str, name: &str) -> Result<SecretRow, StoreError> {
    let query = sql("insert into secrets (scope, name, version, changed_at, actor) values ($1, $2, 0, 0, '') \
         on conflict (scope, name) do update set version=secrets.version");
    db::run(conn, query.bind(scope.to_owned()).bind(name.to_owned())).await?;
    let query = select!("where scope=$1 and name=$2").bind(scope.to_owned()).bind(name.to_owned());
    read(&db::one(conn, query).await?)
}

/// Stores the next version of a name; `hold` first.
pub(crate) async fn put(conn: &mut Conn, row: &SecretRow) -> Result<(), StoreError> {
    let query = sql("update secrets set version=$3, sealed=$4, changed_at=$5, actor=$6 where scope=$1 and name=$2");
    let r = row.clone();
    let query = query.bind(r.scope).bind(r.name).bind(r.version).bind(r.sealed).bind(r.changed_at.micros());
    db::run(conn, query.bind(r.actor)).await?;
    Ok(())
}

/// Keeps a value of before until then, and forgets those whose time has passed.
pub(crate) async fn keep(conn: &mut Conn, old: &SecretRow, until: Timestamp, now: Timestamp) -> Result<(), StoreError> {
    if let Some(sealed) = &old.sealed {
        let query = sql("insert into secrets_before (scope, name, version, sealed, until) values ($1, $2, $3, $4, $5)");
        let query = query.bind(old.scope.clone()).bind(old.name.clone()).bind(old.version).bind(sealed.clone());
        db::run(conn, query.bind(until.micros())).await?;
    }
    forget(conn, now).await
}

/// Forgets values of before whose time has passed.
pub(crate) async fn forget(conn: &mut Conn, now: Timestamp) -> Result<(), StoreError> {
    db::run(conn, sql("delete from secrets_before where until<$1").bind(now.micros())).await?;
    Ok(())
}

/// What is set in two scopes, by name.
pub(crate) async fn of_scopes(conn: &mut Conn, one: &str, other: &str) -> Result<Vec<SecretRow>, StoreError> {
    let query = select!("where (scope=$1 or scope=$2) and sealed is not null order by name, scope");
    db::all(conn, query.bind(one.to_owned()).bind(other.to_owned())).await?.iter().map(read).collect()
}

/// Versions of what is set in two scopes: name, scope, version.
pub(crate) async fn versions(
    conn: &mut Conn,
    one: &str,
    other: &str,
) -> Result<Vec<(String, String, i64)>, StoreError> {
    let query = sql("select name, scope, version from secrets where (scope=$1 or scope=$2) and sealed is not null \
         order by name, scope");
    let rows = db::all(conn, query.bind(one.to_owned()).bind(other.to_owned())).await?;
    rows.iter().map(|row| Ok((text(row, "name")?, text(row, "scope")?, int(row, "version")?))).collect()
}

/// Values of before in two scopes: name, scope, version, value.
pub(crate) async fn before(
    conn: &mut Conn,
    one: &str,
    other: &str,
) -> Result<Vec<(String, String, i64, Vec<u8>)>, StoreError> {
    let query = sql("select name, scope, version, sealed from secrets_before where scope=$1 or scope=$2 \
         order by name, scope, version");
    let rows = db::all(conn, query.bind(one.to_owned()).bind(other.to_owned())).await?;
    let read =
        |row: &AnyRow| Ok((text(row, "name")?, text(row, "scope")?, int(row, "version")?, db::bytes(row, "sealed")?));
    rows.iter().map(read).collect()
}

fn read(row: &AnyRow) -> Result<SecretRow, StoreError> {
    Ok(SecretRow {
        scope: text(row, "scope")?,
        name: text(row, "name")?,
        version: int(row, "version")?,
        sealed: maybe_bytes(row, "sealed")?,
        changed_at: Timestamp::from_micros(int(row, "changed_at")?),
        actor: text(row, "actor")?,
    })
}
