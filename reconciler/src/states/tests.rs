//! States on both databases: writes, locks, tokens, history, tampering.

mod history;
mod people;
mod tampering;
mod writes;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use super::document::Document;
use super::*;
use crate::audit::Actor;
use crate::blobs::DatabaseBlobs;
use crate::seal::tests::seal_with;
use crate::store::db;
use crate::store::tests::stores;

pub(super) const REPO: RepoId = RepoId::new(5);

pub(super) struct Manual(AtomicI64);
impl Clock for Manual {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::Relaxed))
    }
}

pub(super) struct Counting(AtomicU64);
impl Ids for Counting {
    fn uuid(&self, _now: Timestamp) -> Uuid {
        Uuid::from_u64_pair(7, self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// States over one of the databases.
pub(super) struct Lab {
    pub(super) states: States,
    pub(super) store: Store,
    pub(super) clock: Arc<Manual>,
    _dir: Option<tempfile::TempDir>,
}

pub(super) async fn labs(test: &str) -> Vec<Lab> {
    let mut all = Vec::new();
    for (store, dir) in stores(test).await {
        let clock = Arc::new(Manual(1_000.into()));
        let ids = Arc::new(Counting(0.into()));
        let seal = seal_with(&[("k", 1)]);
        let blobs = Arc::new(DatabaseBlobs::new(store.clone(), seal.clone(), ids.clone(), clock.clone()));
        let states = States::new(store.clone(), blobs, seal, clock.clone(), ids);
        all.push(Lab { states, store, clock, _dir: dir });
    }
    all
}

pub(super) fn net() -> StackName {
    StackName::parse("infra/net").unwrap()
}

pub(super) fn run(number: u128) -> RunId {
    RunId::new(Uuid::from_u128(number))
}

pub(super) fn ana() -> Actor {
    Actor { name: "ana".to_owned(), token: Some(("t-ana".to_owned(), "laptop".to_owned())) }
}

/// A state of the lineage `l` with something in it.
pub(super) fn state(serial: i64, what: &str) -> Bytes {
    of("l", serial, what)
}

pub(super) fn of(lineage: &str, serial: i64, what: &str) -> Bytes {
    let text = format!(
        r#"{{"version":4,"terraform_version":"1.11.4","serial":{serial},"lineage":"{lineage}","outputs":{{"what":{{"value":"{what}","type":"string"}}}},"resources":[]}}"#
    );
    Bytes::from(text)
}

impl Lab {
    /// The token of a run.
    pub(super) async fn token(&self, run: RunId, access: Access) -> SecretString {
        let mut tx = self.store.write().await.unwrap();
        let token = self.states.token(&mut tx, run, REPO, &net(), access).await.unwrap();
        tx.commit().await.unwrap();
        token
    }

    pub(super) async fn grant(&self, token: &SecretString) -> Grant {
        self.states.authenticate(REPO, &net(), token.expose_secret()).await.unwrap()
    }

    /// A newly granted apply that holds the lock `LOCK`.
    pub(super) async fn apply(&self, run: RunId) -> Grant {
        let grant = self.granted(run).await;
        self.states.lock(&grant, &lock_info("LOCK")).await.unwrap();
        grant
    }

    pub(super) async fn granted(&self, run: RunId) -> Grant {
        let mut tx = self.store.write().await.unwrap();
        let epoch = States::grant_epoch(&mut tx, REPO, &net()).await.unwrap();
        tx.commit().await.unwrap();
        let token = self.token(run, Access::Write { epoch }).await;
        self.grant(&token).await
    }

    pub(super) async fn write(&self, grant: &Grant, body: Bytes) -> Written {
        self.states.write(grant, Some("LOCK"), body).await.unwrap()
    }

    pub(super) async fn end(&self, run: RunId) {
        let mut tx = self.store.write().await.unwrap();
        self.states.end_tokens(&mut tx, run).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(super) async fn change(&self, text: &'static str) -> u64 {
        let mut tx = self.store.write().await.unwrap();
        let rows = db::run(&mut tx, db::sql(text)).await.unwrap();
        tx.commit().await.unwrap();
        rows
    }

    pub(super) async fn count(&self, text: &'static str) -> i64 {
        let row = db::one(&mut self.store.read().await.unwrap(), db::sql(text)).await.unwrap();
        db::int(&row, "n").unwrap()
    }

    pub(super) fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::Relaxed);
    }

    /// The serial and the output of the state.
    pub(super) async fn now(&self) -> Option<(i64, String)> {
        let (version, bytes) = self.states.current(REPO, &net()).await.unwrap()?;
        let what = document::outputs(&bytes).unwrap()["what"].value.as_str().unwrap().to_owned();
        assert_eq!(Document::read(&bytes).unwrap().serial, version.serial);
        Some((version.serial, what))
    }

    /// A row of the table of runs, in this state.
    pub(super) async fn begin_run(&self, id: RunId, number: i64, in_state: model::run::RunState) {
        let mut seeded = crate::decide::sample::world();
        crate::decide::sample::settle(&mut seeded);
        let mut tx = self.store.write().await.unwrap();
        let row = &seeded.runs[0];
        crate::store::runs::insert(&mut tx, id, (REPO, row.pull), &row.what, self.clock.now()).await.unwrap();
        let query = db::sql("update runs set number=$2, state=$3 where id=$1").bind(id.to_string());
        db::run(&mut tx, query.bind(number).bind(in_state.name())).await.unwrap();
        tx.commit().await.unwrap();
    }
}

pub(super) fn lock_info(id: &str) -> LockRequest {
    let body = format!(
        r#"{{"ID":"{id}","Operation":"OperationTypeApply","Info":"","Who":"ci@host","Version":"1.11.4","Created":"2026-01-01T00:00:00Z","Path":""}}"#
    );
    LockRequest::read(body.as_bytes()).unwrap()
}
