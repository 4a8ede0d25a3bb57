//! Issues: opened, edited, closed, listed, commented; their webhooks; and who may.

use fake_github::Role;
use serde_json::{Value, json};

use crate::client::{World, world};
use crate::webhooks::{listen, names};

const ISSUES: &str = "/repos/acme/infra/issues";

async fn edit(world: &World, number: u64, token: &str, body: Value) -> crate::client::Answer {
    world.send("PATCH", &format!("{ISSUES}/{number}"), &format!("token {token}"), &body).await
}

async fn listed(world: &World, query: &str, token: &str) -> Vec<u64> {
    let answer = world.get(&format!("{ISSUES}?{query}"), token).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body.as_array().expect("a list").iter().map(|it| it["number"].as_u64().expect("a number")).collect()
}

#[tokio::test]
async fn an_app_opens_edits_and_closes_an_issue_of_its_own() {
    let world = world();
    let pull = world.open();
    let token = world.app_token(&json!({"permissions": {"issues": "write"}})).await;
    let opened = world.post(ISSUES, &token, &json!({"title": "A push", "body": "Look"})).await;
    assert_eq!((opened.status, &opened.body["number"]), (201, &json!(pull + 1)), "one row of numbers");
    let number = pull + 1;
    assert_eq!(opened.body["user"]["login"], "buildit[bot]");
    assert_eq!(opened.body["performed_via_github_app"]["slug"], "buildit");
    assert_eq!(edit(&world, number, &token, json!({"title": "One push", "body": "Look again"})).await.status, 200);
    let closed = edit(&world, number, &token, json!({"state": "closed", "state_reason": "completed"})).await.body;
    assert_eq!((&closed["state"], &closed["state_reason"]), (&json!("closed"), &json!("completed")));
    assert_eq!(closed["closed_by"]["login"], "buildit[bot]");
    assert_eq!(edit(&world, number, "ben-token", json!({"state": "open"})).await.body["state_reason"], "reopened");
    let comment = world.post(&format!("{ISSUES}/{number}/comments"), "ben-token", &json!({"body": "seen"})).await;
    let page = comment.body["html_url"].as_str().unwrap();
    assert!(page.contains(&format!("/issues/{number}#issuecomment-")), "{page}");
    assert_eq!(world.get(&format!("{ISSUES}/{number}"), &token).await.body["comments"], 1);
    assert!(
        world.github.transcript().contains(
            "== acme/infra#2 issue: One push [open] by buildit[bot]\n    Look again\n-- comment by ben\n    seen\n"
        ),
        "{}",
        world.github.transcript()
    );
    world.github.finish().unwrap();
}

#[tokio::test]
async fn lists_hold_pull_requests_too_and_are_filtered() {
    let world = world();
    let pull = world.open();
    let mine = world.github.open_issue("acme/infra", "ben", "First", "").unwrap();
    world.advance(10);
    let other = world.github.open_issue("acme/infra", "ana", "Second", "").unwrap();
    assert_eq!(listed(&world, "", "ana-token").await, [other, mine, pull]);
    assert_eq!(listed(&world, "direction=asc&per_page=2", "ana-token").await, [pull, mine]);
    assert_eq!(listed(&world, "creator=ben", "ana-token").await, [mine]);
    world.github.set_issue_open("acme/infra", mine, "ben", false).unwrap();
    assert_eq!(listed(&world, "creator=ben", "ana-token").await, Vec::<u64>::new());
    assert_eq!(listed(&world, "creator=ben&state=all", "ana-token").await, [mine]);
    assert_eq!(listed(&world, "state=closed", "ana-token").await, [mine]);
    assert_eq!(edit(&world, other, "ana-token", json!({"labels": ["drift"]})).await.status, 200);
    assert_eq!(listed(&world, "labels=drift", "ana-token").await, [other]);
    let pulls_only = world.app_token(&json!({"permissions": {"pull_requests": "write"}})).await;
    assert_eq!(listed(&world, "", &pulls_only).await, [pull], "without the right to see issues");
    world.github.finish().unwrap();
}

#[tokio::test]
async fn issues_take_their_own_permission_and_can_be_turned_off() {
    let world = world();
    let pull = world.open();
    let number = world.github.open_issue("acme/infra", "ben", "Look", "").unwrap();
    let pulls_only = world.app_token(&json!({"permissions": {"pull_requests": "write"}})).await;
    let words = json!({"body": "hello"});
    assert_eq!(world.post(&format!("{ISSUES}/{pull}/comments"), &pulls_only, &words).await.status, 201);
    assert_eq!(world.post(&format!("{ISSUES}/{number}/comments"), &pulls_only, &words).await.status, 403);
    assert_eq!(world.post(ISSUES, &pulls_only, &json!({"title": "No"})).await.status, 403);
    assert_eq!(world.github.take_violations().len(), 2);

    world.github.add_user("eve", "eve-token").unwrap();
    world.github.set_permission("acme/infra", "eve", Role::Read).unwrap();
    assert_eq!(edit(&world, number, "eve-token", json!({"state": "closed"})).await.status, 403, "not hers");
    let hers = world.post(ISSUES, "eve-token", &json!({"title": "Hers"})).await;
    assert_eq!(
        edit(&world, hers.body["number"].as_u64().unwrap(), "eve-token", json!({"state": "closed"})).await.status,
        200
    );

    for (wrong, status) in [
        (json!({"title": " "}), 422),
        (json!({"title": "x".repeat(257)}), 422),
        (json!({"title": "x", "body": "x".repeat(65_537)}), 422),
    ] {
        assert_eq!(world.post(ISSUES, "ana-token", &wrong).await.status, status);
    }
    world.github.set_issues("acme/infra", false).unwrap();
    let off = world.post(ISSUES, "ana-token", &json!({"title": "No"})).await;
    assert_eq!((off.status, off.body["message"].as_str()), (410, Some("Issues has been disabled in this repository.")));
    assert_eq!(
        world.post(&format!("{ISSUES}/{pull}/comments"), "ana-token", &words).await.status,
        201,
        "pull requests stay"
    );
    world.github.finish().unwrap();
}

#[tokio::test]
async fn apps_hear_of_issues_and_their_comments() {
    let world = world();
    let got = listen(&world).await;
    let number = world.github.open_issue("acme/infra", "ben", "Look", "here").unwrap();
    world.github.comment("acme/infra", number, "ana", "seen").unwrap();
    edit(&world, number, "ben-token", json!({"title": "Look out"})).await;
    world.github.set_issue_open("acme/infra", number, "ben", false).unwrap();
    world.github.set_issue_open("acme/infra", number, "ben", true).unwrap();
    world.github.deliver_all().await;
    assert_eq!(
        names(&got).await,
        ["ping -", "issues opened", "issue_comment created", "issues edited", "issues closed", "issues reopened"]
    );
    let comment = world.github.deliveries().into_iter().find(|it| it.event == "issue_comment").unwrap();
    let payload: Value = serde_json::from_str(&comment.payload).unwrap();
    assert_eq!(payload["issue"].get("pull_request"), None, "no pull request stands behind it");
    world.github.finish().unwrap();
}
