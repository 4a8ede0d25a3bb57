//! `POST /webhook`: S3 of quality.md. Signature forms, sizes, published examples, hints.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use bot::github::webhook::{self, Hint, Intake};
use fake_github::description::webhook_examples;
use hyper_util::service::TowerToHyperService;
use secrecy::SecretString;

const SECRET: &str = "a webhook secret";

#[derive(Default)]
struct Kept(Mutex<Vec<(String, String, Vec<Hint>)>>);

#[async_trait]
impl Intake for Kept {
    async fn accept(&self, delivery: &str, event: &str, hints: Vec<Hint>) -> Result<(), String> {
        self.0.lock().expect("unpoisoned").push((delivery.to_owned(), event.to_owned(), hints));
        Ok(())
    }
}

struct Door {
    kept: Arc<Kept>,
    router: Router,
}

fn door() -> Door {
    let kept = Arc::new(Kept::default());
    Door { router: webhook::router(&SecretString::from(SECRET), kept.clone()), kept }
}

impl Door {
    async fn post(&self, headers: &[(&str, &str)], body: impl Into<Body>) -> Response<Body> {
        let mut request = Request::post("/webhook");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).expect("a request");
        hyper::service::Service::call(&TowerToHyperService::new(self.router.clone()), request)
            .await
            .expect("routers never fail")
    }

    async fn signed(&self, event: &str, body: &str) -> u16 {
        let signature = fake_github::signature(SECRET, body.as_bytes());
        let headers = [
            ("content-type", "application/json"),
            ("x-github-event", event),
            ("x-github-delivery", "d-1"),
            ("x-hub-signature-256", &signature),
        ];
        self.post(&headers, body.to_owned()).await.status().as_u16()
    }

    fn hints(&self) -> Vec<Hint> {
        self.kept.0.lock().expect("unpoisoned").iter().flat_map(|it| it.2.clone()).collect()
    }
}

#[tokio::test]
async fn every_published_example_is_accepted() {
    let examples = webhook_examples();
    assert!(examples.len() > 100, "only {} examples", examples.len());
    for example in &examples {
        let door = door();
        let status = door.signed(&example.event, &example.payload.to_string()).await;
        assert_eq!(status, 202, "{} {}", example.event, example.payload["action"]);
    }
}

#[tokio::test]
async fn only_the_exact_signature_opens() {
    let body = r#"{"zen":"x"}"#;
    let right = fake_github::signature(SECRET, body.as_bytes());
    let digits = right.strip_prefix("sha256=").expect("a prefix").to_owned();
    let other = fake_github::signature("another secret", body.as_bytes());
    let wrong = [
        String::new(),
        digits.clone(),
        format!("sha1={digits}"),
        format!("SHA256={digits}"),
        format!("sha256= {digits}"),
        format!("sha256={}", &digits[..63]),
        format!("sha256={digits}00"),
        format!("sha256={}", "0".repeat(64)),
        "sha256=".to_owned(),
        other,
    ];
    let rest = [("content-type", "application/json"), ("x-github-event", "ping"), ("x-github-delivery", "d-1")];
    for signature in &wrong {
        let headers = [&rest[..], &[("x-hub-signature-256", signature.as_str())]].concat();
        let answer = door().post(&headers, body).await;
        assert_eq!(answer.status(), 401, "{signature:?}");
        let said = axum::body::to_bytes(answer.into_body(), 1000).await.expect("a body");
        assert!(said.is_empty(), "a stranger is told nothing");
    }
    assert_eq!(door().post(&rest, body).await.status(), 401, "none");
    let twice = [&rest[..], &[("x-hub-signature-256", right.as_str()), ("x-hub-signature-256", right.as_str())]];
    assert_eq!(door().post(&twice.concat(), body).await.status(), 401, "two");
    let legacy = [&rest[..], &[("x-hub-signature", right.as_str())]].concat();
    assert_eq!(door().post(&legacy, body).await.status(), 401, "the old header");
    let good = [&rest[..], &[("x-hub-signature-256", right.as_str())]].concat();
    assert_eq!(door().post(&good, format!("{body} ")).await.status(), 401, "one byte more");
    assert_eq!(door().post(&good, body).await.status(), 202, "the allowed twin");
}

#[tokio::test]
async fn too_large_is_cut_off_while_it_streams() {
    let signature = fake_github::signature(SECRET, b"");
    let headers = [("content-type", "application/json"), ("x-hub-signature-256", signature.as_str())];
    let sent = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = sent.clone();
    let chunks = futures_util::stream::repeat_with(move || {
        counter.fetch_add(1 << 20, std::sync::atomic::Ordering::Relaxed);
        Ok::<_, std::io::Error>(vec![b' '; 1 << 20])
    });
    assert_eq!(door().post(&headers, Body::from_stream(chunks)).await.status(), 413);
    assert!(sent.load(std::sync::atomic::Ordering::Relaxed) <= webhook::LIMIT + (2 << 20), "it stopped reading");
    let length = (webhook::LIMIT + 1).to_string();
    let announced = [&headers[..], &[("content-length", length.as_str())]].concat();
    assert_eq!(door().post(&announced, "").await.status(), 413);
}

#[tokio::test]
async fn signed_nonsense_is_refused_without_harm() {
    for body in ["", "{", "nul", "{\"a\":}"] {
        assert_eq!(door().signed("push", body).await, 400, "{body:?}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(door().signed("push", &deep).await, 400, "a parser bomb");
    for body in ["[]", "null", "7", "{\"repository\":{\"id\":\"x\"}}", "{\"installation\":null}"] {
        let door = door();
        assert_eq!(door.signed("push", body).await, 202, "{body:?}");
        assert!(door.hints().is_empty());
    }
}

#[tokio::test]
async fn events_become_hints() {
    let common = r#""installation":{"id":3},"repository":{"id":5,"full_name":"acme/shop"}"#;
    let head = "abcdef01".repeat(5);
    let run = format!(r#""action":"rerequested","check_run":{{"id":4,"head_sha":"{head}"}}"#);
    let completed = run.replace("rerequested", "completed");
    let suite = format!(r#""action":"rerequested","check_suite":{{"id":6,"head_sha":"{head}"}}"#);
    let cases: [(&str, &str, &str); 12] = [
        ("pull_request", r#""action":"opened","pull_request":{"number":9}"#, "Pull 9"),
        ("issue_comment", r#""action":"created","issue":{"number":9,"pull_request":{}}"#, "Pull 9"),
        ("issue_comment", r#""action":"created","issue":{"number":9}"#, ""),
        ("push", r#""ref":"refs/heads/feature/x""#, "Branch feature/x"),
        ("push", r#""ref":"refs/tags/v1""#, ""),
        ("delete", r#""ref":"old","ref_type":"branch""#, "Branch old"),
        ("check_run", &run, "Rerun abcdef0 4"),
        ("check_run", &completed, ""),
        ("check_suite", &suite, "Rerun abcdef0 all"),
        ("repository", r#""action":"renamed""#, "Repository acme/shop"),
        ("installation", r#""action":"created""#, "Installation 3"),
        ("star", r#""action":"created""#, ""),
    ];
    for (event, part, expected) in cases {
        let door = door();
        assert_eq!(door.signed(event, &format!("{{{part},{common}}}")).await, 202);
        let shown: Vec<String> = door
            .hints()
            .into_iter()
            .map(|hint| match hint {
                Hint::Pull { number, .. } => format!("Pull {number}"),
                Hint::Branch { branch, .. } => format!("Branch {branch}"),
                Hint::Rerun { commit, check, .. } => {
                    format!("Rerun {} {}", commit.short(), check.map_or("all".to_owned(), |id| id.to_string()))
                }
                Hint::Repository { repo } => format!("Repository {}", repo.name),
                Hint::Installation { installation } => format!("Installation {installation}"),
            })
            .collect();
        assert_eq!(shown.join(", "), expected, "{event} {part}");
    }
}

#[tokio::test]
async fn a_delivery_is_noted_in_the_store_and_a_redelivery_is_welcome() {
    let dir = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite:{}", dir.path().join("buildit.db").display());
    let store = reconciler::store::Store::open(&url).await.expect("a store");
    let clock = Arc::new(bot::clock::SystemClock::new());
    let inbox = reconciler::inbox::Inbox::new(store.clone(), clock);
    let intake = Arc::new(bot::app::intake::InboxIntake(inbox.clone()));
    let door = Door { router: webhook::router(&SecretString::from(SECRET), intake), kept: Arc::new(Kept::default()) };
    let body = r#"{"action":"opened","pull_request":{"number":9},"installation":{"id":3},"repository":{"id":5,"full_name":"acme/shop"}}"#;
    for _ in 0..2 {
        assert_eq!(door.signed("pull_request", body).await, 202);
    }
    let again = reconciler::inbox::Delivery {
        id: "d-1".to_owned(),
        event: "pull_request".to_owned(),
        action: None,
        hints: Vec::new(),
    };
    assert_eq!(inbox.note(again).await.expect("noted"), reconciler::inbox::Noted::Duplicate);
    store.close().await;
    assert_eq!(
        door.signed(
            "push",
            r#"{"ref":"refs/heads/main","installation":{"id":3},"repository":{"id":5,"full_name":"acme/shop"}}"#
        )
        .await,
        503,
        "not stored is not accepted"
    );
}
