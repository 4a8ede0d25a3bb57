//! States of stacks over HTTP, as the `http` backend of terraform and OpenTofu speaks.
//!
//! Owns: methods, status codes, limits and Content-MD5. It decides nothing: who may do what, and what becomes of a
//! write, is `reconciler::states`.
//!
//! Invariants: nothing is answered without a token that is good for exactly this stack; a body is capped while it
//! streams; a state that cannot be read is an error of the server, never "there is none" (a tool would create
//! everything again).

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt as _;
use md5::{Digest as _, Md5};
use model::id::{RepoId, RepoName, StackName};
use reconciler::desk::{Desk, DeskError, TokensError};
use reconciler::states::{Grant, Holder, LockError, LockRequest, StateError, States, TokenError, Written};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Larger states are refused.
pub const LIMIT: usize = 128 << 20;
/// Larger lock infos are nobody's.
const LOCK_LIMIT: usize = 64 << 10;
/// A body that pauses for longer is cut off.
const PATIENCE: Duration = Duration::from_secs(30);

/// The route of jobs, `/state/{repository id}/{stack}` as `reconciler::states::path` makes it; and that of people.
pub fn router(states: States, desk: Desk) -> Router {
    let of_jobs = Router::new().route("/state/{repo}/{*stack}", any(by_run)).with_state(states.clone());
    let of_people = "/api/v1/repos/{owner}/{repo}/state/backend/{*stack}";
    of_jobs.merge(Router::new().route(of_people, any(by_person)).with_state((states, desk)))
}

#[derive(Debug, Deserialize)]
struct Asked {
    /// The lock that a write names.
    #[serde(rename = "ID")]
    lock: Option<String>,
}

async fn by_run(
    State(states): State<States>,
    Path((repo, stack)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match authenticate(&states, &repo, &stack, &headers).await {
        Ok(grant) => serve(&states, &grant, &method, asked, &headers, body).await,
        Err(refused) => refused,
    }
}

async fn by_person(
    State((states, desk)): State<(States, Desk)>,
    Path((owner, repo, stack)): Path<(String, String, String)>,
    Query(asked): Query<Asked>,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match of_person(&desk, &format!("{owner}/{repo}"), &stack, &headers).await {
        Ok(grant) => serve(&states, &grant, &method, asked, &headers, body).await,
        Err(refused) => refused,
    }
}

/// The same with an API token as the password.
async fn of_person(desk: &Desk, repo: &str, stack: &str, headers: &HeaderMap) -> Result<Grant, Response> {
    let token = password(headers).ok_or_else(unauthorised)?;
    let wrong = |error: &dyn std::fmt::Display| text(StatusCode::BAD_REQUEST, error);
    let repo = RepoName::parse(repo).map_err(|error| wrong(&error))?;
    let stack = StackName::parse(stack).map_err(|error| wrong(&error))?;
    let granted = match desk.caller(&token).await {
        Ok(caller) => desk.grant(&caller, &repo, &stack).await,
        Err(error) => Err(error),
    };
    granted.map_err(|error| match &error {
        DeskError::Token(TokensError::Unknown | TokensError::Ended { .. })
        | DeskError::Scope { .. }
        | DeskError::NoRepository { .. } => text(StatusCode::FORBIDDEN, &error),
        _ => broken(&error),
    })
}

async fn serve(
    states: &States,
    grant: &Grant,
    method: &Method,
    asked: Asked,
    headers: &HeaderMap,
    body: Body,
) -> Response {
    let lock = asked.lock.as_deref();
    let answered = match method.as_str() {
        "GET" => read(states, grant).await,
        "POST" => write(states, grant, lock, headers, body).await,
        "DELETE" => remove(states, grant).await,
        "LOCK" => take(states, grant, headers, body).await,
        "UNLOCK" => release(states, grant, headers, body).await,
        _ => {
            let allowed = [(header::ALLOW, "GET, POST, DELETE, LOCK, UNLOCK")];
            Err((StatusCode::METHOD_NOT_ALLOWED, allowed, "a state knows GET, POST, DELETE, LOCK and UNLOCK\n")
                .into_response())
        }
    };
    answered.unwrap_or_else(|refused| refused)
}

/// Who asks: the password of Basic authentication is the token, whatever the user's name.
async fn authenticate(states: &States, repo: &str, stack: &str, headers: &HeaderMap) -> Result<Grant, Response> {
    let token = password(headers).ok_or_else(unauthorised)?;
    let unknown = || text(StatusCode::FORBIDDEN, &TokenError::Unknown);
    let repo = repo.parse().map(RepoId::new).map_err(|_| unknown())?;
    let stack = StackName::parse(stack).map_err(|_| unknown())?;
    match states.authenticate(repo, &stack, &token).await {
        Ok(grant) => Ok(grant),
        Err(TokenError::Unknown) => Err(unknown()),
        Err(error) => Err(broken(&error)),
    }
}

fn unauthorised() -> Response {
    let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"BuildIt state\"")];
    (StatusCode::UNAUTHORIZED, ask, "a state needs a token as password\n").into_response()
}

fn password(headers: &HeaderMap) -> Option<String> {
    let (scheme, value) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    Some(decoded.split_once(':')?.1.to_owned())
}

async fn read(states: &States, grant: &Grant) -> Result<Response, Response> {
    if !grant.may_read() {
        return Err(text(StatusCode::FORBIDDEN, &TokenError::Unknown));
    }
    let current = states.current(grant.repo(), grant.stack()).await.map_err(|error| refused(&error))?;
    let Some((_, bytes)) = current else { return Err(StatusCode::NO_CONTENT.into_response()) };
    let mut response = bytes.clone().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let sum = STANDARD.encode(Md5::digest(&bytes));
    // Base64 is always a header's value.
    if let Ok(sum) = HeaderValue::from_str(&sum) {
        headers.insert("content-md5", sum);
    }
    Ok(response)
}

async fn write(
    states: &States,
    grant: &Grant,
    lock: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Response> {
    let body = collect(headers, body, LIMIT).await?;
    match states.write(grant, lock, body).await {
        Ok(Written::Head(version)) => {
            tracing::info!(repo = %grant.repo(), stack = %grant.stack(), version = version.number, "a state was written");
            Ok(StatusCode::OK.into_response())
        }
        Ok(Written::Kept { refusal, version }) => {
            tracing::warn!(
                repo = %grant.repo(), stack = %grant.stack(), version = version.number, %refusal,
                "a state was refused and kept"
            );
            let number = version.number;
            let why = format!(
                "not taken: {refusal}\n  it is kept as version {number} beside the state\n  do: compare it, then perhaps: buildit state promote {number}"
            );
            Err(text(StatusCode::CONFLICT, &why))
        }
        Err(error) => Err(refused(&error)),
    }
}

async fn remove(states: &States, grant: &Grant) -> Result<Response, Response> {
    match states.remove(grant).await {
        Ok(()) => Ok(StatusCode::OK.into_response()),
        Err(error) => Err(refused(&error)),
    }
}

async fn take(states: &States, grant: &Grant, headers: &HeaderMap, body: Body) -> Result<Response, Response> {
    let body = collect(headers, body, LOCK_LIMIT).await?;
    let request = LockRequest::read(&body).map_err(|error| text(StatusCode::BAD_REQUEST, &error))?;
    match states.lock(grant, &request).await {
        Ok(()) => Ok(StatusCode::OK.into_response()),
        Err(error) => Err(locked(error)),
    }
}

/// terraform's own `force-unlock` sends an empty body, OpenTofu's the id alone.
async fn release(states: &States, grant: &Grant, headers: &HeaderMap, body: Body) -> Result<Response, Response> {
    let body = collect(headers, body, LOCK_LIMIT).await?;
    let request = match body.is_empty() {
        true => None,
        false => Some(LockRequest::read(&body).map_err(|error| text(StatusCode::BAD_REQUEST, &error))?),
    };
    match states.unlock(grant, request.as_ref().map(|it| it.id.as_str())).await {
        Ok(()) => Ok(StatusCode::OK.into_response()),
        Err(error) => Err(locked(error)),
    }
}

/// All of a body, capped while it streams, and as its sender summed it.
pub(super) async fn collect(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Response> {
    let large = || text(StatusCode::PAYLOAD_TOO_LARGE, &format!("more than {limit} bytes"));
    let length = headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(large());
    }
    let mut bytes = Vec::new();
    let mut stream = body.into_data_stream();
    loop {
        let next = tokio::time::timeout(PATIENCE, stream.next()).await;
        let chunk = match next.map_err(|_| text(StatusCode::REQUEST_TIMEOUT, &"the body stopped"))? {
            Some(Ok(chunk)) => chunk,
            Some(Err(_)) => return Err(text(StatusCode::BAD_REQUEST, &"the body was cut off")),
            None => break,
        };
        if bytes.len() + chunk.len() > limit {
            return Err(large());
        }
        bytes.extend_from_slice(&chunk);
    }
    let sum = headers.get("content-md5").map(|it| STANDARD.decode(it.as_bytes()).unwrap_or_default());
    if sum.is_some_and(|sum| sum != Md5::digest(&bytes).as_slice()) {
        return Err(text(StatusCode::BAD_REQUEST, &"the body is not the one that Content-MD5 sums; send it again"));
    }
    Ok(bytes.into())
}

fn text(status: StatusCode, what: &dyn std::fmt::Display) -> Response {
    (status, format!("{what}\n")).into_response()
}

/// The server's own fault: logged, not shown. The tools try such requests again.
fn broken(error: &(dyn std::error::Error + 'static)) -> Response {
    tracing::error!(error, "a state could not be served");
    text(StatusCode::INTERNAL_SERVER_ERROR, &"the server failed; its log says why")
}

fn refused(error: &StateError) -> Response {
    let status = match error {
        StateError::Locked { holder, .. } => return held(holder),
        StateError::Document(_) => StatusCode::BAD_REQUEST,
        StateError::ReadOnly => StatusCode::FORBIDDEN,
        StateError::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
        StateError::NoState { .. } | StateError::NoVersion { .. } => StatusCode::NOT_FOUND,
        StateError::Unfit { .. }
        | StateError::NotHeld { .. }
        | StateError::Running { .. }
        | StateError::Conflict { .. }
        | StateError::TooManyOrphans { .. } => StatusCode::CONFLICT,
        StateError::Store(_)
        | StateError::Blob(_)
        | StateError::Seal(_)
        | StateError::Random
        | StateError::Damaged { .. } => return broken(error),
    };
    text(status, error)
}

fn locked(error: LockError) -> Response {
    match error {
        LockError::Held(holder) => held(&holder),
        LockError::ReadOnly => text(StatusCode::FORBIDDEN, &error),
        // The tools show nothing but a lock info of such an answer.
        LockError::Over | LockError::Running(_) | LockError::Frozen(_) => {
            (StatusCode::LOCKED, axum::Json(info(Map::new(), "", &error.to_string()))).into_response()
        }
        LockError::Store(_) | LockError::Seal(_) | LockError::Random => broken(&error),
    }
}

/// 423 with the holder as the body: what its client said, and who it is here.
fn held(holder: &Holder) -> Response {
    let said = serde_json::from_str(&holder.info).unwrap_or_default();
    (StatusCode::LOCKED, axum::Json(info(said, &holder.id, &holder.actor))).into_response()
}

/// A lock info that every version of the tools can read.
fn info(mut said: Map<String, Value>, id: &str, who: &str) -> Value {
    for name in ["Operation", "Who", "Version", "Path"] {
        said.entry(name).or_insert_with(|| json!(""));
    }
    said.entry("Created").or_insert_with(|| json!("0001-01-01T00:00:00Z"));
    said.insert("ID".to_owned(), json!(id));
    said.insert("Info".to_owned(), json!(who));
    Value::Object(said)
}
