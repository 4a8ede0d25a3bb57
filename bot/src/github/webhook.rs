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
use model::publication::CheckAction;
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
    /// Somebody else's check or status of a commit changed.
    Commit {
        /// Where.
        repo: HintRepo,
        /// Which.
        commit: CommitSha,
        /// Who caused it.
        by: String,
    },
    /// Somebody pressed a button of a check of ours: "Re-run", or one of the check's own.
    Pressed {
        /// Where.
        repo: HintRepo,
        /// The commit of the checks.
        commit: CommitSha,
        /// The one check; `None` for all of the commit.
        check: Option<CheckRunId>,
        /// What the button asks for.
        action: CheckAction,
        /// Who.
        by: Presser,
    },
    /// What branches ask for changed: of one repository, or of all.
    Rules {
        /// For which installation.
        installation: InstallationId,
        /// The one repository.
        repo: Option<HintRepo>,
    },
    /// Who is in which team changed.
    Teams {
        /// Of which installation's organisation.
        installation: InstallationId,
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

/// Who pressed a button. Nothing of it is a right: that is asked of GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presser {
    /// The login.
    pub login: String,
    /// An account of a program?
    pub bot: bool,
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
    // Every delivery of an App names the App that it is for.
    let own = one(&headers, "x-github-hook-installation-target-id").and_then(|id| id.parse().ok());
    let hints = hints(event, own, &bytes);
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
struct Group {
    head_ref: String,
}

#[derive(Deserialize)]
struct OfGroup {
    merge_group: Group,
}

#[derive(Deserialize)]
struct Check {
    id: i64,
    head_sha: String,
    app: Option<Id>,
}

#[derive(Deserialize)]
struct Sender {
    login: String,
    #[serde(rename = "type", default)]
    kind: String,
}

#[derive(Deserialize)]
struct Requested {
    identifier: String,
}

#[derive(Deserialize)]
struct OfCheck {
    action: String,
    check_run: Option<Check>,
    check_suite: Option<Check>,
    requested_action: Option<Requested>,
    sender: Sender,
}

#[derive(Deserialize)]
struct OfStatus {
    sha: String,
    sender: Sender,
}

#[derive(Deserialize)]
struct Written {
    user: Option<Id>,
    performed_via_github_app: Option<Id>,
}

#[derive(Deserialize)]
struct OfComment {
    action: String,
    comment: Written,
    sender: Id,
}

#[derive(Deserialize)]
struct OfInstallation {
    installation: Id,
}

/// What a verified delivery asks us to look at; nothing for what we do not know or cannot read, and for what the App
/// `own`, which the delivery is for, did by itself.
pub fn hints(event: &str, own: Option<i64>, body: &[u8]) -> Vec<Hint> {
    match event {
        "pull_request" | "pull_request_review" | "pull_request_review_thread" => with_repo(body, |repo, it: OfPull| {
            vec![Hint::Pull { repo, number: PullNumber::new(it.pull_request.number) }]
        }),
        "issue_comment" if is_own_writing(own, body) => Vec::new(),
        "issue_comment" => with_repo(body, |repo, it: OfIssue| match it.issue.pull_request {
            Some(_) => vec![Hint::Pull { repo, number: PullNumber::new(it.issue.number) }],
            None => Vec::new(),
        }),
        "push" | "create" | "delete" => with_repo(body, |repo, it: OfRef| {
            let branch = it.name.strip_prefix("refs/heads/").map(str::to_owned);
            let named = (it.ref_type.as_deref() == Some("branch")).then(|| it.name.clone());
            branch.or(named).map(|branch| Hint::Branch { repo, branch }).into_iter().collect()
        }),
        // A group is a branch of its own; its name tells the base.
        "merge_group" => with_repo(body, |repo, it: OfGroup| {
            let branch = it.merge_group.head_ref.strip_prefix("refs/heads/").map(str::to_owned);
            branch.map(|branch| Hint::Branch { repo, branch }).into_iter().collect()
        }),
        "check_run" | "check_suite" => {
            with_repo(body, |repo, it: OfCheck| of_check(repo, own, it).into_iter().collect())
        }
        "status" => with_repo(body, |repo, it: OfStatus| {
            let by = it.sender.login;
            CommitSha::parse(&it.sha).map(|commit| Hint::Commit { repo, commit, by }).into_iter().collect()
        }),
        "branch_protection_rule" | "repository_ruleset" => of_owner(body, |installation, repo| {
            // A ruleset of the organisation comes without a repository.
            Hint::Rules { installation, repo }
        }),
        "team" | "membership" => of_owner(body, |installation, _| Hint::Teams { installation }),
        "repository" => with_repo(body, |repo, _: IgnoredAny| vec![Hint::Repository { repo }]),
        "installation" | "installation_repositories" => parse::<OfInstallation>(body)
            .map(|it| Hint::Installation { installation: InstallationId::new(it.installation.id) })
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

/// Did the App write or edit a comment of its own?
fn is_own_writing(own: Option<i64>, body: &[u8]) -> bool {
    parse::<OfComment>(body).is_some_and(|it| {
        let app = it.comment.performed_via_github_app.map(|app| app.id);
        let wrote = matches!(it.action.as_str(), "created" | "edited");
        wrote && own.is_some() && app == own && it.comment.user.is_some_and(|user| user.id == it.sender.id)
    })
}

fn of_check(repo: HintRepo, own: Option<i64>, it: OfCheck) -> Option<Hint> {
    let (check, of_suite) = match (it.check_run, it.check_suite) {
        (Some(run), _) => (run, false),
        (None, Some(suite)) => (suite, true),
        (None, None) => return None,
    };
    let commit = CommitSha::parse(&check.head_sha).ok()?;
    let action = match it.action.as_str() {
        "rerequested" => Some(CheckAction::Replan),
        "requested_action" => Some(CheckAction::parse(&it.requested_action?.identifier)?),
        _ => None,
    };
    let Some(action) = action else {
        let ours = own.is_some() && check.app.map(|app| app.id) == own;
        return (!ours).then_some(Hint::Commit { repo, commit, by: it.sender.login });
    };
    // Buttons are told to the App that they belong to, and to no other.
    let check = (!of_suite).then(|| CheckRunId::new(check.id));
    let by = Presser { bot: it.sender.kind != "User", login: it.sender.login };
    Some(Hint::Pressed { repo, commit, check, action, by })
}

fn of_owner(body: &[u8], make: impl FnOnce(InstallationId, Option<HintRepo>) -> Hint) -> Vec<Hint> {
    let Some(it) = parse::<OfInstallation>(body) else { return Vec::new() };
    let mut repo = None;
    with_repo(body, |it, _: IgnoredAny| {
        repo = Some(it);
        Vec::new()
    });
    vec![make(InstallationId::new(it.installation.id), repo)]
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
