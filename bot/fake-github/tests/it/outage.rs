//! Outages by order: what a client sees of a GitHub in trouble, and that it is over when it is over.

use fake_github::Fault;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

use crate::client::{START, World, world};

/// Status, the named headers and the body of a read of the repository.
async fn read(world: &World, headers: &[&str]) -> (u16, Vec<String>, String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let request = Request::get(format!("{}/repos/acme/infra", world.github.api_url()));
    let request = request.header("Authorization", "token ana-token").body(Empty::new()).expect("a request");
    let answer = client.request(request).await.expect("an answer");
    let header = |name: &&str| answer.headers().get(*name).map_or("-", |it| it.to_str().expect("text")).to_owned();
    let (status, found) = (answer.status().as_u16(), headers.iter().map(header).collect());
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    (status, found, String::from_utf8(body.to_vec()).expect("text"))
}

#[tokio::test]
async fn each_fault_looks_as_githubs_own() {
    let world = world();
    let route = "GET /repos/{owner}/{repo}";
    for (fault, status, header, value, word) in [
        (Fault::BadGateway, 502, "content-type", "text/html".to_owned(), "Unicorn"),
        (Fault::SlowDown(7), 403, "retry-after", "7".to_owned(), "secondary rate limit"),
        (Fault::TooMany(9), 429, "retry-after", "9".to_owned(), "secondary rate limit"),
        (Fault::Exhausted(60), 403, "x-ratelimit-reset", (START + 60).to_string(), "rate limit exceeded"),
    ] {
        world.github.fail_next(route, 1, fault).unwrap();
        let (got, headers, body) = read(&world, &[header]).await;
        assert_eq!((got, &headers[0]), (status, &value), "{fault:?}");
        assert!(body.contains(word), "{fault:?}: {body}");
        assert_eq!(read(&world, &[]).await.0, 200, "{fault:?} is over");
    }
    assert_eq!(world.github.requests(), 8, "failed ones count");
    assert!(world.github.violations().is_empty(), "an outage is nobody's violation");
}

#[tokio::test]
async fn only_the_ordered_route_fails_and_only_so_often() {
    let world = world();
    let number = world.open();
    world.github.fail_next("POST /repos/{owner}/{repo}/issues/{issue_number}/comments", 2, Fault::BadGateway).unwrap();
    let comments = format!("/repos/acme/infra/issues/{number}/comments");
    assert_eq!(world.get(&comments, "ana-token").await.status, 200, "reading is another route");
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(world.post(&comments, "ana-token", &json!({"body": "hello"})).await.status);
    }
    assert_eq!(seen, [502, 502, 201]);
    assert_eq!(world.github.transcript().matches("hello").count(), 1, "what failed was not done");
    let unknown = world.github.fail_next("GET /nowhere", 1, Fault::BadGateway).unwrap_err().to_string();
    assert!(unknown.contains("no route `GET /nowhere`"), "{unknown}");
}

#[tokio::test]
async fn a_lost_answer_was_carried_out() {
    let world = world();
    let number = world.open();
    let comments = format!("/repos/acme/infra/issues/{number}/comments");
    world.github.fail_next("*", 1, Fault::AnswerLost).unwrap();
    assert_eq!(world.post(&comments, "ana-token", &json!({"body": "hello"})).await.status, 502);
    assert_eq!(world.github.transcript().matches("hello").count(), 1);
}

#[tokio::test]
async fn everything_can_be_down_and_mended() {
    let world = world();
    world.github.fail_next("*", u32::MAX, Fault::BadGateway).unwrap();
    assert_eq!(world.get("/repos/acme/infra", "ana-token").await.status, 502);
    let query = json!({"query": "query{viewer{login}}"});
    let url = world.github.graphql_url();
    assert_eq!(crate::client::send("POST", &url, "bearer ana-token", &query).await.status, 502);
    let git = format!("{}/info/refs?service=git-upload-pack", world.github.clone_url("acme/infra"));
    assert_eq!(crate::client::send("GET", &git, "", &serde_json::Value::Null).await.status, 502);
    assert_eq!(world.github.mend(), u32::MAX - 3);
    assert_eq!(world.get("/repos/acme/infra", "ana-token").await.status, 200);
}

#[tokio::test]
async fn statuses_by_order_and_answers_that_break_off() {
    let world = world();
    let number = world.open();
    let comments = format!("/repos/acme/infra/issues/{number}/comments");
    let route = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments";
    for status in [401, 404, 409, 422, 500, 503] {
        world.github.fail_next(route, 1, Fault::Status(status)).unwrap();
        let answer = world.post(&comments, "ana-token", &json!({"body": "hello"})).await;
        assert_eq!((answer.status, answer.body["message"].is_string()), (status, true));
    }
    assert_eq!(world.github.transcript().matches("hello").count(), 0, "nothing of it was done");
    world.github.fail_next(route, 1, Fault::AnswerCut).unwrap();
    let url = format!("{}{comments}", world.github.api_url());
    let cut = crate::client::try_send("POST", &url, "token ana-token", &json!({"body": "hello"})).await;
    assert!(cut.is_none(), "the connection ended");
    assert_eq!(world.github.transcript().matches("hello").count(), 1, "it was done all the same");
    world.github.finish().unwrap();
}

#[tokio::test]
async fn a_held_answer_comes_when_it_is_let_go() {
    let world = world();
    let number = world.open();
    let url = format!("{}/repos/acme/infra/issues/{number}/comments", world.github.api_url());
    world.github.fail_next("*", 1, Fault::AnswerHeld).unwrap();
    let asked =
        tokio::spawn(
            async move { crate::client::send("POST", &url, "token ana-token", &json!({"body": "hello"})).await },
        );
    crate::client::until(|| world.github.held_answers() == 1).await;
    assert_eq!(world.github.transcript().matches("hello").count(), 1, "done, and nobody knows");
    assert!(!asked.is_finished());
    assert_eq!(world.github.release_answers(), 1);
    assert_eq!(asked.await.unwrap().status, 201);
    world.github.finish().unwrap();
}
