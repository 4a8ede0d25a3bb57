//! What a wrong client gets, and that it is recorded.

use serde_json::{Value, json};

use crate::client::{World, jwt, world};

const OTHER_KEY: &str = include_str!("../../demo-only-other-key.pem");

async fn app(world: &World, jwt: &str) -> (u16, Vec<String>) {
    let answer = world.send("GET", "/app", &format!("Bearer {jwt}"), &Value::Null).await;
    (answer.status, world.github.take_violations())
}

#[tokio::test]
async fn only_a_fresh_jwt_of_the_apps_own_key_is_taken() {
    let world = world();
    let now = world.now();
    let claims = |iat: i64, exp: i64| json!({"iss": 7, "iat": iat, "exp": exp});
    assert_eq!(app(&world, &world.jwt(&claims(now - 60, now + 540))).await, (200, vec![]));
    for (why, token) in [
        ("expired", world.jwt(&claims(now - 700, now - 100))),
        ("too long", world.jwt(&claims(now, now + 3600))),
        ("from the future", world.jwt(&claims(now + 300, now + 500))),
        ("another app", world.jwt(&json!({"iss": 8, "iat": now, "exp": now + 500}))),
        ("another key", jwt(OTHER_KEY, &claims(now, now + 500))),
        ("no issuer", world.jwt(&json!({"iat": now, "exp": now + 500}))),
    ] {
        let (status, violations) = app(&world, &token).await;
        assert_eq!((status, violations.len()), (401, 1), "{why}: {violations:?}");
    }
}

#[tokio::test]
async fn a_token_ends_after_an_hour_of_the_tests_clock() {
    let world = world();
    let token = world.app_token(&json!({})).await;
    world.advance(3599);
    assert_eq!(world.get("/repos/acme/infra", &token).await.status, 200);
    assert!(world.github.violations().is_empty());
    world.advance(1);
    assert_eq!(world.get("/repos/acme/infra", &token).await.status, 401);
    assert_eq!(world.github.take_violations(), ["GET /repos/acme/infra: 401 Bad credentials"]);
}

#[tokio::test]
async fn a_narrowed_token_can_only_do_what_it_was_made_for() {
    let world = world();
    world.github.create_repository("acme", "other", &[("a", "b")]).unwrap();
    world.github.install_app(7, "acme/other").unwrap();
    let number = world.open();
    let token = world.app_token(&json!({"repositories": ["infra"], "permissions": {"contents": "read"}})).await;
    assert_eq!(world.get("/repos/acme/infra/branches/main", &token).await.status, 200);
    assert!(world.github.violations().is_empty());
    assert_eq!(world.get("/repos/acme/other", &token).await.status, 404);
    let comment =
        world.post(&format!("/repos/acme/infra/issues/{number}/comments"), &token, &json!({"body": "no"})).await;
    assert_eq!((comment.status, &comment.body["message"]), (403, &json!("Resource not accessible by integration")));
    insta::assert_debug_snapshot!(world.github.take_violations(), @r#"
    [
        "GET /repos/acme/other: the token does not reach this repository",
        "POST /repos/acme/infra/issues/1/comments: the token lacks issues:write or pull_requests:write",
    ]
    "#);
    let path = format!("/app/installations/{}/access_tokens", world.installation);
    let more = world
        .send(
            "POST",
            &path,
            &format!("Bearer {}", world.good_jwt()),
            &json!({"permissions": {"administration": "write"}}),
        )
        .await;
    assert_eq!(more.status, 422);
}

#[tokio::test]
async fn what_github_does_not_describe_is_recorded() {
    let world = world();
    let number = world.open();
    let comments = format!("/repos/acme/infra/issues/{number}/comments");
    assert_eq!(world.get("/repos/acme/infra/unheard-of", "ana-token").await.status, 404);
    assert_eq!(world.get(&format!("{comments}?sorting=up"), "ana-token").await.status, 200);
    assert_eq!(world.post(&comments, "ana-token", &json!({"body": 1})).await.status, 422);
    assert_eq!(world.post(&comments, "ana-token", &json!({"body": "x", "colour": "red"})).await.status, 201);
    assert_eq!(world.get("/user", "nobody's").await.status, 401);
    insta::assert_debug_snapshot!(world.github.take_violations(), @r#"
    [
        "GET /repos/acme/infra/unheard-of: the double has no such endpoint",
        "GET /repos/acme/infra/issues/1/comments: the request is not as GitHub describes it: there is no query parameter `sorting`",
        "POST /repos/acme/infra/issues/1/comments: the request is not as GitHub describes it: at `/body`: value is not of type \"string\"",
        "POST /repos/acme/infra/issues/1/comments: the request is not as GitHub describes it: there is no field `colour` in the request body",
        "GET /user: 401 Bad credentials",
    ]
    "#);
}

#[tokio::test]
async fn finish_fails_with_what_was_recorded() {
    let world = world();
    world.get("/nowhere", "ana-token").await;
    let error = world.github.finish().unwrap_err().to_string();
    assert!(error.contains("GET /nowhere: the double has no such endpoint"), "{error}");
}

#[test]
fn it_listens_on_loopback_only() {
    let options = fake_github::Options { listen: ([0, 0, 0, 0], 0).into(), ..fake_github::Options::default() };
    let error = fake_github::FakeGitHub::start(options).unwrap_err().to_string();
    assert!(error.contains("not a loopback address"), "{error}");
}
