//! Owns the socket: HTTP in and out, which room answers what. Never knows GitHub's rules.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;

use crate::git_http::{self, GitRequest};
use crate::limits::{self, Ask};
use crate::model::Model;
use crate::outage::{self, Fault};
use crate::rest::{self, Incoming, Pages};
use crate::slow::Slow;
use crate::surprise;
use crate::view::{self, Page};
use crate::webhook::Http;

/// The largest request: a pack of a push.
const LIMIT: usize = 256 << 20;

/// What every room shares.
pub(crate) struct Shared {
    model: Mutex<Model>,
    pub(crate) http: Http,
    /// Pushes run one at a time, so that what each moved is known.
    pub(crate) pushing: tokio::sync::Mutex<()>,
    pub(crate) slow: Slow,
    /// Requests to the API that are being answered.
    running: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(model: Model, http: Http) -> Shared {
        let (slow, running) = (Slow::default(), AtomicUsize::new(0));
        Shared { model: Mutex::new(model), http, pushing: tokio::sync::Mutex::new(()), slow, running }
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(dispatch).with_state(shared)
}

async fn dispatch(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LIMIT).await else { return plain(413, "too large") };
    shared.slow.pass().await;
    let ticket = shared.slow.ticket();
    let (struck, now) = {
        let mut model = shared.model();
        surprise::happen(&mut model, head.method.as_str(), head.uri.path());
        (outage::strike(&mut model, head.method.as_str(), head.uri.path()), model.now())
    };
    match struck {
        None => counted(shared, head, body).await,
        Some(Fault::AnswerHeld) => {
            let answer = routed(Arc::clone(&shared), head, body).await;
            shared.slow.held(ticket).await;
            answer
        }
        Some(fault) => {
            if matches!(fault, Fault::AnswerLost | Fault::AnswerCut) {
                // Carried out in full; nobody hears of it.
                drop(routed(shared, head, body).await);
            }
            outage::answer(fault, now)
        }
    }
}

/// Answers unless the caller has asked too much.
async fn counted(shared: Arc<Shared>, head: Parts, body: Bytes) -> Response {
    let path = head.uri.path();
    let below = if path == "/api/graphql" { Some("/graphql") } else { path.strip_prefix("/api/v3") };
    let Some(below) = below else { return routed(shared, head, body).await };
    let running = shared.running.fetch_add(1, Ordering::SeqCst);
    let ask = Ask { method: head.method.as_str(), path: below, body: &body };
    let admitted = {
        let mut model = shared.model();
        let crowd = model.limits.is_some_and(|limits| running >= limits.concurrent);
        let admitted = limits::admit(&mut model, text(&head.headers, "authorization").as_deref(), ask);
        admitted.map(|(rate, gone)| (rate, if crowd { Err(limits::crowded()) } else { gone }))
    };
    let mut response = match &admitted {
        Some((_, Err(stopped))) => {
            shared.model().requests += 1;
            let mut refused = json(stopped.refusal.status, &stopped.refusal.body());
            stopped.tell(refused.headers_mut());
            refused
        }
        _ => routed(Arc::clone(&shared), head, body).await,
    };
    shared.running.fetch_sub(1, Ordering::SeqCst);
    if let Some((rate, _)) = admitted {
        rate.tell(response.headers_mut());
    }
    response
}

async fn routed(shared: Arc<Shared>, head: Parts, body: Bytes) -> Response {
    let path = head.uri.path().to_owned();
    let query = pairs(head.uri.query().unwrap_or_default());
    if let Some(below) = path.strip_prefix("/api/v3") {
        let incoming = Incoming {
            method: head.method.to_string(),
            path: if below.is_empty() { "/".into() } else { below.to_owned() },
            query,
            authorization: text(&head.headers, "authorization"),
            body: body.to_vec(),
        };
        return api(shared, incoming).await;
    }
    if path == "/api/graphql" {
        return graphql(shared, text(&head.headers, "authorization"), body).await;
    }
    if let Some((repository, action)) = git_path(&path) {
        let request = GitRequest {
            repository,
            action,
            service: query.get("service").cloned(),
            protocol: text(&head.headers, "git-protocol"),
            authorization: text(&head.headers, "authorization"),
            gzip: text(&head.headers, "content-encoding").is_some_and(|it| it == "gzip"),
            body,
        };
        return git(&shared, request).await;
    }
    let form = pairs(std::str::from_utf8(&body).unwrap_or_default());
    page(shared, head.method == axum::http::Method::POST, path, form, head.headers).await
}

/// The repository and what git wants of it; as on GitHub the ending `.git` may be left out.
fn git_path(path: &str) -> Option<(String, String)> {
    let path = path.trim_start_matches('/');
    let ended = path.split_once(".git/");
    let wanted = ["info/refs", "git-upload-pack", "git-receive-pack"];
    let bare = || {
        let found = wanted.iter().find_map(|action| Some((path.strip_suffix(action)?.strip_suffix('/')?, *action)));
        found.filter(|(repository, _)| repository.split('/').count() == 2)
    };
    ended.or_else(bare).map(|(repository, action)| (repository.to_owned(), action.to_owned()))
}

async fn page(
    shared: Arc<Shared>,
    post: bool,
    path: String,
    form: BTreeMap<String, String>,
    headers: HeaderMap,
) -> Response {
    // A browser names the page that sent a form; another page's form is not taken.
    let (origin, login) = (text(&headers, "origin"), cookie(&headers, view::COOKIE));
    let done = tokio::task::spawn_blocking(move || {
        let mut model = shared.model();
        if post {
            let same = origin.is_none_or(|origin| origin == model.url);
            view::act(&mut model, &path, &form, same, login.as_deref())
        } else {
            view::show(&model, &path, login.as_deref())
        }
    })
    .await;
    let back = |path: String| Response::builder().status(303).header(header::LOCATION, path);
    let whole = |builder: axum::http::response::Builder| {
        builder.body(Body::empty()).unwrap_or_else(|_| plain(500, "an answer could not be written"))
    };
    let mut response = match done {
        Ok(Page::Html(status, html)) => plain(status, &html),
        Ok(Page::No(status, why)) => return plain(status, &why),
        Ok(Page::Back(path)) => return whole(back(path)),
        Ok(Page::Enter(path, login)) => {
            let cookie = format!("{}={login}; Path=/; HttpOnly; SameSite=Strict", view::COOKIE);
            return whole(back(path).header(header::SET_COOKIE, cookie));
        }
        Err(_) => return plain(500, "the double panicked; see its log"),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html; charset=utf-8"));
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static(policy));
    response
}

/// The value of a cookie.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = text(headers, "cookie")?;
    let found = all.split(';').filter_map(|pair| pair.trim().split_once('=')).find(|(it, _)| *it == name);
    found.map(|(_, value)| value.to_owned())
}

/// Answers REST in a thread that may wait for git.
async fn api(shared: Arc<Shared>, incoming: Incoming) -> Response {
    let done = tokio::task::spawn_blocking(move || {
        let mut model = shared.model();
        model.requests += 1;
        let id = format!("FAKE:{:06}", model.requests);
        let outcome = rest::answer(&mut model, &incoming);
        let link = outcome.pages.as_ref().and_then(|pages| links(&model.api(), &incoming, pages));
        (id, outcome, link)
    })
    .await;
    let Ok((id, outcome, link)) = done else { return plain(500, "the double panicked; see its log") };
    let mut response = Response::builder()
        .status(outcome.status)
        .header("X-GitHub-Request-Id", id)
        .header("X-GitHub-Media-Type", "github.v3; format=json")
        .header("X-GitHub-Enterprise-Version", "3.19.0")
        .header("X-RateLimit-Limit", "5000")
        .header("X-RateLimit-Remaining", "4999");
    if let Some(link) = link {
        response = response.header(header::LINK, link);
    }
    let body = match outcome.body {
        Some(body) => {
            response = response.header(header::CONTENT_TYPE, "application/json; charset=utf-8");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    response.body(body).unwrap_or_else(|_| plain(500, "an answer could not be written"))
}

async fn graphql(shared: Arc<Shared>, authorization: Option<String>, body: Bytes) -> Response {
    let done = tokio::task::spawn_blocking(move || {
        let mut model = shared.model();
        model.requests += 1;
        crate::graphql::answer(&mut model, authorization.as_deref(), &body)
    })
    .await;
    let (status, body) = match done {
        Ok(Ok(body)) => (200, body),
        Ok(Err(refusal)) => (refusal.status, refusal.body()),
        Err(_) => return plain(500, "the double panicked; see its log"),
    };
    json(status, &body)
}

async fn git(shared: &Arc<Shared>, request: GitRequest) -> Response {
    let answer = git_http::answer(shared, request).await;
    let mut response = Response::builder()
        .status(answer.status)
        .header(header::CONTENT_TYPE, answer.kind)
        .header(header::CACHE_CONTROL, "no-cache, max-age=0, must-revalidate");
    if answer.status == 401 {
        response = response.header(header::WWW_AUTHENTICATE, "Basic realm=\"GitHub\"");
    }
    response.body(Body::from(answer.body)).unwrap_or_else(|_| plain(500, "an answer could not be written"))
}

/// An answer in JSON.
pub(crate) fn json(status: u16, body: &serde_json::Value) -> Response {
    let mut response = plain(status, &body.to_string());
    let kind = header::HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A short plain answer.
pub(crate) fn plain(status: u16, message: &str) -> Response {
    let mut response = Response::new(Body::from(Bytes::copy_from_slice(message.as_bytes())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Reads `a=b&c=d`.
pub(crate) fn pairs(query: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| rest::decoded(&text.replace('+', " "));
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// GitHub's `Link` header; `None` when there is one page only.
fn links(api: &str, incoming: &Incoming, pages: &Pages) -> Option<String> {
    let address = |name: &str, value: &str| {
        let others = incoming.query.iter().filter(|(other, _)| *other != name);
        let mut query: Vec<String> =
            others.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        query.push(format!("{name}={}", encoded(value)));
        format!("{api}{}?{}", incoming.path, query.join("&"))
    };
    let mut all = Vec::new();
    match pages {
        Pages::After(cursor) => all.push(format!("<{}>; rel=\"next\"", address("after", cursor))),
        Pages::Numbered(page, last) => {
            let number = |page: usize| address("page", &page.to_string());
            if *page > 1 {
                all.push(format!("<{}>; rel=\"prev\"", number(page - 1)));
            }
            if page < last {
                all.push(format!("<{}>; rel=\"next\"", number(page + 1)));
                all.push(format!("<{}>; rel=\"last\"", number(*last)));
            }
            if *page > 1 {
                all.push(format!("<{}>; rel=\"first\"", number(1)));
            }
        }
    }
    (!all.is_empty()).then(|| all.join(", "))
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
