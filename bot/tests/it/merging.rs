//! What the GitHub adapter reads and writes around merges, against the double.

use fake_github::{Change, NewPull};
use model::id::{CommitSha, PullNumber, StackName};
use model::ports::{ForgeError, ForgeRead as _, ForgeWrite as _};
use model::publication::{Issue, Notice, NoticeKind};

use crate::github::scene;

fn sha(text: &str) -> CommitSha {
    CommitSha::parse(text).expect("a commit")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pull_request_behind_a_commit_is_found() {
    let scene = scene().await;
    let (forge, repo, double) = (&scene.forge, &scene.repo, &scene.double);
    let head = sha(&double.branch("acme/shop", "cache").expect("a branch"));
    assert_eq!(forge.pulls_of(repo, &head).await.expect("an answer"), [], "an open pull request brought nothing yet");

    let merge = sha(&double.merge("acme/shop", 1, "ana").expect("merged"));
    for commit in [&head, &merge] {
        assert_eq!(forge.pulls_of(repo, commit).await.expect("an answer"), [scene.number], "{commit}");
    }

    let change = [Change::write("README.md", "# a shop\n")];
    let pushed = sha(&double.commit_files("acme/shop", "main", "ben", "Say more", &change).expect("pushed"));
    assert_eq!(forge.pulls_of(repo, &pushed).await.expect("an answer"), [], "pushed without a pull request");

    double.commit_files("acme/shop", "queue", "ben", "Add a queue", &[Change::write("q.tf", "\n")]).expect("a commit");
    let pull = NewPull { title: "Q".into(), head: "queue".into(), base: "main".into(), ..NewPull::default() };
    let second = double.open_pull("acme/shop", "ben", &pull).expect("a pull request");
    let tip = double.branch("acme/shop", "queue").expect("a branch");
    double.push("acme/shop", "main", &tip, "ben").expect("merged by a push");
    let second = PullNumber::new(i64::try_from(second).expect("small"));
    assert_eq!(forge.pulls_of(repo, &sha(&tip)).await.expect("an answer"), [second]);
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_one_comment_whatever_is_remembered_of_it() {
    let scene = scene().await;
    let (forge, repo) = (&scene.forge, &scene.repo);
    let stack = StackName::parse("network").expect("a name");
    let say = |key: &str, how: &str| Notice {
        key: key.to_owned(),
        what: NoticeKind::Settled { stack: stack.clone(), how: how.to_owned() },
    };
    let first = forge.put_notice(repo, scene.number, &say("a", "one"), None).await.expect("written");
    let other = forge.put_notice(repo, scene.number, &say("b", "two"), None).await.expect("written");
    assert_ne!(first, other, "keys have comments of their own");
    let found = forge.put_notice(repo, scene.number, &say("a", "three"), None).await.expect("found by its marker");
    let known = forge.put_notice(repo, scene.number, &say("a", "four"), Some(first)).await.expect("edited");
    assert_eq!((found, known), (first, first));
    let story = scene.double.transcript();
    assert!(story.contains("Four.") && story.contains("Two.") && !story.contains("Three."), "{story}");
    scene.double.delete_comment("acme/shop", first.get().unsigned_abs(), "ana").expect("deleted");
    let anew = forge.put_notice(repo, scene.number, &say("a", "five"), Some(first)).await.expect("written anew");
    assert!(anew != first && anew != other);
    scene.double.finish().expect("no violation");
}

fn issue(key: &str, closed: bool, how: &str) -> Issue {
    let what = NoticeKind::Settled { stack: StackName::parse("network").expect("a name"), how: how.to_owned() };
    Issue { key: key.to_owned(), closed, what }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_is_one_per_key_opened_edited_closed_and_opened_again() {
    let scene = scene().await;
    let (forge, repo, double) = (&scene.forge, &scene.repo, &scene.double);
    let put = async |it: &Issue, known| forge.put_issue(repo, it, known).await;
    // Somebody writes an issue that looks like ours.
    double.open_issue("acme/shop", "ben", "Look", "<!-- buildit:issue:push:v1 -->\nmine").expect("an issue");
    let first = put(&issue("push", false, "one"), None).await.expect("written");
    let other = put(&issue("drift", false, "two"), None).await.expect("written");
    assert_ne!(first, other);
    let asked = double.requests();
    assert_eq!(put(&issue("push", false, "one"), None).await.expect("found"), first);
    assert_eq!(double.requests() - asked, 1, "what is the same is not written again");
    assert_eq!(put(&issue("push", true, "three"), Some(first)).await.expect("closed"), first);
    let story = double.transcript();
    assert!(story.contains("issue: network: three [closed] by buildit[bot]") && story.contains("mine"), "{story}");
    assert_eq!(put(&issue("push", false, "four"), None).await.expect("found closed, opened again"), first);
    assert!(double.transcript().contains("issue: network: four [open]"), "{}", double.transcript());

    double.delete_issue("acme/shop", first.get().unsigned_abs()).expect("deleted");
    let gone = put(&issue("push", true, "five"), Some(first)).await.expect_err("nothing to close");
    assert!(matches!(gone, ForgeError::Gone { .. }), "{gone:?}");
    let anew = put(&issue("push", false, "six"), Some(first)).await.expect("written anew");
    assert!(anew != first && anew != other);
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn issues_that_are_turned_off_are_told_in_words() {
    let scene = scene().await;
    scene.double.set_issues("acme/shop", false).expect("a repository");
    let off = scene.forge.put_issue(&scene.repo, &issue("push", false, "one"), None).await.expect_err("turned off");
    assert!(off.to_string().contains("issues are turned off in this repository; turn them on"), "{off}");
    scene.double.finish().expect("no violation");
}
