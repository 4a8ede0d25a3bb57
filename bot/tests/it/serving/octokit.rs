//! People's own client beside `buildit serve`, a program in `dev/github-client`: `scenario.mjs` makes a repository,
//! pushes, opens a pull request, waits for our check, comments, reviews and merges; `story.mjs` lives through applies.

use std::process::{Command, Stdio};

use super::process::{Running, within};
use super::*;
use fake_github::{Role, Rules};

/// The scenario's folder; `None`, told loudly, when its packages are missing.
#[expect(clippy::disallowed_methods, reason = "the client is a node program")]
pub(crate) fn client() -> Option<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/github-client");
    let found =
        Command::new("node").arg("--version").output().is_ok() && folder.join("node_modules/@octokit/rest").exists();
    if !found {
        let required = std::env::var("BUILDIT_REQUIRE").is_ok_and(|all| all.split(',').any(|one| one == "octokit"));
        assert!(
            !required,
            "BUILDIT_REQUIRE names octokit, and node or dev/github-client/node_modules is missing: run dev/setup"
        );
        eprintln!(
            "SKIP: octokit beside buildit serve: node or dev/github-client/node_modules is missing; run dev/setup"
        );
    }
    found.then_some(folder)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the client is a node program")]
fn a_client_of_its_own_walks_a_pull_request_beside_the_server() {
    let (Some(_), Some(folder)) = (terraform(), client()) else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let (double, app) = people(&["ana", "ben"], &["ana", "ben"]);
    let server = Running::with_github(dir.path(), &double, &app);

    // Between the repository and its first push someone installs the App, as on GitHub's page.
    let (made, installed) = (dir.path().join("made"), dir.path().join("installed"));
    for pipe in [&made, &installed] {
        assert!(Command::new("mkfifo").arg(pipe).status().expect("mkfifo runs").success());
    }
    let script = dir.path().join("after-create");
    let text = format!("echo \"$1\" >'{}'; read word <'{}'\n", made.display(), installed.display());
    std::fs::write(&script, text).expect("written");
    let child = Command::new("node")
        .arg(folder.join("scenario.mjs"))
        .env("GITHUB_URL", double.url())
        .env("GITHUB_API_URL", double.api_url())
        .envs([("ANA_TOKEN", "ana-token"), ("BEN_TOKEN", "ben-token"), ("OWNER", "acme")])
        .env("AFTER_CREATE", format!("sh '{}'", script.display()))
        .env("WAIT_FOR_CHECK", "buildit/plan")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("node runs");
    let name = within(move || std::fs::read_to_string(made));
    double.install_app(app.app_id, name.trim()).expect("installed");
    within(move || std::fs::write(installed, "done\n"));
    let output = child.wait_with_output().expect("it ends");

    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("buildit/plan: success, network: +2 ~0 −0"), "{text}");
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap_or_default()).expect("a summary");
    assert_eq!((&last["merged"], &last["reviews"]), (&true.into(), &1.into()), "{text}");
    assert!(
        last["checks"].as_u64() >= Some(2) && last["comments"].as_u64() >= Some(2),
        "our check and comment: {text}"
    );
    assert_eq!(double.violations(), Vec::<String>::new());
    assert_eq!(server.stop().0, Some(0));
}

/// Two stacks that are applied when somebody asks and then merge themselves, one that is applied on merge.
const STACKS: &str = "\
stack \"network\"
stack \"cache\"
stack \"edge\" {
    apply on=merge
}
defaults {
    apply on=comment { automerge squash }
}
";

/// A repository of these, where our checks are required, and its people: ana and ben write, eve reads.
fn infra() -> (FakeGitHub, AppCredentials) {
    let (double, app) = people(&["ana", "ben", "eve"], &["ana"]);
    let empty = "terraform {}\n";
    let files = [".buildit/stacks.kdl", "network/main.tf", "cache/main.tf", "edge/main.tf"]
        .map(|path| (path, if path.starts_with('.') { STACKS } else { empty }));
    double.create_repository("acme", "infra", &files).expect("a repository");
    for (login, role) in [("ana", Role::Write), ("ben", Role::Write), ("eve", Role::Read)] {
        double.set_permission("acme/infra", login, role).expect("a role");
    }
    let required = Rules::checks(&[("buildit/plan", Some(7)), ("buildit/apply", Some(7))]);
    double.protect("acme/infra", "main", required).expect("a rule");
    double.install_app(app.app_id, "acme/infra").expect("installed");
    (double, app)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the client is a node program")]
fn people_live_through_the_whole_story_beside_the_server() {
    let (Some(_), Some(folder)) = (terraform(), client()) else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let (double, app) = infra();
    let server = Running::with_github(dir.path(), &double, &app);

    let tokens =
        ["ana", "ben", "eve"].map(|login| (format!("{}_TOKEN", login.to_uppercase()), format!("{login}-token")));
    let output = Command::new("node")
        .arg(folder.join("story.mjs"))
        .env("GITHUB_URL", double.url())
        .env("GITHUB_API_URL", double.api_url())
        .env("REPOSITORY", "acme/infra")
        .env("TMPDIR", dir.path())
        .envs(tokens)
        .output()
        .expect("node runs");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("\ntold\n"), "{text}\n{}", double.transcript());
    assert_eq!(double.violations(), Vec::<String>::new());
    let refused: Vec<_> = double.deliveries().into_iter().filter(|it| it.status != Some(202)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(server.stop().0, Some(0));
}
