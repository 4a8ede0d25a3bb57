//! What a town stands on: a clock that tests move, ids that are the same on every run, databases.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use model::ports::{Clock, Ids};
use model::time::Timestamp;
use uuid::Uuid;

/// 2027-01-15T08:00:00Z in microseconds.
const START: i64 = 1_800_000_000_000_000;

/// A clock that only a test moves.
#[derive(Debug, Clone)]
pub(crate) struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(START)))
    }

    pub(crate) fn micros(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Never back.
    pub(crate) fn to(&self, at: Timestamp) {
        self.0.fetch_max(at.micros(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros())
    }
}

/// UUIDv7 of the given time and a counter, without chance.
#[derive(Debug, Default)]
pub(crate) struct CountedIds(AtomicU64);

impl Ids for CountedIds {
    fn uuid(&self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.micros() / 1000).unwrap_or(0);
        let count = self.0.fetch_add(1, Ordering::SeqCst);
        let high = (millis << 16) | 0x7000 | (count >> 52 & 0x0fff);
        Uuid::from_u64_pair(high, (count & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000)
    }
}

/// Where a town's rows live.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    /// A file in the town's folder.
    Sqlite,
    /// A schema of its own on the server of `BUILDIT_TEST_POSTGRES`.
    Postgres(String),
}

/// The databases that are there, SQLite first. `BUILDIT_REQUIRE=postgres` makes a missing one a failure.
pub(crate) fn databases() -> Vec<Database> {
    let mut all = vec![Database::Sqlite];
    match std::env::var("BUILDIT_TEST_POSTGRES") {
        Ok(url) => all.push(Database::Postgres(url)),
        Err(_) => missing("postgres", "BUILDIT_TEST_POSTGRES is not set"),
    }
    all
}

/// Says loudly what is skipped; `BUILDIT_REQUIRE` makes it a failure.
pub(crate) fn missing(what: &str, why: &str) {
    let required = std::env::var("BUILDIT_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|name| name.trim() == what), "{what} is required (BUILDIT_REQUIRE): {why}");
    eprintln!("SKIPPED: {what}: {why}");
}

static SCHEMAS: AtomicU64 = AtomicU64::new(0);

impl Database {
    /// The store's address; makes the schema of a PostgreSQL.
    pub(crate) async fn url(&self, folder: &std::path::Path) -> String {
        let url = match self {
            Database::Sqlite => return format!("sqlite://{}", folder.join("buildit.db").display()),
            Database::Postgres(url) => url,
        };
        let schema = format!("town_{}_{}", std::process::id(), SCHEMAS.fetch_add(1, Ordering::SeqCst));
        sqlx::any::install_default_drivers();
        let pool = sqlx::AnyPool::connect(url).await.expect("PostgreSQL answers");
        let create = sqlx::AssertSqlSafe(format!("create schema {schema}"));
        sqlx::query(create).execute(&pool).await.expect("a schema of its own");
        pool.close().await;
        let separator = if url.contains('?') { '&' } else { '?' };
        format!("{url}{separator}options=-c%20search_path%3D{schema}")
    }
}
