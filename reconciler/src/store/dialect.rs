//! The differences between the two databases, all of them.

use sqlx::AnyConnection;
use sqlx::any::AnyPoolOptions;

use super::StoreError;

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Embedded, one process.
    Sqlite,
    /// A server, several replicas.
    Postgres,
}

impl Dialect {
    /// From the URL's scheme.
    pub(super) fn of(url: &str) -> Result<Self, StoreError> {
        match url.split(':').next() {
            Some("sqlite") => Ok(Self::Sqlite),
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            _ => Err(StoreError::Url),
        }
    }

    /// Pool options; on SQLite with the pragmas of each connection.
    pub(super) fn pool(self, connections: u32, writes: bool) -> AnyPoolOptions {
        let options = AnyPoolOptions::new().max_connections(connections);
        match self {
            Self::Postgres => options,
            Self::Sqlite => options.after_connect(move |conn, _| Box::pin(pragmas(conn, writes))),
        }
    }

    /// The statement that begins a write transaction (the lock is taken at once on SQLite).
    pub(super) const fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "begin immediate",
            Self::Postgres => "begin",
        }
    }

    /// The statement that begins a read of many statements that all see the same rows.
    pub(super) const fn snapshot(self) -> &'static str {
        match self {
            Self::Sqlite => "begin",
            Self::Postgres => "begin isolation level repeatable read read only",
        }
    }

    /// The statement that waits for all transactions that write sealed values, and lets no other begin to; `None` where
    /// a write transaction does so by itself.
    pub(super) const fn shut_out(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => {
                Some("lock table settings, secrets, secrets_before, run_log_chunks, blobs, blob_chunks in share mode")
            }
        }
    }

    /// Claims due keys in the order of their turn; rows that another worker holds are skipped.
    pub(super) const fn claim(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "update due set claim=$1 where key in (select key from due where claim is null and due_at<=$2 order by turn, key limit $3)"
            }
            Self::Postgres => {
                "update due set claim=$1 where key in (select key from due where claim is null and due_at<=$2 order by turn, key limit $3 for update skip locked)"
            }
        }
    }
}

async fn pragmas(conn: &mut AnyConnection, writes: bool) -> Result<(), sqlx::Error> {
    if writes {
        for text in [
            "pragma auto_vacuum=incremental",
            "pragma journal_mode=wal",
            "pragma synchronous=full",
            "pragma foreign_keys=on",
        ] {
            sqlx::query(text).fetch_all(&mut *conn).await?;
        }
    } else {
        sqlx::query("pragma query_only=on").fetch_all(&mut *conn).await?;
    }
    sqlx::query("pragma busy_timeout=10000").fetch_all(&mut *conn).await?;
    Ok(())
}
