//! Connections, transactions and reading of rows.
//!
//! Invariant: every write runs in an explicit transaction through `Store::write`; rows are read by `one`,
//! `optional` and `all`, which fetch everything (the shortcuts of sqlx answer Ok before the commit is known).

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, Row};

use super::StoreError;

/// A query with its parameters.
pub(crate) type Sql<'q> = Query<'q, Any, AnyArguments>;

/// A statement from its text.
pub(crate) fn sql<'q>(text: &'static str) -> Sql<'q> {
    sqlx::query(text)
}

/// All rows.
pub(crate) async fn all(conn: &mut AnyConnection, query: Sql<'_>) -> Result<Vec<AnyRow>, StoreError> {
    Ok(query.fetch_all(conn).await?)
}

/// The row, when there is one.
pub(crate) async fn optional(conn: &mut AnyConnection, query: Sql<'_>) -> Result<Option<AnyRow>, StoreError> {
    Ok(query.fetch_all(conn).await?.into_iter().next())
}

/// The row; its absence is an error.
pub(crate) async fn one(conn: &mut AnyConnection, query: Sql<'_>) -> Result<AnyRow, StoreError> {
    optional(conn, query).await?.ok_or(StoreError::NoRow)
}

/// Runs a statement; how many rows it touched.
pub(crate) async fn run(conn: &mut AnyConnection, query: Sql<'_>) -> Result<u64, StoreError> {
    Ok(query.execute(conn).await?.rows_affected())
}

/// A 64-bit number.
pub(crate) fn int(row: &AnyRow, column: &str) -> Result<i64, StoreError> {
    Ok(row.try_get(column)?)
}

/// A 64-bit number or null.
pub(crate) fn maybe_int(row: &AnyRow, column: &str) -> Result<Option<i64>, StoreError> {
    Ok(row.try_get(column)?)
}

/// A text.
pub(crate) fn text(row: &AnyRow, column: &str) -> Result<String, StoreError> {
    Ok(row.try_get(column)?)
}

/// A text or null.
pub(crate) fn maybe_text(row: &AnyRow, column: &str) -> Result<Option<String>, StoreError> {
    Ok(row.try_get(column)?)
}

/// Bytes.
pub(crate) fn bytes(row: &AnyRow, column: &str) -> Result<Vec<u8>, StoreError> {
    Ok(row.try_get(column)?)
}

/// Bytes or null.
pub(crate) fn maybe_bytes(row: &AnyRow, column: &str) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(row.try_get(column)?)
}

/// A stored JSON value.
pub(crate) fn json<T: serde::de::DeserializeOwned>(row: &AnyRow, column: &str) -> Result<T, StoreError> {
    from_json(&text(row, column)?)
}

/// A stored JSON value or null.
pub(crate) fn maybe_json<T: serde::de::DeserializeOwned>(row: &AnyRow, column: &str) -> Result<Option<T>, StoreError> {
    maybe_text(row, column)?.as_deref().map(from_json).transpose()
}

/// Reads JSON text.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Unreadable { what: source.to_string() })
}

/// Writes JSON text.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|source| StoreError::Unreadable { what: source.to_string() })
}
