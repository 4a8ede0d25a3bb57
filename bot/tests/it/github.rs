//! The GitHub adapter against the double: every request is held to GitHub's own description.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bot::github::{AppKey, GitHub, GitHubOptions, manifest};
use fake_github::{AppSpec, Change, FakeGitHub, NewPull, Options, Role as FakeRole};
use model::diagnostic::{Diagnostic, Diagnostics, Span};
use model::id::{CommitSha, InstallationId, PullNumber, RepoName};
use model::ports::{Clock, ForgeError, ForgeRead, ForgeWrite};
use model::publication::{
    Check, CheckAction, CheckName, Notes, PullView, Reaction, Reply, ReplyPart, Standing, Summary, View,
};
use model::pull::RepoSnapshot;
use model::pull::{PullState, Role};
use model::time::Timestamp;

const START: i64 = 1_800_000_000_000_000;

/// A clock that a test moves.
#[derive(Clone)]
pub(crate) struct ManualClock(Arc<AtomicI64>);

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) struct Scene {
    pub(crate) double: FakeGitHub,
    pub(crate) forge: GitHub,
    clock: ManualClock,
    pub(crate) repo: RepoSnapshot,
    pub(crate) number: PullNumber,
}

/// `acme/shop` with one open pull request of ana's; ben may write.
pub(crate) async fn scene() -> Scene {
    scene_with(&manifest::permissions()).await
}

/// The same for an App with these permissions.
pub(crate) async fn scene_with(permissions: &[(&str, &str)]) -> Scene {
    let clock = ManualClock(Arc::new(AtomicI64::new(START)));
    let ticks = clock.clone();
    let double = FakeGitHub::start(Options { clock: Arc::new(move || ticks.now().micros()), ..Options::default() })
        .expect("the double starts");
    for login in ["ana", "ben", "eve"] {
        double.add_user(login, &format!("{login}-token")).expect("a user");
    }
    double.add_organization("acme", &["ana"]).expect("an organization");
    let app = double
        .create_app(AppSpec::new(7, "buildit", "a webhook secret", permissions, &["pull_request"]))
        .expect("an app");
    double.create_repository("acme", "shop", &[("README.md", "# shop\n")]).expect("a repository");
    double.set_permission("acme/shop", "ben", FakeRole::Write).expect("a role");
    let installation = double.install_app(app.app_id, "acme/shop").expect("installed");
    double
        .commit_files("acme/shop", "cache", "ana", "Add a cache", &[Change::write("cache/main.tf", "# cache\n")])
        .expect("a commit");
    let pull = NewPull {
        title: "Add a cache".to_owned(),
        head: "cache".to_owned(),
        base: "main".to_owned(),
        ..NewPull::default()
    };
    let number = double.open_pull("acme/shop", "ana", &pull).expect("a pull request");
    let key = AppKey::from_pem(app.app_id, app.private_key_pem.as_bytes()).expect("a key");
    let options = GitHubOptions { api_url: double.api_url(), key };
    let forge = GitHub::new(options, Arc::new(clock.clone())).expect("a client");
    let installation = InstallationId::new(i64::try_from(installation).expect("small"));
    let name = RepoName::parse("acme/shop").expect("a name");
    let repo = forge.repository(installation, &name).await.expect("the repository");
    Scene { double, forge, clock, repo, number: PullNumber::new(i64::try_from(number).expect("small")) }
}

fn view(scene: &Scene, head: &CommitSha, standing: Standing) -> PullView {
    PullView {
        repo: scene.repo.name.clone(),
        number: scene.number,
        head: head.clone(),
        base: None,
        base_branch: "main".to_owned(),
        url: "http://buildit.test/acme/shop/pull/1".to_owned(),
        standing,
        notes: Notes::default(),
    }
}

fn check(view: PullView) -> Check {
    Check {
        name: CheckName::Plan,
        external_id: "acme/shop#1:buildit/plan".to_owned(),
        details_url: "http://buildit.test/acme/shop/pull/1".to_owned(),
        view: View::Pull(Box::new(view)),
        started_at: Some(Timestamp::from_micros(START)),
        completed_at: Some(Timestamp::from_micros(START)),
        actions: Vec::new(),
    }
}

/// As many errors on as many lines.
fn errors(count: u32) -> Standing {
    let mut all = Diagnostics::new();
    for line in 1..=count {
        let span = Span {
            file: ".buildit/stacks.kdl".to_owned(),
            line,
            column: 1,
            end_line: line,
            end_column: 2,
            offset: line,
            length: 1,
        };
        all.push(Diagnostic::error("unknown-node", format!("unknown node {line}")).at(span));
    }
    Standing::ConfigErrors(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_are_read_as_they_are() {
    let scene = scene().await;
    let (forge, repo) = (&scene.forge, &scene.repo);
    assert_eq!(forge.repositories().await.expect("repositories"), std::slice::from_ref(repo));
    assert_eq!((repo.name.to_string().as_str(), repo.default_branch.as_str()), ("acme/shop", "main"));
    let pull = forge.pull(repo, scene.number).await.expect("the pull request");
    assert_eq!((pull.author.as_str(), pull.state, pull.fork), ("ana", PullState::Open, false));
    assert_eq!(pull.head.as_str(), scene.double.branch("acme/shop", "cache").expect("a branch"));
    assert_eq!(pull.base.as_str(), scene.double.branch("acme/shop", "main").expect("a branch"));
    assert_eq!(pull.mergeable, Some(true));
    let open = forge.open_pulls(repo).await.expect("open pull requests");
    assert_eq!(open.iter().map(|it| (&it.head, it.number)).collect::<Vec<_>>(), [(&pull.head, scene.number)]);
    let main = forge.branch(repo, "main").await.expect("an answer").expect("a branch");
    assert_eq!(main.tip, pull.base);
    assert_eq!(forge.branch(repo, "gone/with-it").await.expect("an answer"), None);
    assert_eq!(forge.role(repo, "ana").await.expect("a role"), Role::Admin);
    assert_eq!(forge.role(repo, "ben").await.expect("a role"), Role::Write);
    assert!(forge.role(repo, "eve").await.expect("a role") <= Role::Read);
    assert_eq!(forge.slug().await.expect("a slug"), "buildit");
    let gone = forge.pull(repo, PullNumber::new(99)).await.expect_err("no such pull request");
    assert!(matches!(gone, ForgeError::Gone { .. }), "{gone:?}");
    let credential = forge.credential(repo).await.expect("a credential");
    assert_eq!(credential.url, scene.double.clone_url("acme/shop"));
    assert!(credential.authorization.is_some() && !format!("{credential:?}").contains("Basic"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_comment_is_known_as_edited() {
    let scene = scene().await;
    let number = u64::try_from(scene.number.get()).expect("positive");
    let kept = scene.double.comment("acme/shop", number, "ana", "buildit plan").expect("a comment");
    let changed = scene.double.comment("acme/shop", number, "ana", "hello").expect("a comment");
    scene.double.edit_comment("acme/shop", changed, "ana", "buildit plan").expect("edited");
    let read = scene.forge.comments(&scene.repo, scene.number, None).await.expect("comments");
    let seen: Vec<_> = read.iter().map(|it| (it.id.get().unsigned_abs(), it.author.as_str(), it.edited)).collect();
    assert_eq!(seen, [(kept, "ana", false), (changed, "ana", true)]);
    let later = scene.clock.now().after(std::time::Duration::from_secs(60));
    assert!(scene.forge.comments(&scene.repo, scene.number, Some(later)).await.expect("comments").is_empty());
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_twice_changes_nothing() {
    let scene = scene().await;
    let (forge, repo) = (&scene.forge, &scene.repo);
    let head = forge.pull(repo, scene.number).await.expect("the pull request").head;
    let number = u64::try_from(scene.number.get()).expect("positive");
    let command = scene.double.comment("acme/shop", number, "ana", "buildit help").expect("a comment");
    let command = model::id::CommentId::new(i64::try_from(command).expect("small"));
    let summary = Summary { view: view(&scene, &head, errors(1)) };
    let reply = Reply { to: command, parts: vec![ReplyPart::Version] };
    let mut ids = Vec::new();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let check =
            forge.put_check(repo, &head, &check(view(&scene, &head, errors(120))), None).await.expect("a check");
        let comment = forge.put_summary(repo, scene.number, &summary, None).await.expect("a comment");
        let answer = forge.put_reply(repo, scene.number, &reply).await.expect("a reply");
        forge.react(repo, command, Reaction::Eyes).await.expect("a reaction");
        ids.push((check, comment, answer));
        seen.push(scene.double.transcript());
    }
    assert_eq!(ids[0], ids[1]);
    assert_eq!(seen[0], seen[1], "a second write must not show");
    assert_eq!(forge.checks(repo, &head).await.expect("checks"), [(CheckName::Plan, ids[0].0)]);
    for line in 1..=120 {
        let mark = format!("failure .buildit/stacks.kdl:{line}-{line} ");
        assert_eq!(seen[0].matches(&mark).count(), 1, "annotation {line} is there once:\n{}", seen[0]);
    }
    forge.minimize(repo, ids[0].1).await.expect("minimised");
    assert_ne!(scene.double.transcript(), seen[0], "a minimised comment shows");
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn buttons_stand_on_a_check_as_long_as_they_are_said() {
    let scene = scene().await;
    let (forge, repo) = (&scene.forge, &scene.repo);
    let head = forge.pull(repo, scene.number).await.expect("the pull request").head;
    let done = check(view(&scene, &head, Standing::Unaffected { changed: Vec::new() }));
    let actions = vec![CheckAction::Apply, CheckAction::Replan, CheckAction::Unlock];
    let offered = Check { actions, ..done.clone() };
    let id = forge.put_check(repo, &head, &offered, None).await.expect("a check");
    let run = id.get().unsigned_abs();
    let buttons = || {
        let shown = scene.double.transcript();
        shown.lines().filter(|line| line.trim().starts_with("button")).map(|line| line.trim().to_owned()).collect()
    };
    let shown: Vec<String> = buttons();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    button "Apply" ("apply"): "Apply what is ready"
    button "Re-plan" ("replan"): "Plan again on the newest base"
    button "Unlock" ("unlock"): "Drop this pull request's locks and plans"
    "#);
    scene.double.press("acme/shop", run, "replan", "ben").expect("pressed");
    forge.put_check(repo, &head, &done, Some(id)).await.expect("a check");
    assert_eq!(buttons(), Vec::<String>::new());
    assert!(scene.double.press("acme/shop", run, "replan", "ben").is_err(), "it is gone");
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_check_is_updated_and_a_deleted_comment_is_written_anew() {
    let scene = scene().await;
    let (forge, repo) = (&scene.forge, &scene.repo);
    let head = forge.pull(repo, scene.number).await.expect("the pull request").head;
    let reading = check(view(&scene, &head, Standing::Reading));
    let id = forge.put_check(repo, &head, &reading, None).await.expect("a check");
    let done = check(view(&scene, &head, Standing::Unaffected { changed: Vec::new() }));
    assert_eq!(forge.put_check(repo, &head, &done, Some(id)).await.expect("a check"), id);
    assert!(scene.double.transcript().contains("No stacks affected"), "{}", scene.double.transcript());
    let summary = Summary { view: view(&scene, &head, Standing::Fork) };
    let first = forge.put_summary(repo, scene.number, &summary, None).await.expect("a comment");
    scene.double.delete_comment("acme/shop", first.get().unsigned_abs(), "ana").expect("deleted");
    let second = forge.put_summary(repo, scene.number, &summary, Some(first)).await.expect("a comment");
    assert_ne!(first, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_follow_the_clock() {
    let scene = scene().await;
    let asked = scene.double.requests();
    scene.forge.pull(&scene.repo, scene.number).await.expect("the pull request");
    let first = scene.double.requests() - asked;
    scene.forge.pull(&scene.repo, scene.number).await.expect("the pull request");
    assert_eq!((first, scene.double.requests() - asked), (2, 3), "a token is minted once");
    let later = START + 56 * 60 * 1_000_000;
    scene.clock.0.store(later, Ordering::SeqCst);
    scene.forge.pull(&scene.repo, scene.number).await.expect("a token minted anew");
    assert_eq!(scene.double.requests() - asked, 5);
    scene.double.finish().expect("no violation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_key_is_refused_in_words() {
    let scene = scene().await;
    let mut options = GitHubOptions { api_url: scene.double.api_url(), key: scene_key(8) };
    let forge = GitHub::new(options.clone(), Arc::new(scene.clock.clone())).expect("a client");
    let error = forge.slug().await.expect_err("another App's id").to_string();
    assert!(error.contains("the App key belongs to another App or was deleted"), "{error}");
    options.api_url = "http://127.0.0.1:1/api/v3".to_owned();
    let forge = GitHub::new(options, Arc::new(scene.clock.clone())).expect("a client");
    let error = forge.slug().await.expect_err("nobody listens");
    assert!(matches!(error, ForgeError::Passing { .. }), "{error:?}");
}

fn scene_key(app: u64) -> AppKey {
    let double = FakeGitHub::start(Options::default()).expect("the double starts");
    let made = double.create_app(AppSpec::new(app, "other", "a webhook secret", &[], &[])).expect("an app");
    AppKey::from_pem(app, made.private_key_pem.as_bytes()).expect("a key")
}

#[tokio::test(flavor = "multi_thread")]
async fn graphql_questions_and_answers_are_githubs() {
    let Some(folder) = crate::serving::octokit::client() else { return };
    let scene = scene().await;
    let number = u64::try_from(scene.number.get()).expect("positive");
    let first = scene.double.comment("acme/shop", number, "ben", "fine").expect("a comment");
    let second = scene.double.comment("acme/shop", number, "ben", "finer").expect("a comment");
    scene.double.edit_comment("acme/shop", second, "ben", "finest").expect("edited");
    let seen = scene.forge.comments(&scene.repo, scene.number, None).await.expect("comments");
    assert_eq!(seen.iter().map(|it| it.edited).collect::<Vec<_>>(), [false, true]);
    let first = model::id::CommentId::new(i64::try_from(first).expect("small"));
    scene.forge.minimize(&scene.repo, first).await.expect("hidden");
    hold_against_githubs_schema(&folder, &scene.double);
}

/// Every question that was asked and its answer, by GitHub's own schema.
#[expect(clippy::disallowed_methods, reason = "GitHub's schema is read by a node program")]
pub(crate) fn hold_against_githubs_schema(folder: &std::path::Path, double: &FakeGitHub) {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    let questions = serde_json::to_vec(&double.questions()).expect("JSON");
    let mut node = Command::new("node")
        .arg(folder.join("questions.mjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node runs");
    node.stdin.take().expect("piped").write_all(&questions).expect("written");
    let output = node.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
