//! Check runs and suites by GitHub's rules.

use serde_json::{Value, json};

use crate::client::world;

const RUNS: &str = "/repos/acme/infra/check-runs";

fn annotations(count: usize) -> Vec<Value> {
    (0..count).map(|n| json!({"path": "bucket.tf", "start_line": 1, "end_line": 1, "annotation_level": "warning", "message": format!("m{n}")})).collect()
}

#[tokio::test]
async fn an_app_reports_a_check_and_adds_annotations() {
    let world = world();
    world.open();
    let sha = world.github.branch("acme/infra", "bucket").unwrap();
    let token = world.app_token(&json!({})).await;
    let made = world.post(RUNS, &token, &json!({"name": "buildit/plan", "head_sha": sha, "status": "in_progress", "details_url": "http://127.0.0.1:1/runs/1", "external_id": "x"})).await;
    assert_eq!((made.status, &made.body["status"]), (201, &json!("in_progress")));
    let run = format!("{RUNS}/{}", made.body["id"]);
    let patch = async |body: Value| world.send("PATCH", &run, &format!("token {token}"), &body).await;
    let output =
        |count: usize| json!({"title": "1 to add", "summary": "one **bucket**", "annotations": annotations(count)});
    assert_eq!(patch(json!({"output": output(51)})).await.status, 422);
    world.github.take_violations();
    assert_eq!(patch(json!({"output": output(50)})).await.status, 200);
    assert_eq!(patch(json!({"output": output(1)})).await.body["output"]["annotations_count"], 51);
    let actions = json!([{"label": "Re-plan", "description": "Plans again", "identifier": "r1"}]);
    let done =
        patch(json!({"conclusion": "success", "output": {"title": "1 to add", "summary": "done"}, "actions": actions}))
            .await;
    assert_eq!((&done.body["status"], &done.body["conclusion"]), (&json!("completed"), &json!("success")));
    let listed = world.get(&format!("{run}/annotations?per_page=100"), &token).await.body;
    assert_eq!(listed.as_array().unwrap().len(), 51);
    let suites = world.get("/repos/acme/infra/commits/bucket/check-suites", &token).await.body;
    assert_eq!((&suites["total_count"], &suites["check_suites"][0]["conclusion"]), (&json!(1), &json!("success")));
    let text = world.github.transcript();
    assert!(text.contains("-- check buildit/plan at <head 1>: success\n  title: 1 to add\n  details: http://HOST/runs/1\n  summary:\n    done\n"), "{text}");
    assert!(text.contains("  button \"Re-plan\" (\"r1\"): \"Plans again\""), "{text}");
    world.github.finish().unwrap();
}

#[tokio::test]
async fn githubs_limits_hold() {
    let world = world();
    world.open();
    let sha = world.github.branch("acme/infra", "bucket").unwrap();
    let token = world.app_token(&json!({})).await;
    let button = |label: &str| json!({"label": label, "description": "d", "identifier": "i"});
    for (why, more) in [
        ("a long summary", json!({"output": {"title": "t", "summary": "x".repeat(65_536)}})),
        ("no title", json!({"output": {"summary": "s"}})),
        ("four buttons", json!({"actions": [button("a"), button("b"), button("c"), button("d")]})),
        ("a long label", json!({"actions": [button(&"x".repeat(21))]})),
        ("completed without a conclusion", json!({"status": "completed"})),
        ("a status of Actions", json!({"status": "waiting"})),
        ("an unknown commit", json!({"head_sha": "1".repeat(40)})),
    ] {
        let mut body = json!({"name": "n", "head_sha": sha});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = world.post(RUNS, &token, &body).await;
        assert_eq!(answer.status, 422, "{why}: {}", answer.body);
    }
    let person = world.post(RUNS, "ana-token", &json!({"name": "n", "head_sha": sha})).await;
    assert_eq!((person.status, &person.body["message"]), (403, &json!("You must authenticate via a GitHub App.")));
    let listed = world.get(&format!("/repos/acme/infra/commits/{sha}/check-runs"), &token).await.body;
    assert_eq!(listed["total_count"], 0);
}
