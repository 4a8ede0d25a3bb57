//! Rows of the audit log.
//!
//! Invariant: rows are added under the row of `audit_head`, one writer at a time, and never changed.

use model::time::Timestamp;
use sqlx::any::AnyRow;

use super::db::{self, int, maybe_text, sql, text};
use super::{Conn, StoreError};

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuditRow {
    pub(crate) seq: i64,
    pub(crate) at: Timestamp,
    pub(crate) actor: String,
    /// The id of the API token.
    pub(crate) token: Option<String>,
    pub(crate) action: String,
    pub(crate) place: String,
    pub(crate) detail: String,
    pub(crate) hash: String,
}

/// The number and hash of the newest row, which nobody else follows until the transaction ends.
pub(crate) async fn hold(conn: &mut Conn) -> Result<(i64, String), StoreError> {
    let query = sql("insert into audit_head (id, seq, hash) values (1, 0, '') \
         on conflict (id) do update set seq=audit_head.seq");
    db::run(conn, query).await?;
    let row = db::one(conn, sql("select seq, hash from audit_head where id=1")).await?;
    Ok((int(&row, "seq")?, text(&row, "hash")?))
}

/// Adds a row behind the newest; `hold` first.
pub(crate) async fn add(conn: &mut Conn, row: &AuditRow) -> Result<(), StoreError> {
    let query = sql("insert into audit (seq, at, actor, token, action, place, detail, hash) \
         values ($1, $2, $3, $4, $5, $6, $7, $8)");
    let r = row.clone();
    let query = query.bind(r.seq).bind(r.at.micros()).bind(r.actor).bind(r.token).bind(r.action).bind(r.place);
    db::run(conn, query.bind(r.detail).bind(r.hash)).await?;
    let query = sql("update audit_head set seq=$1, hash=$2 where id=1").bind(row.seq).bind(row.hash.clone());
    db::run(conn, query).await?;
    Ok(())
}

/// The number and hash that the newest row should have; `None` before the first.
pub(crate) async fn head(conn: &mut Conn) -> Result<Option<(i64, String)>, StoreError> {
    let row = db::optional(conn, sql("select seq, hash from audit_head where id=1")).await?;
    row.map(|row| Ok((int(&row, "seq")?, text(&row, "hash")?))).transpose()
}

/// At most so many rows behind a number, in order.
pub(crate) async fn after(conn: &mut Conn, seq: i64, limit: i64) -> Result<Vec<AuditRow>, StoreError> {
    let query = sql("select seq, at, actor, token, action, place, detail, hash from audit where seq>$1 \
         order by seq limit $2");
    db::all(conn, query.bind(seq).bind(limit)).await?.iter().map(read).collect()
}

fn read(row: &AnyRow) -> Result<AuditRow, StoreError> {
    Ok(AuditRow {
        seq: int(row, "seq")?,
        at: Timestamp::from_micros(int(row, "at")?),
        actor: text(row, "actor")?,
        token: maybe_text(row, "token")?,
        action: text(row, "action")?,
        place: text(row, "place")?,
        detail: text(row, "detail")?,
        hash: text(row, "hash")?,
    })
}
