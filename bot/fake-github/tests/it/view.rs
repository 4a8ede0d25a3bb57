//! The pages, by HTTP.

use fake_github::{AppSpec, Change, FakeGitHub, Method, NewPull, Options, QueueRules, Role, Rules};
use serde_json::{Value, json};

use crate::client::{send, world};

#[tokio::test]
async fn a_pull_request_is_shown_with_its_comments_and_nothing_runs() {
    let world = world();
    let number = world.open();
    world.github.comment("acme/infra", number, "ben", "| a |\n|---|\n| 1 |\n\n<script>alert(1)</script>").unwrap();
    let page = send("GET", &format!("{}/acme/infra/pull/{number}", world.github.url()), "", &Value::Null).await;
    let html = page.body.as_str().unwrap();
    assert!(html.contains("Add a bucket <small>#1</small>") && html.contains("<td>1</td>"), "{html}");
    assert!(html.contains("<code>bucket.tf</code>") && html.contains("<span class=\"add\">+# two</span>"), "{html}");
    assert!(!html.contains("<script") && !html.contains("<form"), "{html}");
    assert_eq!(send("GET", &format!("{}/acme/nothing", world.github.url()), "", &Value::Null).await.status, 404);
    world.github.finish().unwrap();
}

#[tokio::test]
async fn a_visitor_may_act_only_where_that_is_allowed() {
    let github = FakeGitHub::start(Options { act_as_anyone: true, ..Options::default() }).unwrap();
    github.add_user("ana", "t").unwrap();
    github.create_repository("acme", "infra", &[("a", "b")]).unwrap();
    github.set_permission("acme/infra", "ana", fake_github::Role::Write).unwrap();
    github.commit_files("acme/infra", "x", "ana", "X", &[fake_github::Change::write("c", "d")]).unwrap();
    let new = NewPull { title: "X".into(), head: "x".into(), base: "main".into(), ..NewPull::default() };
    github.open_pull("acme/infra", "ana", &new).unwrap();
    let page = format!("{}/acme/infra/pull/1", github.url());
    let post = async |form: &'static str, origin: &str| crate::client::post_form(&page, form, origin).await;
    assert_eq!(post("as=ana&do=comment&body=buildit+plan", github.url()).await, 303);
    assert_eq!(post("as=ana&do=comment&body=evil", "http://evil.example").await, 403);
    assert_eq!(post("as=ana&do=approve&body=", github.url()).await, 422);
    assert_eq!(post("as=ana&do=merge&body=", github.url()).await, 303);
    let text = github.transcript();
    assert!(text.contains("[merged]") && text.contains("buildit plan") && !text.contains("evil"), "{text}");
    let strict = world();
    strict.open();
    let page = format!("{}/acme/infra/pull/1", strict.github.url());
    assert_eq!(crate::client::post_form(&page, "as=ana&do=merge", strict.github.url()).await, 403);
}

/// Pages where everybody may act: ana and ben write, eve only looks. One pull request of ana's, with a check of an App.
fn stage() -> FakeGitHub {
    let github = FakeGitHub::start(Options { act_as_anyone: true, ..Options::default() }).expect("the stage is set");
    for login in ["ana", "ben", "eve"] {
        github.add_user(login, &format!("{login}-token")).expect("the stage is set");
    }
    github.create_repository("acme", "infra", &[("a", "b")]).expect("the stage is set");
    for (login, role) in [("ana", Role::Write), ("ben", Role::Write), ("eve", Role::Read)] {
        github.set_permission("acme/infra", login, role).expect("the stage is set");
    }
    let spec = AppSpec::new(7, "buildit", "secret", &[("checks", "write"), ("issues", "write")], &["check_run"]);
    github.create_app(spec).expect("the stage is set");
    github.install_app(7, "acme/infra").expect("the stage is set");
    github.set_webhook_url(7, "http://127.0.0.1:1/").expect("the stage is set");
    let head =
        github.commit_files("acme/infra", "x", "ana", "X", &[Change::write("c", "d")]).expect("the stage is set");
    let new = NewPull { title: "X <b>".into(), head: "x".into(), base: "main".into(), ..NewPull::default() };
    github.open_pull("acme/infra", "ana", &new).expect("the stage is set");
    github.report_check("acme/infra", &head, 7, "buildit/plan", "success").expect("the stage is set");
    github
}

async fn page(github: &FakeGitHub, path: &str, login: &str) -> String {
    let cookie = format!("fake-github-as={login}");
    let answer = crate::client::get_page(&format!("{}{path}", github.url()), &cookie).await;
    assert_eq!(answer.0, 200, "{path}: {}", answer.1);
    answer.1
}

/// Presses a button; answers the status and where it leads.
async fn press(github: &FakeGitHub, path: &str, login: &str, form: &str) -> (u16, String) {
    let form = format!("as={login}&{form}");
    crate::client::press(&format!("{}{path}", github.url()), form, github.url()).await
}

const PULL: &str = "/acme/infra/pull/1";

#[tokio::test]
async fn the_merge_box_says_what_blocks_and_how_to_merge() {
    let github = stage();
    let seen = async |login: &str| page(&github, PULL, login).await;
    let mine = seen("ana").await;
    assert!(mine.contains("Create a merge commit") && mine.contains("Rebase and merge"), "{mine}");
    assert!(mine.contains("The check has passed") && mine.contains("No conflicts with <code>main</code>"), "{mine}");
    assert!(!mine.contains("value=\"approve\"") && seen("ben").await.contains("value=\"approve\""), "not one's own");
    let other = seen("eve").await;
    assert!(other.contains("Only those with write access can merge") && !other.contains("value=\"merge\""), "{other}");

    github.set_merge_methods("acme/infra", &[Method::Squash]).unwrap();
    assert!(!seen("ana").await.contains("Create a merge commit"));
    let rules = Rules { approvals: Some(1), ..Rules::checks(&[("buildit/apply", None)]) };
    github.protect("acme/infra", "main", rules).unwrap();
    let blocked = seen("ana").await;
    assert!(blocked.contains("Merging is blocked") && blocked.contains("Review required"), "{blocked}");
    assert!(
        blocked.contains("<b>buildit/apply</b> <span class=\"mute\">Expected"),
        "a required check is missed: {blocked}"
    );
    assert_eq!(press(&github, PULL, "ana", "do=merge&method=squash").await.0, 422);

    assert_eq!(press(&github, PULL, "ben", "do=against&body=no").await.0, 303);
    assert!(seen("ana").await.contains("Changes requested"));
    let review = seen("ana").await;
    let id = review.split("name=\"review\" value=\"").nth(1).and_then(|it| it.split('"').next()).unwrap().to_owned();
    assert_eq!(press(&github, PULL, "eve", &format!("do=dismiss&review={id}")).await.0, 422, "eve only looks");
    assert_eq!(press(&github, PULL, "ana", &format!("do=dismiss&review={id}")).await.0, 303);
    assert_eq!(press(&github, PULL, "ben", "do=approve&body=").await.0, 303);
    let head = github.branch("acme/infra", "x").unwrap();
    github.report_check("acme/infra", &head, 7, "buildit/apply", "success").unwrap();
    assert_eq!(press(&github, PULL, "ana", "do=merge&method=squash").await, (303, PULL.to_owned()));
    let merged = seen("ana").await;
    assert!(merged.contains("<b>Merged</b>") && merged.contains("value=\"revert\""), "{merged}");
    assert_eq!(press(&github, PULL, "ana", "do=delete").await.0, 303);
    github.unprotect("acme/infra", "main").unwrap();
    assert_eq!(press(&github, PULL, "ana", "do=revert").await, (303, "/acme/infra/pull/2".to_owned()));
    assert!(page(&github, "/acme/infra/pull/2", "ana").await.contains("Revert &quot;X &lt;b&gt;&quot;"));
    github.finish().unwrap();
}

#[tokio::test]
async fn a_queue_is_joined_and_left_on_the_page() {
    let github = stage();
    let queue = Rules { queue: Some(QueueRules::default()), ..Rules::checks(&[("buildit/plan", Some(7))]) };
    github.set_ruleset("acme/infra", "queue", "~DEFAULT_BRANCH", queue).unwrap();
    assert!(page(&github, PULL, "ana").await.contains("Merge when ready"));
    assert_eq!(press(&github, PULL, "ana", "do=enqueue").await.0, 303);
    let waiting = page(&github, PULL, "ana").await;
    assert!(waiting.contains("Number 1 in the merge queue</b> <span class=\"mute\">awaiting checks"), "{waiting}");
    assert_eq!(press(&github, PULL, "ana", "do=dequeue").await.0, 303);
    assert!(page(&github, PULL, "ana").await.contains("Merge when ready"));
    github.finish().unwrap();
}

#[tokio::test]
async fn a_checks_buttons_are_pressed_on_its_page_and_beside_the_pull_request() {
    let github = stage();
    let head = github.branch("acme/infra", "x").unwrap();
    let actions = json!([{"label": "Apply", "description": "Apply what is ready", "identifier": "apply"}]);
    let check = github.offer_buttons("acme/infra", &head, 7, "buildit/apply", &actions).unwrap();
    let own = format!("/acme/infra/runs/{check}");
    for path in [PULL, own.as_str()] {
        let html = page(&github, path, "ana").await;
        assert!(html.contains(">Apply</button>") && html.contains("Apply what is ready"), "{html}");
        assert!(!page(&github, path, "eve").await.contains(">Apply</button>"), "eve only looks");
    }
    let form = format!("do=press&check={check}&identifier=apply");
    assert_eq!(press(&github, &own, "eve", &form).await.0, 422);
    assert_eq!(press(&github, &own, "ana", &form).await, (303, own.clone()));
    assert_eq!(press(&github, PULL, "ana", &form).await, (303, PULL.to_owned()));
    assert!(!page(&github, &own, "ana").await.contains(">Re-run</button>"), "it has not ended");
    let ended = github.report_check("acme/infra", &head, 7, "buildit/plan", "failure").unwrap();
    assert!(page(&github, &format!("/acme/infra/runs/{ended}"), "ana").await.contains(">Re-run</button>"));
    assert_eq!(press(&github, PULL, "ana", &format!("do=rerun&check={ended}")).await.0, 303);
    let told: Vec<String> = github.deliveries().into_iter().filter_map(|it| it.action).collect();
    assert_eq!(told.iter().filter(|it| *it == "requested_action").count(), 2, "{told:?}");
    assert_eq!(told.iter().filter(|it| *it == "rerequested").count(), 1, "{told:?}");
    github.finish().unwrap();
}

#[tokio::test]
async fn issues_are_listed_opened_answered_and_closed() {
    let github = stage();
    let opened = press(&github, "/acme/infra/issues", "eve", "do=open&title=Who+%3Cb%3E&body=**Tell**").await;
    assert_eq!(opened, (303, "/acme/infra/issues/2".to_owned()));
    assert!(page(&github, "/acme/infra/issues", "ana").await.contains("Who &lt;b&gt;"));
    let issue = "/acme/infra/issues/2";
    assert_eq!(press(&github, issue, "ana", "do=comment&body=I+did").await.0, 303);
    assert_eq!(press(&github, issue, "eve", "do=close").await.0, 303, "it is hers");
    let html = page(&github, issue, "ana").await;
    assert!(
        html.contains("<strong>Tell</strong>") && html.contains("I did") && html.contains("closed this as completed")
    );
    assert_eq!(press(&github, issue, "ana", "do=reopen").await.0, 303, "who writes may sort issues");
    github.add_user("mal", "mal-token").unwrap();
    assert_eq!(press(&github, issue, "mal", "do=close").await.0, 422, "mal does not see the repository");
    github.finish().unwrap();
}

#[tokio::test]
async fn a_visitor_is_who_they_say_until_they_say_otherwise() {
    let github = stage();
    let as_ben =
        crate::client::switch(&format!("{}/as", github.url()), "as=ben&back=/acme/infra/pull/1", github.url()).await;
    assert_eq!((as_ben.0, as_ben.1.as_str()), (303, "/acme/infra/pull/1"));
    assert!(as_ben.2.starts_with("fake-github-as=ben;") && as_ben.2.contains("HttpOnly"), "{}", as_ben.2);
    assert!(page(&github, PULL, "ben").await.contains("<option selected>ben</option>"));
    assert!(page(&github, PULL, "nobody").await.contains("<option selected>ana</option>"), "somebody who is there");
    let away = crate::client::switch(&format!("{}/as", github.url()), "as=ben&back=//evil.example", github.url()).await;
    assert_eq!(away.1, "/");
    let forged = crate::client::switch(&format!("{}/as", github.url()), "as=ben", "http://evil.example").await;
    assert_eq!(forged.0, 403);
    github.finish().unwrap();
}
