//! Rows of large values: one head per key, and the sealed pieces of its generation.

use super::db::{self, bytes, int, sql, text};
use super::{Conn, StoreError};

/// What is stored under a key now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes of the value.
    pub(crate) length: i64,
    /// Which write it is of.
    pub(crate) generation: String,
}

/// The head of a key.
pub(crate) async fn head(conn: &mut Conn, key: &str) -> Result<Option<Head>, StoreError> {
    let query = sql("select length, generation from blobs where key=$1").bind(key.to_owned());
    let row = db::optional(conn, query).await?;
    row.map(|row| Ok(Head { length: int(&row, "length")?, generation: text(&row, "generation")? })).transpose()
}

/// Begins a new value: sets the head and removes all pieces. The head comes first: its row is the lock that
/// keeps two writers of a key apart until the transaction ends.
pub(crate) async fn begin(conn: &mut Conn, key: &str, head: &Head) -> Result<(), StoreError> {
    let query = sql("insert into blobs (key, length, generation) values ($1, $2, $3) \
         on conflict (key) do update set length=excluded.length, generation=excluded.generation");
    db::run(conn, query.bind(key.to_owned()).bind(head.length).bind(head.generation.clone())).await?;
    db::run(conn, sql("delete from blob_chunks where key=$1").bind(key.to_owned())).await?;
    Ok(())
}

/// Adds a piece.
pub(crate) async fn add(
    conn: &mut Conn,
    key: &str,
    generation: &str,
    seq: i64,
    sealed: Vec<u8>,
) -> Result<(), StoreError> {
    let query = sql("insert into blob_chunks (key, generation, seq, sealed) values ($1, $2, $3, $4)");
    db::run(conn, query.bind(key.to_owned()).bind(generation.to_owned()).bind(seq).bind(sealed)).await?;
    Ok(())
}

/// The pieces `from..until` of a generation, in order, as far as they are there.
pub(crate) async fn window(
    conn: &mut Conn,
    key: &str,
    generation: &str,
    from: i64,
    until: i64,
) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
    let query = sql("select seq, sealed from blob_chunks where key=$1 and generation=$2 and seq>=$3 and seq<$4 \
         order by seq");
    let query = query.bind(key.to_owned()).bind(generation.to_owned()).bind(from).bind(until);
    db::all(conn, query).await?.iter().map(|row| Ok((int(row, "seq")?, bytes(row, "sealed")?))).collect()
}

/// Removes a value.
pub(crate) async fn remove(conn: &mut Conn, key: &str) -> Result<(), StoreError> {
    db::run(conn, sql("delete from blobs where key=$1").bind(key.to_owned())).await?;
    db::run(conn, sql("delete from blob_chunks where key=$1").bind(key.to_owned())).await?;
    Ok(())
}
