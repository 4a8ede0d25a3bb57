//! GitHub's limits, as an option: how much a minute and an hour hold, and what whoever asks more is told.

use fake_github::Limits;
use serde_json::json;

use crate::client::{World, world_with};

fn limited(limits: Limits) -> World {
    world_with(|options| options.limits = Some(limits))
}

async fn comment(world: &World, number: u64, login: &str) -> crate::client::Answer {
    let path = format!("/repos/acme/infra/issues/{number}/comments");
    world.post(&path, &format!("{login}-token"), &json!({"body": "hello"})).await
}

#[tokio::test]
async fn a_minute_holds_eighty_new_things_and_an_hour_five_hundred() {
    let world = limited(Limits::default());
    let number = world.open();
    for minute in 0..6 {
        for _ in 0..80 {
            assert_eq!(comment(&world, number, "ana").await.status, 201, "minute {minute}");
        }
        let stopped = comment(&world, number, "ana").await;
        assert_eq!(stopped.status, 403);
        assert!(stopped.body["message"].as_str().unwrap().contains("secondary rate limit"), "{}", stopped.body);
        assert!((1..=61).contains(&stopped.retry_after.expect("how long to wait")), "{:?}", stopped.retry_after);
        world.advance(61);
    }
    for _ in 0..20 {
        assert_eq!(comment(&world, number, "ana").await.status, 201);
    }
    let stopped = comment(&world, number, "ana").await;
    assert_eq!(stopped.status, 403, "the 501st of the hour");
    world.advance(stopped.retry_after.unwrap());
    assert_eq!(comment(&world, number, "ana").await.status, 201, "as long as it was told to wait");
    assert_eq!(comment(&world, number, "ben").await.status, 201, "each counts alone");
    assert_eq!(world.get("/repos/acme/infra", "ana-token").await.status, 200, "reading goes on");
    world.github.finish().unwrap();
}

#[tokio::test]
async fn points_count_writes_five_times_and_edits_are_nothing_new() {
    let world = limited(Limits { points: 50, made_per_minute: 2, ..Limits::default() });
    let number = world.open();
    let first = comment(&world, number, "ana").await.body["id"].clone();
    assert_eq!(comment(&world, number, "ana").await.status, 201);
    let path = format!("/repos/acme/infra/issues/comments/{first}");
    for _ in 0..7 {
        assert_eq!(world.send("PATCH", &path, "token ana-token", &json!({"body": "again"})).await.status, 200);
    }
    for _ in 0..5 {
        assert_eq!(world.get("/repos/acme/infra", "ana-token").await.status, 200);
    }
    let stopped = world.get("/repos/acme/infra", "ana-token").await;
    assert_eq!((stopped.status, stopped.retry_after.is_some()), (403, true), "the 51st point");
    world.github.finish().unwrap();
}

#[tokio::test]
async fn an_hour_holds_so_many_requests_and_headers_tell_what_is_left() {
    let world = limited(Limits { hourly: 3, ..Limits::default() });
    let left = async || world.get("/repos/acme/infra", "ana-token").await.remaining;
    assert_eq!([left().await, left().await, left().await], [Some(2), Some(1), Some(0)]);
    let stopped = world.get("/repos/acme/infra", "ana-token").await;
    assert_eq!((stopped.status, stopped.remaining, stopped.retry_after), (403, Some(0), None));
    assert!(stopped.body["message"].as_str().unwrap().starts_with("API rate limit exceeded"), "{}", stopped.body);
    let told = world.get("/rate_limit", "ana-token").await;
    assert_eq!((told.status, &told.body["resources"]["core"]["remaining"]), (200, &json!(0)), "asking that is free");
    let reset = told.body["rate"]["reset"].as_i64().unwrap();
    world.advance(reset - world.now());
    assert_eq!(left().await, Some(2));
    world.github.finish().unwrap();
}
