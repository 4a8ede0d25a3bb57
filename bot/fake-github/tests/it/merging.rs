//! Merges as GitHub makes them: commits, settings, branches that go, pull requests behind commits, taking back.

use fake_github::{Change, Method, NewPull, Rules};
use serde_json::{Value, json};

use crate::client::{World, world};

const REPO: &str = "acme/infra";

/// One more commit of somebody on the pull request's branch.
fn push(world: &World, login: &str, message: &str, path: &str) -> String {
    let change = [Change::write(path, format!("# {path}\n"))];
    world.github.commit_files(REPO, "bucket", login, message, &change).expect("the commit is made")
}

fn open(world: &World, head: &str, base: &str) -> u64 {
    let new = NewPull { title: format!("Take {head}"), head: head.into(), base: base.into(), ..NewPull::default() };
    world.github.open_pull(REPO, "ana", &new).expect("the pull request opens")
}

async fn commit(world: &World, sha: &str) -> Value {
    let answer = world.get(&format!("/repos/{REPO}/commits/{sha}"), "ana-token").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {pointer}"))
}

async fn pulls_of(world: &World, sha: &str) -> Vec<u64> {
    let listed = world.get(&format!("/repos/{REPO}/commits/{sha}/pulls"), "ana-token").await;
    assert_eq!(listed.status, 200, "{}", listed.body);
    listed.body.as_array().expect("a list").iter().map(|it| it["number"].as_u64().expect("a number")).collect()
}

#[tokio::test]
async fn a_merge_commit_has_both_parents_and_githubs_committer() {
    let world = world();
    let number = world.open();
    let (base, head) = (world.github.branch(REPO, "main").unwrap(), world.github.branch(REPO, "bucket").unwrap());
    let sha = world.github.merge_pull(REPO, number, "ben", Method::Merge).unwrap();
    let made = commit(&world, &sha).await;
    assert_eq!(text(&made, "/commit/message"), "Merge pull request #1 from acme/bucket\n\nAdd a bucket");
    assert_eq!((text(&made, "/parents/0/sha"), text(&made, "/parents/1/sha")), (base.as_str(), head.as_str()));
    assert_eq!((text(&made, "/author/login"), text(&made, "/committer/login")), ("ben", "web-flow"));
    assert_eq!(made.pointer("/commit/verification/verified"), Some(&json!(true)), "GitHub signs what it commits");
    assert_eq!((pulls_of(&world, &sha).await, pulls_of(&world, &head).await), (vec![1], vec![1]));
    assert_eq!(pulls_of(&world, &base).await, Vec::<u64>::new());
    world.github.finish().unwrap();
}

#[tokio::test]
async fn a_squash_keeps_one_commits_words_and_lists_several() {
    let world = world();
    let number = world.open();
    let first = world.github.branch(REPO, "bucket").unwrap();
    let base = world.github.branch(REPO, "main").unwrap();
    let sha = world.github.merge_pull(REPO, number, "ben", Method::Squash).unwrap();
    let made = commit(&world, &sha).await;
    assert_eq!(text(&made, "/commit/message"), "Add a bucket (#1)");
    assert_eq!((made["parents"].as_array().unwrap().len(), text(&made, "/parents/0/sha")), (1, base.as_str()));
    assert_eq!((text(&made, "/author/login"), text(&made, "/committer/login")), ("ana", "web-flow"));
    assert_eq!(pulls_of(&world, &sha).await, [1]);
    assert_eq!(pulls_of(&world, &first).await, [1], "the head's commits are not on main, and still known");

    world.github.commit_files(REPO, "queue", "ana", "Add a queue\n\nFIFO.", &[Change::write("q.tf", "\n")]).unwrap();
    let second = open(&world, "queue", "main");
    world.github.commit_files(REPO, "queue", "ben", "Name it", &[Change::write("q.tf", "# q\n")]).unwrap();
    let sha = world.github.merge_pull(REPO, second, "ben", Method::Squash).unwrap();
    let expected = "Take queue (#2)\n\n* Add a queue\n\nFIFO.\n\n* Name it\n\n---------\n\n\
                    Co-authored-by: ben <ben@users.noreply.github.com>";
    assert_eq!(text(&commit(&world, &sha).await, "/commit/message"), expected);
    world.github.finish().unwrap();
}

#[tokio::test]
async fn a_rebase_makes_each_commit_anew() {
    let world = world();
    let number = world.open();
    push(&world, "ben", "Name it", "name.tf");
    let heads = [world.github.branch(REPO, "bucket").unwrap()];
    world.github.commit_files(REPO, "main", "ben", "Move on", &[Change::write("other.tf", "\n")]).unwrap();
    let base = world.github.branch(REPO, "main").unwrap();
    let tip = world.github.merge_pull(REPO, number, "ben", Method::Rebase).unwrap();
    let last = commit(&world, &tip).await;
    let first = commit(&world, text(&last, "/parents/0/sha")).await;
    assert_eq!((text(&first, "/commit/message"), text(&last, "/commit/message")), ("Add a bucket", "Name it"));
    assert_eq!(text(&first, "/parents/0/sha"), base);
    assert_eq!((text(&first, "/author/login"), text(&first, "/committer/login")), ("ana", "ben"));
    assert_eq!((text(&last, "/author/login"), text(&last, "/committer/login")), ("ben", "ben"));
    assert_eq!(first.pointer("/commit/verification/verified"), Some(&json!(false)), "nobody signs a rebase");
    assert!(!heads.contains(&tip));
    for sha in [text(&first, "/sha"), &tip, &heads[0]] {
        assert_eq!(pulls_of(&world, sha).await, [1], "{sha}");
    }
    let pull = world.get(&format!("/repos/{REPO}/pulls/{number}"), "ana-token").await.body;
    assert_eq!(pull["merge_commit_sha"], tip);
    world.github.finish().unwrap();
}

#[tokio::test]
async fn what_conflicts_commit_by_commit_is_merged_and_not_rebased() {
    let world = world();
    let number = world.open();
    let write = |branch: &str, text: &str| {
        world
            .github
            .commit_files(REPO, branch, "ana", text, &[Change::write("bucket.tf", format!("# {text}\n"))])
            .unwrap()
    };
    write("bucket", "three");
    write("main", "three");
    let refused = world.github.merge_pull(REPO, number, "ben", Method::Rebase).unwrap_err().to_string();
    assert_eq!(refused, "not allowed: This branch can't be rebased");
    world.github.merge_pull(REPO, number, "ben", Method::Merge).unwrap();
    world.github.finish().unwrap();
}

#[tokio::test]
async fn settings_and_rules_say_how_may_be_merged() {
    let world = world();
    let number = world.open();
    let path = format!("/repos/{REPO}/pulls/{number}/merge");
    let merge = async |method: &str| {
        let answer = world.send("PUT", &path, "token ben-token", &json!({"merge_method": method})).await;
        (answer.status, answer.body["message"].as_str().unwrap_or_default().to_owned())
    };
    world.github.set_merge_methods(REPO, &[Method::Squash, Method::Rebase]).unwrap();
    assert_eq!(merge("merge").await, (405, "Merge commits are not allowed on this repository.".into()));
    world.github.set_merge_methods(REPO, &[Method::Merge]).unwrap();
    assert_eq!(merge("squash").await, (405, "Squash merges are not allowed on this repository.".into()));
    assert_eq!(merge("rebase").await, (405, "Rebase merges are not allowed on this repository.".into()));
    assert_eq!(merge("octopus").await.0, 422);
    world.github.take_violations();
    world.github.set_ruleset(REPO, "line", "~DEFAULT_BRANCH", Rules { linear: true, ..Rules::default() }).unwrap();
    let (status, words) = merge("merge").await;
    assert!(status == 405 && words.contains("This branch must not contain merge commits."), "{status} {words}");
    world.github.set_merge_methods(REPO, &[Method::Merge, Method::Squash]).unwrap();
    assert_eq!(merge("squash").await.0, 200);
    let refused = world.github.merge_pull(REPO, number, "ben", Method::Squash).unwrap_err().to_string();
    assert!(refused.contains("Pull Request is not mergeable"), "merged before: {refused}");

    let seen = world.get(&format!("/repos/{REPO}"), "ben-token").await.body;
    assert_eq!((&seen["allow_squash_merge"], &seen["allow_rebase_merge"]), (&json!(true), &json!(false)));
    let setting = async |login: &str, body: Value| {
        world.send("PATCH", &format!("/repos/{REPO}"), &format!("token {login}-token"), &body).await
    };
    assert_eq!(setting("ben", json!({"allow_rebase_merge": true})).await.status, 403);
    world.github.set_permission(REPO, "ana", fake_github::Role::Admin).unwrap();
    let none = json!({"allow_merge_commit": false, "allow_squash_merge": false, "allow_rebase_merge": false});
    assert_eq!(setting("ana", none).await.status, 422, "one way must stay");
    let set = setting("ana", json!({"allow_rebase_merge": true, "delete_branch_on_merge": true})).await;
    assert_eq!(
        (set.status, &set.body["allow_rebase_merge"], &set.body["delete_branch_on_merge"]),
        (200, &json!(true), &json!(true))
    );
    world.github.finish().unwrap();
}

#[tokio::test]
async fn a_branch_that_goes_with_its_merge_hands_its_pull_requests_on() {
    let world = world();
    let github = &world.github;
    let number = world.open();
    github.set_delete_branch_on_merge(REPO, true).unwrap();
    github.push(REPO, "top", &github.branch(REPO, "bucket").unwrap(), "ana").unwrap();
    github.commit_files(REPO, "top", "ana", "Top it", &[Change::write("top.tf", "\n")]).unwrap();
    let stacked = open(&world, "top", "bucket");
    github.merge_pull(REPO, number, "ben", Method::Merge).unwrap();
    assert!(github.branch(REPO, "bucket").is_err(), "the branch is gone");
    let pull = world.get(&format!("/repos/{REPO}/pulls/{stacked}"), "ana-token").await.body;
    assert_eq!(
        (&pull["state"], &pull["base"]["ref"], &pull["mergeable"]),
        (&json!("open"), &json!("main"), &json!(true))
    );

    github.set_delete_branch_on_merge(REPO, false).unwrap();
    github.commit_files(REPO, "base", "ana", "A base", &[Change::write("base.tf", "\n")]).unwrap();
    github.change_base(REPO, stacked, "ana", "base").unwrap();
    github.delete_branch(REPO, "base", "ana").unwrap();
    let pull = world.get(&format!("/repos/{REPO}/pulls/{stacked}"), "ana-token").await.body;
    assert_eq!(pull["state"], "closed", "a base that somebody deletes closes what goes into it");
    world.github.finish().unwrap();
}

#[tokio::test]
async fn a_merge_is_taken_back_by_a_pull_request() {
    let world = world();
    let github = &world.github;
    for (method, branch) in [(Method::Merge, "one"), (Method::Squash, "two"), (Method::Rebase, "three")] {
        let file = format!("{branch}.tf");
        github.commit_files(REPO, branch, "ana", "Begin", &[Change::write(&file, "# begun\n")]).unwrap();
        github.commit_files(REPO, branch, "ana", "Go on", &[Change::write(&file, "# done\n")]).unwrap();
        let number = open(&world, branch, "main");
        assert!(github.revert(REPO, number, "ben").is_err(), "not merged yet");
        let sha = github.merge_pull(REPO, number, "ben", method).unwrap();
        github.commit_files(REPO, "main", "ben", "Move on", &[Change::write(format!("{branch}.md"), "\n")]).unwrap();
        let back = github.revert(REPO, number, "ben").unwrap();
        let pull = world.get(&format!("/repos/{REPO}/pulls/{back}"), "ana-token").await.body;
        assert_eq!(text(&pull, "/title"), format!("Revert \"Take {branch}\""));
        assert_eq!(text(&pull, "/body"), format!("Reverts {REPO}#{number}"));
        assert_eq!(
            (text(&pull, "/head/ref"), text(&pull, "/user/login")),
            (format!("revert-{number}-{branch}").as_str(), "ben")
        );
        assert_eq!((&pull["changed_files"], &pull["deletions"]), (&json!(1), &json!(1)), "{method:?}");
        let message = commit(&world, text(&pull, "/head/sha")).await;
        let message = text(&message, "/commit/message").to_owned();
        match method {
            Method::Merge => assert!(
                message.contains(&format!("This reverts commit {sha}, reversing\nchanges made to ")),
                "{message}"
            ),
            Method::Squash => {
                assert_eq!(message, format!("Revert \"Take {branch} (#{number})\"\n\nThis reverts commit {sha}."))
            }
            Method::Rebase => assert!(message.starts_with("Revert \"Begin\""), "the last first: {message}"),
        }
        github.merge_pull(REPO, back, "ben", Method::Merge).unwrap();
        assert_eq!(world.get(&format!("/repos/{REPO}/contents/{branch}.tf"), "ana-token").await.status, 404);
        assert_eq!(world.get(&format!("/repos/{REPO}/contents/{branch}.md"), "ana-token").await.status, 200);
    }
    world.github.finish().unwrap();
}

#[tokio::test]
async fn a_base_that_moves_is_weighed_anew() {
    let world = world();
    let github = &world.github;
    let number = world.open();
    let path = format!("/repos/{REPO}/pulls/{number}");
    let before = world.get(&path, "ana-token").await.body;
    github.commit_files(REPO, "main", "ben", "Aside", &[Change::write("aside.tf", "\n")]).unwrap();
    let after = world.get(&path, "ana-token").await.body;
    assert_eq!((&before["mergeable"], &after["mergeable"]), (&json!(true), &json!(true)));
    assert_ne!(before["merge_commit_sha"], after["merge_commit_sha"], "a new test merge");
    github.commit_files(REPO, "main", "ben", "In the way", &[Change::write("bucket.tf", "# mine\n")]).unwrap();
    assert_eq!(world.get(&path, "ana-token").await.body["mergeable"], false);
    world.github.finish().unwrap();
}
