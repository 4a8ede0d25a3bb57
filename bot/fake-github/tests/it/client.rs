//! A plain HTTP client, an app that signs its JWT, and a double with a repository.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use fake_github::{AppCredentials, AppSpec, Change, FakeGitHub, NewPull, Options, Role};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// 2026-01-01T00:00:00Z in seconds.
pub(crate) const START: i64 = 1_767_225_600;

/// A double with the organisation `acme`, the app `buildit` and the private repository `acme/infra`.
pub(crate) struct World {
    pub(crate) github: FakeGitHub,
    pub(crate) app: AppCredentials,
    pub(crate) installation: u64,
    /// Seconds since the epoch.
    clock: Arc<AtomicI64>,
}

/// An answer: status, the header `Link`, the JSON (null without a body).
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) link: String,
    pub(crate) body: Value,
    /// The header `Retry-After`.
    pub(crate) retry_after: Option<i64>,
    /// The header `X-RateLimit-Remaining`.
    pub(crate) remaining: Option<i64>,
}

pub(crate) fn world() -> World {
    world_with(|_| {})
}

/// The same with options of its own.
pub(crate) fn world_with(change: impl FnOnce(&mut Options)) -> World {
    let clock = Arc::new(AtomicI64::new(START));
    let time = Arc::clone(&clock);
    let mut options =
        Options { clock: Arc::new(move || time.load(Ordering::SeqCst) * 1_000_000), ..Options::default() };
    change(&mut options);
    let github = FakeGitHub::start(options).expect("the double starts");
    github.add_user("ana", "ana-token").expect("ana is new");
    github.add_user("ben", "ben-token").expect("ben is new");
    github.create_repository("acme", "infra", &[("main.tf", "# one\n")]).expect("the repository is new");
    github.set_permission("acme/infra", "ana", Role::Write).expect("ana is there");
    github.set_permission("acme/infra", "ben", Role::Write).expect("ben is there");
    let permissions = [
        ("administration", "read"),
        ("checks", "write"),
        ("contents", "write"),
        ("deployments", "write"),
        ("issues", "write"),
        ("members", "read"),
        ("merge_queues", "write"),
        ("pull_requests", "write"),
        ("statuses", "write"),
    ];
    let events = [
        "branch_protection_rule",
        "check_run",
        "check_suite",
        "deployment",
        "deployment_status",
        "issue_comment",
        "issues",
        "membership",
        "merge_group",
        "pull_request",
        "pull_request_review",
        "pull_request_review_comment",
        "pull_request_review_thread",
        "push",
        "repository_ruleset",
        "status",
        "team",
    ];
    let app = github.create_app(AppSpec::new(7, "buildit", "s3cret", &permissions, &events)).expect("the app is new");
    let installation = github.install_app(7, "acme/infra").expect("both are there");
    World { github, app, installation, clock }
}

impl World {
    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    /// Ana's branch `bucket` with one more file, and a pull request of it.
    pub(crate) fn open(&self) -> u64 {
        let change = [Change::write("bucket.tf", "# two\n")];
        self.github.commit_files("acme/infra", "bucket", "ana", "Add a bucket", &change).expect("the commit is made");
        let new =
            NewPull { title: "Add a bucket".into(), head: "bucket".into(), base: "main".into(), ..NewPull::default() };
        self.github.open_pull("acme/infra", "ana", &new).expect("the pull request opens")
    }

    pub(crate) fn jwt(&self, claims: &Value) -> String {
        jwt(&self.app.private_key_pem, claims)
    }

    pub(crate) fn good_jwt(&self) -> String {
        self.jwt(&json!({"iss": "7", "iat": self.now() - 30, "exp": self.now() + 500}))
    }

    pub(crate) async fn app_token(&self, body: &Value) -> String {
        let path = format!("/app/installations/{}/access_tokens", self.installation);
        let answer = self.send("POST", &path, &format!("Bearer {}", self.good_jwt()), body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["token"].as_str().expect("a token").to_owned()
    }

    pub(crate) async fn send(&self, method: &str, path: &str, authorization: &str, body: &Value) -> Answer {
        let url = format!("{}{path}", self.github.api_url());
        send(method, &url, authorization, body).await
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.send("GET", path, &format!("token {token}"), &Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.send("POST", path, &format!("token {token}"), body).await
    }
}

pub(crate) fn jwt(pem: &str, claims: &Value) -> String {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = RsaKeyPair::from_der(&STANDARD.decode(body).expect("base64")).expect("an RSA key");
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "RS256", "typ": "JWT"})), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    key.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).expect("it signs");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub(crate) async fn send(method: &str, url: &str, authorization: &str, body: &Value) -> Answer {
    try_send(method, url, authorization, body).await.expect("a whole answer")
}

/// The same; `None` when the connection ended before the answer did.
pub(crate) async fn try_send(method: &str, url: &str, authorization: &str, body: &Value) -> Option<Answer> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let mut request = Request::builder().method(method).uri(url);
    if !authorization.is_empty() {
        request = request.header("Authorization", authorization);
    }
    let answer = client.request(request.body(Full::new(bytes)).expect("a request")).await.ok()?;
    let status = answer.status().as_u16();
    let header = |name: &str| answer.headers().get(name).map(|it| it.to_str().expect("text").to_owned());
    let number = |name: &str| header(name).map(|it| it.parse().expect("a number"));
    let link = header("link").unwrap_or_default();
    let (retry_after, remaining) = (number("retry-after"), number("x-ratelimit-remaining"));
    let bytes = answer.into_body().collect().await.ok()?.to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
    let body = if bytes.is_empty() { Value::Null } else { body };
    Some(Answer { status, link, body, retry_after, remaining })
}

/// Waits for a state, at most ten seconds.
pub(crate) async fn until(state: impl Fn() -> bool) {
    let waiting = async {
        while !state() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), waiting).await.expect("it comes to that");
}

/// Sends a form as a page of `origin` would; answers the status.
pub(crate) async fn post_form(url: &str, form: &'static str, origin: &str) -> u16 {
    press(url, form.to_owned(), origin).await.0
}

/// The same; answers the status and the path to look at next.
pub(crate) async fn press(url: &str, form: String, origin: &str) -> (u16, String) {
    let (status, path, _) = switch(url, &form, origin).await;
    (status, path)
}

/// The same, with the cookie.
pub(crate) async fn switch(url: &str, form: &str, origin: &str) -> (u16, String, String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = Request::post(url).header("Origin", origin).body(Full::new(Bytes::from(form.to_owned())));
    let answer = client.request(request.expect("a request")).await.expect("an answer");
    let header = |name: &str| answer.headers().get(name).map_or("", |it| it.to_str().expect("text")).to_owned();
    (answer.status().as_u16(), header("location"), header("set-cookie"))
}

/// Looks at a page with this cookie; answers the status and the page.
pub(crate) async fn get_page(url: &str, cookie: &str) -> (u16, String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = Request::get(url).header("Cookie", cookie).body(Full::new(Bytes::new()));
    let answer = client.request(request.expect("a request")).await.expect("an answer");
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    (status, String::from_utf8(body.to_vec()).expect("text"))
}
