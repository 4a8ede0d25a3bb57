//! The independent client: `@octokit/rest` and `git` against the double, by `dev/github-client/scenario.mjs`.

use std::path::Path;
use std::process::Command;

use fake_github::{AppSpec, FakeGitHub, Options};
use serde_json::json;

/// True when a part must be there: `BUILDIT_REQUIRE=octokit,…`.
fn required(part: &str) -> bool {
    std::env::var("BUILDIT_REQUIRE").unwrap_or_default().split(',').any(|it| it.trim() == part)
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the client under test is a node program")]
async fn octokit_creates_pushes_reviews_reads_checks_and_merges() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dev/github-client");
    let node = Command::new("node").arg("--version").output();
    if node.is_err() || !folder.join("node_modules/@octokit/rest").exists() {
        assert!(
            !required("octokit"),
            "BUILDIT_REQUIRE names octokit, and node or dev/github-client/node_modules is missing: run dev/setup"
        );
        eprintln!("\n*** SKIPPED octokit: node or dev/github-client/node_modules is missing; run dev/setup ***\n");
        return;
    }
    let github = FakeGitHub::start(Options::default()).expect("the double starts");
    github.add_user("ana", "ana-token").unwrap();
    github.add_user("ben", "ben-token").unwrap();
    github.add_organization("acme", &["ana", "ben"]).unwrap();
    github.create_app(AppSpec::new(7, "buildit", "s", &[("checks", "write")], &[])).unwrap();
    let output = tokio::process::Command::new("node")
        .arg(folder.join("scenario.mjs"))
        .env("GITHUB_URL", github.url())
        .env("GITHUB_API_URL", github.api_url())
        .env("ANA_TOKEN", "ana-token")
        .env("BEN_TOKEN", "ben-token")
        .env("OWNER", "acme")
        .output()
        .await
        .expect("node runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    insta::assert_snapshot!(github.transcript(), @r"
    == acme/octokit#1 Add a bucket, please [merged] bucket -> main
    head <head 1> of 1 by ana
    labels infra
    review APPROVED by ben: fine
    -- comment by ana (edited, +1 by ben)
        buildit plan all

    == acme/octokit#2 Words [merged] words -> main
    head <head 1> of 1 by ana

    == acme/octokit#3 issue: Who pushed? [closed] by ben
        Tell.
    -- comment by ana
        I did.
    ");
    let last: serde_json::Value =
        serde_json::from_str(text.lines().last().unwrap_or_default()).expect("the scenario ends with a summary");
    assert_eq!(last, json!({"merged": true, "checks": 0, "comments": 1, "reviews": 1}));
    github.finish().unwrap();
}
