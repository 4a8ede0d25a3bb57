//! The `http` backend's protocol, request by request, on every database.

use super::*;
use crate::town::machine::databases;

#[tokio::test]
async fn a_state_is_written_under_its_lock_and_read_back() {
    for database in databases() {
        let scene = Scene::start(&database).await;
        let token = scene.apply(1).await;
        let token = Some(token.as_str());
        assert_eq!(scene.ask("GET", token, "", "").await.status, 204, "there is none yet");
        assert_eq!(scene.ask("LOCK", token, "", info("A", "ci@host")).await.status, 200);
        assert_eq!(scene.ask("LOCK", token, "", info("A", "ci@host")).await.status, 200, "its reply was lost");
        assert_eq!(scene.ask("POST", token, "?ID=A", state(1, "a")).await.status, 200);
        assert_eq!(scene.ask("POST", token, "?ID=A", state(1, "a")).await.status, 200, "its reply was lost");
        let read = scene.ask("GET", token, "", "").await;
        assert_eq!((read.status, read.body.as_str()), (200, state(1, "a").as_str()));
        use base64::Engine as _;
        use md5::Digest as _;
        let sum = base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(state(1, "a")));
        assert_eq!(read.header("content-md5"), Some(sum.as_str()));
        assert_eq!(read.header("content-type"), Some("application/json"));

        for (body, why) in [
            (state(1, "b"), "serial 1 with other content"),
            (state(0, "b"), "serial 0 is below the head's 1"),
            (of("m", 2, "b"), "its lineage is m"),
        ] {
            let refused = scene.ask("POST", token, "?ID=A", body).await;
            assert!(refused.status == 409 && refused.body.contains(why), "{refused:?}");
            assert!(refused.body.contains("kept as version"), "{refused:?}");
        }
        assert_eq!(scene.ask("UNLOCK", token, "", info("A", "")).await.status, 200);
        assert_eq!(scene.ask("UNLOCK", token, "", info("A", "")).await.status, 200, "its reply was lost");
        let unlocked = scene.ask("POST", token, "?ID=A", state(2, "c")).await;
        assert!(unlocked.status == 409 && unlocked.body.contains("names no lock that is held"), "{unlocked:?}");
        assert_eq!(scene.ask("GET", token, "", "").await.body, state(1, "a"));
        scene.end().await;
    }
}

#[tokio::test]
async fn a_conflict_names_the_holder_as_the_server_knows_it() {
    let scene = Scene::start(&Database::Sqlite).await;
    let first = scene.apply(1).await;
    assert_eq!(scene.ask("LOCK", Some(&first), "", info("A", "ci@host")).await.status, 200);
    let second = scene.apply(2).await;
    for (method, body) in [("LOCK", info("B", "ben@laptop")), ("UNLOCK", info("A", "")), ("UNLOCK", String::new())] {
        let held = scene.ask(method, Some(&second), "", body).await;
        assert_eq!(held.status, 423, "{method} {held:?}");
        let holder: serde_json::Value = serde_json::from_str(&held.body).expect("a lock info");
        assert_eq!((&holder["ID"], &holder["Who"]), (&"A".into(), &"ci@host".into()));
        assert_eq!(holder["Info"], format!("run {}", run(1)));
        assert_eq!(holder["Created"], "2026-01-01T00:00:00Z");
    }
    // An older apply lets go and may not come again; the answer is one that the tools can show.
    assert_eq!(scene.ask("UNLOCK", Some(&first), "", "").await.status, 200, "terraform's force-unlock names none");
    let over = scene.ask("LOCK", Some(&first), "", info("A", "ci@host")).await;
    assert!(over.status == 423 && over.body.contains("a newer apply was granted"), "{over:?}");
    scene.end().await;
}

#[tokio::test]
async fn only_a_token_of_this_stack_gets_an_answer() {
    let scene = Scene::start(&Database::Sqlite).await;
    let (write, read) = (scene.apply(1).await, scene.reader(2).await);
    scene.ask("LOCK", Some(&write), "", info("A", "")).await;
    scene.ask("POST", Some(&write), "?ID=A", state(1, "a")).await;
    let bare = scene.ask("GET", None, "", "").await;
    assert_eq!((bare.status, bare.header("www-authenticate")), (401, Some("Basic realm=\"BuildIt state\"")));
    for headers in [("authorization", "Bearer x"), ("authorization", "Basic ???"), ("authorization", "Basic eA==")] {
        assert_eq!(ask("GET", &scene.address(), None, &[headers], Bytes::new()).await.status, 401, "{headers:?}");
    }
    for token in ["", "bst_", "bst_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &write[..write.len() - 1]] {
        assert_eq!(scene.ask("GET", Some(token), "", "").await.status, 403, "{token}");
    }
    for elsewhere in ["/state/6/infra/net", "/state/5/infra/other", "/state/5/infra", "/state/x/infra/net"] {
        let answer = ask("GET", &format!("{}{elsewhere}", scene.url), Some(&write), &[], Bytes::new()).await;
        assert_eq!(answer.status, 403, "{elsewhere}");
    }
    let encoded = ask("GET", &format!("{}/state/5/infra%2Fnet", scene.url), Some(&write), &[], Bytes::new()).await;
    assert_eq!(encoded.status, 200, "the same stack");
    // A token that reads does nothing else.
    assert_eq!(scene.ask("GET", Some(&read), "", "").await.body, state(1, "a"));
    for (method, query, body) in [
        ("POST", "?ID=A", state(2, "b")),
        ("LOCK", "", info("B", "")),
        ("UNLOCK", "", info("A", "")),
        ("DELETE", "", String::new()),
    ] {
        assert_eq!(scene.ask(method, Some(&read), query, body).await.status, 403, "{method}");
    }
    assert_eq!(scene.ask("PATCH", Some(&write), "", "").await.status, 405);
    // With its run a token ends.
    scene.end_run(1).await;
    scene.end_run(2).await;
    assert_eq!(scene.ask("GET", Some(&write), "", "").await.status, 403);
    assert_eq!(scene.ask("GET", Some(&read), "", "").await.status, 403);
    let late = scene.ask("POST", Some(&write), "?ID=A", state(2, "late")).await;
    assert!(
        late.status == 409 && late.body.contains("had ended") && late.body.contains("kept as version 2"),
        "{late:?}"
    );
    scene.end().await;
}

#[tokio::test]
async fn a_body_is_capped_summed_and_a_state() {
    let scene = Scene::start(&Database::Sqlite).await;
    let plain = scene.apply(1).await;
    let token = Some(plain.as_str());
    scene.ask("LOCK", token, "", info("A", "")).await;
    let url = format!("{}?ID=A", scene.address());
    let wrong = ask("POST", &url, token, &[("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")], state(1, "a").into()).await;
    assert!(wrong.status == 400 && wrong.body.contains("Content-MD5"), "{wrong:?}");
    let none = ask("POST", &url, token, &[("content-md5", "?")], state(1, "a").into()).await;
    assert_eq!(none.status, 400);
    for body in ["", "[]", "{}", "{\"version\":4,\"serial\":1,\"lineage\":\"\"}", "not json"] {
        assert_eq!(scene.ask("POST", token, "?ID=A", body.to_owned()).await.status, 400, "{body}");
    }
    for body in ["{}", "x", "{\"ID\":\"\"}"] {
        assert_eq!(scene.ask("LOCK", token, "", body.to_owned()).await.status, 400, "{body}");
    }
    let large = "x".repeat(70 << 10);
    assert_eq!(scene.ask("LOCK", token, "", large).await.status, 413);
    // Named or not, a body that is too large is not taken in.
    assert_eq!(oversized(&scene, &plain, true).await, 413);
    assert_eq!(oversized(&scene, &plain, false).await, 413);
    assert_eq!(scene.ask("GET", token, "", "").await.status, 204, "nothing of it all is a state");
    scene.end().await;
}

/// Sends a body above the limit, by length or in chunks, until the server answers.
async fn oversized(scene: &Scene, token: &str, named: bool) -> u16 {
    use base64::Engine as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let host = scene.url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(host).await.expect("connected");
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("buildit:{token}"));
    let length = bot::web::state::LIMIT + 1;
    let kind = if named { format!("content-length: {length}") } else { "transfer-encoding: chunked".to_owned() };
    let head =
        format!("POST /state/5/infra/net HTTP/1.1\r\nhost: {host}\r\nauthorization: Basic {pair}\r\n{kind}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let (mut read, mut write) = stream.into_split();
    let sender = tokio::spawn(async move {
        let part = vec![b'x'; 1 << 20];
        while !named && write.write_all(b"100000\r\n").await.is_ok() {
            if write.write_all(&part).await.is_err() || write.write_all(b"\r\n").await.is_err() {
                break;
            }
        }
    });
    let mut answer = [0_u8; 12];
    read.read_exact(&mut answer).await.expect("an answer");
    sender.abort();
    String::from_utf8_lossy(&answer[9..]).parse().expect("a status")
}

#[tokio::test]
async fn a_removed_state_can_be_brought_back() {
    let scene = Scene::start(&Database::Sqlite).await;
    let token = scene.apply(1).await;
    let token = Some(token.as_str());
    assert_eq!(scene.ask("DELETE", token, "", "").await.status, 200, "there is none");
    scene.ask("LOCK", token, "", info("A", "")).await;
    scene.ask("POST", token, "?ID=A", state(4, "a")).await;
    scene.ask("UNLOCK", token, "", info("A", "")).await;
    let unlocked = scene.ask("DELETE", token, "", "").await;
    assert!(unlocked.status == 409 && unlocked.body.contains("under its lock"), "{unlocked:?}");
    scene.ask("LOCK", token, "", info("B", "")).await;
    assert_eq!(scene.ask("DELETE", token, "", "").await.status, 200);
    assert_eq!(scene.ask("GET", token, "", "").await.status, 204);
    let same = scene.ask("POST", token, "?ID=B", state(4, "b")).await;
    assert!(same.status == 409 && same.body.contains("serial 4"), "{same:?}");
    assert_eq!(scene.ask("POST", token, "?ID=B", of("m", 1, "new")).await.status, 200, "another state begins");
    scene.ask("UNLOCK", token, "", info("B", "")).await;
    assert!(scene.states.rollback(REPO, &net(), 2, &ana()).await.is_err(), "there is nothing in it");
    let back = scene.states.rollback(REPO, &net(), 1, &ana()).await.expect("brought back");
    assert_eq!((back.lineage.as_str(), back.serial), ("l", 5));
    assert_eq!(scene.ask("GET", token, "", "").await.body, state(5, "a"));
    scene.end().await;
}
