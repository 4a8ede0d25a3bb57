//! `/api/v1`: JSON for programs that show an API token.
//!
//! Owns: routes, the bearer header, and how errors are told: what is wrong, and what to do. It decides nothing: who may do
//! what is `reconciler::desk`.
//!
//! Invariant: nothing here gives out the value of a secret, and no answer is kept by anything on the way.

mod secrets;
mod state;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use model::id::{RepoName, StackName};
use model::time::Timestamp;
use reconciler::desk::{Bound, Caller, Desk, DeskError, SecretError, TokensError};
use reconciler::states::StateError;
use serde::Deserialize;
use serde_json::{Value, json};

/// The largest body but a state.
const LIMIT: usize = 256 << 10;

/// All routes below `/api/v1` but the one that speaks as terraform's `http` backend.
pub fn router(desk: Desk) -> Router {
    let of_stack = Router::new()
        .route("/state/versions/{*stack}", get(state::versions))
        .route("/state/download/{*stack}", get(state::download))
        .route("/state/lock/{*stack}", get(state::lock))
        .route("/state/rollback/{*stack}", post(state::rollback))
        .route("/state/promote/{*stack}", post(state::promote))
        .route("/state/unlock/{*stack}", post(state::unlock))
        .route("/state/import/{*stack}", post(state::import));
    let of_repository = of_stack
        .route("/state", get(state::list))
        .route("/secrets", get(secrets::of_repository))
        .route("/secrets/{name}", put(secrets::set_of_repository).delete(secrets::remove_of_repository));
    let of_owner = Router::new()
        .route("/secrets", get(secrets::of_owner))
        .route("/secrets/{name}", put(secrets::set_of_owner).delete(secrets::remove_of_owner));
    let all = Router::new()
        .route("/me", get(me))
        .nest("/repos/{owner}/{repo}", of_repository)
        .nest("/orgs/{org}", of_owner)
        .fallback(missing)
        .layer(from_fn(kept_by_nobody))
        .with_state(desk);
    Router::new().nest("/api/v1", all)
}

async fn kept_by_nobody(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn missing() -> Failed {
    Failed::new(StatusCode::NOT_FOUND, "not-found", "there is no such route", "see docs/api.md for the routes")
}

/// What the token is good for.
async fn me(Bearer(caller): Bearer) -> Json<Value> {
    let token = caller.token();
    let bound = match &token.bound {
        Bound::Everywhere => json!("everywhere"),
        Bound::Owner(owner) => json!({ "org": owner }),
        Bound::Repository(repo) => json!({ "repository": repo.get() }),
    };
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.name()).collect();
    let expires = token.expires_at.map(time);
    Json(json!({ "token": token.name, "owner": token.owner, "scopes": scopes, "bound": bound, "expires_at": expires }))
}

/// Who showed a good token.
pub(super) struct Bearer(pub(super) Caller);

impl FromRequestParts<Desk> for Bearer {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Failed> {
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let Some(token) = token else {
            let help = "send Authorization: Bearer TOKEN; `buildit tokens create` on the server's machine makes one";
            return Err(Failed::new(StatusCode::UNAUTHORIZED, "no-token", "this needs an API token", help));
        };
        Ok(Self(desk.caller(token).await?))
    }
}

/// A repository of the path.
#[derive(Debug, Deserialize)]
pub(super) struct RepoPath {
    owner: String,
    repo: String,
}

/// A stack of the path; its name may have slashes.
#[derive(Debug, Deserialize)]
pub(super) struct StackPath {
    owner: String,
    repo: String,
    stack: String,
}

impl RepoPath {
    pub(super) fn name(&self) -> Result<RepoName, Failed> {
        RepoName::parse(&format!("{}/{}", self.owner, self.repo)).map_err(|error| Failed::of_input(&error))
    }
}

impl StackPath {
    pub(super) fn names(&self) -> Result<(RepoName, StackName), Failed> {
        let repo = RepoName::parse(&format!("{}/{}", self.owner, self.repo));
        let stack = StackName::parse(&self.stack).map_err(|error| Failed::of_input(&error))?;
        Ok((repo.map_err(|error| Failed::of_input(&error))?, stack))
    }
}

/// A point in time, as RFC 3339.
pub(super) fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.micros()).map(|at| at.to_string()).unwrap_or_default()
}

/// An answer that is an error.
#[derive(Debug)]
pub(super) struct Failed {
    status: StatusCode,
    code: &'static str,
    what: String,
    help: String,
}

impl Failed {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        what: impl std::fmt::Display,
        help: impl std::fmt::Display,
    ) -> Self {
        Self { status, code, what: what.to_string(), help: help.to_string() }
    }

    pub(super) fn of_input(error: &dyn std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "wrong-input", error, "correct the request")
    }

    /// The server's own fault: logged, not shown.
    fn broken(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request of the API failed");
        let help = "try again; the server's log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server", "the server failed", help)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let error = json!({ "error": { "code": self.code, "what": self.what, "do": self.help } });
        let mut response = (self.status, Json(error)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<DeskError> for Failed {
    fn from(error: DeskError) -> Self {
        match &error {
            DeskError::Token(error) => of_token(error),
            DeskError::Scope { need, .. } => {
                let help = format!("make a token with it: buildit tokens create --scope {need}");
                Self::new(StatusCode::FORBIDDEN, "scope", &error, help)
            }
            DeskError::NoOwner { .. } => {
                let help =
                    "use a token for all of the organisation (buildit tokens create --org), or name a repository";
                Self::new(StatusCode::FORBIDDEN, "bound", &error, help)
            }
            DeskError::NoRepository { .. } => {
                let help = "check the name, that the App is installed there, and what the token is bound to";
                Self::new(StatusCode::NOT_FOUND, "no-repository", &error, help)
            }
            DeskError::NoSecret { .. } => {
                Self::new(StatusCode::NOT_FOUND, "no-secret", &error, "buildit secrets list shows what is set")
            }
            DeskError::State(error) => of_state(error),
            DeskError::Secret(SecretError::Short | SecretError::Unfit) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "value", &error, "give another value")
            }
            DeskError::Secret(_) | DeskError::Store(_) => Self::broken(&error),
        }
    }
}

fn of_token(error: &TokensError) -> Failed {
    let help = "make a new one on the server's machine: buildit tokens create";
    match error {
        TokensError::Unknown | TokensError::Ended { .. } => Failed::new(StatusCode::UNAUTHORIZED, "token", error, help),
        TokensError::NoToken { .. }
        | TokensError::Several { .. }
        | TokensError::NoRepository { .. }
        | TokensError::Wrong(_)
        | TokensError::Random
        | TokensError::Store(_)
        | TokensError::Seal(_) => Failed::broken(error),
    }
}

fn of_state(error: &StateError) -> Failed {
    let (status, code, help) = match error {
        StateError::NoState { .. } => {
            (StatusCode::NOT_FOUND, "no-state", "apply the stack once, or bring a state in: buildit state import")
        }
        StateError::NoVersion { .. } => (StatusCode::NOT_FOUND, "no-version", "buildit state versions shows them"),
        StateError::Unfit { .. } => (StatusCode::CONFLICT, "unfit", "buildit state versions shows what each is"),
        StateError::Document(_) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "document", "give the file that `state pull` wrote")
        }
        StateError::Locked { .. } => {
            (StatusCode::LOCKED, "locked", "wait for it; if it is dead: buildit state unlock STACK ID")
        }
        StateError::NotHeld { .. } => {
            (StatusCode::CONFLICT, "not-held", "buildit state list shows who holds which lock")
        }
        StateError::Running { .. } => (StatusCode::LOCKED, "running", "wait for its end, or comment `buildit cancel`"),
        StateError::Conflict { .. } => {
            (StatusCode::CONFLICT, "conflict", "look at both; `--replace` puts it in the place of what is there")
        }
        StateError::TooManyOrphans { .. } => {
            (StatusCode::CONFLICT, "too-many", "promote what is right of it, and find out who writes")
        }
        StateError::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "busy", "try again"),
        StateError::ReadOnly => (StatusCode::FORBIDDEN, "scope", "use a token with the scope state:write"),
        StateError::Damaged { .. }
        | StateError::Store(_)
        | StateError::Blob(_)
        | StateError::Seal(_)
        | StateError::Random => return Failed::broken(error),
    };
    Failed::new(status, code, error, help)
}

/// A JSON body that is not too large.
pub(super) async fn body<T: serde::de::DeserializeOwned>(body: axum::body::Body) -> Result<T, Failed> {
    let bytes = axum::body::to_bytes(body, LIMIT).await.map_err(|_| {
        Failed::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", format!("more than {LIMIT} bytes"), "send less")
    })?;
    // The message of serde may quote the value: say the place only.
    serde_json::from_slice(&bytes).map_err(|error| {
        let what =
            format!("the body is not the JSON that is wanted (line {}, column {})", error.line(), error.column());
        Failed::new(StatusCode::BAD_REQUEST, "wrong-input", what, "see docs/api.md")
    })
}

/// Keeps the handlers' signatures short.
pub(super) type AtDesk = State<Desk>;
