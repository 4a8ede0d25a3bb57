//! `POST /webhook`: verify, read a hint, hand it over, answer 202.
//!
//! Invariants: nothing of the body is parsed before its signature was compared in constant time over the raw
//! bytes; the body is capped while it streams; the answer says nothing to who cannot sign. What a delivery says is
//! never believed: it only names what to look at.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::StreamExt as _;
use model::id::{CheckRunId, CommitSha, InstallationId, PullNumber, RepoId, RepoName};
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// GitHub drops larger ones itself.
pub const LIMIT: usize = 25 << 20;
/// A body that takes longer is cut off.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a delivery asks us to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// A pull request: its facts or its comments.
    Pull {
        /// Where.
        repo: HintRepo,
        /// Which.
        number: PullNumber,
    },
    /// A branch moved, appeared or went.
    Branch {
        /// Where.
        repo: HintRepo,
        /// Its name, without `refs/heads/`.
        branch: String,
    },
    /// Somebody pressed "Re-run" on a check of ours.
    Rerun {
        /// Where.
        repo: HintRepo,
        /// The commit of the checks.
        commit: CommitSha,
        /// The one check; `None` for all of the commit.
        check: Option<CheckRunId>,
    },
    /// A repository was renamed, archived, moved.
    Repository {
        /// Which.
        repo: HintRepo,
    },
    /// Repositories came to or left an installation.
    Installation {
        /// Which.
        installation: InstallationId,
    },
}

/// A repository as a delivery names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HintRepo {
    /// Its number.
    pub id: RepoId,
    /// `owner/name` at that time.
    pub name: RepoName,
    /// The installation that the delivery is for.
    pub installation: InstallationId,
}

/// Keeps deliveries: once durably, then 202. A delivery whose id was kept before is Ok.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Stores the delivery and marks its keys due, in one transaction.
    ///
    /// # Errors
    /// It could not be stored; GitHub then shows the delivery as failed and it can be sent again.
    async fn accept(&self, delivery: &str, event: &str, hints: Vec<Hint>) -> Result<(), String>;
}

/// What the route needs.
pub struct Receiver {
    key: hmac::Key,
    intake: Arc<dyn Intake>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// The route `POST /webhook`.
pub fn router(secret: &SecretString, intake: Arc<dyn Intake>) -> Router {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    Router::new().route("/webhook", post(receive)).with_state(Arc::new(Receiver { key, intake }))
}

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Body) -> Response {
    let Some(signature) = signature(&headers) else { return refuse(StatusCode::UNAUTHORIZED) };
    let length = one(&headers, header::CONTENT_LENGTH.as_str()).and_then(|text| text.parse::<usize>().ok());
    if length.is_some_and(|length| length > LIMIT) {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let bytes = match tokio::time::timeout(PATIENCE, collect(body)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(status)) => return refuse(status),
        Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT),
    };
    if hmac::verify(&receiver.key, &bytes, &signature).is_err() {
        return refuse(StatusCode::UNAUTHORIZED);
    }
    let json = one(&headers, header::CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with("application/json"));
    if !json {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "set the webhook's content type to application/json\n")
            .into_response();
    }
    let event = one(&headers, "x-github-event").filter(|text| is_word(text));
    let delivery = one(&headers, "x-github-delivery").filter(|text| is_word(text));
    let (Some(event), Some(delivery)) = (event, delivery) else {
        return (StatusCode::BAD_REQUEST, "X-GitHub-Event or X-GitHub-Delivery is missing\n").into_response();
    };
    if serde_json::from_slice::<IgnoredAny>(&bytes).is_err() {
        return (StatusCode::BAD_REQUEST, "the body is not JSON\n").into_response();
    }
    let hints = hints(event, &bytes);
    if hints.is_empty() {
        tracing::debug!(event, delivery, "a delivery without a meaning for us");
        return StatusCode::ACCEPTED.into_response();
    }
    match receiver.intake.accept(delivery, event, hints).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(error) => {
            tracing::error!(event, delivery, error, "a delivery could not be stored");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

fn refuse(status: StatusCode) -> Response {
    status.into_response()
}

/// The only value of a header; none when it is repeated or not text.
fn one<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() {
        return None;
    }
    first.to_str().ok()
}

fn is_word(text: &str) -> bool {
    (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn signature(headers: &HeaderMap) -> Option<Vec<u8>> {
    let digits = one(headers, "x-hub-signature-256")?.strip_prefix("sha256=")?;
    if digits.len() != 64 {
        return None;
    }
    hex::decode(digits).ok()
}

async fn collect(body: Body) -> Result<Vec<u8>, StatusCode> {
    let mut bytes = Vec::new();
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| StatusCode::BAD_REQUEST)?;
        if bytes.len() + chunk.len() > LIMIT {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[derive(Deserialize)]
struct Id {
    id: i64,
}

#[derive(Deserialize)]
struct Repository {
    id: i64,
    full_name: String,
}

#[derive(Deserialize)]
struct Common {
    repository: Repository,
    installation: Id,
}

#[derive(Deserialize)]
struct Number {
    number: i64,
}

#[derive(Deserialize)]
struct OfPull {
    pull_request: Number,
}

#[derive(Deserialize)]
struct Issue {
    number: i64,
    pull_request: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct OfIssue {
    issue: Issue,
}

#[derive(Deserialize)]
struct OfRef {
    #[serde(rename = "ref")]
    name: String,
    ref_type: Option<String>,
}

#[derive(Deserialize)]
struct Check {
    id: i64,
    head_sha: String,
}

#[derive(Deserialize)]
struct OfCheck {
    action: String,
    check_run: Option<Check>,
    check_suite: Option<Check>,
}

#[derive(Deserialize)]
struct OfInstallation {
    installation: Id,
}

/// What a verified delivery asks us to look at; nothing for what we do not know or cannot read.
pub fn hints(event: &str, body: &[u8]) -> Vec<Hint> {
    match event {
        "pull_request" | "pull_request_review" | "pull_request_review_thread" => with_repo(body, |repo, it: OfPull| {
            vec![Hint::Pull { repo, number: PullNumber::new(it.pull_request.number) }]
        }),
        "issue_comment" => with_repo(body, |repo, it: OfIssue| match it.issue.pull_request {
            Some(_) => vec![Hint::Pull { repo, number: PullNumber::new(it.issue.number) }],
            None => Vec::new(),
        }),
        "push" | "create" | "delete" => with_repo(body, |repo, it: OfRef| {
            let branch = it.name.strip_prefix("refs/heads/").map(str::to_owned);
            let named = (it.ref_type.as_deref() == Some("branch")).then(|| it.name.clone());
            branch.or(named).map(|branch| Hint::Branch { repo, branch }).into_iter().collect()
        }),
        "check_run" | "check_suite" => with_repo(body, |repo, it: OfCheck| reruns(repo, it)),
        "repository" => with_repo(body, |repo, _: IgnoredAny| vec![Hint::Repository { repo }]),
        "installation" | "installation_repositories" => parse::<OfInstallation>(body)
            .map(|it| Hint::Installation { installation: InstallationId::new(it.installation.id) })
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

fn reruns(repo: HintRepo, it: OfCheck) -> Vec<Hint> {
    if it.action != "rerequested" {
        return Vec::new();
    }
    let (head, check) = match (it.check_run, it.check_suite) {
        (Some(run), _) => (run.head_sha, Some(CheckRunId::new(run.id))),
        (None, Some(suite)) => (suite.head_sha, None),
        (None, None) => return Vec::new(),
    };
    CommitSha::parse(&head).map(|commit| Hint::Rerun { repo, commit, check }).into_iter().collect()
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

fn with_repo<T: DeserializeOwned>(body: &[u8], make: impl FnOnce(HintRepo, T) -> Vec<Hint>) -> Vec<Hint> {
    let (Some(common), Some(it)) = (parse::<Common>(body), parse::<T>(body)) else { return Vec::new() };
    let Ok(name) = RepoName::parse(&common.repository.full_name) else { return Vec::new() };
    let repo = HintRepo {
        id: RepoId::new(common.repository.id),
        name,
        installation: InstallationId::new(common.installation.id),
    };
    make(repo, it)
}
