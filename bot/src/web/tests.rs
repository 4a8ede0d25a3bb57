//! Pages over rows made by hand: what is there, what is not, and who may read it.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode, header};
use bytes::Bytes;
use model::id::{PullNumber, RepoName, RunNumber};
use model::plan::Risk;
use model::publication::{RowStatus, Standing};
use model::run::RunState;
use model::time::Timestamp;
use tower::ServiceExt;

use super::*;
use crate::render::sample;

/// Rows in memory.
#[derive(Debug, Clone, Default)]
struct Rows {
    empty: bool,
    broken: bool,
    log: Vec<u8>,
    /// Bytes that are written so far.
    written: usize,
    hostile: bool,
}

fn repo() -> RepoName {
    RepoName::parse("acme/infra").expect("valid")
}

fn card(number: i64, stack: &str, state: RunState, risk: Risk) -> RunCard {
    RunCard {
        number: RunNumber::new(number),
        repo: repo(),
        pull: PullNumber::new(142),
        stack: stack.parse().expect("valid"),
        state,
        counts: (state == RunState::Planned).then(|| sample::network().counts),
        risk,
        created_at: Timestamp::from_seconds(1_795_000_000 - number),
        millis: state.is_terminal().then_some(41_000),
    }
}

const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{x}}";

#[async_trait]
impl Reads for Rows {
    async fn recent_pulls(&self, _limit: u32) -> Result<Vec<PullCard>, ReadError> {
        if self.broken {
            return Err(ReadError("the password of the database is hunter2".into()));
        }
        if self.empty {
            return Ok(Vec::new());
        }
        let pull = |number, title: &str, trouble: Option<&str>, states: &[RunState], risk| PullCard {
            repo: repo(),
            number: PullNumber::new(number),
            title: if self.hostile { HOSTILE.to_owned() } else { title.to_owned() },
            author: "ana".to_owned(),
            updated_at: Timestamp::from_seconds(1_795_000_000 - number),
            trouble: trouble.map(str::to_owned),
            quiet: (number == 140).then(|| "a draft: nothing planned yet".to_owned()),
            states: states.to_vec(),
            risk,
        };
        use RunState::{Failed, NoChange, Planned, Planning};
        Ok(vec![
            pull(145, "Rename the bucket", None, &[NoChange, NoChange], Risk::None),
            pull(144, "Add a private subnet in zone c", None, &[Planned, NoChange], Risk::Medium),
            pull(143, "Move logs to the new account", None, &[Planning, Planned], Risk::Low),
            pull(142, "Upgrade postgres to 16.3", None, &[Failed, Planned, NoChange], Risk::Data),
            pull(141, "Require two approvals", Some("stacks.kdl:12: unknown node \"aproval\""), &[], Risk::None),
            pull(140, "Try another region", None, &[], Risk::None),
        ])
    }
    async fn recent_runs(&self, _limit: u32) -> Result<Vec<RunCard>, ReadError> {
        if self.empty {
            return Ok(Vec::new());
        }
        Ok(vec![
            card(1049, "network", RunState::Planning, Risk::None),
            card(1048, "iam", RunState::NoChange, Risk::None),
            card(1047, "dns", RunState::Planned, Risk::Low),
            card(1045, "database", RunState::Planned, Risk::Data),
            card(1043, "cluster", RunState::Failed, Risk::None),
            card(1042, "assets/production/eu-west-1", RunState::Queued, Risk::None),
        ])
    }
    async fn pull(&self, wanted: &RepoName, number: PullNumber) -> Result<Option<PullPage>, ReadError> {
        let mut view = sample::view(Standing::Stacks(sample::many()));
        view.number = number;
        let title = if self.hostile { HOSTILE } else { "Upgrade postgres to 16.3" };
        let page = PullPage {
            title: title.to_owned(),
            author: "ana".to_owned(),
            github_url: Some("https://github.com/acme/infra/pull/142".to_owned()),
            view,
            runs: self.recent_runs(10).await?,
        };
        Ok((*wanted == repo() && number.get() == 142).then_some(page))
    }
    async fn run(&self, number: RunNumber) -> Result<Option<RunPage>, ReadError> {
        let (card, status) = match number.get() {
            1045 => (card(1045, "database", RunState::Planned, Risk::Data), sample::planned(sample::database())),
            1046 => (card(1046, "network", RunState::Planned, Risk::Medium), sample::planned(sample::network())),
            1043 => (card(1043, "cluster", RunState::Failed, Risk::None), RowStatus::Failed(sample::failure())),
            1049 => (card(1049, "network", RunState::Planning, Risk::None), RowStatus::Running(RunState::Planning)),
            _ => return Ok(None),
        };
        let stack = card.stack.to_string();
        let row = sample::row(&stack, number.get(), status);
        let ended_at = card.state.is_terminal().then(|| Timestamp::from_seconds(1_795_000_041));
        Ok(Some(RunPage { card, head: sample::sha("a1b2c3d4"), row, ended_at }))
    }
    async fn ready(&self) -> Result<(), ReadError> {
        if self.broken { Err(ReadError("the password of the database is hunter2".into())) } else { Ok(()) }
    }
    async fn log(&self, number: RunNumber, from: u64, limit: usize) -> Result<Option<LogWindow>, ReadError> {
        if self.run(number).await?.is_none() {
            return Ok(None);
        }
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(self.written);
        let to = from.saturating_add(limit).min(self.written);
        let bytes = Bytes::copy_from_slice(&self.log[from..to]);
        let next = u64::try_from(to).unwrap_or(0);
        Ok(Some(LogWindow { bytes, next, ended: to == self.log.len() }))
    }
}

fn app(rows: Rows, public_read: bool) -> Router {
    router(WebState { reads: Arc::new(rows), public_read, version: "0.1.0", banner: None })
}

fn rows() -> Rows {
    let log = b"Initializing the backend...\n\x1b[31m\xe2\x95\xb7\x1b[0m\n\x1b[31mError:\x1b[0m <b>\n".to_vec();
    Rows { written: log.len(), log, ..Rows::default() }
}

async fn get_from(app: Router, peer: &str, host: &str, path: &str, extra: Option<(&str, &str)>) -> Response<Body> {
    let mut request = Request::get(path).header(header::HOST, host);
    if let Some((name, value)) = extra {
        request = request.header(name, value);
    }
    let mut request = request.body(Body::empty()).expect("a request");
    let peer: SocketAddr = peer.parse().expect("an address");
    request.extensions_mut().insert(ConnectInfo(peer));
    app.oneshot(request).await.expect("infallible")
}

async fn text(response: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 50 << 20).await.expect("a body");
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn page(rows: Rows, path: &str) -> (StatusCode, String) {
    let response = get_from(app(rows, false), "127.0.0.1:5000", "127.0.0.1:8080", path, None).await;
    (response.status(), text(response).await)
}

#[tokio::test]
async fn only_this_machine_reads_without_the_setting() {
    for (peer, host, extra, wanted) in [
        ("127.0.0.1:1", "127.0.0.1:8080", None, 200),
        ("127.0.0.1:1", "localhost", None, 200),
        ("[::1]:1", "[::1]:8080", None, 200),
        ("[::ffff:127.0.0.1]:1", "localhost:8080", None, 200),
        ("10.0.0.7:1", "127.0.0.1:8080", None, 403),
        ("10.0.0.7:1", "localhost", Some(("x-forwarded-for", "127.0.0.1")), 403),
        ("127.0.0.1:1", "localhost", Some(("x-forwarded-for", "127.0.0.1")), 403),
        ("127.0.0.1:1", "localhost", Some(("forwarded", "for=127.0.0.1")), 403),
        ("127.0.0.1:1", "evil.example:8080", None, 403),
        ("127.0.0.1:1", "127.0.0.1.evil.example", None, 403),
    ] {
        for path in ["/", "/r/1045", "/r/1045/log", "/r/1045/events", "/acme/infra/pull/142", "/nothing"] {
            let status = get_from(app(rows(), false), peer, host, path, extra).await.status().as_u16();
            let wanted = if path == "/nothing" && wanted == 200 { 404 } else { wanted };
            assert_eq!(status, wanted, "{peer} {host} {extra:?} {path}");
        }
        for path in ["/healthz", "/readyz"] {
            assert_eq!(get_from(app(rows(), false), peer, host, path, extra).await.status(), 200, "{path}");
        }
    }
    let unknown = app(rows(), false).oneshot(Request::get("/").body(Body::empty()).expect("a request")).await;
    assert_eq!(unknown.expect("infallible").status(), 403, "a peer that is not known is a distant one");
    let open = get_from(app(rows(), true), "10.0.0.7:1", "buildit.example", "/", None).await;
    assert_eq!(open.status(), 200);
    let told = text(get_from(app(rows(), false), "10.0.0.7:1", "x", "/", None).await).await;
    assert!(told.contains("public_read = true"), "the page says what to do");
}

#[tokio::test]
async fn every_answer_carries_the_headers() {
    for path in ["/", "/r/1045", "/nothing", "/healthz", "/readyz", "/assets/none", "/r/1045/log"] {
        let response = get_from(app(rows(), false), "127.0.0.1:1", "localhost", path, None).await;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
    }
}

#[tokio::test]
async fn assets_are_named_by_their_content() {
    let (_, html) = page(rows(), "/").await;
    for kind in ["style", "app", "icon"] {
        let at = html.find(&format!("/assets/{kind}.")).expect("named in the layout");
        let path: String = html[at..].chars().take_while(|c| *c != '"').collect();
        let response = get_from(app(rows(), false), "10.0.0.7:1", "x", &path, None).await;
        assert_eq!(response.status(), 200, "{path}");
        let cache = response.headers()[header::CACHE_CONTROL].to_str().expect("ascii");
        assert!(cache.contains("immutable"), "{path}");
    }
}

#[tokio::test]
async fn pages_say_what_is_there() {
    let (status, html) = page(rows(), "/").await;
    assert_eq!(status, 200);
    assert!(html.contains("<title>3 pull requests need a look · BuildIt</title>"));
    let at = |needle: &str| html.find(needle).unwrap_or_else(|| panic!("{needle}"));
    assert!(at("unknown node") < at("Add a private subnet"), "what stops comes before what changes");
    assert!(at("Upgrade postgres") < at("Add a private subnet"));
    assert!(at("<h2>Others</h2>") < at("a draft: nothing planned yet"));

    let (status, html) = page(rows(), "/acme/infra/pull/142").await;
    assert_eq!(status, 200);
    for needle in [
        "cluster: init failed (5 of 6 planned)",
        "1 database would be destroyed",
        "href=\"/r/1043\"",
        "markdown-alert-caution",
    ] {
        assert!(html.contains(needle), "{needle}");
    }

    let (status, html) = page(rows(), "/r/1045").await;
    assert_eq!(status, 200);
    for needle in [
        "<title>Destroys 1 database: +1 ~0 −1 · run 1045 · BuildIt</title>",
        "<div class=\"del\">- aws_db_instance.main",
        "id=\"L3\"",
        "<span class=\"c1\">Error:</span> &lt;b&gt;",
    ] {
        assert!(html.contains(needle), "{needle}");
    }
    assert!(!html.contains("data-events"), "what has ended is not followed");

    let (_, html) = page(rows(), "/r/1043").await;
    assert!(html.contains("Failed to get existing workspaces"));
    let (_, html) = page(Rows { empty: true, ..rows() }, "/").await;
    assert!(html.contains("buildit init"), "an empty page says what to do");
}

#[tokio::test]
async fn what_is_not_there_is_404_and_a_failure_tells_nothing() {
    for path in ["/r/7", "/r/7/log", "/r/7/events", "/acme/infra/pull/1", "/acme/other/pull/142", "/a%20b/c/pull/1"] {
        assert_eq!(page(rows(), path).await.0, 404, "{path}");
    }
    let (status, html) = page(Rows { broken: true, ..rows() }, "/").await;
    assert_eq!(status, 500);
    assert!(!html.contains("hunter2"));
    let broken = Rows { broken: true, ..rows() };
    assert_eq!(page(broken.clone(), "/healthz").await.0, 200, "alive");
    assert_eq!(
        page(broken, "/readyz").await,
        (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n".to_owned())
    );
}

#[tokio::test]
async fn a_log_is_followed_by_whole_lines() {
    let log = "line one\nline two\nline thr".as_bytes().to_vec();
    let half = Rows { written: 13, log: log.clone(), ..Rows::default() };
    let (_, first) = page(half, "/r/1049/events?from=0").await;
    let first: serde_json::Value = serde_json::from_str(&first).expect("JSON");
    assert_eq!(first["lines"], serde_json::json!(["line one"]));
    assert_eq!((first["next"].as_u64(), first["done"].as_bool()), (Some(9), Some(false)));
    let whole = Rows { written: log.len(), log, ..Rows::default() };
    let (_, rest) = page(whole.clone(), "/r/1049/events?from=9").await;
    let rest: serde_json::Value = serde_json::from_str(&rest).expect("JSON");
    assert_eq!(rest["lines"], serde_json::json!(["line two", "line thr"]));
    assert_eq!(rest["done"], false, "the run itself has not ended");
    let (_, over) = page(whole, "/r/1045/events?from=26").await;
    let over: serde_json::Value = serde_json::from_str(&over).expect("JSON");
    assert_eq!((over["done"].as_bool(), over["state"].as_str()), (Some(true), Some("planned")));
}

#[tokio::test]
async fn a_long_log_is_read_to_its_end_in_pieces() {
    let log: Vec<u8> = (0..40_000).flat_map(|n| format!("line number {n} of many\n").into_bytes()).collect();
    let all = Rows { written: log.len(), log: log.clone(), ..Rows::default() };
    let (mut from, mut seen) = (0, 0);
    for _ in 0..100 {
        let (_, body) = page(all.clone(), &format!("/r/1045/events?from={from}")).await;
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        seen += body["lines"].as_array().expect("a list").len();
        from = body["next"].as_u64().expect("a number");
        if body["done"] == true {
            break;
        }
    }
    assert_eq!(seen, 40_000);
    let response = get_from(app(all, false), "127.0.0.1:1", "localhost", "/r/1045/log", None).await;
    assert!(text(response).await.into_bytes() == log, "the download is the whole log");
    // One line longer than a window must not stop the reader.
    let long = vec![b'x'; log::WINDOW * 2 + 5];
    let long = Rows { written: long.len(), log: long, ..Rows::default() };
    let (_, body) = page(long, "/r/1045/events?from=0").await;
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["next"].as_u64(), u64::try_from(log::WINDOW).ok());
}

#[tokio::test]
async fn hostile_text_is_text() {
    for path in ["/", "/acme/infra/pull/142"] {
        let (status, html) = page(Rows { hostile: true, ..rows() }, path).await;
        assert_eq!(status, 200);
        assert!(!html.contains("<script>alert") && !html.contains("<img"), "{path}");
        assert!(html.contains("&#60;script&#62;") || html.contains("&lt;script&gt;"), "{path}");
    }
}

#[tokio::test]
async fn no_page_has_inline_script_or_style() {
    for path in ["/", "/acme/infra/pull/142", "/r/1045", "/r/1043", "/r/1049", "/nothing"] {
        let (_, html) = page(rows(), path).await;
        for bad in ["<style", " style=\"", "onclick", "onerror", "javascript:", "<script>"] {
            assert!(!html.contains(bad), "{path}: {bad}");
        }
    }
}
