//! Webhooks that are lost, come twice or come late, by order and by count.

use fake_github::Mishap;

use crate::client::{World, world};
use crate::webhooks::{Got, listen};

/// Comments of these bodies, and the bodies in which their webhooks came.
async fn comments(world: &World, got: &Got, number: u64, bodies: &[&str]) -> Vec<String> {
    for body in bodies {
        world.github.comment("acme/infra", number, "ana", body).expect("a comment");
    }
    came(world, got).await
}

async fn came(world: &World, got: &Got) -> Vec<String> {
    world.github.deliver_all().await;
    let guids: Vec<String> = std::mem::take(&mut *got.lock().await).into_iter().map(|it| it.3).collect();
    let records = world.github.deliveries();
    let body = |guid: &String| {
        let record = records.iter().find(|it| it.guid == *guid && it.event == "issue_comment")?;
        let payload: serde_json::Value = serde_json::from_str(&record.payload).expect("JSON");
        payload["comment"]["body"].as_str().map(str::to_owned)
    };
    guids.iter().filter_map(body).collect()
}

#[tokio::test]
async fn what_is_ordered_happens_to_the_next_ones_and_no_more() {
    let world = world();
    let got = listen(&world).await;
    let number = world.open();
    world.github.disturb_next("issue_comment", 2, Mishap::Lost);
    assert_eq!(comments(&world, &got, number, &["a", "b", "c"]).await, ["c"]);
    let lost = world.github.deliveries().into_iter().filter(|it| it.dropped).collect::<Vec<_>>();
    assert_eq!((lost.len(), lost[0].status), (2, Some(0)), "GitHub shows them as failed");
    world.github.redeliver(lost[0].id).unwrap();
    assert_eq!(came(&world, &got).await, ["a"], "and sends them again when asked");

    world.github.disturb_next("issue_comment", 1, Mishap::Twice);
    assert_eq!(comments(&world, &got, number, &["d", "e"]).await, ["d", "d", "e"]);
    world.github.disturb_next("issue_comment", 1, Mishap::Late(2));
    assert_eq!(comments(&world, &got, number, &["f", "g", "h", "i"]).await, ["g", "h", "f", "i"]);
    world.github.disturb_next("push", 1, Mishap::Lost);
    assert_eq!(comments(&world, &got, number, &["j"]).await, ["j"], "of another event");
    world.github.finish().unwrap();
}

#[tokio::test]
async fn late_ones_come_when_they_are_let_go() {
    let world = world();
    let got = listen(&world).await;
    let number = world.open();
    came(&world, &got).await;
    world.github.disturb_next("*", 2, Mishap::Late(u32::MAX));
    assert_eq!(comments(&world, &got, number, &["a", "b", "c"]).await, ["c"]);
    assert_eq!(world.github.release_deliveries(), 2);
    assert_eq!(came(&world, &got).await, ["a", "b"]);
    assert_eq!(world.github.release_deliveries(), 0);
    world.github.finish().unwrap();
}
