//! What the GitHub adapter reads and writes around merges, against the double.

use fake_github::{Change, Fault, Method, NewPull, QueueRules, Rules};
use model::group::{GroupMember, MergeGroup};
use model::id::{CommitSha, PullNumber, RunNumber, StackName};
use model::ports::{ForgeError, ForgeRead as _, ForgeWrite as _, Merged};
use model::publication::{Deployment, DeploymentState, Issue, Notice, NoticeKind, RunLink};
use model::stack::MergeMethod;

use crate::github::{Scene, scene};

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

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_is_one_deployment_with_a_status_per_state() {
    let scene = scene().await;
    let (forge, repo, double) = (&scene.forge, &scene.repo, &scene.double);
    let it = |key: &str, state| Deployment {
        key: key.to_owned(),
        stack: StackName::parse("infra/network").expect("a name"),
        commit: sha(&double.branch("acme/shop", "main").expect("a branch")),
        state,
        run: RunLink { number: RunNumber::new(7), url: "https://buildit.example/r/7".to_owned() },
    };
    use DeploymentState::{Failure, InProgress, Success};
    let first = forge.put_deployment(repo, &it("7", InProgress), None).await.expect("recorded");
    for known in [None, Some(first)] {
        assert_eq!(forge.put_deployment(repo, &it("7", InProgress), known).await.expect("there already"), first);
    }
    assert_eq!(forge.put_deployment(repo, &it("7", Success), None).await.expect("found"), first);
    let other = forge.put_deployment(repo, &it("8", Failure), None).await.expect("recorded");
    assert_ne!(first, other);
    let listed = double.deployments("acme/shop").expect("a repository");
    let seen: Vec<_> = listed.iter().map(|it| (it.environment.as_str(), it.states.join(" "))).collect();
    assert_eq!(seen, [("infra/network", "in_progress success".to_owned()), ("infra/network", "failure".to_owned())]);
    scene.double.finish().expect("no violation");
}

async fn merge(scene: &Scene, head: &CommitSha, method: Option<MergeMethod>) -> Merged {
    scene.forge.merge(&scene.repo, scene.number, head, method).await.expect("an answer")
}

fn head(scene: &Scene) -> CommitSha {
    sha(&scene.double.branch("acme/shop", "cache").expect("a branch"))
}

fn main(scene: &Scene) -> CommitSha {
    sha(&scene.double.branch("acme/shop", "main").expect("a branch"))
}

fn why(merged: Merged) -> String {
    match merged {
        Merged::Not { why } => why,
        other => panic!("merged, of all things: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_takes_the_expected_head_only_and_is_done_once() {
    let scene = scene().await;
    let head = head(&scene);
    let other = main(&scene);
    assert_eq!(why(merge(&scene, &other, None).await), "Head branch was modified. Review and try the merge again.");
    scene.double.set_draft("acme/shop", 1, "ana", true).expect("a draft");
    assert!(why(merge(&scene, &head, None).await).contains("draft"));
    scene.double.set_draft("acme/shop", 1, "ana", false).expect("ready");
    scene.double.protect("acme/shop", "main", Rules::approvals(1)).expect("protected");
    assert!(why(merge(&scene, &head, None).await).contains("1 approving review is required"));
    scene.double.unprotect("acme/shop", "main").expect("free");

    // It is carried out, and nobody hears of it.
    scene
        .double
        .fail_next("PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge", 1, Fault::AnswerLost)
        .expect("a route");
    let lost = scene.forge.merge(&scene.repo, scene.number, &head, None).await.expect_err("no answer");
    assert!(matches!(lost, ForgeError::Passing { .. }), "{lost:?}");
    assert_eq!(merge(&scene, &head, None).await, Merged::Done(main(&scene)));
    assert_eq!(merge(&scene, &other, Some(MergeMethod::Squash)).await, Merged::Done(main(&scene)), "done is done");
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_allowed_way_is_taken_where_none_is_asked_for() {
    let parents =
        |scene: &Scene, tip: &CommitSha| scene.double.parents("acme/shop", tip.as_str()).expect("a commit").len();
    for (allowed, linear, count) in [
        (vec![Method::Rebase, Method::Merge, Method::Squash], false, 2),
        (vec![Method::Rebase, Method::Squash], false, 1),
        (vec![Method::Merge, Method::Squash], true, 1),
    ] {
        let scene = scene().await;
        scene.double.set_merge_methods("acme/shop", &allowed).expect("set");
        if linear {
            let rules = Rules { linear, ..Rules::default() };
            scene.double.set_ruleset("acme/shop", "line", "~ALL", rules).expect("set");
        }
        let Merged::Done(tip) = merge(&scene, &head(&scene), None).await else { panic!("not merged by {allowed:?}") };
        assert_eq!((parents(&scene, &tip), &tip), (count, &main(&scene)), "{allowed:?}");
        scene.double.finish().expect("no violation");
    }
    let scene = scene().await;
    scene.double.set_merge_methods("acme/shop", &[Method::Merge]).expect("set");
    let asked = merge(&scene, &head(&scene), Some(MergeMethod::Rebase)).await;
    assert_eq!(why(asked), "Rebase merges are not allowed on this repository.", "what is asked for is not replaced");
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_permission_nothing_is_merged_and_the_words_say_which() {
    let scene =
        crate::github::scene_with(&[("checks", "write"), ("contents", "read"), ("pull_requests", "write")]).await;
    let head = head(&scene);
    let denied = scene.forge.merge(&scene.repo, scene.number, &head, None).await.expect_err("not allowed");
    assert!(matches!(denied, ForgeError::Denied { .. }), "{denied:?}");
    assert_ne!(main(&scene), head);
}

/// `main` asks for the check `test` and merges by a queue; the scene's pull request and one more have passed it.
async fn queued() -> (Scene, PullNumber) {
    let scene = scene().await;
    let double = &scene.double;
    let rules = Rules { queue: Some(QueueRules::default()), ..Rules::checks(&[("test", Some(7))]) };
    double.set_ruleset("acme/shop", "queue", "~DEFAULT_BRANCH", rules).expect("set");
    double.commit_files("acme/shop", "log", "ben", "Add a log", &[Change::write("log.tf", "\n")]).expect("a commit");
    let pull = NewPull { title: "Log".into(), head: "log".into(), base: "main".into(), ..NewPull::default() };
    let second = double.open_pull("acme/shop", "ben", &pull).expect("a pull request");
    for branch in ["cache", "log"] {
        let head = double.branch("acme/shop", branch).expect("a branch");
        double.report_check("acme/shop", &head, 7, "test", "success").expect("reported");
    }
    (scene, PullNumber::new(i64::try_from(second).expect("small")))
}

fn groups(scene: &Scene) -> Vec<CommitSha> {
    let queue = scene.double.merge_queue("acme/shop", "main").expect("a repository");
    queue.iter().filter_map(|(_, commit)| commit.as_deref().map(sha)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_with_a_queue_takes_the_pull_request_and_its_groups_are_read() {
    let (scene, second) = queued().await;
    let (forge, repo) = (&scene.forge, &scene.repo);
    let (base, head) = (main(&scene), head(&scene));
    let other = sha(&scene.double.branch("acme/shop", "log").expect("a branch"));
    let stale = why(merge(&scene, &other, None).await);
    assert_eq!(stale, "Head branch was modified. Review and try the merge again.");
    assert_eq!(forge.merge_group(repo, "main", &head).await.expect("an answer"), None, "nothing waits");
    for _ in 0..2 {
        assert_eq!(merge(&scene, &head, Some(MergeMethod::Squash)).await, Merged::Queued);
    }
    assert_eq!(forge.merge(repo, second, &other, None).await.expect("an answer"), Merged::Queued);

    let made = groups(&scene);
    let (first, both) =
        (GroupMember { number: scene.number, head: head.clone() }, GroupMember { number: second, head: other });
    let group = async |at: &CommitSha| forge.merge_group(repo, "main", at).await.expect("an answer");
    assert_eq!(group(&made[0]).await, Some(MergeGroup { base: base.clone(), members: vec![first.clone()] }));
    assert_eq!(group(&made[1]).await, Some(MergeGroup { base, members: vec![first, both.clone()] }));
    assert_eq!(forge.pulls_of(repo, &made[1]).await.expect("an answer"), [], "nothing of it is merged");

    scene.double.report_check("acme/shop", made[0].as_str(), 7, "test", "success").expect("reported");
    assert_eq!(merge(&scene, &head, None).await, Merged::Done(made[0].clone()));
    assert_eq!(group(&made[0]).await, None, "merged, and in no queue any more");
    assert_eq!(group(&made[1]).await, Some(MergeGroup { base: made[0].clone(), members: vec![both] }));
    assert_eq!(forge.merge_group(repo, "other", &made[1]).await.expect("an answer"), None, "no queue there");
    let Some(folder) = crate::serving::octokit::client() else { return };
    crate::github::hold_against_githubs_schema(&folder, &scene.double);
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_queue_does_not_take_is_told_in_githubs_words() {
    let (scene, _) = queued().await;
    let head = head(&scene);
    scene.double.report_check("acme/shop", head.as_str(), 7, "test", "failure").expect("reported");
    assert_eq!(why(merge(&scene, &head, None).await), "Required status check \"test\" is failing.");
    scene.double.fail_next("POST /graphql", 1, Fault::BadGateway).expect("a route");
    let down = scene.forge.merge(&scene.repo, scene.number, &head, None).await.expect_err("GitHub is down");
    assert!(matches!(down, ForgeError::Passing { .. }), "trouble is no answer: {down:?}");
    scene.double.finish().expect("no violation");
}
