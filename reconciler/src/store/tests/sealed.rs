//! Blobs and logs: what is stored comes back, and nothing else does.

use bytes::Bytes;
use futures_util::future::{join, join_all};
use model::id::RunId;
use model::ports::{BlobError, BlobKey, Blobs, Ids};
use uuid::Uuid;

use super::*;
use crate::blobs::{DatabaseBlobs, PIECE};
use crate::logs::{LogError, LogWindow, Logs};
use crate::seal::tests::seal_with;
use crate::store::logs;

struct Counting(std::sync::atomic::AtomicU64);
impl Ids for Counting {
    fn uuid(&self, _now: Timestamp) -> Uuid {
        Uuid::from_u64_pair(0, self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

fn blobs(store: &Store, keys: &[(&str, u8)]) -> DatabaseBlobs {
    DatabaseBlobs::new(store.clone(), seal_with(keys), Arc::new(Counting(0.into())), Arc::new(Fixed(NOW)))
}

/// Bytes in which no piece equals another.
fn value(length: usize, salt: u32) -> Bytes {
    (0..length).map(|at| (((at as u32) ^ salt).wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

async fn change(store: &Store, text: &'static str) -> u64 {
    let mut tx = store.write().await.unwrap();
    let rows = db::run(&mut tx, db::sql(text)).await.unwrap();
    tx.commit().await.unwrap();
    rows
}

async fn count(store: &Store, text: &'static str) -> i64 {
    let row = db::one(&mut store.read().await.unwrap(), db::sql(text)).await.unwrap();
    db::int(&row, "n").unwrap()
}

const PIECES: &str = "select count(*) as n from blob_chunks";

#[tokio::test]
async fn values_of_all_sizes_come_back_and_a_removed_one_is_gone() {
    for (store, _dir) in stores("blob_sizes").await {
        let blobs = blobs(&store, &[("k", 1)]);
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 8 * PIECE, 5 * 1024 * 1024] {
            let key = BlobKey::new("plan-file", length);
            assert_eq!(blobs.get(&key).await.unwrap(), None);
            let value = value(length, 7);
            blobs.put(&key, value.clone()).await.unwrap();
            assert!(blobs.get(&key).await.unwrap() == Some(value), "{length} bytes");
        }
        assert_eq!(count(&store, PIECES).await, 1 + 1 + 1 + 1 + 2 + 8 + 20);
        let key = BlobKey::new("plan-file", 8 * PIECE);
        blobs.delete(&key).await.unwrap();
        blobs.delete(&key).await.unwrap();
        assert_eq!(blobs.get(&key).await.unwrap(), None);
        assert_eq!(count(&store, PIECES).await, 1 + 1 + 1 + 1 + 2 + 20);
    }
}

#[tokio::test]
async fn a_replaced_value_leaves_no_old_rows() {
    for (store, _dir) in stores("blob_replace").await {
        let blobs = blobs(&store, &[("k", 1)]);
        let (key, other) = (BlobKey::new("state", "a"), BlobKey::new("state", "b"));
        blobs.put(&other, value(PIECE, 3)).await.unwrap();
        for length in [5 * PIECE, 2 * PIECE, 0] {
            blobs.put(&key, value(length, 5)).await.unwrap();
            assert!(blobs.get(&key).await.unwrap() == Some(value(length, 5)));
        }
        assert_eq!(count(&store, PIECES).await, 2);
        assert_eq!(count(&store, "select count(*) as n from blobs").await, 2);
        assert!(blobs.get(&other).await.unwrap() == Some(value(PIECE, 3)));
    }
}

#[tokio::test]
async fn writers_and_readers_of_one_key_see_whole_values() {
    for (store, _dir) in stores("blob_race").await {
        let blobs = blobs(&store, &[("k", 1)]);
        let key = BlobKey::new("state", "a");
        blobs.put(&key, value(9 * PIECE, 0)).await.unwrap();
        let writes = (1..=6).map(|salt| blobs.put(&key, value(9 * PIECE, salt)));
        let reads = (0..6).map(|_| blobs.get(&key));
        let (written, read) = join(join_all(writes), join_all(reads)).await;
        for one in written {
            one.unwrap();
        }
        for one in read {
            let one = one.unwrap().unwrap();
            assert!((0..=6).any(|salt| one == value(9 * PIECE, salt)), "a mixture");
        }
        assert_eq!(count(&store, PIECES).await, 9);
    }
}

#[tokio::test]
async fn moved_swapped_missing_and_changed_pieces_are_noticed() {
    let tampering = [
        "update blob_chunks set key='state/x' where key='state/a'; update blobs set key='state/x' where key='state/a'",
        "update blob_chunks set seq=1-seq+10; update blob_chunks set seq=seq-10",
        "delete from blob_chunks where seq=1",
        "update blobs set length=length-1",
        "update blobs set length=262144",
        "update blobs set length=-1",
        "update blob_chunks set sealed=(select sealed from blob_chunks where seq=0) where seq=1",
    ];
    for (store, _dir) in stores("blob_tamper").await {
        let blobs = blobs(&store, &[("k", 1)]);
        for text in tampering {
            let key = BlobKey::new("state", "a");
            blobs.put(&key, value(2 * PIECE, 1)).await.unwrap();
            for one in text.split("; ") {
                assert!(change(&store, one).await > 0, "{one}");
            }
            let key = if text.contains("state/x") { BlobKey::new("state", "x") } else { key };
            let read = blobs.get(&key).await;
            assert!(matches!(read, Err(BlobError::Damaged { .. })), "{text}: {:?}", read.map(|v| v.map(|v| v.len())));
            blobs.delete(&key).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_in_a_row_is_noticed() {
    for (store, _dir) in stores("blob_flip").await {
        let blobs = blobs(&store, &[("k", 1)]);
        let key = BlobKey::new("state", "a");
        blobs.put(&key, value(2 * PIECE, 1)).await.unwrap();
        let mut tx = store.write().await.unwrap();
        let row = db::one(&mut tx, db::sql("select sealed from blob_chunks where seq=1")).await.unwrap();
        let mut sealed = db::bytes(&row, "sealed").unwrap();
        sealed[PIECE / 2] ^= 16;
        db::run(&mut tx, db::sql("update blob_chunks set sealed=$1 where seq=1").bind(sealed)).await.unwrap();
        tx.commit().await.unwrap();
        let read = blobs.get(&key).await.unwrap_err();
        assert_eq!(read.to_string(), "the stored value state/a is damaged or was moved");
    }
}

#[tokio::test]
async fn keys_rotate_and_a_missing_or_wrong_key_is_an_error() {
    for (store, _dir) in stores("blob_keys").await {
        let key = BlobKey::new("state", "a");
        blobs(&store, &[("old", 1)]).put(&key, value(PIECE + 1, 1)).await.unwrap();
        let both = blobs(&store, &[("new", 2), ("old", 1)]);
        assert!(both.get(&key).await.unwrap() == Some(value(PIECE + 1, 1)));
        let without = blobs(&store, &[("new", 2)]).get(&key).await;
        assert!(matches!(without, Err(BlobError::Storage { .. })), "{without:?}");
        let wrong = blobs(&store, &[("old", 3)]).get(&key).await;
        assert!(matches!(wrong, Err(BlobError::Damaged { .. })), "{wrong:?}");
        both.put(&key, value(3, 2)).await.unwrap();
        assert!(blobs(&store, &[("new", 2)]).get(&key).await.unwrap() == Some(value(3, 2)));
    }
}

const RUN: RunId = RunId::new(Uuid::from_u128(1));

/// A started run without a log.
async fn begin_run(store: &Store) {
    let text = "insert into runs (id, number, repo, pull, stack, path, head, base, tree, inputs, detail, options, state, \
         wanted, created_at) values ($1, 1, 1, 1, 's', 'p', 'h', 'b', 't', 'i', 'd', 'o', $2, 'w', 0)";
    let mut tx = store.write().await.unwrap();
    let query = db::sql(text).bind(RUN.to_string()).bind(model::run::RunState::Planning.name().to_owned());
    db::run(&mut tx, query).await.unwrap();
    tx.commit().await.unwrap();
}

async fn end_run(store: &Store) {
    let mut tx = store.write().await.unwrap();
    let ended = model::run::RunState::Failed.name().to_owned();
    db::run(&mut tx, db::sql("update runs set state=$1").bind(ended)).await.unwrap();
    tx.commit().await.unwrap();
}

async fn append(store: &Store, logs: &Logs, start: u64, bytes: &[u8]) -> Result<(), LogError> {
    let mut tx = store.write().await.unwrap();
    logs.append(&mut tx, RUN, start, bytes).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}

#[tokio::test]
async fn a_log_is_read_from_any_offset_until_its_end() {
    for (store, _dir) in stores("log_read").await {
        let logs = Logs::new(store.clone(), seal_with(&[("k", 1)]));
        assert!(matches!(logs.read(RUN, 0, 10).await, Err(LogError::NoRun { .. })));
        begin_run(&store).await;
        let empty = LogWindow { bytes: Vec::new(), next: 0, ended: false };
        assert_eq!(logs.read(RUN, 0, 10).await.unwrap(), empty);
        let long = value(PIECE + 10, 9);
        append(&store, &logs, 0, b"hello ").await.unwrap();
        append(&store, &logs, 6, b"world").await.unwrap();
        append(&store, &logs, 11, &long).await.unwrap();
        let whole = [b"hello world", &long[..]].concat();
        let window = logs.read(RUN, 4, 5).await.unwrap();
        assert_eq!(window, LogWindow { bytes: b"o wor".to_vec(), next: 9, ended: false });
        for limit in [1000, PIECE - 1, PIECE, usize::MAX] {
            let mut read = Vec::<u8>::new();
            loop {
                let window = logs.read(RUN, read.len() as u64, limit).await.unwrap();
                assert!(window.bytes.len() <= limit && !window.ended);
                read.extend(&window.bytes);
                assert_eq!(window.next, read.len() as u64);
                if window.bytes.is_empty() {
                    break;
                }
            }
            assert!(read == whole, "limit {limit}");
        }
        end_run(&store).await;
        let end = whole.len() as u64;
        assert!(!logs.read(RUN, end - 2, 1).await.unwrap().ended);
        let last = LogWindow { bytes: whole[whole.len() - 1..].to_vec(), next: end, ended: true };
        assert_eq!(logs.read(RUN, end - 1, 100).await.unwrap(), last);
        assert_eq!(logs.read(RUN, end, 100).await.unwrap(), LogWindow { bytes: Vec::new(), next: end, ended: true });
    }
}

#[tokio::test]
async fn a_log_takes_no_byte_twice_and_leaves_no_gap() {
    for (store, _dir) in stores("log_gap").await {
        let logs = Logs::new(store.clone(), seal_with(&[("k", 1)]));
        begin_run(&store).await;
        append(&store, &logs, 0, b"one\n").await.unwrap();
        for start in [0, 3, 5] {
            let refused = append(&store, &logs, start, b"two\n").await;
            assert!(matches!(refused, Err(LogError::Store(StoreError::Fenced))), "{start}: {refused:?}");
        }
        append(&store, &logs, 4, b"two\n").await.unwrap();
        append(&store, &logs, 8, b"three\n").await.unwrap();
        assert_eq!(logs.read(RUN, 0, 100).await.unwrap().bytes, b"one\ntwo\nthree\n");
        // Pieces exchanged, then one lost: an error at the byte, never other text.
        assert_eq!(change(&store, "update run_log_chunks set start=4-start+100 where start<8").await, 2);
        assert_eq!(change(&store, "update run_log_chunks set start=start-100 where start>=100").await, 2);
        let moved = logs.read(RUN, 0, 100).await.unwrap_err();
        assert!(matches!(moved, LogError::Damaged { at: 0, .. }), "{moved}");
        assert_eq!(change(&store, "delete from run_log_chunks where start<8").await, 2);
        let lost = logs.read(RUN, 0, 100).await.unwrap_err();
        assert!(matches!(lost, LogError::Damaged { at: 8, .. }), "{lost}");
        let extent = logs::extent(&mut store.read().await.unwrap(), RUN).await.unwrap().unwrap();
        assert_eq!((extent.length, extent.ended), (14, false));
    }
}
