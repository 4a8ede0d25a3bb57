//! What GitHub asks of a merge: reviews, code owners, checks, conversations, signatures; and who is who.

use fake_github::{Change, Role, Rules, Verdict};
use serde_json::{Value, json};

use crate::client::{World, world};
use crate::graphql::ask;
use crate::webhooks::{listen, names};

const REPO: &str = "acme/infra";

fn head(world: &World) -> String {
    world.github.branch(REPO, "bucket").expect("the branch is there")
}

async fn state(world: &World, number: u64) -> String {
    let pull = world.get(&format!("/repos/{REPO}/pulls/{number}"), "ana-token").await.body;
    pull["mergeable_state"].as_str().expect("a word").to_owned()
}

async fn decision(world: &World, number: u64) -> Value {
    let query = "query($n:Int!){repository(owner:\"acme\",name:\"infra\"){pullRequest(number:$n){reviewDecision}}}";
    let answer = ask(world, "ana-token", query, json!({"n": number})).await;
    answer["data"]["repository"]["pullRequest"]["reviewDecision"].clone()
}

fn refused(result: Result<String, fake_github::Error>) -> String {
    result.expect_err("GitHub would refuse").to_string()
}

#[tokio::test]
async fn teams_hold_their_child_teams_and_give_rights() {
    let world = world();
    let github = &world.github;
    for login in ["cal", "dan", "eve"] {
        github.add_user(login, &format!("{login}-token")).unwrap();
    }
    github.add_team("acme", "ops", None, &["cal"]).unwrap();
    github.add_team("acme", "sre", Some("ops"), &["dan"]).unwrap();
    github.set_team_permission("acme", "ops", REPO, Role::Maintain).unwrap();
    let token = world.app_token(&json!({"repositories": ["infra"], "permissions": {"members": "read"}})).await;
    let members = async |path: &str| {
        let listed = world.get(path, &token).await;
        assert_eq!(listed.status, 200, "{}", listed.body);
        let logins = listed.body.as_array().unwrap().iter().map(|it| it["login"].as_str().unwrap().to_owned());
        logins.collect::<Vec<_>>()
    };
    assert_eq!(members("/orgs/acme/teams/ops/members").await, ["cal", "dan"]);
    assert_eq!(members("/orgs/acme/teams/sre/members?role=all").await, ["dan"]);
    let sre = world.get("/orgs/acme/teams/sre", &token).await.body;
    assert_eq!((&sre["parent"]["slug"], &sre["members_count"]), (&json!("ops"), &json!(1)));
    let below = world.get("/orgs/acme/teams/ops/teams", &token).await.body;
    assert_eq!((below.as_array().unwrap().len(), &below[0]["slug"]), (1, &json!("sre")));
    assert_eq!(world.get("/orgs/acme/teams", &token).await.body.as_array().unwrap().len(), 2);
    let role = world.get(&format!("/repos/{REPO}/collaborators/dan/permission"), "ana-token").await.body;
    assert_eq!(role["role_name"], "maintain", "child teams have what their parents have");
    github.set_team_member("acme", "sre", "dan", false).unwrap();
    let role = world.get(&format!("/repos/{REPO}/collaborators/dan/permission"), "ana-token").await.body;
    assert_eq!(role["role_name"], "none");

    assert_eq!(world.get("/orgs/acme/teams/none/members", &token).await.status, 404);
    assert_eq!(world.get("/orgs/acme/teams", "eve-token").await.status, 404, "a stranger");
    assert_eq!(world.get("/orgs/acme/teams", "cal-token").await.status, 200, "a member");
    assert!(github.violations().is_empty());
    let narrow = world.app_token(&json!({"permissions": {"contents": "read"}})).await;
    assert_eq!(world.get("/orgs/acme/teams/ops/members", &narrow).await.status, 403);
    assert_eq!(github.take_violations(), ["GET /orgs/acme/teams/ops/members: the token lacks members:read"]);
}

#[tokio::test]
async fn classic_protection_and_rulesets_are_shown_to_whom_they_are() {
    let world = world();
    let github = &world.github;
    let token = world.app_token(&json!({})).await;
    let metadata = world.app_token(&json!({"permissions": {"metadata": "read"}})).await;
    let main = async || world.get(&format!("/repos/{REPO}/branches/main"), &token).await.body;
    let rules = async |branch: &str| world.get(&format!("/repos/{REPO}/rules/branches/{branch}"), &metadata).await.body;
    assert_eq!((&main().await["protected"], rules("main").await), (&json!(false), json!([])));
    let classic = Rules {
        checks: vec![("ci/test".into(), Some(7)), ("lint".into(), None)],
        strict: true,
        code_owners: true,
        ..Rules::approvals(2)
    };
    github.protect(REPO, "main", classic).unwrap();
    let branch = main().await;
    assert_eq!(branch["protected"], true);
    assert_eq!(
        branch["protection"]["required_status_checks"]["checks"],
        json!([{"context": "ci/test", "app_id": 7}, {"context": "lint", "app_id": null}])
    );
    let path = format!("/repos/{REPO}/branches/main/protection");
    let whole = world.get(&path, &token).await.body;
    assert_eq!(
        (
            &whole["required_pull_request_reviews"]["require_code_owner_reviews"],
            &whole["required_pull_request_reviews"]["required_approving_review_count"],
            &whole["required_status_checks"]["contexts"],
        ),
        (&json!(true), &json!(2), &json!(["ci/test", "lint"]))
    );
    let contents = world.app_token(&json!({"permissions": {"contents": "read"}})).await;
    assert_eq!(world.get(&path, &contents).await.status, 403, "only administration shows it");
    assert_eq!(github.take_violations().len(), 1);

    github.set_ruleset(REPO, "all", "refs/heads/release/*", Rules::checks(&[("scan", Some(9))])).unwrap();
    let release = rules("release/1").await;
    assert_eq!(
        (&release[0]["type"], &release[0]["parameters"]["required_status_checks"], &release[0]["ruleset_source"]),
        (&json!("required_status_checks"), &json!([{"context": "scan", "integration_id": 9}]), &json!(REPO))
    );
    assert_eq!(rules("main").await, json!([]));
    github
        .set_ruleset(REPO, "default", "~DEFAULT_BRANCH", Rules { conversations: true, ..Rules::approvals(1) })
        .unwrap();
    assert_eq!(rules("main").await[0]["parameters"]["required_review_thread_resolution"], true);
    let listed = world.get(&format!("/repos/{REPO}/rulesets"), &metadata).await.body;
    let one = world.get(&format!("/repos/{REPO}/rulesets/{}", listed[1]["id"]), &metadata).await.body;
    assert_eq!(one["name"], "default");
    github.disable_ruleset(REPO, "default").unwrap();
    assert_eq!(rules("main").await, json!([]));
    github.unprotect(REPO, "main").unwrap();
    assert_eq!(world.get(&path, &token).await.body["message"], "Branch not protected");
    world.github.finish().unwrap();
}

#[tokio::test]
async fn reviews_decide_as_rules_say() {
    let world = world();
    let github = &world.github;
    let number = world.open();
    github.add_user("cal", "cal-token").unwrap();
    github.set_permission(REPO, "cal", Role::Read).unwrap();
    assert_eq!((decision(&world, number).await, state(&world, number).await.as_str()), (Value::Null, "clean"));
    let rules = Rules { dismiss_stale: true, last_push_approval: true, ..Rules::approvals(1) };
    github.protect(REPO, "main", rules).unwrap();
    assert_eq!(
        (decision(&world, number).await, state(&world, number).await.as_str()),
        (json!("REVIEW_REQUIRED"), "blocked")
    );
    let why = refused(github.merge(REPO, number, "ana"));
    assert!(why.contains("At least 1 approving review is required by reviewers with write access."), "{why}");
    github.review(REPO, number, "cal", Verdict::Approve, "").unwrap();
    assert_eq!(decision(&world, number).await, "REVIEW_REQUIRED", "a reader's word does not count");
    let no = github.review(REPO, number, "ben", Verdict::RequestChanges, "no").unwrap();
    assert_eq!(decision(&world, number).await, "CHANGES_REQUESTED");
    let path = format!("/repos/{REPO}/pulls/{number}/reviews/{no}/dismissals");
    let dismissed = world.send("PUT", &path, "token ana-token", &json!({"message": "done"})).await;
    assert_eq!(dismissed.body["state"], "DISMISSED", "{}", dismissed.body);
    github.review(REPO, number, "ben", Verdict::Approve, "").unwrap();
    assert_eq!((decision(&world, number).await, state(&world, number).await.as_str()), (json!("APPROVED"), "clean"));
    github.commit_files(REPO, "bucket", "ben", "More", &[Change::write("more.tf", "\n")]).unwrap();
    let reviews = world.get(&format!("/repos/{REPO}/pulls/{number}/reviews"), "ana-token").await.body;
    let states: Vec<&Value> = reviews.as_array().unwrap().iter().map(|it| &it["state"]).collect();
    assert_eq!(states, ["DISMISSED", "DISMISSED", "DISMISSED"], "a push takes approvals away");
    github.review(REPO, number, "ben", Verdict::Approve, "").unwrap();
    assert_eq!(decision(&world, number).await, "REVIEW_REQUIRED", "ben pushed last");
    github.commit_files(REPO, "bucket", "ana", "Once more", &[Change::write("more.tf", "# x\n")]).unwrap();
    github.review(REPO, number, "ben", Verdict::Approve, "").unwrap();
    github.merge(REPO, number, "ana").unwrap();
    world.github.finish().unwrap();
}

#[tokio::test]
async fn code_owners_are_asked_and_must_approve() {
    let world = world();
    let github = &world.github;
    github.add_user("cal", "cal-token").unwrap();
    github.add_team("acme", "sre", None, &["cal"]).unwrap();
    github.set_team_permission("acme", "sre", REPO, Role::Write).unwrap();
    let owners = [Change::write(".github/CODEOWNERS", "* @ana\n*.tf @acme/sre # the team\n")];
    github.commit_files(REPO, "main", "ana", "Name owners", &owners).unwrap();
    github.protect(REPO, "main", Rules { code_owners: true, ..Rules::approvals(1) }).unwrap();
    let number = world.open();
    let asked = world.get(&format!("/repos/{REPO}/pulls/{number}/requested_reviewers"), "ana-token").await.body;
    assert_eq!((&asked["users"], &asked["teams"][0]["slug"]), (&json!([]), &json!("sre")));
    github.review(REPO, number, "ben", Verdict::Approve, "").unwrap();
    assert_eq!(decision(&world, number).await, "REVIEW_REQUIRED");
    github.review(REPO, number, "cal", Verdict::Approve, "").unwrap();
    assert_eq!(decision(&world, number).await, "APPROVED");
    let asked = world.get(&format!("/repos/{REPO}/pulls/{number}/requested_reviewers"), "ana-token").await.body;
    assert_eq!(asked["teams"], json!([]), "answered");

    let path = format!("/repos/{REPO}/pulls/{number}/requested_reviewers");
    let answer = world.post(&path, "ana-token", &json!({"reviewers": ["ben"]})).await;
    assert_eq!((answer.status, &answer.body["requested_reviewers"][0]["login"]), (201, &json!("ben")));
    let own = world.post(&path, "ana-token", &json!({"reviewers": ["ana"]})).await;
    assert_eq!(own.status, 422, "{}", own.body);
    let gone = world.send("DELETE", &path, "token ana-token", &json!({"reviewers": ["ben"]})).await;
    assert_eq!((gone.status, &gone.body["requested_reviewers"]), (200, &json!([])));
    world.github.finish().unwrap();
}

#[tokio::test]
async fn required_checks_are_of_their_app_and_statuses_count() {
    let world = world();
    let github = &world.github;
    let number = world.open();
    github.protect(REPO, "main", Rules::checks(&[("ci", Some(7)), ("lint", None)])).unwrap();
    let blocked = |word: &str| {
        let why = refused(github.merge(REPO, number, "ana"));
        assert!(why.contains(word), "{why}");
    };
    blocked("Required status check \"ci\" is expected.");
    github.set_status(REPO, &head(&world), "ana", "ci", "success").unwrap();
    blocked("\"ci\" is expected");
    github.report_check(REPO, &head(&world), 7, "ci", "in_progress").unwrap();
    blocked("\"ci\" is pending");
    github.report_check(REPO, &head(&world), 7, "ci", "failure").unwrap();
    blocked("\"ci\" is failing");
    github.report_check(REPO, &head(&world), 7, "ci", "skipped").unwrap();
    blocked("\"lint\" is expected");
    let path = format!("/repos/{REPO}/statuses/{}", head(&world));
    let token = world.app_token(&json!({"permissions": {"statuses": "write"}})).await;
    for state in ["pending", "success"] {
        let body = json!({"state": state, "context": "lint", "description": "Lints"});
        assert_eq!(world.post(&path, &token, &body).await.status, 201);
    }
    let combined = world.get(&format!("/repos/{REPO}/commits/bucket/status"), &token).await.body;
    assert_eq!((&combined["state"], &combined["total_count"]), (&json!("success"), &json!(2)), "{combined}");
    let all = world.get(&format!("/repos/{REPO}/commits/bucket/statuses"), &token).await.body;
    assert_eq!((all.as_array().unwrap().len(), &all[0]["creator"]["login"]), (3, &json!("buildit[bot]")));
    assert_eq!(state(&world, number).await, "clean");
    github.set_status(REPO, &head(&world), "ana", "other", "failure").unwrap();
    assert_eq!(state(&world, number).await, "unstable");
    github.merge(REPO, number, "ana").unwrap();
    assert!(github.violations().is_empty());
    assert_eq!(world.post(&path, &token, &json!({"state": "good"})).await.status, 422);
    let narrow = world.app_token(&json!({"permissions": {"checks": "read"}})).await;
    assert_eq!(world.get(&format!("/repos/{REPO}/commits/bucket/status"), &narrow).await.status, 403);
}

#[tokio::test]
async fn conversations_and_signatures_hold_a_merge_back() {
    let world = world();
    let github = &world.github;
    let number = world.open();
    let rules = Rules { conversations: true, signatures: true, ..Rules::default() };
    github.set_ruleset(REPO, "strict", "~ALL", rules).unwrap();
    let thread = github.open_thread(REPO, number, "ben", "bucket.tf", 1, "why?").unwrap();
    assert!(github.open_thread(REPO, number, "ben", "main.tf", 1, "why?").is_err(), "not part of it");
    github.answer_thread(REPO, number, thread, "ana", "because").unwrap();
    let body = json!({"body": "and here?", "commit_id": head(&world), "path": "bucket.tf", "line": 1, "side": "RIGHT"});
    let made = world.post(&format!("/repos/{REPO}/pulls/{number}/comments"), "ben-token", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let listed = world.get(&format!("/repos/{REPO}/pulls/{number}/comments"), "ben-token").await.body;
    assert_eq!((listed.as_array().unwrap().len(), &listed[1]["in_reply_to_id"]), (3, &listed[0]["id"]));
    let why = refused(github.merge(REPO, number, "ana"));
    assert!(why.contains("All comments must be resolved."), "{why}");

    let query = "query($n:Int!){repository(owner:\"acme\",name:\"infra\"){pullRequest(number:$n){
        reviewThreads(first:1){totalCount pageInfo{hasNextPage endCursor} nodes{id isResolved path}}
        commits(first:10){nodes{commit{oid signature{isValid state}}}}}}}";
    let token = world.app_token(&json!({"permissions": {"pull_requests": "write"}})).await;
    let pull = ask(&world, &token, query, json!({"n": number})).await["data"]["repository"]["pullRequest"].clone();
    let threads = &pull["reviewThreads"];
    assert_eq!((&threads["totalCount"], &threads["pageInfo"]["hasNextPage"]), (&json!(2), &json!(true)), "{pull}");
    assert_eq!(pull["commits"]["nodes"][0]["commit"], json!({"oid": head(&world), "signature": null}));
    let resolve = "mutation($id:ID!){resolveReviewThread(input:{threadId:$id}){thread{isResolved}}}";
    let id = &threads["nodes"][0]["id"];
    let done = ask(&world, &token, resolve, json!({"id": id})).await;
    assert_eq!(done["data"]["resolveReviewThread"]["thread"]["isResolved"], true, "{done}");
    let next = "query($n:Int!,$a:String){repository(owner:\"acme\",name:\"infra\"){pullRequest(number:$n){
        reviewThreads(first:1,after:$a){pageInfo{hasNextPage} nodes{id isResolved}}}}}";
    let after = json!({"n": number, "a": threads["pageInfo"]["endCursor"]});
    let page = ask(&world, &token, next, after).await["data"]["repository"]["pullRequest"]["reviewThreads"].clone();
    assert_eq!((&page["pageInfo"]["hasNextPage"], &page["nodes"][0]["isResolved"]), (&json!(false), &json!(false)));
    ask(&world, &token, resolve, json!({"id": page["nodes"][0]["id"]})).await;

    let why = refused(github.merge(REPO, number, "ana"));
    assert!(why.contains("Commits must have verified signatures."), "{why}");
    github.set_signature(REPO, &head(&world), "unknown_key").unwrap();
    let pull = ask(&world, &token, query, json!({"n": number})).await["data"]["repository"]["pullRequest"].clone();
    let signature = &pull["commits"]["nodes"][0]["commit"]["signature"];
    assert_eq!(signature, &json!({"isValid": false, "state": "UNKNOWN_KEY"}));
    github.set_signature(REPO, &head(&world), "valid").unwrap();
    let commit = world.get(&format!("/repos/{REPO}/commits/bucket"), "ana-token").await.body;
    assert_eq!(commit["commit"]["verification"]["verified"], true);
    github.merge(REPO, number, "ana").unwrap();
    world.github.finish().unwrap();
}

#[tokio::test]
async fn activity_tells_who_moved_which_branch() {
    let world = world();
    let github = &world.github;
    let first = {
        world.open();
        head(&world)
    };
    github.commit_files(REPO, "bucket", "ben", "More", &[Change::write("more.tf", "\n")]).unwrap();
    let second = head(&world);
    github.push(REPO, "bucket", &first, "ana").unwrap();
    let token = world.app_token(&json!({"permissions": {"contents": "read"}})).await;
    let path = format!("/repos/{REPO}/activity?ref=refs/heads/bucket");
    let told = async |more: &str| {
        let answer = world.get(&format!("{path}{more}"), &token).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let line = |it: &Value| {
            let word = |it: &Value| it.as_str().unwrap().to_owned();
            format!("{} {} {}", word(&it["activity_type"]), word(&it["actor"]["login"]), word(&it["after"]))
        };
        (answer.body.as_array().unwrap().iter().map(line).collect::<Vec<_>>(), answer.link)
    };
    let (all, link) = told("").await;
    let expected =
        [format!("force_push ana {first}"), format!("push ben {second}"), format!("branch_creation ana {first}")];
    assert_eq!((&all[..], link.as_str()), (&expected[..], ""));
    let (page, link) = told("&per_page=1").await;
    assert_eq!(page, expected[..1]);
    let next = link.split_once("after=").and_then(|(_, rest)| rest.split_once('>')).expect("a cursor").0.to_owned();
    assert_eq!(told(&format!("&after={next}")).await.0, expected[1..]);
    assert_eq!(told("&actor=ben&activity_type=push").await.0, expected[1..2]);
    github.merge(REPO, 1, "ben").unwrap();
    let main = world.get(&format!("/repos/{REPO}/activity?ref=refs/heads/main&per_page=1"), &token).await.body;
    assert_eq!((&main[0]["activity_type"], &main[0]["actor"]["login"]), (&json!("pr_merge"), &json!("ben")));
    world.github.finish().unwrap();
}

#[tokio::test]
async fn mergeable_is_computed_late_after_each_push() {
    let late = crate::client::world_with(|options| options.mergeable_at_once = false);
    let number = late.open();
    let mergeable = async || {
        let pull = late.get(&format!("/repos/{REPO}/pulls/{number}"), "ana-token").await.body;
        (pull["mergeable"].clone(), pull["mergeable_state"].clone())
    };
    assert_eq!(mergeable().await, (Value::Null, json!("unknown")));
    assert_eq!(mergeable().await, (json!(true), json!("clean")));
    late.github.commit_files(REPO, "main", "ana", "Move on", &[Change::write("other.tf", "\n")]).unwrap();
    assert_eq!(mergeable().await.0, Value::Null, "a moved base is computed anew");
    assert_eq!(mergeable().await.0, true);
    late.github.finish().unwrap();
}

#[tokio::test]
async fn all_of_this_is_told() {
    let world = world();
    let got = listen(&world).await;
    let github = &world.github;
    let number = world.open();
    github.deliver_all().await;
    names(&got).await;
    github.add_team("acme", "ops", None, &["ben"]).unwrap();
    github.set_team_permission("acme", "ops", REPO, Role::Write).unwrap();
    github.set_team_permission("acme", "ops", REPO, None).unwrap();
    github.set_team_member("acme", "ops", "ben", false).unwrap();
    github.remove_team("acme", "ops").unwrap();
    github.protect(REPO, "main", Rules::approvals(1)).unwrap();
    github.protect(REPO, "main", Rules::approvals(2)).unwrap();
    github.unprotect(REPO, "main").unwrap();
    github.set_ruleset(REPO, "r", "~ALL", Rules::checks(&[("ci", Some(7))])).unwrap();
    github.set_ruleset(REPO, "r", "~ALL", Rules { signatures: true, ..Rules::approvals(1) }).unwrap();
    github.remove_ruleset(REPO, "r").unwrap();
    github.request_review(REPO, number, "ana", &["ben"]).unwrap();
    let thread = github.open_thread(REPO, number, "ben", "bucket.tf", 1, "why?").unwrap();
    github.resolve_thread(REPO, number, thread, "ana", true).unwrap();
    github.resolve_thread(REPO, number, thread, "ana", false).unwrap();
    github.set_status(REPO, &head(&world), "ben", "ci", "success").unwrap();
    let run = github.report_check(REPO, &head(&world), 7, "ci", "success").unwrap();
    assert!(github.press(REPO, run, "r1", "ben").is_err(), "no such button");
    github.deliver_all().await;
    insta::assert_debug_snapshot!(names(&got).await, @r#"
    [
        "team created",
        "membership added",
        "team added_to_repository",
        "team removed_from_repository",
        "membership removed",
        "team deleted",
        "branch_protection_rule created",
        "branch_protection_rule edited",
        "branch_protection_rule deleted",
        "repository_ruleset created",
        "repository_ruleset edited",
        "repository_ruleset deleted",
        "pull_request review_requested",
        "pull_request_review submitted",
        "pull_request_review_comment created",
        "pull_request_review_thread resolved",
        "pull_request_review_thread unresolved",
        "status -",
        "check_run created",
        "check_run completed",
        "check_suite completed",
    ]
    "#);
    world.github.finish().unwrap();
}
