//! `buildit keys` beside a server that runs: nothing is lost when it is killed, and the old key ends.

use std::process::{Command, Stdio};

use reconciler::rotation::Rotation;

use super::*;
use crate::town::machine::databases;

#[expect(clippy::disallowed_methods, reason = "the program itself is what is tested")]
fn keys(scene: &Scene, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_buildit"));
    command.env_clear().arg("keys").args(words).arg("--data-dir").arg(scene.dir.path());
    command.env("BUILDIT_DATABASE_URL", &scene.database);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Its code, and what it said.
fn run(scene: &Scene, words: &[&str]) -> (Option<i32>, String) {
    let done = keys(scene, words).output().expect("it ends");
    let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    (done.status.code(), text.replace(&scene.dir.path().display().to_string(), "DATA"))
}

fn ok(scene: &Scene, words: &[&str]) -> String {
    let (code, text) = run(scene, words);
    assert_eq!(code, Some(0), "{words:?}: {text}");
    text
}

/// Versions of `net` with these serials, each of several pieces.
async fn grow(scene: &Scene, token: &str, serials: std::ops::RangeInclusive<i64>) {
    for serial in serials {
        let written = scene.ask("POST", Some(token), "?ID=A", large(serial)).await;
        assert_eq!(written.status, 200, "{}", written.body);
    }
}

fn large(serial: i64) -> String {
    state(serial, &serial.to_string().repeat(600_000))
}

fn rotation(scene: &Scene) -> Rotation {
    let keys = FileKeys::open(&scene.dir.path().join("keys")).expect("the keys");
    Rotation::new(scene.store.clone(), Seal::new(Arc::new(keys)))
}

async fn under(scene: &Scene, key: &str) -> u64 {
    let counts = rotation(scene).counts().await.expect("counted");
    counts.get(&Some(key.to_owned())).copied().unwrap_or_default()
}

/// Changes the key and is killed once so many values are under it.
async fn killed_at(scene: &Scene, least: u64) {
    let mut child = keys(scene, &["rotate"]).spawn().expect("it starts");
    while under(scene, "key-2").await < least && child.try_wait().expect("asked").is_none() {}
    // It may have ended by itself.
    let _ = child.kill();
    child.wait().expect("it ended");
}

async fn all_are_readable(scene: &Scene, last: i64) {
    for number in 1..=last {
        let (_, bytes) = scene.states.read_version(REPO, &net(), number).await.expect("readable");
        assert!(bytes == large(number).as_bytes(), "version {number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_changed_beside_a_server_and_killed_on_the_way() {
    for database in databases() {
        let scene = Scene::start(&database).await;
        let token = scene.apply(1).await;
        scene.ask("LOCK", Some(&token), "", info("A", "")).await;
        grow(&scene, &token, 1..=9).await;
        for least in [1, 10, 30] {
            killed_at(&scene, least).await;
            all_are_readable(&scene, 9).await;
            let read = scene.ask("GET", Some(&token), "", "").await;
            assert_eq!((read.status, read.body.len()), (200, large(9).len()), "the server reads both");
        }
        grow(&scene, &token, 10..=11).await;
        let text = ok(&scene, &["rotate"]);
        assert!(text.starts_with("key-2 seals; ") && text.contains("buildit keys retire"), "{text}");
        assert_eq!(under(&scene, "key-1").await, 0);
        let text = ok(&scene, &["retire"]);
        assert!(text.starts_with("key-1 opens nothing here any more; it is kept in DATA/keys.retired"), "{text}");
        grow(&scene, &token, 12..=12).await;
        all_are_readable(&scene, 12).await;
        assert_eq!(run(&scene, &["retire"]).0, Some(1), "there is no old key");
        let list = ok(&scene, &["list"]);
        assert!(list.contains("key-2  seals") && !list.contains("key-1"), "{list}");
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_old_key_sealed_is_refused_afterwards() {
    let scene = Scene::start(&Database::Sqlite).await;
    let token = scene.apply(1).await;
    scene.ask("LOCK", Some(&token), "", info("A", "")).await;
    grow(&scene, &token, 1..=2).await;
    let old = scene.dir.path().join("old");
    std::fs::copy(scene.dir.path().join("keys"), &old).expect("copied");
    let mut tx = begin(&scene.database).await;
    sqlx::query("create table kept as select * from blob_chunks").execute(&mut tx).await.expect("kept");
    end(tx).await;
    ok(&scene, &["rotate"]);
    ok(&scene, &["retire"]);
    // Nobody reads with the old file alone.
    let blobs_of = Seal::new(Arc::new(FileKeys::open(&old).expect("the old keys")));
    let counts = Rotation::new(scene.store.clone(), blobs_of).run(|_| {}).await.expect("walked");
    assert_eq!(counts.current, 0);
    // Somebody puts the rows of before back.
    let mut tx = begin(&scene.database).await;
    for text in ["delete from blob_chunks", "insert into blob_chunks select * from kept", "drop table kept"] {
        sqlx::query(text).execute(&mut tx).await.expect(text);
    }
    end(tx).await;
    assert_eq!(scene.ask("GET", Some(&token), "", "").await.status, 500);
    // It is told, and a change of keys does not take it for good.
    let (code, text) = run(&scene, &["list"]);
    assert!(code == Some(1) && text.contains("key-1  is not there"), "{text}");
    let (code, text) = run(&scene, &["rotate"]);
    assert!(code == Some(1) && text.contains("damaged: piece 0 of state/"), "{text}");
    let (code, text) = run(&scene, &["retire"]);
    assert!(code == Some(1) && text.contains("error: the old keys stay"), "{text}");
    // With the key of before it is a backup that was restored, and readable again.
    let path = scene.dir.path().join("keys");
    let retired = std::fs::read_to_string(scene.dir.path().join("keys.retired")).expect("kept");
    let now = std::fs::read_to_string(&path).expect("read");
    std::fs::write(&path, format!("{retired}{now}")).expect("written");
    assert_eq!(scene.ask("GET", Some(&token), "", "").await.status, 200);
    ok(&scene, &["rotate"]);
    ok(&scene, &["retire"]);
    all_are_readable(&scene, 2).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prepared_key_opens_and_does_not_seal() {
    let scene = Scene::start(&Database::Sqlite).await;
    let token = scene.apply(1).await;
    scene.ask("LOCK", Some(&token), "", info("A", "")).await;
    grow(&scene, &token, 1..=1).await;
    let text = ok(&scene, &["rotate", "--prepare"]);
    assert!(text.starts_with("key-2 is in DATA/keys and seals nothing yet\n  do: copy"), "{text}");
    grow(&scene, &token, 2..=2).await;
    assert_eq!(under(&scene, "key-2").await, 0);
    assert_eq!(ok(&scene, &["rotate", "--prepare"]), text, "there is one at a time");
    // Two changes at once would each make a key.
    let held = bot::keys::KeyFile::edit(&scene.dir.path().join("keys")).expect("read").expect("free");
    let (code, text) = run(&scene, &["rotate"]);
    assert!(code == Some(2) && text.contains("another buildit changes the keys"), "{text}");
    drop(held);
    ok(&scene, &["rotate"]);
    assert_eq!(under(&scene, "key-1").await, 0);
    all_are_readable(&scene, 2).await;
    scene.end().await;
}
