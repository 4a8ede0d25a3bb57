//! Webhooks as an app receives them. That each has GitHub's form is checked by the double itself.

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use fake_github::{Change, Verdict, description, signature};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::client::{World, world};

/// What the app got: event, action, signature is right, delivery id.
pub(crate) type Got = Arc<Mutex<Vec<(String, String, bool, String)>>>;

pub(crate) async fn listen(world: &World) -> Got {
    let got = Got::default();
    let kept = Arc::clone(&got);
    let router = Router::new().fallback(move |headers: HeaderMap, body: String| async move {
        let header = |name: &str| headers[name].to_str().expect("text").to_owned();
        let payload: Value = serde_json::from_str(&body).expect("JSON");
        let action = payload["action"].as_str().unwrap_or("-").to_owned();
        let right = header("x-hub-signature-256") == signature("s3cret", body.as_bytes());
        kept.lock().await.push((header("x-github-event"), action, right, header("x-github-delivery")));
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/webhook", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    world.github.set_webhook_url(7, &url).expect("the app is there");
    got
}

pub(crate) async fn names(got: &Got) -> Vec<String> {
    std::mem::take(&mut *got.lock().await)
        .into_iter()
        .map(|(event, action, right, _)| format!("{event} {action}{}", if right { "" } else { " FORGED" }))
        .collect()
}

#[tokio::test]
async fn everything_that_people_do_is_told_and_signed() {
    let world = world();
    let got = listen(&world).await;
    let github = &world.github;
    let number = world.open();
    let comment = github.comment("acme/infra", number, "ben", "buildit plan").unwrap();
    github.edit_comment("acme/infra", comment, "ben", "buildit plan all").unwrap();
    github.delete_comment("acme/infra", comment, "ben").unwrap();
    let review = github.review("acme/infra", number, "ben", Verdict::Approve, "").unwrap();
    github.dismiss_review("acme/infra", number, review, "ana").unwrap();
    github.edit_pull("acme/infra", number, "ana", Some("Add a good bucket"), None).unwrap();
    github.set_draft("acme/infra", number, "ana", true).unwrap();
    github.set_draft("acme/infra", number, "ana", false).unwrap();
    github.set_labels("acme/infra", number, "ana", &["infra"]).unwrap();
    github.set_labels("acme/infra", number, "ana", &[]).unwrap();
    github.commit_files("acme/infra", "bucket", "ana", "More", &[Change::write("more.tf", "\n")]).unwrap();
    github.close_pull("acme/infra", number, "ana").unwrap();
    github.reopen_pull("acme/infra", number, "ana").unwrap();
    github.merge("acme/infra", number, "ben").unwrap();
    github.delete_branch("acme/infra", "bucket", "ana").unwrap();
    github.uninstall_app(7, "acme/infra").unwrap();
    assert_eq!(github.deliver_all().await, github.deliveries().len());
    insta::assert_debug_snapshot!(names(&got).await, @r#"
    [
        "ping -",
        "push -",
        "check_suite requested",
        "pull_request opened",
        "issue_comment created",
        "issue_comment edited",
        "issue_comment deleted",
        "pull_request_review submitted",
        "pull_request_review dismissed",
        "pull_request edited",
        "pull_request converted_to_draft",
        "pull_request ready_for_review",
        "pull_request labeled",
        "pull_request unlabeled",
        "push -",
        "check_suite requested",
        "pull_request synchronize",
        "pull_request closed",
        "pull_request reopened",
        "pull_request closed",
        "push -",
        "check_suite requested",
        "push -",
        "installation_repositories removed",
    ]
    "#);
    world.github.finish().unwrap();
}

#[tokio::test]
async fn checks_tell_their_app_and_buttons_come_back() {
    let world = world();
    let got = listen(&world).await;
    let number = world.open();
    let sha = world.github.branch("acme/infra", "bucket").unwrap();
    let token = world.app_token(&json!({})).await;
    let actions = json!([{"label": "Re-plan", "description": "Plans again", "identifier": "r1"}]);
    let body = json!({"name": "buildit/plan", "head_sha": sha, "conclusion": "failure", "actions": actions});
    assert_eq!(world.post("/repos/acme/infra/check-runs", &token, &body).await.status, 201);
    world.github.deliver_all().await;
    got.lock().await.clear();
    world.github.rerun_check("acme/infra", number, "ana", "buildit/plan").unwrap();
    world.github.rerun_all_checks("acme/infra", number, "ana").unwrap();
    world.github.press_button("acme/infra", number, "ana", "buildit/plan", "r1").unwrap();
    assert!(world.github.press_button("acme/infra", number, "ana", "buildit/plan", "r2").is_err());
    world.github.deliver_all().await;
    assert_eq!(names(&got).await, ["check_run rerequested", "check_suite rerequested", "check_run requested_action"]);
    world.github.finish().unwrap();
}

#[tokio::test]
async fn deliveries_can_be_lost_doubled_reordered_and_repeated() {
    let world = world();
    let got = listen(&world).await;
    let number = world.open();
    world.github.deliver_all().await;
    got.lock().await.clear();
    let comment = |body: &str| world.github.comment("acme/infra", number, "ben", body).unwrap();
    comment("one");
    assert!(world.github.drop_next());
    let lost = world.github.deliveries().pop().unwrap();
    comment("two");
    assert!(world.github.duplicate_next());
    assert_eq!(world.github.deliver_all().await, 2);
    let twice = std::mem::take(&mut *got.lock().await);
    assert_eq!(twice[0].3, twice[1].3);
    world.github.redeliver(lost.id).unwrap();
    assert_eq!(world.github.deliver_next().await, Some(200));
    assert_eq!(got.lock().await[0].3, lost.guid);
    got.lock().await.clear();
    let number = world.github.comment("acme/infra", number, "ben", "three").unwrap();
    world.github.edit_comment("acme/infra", number, "ben", "four").unwrap();
    world.github.reorder(&[1, 0]);
    world.github.deliver_all().await;
    assert_eq!(names(&got).await, ["issue_comment edited", "issue_comment created"]);
    let failed = world
        .send("GET", "/app/hook/deliveries?status=failure", &format!("Bearer {}", world.good_jwt()), &Value::Null)
        .await;
    assert_eq!(failed.body.as_array().unwrap().len(), 1);
    world.github.finish().unwrap();
}

#[test]
fn the_published_examples_are_at_hand() {
    let examples = description::webhook_examples();
    assert!(examples.len() > 300, "{}", examples.len());
    for event in ["pull_request", "issue_comment", "check_run", "check_suite", "push", "merge_group", "installation"] {
        assert!(examples.iter().any(|example| example.event == event && example.payload.is_object()), "{event}");
    }
}
