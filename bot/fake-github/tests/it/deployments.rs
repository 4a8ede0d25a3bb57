//! Deployments: recorded, told, ended by the next one; and what GitHub refuses.

use serde_json::{Value, json};

use crate::client::{World, world};
use crate::webhooks::{listen, names};

const PATH: &str = "/repos/acme/infra/deployments";

fn wanted(world: &World, more: Value) -> Value {
    let sha = world.github.branch("acme/infra", "main").expect("a branch");
    let mut body = json!({"ref": sha, "environment": "network", "auto_merge": false, "required_contexts": []});
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    body
}

async fn states(world: &World, id: &Value) -> Vec<String> {
    let listed = world.get(&format!("{PATH}/{id}/statuses"), "ana-token").await;
    assert_eq!(listed.status, 200, "{}", listed.body);
    listed.body.as_array().expect("a list").iter().map(|it| it["state"].as_str().expect("a word").to_owned()).collect()
}

#[tokio::test]
async fn an_app_records_what_goes_where() {
    let world = world();
    let got = listen(&world).await;
    let token = world.app_token(&json!({"permissions": {"deployments": "write"}})).await;
    let made = world.post(PATH, &token, &wanted(&world, json!({"payload": {"run": "7"}, "task": "apply"}))).await;
    assert_eq!(
        (made.status, &made.body["payload"], &made.body["production_environment"]),
        (201, &json!({"run": "7"}), &json!(false))
    );
    let id = &made.body["id"];
    for state in ["in_progress", "success"] {
        let told = world
            .post(
                &format!("{PATH}/{id}/statuses"),
                &token,
                &json!({"state": state, "log_url": "https://buildit.example/r/7"}),
            )
            .await;
        assert_eq!((told.status, &told.body["environment"]), (201, &json!("network")));
    }
    assert_eq!(states(&world, id).await, ["success", "in_progress"], "newest first");
    let next = world.post(PATH, "ana-token", &wanted(&world, json!({}))).await.body["id"].clone();
    world.post(&format!("{PATH}/{next}/statuses"), "ana-token", &json!({"state": "success"})).await;
    assert_eq!(states(&world, id).await, ["inactive", "success", "in_progress"], "the next one ends it");
    let listed = world.get(&format!("{PATH}?task=apply&environment=network"), "ana-token").await.body;
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["creator"]["login"]), (1, &json!("buildit[bot]")));
    assert_eq!(world.get(&format!("{PATH}?environment=other"), "ana-token").await.body, json!([]));
    world.github.deliver_all().await;
    let told = names(&got).await;
    assert_eq!(told.iter().filter(|it| *it == "deployment created").count(), 2, "{told:?}");
    assert_eq!(
        told.iter().filter(|it| *it == "deployment_status created").count(),
        3,
        "of an ended one nobody is told: {told:?}"
    );
    world.github.finish().unwrap();
}

#[tokio::test]
async fn what_github_would_merge_or_wait_for_is_refused() {
    let world = world();
    let sha = world.github.branch("acme/infra", "main").unwrap();
    world.github.set_status("acme/infra", &sha, "ben", "ci", "pending").unwrap();
    let unchecked = world.post(PATH, "ana-token", &json!({"ref": sha, "auto_merge": false})).await;
    assert_eq!(unchecked.status, 409, "a status is not good: {}", unchecked.body);
    assert_eq!(world.post(PATH, "ana-token", &wanted(&world, json!({}))).await.status, 201, "nothing was asked for");
    world.open();
    let old = wanted(&world, json!({}));
    world
        .github
        .commit_files("acme/infra", "main", "ben", "Move on", &[fake_github::Change::write("x", "\n")])
        .unwrap();
    let mut behind = old.clone();
    behind["auto_merge"] = json!(true);
    assert_eq!(world.post(PATH, "ana-token", &behind).await.status, 409, "the default branch is ahead");
    assert_eq!(world.post(PATH, "ana-token", &old).await.status, 201);
    assert_eq!(world.post(PATH, "ana-token", &wanted(&world, json!({"ref": "nowhere"}))).await.status, 422);
    let long = wanted(&world, json!({"description": "x".repeat(141)}));
    assert_eq!(world.post(PATH, "ana-token", &long).await.status, 422);
    let narrow = world.app_token(&json!({"permissions": {"contents": "read"}})).await;
    assert_eq!(world.post(PATH, &narrow, &old).await.status, 403);
    assert_eq!(world.github.take_violations(), [format!("POST {PATH}: the token lacks deployments:write")]);
}
