//! What the GitHub adapter reads and writes around merges, against the double.

use fake_github::{Change, NewPull};
use model::id::{CommitSha, PullNumber, StackName};
use model::ports::{ForgeRead as _, ForgeWrite as _};
use model::publication::{Notice, NoticeKind};

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
