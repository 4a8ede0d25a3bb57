//! Pull requests, comments, reviews and merges, with every answer checked against GitHub's description.

use fake_github::{Change, NewPull};
use serde_json::{Value, json};

use crate::client::world;

const REPO: &str = "/repos/acme/infra";

#[tokio::test]
async fn a_pull_request_goes_from_opening_to_its_merge() {
    let world = world();
    let number = world.open();
    let pull = world.get(&format!("{REPO}/pulls/{number}"), "ben-token").await;
    assert_eq!(pull.status, 200);
    assert_eq!((&pull.body["mergeable"], &pull.body["changed_files"]), (&json!(true), &json!(1)));
    let files = world.get(&format!("{REPO}/pulls/{number}/files"), "ben-token").await.body;
    assert_eq!((&files[0]["filename"], &files[0]["status"]), (&json!("bucket.tf"), &json!("added")));
    assert_eq!(files[0]["patch"], "@@ -0,0 +1 @@\n+# two");

    let reviews = format!("{REPO}/pulls/{number}/reviews");
    let own = world.post(&reviews, "ana-token", &json!({"event": "APPROVE"})).await;
    assert_eq!(own.status, 422);
    let good = world.post(&reviews, "ben-token", &json!({"event": "APPROVE", "body": "fine"})).await;
    assert_eq!((good.status, &good.body["state"]), (200, &json!("APPROVED")));

    let comments = format!("{REPO}/issues/{number}/comments");
    let comment = world.post(&comments, "ben-token", &json!({"body": "buildit plan"})).await;
    assert_eq!(comment.status, 201);
    let id = &comment.body["id"];
    let reacted =
        world.post(&format!("{REPO}/issues/comments/{id}/reactions"), "ana-token", &json!({"content": "eyes"})).await;
    assert_eq!(reacted.status, 201);
    let long = world.post(&comments, "ben-token", &json!({"body": "x".repeat(65_537)})).await;
    assert_eq!(long.status, 422);
    assert!(long.body.to_string().contains("Body is too long"), "{}", long.body);

    let merge = format!("{REPO}/pulls/{number}/merge");
    let stale = world.send("PUT", &merge, "token ben-token", &json!({"sha": "0".repeat(40)})).await;
    assert_eq!(stale.status, 409);
    let merged = world.send("PUT", &merge, "token ben-token", &json!({"merge_method": "merge"})).await;
    assert_eq!((merged.status, &merged.body["merged"]), (200, &json!(true)));
    let pull = world.get(&format!("{REPO}/pulls/{number}"), "ben-token").await.body;
    assert_eq!(
        (&pull["state"], &pull["merged"], &pull["merge_commit_sha"]),
        (&json!("closed"), &json!(true), &merged.body["sha"])
    );
    assert_eq!(world.github.branch("acme/infra", "main").unwrap(), merged.body["sha"].as_str().unwrap());
    insta::assert_snapshot!(world.github.transcript(), @r"
    == acme/infra#1 Add a bucket [merged] bucket -> main
    head <head 1> of 1 by ana
    review APPROVED by ben: fine
    -- comment by ben (eyes by ana)
        buildit plan
    ");
    world.github.finish().unwrap();
}

#[tokio::test]
async fn a_conflict_is_not_mergeable_until_it_is_solved() {
    let world = world();
    let number = world.open();
    let github = &world.github;
    github
        .commit_files("acme/infra", "main", "ben", "Take the name", &[Change::write("bucket.tf", "# three\n")])
        .unwrap();
    let path = format!("{REPO}/pulls/{number}");
    let pull = world.get(&path, "ana-token").await.body;
    assert_eq!((&pull["mergeable"], &pull["mergeable_state"]), (&json!(false), &json!("dirty")));
    let refused = world.send("PUT", &format!("{path}/merge"), "token ben-token", &json!({})).await;
    assert_eq!(refused.status, 405);
    github
        .commit_files(
            "acme/infra",
            "bucket",
            "ana",
            "Give up",
            &[Change::write("bucket.tf", "# three\n"), Change::write("new.tf", "\n")],
        )
        .unwrap();
    let pull = world.get(&path, "ana-token").await.body;
    assert_eq!(pull["mergeable"], true);
    let test_merge = world.get(&format!("{REPO}/git/ref/pull/{number}/merge"), "ana-token").await.body;
    assert_eq!(test_merge["object"]["sha"], pull["merge_commit_sha"]);
    world.github.finish().unwrap();
}

#[tokio::test]
async fn lists_come_in_pages_with_links() {
    let world = world();
    let number = world.open();
    for n in 0..5 {
        world.github.comment("acme/infra", number, "ana", &format!("comment {n}")).unwrap();
    }
    let first = world.get(&format!("{REPO}/issues/{number}/comments?per_page=2"), "ben-token").await;
    let bodies: Vec<&Value> = first.body.as_array().unwrap().iter().map(|it| &it["body"]).collect();
    assert_eq!(bodies, ["comment 0", "comment 1"]);
    let url = format!("{}{REPO}/issues/{number}/comments?per_page=2", world.github.api_url());
    assert_eq!(first.link, format!("<{url}&page=2>; rel=\"next\", <{url}&page=3>; rel=\"last\""));
    let last = world.get(&format!("{REPO}/issues/{number}/comments?per_page=2&page=3"), "ben-token").await;
    assert_eq!(last.body.as_array().unwrap().len(), 1);
    assert!(!last.link.contains("next"), "{}", last.link);
    world.github.finish().unwrap();
}

#[tokio::test]
async fn a_forks_pull_request_has_its_head_in_the_base_repository() {
    let world = world();
    let github = &world.github;
    github.set_private("acme/infra", false).unwrap();
    github.add_user("eve", "eve-token").unwrap();
    let fork = github.create_fork("acme/infra", "eve").unwrap();
    let sha = github.commit_files(&fork, "evil", "eve", "Be evil", &[Change::write("evil.tf", "# evil\n")]).unwrap();
    let new =
        NewPull { title: "Nothing bad".into(), head: "eve:evil".into(), base: "main".into(), ..NewPull::default() };
    let number = github.open_pull("acme/infra", "eve", &new).unwrap();
    let pull = world.get(&format!("{REPO}/pulls/{number}"), "ana-token").await.body;
    assert_eq!(
        (&pull["head"]["repo"]["full_name"], &pull["head"]["repo"]["fork"]),
        (&json!("eve/infra"), &json!(true))
    );
    let head = world.get(&format!("{REPO}/git/ref/pull/{number}/head"), "ana-token").await.body;
    assert_eq!(head["object"]["sha"], sha);
    let role = world.get(&format!("{REPO}/collaborators/eve/permission"), "ana-token").await.body;
    assert_eq!(role["permission"], "read");
    world.github.finish().unwrap();
}

#[tokio::test]
async fn every_other_answer_is_as_described() {
    let world = world();
    let number = world.open();
    let token = world.app_token(&json!({})).await;
    for path in [
        "",
        "/branches",
        "/branches/main",
        "/commits",
        "/commits/main",
        "/git/ref/heads/main",
        "/git/matching-refs/heads",
        "/pulls?state=all",
        "/contents/main.tf",
        "/commits/bucket/check-suites",
        "/commits/bucket/check-runs",
    ] {
        assert_eq!(world.get(&format!("{REPO}{path}"), &token).await.status, 200, "{path}");
    }
    let protection = world.get(&format!("{REPO}/branches/main/protection"), "ana-token").await;
    assert_eq!((protection.status, &protection.body["message"]), (404, &json!("Branch not protected")));
    for path in [
        format!("{REPO}/issues/{number}"),
        format!("{REPO}/pulls/{number}/commits"),
        "/user".into(),
        "/user/repos".into(),
        "/users/ben".into(),
        "/meta".into(),
        "/rate_limit".into(),
    ] {
        assert_eq!(world.get(&path, "ana-token").await.status, 200, "{path}");
    }
    let jwt = world.good_jwt();
    let one = format!("/app/installations/{}", world.installation);
    for path in [
        "/app",
        "/app/installations",
        one.as_str(),
        "/repos/acme/infra/installation",
        "/orgs/acme/installation",
        "/app/hook/deliveries",
    ] {
        let answer = world.send("GET", path, &format!("Bearer {jwt}"), &Value::Null).await;
        assert_eq!(answer.status, 200, "{path} {}", answer.body);
    }
    assert_eq!(world.get("/installation/repositories", &token).await.body["total_count"], 1);
    world.github.finish().unwrap();
}

#[tokio::test]
async fn a_person_makes_a_repository_and_writes_files() {
    let world = world();
    let made =
        world.post("/user/repos", "ana-token", &json!({"name": "new", "private": true, "auto_init": true})).await;
    assert_eq!((made.status, &made.body["full_name"]), (201, &json!("ana/new")));
    let file = world
        .send("PUT", "/repos/ana/new/contents/a/b.txt", "token ana-token", &json!({"message": "b", "content": "aGk="}))
        .await;
    assert_eq!(file.status, 201, "{}", file.body);
    let again = world
        .send("PUT", "/repos/ana/new/contents/a/b.txt", "token ana-token", &json!({"message": "b", "content": "aG8="}))
        .await;
    assert_eq!(again.status, 422);
    let read = world.get("/repos/ana/new/contents/a/b.txt", "ana-token").await.body;
    assert_eq!(read["content"], "aGk=");
    assert_eq!(world.get("/repos/ana/new", "ben-token").await.status, 404);
    world.github.finish().unwrap();
}
