//! Merge queues: groups of several pull requests, their branches and webhooks, what passes and what is thrown out.

use fake_github::{Change, Method, NewPull, QueueRules, Rules};
use serde_json::{Value, json};

use crate::client::{World, world};
use crate::graphql::ask;
use crate::webhooks::{listen, names};

const REPO: &str = "acme/infra";

/// A world whose `main` has a queue and asks for the check `test` of the App 7; and so many pull requests.
fn with_queue(rules: QueueRules, pulls: usize) -> (World, Vec<u64>) {
    let world = world();
    let rules = Rules { queue: Some(rules), ..Rules::checks(&[("test", Some(7))]) };
    world.github.set_ruleset(REPO, "queue", "~DEFAULT_BRANCH", rules).expect("set");
    let numbers = (0..pulls).map(|n| open(&world, &format!("b{n}"))).collect();
    (world, numbers)
}

/// A pull request that may be merged: its check has passed.
fn open(world: &World, branch: &str) -> u64 {
    let change = [Change::write(format!("{branch}.tf"), "\n")];
    let head = world.github.commit_files(REPO, branch, "ana", &format!("Add {branch}"), &change).expect("pushed");
    let new = NewPull { title: branch.into(), head: branch.into(), base: "main".into(), ..NewPull::default() };
    let number = world.github.open_pull(REPO, "ana", &new).expect("opened");
    world.github.report_check(REPO, &head, 7, "test", "success").expect("reported");
    number
}

fn queue(world: &World) -> Vec<(u64, Option<String>)> {
    world.github.merge_queue(REPO, "main").expect("a repository")
}

fn numbers(world: &World) -> Vec<u64> {
    queue(world).into_iter().map(|(number, _)| number).collect()
}

fn commits(world: &World) -> Vec<String> {
    queue(world).into_iter().filter_map(|(_, commit)| commit).collect()
}

fn report(world: &World, sha: &str, verdict: &str) {
    world.github.report_check(REPO, sha, 7, "test", verdict).expect("reported");
}

fn main(world: &World) -> String {
    world.github.branch(REPO, "main").expect("a branch")
}

async fn merged(world: &World, number: u64) -> bool {
    let pull = world.get(&format!("/repos/{REPO}/pulls/{number}"), "ana-token").await.body;
    pull["merged"].as_bool().expect("a flag")
}

/// The webhooks about groups and queued pull requests, without the others.
async fn told(world: &World, got: &crate::webhooks::Got) -> Vec<String> {
    world.github.deliver_all().await;
    let all = names(got).await;
    all.into_iter().filter(|it| it.starts_with("merge_group") || it.contains("queued")).collect()
}

#[tokio::test]
async fn a_group_is_tested_on_its_own_branch_and_merged_when_it_passes() {
    let (world, numbers) = with_queue(QueueRules::default(), 1);
    let got = listen(&world).await;
    let before = main(&world);
    let path = format!("/repos/{REPO}/pulls/{}/merge", numbers[0]);
    let refused = world.send("PUT", &path, "token ben-token", &json!({})).await;
    let words = refused.body["message"].as_str().unwrap();
    assert!(refused.status == 405 && words.contains("Changes must be made through the merge queue"), "{words}");

    world.github.enqueue(REPO, numbers[0], "ben").unwrap();
    let group = commits(&world).remove(0);
    let branch = format!("gh-readonly-queue/main/pr-{}-{before}", numbers[0]);
    assert_eq!(world.github.branch(REPO, &branch).unwrap(), group);
    assert_eq!(told(&world, &got).await, ["pull_request enqueued", "merge_group checks_requested"]);
    let hook = world.github.deliveries().into_iter().rfind(|it| it.event == "merge_group").unwrap();
    let payload: Value = serde_json::from_str(&hook.payload).unwrap();
    assert_eq!(payload["merge_group"]["head_ref"], format!("refs/heads/{branch}"));
    assert_eq!(
        (&payload["merge_group"]["head_sha"], &payload["merge_group"]["base_sha"]),
        (&json!(group), &json!(before))
    );
    let of_group = world.get(&format!("/repos/{REPO}/commits/{group}/pulls"), "ana-token").await.body;
    assert_eq!(of_group, json!([]), "nobody brought it yet");

    report(&world, &group, "in_progress");
    assert!(!merged(&world, numbers[0]).await);
    report(&world, &group, "success");
    assert!(merged(&world, numbers[0]).await);
    assert_eq!((main(&world), queue(&world).len()), (group.clone(), 0));
    assert!(world.github.branch(REPO, &branch).is_err());
    assert_eq!(told(&world, &got).await, ["pull_request dequeued", "merge_group destroyed"]);
    let brought = world.get(&format!("/repos/{REPO}/commits/{group}/pulls"), "ana-token").await.body;
    assert_eq!(brought[0]["number"], numbers[0]);
    world.github.finish().unwrap();
}

#[tokio::test]
async fn several_are_built_on_each_other_and_merged_together() {
    for method in [Method::Merge, Method::Squash, Method::Rebase] {
        let rules = QueueRules { method, build: 2, min: 2, max: 2, ..QueueRules::default() };
        let (world, pulls) = with_queue(rules, 3);
        for number in &pulls {
            world.github.enqueue(REPO, *number, "ben").unwrap();
        }
        let groups = commits(&world);
        assert_eq!((numbers(&world), groups.len()), (pulls.clone(), 2), "the third waits");
        assert_eq!(world.github.parents(REPO, &groups[1]).unwrap()[0], groups[0], "{method:?}");
        report(&world, &groups[0], "success");
        assert!(!merged(&world, pulls[0]).await, "two go together");
        report(&world, &groups[1], "success");
        assert!(merged(&world, pulls[0]).await && merged(&world, pulls[1]).await);
        assert_eq!(main(&world), groups[1]);
        assert_eq!((numbers(&world), commits(&world).len()), (vec![pulls[2]], 1), "now the third is tested");
        report(&world, &commits(&world)[0], "success");
        assert!(!merged(&world, pulls[2]).await, "one is too few");
        world.advance(5 * 60);
        world.github.settle_queues(REPO).unwrap();
        assert!(merged(&world, pulls[2]).await, "it waited long enough");
        world.github.finish().unwrap();
    }
}

#[tokio::test]
async fn what_fails_is_thrown_out_and_the_others_are_built_anew() {
    let (world, pulls) = with_queue(QueueRules { timeout_minutes: 10, ..QueueRules::default() }, 3);
    let got = listen(&world).await;
    for number in &pulls {
        world.github.enqueue(REPO, *number, "ben").unwrap();
    }
    let before = commits(&world);
    told(&world, &got).await;
    report(&world, &before[1], "failure");
    assert_eq!(numbers(&world), [pulls[0], pulls[2]]);
    assert_eq!(
        told(&world, &got).await,
        ["pull_request dequeued", "merge_group destroyed", "merge_group destroyed", "merge_group checks_requested"]
    );
    let reasons = |event: &str| -> Vec<String> {
        let all = world.github.deliveries().into_iter().filter(|it| it.event == event);
        let read = all.map(|it| serde_json::from_str::<Value>(&it.payload).unwrap());
        read.filter_map(|it| it["reason"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(
        (reasons("pull_request"), reasons("merge_group")),
        (vec!["CI_FAILURE".into()], vec!["dequeued".into(), "invalidated".into()])
    );
    let after = commits(&world);
    assert_eq!(after[0], before[0], "what stands before it stays");
    assert_eq!(world.github.parents(REPO, &after[1]).unwrap()[0], after[0]);

    report(&world, &after[0], "success");
    assert_eq!(commits(&world), [after[1].clone()], "built on what is merged now");
    world.advance(10 * 60);
    world.github.settle_queues(REPO).unwrap();
    assert_eq!(numbers(&world), Vec::<u64>::new());
    assert_eq!(reasons("pull_request").last().unwrap(), "CI_TIMEOUT");
    assert!(!merged(&world, pulls[2]).await);
    world.github.finish().unwrap();
}

#[tokio::test]
async fn where_the_last_one_counts_it_passes_for_all() {
    let (world, pulls) = with_queue(QueueRules { all_green: false, ..QueueRules::default() }, 2);
    for number in &pulls {
        world.github.enqueue(REPO, *number, "ben").unwrap();
    }
    let groups = commits(&world);
    report(&world, &groups[0], "failure");
    assert_eq!(numbers(&world), pulls, "the one behind may still pass");
    report(&world, &groups[1], "success");
    assert!(merged(&world, pulls[0]).await && merged(&world, pulls[1]).await);
    world.github.finish().unwrap();
}

#[tokio::test]
async fn pushes_closes_and_a_moved_base_are_noticed() {
    let (world, pulls) = with_queue(QueueRules::default(), 3);
    let github = &world.github;
    for number in &pulls {
        github.enqueue(REPO, *number, "ben").unwrap();
    }
    github.commit_files(REPO, "b1", "ana", "More", &[Change::write("more.tf", "\n")]).unwrap();
    assert_eq!(numbers(&world), [pulls[0], pulls[2]], "a new head is not what was queued");
    github.close_pull(REPO, pulls[0], "ana").unwrap();
    assert_eq!(numbers(&world), [pulls[2]]);
    let before = commits(&world);
    github.commit_files(REPO, "main", "ben", "Straight", &[Change::write("straight.tf", "\n")]).unwrap();
    let after = commits(&world);
    assert_ne!(before, after);
    assert_eq!(github.parents(REPO, &after[0]).unwrap()[0], main(&world));
    github.commit_files(REPO, "main", "ben", "In the way", &[Change::write("b2.tf", "other\n")]).unwrap();
    assert_eq!(numbers(&world), Vec::<u64>::new(), "a conflict");
    github.enqueue(REPO, pulls[2], "ben").unwrap_err();
    github.reopen_pull(REPO, pulls[0], "ana").unwrap();
    github.enqueue(REPO, pulls[0], "ben").unwrap();
    github.dequeue(REPO, pulls[0], "ben").unwrap();
    assert!(github.dequeue(REPO, pulls[0], "ben").is_err());
    world.github.finish().unwrap();
}

#[tokio::test]
async fn graphql_puts_in_tells_and_takes_out() {
    let (world, pulls) = with_queue(QueueRules::default(), 1);
    let token = world
        .app_token(&json!({"permissions": {"contents": "write", "merge_queues": "write", "pull_requests": "write"}}))
        .await;
    let find = "query($n:Int!){repository(owner:\"acme\",name:\"infra\"){mergeCommitAllowed squashMergeAllowed \
                pullRequest(number:$n){id headRefOid merged isInMergeQueue isMergeQueueEnabled mergeCommit{oid}}}}";
    let found = ask(&world, &token, find, json!({"n": pulls[0]})).await;
    let pull = &found["data"]["repository"]["pullRequest"];
    assert_eq!((&pull["isInMergeQueue"], &pull["isMergeQueueEnabled"]), (&json!(false), &json!(true)), "{found}");
    let put = "mutation($id:ID!,$head:GitObjectID!){enqueuePullRequest(input:{pullRequestId:$id,expectedHeadOid:$head}){mergeQueueEntry{id position state}}}";
    let stale = ask(&world, &token, put, json!({"id": pull["id"], "head": "0".repeat(40)})).await;
    assert_eq!(stale["errors"][0]["type"], "UNPROCESSABLE");
    let entry = ask(&world, &token, put, json!({"id": pull["id"], "head": pull["headRefOid"]})).await;
    assert_eq!(entry["data"]["enqueuePullRequest"]["mergeQueueEntry"]["position"], 1, "{entry}");
    let again = ask(&world, &token, put, json!({"id": pull["id"], "head": pull["headRefOid"]})).await;
    assert_eq!(again["errors"][0]["message"], "Pull request is already in the queue");

    let entries = "{repository(owner:\"acme\",name:\"infra\"){mergeQueue(branch:\"main\"){entries(first:10){totalCount \
                   nodes{position state enqueuer{login} baseCommit{oid} headCommit{oid} pullRequest{number headRefOid}}}}}}";
    let seen = ask(&world, &token, entries, json!({})).await["data"]["repository"]["mergeQueue"]["entries"].clone();
    let expected = json!({"totalCount": 1, "nodes": [{
        "position": 1, "state": "AWAITING_CHECKS", "enqueuer": {"login": "buildit[bot]"},
        "baseCommit": {"oid": main(&world)}, "headCommit": {"oid": commits(&world)[0]},
        "pullRequest": {"number": pulls[0], "headRefOid": pull["headRefOid"]},
    }]});
    assert_eq!(seen, expected);
    let take = "mutation($id:ID!){dequeuePullRequest(input:{id:$id}){mergeQueueEntry{position}}}";
    ask(&world, &token, take, json!({"id": pull["id"]})).await;
    assert_eq!(numbers(&world), Vec::<u64>::new());
    assert!(world.github.violations().is_empty());

    let narrow = world.app_token(&json!({"permissions": {"contents": "write", "pull_requests": "write"}})).await;
    for query in [put, entries] {
        let no = ask(&world, &narrow, query, json!({"id": pull["id"], "head": pull["headRefOid"]})).await;
        assert_eq!(no["errors"][0]["type"], "FORBIDDEN", "{no}");
    }
}
