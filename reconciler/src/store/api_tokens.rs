//! Rows of API tokens.

use model::id::RepoId;
use model::time::Timestamp;
use sqlx::any::AnyRow;

use super::db::{self, int, maybe_int, maybe_text, sql, text};
use super::{Conn, StoreError};

/// A row, without the hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiTokenRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) owner: String,
    /// Words between spaces.
    pub(crate) scopes: String,
    pub(crate) org: Option<String>,
    pub(crate) repo: Option<RepoId>,
    pub(crate) created_at: Timestamp,
    pub(crate) created_by: String,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) used_at: Option<Timestamp>,
    pub(crate) revoked_at: Option<Timestamp>,
}

/// Adds a token.
pub(crate) async fn add(conn: &mut Conn, hash: &str, row: &ApiTokenRow) -> Result<(), StoreError> {
    let query =
        sql("insert into api_tokens (id, hash, name, owner, scopes, org, repo, created_at, created_by, expires_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
    let r = row.clone();
    let query = query.bind(r.id).bind(hash.to_owned()).bind(r.name).bind(r.owner).bind(r.scopes).bind(r.org);
    let query = query.bind(r.repo.map(RepoId::get)).bind(r.created_at.micros()).bind(r.created_by);
    db::run(conn, query.bind(r.expires_at.map(Timestamp::micros))).await?;
    Ok(())
}

/// A statement over all columns.
macro_rules! select {
    ($rest:literal) => {
        sql(concat!(
            "select id, name, owner, scopes, org, repo, created_at, created_by, expires_at, used_at, revoked_at ",
            "from api_tokens ",
            $rest
        ))
    };
}

/// The token of that hash.
pub(crate) async fn by_hash(conn: &mut Conn, hash: &str) -> Result<Option<ApiTokenRow>, StoreError> {
    db::optional(conn, select!("where hash=$1").bind(hash.to_owned())).await?.as_ref().map(read).transpose()
}

/// The token of that id.
pub(crate) async fn by_id(conn: &mut Conn, id: &str) -> Result<Option<ApiTokenRow>, StoreError> {
    db::optional(conn, select!("where id=$1").bind(id.to_owned())).await?.as_ref().map(read).transpose()
}

/// All tokens, the oldest first.
pub(crate) async fn all(conn: &mut Conn) -> Result<Vec<ApiTokenRow>, StoreError> {
    db::all(conn, select!("order by created_at, id")).await?.iter().map(read).collect()
}

/// Ends a token. False: it had ended.
pub(crate) async fn revoke(conn: &mut Conn, id: &str, by: &str, now: Timestamp) -> Result<bool, StoreError> {
    let query = sql("update api_tokens set revoked_at=$2, revoked_by=$3 where id=$1 and revoked_at is null");
    let touched = db::run(conn, query.bind(id.to_owned()).bind(now.micros()).bind(by.to_owned())).await?;
    Ok(touched == 1)
}

/// Notes that a token was shown.
pub(crate) async fn used(conn: &mut Conn, id: &str, now: Timestamp) -> Result<(), StoreError> {
    let query = sql("update api_tokens set used_at=$2 where id=$1").bind(id.to_owned()).bind(now.micros());
    db::run(conn, query).await?;
    Ok(())
}

fn read(row: &AnyRow) -> Result<ApiTokenRow, StoreError> {
    let time = |column| Ok::<_, StoreError>(maybe_int(row, column)?.map(Timestamp::from_micros));
    Ok(ApiTokenRow {
        id: text(row, "id")?,
        name: text(row, "name")?,
        owner: text(row, "owner")?,
        scopes: text(row, "scopes")?,
        org: maybe_text(row, "org")?,
        repo: maybe_int(row, "repo")?.map(RepoId::new),
        created_at: Timestamp::from_micros(int(row, "created_at")?),
        created_by: text(row, "created_by")?,
        expires_at: time("expires_at")?,
        used_at: time("used_at")?,
        revoked_at: time("revoked_at")?,
    })
}
