//! Rows that hold sealed values, of every table that has any: read in order, and replaced one by one.
//!
//! Invariant: a row is replaced only while it holds what was read of it.

use sqlx::any::AnyRow;

use super::db::{self, bytes, int, sql, text};
use super::{Conn, StoreError};

/// A table with sealed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// Secrets of the server itself, in hexadecimal; their names end with "-secret".
    Settings,
    /// Values of secrets.
    Secrets,
    /// Values of before.
    SecretsBefore,
    /// Pieces of the logs of runs.
    Logs,
    /// Pieces of large values: states, plan files.
    Blobs,
}

impl Table {
    /// All of them, the small ones first.
    pub(crate) const ALL: [Self; 5] = [Self::Settings, Self::Secrets, Self::SecretsBefore, Self::Logs, Self::Blobs];
}

/// Where a row is in the order of its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At {
    /// Of settings the name, of secrets the scope, of logs the run, of blobs the key.
    pub(crate) first: String,
    /// Of secrets the name, of blobs the generation.
    pub(crate) second: String,
    /// Of secrets the version, of logs the offset, of blobs the number of the piece.
    pub(crate) third: i64,
}

impl At {
    /// Before all rows.
    pub(crate) const START: Self = Self { first: String::new(), second: String::new(), third: -1 };
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SealedRow {
    pub(crate) at: At,
    /// Of logs the bytes of the piece, of blobs those of the whole value (-1: of a value that is not there).
    pub(crate) length: i64,
    pub(crate) sealed: Vec<u8>,
}

/// The rows of a table behind `at`, in order, at most `most`.
pub(crate) async fn after(conn: &mut Conn, table: Table, at: &At, most: i64) -> Result<Vec<SealedRow>, StoreError> {
    let At { first, second, third } = at.clone();
    let query = match table {
        Table::Settings => sql("select name as first, value from settings where name>$1 and name like '%-secret' \
             order by name limit $2")
        .bind(first),
        Table::Secrets => sql("select scope as first, name as second, version as third, sealed from secrets \
             where (scope, name)>($1, $2) and sealed is not null order by scope, name limit $3")
        .bind(first)
        .bind(second),
        Table::SecretsBefore => sql("select scope as first, name as second, version as third, sealed \
             from secrets_before where (scope, name, version)>($1, $2, $3) order by scope, name, version limit $4")
        .bind(first)
        .bind(second)
        .bind(third),
        Table::Logs => sql("select run as first, start as third, length, sealed from run_log_chunks \
             where (run, start)>($1, $2) order by run, start limit $3")
        .bind(first)
        .bind(third),
        Table::Blobs => sql("select c.key as first, c.generation as second, c.seq as third, \
             coalesce(b.length, -1) as length, c.sealed from blob_chunks c \
             left join blobs b on b.key=c.key and b.generation=c.generation \
             where (c.key, c.generation, c.seq)>($1, $2, $3) order by c.key, c.generation, c.seq limit $4")
        .bind(first)
        .bind(second)
        .bind(third),
    };
    db::all(conn, query.bind(most)).await?.iter().map(|row| read(table, row)).collect()
}

fn read(table: Table, row: &AnyRow) -> Result<SealedRow, StoreError> {
    let first = text(row, "first")?;
    let second = match table {
        Table::Settings | Table::Logs => String::new(),
        Table::Secrets | Table::SecretsBefore | Table::Blobs => text(row, "second")?,
    };
    let third = match table {
        Table::Settings => 0,
        Table::Secrets | Table::SecretsBefore | Table::Logs | Table::Blobs => int(row, "third")?,
    };
    let length = match table {
        Table::Settings | Table::Secrets | Table::SecretsBefore => 0,
        Table::Logs | Table::Blobs => int(row, "length")?,
    };
    let sealed = match table {
        // What is not hexadecimal was changed by another hand, and does not open.
        Table::Settings => hex::decode(text(row, "value")?).unwrap_or_default(),
        Table::Secrets | Table::SecretsBefore | Table::Logs | Table::Blobs => bytes(row, "sealed")?,
    };
    Ok(SealedRow { at: At { first, second, third }, length, sealed })
}

/// Puts a value in the place of the one that was read. False: the row holds another by now, or is gone.
pub(crate) async fn replace(
    conn: &mut Conn,
    table: Table,
    old: &SealedRow,
    sealed: Vec<u8>,
) -> Result<bool, StoreError> {
    let (At { first, second, third }, before) = (old.at.clone(), old.sealed.clone());
    let query = match table {
        Table::Settings => sql("update settings set value=$1 where value=$2 and name=$3")
            .bind(hex::encode(sealed))
            .bind(hex::encode(before))
            .bind(first),
        Table::Secrets => sql("update secrets set sealed=$1 where sealed=$2 and scope=$3 and name=$4 and version=$5")
            .bind(sealed)
            .bind(before)
            .bind(first)
            .bind(second)
            .bind(third),
        Table::SecretsBefore => {
            sql("update secrets_before set sealed=$1 where sealed=$2 and scope=$3 and name=$4 and version=$5")
                .bind(sealed)
                .bind(before)
                .bind(first)
                .bind(second)
                .bind(third)
        }
        Table::Logs => sql("update run_log_chunks set sealed=$1 where sealed=$2 and run=$3 and start=$4")
            .bind(sealed)
            .bind(before)
            .bind(first)
            .bind(third),
        Table::Blobs => sql("update blob_chunks set sealed=$1 where sealed=$2 and key=$3 and generation=$4 and seq=$5")
            .bind(sealed)
            .bind(before)
            .bind(first)
            .bind(second)
            .bind(third),
    };
    Ok(db::run(conn, query).await? > 0)
}

/// Waits for all writes to these tables that began before; ends with the caller's transaction.
pub(crate) async fn wait_for_writers(conn: &mut Conn, dialect: super::Dialect) -> Result<(), StoreError> {
    if let Some(statement) = dialect.shut_out() {
        db::run(conn, sql(statement)).await?;
    }
    Ok(())
}
