//! Rows. sqlx is spoken here and nowhere else; one SQL text for SQLite and PostgreSQL.
//!
//! Invariant: a write is an explicit transaction through `Store::write`; on SQLite there is one connection that
//! writes, so that a transaction never opens another.

pub(crate) mod api_tokens;
pub(crate) mod audit;
pub(crate) mod blobs;
pub(crate) mod commands;
pub(crate) mod db;
mod dialect;
pub(crate) mod due;
pub(crate) mod gates;
pub(crate) mod groups;
pub(crate) mod landings;
pub(crate) mod locks;
pub(crate) mod logs;
mod migrate;
pub(crate) mod publications;
pub(crate) mod pulls;
pub(crate) mod runs;
pub(crate) mod sealed;
pub(crate) mod secrets;
pub(crate) mod state_tokens;
pub(crate) mod states;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod views;

use std::sync::Arc;

use sqlx::{Any, AnyConnection, AnyPool, Connection as _};
use tokio::sync::Notify;

pub use dialect::Dialect;

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names no database that we know.
    #[error("the database URL must begin with sqlite:// or postgres://")]
    Url,
    /// The database was written by a newer version.
    #[error("the database has the migration {step}, which this version does not know; start the newer version")]
    Newer {
        /// Its number.
        step: i64,
    },
    /// The database was not written by this version.
    #[error("the database has not the schema of this version; start this version of the server once")]
    Unlike,
    /// A row that must be there is not: a bug.
    #[error("a row that must be there is not")]
    NoRow,
    /// A stored value cannot be read: a bug, or a database changed by hand.
    #[error("a stored value cannot be read: {what}")]
    Unreadable {
        /// Which and why.
        what: String,
    },
    /// Another worker took over; this pass must end.
    #[error("another worker took over")]
    Fenced,
    /// The database failed.
    #[error("the database failed")]
    Sql(#[from] sqlx::Error),
}

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    read: AnyPool,
    write: AnyPool,
    dialect: Dialect,
    wake: Arc<Notify>,
}

/// A write transaction. Dropped without `commit`, it is rolled back.
pub(crate) type Tx = sqlx::Transaction<'static, Any>;

impl Store {
    /// Opens `sqlite://PATH` (created when it is absent) or `postgres://…` and brings the schema up to date.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let store = Self::connect(url, "rwc").await?;
        let mut tx = store.serial().await?;
        migrate::run(&mut tx).await?;
        tx.commit().await?;
        Ok(store)
    }

    /// Opens a database that a server of this version made, beside it or without it; changes no schema.
    pub async fn attach(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let store = Self::connect(url, "rw").await?;
        let mut conn = store.read().await?;
        let is_ours = migrate::is_done(&mut conn).await?;
        drop(conn);
        if is_ours { Ok(store) } else { Err(StoreError::Unlike) }
    }

    async fn connect(url: &str, mode: &str) -> Result<Self, StoreError> {
        let dialect = Dialect::of(url)?;
        let (write, read) = match dialect {
            Dialect::Sqlite => {
                let separator = if url.contains('?') { '&' } else { '?' };
                let url = format!("{url}{separator}mode={mode}");
                let write = dialect.pool(1, true).connect(&url).await?;
                let read = dialect.pool(4, false).connect(&url).await?;
                (write, read)
            }
            Dialect::Postgres => {
                // A pool tries in vain for half a minute and then does not say why.
                AnyConnection::connect(url).await?.close().await?;
                let pool = dialect.pool(10, true).connect(url).await?;
                (pool.clone(), pool)
            }
        };
        Ok(Self { read, write, dialect, wake: Arc::new(Notify::new()) })
    }

    /// Ends all connections.
    pub async fn close(&self) {
        self.write.close().await;
        self.read.close().await;
    }

    /// Which database it is.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Begins a write.
    pub(crate) async fn write(&self) -> Result<Tx, StoreError> {
        begin(&self.write, self.dialect.begin()).await
    }

    /// Begins a write that no other of its kind overlaps.
    pub(crate) async fn serial(&self) -> Result<Tx, StoreError> {
        let mut tx = self.write().await?;
        if self.dialect == Dialect::Postgres {
            // Two first starts must not both create the tables.
            db::all(&mut tx, db::sql("select pg_advisory_xact_lock(8711)::text as locked")).await?;
        }
        Ok(tx)
    }

    /// A connection for reading.
    pub(crate) async fn read(&self) -> Result<sqlx::pool::PoolConnection<Any>, StoreError> {
        Ok(self.read.acquire().await?)
    }

    /// Begins a read whose statements all see the same rows.
    pub(crate) async fn snapshot(&self) -> Result<Tx, StoreError> {
        begin(&self.read, self.dialect.snapshot()).await
    }

    /// Wakes whoever waits for due keys in this process.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits for `wake`.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

/// Begins a transaction. SQLite ends one by itself when the disk is full or fails; sqlx's rollback then fails too, and
/// the connection believes for ever that it is inside of one. Such a connection is replaced.
async fn begin(pool: &AnyPool, statement: &'static str) -> Result<Tx, StoreError> {
    match pool.begin_with(statement).await {
        Err(sqlx::Error::InvalidSavePointStatement) => {
            // What it has to say at its end is of no use.
            let _ = pool.acquire().await?.close().await;
            Ok(pool.begin_with(statement).await?)
        }
        begun => Ok(begun?),
    }
}

/// Keeps the signature of store functions short.
pub(crate) type Conn = AnyConnection;
