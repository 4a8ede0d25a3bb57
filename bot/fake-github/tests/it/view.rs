//! The pages, by HTTP.

use fake_github::{FakeGitHub, NewPull, Options};
use serde_json::Value;

use crate::client::{send, world};

#[tokio::test]
async fn a_pull_request_is_shown_with_its_comments_and_nothing_runs() {
    let world = world();
    let number = world.open();
    world.github.comment("acme/infra", number, "ben", "| a |\n|---|\n| 1 |\n\n<script>alert(1)</script>").unwrap();
    let page = send("GET", &format!("{}/acme/infra/pull/{number}", world.github.url()), "", &Value::Null).await;
    let html = page.body.as_str().unwrap();
    assert!(html.contains("Add a bucket <small>#1</small>") && html.contains("<td>1</td>"), "{html}");
    assert!(html.contains("<code>bucket.tf</code>") && html.contains("<span class=\"add\">+# two</span>"), "{html}");
    assert!(!html.contains("<script") && !html.contains("<form"), "{html}");
    assert_eq!(send("GET", &format!("{}/acme/nothing", world.github.url()), "", &Value::Null).await.status, 404);
    world.github.finish().unwrap();
}

#[tokio::test]
async fn a_visitor_may_act_only_where_that_is_allowed() {
    let github = FakeGitHub::start(Options { act_as_anyone: true, ..Options::default() }).unwrap();
    github.add_user("ana", "t").unwrap();
    github.create_repository("acme", "infra", &[("a", "b")]).unwrap();
    github.set_permission("acme/infra", "ana", fake_github::Role::Write).unwrap();
    github.commit_files("acme/infra", "x", "ana", "X", &[fake_github::Change::write("c", "d")]).unwrap();
    let new = NewPull { title: "X".into(), head: "x".into(), base: "main".into(), ..NewPull::default() };
    github.open_pull("acme/infra", "ana", &new).unwrap();
    let page = format!("{}/acme/infra/pull/1", github.url());
    let post = async |form: &'static str, origin: &str| crate::client::post_form(&page, form, origin).await;
    assert_eq!(post("as=ana&do=comment&body=buildit+plan", github.url()).await, 303);
    assert_eq!(post("as=ana&do=comment&body=evil", "http://evil.example").await, 403);
    assert_eq!(post("as=ana&do=approve&body=", github.url()).await, 422);
    assert_eq!(post("as=ana&do=merge&body=", github.url()).await, 303);
    let text = github.transcript();
    assert!(text.contains("[merged]") && text.contains("buildit plan") && !text.contains("evil"), "{text}");
    let strict = world();
    strict.open();
    let page = format!("{}/acme/infra/pull/1", strict.github.url());
    assert_eq!(crate::client::post_form(&page, "as=ana&do=merge", strict.github.url()).await, 403);
}
