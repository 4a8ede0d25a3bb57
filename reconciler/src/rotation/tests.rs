//! A change of keys on both databases: stopped anywhere, beside writers, over damage.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use model::id::{RepoId, RunId, SecretName};
use model::ports::{BlobKey, Blobs as _, Ids};
use secrecy::SecretString;
use uuid::Uuid;

use super::*;
use crate::blobs::{DatabaseBlobs, PIECE};
use crate::logs::Logs;
use crate::seal::tests::seal_with;
use crate::secrets::{SecretScope, Secrets};
use crate::store::tests::{Fixed, NOW, drop_schema, stores};
use crate::store::{Dialect, db};

const OLD: (&str, u8) = ("old", 1);
const NEW: (&str, u8) = ("new", 2);

struct Fresh(std::sync::atomic::AtomicU64);
impl Ids for Fresh {
    fn uuid(&self, _now: Timestamp) -> Uuid {
        Uuid::from_u64_pair(0, self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

fn blobs_of(store: &Store, seal: &Seal) -> DatabaseBlobs {
    DatabaseBlobs::new(store.clone(), seal.clone(), Arc::new(Fresh(0.into())), Arc::new(Fixed(NOW)))
}

fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

fn content(number: usize) -> Bytes {
    vec![number as u8 + 1; PIECE * 2 + number].into()
}

const RUN: RunId = RunId::new(Uuid::from_u128(1));

async fn run(store: &Store, text: &'static str) -> u64 {
    let mut tx = store.write().await.unwrap();
    let rows = db::run(&mut tx, db::sql(text)).await.unwrap();
    tx.commit().await.unwrap();
    rows
}

/// Some of everything that is sealed.
async fn fill(store: &Store, seal: &Seal) {
    let secrets = Secrets::new(store.clone(), seal.clone(), Arc::new(Fixed(NOW)));
    let repo = SecretScope::Repository(RepoId::new(5));
    for number in 0..30 {
        let value = SecretString::from(format!("correct-horse-{number}"));
        secrets.set(&repo, &name(&format!("S{number}")), &value, &Actor::command_line()).await.unwrap();
    }
    let again = SecretString::from("battery-staple".to_owned());
    secrets.set(&repo, &name("S7"), &again, &Actor::command_line()).await.unwrap();
    secrets.remove(&repo, &name("S7"), &Actor::command_line()).await.unwrap();
    secrets.set(&repo, &name("S7"), &again, &Actor::command_line()).await.unwrap();
    let text = "insert into runs (id, number, repo, pull, stack, path, head, base, tree, inputs, detail, options, state, \
         wanted, created_at) values ('00000000-0000-0000-0000-000000000001', 1, 1, 1, 's', 'p', 'h', 'b', 't', 'i', 'd', \
         'o', 'planning', 'w', 0)";
    run(store, text).await;
    let logs = Logs::new(store.clone(), seal.clone());
    let mut tx = store.write().await.unwrap();
    for number in 0..40 {
        logs.append(&mut tx, RUN, number * 4, b"abc\n").await.unwrap();
    }
    tx.commit().await.unwrap();
    for number in 0..20 {
        blobs_of(store, seal).put(&BlobKey::new("state", number), content(number)).await.unwrap();
    }
}

/// Everything reads as it was written.
async fn is_whole(store: &Store, seal: &Seal) {
    for number in 0..20 {
        let read = blobs_of(store, seal).get(&BlobKey::new("state", number)).await.unwrap();
        assert!(read == Some(content(number)), "blob {number}");
    }
    let log = Logs::new(store.clone(), seal.clone()).read(RUN, 0, 1000).await.unwrap();
    assert_eq!(log.bytes, b"abc\n".repeat(40));
    let mut conn = store.read().await.unwrap();
    let rows = crate::store::secrets::of_scopes(&mut conn, "repo:5", "repo:5").await.unwrap();
    assert_eq!(rows.len(), 30);
    for row in rows {
        let place = secrets::place(&row.scope, &row.name, row.version);
        let value = seal.open(&place, row.sealed.as_deref().unwrap()).unwrap();
        let expected = match row.name.as_str() {
            "S7" => "battery-staple".to_owned(),
            other => format!("correct-horse-{}", &other[1..]),
        };
        assert_eq!(value, expected.as_bytes());
    }
    assert_eq!(audit::Audit::new(store.clone(), seal.clone()).read(|_| {}).await.unwrap(), 33);
}

/// What `fill` seals: a setting, secrets, values of before, pieces of a log and of blobs.
const VALUES: u64 = 1 + 30 + 2 + 40 + (2 + 19 * 3);

#[tokio::test]
async fn killed_anywhere_everything_is_readable_and_the_next_time_goes_on() {
    for (store, _dir) in stores("rotation_kill").await {
        let (old, both, new) = (seal_with(&[OLD]), seal_with(&[NEW, OLD]), seal_with(&[NEW]));
        fill(&store, &old).await;
        let rotation = Rotation::new(store.clone(), both.clone());
        assert_eq!(rotation.counts().await.unwrap(), BTreeMap::from([(Some("old".to_owned()), VALUES)]));
        // Each time a step further: a walk that ends there, with all that it held in memory.
        for steps in 0..12 {
            let (mut cursor, mut progress) = (Cursor::new(), Progress::default());
            for _ in 0..steps {
                rotation.step(&mut cursor, &mut progress).await.unwrap();
            }
            is_whole(&store, &both).await;
        }
        let done = rotation.finish(|_| {}).await.unwrap();
        assert_eq!((done.current, done.damaged), (VALUES, Vec::new()));
        assert_eq!(rotation.counts().await.unwrap(), BTreeMap::from([(Some("new".to_owned()), VALUES)]));
        is_whole(&store, &new).await;
        // Once more there is nothing to do, and what the old key alone opens is refused.
        assert_eq!(rotation.run(|_| {}).await.unwrap().rewrapped, 0);
        assert!(blobs_of(&store, &old).get(&BlobKey::new("state", 0)).await.is_err());
        drop_schema(&store).await;
    }
}

#[tokio::test]
async fn servers_read_and_write_meanwhile() {
    for (store, _dir) in stores("rotation_beside").await {
        let (old, both, new) = (seal_with(&[OLD]), seal_with(&[NEW, OLD]), seal_with(&[NEW]));
        fill(&store, &old).await;
        let rotation = Rotation::new(store.clone(), both.clone());
        // One that has not heard of the new key yet, and one that has.
        let (slow, quick) = (blobs_of(&store, &old), blobs_of(&store, &both));
        let writes = async {
            for number in 0..20 {
                slow.put(&BlobKey::new("state", number), content(number)).await.unwrap();
                let key = BlobKey::new("state", (number * 7) % 20);
                quick.put(&key, content((number * 7) % 20)).await.unwrap();
                assert!(quick.get(&key).await.unwrap().is_some());
            }
        };
        let (rotated, ()) = futures_util::future::join(rotation.run(|_| {}), writes).await;
        rotated.unwrap();
        rotation.finish(|_| {}).await.unwrap();
        is_whole(&store, &new).await;
        drop_schema(&store).await;
    }
}

#[tokio::test]
async fn what_cannot_be_opened_stays_and_is_told() {
    for (store, _dir) in stores("rotation_damaged").await {
        let (old, both) = (seal_with(&[OLD]), seal_with(&[NEW, OLD]));
        fill(&store, &old).await;
        run(&store, "update secrets set version=version+1 where name='S3'").await;
        run(&store, "update run_log_chunks set length=5 where start=8").await;
        run(&store, "delete from blobs where key='state/4'").await;
        let other = hex::encode(seal_with(&[("gone", 9)]).seal("x-secret", b"x").unwrap());
        let mut tx = store.write().await.unwrap();
        crate::store::due::set_setting(&mut tx, "x-secret", &other).await.unwrap();
        tx.commit().await.unwrap();
        let done = Rotation::new(store.clone(), both).finish(|_| {}).await.unwrap();
        assert_eq!(
            done.damaged,
            [
                "the server's own x-secret (names \"gone\")",
                "the secret S3 of repo:5, version 2 (names \"old\")",
                "the log of run 00000000-0000-0000-0000-000000000001 at byte 8 (names \"old\")",
                "piece 0 of state/4 (names \"old\")",
                "piece 1 of state/4 (names \"old\")",
                "piece 2 of state/4 (names \"old\")",
            ]
        );
        drop_schema(&store).await;
    }
}

#[tokio::test]
async fn a_value_of_before_that_comes_back_is_refused_once_its_key_is_gone() {
    for (store, _dir) in stores("rotation_back").await {
        let (old, both, new) = (seal_with(&[OLD]), seal_with(&[NEW, OLD]), seal_with(&[NEW]));
        fill(&store, &old).await;
        run(&store, "create table kept as select * from blob_chunks where key='state/1'").await;
        Rotation::new(store.clone(), both).finish(|_| {}).await.unwrap();
        run(&store, "delete from blob_chunks where key='state/1'").await;
        run(&store, "insert into blob_chunks select * from kept").await;
        let read = blobs_of(&store, &new).get(&BlobKey::new("state", 1)).await.unwrap_err();
        let why = std::error::Error::source(&read).unwrap().to_string();
        assert!(why.starts_with("no key named \"old\""), "{why}");
        drop_schema(&store).await;
    }
}

/// A column of bytes that is not walked would be lost with the old key.
#[tokio::test]
async fn every_sealed_column_is_walked() {
    let (store, _dir) = stores("rotation_columns").await.remove(0);
    assert_eq!(store.dialect(), Dialect::Sqlite);
    let query = "select m.name || '.' || c.name as col from sqlite_master m join pragma_table_info(m.name) c \
         where m.type='table' and lower(c.type) in ('bytea', 'blob') order by 1";
    let rows = db::all(&mut store.read().await.unwrap(), db::sql(query)).await.unwrap();
    let found: BTreeSet<String> = rows.iter().map(|row| db::text(row, "col").unwrap()).collect();
    let walked = ["blob_chunks.sealed", "run_log_chunks.sealed", "secrets.sealed", "secrets_before.sealed"];
    assert_eq!(found, BTreeSet::from(walked.map(str::to_owned)));
}
