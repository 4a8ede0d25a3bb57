//! The server as a process would have it, started in this one: pages, health, the lock, the drain, a real plan.

pub(crate) mod octokit;
pub(crate) mod process;

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bot::app::onlooker::Onlooker;
use bot::app::server::{Http, Server, ServerParts, Work};
use bot::clock::{SystemClock, UuidIds};
use bot::github::{AppKey, GitHub, GitHubOptions, manifest};
use bytes::Bytes;
use fake_github::{AppCredentials, AppSpec, Change, DeliveryMode, FakeGitHub, NewPull, Options};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use model::mask::Masker;
use runner::exec::Process;
use runner::iac::{Iac, IacSettings};
use runner::source::{GitSettings, GitSource, Limits};
use secrecy::SecretString;
use tokio::net::TcpListener;

pub(crate) const SHOP: &str = "acme/shop";
pub(crate) const SECRET: &str = "a webhook secret";
pub(crate) const BOUND: Duration = Duration::from_secs(60);
const MAIN_TF: &str = "resource \"terraform_data\" \"vpc\" {\n  input = \"a <b>\"\n}\n";

pub(crate) async fn get(url: &str) -> (u16, String) {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.get(url.parse().expect("a URL")).await.expect("an answer");
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

pub(crate) async fn parts(dir: &Path, work: Option<Work>) -> ServerParts {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let webhook_secret = work.is_some().then(|| SecretString::from(SECRET));
    let banner = Some("a <banner>".to_owned());
    ServerParts {
        database: SecretString::from(format!("sqlite:{}", dir.join("buildit.db").display())),
        data_dir: dir.to_owned(),
        http: Some(Http { listener, public_read: false, banner, github_url: None, webhook_secret }),
        public_url: None,
        internal_url: None,
        work,
        clock: Arc::new(SystemClock::new()),
        ids: Arc::new(UuidIds::new()),
    }
}

#[tokio::test]
async fn a_server_without_work_shows_pages_and_holds_its_data() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("deep/data");
    let server = Server::start(parts(&data, None).await).await.expect("it starts");
    let url = server.public_url.clone();
    assert_eq!(url, format!("http://{}", server.address.expect("bound")));
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(&format!("{url}{path}")).await, (200, "ok\n".to_owned()), "{path}");
    }
    let (status, page) = get(&url).await;
    assert!(status == 200 && page.contains("a &#60;banner&#62;"), "{status} {page}");
    assert_eq!(get(&format!("{url}/acme/shop/pull/1")).await.0, 404);
    assert_eq!(get(&format!("{url}/webhook")).await.0, 404, "without a secret nothing is taken");

    let second = Server::start(parts(&data, None).await).await.expect_err("the data is held").to_string();
    assert!(second.contains("is in use by another buildit") && second.contains("\n  do: "), "{second}");
    assert!(server.stop().await, "it ends in time");
    let again = Server::start(parts(&data, None).await).await.expect("the data is free again");
    assert!(again.stop().await);
}

/// A terraform of this machine; `None`, told loudly, when there is none.
fn terraform() -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("terraform")).find(|file| file.is_file());
    if found.is_none() {
        let required = std::env::var("BUILDIT_REQUIRE").is_ok_and(|all| all.split(',').any(|one| one == "terraform"));
        assert!(!required, "BUILDIT_REQUIRE names terraform, and there is none on PATH");
        eprintln!("SKIP: a real plan of a served pull request: no terraform on PATH");
    }
    found
}

/// A GitHub that delivers at once, with these people, the organisation `acme` of some of them, and the App, not installed yet.
pub(crate) fn people(logins: &[&str], members: &[&str]) -> (FakeGitHub, AppCredentials) {
    let options = Options { delivery: DeliveryMode::Immediate, act_as_anyone: true, ..Options::default() };
    let double = FakeGitHub::start(options).expect("the double");
    for login in logins {
        double.add_user(login, &format!("{login}-token")).expect("a user");
    }
    double.add_organization("acme", members).expect("an organization");
    let spec = AppSpec::new(7, "buildit", SECRET, &manifest::permissions(), &manifest::EVENTS);
    let app = double.create_app(spec).expect("an app");
    (double, app)
}

fn double() -> (FakeGitHub, AppCredentials) {
    let (double, app) = people(&["ana"], &["ana"]);
    let stacks = "stack \"network\" {\n  path \"network\"\n}\n";
    double
        .create_repository("acme", "shop", &[(".buildit/stacks.kdl", stacks), ("network/main.tf", "")])
        .expect("a repository");
    double.install_app(app.app_id, SHOP).expect("installed");
    (double, app)
}

fn open_pull(double: &FakeGitHub) -> u64 {
    let change = [Change::write("network/main.tf", MAIN_TF)];
    double.commit_files(SHOP, "topic", "ana", "Add a <b>", &change).expect("a commit");
    let (title, head, base) = ("Add a <b>".to_owned(), "topic".to_owned(), "main".to_owned());
    double.open_pull(SHOP, "ana", &NewPull { title, head, base, ..NewPull::default() }).expect("opened")
}

pub(crate) fn work(dir: &Path, double: &FakeGitHub, app: &AppCredentials, program: &Path) -> Work {
    let key = AppKey::from_pem(app.app_id, app.private_key_pem.as_bytes()).expect("a key");
    let options = GitHubOptions { api_url: double.api_url(), key };
    let github = Arc::new(GitHub::new(options, Arc::new(SystemClock::new())).expect("a client"));
    let entry = vec![OsString::from(env!("CARGO_BIN_EXE_buildit")), OsString::from("job")];
    let mirrors = dir.join("mirrors");
    Work {
        forge: github.clone(),
        publisher: github,
        source: Arc::new(GitSource::new(GitSettings { mirrors, limits: Limits::default() })),
        executor: Arc::new(Process::new(dir.join("jobs"), entry)),
        iac: Arc::new(Iac::new(IacSettings { tools: vec![program.to_owned()], ..IacSettings::default() })),
        slots: 2,
        resync: Duration::from_secs(300),
        masks: Masker::new([SECRET]),
    }
}

/// Waits until the pull request has its plan.
async fn planned(double: &FakeGitHub, number: u64) {
    let eyes = Onlooker::new(double.api_url(), SecretString::from("ana-token"));
    let done = |seen: &bot::app::onlooker::Seen| {
        seen.check("buildit/plan").is_some_and(|check| check.status == "completed") && !seen.comments.is_empty()
    };
    let seen = eyes.until(SHOP, number, BOUND, done).await.expect("GitHub answers");
    let seen = seen.unwrap_or_else(|last| panic!("not planned in {BOUND:?}: {last:?}"));
    let check = seen.check("buildit/plan").expect("completed");
    assert_eq!(check.conclusion.as_deref(), Some("success"), "{check:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_request_is_planned_and_shown_on_pages() {
    let Some(program) = terraform() else { return };
    let (double, app) = double();
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(parts(dir.path(), Some(work(dir.path(), &double, &app, &program))).await).await;
    let server = server.expect("it starts");
    double.set_webhook_url(app.app_id, &format!("{}/webhook", server.public_url)).expect("hooked");
    let number = open_pull(&double);
    planned(&double, number).await;

    let url = &server.public_url;
    let (status, page) = get(url).await;
    assert_eq!(status, 200);
    for needle in ["Add a &#60;b&#62;", "review: 1 of 1 stack changes", "href=\"/r/1\"", "planned"] {
        assert!(page.contains(needle), "{needle}: {page}");
    }
    let (_, page) = get(&format!("{url}/acme/shop/pull/{number}")).await;
    assert!(page.contains("1 to add") && page.contains("href=\"/r/1\""), "{page}");
    let (_, page) = get(&format!("{url}/r/1")).await;
    for needle in ["terraform_data.vpc", "a &#60;b&#62;", "id=\"L1\"", "terraform 1."] {
        assert!(page.contains(needle), "{needle}: {page}");
    }
    let (status, log) = get(&format!("{url}/r/1/log")).await;
    assert!(status == 200 && log.contains("Terraform has been successfully initialized"), "{log}");
    assert_eq!(double.violations(), Vec::<String>::new());
    assert!(server.stop().await, "it ends in time");
}
