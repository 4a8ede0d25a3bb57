//! States over real HTTP: the protocol word by word, the real tools, faults on the way, tampering, and a checker
//! of histories.

mod faults;
mod history;
mod keys;
mod protocol;
mod tamper;
mod tools;
mod whole;

pub(crate) use tamper::Dice;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bot::app::server::{Http, Server, ServerParts};
use bot::clock::{SystemClock, UuidIds};
use bot::keys::FileKeys;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use model::id::{RepoId, RunId, StackName};
use reconciler::audit::Actor;
use reconciler::blobs::DatabaseBlobs;
use reconciler::seal::Seal;
use reconciler::states::{Access, States, path};
use reconciler::store::Store;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::Connection as _;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::town::machine::Database;

pub(crate) const REPO: RepoId = RepoId::new(5);

/// The stack of most tests; its name has a slash, as discovered ones do.
pub(crate) fn net() -> StackName {
    StackName::parse("infra/net").expect("a name")
}

pub(crate) fn run(number: u128) -> RunId {
    RunId::new(Uuid::from_u128(number))
}

fn ana() -> Actor {
    Actor { name: "ana".to_owned(), token: None }
}

/// A server that keeps states, and the same states from inside.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) states: States,
    pub(crate) store: Store,
    pub(crate) database: String,
    pub(crate) url: String,
    pub(crate) dir: tempfile::TempDir,
}

impl Scene {
    pub(crate) async fn start(database: &Database) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let database = database.url(dir.path()).await;
        let server = Server::start(ServerParts {
            database: SecretString::from(database.clone()),
            data_dir: dir.path().to_owned(),
            http: Some(Http {
                listener: TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port"),
                public_read: false,
                banner: None,
                github_url: None,
                webhook_secret: None,
            }),
            public_url: None,
            internal_url: None,
            work: None,
            clock: Arc::new(SystemClock::new()),
            ids: Arc::new(UuidIds::new()),
        })
        .await
        .expect("it starts");
        let (states, store) = inside(&database, dir.path()).await;
        let url = server.public_url.clone();
        Self { server, states, store, database, url, dir }
    }

    pub(crate) async fn end(self) {
        self.store.close().await;
        assert!(self.server.stop().await, "it ends in time");
    }

    /// The token of a newly granted apply.
    pub(crate) async fn apply(&self, number: u128) -> String {
        let mut tx = begin(&self.database).await;
        let epoch = States::grant_epoch(&mut tx, REPO, &net()).await.expect("granted");
        let token = self.states.token(&mut tx, run(number), REPO, &net(), Access::Write { epoch }).await;
        end(tx).await;
        token.expect("a token").expose_secret().to_owned()
    }

    /// A token that reads.
    pub(crate) async fn reader(&self, number: u128) -> String {
        let mut tx = begin(&self.database).await;
        let token = self.states.token(&mut tx, run(number), REPO, &net(), Access::Read).await;
        end(tx).await;
        token.expect("a token").expose_secret().to_owned()
    }

    pub(crate) async fn end_run(&self, number: u128) {
        let mut tx = begin(&self.database).await;
        self.states.end_tokens(&mut tx, run(number)).await.expect("ended");
        end(tx).await;
    }

    pub(crate) fn address(&self) -> String {
        format!("{}{}", self.url, path(REPO, &net()))
    }

    /// A request to the state of `net`.
    pub(crate) async fn ask(&self, method: &str, token: Option<&str>, query: &str, body: impl Into<Bytes>) -> Answer {
        ask(method, &format!("{}{query}", self.address()), token, &[], body.into()).await
    }
}

/// The states of a server, opened beside it.
pub(crate) async fn inside(database: &str, data: &Path) -> (States, Store) {
    let store = Store::open(database).await.expect("the store opens");
    let seal = Seal::new(Arc::new(FileKeys::open(&data.join("keys")).expect("the keys")));
    let (clock, ids) = (Arc::new(SystemClock::new()), Arc::new(UuidIds::new()));
    let blobs = Arc::new(DatabaseBlobs::new(store.clone(), seal.clone(), ids.clone(), clock.clone()));
    (States::new(store.clone(), blobs, seal, clock, ids), store)
}

/// A connection of the test's own.
pub(crate) async fn connect(database: &str) -> sqlx::AnyConnection {
    sqlx::any::install_default_drivers();
    sqlx::AnyConnection::connect(database).await.expect("the database answers")
}

/// One inside a transaction.
pub(crate) async fn begin(database: &str) -> sqlx::AnyConnection {
    let mut conn = connect(database).await;
    let begin = if database.starts_with("sqlite") {
        // A server may write now.
        sqlx::query("pragma busy_timeout=10000").execute(&mut conn).await.expect("set");
        "begin immediate"
    } else {
        "begin"
    };
    sqlx::query(begin).execute(&mut conn).await.expect("begun");
    conn
}

pub(crate) async fn end(mut conn: sqlx::AnyConnection) {
    sqlx::query("commit").execute(&mut conn).await.expect("committed");
    conn.close().await.expect("closed");
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

pub(crate) async fn ask(method: &str, url: &str, token: Option<&str>, headers: &[(&str, &str)], body: Bytes) -> Answer {
    try_ask(method, url, token, headers, body).await.unwrap_or_else(|error| panic!("{method} {url}: {error:?}"))
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Silence {
    /// The server never heard it.
    Unheard,
    /// Nobody knows.
    CutOff,
}

/// A request that may get no answer.
pub(crate) async fn try_ask(
    method: &str,
    url: &str,
    token: Option<&str>,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<Answer, Silence> {
    use base64::Engine as _;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let mut request = hyper::Request::builder().method(method).uri(url);
    if let Some(token) = token {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("buildit:{token}"));
        request = request.header("authorization", format!("Basic {pair}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body)).expect("a request");
    let silence = |error: hyper_util::client::legacy::Error| match error.is_connect() {
        true => Silence::Unheard,
        false => Silence::CutOff,
    };
    let answer = client.request(request).await.map_err(silence)?;
    let status = answer.status().as_u16();
    let value = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = answer.headers().iter().map(|(name, it)| (name.to_string(), value(it))).collect();
    let body = answer.into_body().collect().await.map_err(|_| Silence::CutOff)?.to_bytes();
    Ok(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

/// A state of the lineage `l` with something in it.
pub(crate) fn state(serial: i64, what: &str) -> String {
    of("l", serial, what)
}

fn of(lineage: &str, serial: i64, what: &str) -> String {
    format!(
        r#"{{"version":4,"terraform_version":"1.11.4","serial":{serial},"lineage":"{lineage}","outputs":{{"what":{{"value":"{what}","type":"string"}}}},"resources":[]}}"#
    )
}

pub(crate) fn info(id: &str, who: &str) -> String {
    format!(
        r#"{{"ID":"{id}","Operation":"OperationTypeApply","Info":"","Who":"{who}","Version":"1.11.4","Created":"2026-01-01T00:00:00Z","Path":""}}"#
    )
}

/// A working directory of one of the real tools.
pub(crate) struct Desk {
    pub(crate) dir: tempfile::TempDir,
    program: PathBuf,
    env: Vec<(String, String)>,
}

/// How a command of a tool ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

impl Ran {
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.text);
        self.text
    }

    pub(crate) fn fails(self) -> String {
        assert_eq!(self.code, Some(1), "{}", self.text);
        self.text
    }
}

impl Desk {
    pub(crate) fn new(program: &Path, address: &str, token: &str, main: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("main.tf"), main).expect("written");
        std::fs::write(dir.path().join("override.tf"), "terraform {\n  backend \"http\" {}\n}\n").expect("written");
        let mut desk = Self { dir, program: program.to_owned(), env: Vec::new() };
        for (name, value) in [
            ("TF_HTTP_ADDRESS", address),
            ("TF_HTTP_LOCK_ADDRESS", address),
            ("TF_HTTP_UNLOCK_ADDRESS", address),
            ("TF_HTTP_USERNAME", "buildit"),
            ("TF_HTTP_PASSWORD", token),
            ("TF_HTTP_RETRY_WAIT_MIN", "1"),
            ("TF_HTTP_RETRY_MAX", "1"),
        ] {
            desk.set(name, value);
        }
        desk
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(it, _)| it != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).expect("written");
    }

    #[expect(clippy::disallowed_methods, reason = "the real tools are what is tested")]
    fn command(&self, words: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command.current_dir(self.dir.path()).env_clear().args(words);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.dir.path());
        command.env("CHECKPOINT_DISABLE", "1").env("TF_IN_AUTOMATION", "1").env("TF_INPUT", "0");
        command.envs(self.env.iter().cloned());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        let done = self.command(words).output().expect("it runs");
        let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        // The tools break lines at the terminal's width.
        Ran { code: done.status.code(), text: text.replace("\n│ ", " ") }
    }
}

/// A test for each of the two tools, on a machine that has it.
macro_rules! with_both {
    ($($case:ident),* $(,)?) => {
        mod terraform {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(program) = crate::town::real::program(model::stack::Tool::Terraform) {
                    super::$case(&program).await;
                }
            })*
        }
        mod tofu {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(program) = crate::town::real::program(model::stack::Tool::OpenTofu) {
                    super::$case(&program).await;
                }
            })*
        }
    };
}
pub(crate) use with_both;
