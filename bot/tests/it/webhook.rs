//! `POST /webhook`: S3 of quality.md. Signature forms, sizes, published examples, hints.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use bot::github::webhook::{self, Hint, Intake};
use fake_github::description::webhook_examples;
use hyper_util::service::TowerToHyperService;
use model::id::CheckRunId;
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
            ("x-github-hook-installation-target-id", "7"),
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

fn shown(hint: Hint) -> String {
    let all = |check: Option<CheckRunId>| check.map_or("all".to_owned(), |id| id.to_string());
    match hint {
        Hint::Pull { number, .. } => format!("Pull {number}"),
        Hint::Branch { branch, .. } => format!("Branch {branch}"),
        Hint::Commit { commit, by, .. } => format!("Commit {} by {by}", commit.short()),
        Hint::Pressed { commit, check, action, by, .. } => {
            let program = if by.bot { ", a program" } else { "" };
            format!("{action:?} {} {} by {}{program}", commit.short(), all(check), by.login)
        }
        Hint::Rules { repo, .. } => format!("Rules {}", repo.map_or("all".to_owned(), |repo| repo.name.to_string())),
        Hint::Teams { installation } => format!("Teams {installation}"),
        Hint::Repository { repo } => format!("Repository {}", repo.name),
        Hint::Installation { installation } => format!("Installation {installation}"),
    }
}

const HEAD: &str = "abcdef01abcdef01abcdef01abcdef01abcdef01";

/// What a delivery for the App 7 comes to.
async fn hinted(event: &str, part: &str) -> String {
    let common = r#""installation":{"id":3},"repository":{"id":5,"full_name":"acme/shop"}"#;
    let door = door();
    assert_eq!(door.signed(event, &format!("{{{part},{common}}}").replace("HEAD", HEAD)).await, 202);
    door.hints().into_iter().map(shown).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn events_become_hints() {
    let cases: [(&str, &str, &str); 13] = [
        ("pull_request", r#""action":"opened","pull_request":{"number":9}"#, "Pull 9"),
        ("pull_request_review", r#""action":"dismissed","pull_request":{"number":9}"#, "Pull 9"),
        ("pull_request_review_thread", r#""action":"resolved","pull_request":{"number":9}"#, "Pull 9"),
        ("issue_comment", r#""action":"created","issue":{"number":9,"pull_request":{}}"#, "Pull 9"),
        ("issue_comment", r#""action":"created","issue":{"number":9}"#, ""),
        ("push", r#""ref":"refs/heads/feature/x""#, "Branch feature/x"),
        ("push", r#""ref":"refs/tags/v1""#, ""),
        ("delete", r#""ref":"old","ref_type":"branch""#, "Branch old"),
        (
            "merge_group",
            r#""action":"checks_requested","merge_group":{"head_ref":"refs/heads/gh-readonly-queue/main/pr-1-a"}"#,
            "Branch gh-readonly-queue/main/pr-1-a",
        ),
        ("merge_group", r#""action":"destroyed","merge_group":{"head_ref":"refs/tags/x"}"#, ""),
        ("repository", r#""action":"renamed""#, "Repository acme/shop"),
        ("installation", r#""action":"created""#, "Installation 3"),
        ("star", r#""action":"created""#, ""),
    ];
    for (event, part, expected) in cases {
        assert_eq!(hinted(event, part).await, expected, "{event} {part}");
    }
}

#[tokio::test]
async fn what_rules_and_teams_are_makes_facts_old() {
    for (event, part, expected) in [
        ("branch_protection_rule", r#""action":"edited""#, "Rules acme/shop"),
        ("repository_ruleset", r#""action":"created""#, "Rules acme/shop"),
        ("team", r#""action":"added_to_repository""#, "Teams 3"),
        ("membership", r#""action":"removed""#, "Teams 3"),
        ("status", r#""sha":"HEAD","sender":{"login":"ci[bot]"}"#, "Commit abcdef0 by ci[bot]"),
        ("status", r#""sha":"none","sender":{"login":"ci[bot]"}"#, ""),
    ] {
        assert_eq!(hinted(event, part).await, expected, "{event} {part}");
    }
    let of_all = r#"{"action":"edited","repository_ruleset":{},"installation":{"id":3},"sender":{"login":"ana"}}"#;
    let door = door();
    assert_eq!(door.signed("repository_ruleset", of_all).await, 202);
    assert_eq!(door.hints().into_iter().map(shown).collect::<Vec<_>>(), ["Rules all"], "of the organisation");
}

#[tokio::test]
async fn other_apps_checks_are_news_and_our_own_are_none() {
    let check = |action: &str, kind: &str, app: &str| {
        format!(
            r#""action":"{action}","{kind}":{{"id":4,"head_sha":"HEAD","app":{app}}},"sender":{{"login":"x","type":"Bot"}}"#
        )
    };
    for kind in ["check_run", "check_suite"] {
        for action in ["created", "completed"] {
            let news = "Commit abcdef0 by x";
            assert_eq!(hinted(kind, &check(action, kind, r#"{"id":9}"#)).await, news, "{kind} {action}");
            assert_eq!(hinted(kind, &check(action, kind, "null")).await, news, "{kind} {action}");
            assert_eq!(hinted(kind, &check(action, kind, r#"{"id":7}"#)).await, "", "{kind} {action}: our own");
        }
    }
    let comment = |action: &str, app: &str, sender: &str| {
        format!(
            r#""action":"{action}","issue":{{"number":9,"pull_request":{{}}}},"sender":{{"id":{sender}}},"comment":{{"user":{{"id":1}},"performed_via_github_app":{app}}}"#
        )
    };
    for action in ["created", "edited"] {
        assert_eq!(hinted("issue_comment", &comment(action, r#"{"id":7}"#, "1")).await, "", "what we wrote");
        assert_eq!(hinted("issue_comment", &comment(action, r#"{"id":9}"#, "1")).await, "Pull 9", "another App");
        assert_eq!(hinted("issue_comment", &comment(action, "null", "1")).await, "Pull 9", "a person");
        assert_eq!(hinted("issue_comment", &comment(action, r#"{"id":7}"#, "2")).await, "Pull 9", "edited by another");
    }
    assert_eq!(hinted("issue_comment", &comment("deleted", r#"{"id":7}"#, "1")).await, "Pull 9", "it is written anew");
}

#[tokio::test]
async fn a_pressed_button_names_who_pressed_it() {
    let pressed = |action: &str, kind: &str, more: &str, sender: &str| {
        format!(
            r#""action":"{action}","{kind}":{{"id":4,"head_sha":"HEAD","app":{{"id":7}}}}{more},"sender":{{"login":"cal","type":"{sender}"}}"#
        )
    };
    let own = |identifier: &str| format!(r#","requested_action":{{"identifier":"{identifier}"}}"#);
    for (part, expected) in [
        (pressed("rerequested", "check_run", "", "User"), "Replan abcdef0 4 by cal"),
        (pressed("rerequested", "check_suite", "", "User"), "Replan abcdef0 all by cal"),
        (pressed("requested_action", "check_run", &own("apply"), "User"), "Apply abcdef0 4 by cal"),
        (pressed("requested_action", "check_run", &own("replan"), "User"), "Replan abcdef0 4 by cal"),
        (pressed("requested_action", "check_run", &own("unlock"), "User"), "Unlock abcdef0 4 by cal"),
        (pressed("requested_action", "check_run", &own("unlock"), "Bot"), "Unlock abcdef0 4 by cal, a program"),
        (pressed("requested_action", "check_run", &own("destroy"), "User"), ""),
        (pressed("requested_action", "check_run", "", "User"), ""),
        (pressed("rerequested", "check_run", "", "User").replace("login", "name"), ""),
    ] {
        let event = if part.contains("check_suite") { "check_suite" } else { "check_run" };
        assert_eq!(hinted(event, &part).await, expected, "{part}");
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
