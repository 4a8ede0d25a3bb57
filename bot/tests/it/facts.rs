//! The facts that gates judge, read from the double: there, not there, and not to be read for want of a permission.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bot::github::{AppKey, GitHub, GitHubOptions, manifest};
use fake_github::{AppSpec, Change, FakeGitHub, Fault, NewPull, Options, Role as FakeRole, Rules, Verdict};
use model::id::{CommitSha, InstallationId, PullNumber, RepoName};
use model::ports::{Clock, ForgeError, ForgeRead};
use model::pull::{
    CheckFact, CheckState, Decision, Fact, GateFacts, GateWants, Pushers, RepoSnapshot, RequiredCheck, ReviewState,
    Role,
};
use model::time::Timestamp;

const START: i64 = 1_800_000_000_000_000;
const APP: u64 = 7;
const CI: u64 = 9;
const REPO: &str = "acme/shop";
const ALL: [(&str, &str); 7] = [
    ("administration", "read"),
    ("checks", "write"),
    ("contents", "read"),
    ("issues", "write"),
    ("members", "read"),
    ("pull_requests", "write"),
    ("statuses", "read"),
];

struct Still(AtomicI64);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

struct Scene {
    double: FakeGitHub,
    forge: GitHub,
    repo: RepoSnapshot,
    number: u64,
}

async fn scene() -> Scene {
    without("nothing").await
}

async fn without(permission: &str) -> Scene {
    of(permission, true).await
}

/// An App without one permission. Ana owns acme, ben writes, cal reads; ana's pull request 1 adds `cache/main.tf`.
async fn of(permission: &str, mergeable_at_once: bool) -> Scene {
    let clock = Arc::new(Still(AtomicI64::new(START)));
    let ticks = clock.clone();
    let clocked = Options { clock: Arc::new(move || ticks.now().micros()), ..Options::default() };
    let double = FakeGitHub::start(Options { mergeable_at_once, ..clocked }).expect("the double starts");
    for login in ["ana", "ben", "cal"] {
        double.add_user(login, &format!("{login}-token")).expect("a user");
    }
    double.add_organization("acme", &["ana"]).expect("an organization");
    let granted: Vec<(&str, &str)> = ALL.into_iter().filter(|(name, _)| *name != permission).collect();
    let app = double.create_app(AppSpec::new(APP, "buildit", "a webhook secret", &granted, &[])).expect("an app");
    double.create_app(AppSpec::new(CI, "ci", "", &[("checks", "write")], &[])).expect("an app");
    double.create_repository("acme", "shop", &[("README.md", "# shop\n")]).expect("a repository");
    double.set_permission(REPO, "ben", FakeRole::Write).expect("a role");
    double.set_permission(REPO, "cal", FakeRole::Read).expect("a role");
    let installation = double.install_app(APP, REPO).expect("installed");
    double.install_app(CI, REPO).expect("installed");
    let change = [Change::write("cache/main.tf", "# cache\n")];
    double.commit_files(REPO, "cache", "ana", "Add a cache", &change).expect("a commit");
    let number = double.open_pull(REPO, "ana", &new_pull("cache")).expect("a pull request");
    let key = AppKey::from_pem(APP, app.private_key_pem.as_bytes()).expect("a key");
    let forge = GitHub::new(GitHubOptions { api_url: double.api_url(), key }, clock).expect("a client");
    let installation = InstallationId::new(i64::try_from(installation).expect("small"));
    let name = RepoName::parse(REPO).expect("a name");
    let repo = forge.repository(installation, &name).await.expect("the repository");
    Scene { double, forge, repo, number }
}

fn new_pull(head: &str) -> NewPull {
    NewPull { title: "Add a cache".to_owned(), head: head.to_owned(), base: "main".to_owned(), ..NewPull::default() }
}

impl Scene {
    fn head(&self) -> String {
        self.double.branch(REPO, "cache").expect("the branch is there")
    }

    async fn ask(&self, wants: &GateWants) -> GateFacts {
        self.try_ask(wants).await.expect("facts")
    }

    async fn try_ask(&self, wants: &GateWants) -> Result<GateFacts, ForgeError> {
        let number = PullNumber::new(i64::try_from(self.number).expect("small"));
        self.forge.gate_facts(&self.repo, number, wants).await
    }
}

fn everything() -> GateWants {
    GateWants {
        reviews: true,
        pusher: true,
        codeowners: true,
        checks: true,
        threads: true,
        signatures: true,
        teams: BTreeSet::from(["sre".to_owned()]),
        people: BTreeSet::new(),
    }
}

fn wants(change: impl FnOnce(&mut GateWants)) -> GateWants {
    let mut wants = GateWants::default();
    change(&mut wants);
    wants
}

fn is<T: Clone>(fact: &Fact<T>) -> T {
    match fact.known() {
        Ok(value) => value.clone(),
        Err(why) => panic!("{why}"),
    }
}

/// Why it cannot be read.
fn unreadable<T: std::fmt::Debug>(fact: &Fact<T>) -> &str {
    match fact {
        Fact::Unreadable(why) => why,
        other => panic!("{other:?} was read"),
    }
}

fn required(context: &str, app: Option<u64>) -> RequiredCheck {
    RequiredCheck { context: context.to_owned(), app: app.map(|id| i64::try_from(id).expect("small")) }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_asked_for_is_not_read() {
    let scene = scene().await;
    let before = scene.double.requests();
    let facts = scene.ask(&GateWants::default()).await;
    assert_eq!(scene.double.requests() - before, 4 + 1, "the pull request twice, the branch, its rules; a token");
    assert_eq!((facts.head.as_str(), facts.author.as_str(), facts.draft), (scene.head().as_str(), "ana", false));
    assert_eq!((facts.mergeable, facts.mergeable_state.as_str()), (Some(true), "clean"));
    assert_eq!(facts.protected, Fact::Is(false));
    assert_eq!(facts.reviews, Fact::NotAsked);
    assert_eq!((facts.pushers, facts.decision), (Fact::NotAsked, Fact::NotAsked));
    assert_eq!((facts.code_owner_rule, facts.required), (Fact::NotAsked, Fact::NotAsked));
    assert_eq!((facts.checks, facts.unresolved, facts.unsigned), (Fact::NotAsked, Fact::NotAsked, Fact::NotAsked));
    assert_eq!(scene.forge.app_id().await.expect("known"), 7);
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_there_is_a_fact_too() {
    let scene = scene().await;
    let facts = scene.ask(&everything()).await;
    assert_eq!(is(&facts.reviews), []);
    assert_eq!((is(&facts.decision), is(&facts.code_owner_rule)), (None, false));
    assert_eq!((is(&facts.required), is(&facts.checks)), (Vec::new(), Vec::new()));
    assert_eq!(is(&facts.unresolved), 0);
    assert_eq!(is(&facts.pushers), Pushers::Last("ana".to_owned()));
    let unsigned = is(&facts.unsigned);
    assert_eq!((unsigned.len(), unsigned[0].reason.as_str()), (1, "unsigned"));
    assert!(!facts.teams.is_known("sre"), "there is no such team");
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn reviews_come_with_the_rights_of_their_authors() {
    let scene = scene().await;
    let (double, number) = (&scene.double, scene.number);
    let first = scene.head();
    let taken_back = double.review(REPO, number, "ben", Verdict::Approve, "").expect("a review");
    double.dismiss_review(REPO, number, taken_back, "ana").expect("dismissed");
    double.review(REPO, number, "cal", Verdict::RequestChanges, "no").expect("a review");
    double.review(REPO, number, "ana", Verdict::Comment, "hm").expect("a review");
    double.commit_files(REPO, "cache", "ana", "More", &[Change::write("cache/b.tf", "\n")]).expect("a commit");
    double.review(REPO, number, "ben", Verdict::Approve, "").expect("a review");
    // More than a page of the list.
    for _ in 0..120 {
        double.review(REPO, number, "ana", Verdict::Comment, "hm").expect("a review");
    }
    let facts = scene.ask(&wants(|it| it.reviews = true)).await;
    let reviews = is(&facts.reviews);
    assert_eq!(reviews.len(), 124);
    let shown: Vec<(&str, ReviewState)> = reviews[..4].iter().map(|it| (it.author.as_str(), it.state)).collect();
    let expected = [
        ("ben", ReviewState::Dismissed),
        ("cal", ReviewState::ChangesRequested),
        ("ana", ReviewState::Commented),
        ("ben", ReviewState::Approved),
    ];
    assert_eq!(shown, expected);
    let commits: Vec<&str> = reviews[2..4].iter().filter_map(|it| it.commit.as_ref()).map(CommitSha::as_str).collect();
    assert_eq!(commits, [first, scene.head()]);
    let roles: Vec<(&str, Role)> = facts.roles.iter().map(|(login, role)| (login.as_str(), *role)).collect();
    assert_eq!(roles, [("ben", Role::Write), ("cal", Role::Read)], "of those whose word may count");
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn teams_hold_child_teams_and_are_unknown_without_the_permission() {
    let asked = wants(|it| it.teams = ["ops", "sre", "none"].map(str::to_owned).into());
    for (permission, known) in [("nothing", true), ("members", false)] {
        let scene = without(permission).await;
        scene.double.add_team("acme", "ops", None, &["ben"]).expect("a team");
        scene.double.add_team("acme", "sre", Some("ops"), &["cal"]).expect("a team");
        let teams = scene.ask(&asked).await.teams;
        assert_eq!(teams.has("ops", "Cal"), known.then_some(true), "a member of a child team");
        assert_eq!(teams.has("sre", "ben"), known.then_some(false));
        assert_eq!(teams.has("none", "ben"), None, "no such team: nobody can say");
        scene.double.finish().expect("no violation");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pusher_is_who_pushed_whatever_a_commit_says() {
    let scene = scene().await;
    let pusher = wants(|it| it.pusher = true);
    // Ben pushes a commit that names ana as its author.
    let forged = scene.double.commit_files(REPO, "other", "ana", "By ana", &[Change::write("x.tf", "\n")]);
    scene.double.push(REPO, "cache", &forged.expect("a commit"), "ben").expect("pushed");
    assert_eq!(is(&scene.ask(&pusher).await.pushers), Pushers::Last("ben".to_owned()));
    // A program pushes for somebody who is not told: everyone with a commit.
    let formatted = scene.double.commit_files(REPO, "other", "ana", "Format", &[Change::write("x.tf", "# x\n")]);
    scene.double.push(REPO, "cache", &formatted.expect("a commit"), "ci[bot]").expect("pushed");
    let Pushers::Committers { logins, unknown } = is(&scene.ask(&pusher).await.pushers) else { panic!("a program") };
    assert_eq!((logins, unknown), (BTreeSet::from(["ana".to_owned(), "ci[bot]".to_owned()]), Vec::new()));
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forks_pushers_are_everyone_with_a_commit() {
    let mut scene = scene().await;
    let fork = scene.double.create_fork(REPO, "cal").expect("a fork");
    scene.double.commit_files(&fork, "evil", "cal", "Evil", &[Change::write("e.tf", "\n")]).expect("a commit");
    scene.double.add_user("dan", "dan-token").expect("a user");
    scene.double.commit_files(&fork, "evil", "dan", "More", &[Change::write("f.tf", "\n")]).expect("a commit");
    scene.number = scene.double.open_pull(REPO, "cal", &new_pull("cal:evil")).expect("a pull request");
    let Pushers::Committers { logins, .. } = is(&scene.ask(&wants(|it| it.pusher = true)).await.pushers) else {
        panic!("a fork's pushes are not told")
    };
    assert_eq!(logins, BTreeSet::from(["cal".to_owned(), "dan".to_owned()]));
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn required_checks_are_those_of_rulesets_and_classic_protection() {
    let scene = scene().await;
    let double = &scene.double;
    double.protect(REPO, "main", Rules::checks(&[("lint", None), ("test", Some(CI))])).expect("protected");
    double.set_ruleset(REPO, "all", "~ALL", Rules::checks(&[("test", Some(CI)), ("scan", Some(CI))])).expect("a rule");
    double.set_ruleset(REPO, "release", "refs/heads/release", Rules::checks(&[("never", None)])).expect("a rule");
    let facts = scene.ask(&wants(|it| it.checks = true)).await;
    let expected = [required("lint", None), required("scan", Some(CI)), required("test", Some(CI))];
    assert_eq!((is(&facts.required), is(&facts.protected)), (expected.to_vec(), true));
    assert_eq!(facts.code_owner_rule, Fact::NotAsked);
    double.disable_ruleset(REPO, "all").expect("disabled");
    double.unprotect(REPO, "main").expect("unprotected");
    let facts = scene.ask(&wants(|it| it.checks = true)).await;
    assert_eq!((is(&facts.required), is(&facts.protected)), (Vec::new(), false));
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_administration_what_everyone_sees_is_used_and_the_rest_is_unreadable() {
    let scene = without("administration").await;
    let asked = wants(|it| (it.checks, it.codeowners) = (true, true));
    let facts = scene.ask(&asked).await;
    assert_eq!((is(&facts.required), is(&facts.code_owner_rule)), (Vec::new(), false), "there is no protection");
    scene.double.protect(REPO, "main", Rules::checks(&[("test", Some(CI))])).expect("protected");
    let facts = scene.ask(&asked).await;
    assert_eq!(is(&facts.required), [required("test", Some(CI))], "the branch tells");
    let why = unreadable(&facts.code_owner_rule);
    assert!(why.contains("\"Administration: read\""), "{why}");
    // One rule that asks for it is enough to know.
    scene.double.set_ruleset(REPO, "r", "~ALL", Rules { code_owners: true, ..Rules::default() }).expect("a rule");
    assert!(is(&scene.ask(&asked).await.code_owner_rule));
    // A ruleset alone hides nothing.
    scene.double.unprotect(REPO, "main").expect("unprotected");
    scene.double.set_ruleset(REPO, "r", "~ALL", Rules::checks(&[("scan", None)])).expect("a rule");
    let facts = scene.ask(&asked).await;
    assert_eq!((is(&facts.required), is(&facts.code_owner_rule)), (vec![required("scan", None)], false));
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_rules_cost_money_and_nobody_pays_none_is_in_force() {
    let asked = wants(|it| (it.checks, it.codeowners) = (true, true));
    for permission in ["nothing", "administration"] {
        let scene = without(permission).await;
        scene.double.set_free("acme", true).expect("an account");
        let facts = scene.ask(&asked).await;
        assert_eq!((is(&facts.required), is(&facts.code_owner_rule)), (Vec::new(), false));
        assert!(!is(&facts.protected));
        scene.double.finish().expect("no violation");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_github_forbids_is_unreadable_and_the_rest_is_read() {
    let scene = scene().await;
    let all = everything();
    let forbidden = async |route: &str| {
        scene.double.fail_next(route, 3, Fault::Forbidden).expect("a route");
        let facts = scene.ask(&all).await;
        assert!(scene.double.mend() < 3, "{route} was asked");
        facts
    };
    let contains = |why: &str, permission: &str| assert!(why.contains(permission), "{why}");
    let facts = forbidden("GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews").await;
    contains(unreadable(&facts.reviews), "\"Pull requests: read\"");
    assert_eq!((is(&facts.pushers), facts.roles.len()), (Pushers::Last("ana".to_owned()), 0));
    let facts = forbidden("POST /graphql").await;
    contains(unreadable(&facts.decision), "\"Pull requests: read\"");
    contains(unreadable(&facts.unresolved), "\"Pull requests: read\"");
    contains(unreadable(&facts.unsigned), "\"Contents: read\"");
    let facts = forbidden("GET /repos/{owner}/{repo}/commits/{ref}/check-runs").await;
    contains(unreadable(&facts.checks), "\"Checks: read and write\"");
    let facts = forbidden("GET /repos/{owner}/{repo}/rules/branches/{branch}").await;
    contains(unreadable(&facts.required), "\"Metadata: read\"");
    contains(unreadable(&facts.code_owner_rule), "\"Metadata: read\"");
    contains(unreadable(&facts.protected), "\"Metadata: read\"");
    // Who pushed is then not known: everyone with a commit.
    let facts = forbidden("GET /repos/{owner}/{repo}/activity").await;
    let logins = BTreeSet::from(["ana".to_owned()]);
    assert_eq!(is(&facts.pushers), Pushers::Committers { logins, unknown: Vec::new() });
    // Nor a right that cannot be asked for: it is left out, not "none".
    scene.double.review(REPO, scene.number, "ben", Verdict::Approve, "").expect("a review");
    let facts = forbidden("GET /repos/{owner}/{repo}/collaborators/{username}/permission").await;
    assert_eq!((is(&facts.reviews).len(), facts.roles.len()), (1, 0));
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn code_owners_are_githubs_verdict_and_its_rule() {
    let scene = scene().await;
    let asked = wants(|it| it.codeowners = true);
    let owners = [Change::write("CODEOWNERS", "* @ben\n")];
    scene.double.commit_files(REPO, "main", "ana", "Owners", &owners).expect("a commit");
    scene.double.protect(REPO, "main", Rules { code_owners: true, ..Rules::default() }).expect("protected");
    let read = async || {
        let facts = scene.ask(&asked).await;
        (is(&facts.code_owner_rule), is(&facts.decision))
    };
    assert_eq!(read().await, (true, Some(Decision::ReviewRequired)));
    scene.double.review(REPO, scene.number, "ben", Verdict::RequestChanges, "no").expect("a review");
    assert_eq!(read().await, (true, Some(Decision::ChangesRequested)));
    scene.double.review(REPO, scene.number, "ben", Verdict::Approve, "").expect("a review");
    assert_eq!(read().await, (true, Some(Decision::Approved)));
    scene.double.unprotect(REPO, "main").expect("unprotected");
    assert_eq!(read().await, (false, None));
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_are_the_newest_of_each_name_and_app() {
    let asked = wants(|it| it.checks = true);
    let scene = scene().await;
    let (double, head) = (&scene.double, scene.head());
    double.report_check(REPO, &head, CI, "test", "success").expect("a check");
    double.report_check(REPO, &head, CI, "test", "failure").expect("a check");
    double.report_check(REPO, &head, APP, "test", "in_progress").expect("a check");
    double.report_check(REPO, &head, CI, "lint", "neutral").expect("a check");
    double.report_check(REPO, &head, CI, "slow", "timed_out").expect("a check");
    double.set_status(REPO, &head, "ben", "old", "failure").expect("a status");
    double.set_status(REPO, &head, "ben", "old", "success").expect("a status");
    double.set_status(REPO, &head, "ben", "new", "pending").expect("a status");
    double.set_status(REPO, &head, "ben", "bad", "error").expect("a status");
    let facts = scene.ask(&asked).await;
    let fact = |context: &str, app: Option<u64>, state| {
        let RequiredCheck { context, app } = required(context, app);
        CheckFact { context, app, state }
    };
    let expected = [
        fact("bad", None, CheckState::Failed),
        fact("lint", Some(CI), CheckState::Passed),
        fact("new", None, CheckState::Running),
        fact("old", None, CheckState::Passed),
        fact("slow", Some(CI), CheckState::Failed),
        fact("test", Some(APP), CheckState::Running),
        fact("test", Some(CI), CheckState::Failed),
    ];
    assert_eq!(is(&facts.checks), expected);
    scene.double.finish().expect("no violation");

    let scene = without("statuses").await;
    scene.double.report_check(REPO, &scene.head(), CI, "test", "success").expect("a check");
    let facts = scene.ask(&asked).await;
    let why = unreadable(&facts.checks);
    assert!(why.contains("\"Commit statuses: read\""), "half of the checks are no checks: {why}");
    assert_eq!(is(&facts.required), Vec::new());
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_and_signatures_are_counted_over_all_pages() {
    let scene = scene().await;
    let asked = wants(|it| (it.threads, it.signatures) = (true, true));
    let double = &scene.double;
    let mut threads = Vec::new();
    for line in 1..=105 {
        threads.push(double.open_thread(REPO, scene.number, "ben", "cache/main.tf", line, "why?").expect("a thread"));
    }
    for thread in &threads[..2] {
        double.resolve_thread(REPO, scene.number, *thread, "ana", true).expect("resolved");
    }
    let facts = scene.ask(&asked).await;
    assert_eq!(is(&facts.unresolved), 103);
    double.set_signature(REPO, &scene.head(), "valid").expect("signed");
    let next = double.commit_files(REPO, "cache", "ana", "More", &[Change::write("c.tf", "\n")]).expect("a commit");
    double.set_signature(REPO, &next, "unknown_key").expect("signed");
    let unsigned = is(&scene.ask(&asked).await.unsigned);
    let shown: Vec<(&str, &str)> = unsigned.iter().map(|it| (it.commit.as_str(), it.reason.as_str())).collect();
    assert_eq!(shown, [(next.as_str(), "unknown_key")]);
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_graphql_is_githubs() {
    let Some(folder) = crate::serving::octokit::client() else { return };
    let scene = scene().await;
    scene.double.protect(REPO, "main", Rules::approvals(1)).expect("protected");
    for line in 1..=101 {
        scene.double.open_thread(REPO, scene.number, "ben", "cache/main.tf", line, "why?").expect("a thread");
    }
    scene.ask(&everything()).await;
    scene.double.set_signature(REPO, &scene.head(), "bad_email").expect("signed");
    scene.ask(&everything()).await;
    crate::github::hold_against_githubs_schema(&folder, &scene.double);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_moves_meanwhile_is_no_facts() {
    let scene = scene().await;
    let asked = wants(|it| it.reviews = true);
    let late = [Change::write("d.tf", "\n")];
    let late = scene.double.commit_files(REPO, "late", "ana", "Late", &late).expect("a commit");
    // The push comes while reviews are asked for.
    let route = "GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews";
    scene.double.push_before_next(route, REPO, "cache", &late, "ben").expect("ordered");
    let error = scene.try_ask(&asked).await.expect_err("two heads");
    assert!(matches!(error, ForgeError::Passing { .. }), "{error:?}");
    assert_eq!(scene.ask(&asked).await.head.as_str(), late, "the next try");
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_github_computes_meanwhile_is_taken() {
    let scene = of("nothing", false).await;
    let pull = |facts: &GateFacts| (facts.mergeable, facts.mergeable_state.clone());
    let facts = scene.ask(&GateWants::default()).await;
    assert_eq!(pull(&facts), (Some(true), "clean".to_owned()), "the first look starts it, the last one sees it");
    let conflict = [Change::write("cache/main.tf", "# other\n")];
    scene.double.commit_files(REPO, "main", "ana", "Conflict", &conflict).expect("a commit");
    assert_eq!(pull(&scene.ask(&GateWants::default()).await), (Some(false), "dirty".to_owned()));
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_github_in_trouble_is_no_fact() {
    for (route, fault) in [
        ("GET /repos/{owner}/{repo}/rules/branches/{branch}", Fault::BadGateway),
        ("GET /repos/{owner}/{repo}/activity", Fault::BadGateway),
        ("POST /graphql", Fault::BadGateway),
        ("GET /repos/{owner}/{repo}/commits/{ref}/check-runs", Fault::SlowDown(60)),
    ] {
        // One each: a reading that failed leaves requests under way, which would take the next fault.
        let scene = scene().await;
        scene.double.fail_next(route, 1, fault).expect("a route");
        let error = scene.try_ask(&everything()).await.expect_err("trouble is not \"no\"");
        let passes = matches!(error, ForgeError::Passing { .. } | ForgeError::RateLimited { .. });
        assert!(passes, "{route}: {error:?}");
        assert_eq!(scene.double.mend(), 0, "{route} was asked");
    }
}

#[test]
fn the_documents_list_what_the_app_asks_for() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let text = std::fs::read_to_string(path).expect("the document is there");
    // As GitHub's settings write them.
    let title = |name: &str| match name {
        "statuses" => "Commit statuses".to_owned(),
        other => other[..1].to_uppercase() + &other[1..].replace('_', " "),
    };
    for (name, level) in manifest::PERMISSIONS.into_iter().chain(manifest::OPTIONAL_PERMISSIONS) {
        let access = if level == "write" { "read and write" } else { "read" };
        let told =
            |line: &str| line.starts_with(&format!("| {}", title(name))) && line.contains(&format!("| {access} |"));
        assert!(text.lines().any(told), "{name}: {level} is not told");
    }
    let prose = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for event in manifest::EVENTS {
        assert!(prose.contains(&format!("*{}*", title(event))), "{event} is not told");
    }
}
