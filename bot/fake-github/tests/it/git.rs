//! The `git` program as a client over smart HTTP.

use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use serde_json::json;

use crate::client::world;

#[expect(clippy::disallowed_methods, reason = "the client under test is the git on PATH")]
fn run(dir: &Path, credentials: &str, args: &[&str]) -> Output {
    let mut command = Command::new("git");
    command
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
    for who in ["GIT_AUTHOR", "GIT_COMMITTER"] {
        command.env(format!("{who}_NAME"), "ana").env(format!("{who}_EMAIL"), "ana@users.noreply.github.com");
    }
    if !credentials.is_empty() {
        let header = base64::engine::general_purpose::STANDARD.encode(credentials);
        command.args(["-c", &format!("http.extraHeader=Authorization: Basic {header}")]);
    }
    command.args(args).output().expect("git runs")
}

fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test]
async fn clone_push_and_fetch_work_and_a_push_moves_the_pull_request() {
    let world = world();
    let number = world.open();
    let dir = tempfile::tempdir().unwrap();
    let url = world.github.clone_url("acme/infra");
    ok(&run(dir.path(), "ana:ana-token", &["clone", "--quiet", "--branch", "bucket", &url, "work"]));
    let work = dir.path().join("work");
    std::fs::write(work.join("third.tf"), "# three\n").unwrap();
    ok(&run(&work, "", &["add", "."]));
    ok(&run(&work, "", &["commit", "--quiet", "-m", "Third"]));
    let sha = ok(&run(&work, "", &["rev-parse", "HEAD"]));
    ok(&run(&work, "ana:ana-token", &["push", "--quiet", "origin", "bucket"]));
    let bare = url.strip_suffix(".git").expect("the ending that GitHub does not need");
    assert!(ok(&run(&work, "ana:ana-token", &["ls-remote", bare, "bucket"])).starts_with(&sha));
    let pull = world.get(&format!("/repos/acme/infra/pulls/{number}"), "ana-token").await.body;
    assert_eq!((&pull["head"]["sha"], &pull["commits"]), (&json!(sha), &json!(2)));
    let last = world.github.deliveries();
    assert!(last.is_empty(), "the app has no address yet");

    let token = world.app_token(&json!({"repositories": ["infra"], "permissions": {"contents": "read"}})).await;
    let app = format!("x-access-token:{token}");
    let bare = dir.path().join("bare");
    ok(&run(dir.path(), "", &["init", "--quiet", "--bare", "bare"]));
    let merge = pull["merge_commit_sha"].as_str().unwrap();
    ok(&run(
        &bare,
        &app,
        &["-c", "protocol.version=2", "fetch", "--quiet", "--filter=blob:none", "--depth=1", &url, merge],
    ));
    assert_eq!(ok(&run(&bare, "", &["cat-file", "-t", merge])), "commit");
    ok(&run(
        &bare,
        &app,
        &["-c", "protocol.version=0", "fetch", "--quiet", &url, &format!("refs/pull/{number}/head:refs/heads/pr")],
    ));
    let refused = run(&work, &app, &["push", "--quiet", "origin", "HEAD:refs/heads/by-app"]);
    assert!(!refused.status.success());
    assert_eq!(world.github.take_violations().len(), 1, "git stops at the first refusal");
    let hidden = run(&work, "ana:ana-token", &["push", "--quiet", "origin", &format!("HEAD:refs/pull/{number}/head")]);
    assert!(!hidden.status.success(), "refs/pull is GitHub's own");
}

#[tokio::test]
async fn a_private_repository_asks_for_credentials() {
    let world = world();
    let dir = tempfile::tempdir().unwrap();
    let url = world.github.clone_url("acme/infra");
    for credentials in ["", "ana:wrong", "ben:ana-token"] {
        let output = run(dir.path(), credentials, &["ls-remote", &url]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains("could not read Username"), "{credentials}: {text}");
    }
    world.github.add_user("eve", "eve-token").unwrap();
    let output = run(dir.path(), "eve:eve-token", &["ls-remote", &url]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("not found"));
}
