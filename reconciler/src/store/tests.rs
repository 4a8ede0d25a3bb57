//! The same suite on SQLite and, when `BUILDIT_TEST_POSTGRES` names one, on PostgreSQL.

mod prepared;
mod sealed;

use std::sync::Arc;
use std::time::Duration;

use model::id::{InstallationId, PullNumber, RepoId, RepoName};
use model::ports::Clock;
use model::time::Timestamp;

use super::{Store, StoreError, db, due, pulls};
use crate::inbox::{Delivery, Hint, Inbox, Noted};
use crate::world::Key;

pub(crate) struct Fixed(pub(crate) Timestamp);
impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        self.0
    }
}

pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_000);

/// An empty store per database that is there.
pub(crate) async fn stores(test: &str) -> Vec<(Store, Option<tempfile::TempDir>)> {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", dir.path().join("buildit.db").display());
    let mut stores = vec![(Store::open(&url).await.unwrap(), Some(dir))];
    match std::env::var("BUILDIT_TEST_POSTGRES") {
        Ok(url) => {
            let schema = format!("t_{test}_{}", std::process::id());
            sqlx::any::install_default_drivers();
            let pool = sqlx::AnyPool::connect(&url).await.unwrap();
            sqlx::query(sqlx::AssertSqlSafe(format!("create schema {schema}"))).execute(&pool).await.unwrap();
            pool.close().await;
            let separator = if url.contains('?') { '&' } else { '?' };
            let url = format!("{url}{separator}options=-c%20search_path%3D{schema}");
            stores.push((Store::open(&url).await.unwrap(), None));
        }
        Err(_) if std::env::var("BUILDIT_REQUIRE").is_ok_and(|all| all.split(',').any(|one| one == "postgres")) => {
            panic!("BUILDIT_REQUIRE names postgres, but BUILDIT_TEST_POSTGRES is not set")
        }
        Err(_) => {
            use std::io::Write as _;
            writeln!(std::io::stderr(), "SKIP: PostgreSQL half of {test}: BUILDIT_TEST_POSTGRES is not set").unwrap();
        }
    }
    stores
}

/// Before a test opens the same schema again.
pub(crate) async fn drop_schema(store: &Store) {
    if store.dialect() == super::Dialect::Postgres {
        let mut tx = store.write().await.unwrap();
        let drop = "do $$ begin execute 'drop schema ' || current_schema() || ' cascade'; end $$";
        db::run(&mut tx, db::sql(drop)).await.unwrap();
        tx.commit().await.unwrap();
        store.close().await;
    }
}

fn pull_hint(number: i64) -> Hint {
    let name = RepoName::parse("acme/shop").unwrap();
    Hint::Pull { installation: InstallationId::new(7), repo: RepoId::new(1), name, number: PullNumber::new(number) }
}

fn delivery(id: &str, number: i64) -> Delivery {
    Delivery { id: id.to_owned(), event: "pull_request".to_owned(), action: None, hints: vec![pull_hint(number)] }
}

#[tokio::test]
async fn a_delivery_counts_once_and_its_key_is_claimed_once() {
    for (store, _dir) in stores("claim").await {
        let inbox = Inbox::new(store.clone(), Arc::new(Fixed(NOW)));
        assert_eq!(inbox.note(delivery("a", 3)).await.unwrap(), Noted::New);
        assert_eq!(inbox.note(delivery("a", 4)).await.unwrap(), Noted::Duplicate);
        let claims = due::claim(&store, "w1", "t1", NOW, 10).await.unwrap();
        let keys: Vec<_> = claims.iter().map(|claim| claim.key.clone()).collect();
        assert_eq!(keys, [Key::Pull(RepoId::new(1), PullNumber::new(3))]);
        assert!(due::claim(&store, "w2", "t2", NOW, 10).await.unwrap().is_empty());
        due::settle(&store, &claims[0], NOW, None, 0).await.unwrap();
        assert_eq!(due::next(&store).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_hint_during_work_is_not_lost() {
    for (store, _dir) in stores("hint").await {
        let inbox = Inbox::new(store.clone(), Arc::new(Fixed(NOW)));
        inbox.note(delivery("a", 3)).await.unwrap();
        let claims = due::claim(&store, "w1", "t1", NOW, 10).await.unwrap();
        inbox.note(delivery("b", 3)).await.unwrap();
        due::settle(&store, &claims[0], NOW, None, 0).await.unwrap();
        assert_eq!(due::claim(&store, "w1", "t2", NOW, 10).await.unwrap().len(), 1);
        let pull =
            pulls::pull(&mut store.read().await.unwrap(), RepoId::new(1), PullNumber::new(3)).await.unwrap().unwrap();
        assert_eq!((pull.asked, pull.seen), (2, 0));
    }
}

#[tokio::test]
async fn a_silent_worker_loses_its_key_and_cannot_write() {
    for (store, _dir) in stores("fence").await {
        let inbox = Inbox::new(store.clone(), Arc::new(Fixed(NOW)));
        inbox.note(delivery("a", 3)).await.unwrap();
        let first = due::claim(&store, "w1", "t1", NOW, 10).await.unwrap().remove(0);
        let later = NOW.after(due::LEASE + Duration::from_secs(1));
        let second = due::claim(&store, "w2", "t2", later, 10).await.unwrap().remove(0);
        let refused = due::settle(&store, &first, later, None, 0).await;
        assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
        due::settle(&store, &second, later, None, 0).await.unwrap();
    }
}

#[tokio::test]
async fn one_tenant_does_not_own_the_queue() {
    for (store, _dir) in stores("fair").await {
        let mut tx = store.write().await.unwrap();
        for number in 1..=5 {
            due::mark(&mut tx, &Key::Pull(RepoId::new(1), PullNumber::new(number)), "loud", NOW, NOW).await.unwrap();
        }
        due::mark(&mut tx, &Key::Pull(RepoId::new(2), PullNumber::new(1)), "quiet", NOW, NOW).await.unwrap();
        tx.commit().await.unwrap();
        let keys = due::claim(&store, "w", "t", NOW, 2).await.unwrap();
        assert!(keys.iter().any(|claim| claim.key == Key::Pull(RepoId::new(2), PullNumber::new(1))), "{keys:?}");
    }
}

#[tokio::test]
async fn a_commit_that_fails_is_an_error_and_leaves_nothing() {
    for (store, _dir) in stores("commit").await {
        let mut tx = store.write().await.unwrap();
        for text in [
            "create table parents (id bigint primary key)",
            "create table children (id bigint references parents (id) deferrable initially deferred)",
        ] {
            db::run(&mut tx, db::sql(text)).await.unwrap();
        }
        tx.commit().await.unwrap();
        let mut tx = store.write().await.unwrap();
        let row = db::one(&mut tx, db::sql("insert into children (id) values (1) returning id")).await.unwrap();
        assert_eq!(db::int(&row, "id").unwrap(), 1);
        assert!(tx.commit().await.is_err());
        let mut conn = store.read().await.unwrap();
        assert!(db::all(&mut conn, db::sql("select id from children")).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn writes_go_on_once_the_full_disk_has_room_again() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", dir.path().join("buildit.db").display());
    let store = Store::open(&url).await.unwrap();
    let fill = async |name: &str| {
        let mut tx = store.write().await?;
        due::set_setting(&mut tx, name, &"x".repeat(1 << 20)).await?;
        tx.commit().await.map_err(StoreError::from)
    };
    let mut tx = store.write().await.unwrap();
    // Of the one connection that writes.
    db::all(&mut tx, db::sql("pragma max_page_count=1")).await.unwrap();
    tx.commit().await.unwrap();
    let full = fill("large").await;
    assert!(matches!(&full, Err(StoreError::Sql(sqlx::Error::Database(_)))), "{full:?}");
    for name in ["large", "larger"] {
        fill(name).await.unwrap();
        assert!(due::setting(&mut store.read().await.unwrap(), name).await.unwrap().is_some());
    }
}
