//! GraphQL: last edits and minimised comments, and what is refused.

use serde_json::{Value, json};

use crate::client::{START, World, send, world};

pub(crate) async fn ask(world: &World, token: &str, query: &str, variables: Value) -> Value {
    send(
        "POST",
        &world.github.graphql_url(),
        &format!("bearer {token}"),
        &json!({"query": query, "variables": variables}),
    )
    .await
    .body
}

#[tokio::test]
async fn edits_are_seen_and_a_comment_is_minimised() {
    let world = world();
    let number = world.open();
    let first = world.github.comment("acme/infra", number, "ben", "one").unwrap();
    world.github.comment("acme/infra", number, "ben", "two").unwrap();
    world.advance(60);
    world.github.edit_comment("acme/infra", first, "ana", "uno").unwrap();
    let token = world.app_token(&json!({"permissions": {"issues": "write"}})).await;
    let query = "query($owner:String!,$name:String!,$number:Int!){repository(owner:$owner,name:$name){pullRequest(number:$number){
        lastEditedAt comments(first:1){totalCount pageInfo{hasNextPage} nodes{id body lastEditedAt author{login __typename}}}}}}";
    let answer = ask(&world, &token, query, json!({"owner": "acme", "name": "infra", "number": number})).await;
    let comments = &answer["data"]["repository"]["pullRequest"]["comments"];
    assert_eq!((&comments["totalCount"], &comments["pageInfo"]["hasNextPage"]), (&json!(2), &json!(true)), "{answer}");
    let node = &comments["nodes"][0];
    assert_eq!(START + 60, 1_767_225_660);
    assert_eq!((&node["body"], &node["lastEditedAt"]), (&json!("uno"), &json!("2026-01-01T00:01:00Z")));
    assert_eq!(node["author"], json!({"login": "ben", "__typename": "User"}));

    let hide = "mutation($id:ID!){minimizeComment(input:{subjectId:$id,classifier:OUTDATED}){minimizedComment{isMinimized minimizedReason}}}";
    let hidden = ask(&world, &token, hide, json!({"id": node["id"]})).await;
    assert_eq!(
        hidden["data"]["minimizeComment"]["minimizedComment"],
        json!({"isMinimized": true, "minimizedReason": "outdated"})
    );
    assert!(world.github.transcript().contains("-- comment by ben (edited, minimized as outdated)"));
    let again = "query($ids:[ID!]!){nodes(ids:$ids){... on IssueComment{isMinimized}}}";
    let again = ask(&world, &token, again, json!({"ids": [node["id"], "IC_0"]})).await;
    assert_eq!(again["data"]["nodes"], json!([{"isMinimized": true}, null]));
    world.github.finish().unwrap();
}

#[tokio::test]
async fn unknown_fields_and_missing_rights_are_refused() {
    let world = world();
    let number = world.open();
    let comment = world.github.comment("acme/infra", number, "ben", "one").unwrap();
    let token = world.app_token(&json!({"permissions": {"contents": "read"}})).await;
    let id = format!("IC_{comment:010}");
    for (query, word) in [
        (
            "query($id:ID!){node(id:$id){... on IssueComment{colour}}}",
            "Field 'colour' doesn't exist on type 'IssueComment'",
        ),
        (
            "mutation($id:ID!){minimizeComment(input:{subjectId:$id,classifier:OUTDATED}){clientMutationId}}",
            "Resource not accessible by integration",
        ),
        ("query($id:ID!){node(id:$id){id}", "Unexpected end of document"),
    ] {
        let answer = ask(&world, &token, query, json!({"id": id})).await;
        assert_eq!(answer["errors"][0]["message"], word);
    }
    assert_eq!(world.github.take_violations().len(), 3);
}
