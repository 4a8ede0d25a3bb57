//! HTTP to GitHub: one request at a time, its error put into a class, tokens cached by the port `Clock`.
//!
//! Invariant: no secret is in an error or a log; nothing is repeated here (the engine decides when).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::http::{HeaderMap, Method, Request, StatusCode, header};
use model::id::{InstallationId, RepoId, RepoName};
use model::ports::{Clock, ForgeError};
use model::pull::RepoSnapshot;
use model::time::Timestamp;
use octocrab::Octocrab;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::auth::{AppKey, Scope};
use super::shape;

/// The largest answer that is read.
const ANSWER_LIMIT: usize = 64 << 20;
/// A token that ends sooner is minted anew.
const TOKEN_RESERVE: Duration = Duration::from_secs(300);
/// GitHub's least pause after a secondary limit.
const SECONDARY_PAUSE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(30);
/// Pages of a list that are read at most (100 entries each).
const PAGES: u32 = 100;

/// Where GitHub is and who we are.
#[derive(Debug, Clone)]
pub struct GitHubOptions {
    /// `https://api.github.com`, or `https://HOST/api/v3` of an enterprise server. No trailing `/`.
    pub api_url: String,
    /// The App's key.
    pub key: AppKey,
}

impl GitHubOptions {
    /// Where GraphQL is: beside REST on an enterprise server, below it on github.com.
    fn graphql(&self) -> (String, &'static str) {
        match self.api_url.strip_suffix("/api/v3") {
            Some(host) => (host.to_owned(), "/api/graphql"),
            None => (self.api_url.clone(), "/graphql"),
        }
    }

    /// Where people and git go.
    pub(crate) fn web(&self) -> String {
        web(&self.api_url)
    }
}

/// Where people find the GitHub of that API.
pub(crate) fn web(api_url: &str) -> String {
    match api_url.strip_suffix("/api/v3") {
        Some(host) => host.to_owned(),
        None => api_url.replacen("://api.", "://", 1),
    }
}

type TokenKey = (InstallationId, String, Scope);

/// GitHub as the App sees it.
pub struct GitHub {
    pub(crate) options: GitHubOptions,
    transport: Octocrab,
    /// What stands before each path of REST.
    rest: String,
    graphql: &'static str,
    clock: Arc<dyn Clock>,
    tokens: Mutex<HashMap<TokenKey, (SecretString, Timestamp)>>,
    slug: Mutex<Option<String>>,
}

impl fmt::Debug for GitHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitHub").field("api_url", &self.options.api_url).finish_non_exhaustive()
    }
}

/// For which repositories a token is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reach<'a> {
    Everything,
    Id(RepoId),
    Name(&'a RepoName),
}

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// Whose token a request carries.
pub(crate) enum Who<'a> {
    App,
    Repo(&'a RepoSnapshot, Scope),
    Installation(InstallationId, Reach<'a>, Scope),
}

impl GitHub {
    /// Builds the client; must be called within tokio.
    ///
    /// # Errors
    /// An `api_url` that is no URL, a machine without root certificates.
    pub fn new(options: GitHubOptions, clock: Arc<dyn Clock>) -> Result<Self, ForgeError> {
        let (host, graphql) = options.graphql();
        let rest = options.api_url.strip_prefix(&host).unwrap_or_default().to_owned();
        let transport = transport(&host)?;
        Ok(Self { options, transport, rest, graphql, clock, tokens: Mutex::default(), slug: Mutex::default() })
    }

    /// The App's slug, asked for once.
    pub(crate) async fn app_slug(&self) -> Result<String, ForgeError> {
        let known = self.slug.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(slug) = known {
            return Ok(slug);
        }
        let app: shape::App = shape::read("the App", self.call(Who::App, Method::GET, "/app", None).await?.body)?;
        *self.slug.lock().unwrap_or_else(PoisonError::into_inner) = Some(app.slug.clone());
        Ok(app.slug)
    }

    /// One REST request.
    pub(crate) async fn call(
        &self,
        who: Who<'_>,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, ForgeError> {
        self.attempt(who, method, path, body).await.map_err(Failure::into_error)
    }

    /// One REST request, for who must know with which status and words it was refused.
    pub(crate) async fn attempt(
        &self,
        who: Who<'_>,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let token = self.token_of(&who).await.map_err(Failure::of)?;
        let answer = self.exchange(&self.rest, &token, method, path, body).await;
        self.forget_refused(&who, &answer);
        answer
    }

    /// All entries of a list; `pick` finds them in a page.
    pub(crate) async fn pages<T>(
        &self,
        who: impl Fn() -> Who<'static>,
        path: &str,
        pick: impl Fn(Value) -> Result<Vec<T>, ForgeError>,
    ) -> Result<Vec<T>, ForgeError> {
        let mut all = Vec::new();
        let joint = if path.contains('?') { '&' } else { '?' };
        for page in 1..=PAGES {
            let answer = self.call(who(), Method::GET, &format!("{path}{joint}per_page=100&page={page}"), None).await?;
            let more = answer.headers.get(header::LINK).and_then(|link| link.to_str().ok());
            let more = more.is_some_and(|link| link.contains("rel=\"next\""));
            all.extend(pick(answer.body)?);
            if !more {
                break;
            }
        }
        Ok(all)
    }

    /// As `pages`, on one repository.
    pub(crate) async fn repo_pages<T>(
        &self,
        repo: &RepoSnapshot,
        scope: Scope,
        path: &str,
        pick: impl Fn(Value) -> Result<Vec<T>, ForgeError>,
    ) -> Result<Vec<T>, ForgeError> {
        let (installation, id) = (repo.installation, repo.id);
        self.pages(|| Who::Installation(installation, Reach::Id(id), scope), path, pick).await
    }

    /// One GraphQL request; its `data`.
    pub(crate) async fn query(&self, repo: &RepoSnapshot, scope: Scope, query: Value) -> Result<Value, ForgeError> {
        self.ask(repo, scope, query).await.map_err(Failure::into_error)
    }

    /// One GraphQL request, for who must know in which words it was refused.
    pub(crate) async fn ask(&self, repo: &RepoSnapshot, scope: Scope, query: Value) -> Result<Value, Failure> {
        let who = Who::Repo(repo, scope);
        let token = self.token_of(&who).await.map_err(Failure::of)?;
        let answer = self.exchange("", &token, Method::POST, self.graphql, Some(&query)).await;
        self.forget_refused(&who, &answer);
        let mut body = answer?.body;
        let errors = body.get("errors").and_then(Value::as_array).filter(|errors| !errors.is_empty());
        if let Some(errors) = errors {
            let kind = errors[0]["type"].as_str().unwrap_or_default();
            let message = errors[0]["message"].as_str().unwrap_or("no message").to_owned();
            let status = (kind == "UNPROCESSABLE").then_some(StatusCode::UNPROCESSABLE_ENTITY);
            let words = message.clone();
            let error = match kind {
                "NOT_FOUND" => ForgeError::Gone { what: message },
                "FORBIDDEN" | "INSUFFICIENT_SCOPES" => ForgeError::Denied { message },
                "RATE_LIMITED" => ForgeError::RateLimited { until: self.clock.now().after(SECONDARY_PAUSE) },
                "SERVICE_UNAVAILABLE" | "TIMEOUT" => ForgeError::Passing { message },
                _ => ForgeError::Bug { message: format!("GraphQL: {message}") },
            };
            return Err(Failure { error, status, words });
        }
        Ok(body["data"].take())
    }

    /// A token for one repository with the rights of `scope`, from the cache when it lasts.
    pub(crate) async fn token(
        &self,
        installation: InstallationId,
        reach: Reach<'_>,
        scope: Scope,
    ) -> Result<SecretString, ForgeError> {
        let key = token_key(installation, reach, scope);
        let now = self.clock.now();
        let cached = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some((token, until)) = cached
            && now.after(TOKEN_RESERVE) < until
        {
            return Ok(token);
        }
        let mut wanted = json!({"permissions": scope.permissions()});
        match reach {
            Reach::Everything => {}
            Reach::Id(id) => wanted["repository_ids"] = json!([id.get()]),
            Reach::Name(name) => wanted["repositories"] = json!([name.name()]),
        }
        let jwt = self.jwt()?;
        let path = format!("/app/installations/{installation}/access_tokens");
        let answer = self.exchange(&self.rest, &jwt, Method::POST, &path, Some(&wanted)).await;
        let made: shape::Token = shape::read("a token", answer.map_err(Failure::into_error)?.body)?;
        let until = shape::time(&made.expires_at)?;
        let token = SecretString::from(made.token);
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, (_, until)| now < *until);
        tokens.insert(key, (token.clone(), until));
        Ok(token)
    }

    fn jwt(&self) -> Result<SecretString, ForgeError> {
        let made = self.options.key.jwt(self.clock.now());
        made.map(SecretString::from).map_err(|error| ForgeError::Denied { message: error.to_string() })
    }

    async fn token_of(&self, who: &Who<'_>) -> Result<SecretString, ForgeError> {
        match who {
            Who::App => self.jwt(),
            Who::Repo(repo, scope) => self.token(repo.installation, Reach::Id(repo.id), *scope).await,
            Who::Installation(installation, reach, scope) => self.token(*installation, *reach, *scope).await,
        }
    }

    fn forget_refused(&self, who: &Who<'_>, answer: &Result<Answer, Failure>) {
        let refused = matches!(answer, Err(Failure { status: Some(StatusCode::UNAUTHORIZED), .. }));
        let key = match who {
            Who::App => return,
            Who::Repo(repo, scope) => token_key(repo.installation, Reach::Id(repo.id), *scope),
            Who::Installation(installation, reach, scope) => token_key(*installation, *reach, *scope),
        };
        if refused {
            self.tokens.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        }
    }

    async fn exchange(
        &self,
        prefix: &str,
        token: &SecretString,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let what = format!("{method} {}", path.split('?').next().unwrap_or(path));
        let passing = |why: String| Failure::of(ForgeError::Passing { message: format!("{what}: {why}") });
        let bearer = format!("Bearer {}", token.expose_secret());
        let mut bearer = header::HeaderValue::from_str(&bearer)
            .map_err(|_| Failure::of(ForgeError::Bug { message: "a token with odd characters".to_owned() }))?;
        bearer.set_sensitive(true);
        let builder = Request::builder()
            .method(method)
            .uri(format!("{prefix}{path}"))
            .header(header::AUTHORIZATION, bearer)
            .header(header::ACCEPT, "application/vnd.github+json")
            .header(header::USER_AGENT, concat!("buildit/", env!("CARGO_PKG_VERSION")))
            .header("X-GitHub-Api-Version", "2022-11-28");
        let request = self
            .transport
            .build_request(builder, body)
            .map_err(|error| Failure::of(ForgeError::Bug { message: format!("{what}: {error}") }))?;
        let answer = tokio::time::timeout(PATIENCE, self.transport.send(request)).await;
        let answer = answer.map_err(|_| passing("no answer in 30 s".to_owned()))?.map_err(|e| passing(chain(&e)))?;
        let (head, body) = answer.into_parts();
        let bytes = tokio::time::timeout(PATIENCE, Limited::new(body, ANSWER_LIMIT).collect()).await;
        let bytes = bytes
            .map_err(|_| passing("the answer did not end".to_owned()))?
            .map_err(|error| passing(error.to_string()))?
            .to_bytes();
        let value = serde_json::from_slice::<Value>(&bytes);
        if head.status.is_success() {
            let body = if bytes.is_empty() { Value::Null } else { value.map_err(|e| passing(e.to_string()))? };
            return Ok(Answer { headers: head.headers, body });
        }
        let message = value.ok().and_then(|v| v["message"].as_str().map(str::to_owned)).unwrap_or_default();
        let error = classify(&what, head.status, &head.headers, &message, self.clock.now());
        Err(Failure { error, status: Some(head.status), words: message })
    }
}

/// No success: its class, and what GitHub said.
#[derive(Debug)]
pub(crate) struct Failure {
    error: ForgeError,
    /// The status of the answer; 422 for a GraphQL request that cannot be carried out. `None` without an answer.
    pub(crate) status: Option<StatusCode>,
    /// GitHub's own words; empty when it had none.
    pub(crate) words: String,
}

impl Failure {
    fn of(error: ForgeError) -> Self {
        Self { error, status: None, words: String::new() }
    }
    pub(crate) fn into_error(self) -> ForgeError {
        self.error
    }
}

fn token_key(installation: InstallationId, reach: Reach<'_>, scope: Scope) -> TokenKey {
    let reach = match reach {
        Reach::Everything => "*".to_owned(),
        Reach::Id(id) => id.to_string(),
        Reach::Name(name) => name.to_string().to_ascii_lowercase(),
    };
    (installation, reach, scope)
}

fn transport(url: &str) -> Result<Octocrab, ForgeError> {
    let wrong = |error: octocrab::Error| ForgeError::Bug { message: format!("{url}: {error}") };
    let builder = Octocrab::builder().base_uri(url).map_err(wrong)?;
    builder.set_connect_timeout(Some(Duration::from_secs(10))).build().map_err(wrong)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut inner = error.source();
    while let Some(error) = inner {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        inner = error.source();
    }
    text
}

/// Puts an answer that is no success into its class.
fn classify(what: &str, status: StatusCode, headers: &HeaderMap, message: &str, now: Timestamp) -> ForgeError {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let said = |text: &str| if message.is_empty() { format!("{what}: {text}") } else { format!("{what}: {message}") };
    let limited = matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS);
    if limited && let Some(seconds) = number("retry-after") {
        return ForgeError::RateLimited { until: now.after(Duration::from_secs(seconds.max(1).unsigned_abs())) };
    }
    if limited
        && number("x-ratelimit-remaining") == Some(0)
        && let Some(reset) = number("x-ratelimit-reset")
    {
        return ForgeError::RateLimited {
            until: Timestamp::from_seconds(reset).max(now.after(Duration::from_secs(1))),
        };
    }
    if status == StatusCode::TOO_MANY_REQUESTS || (limited && message.to_ascii_lowercase().contains("rate limit")) {
        return ForgeError::RateLimited { until: now.after(SECONDARY_PAUSE) };
    }
    match status.as_u16() {
        401 if what.contains("access_tokens") || what.ends_with("/app") || what.contains("/app/") => {
            ForgeError::Denied {
                message: format!(
                    "{}; the App key belongs to another App or was deleted, or this machine's clock is wrong",
                    said("the App key was refused (401)")
                ),
            }
        }
        // A token is asked for with the rights of one purpose; GitHub gives none with less.
        422 if what.contains("access_tokens") => ForgeError::Denied {
            message: format!(
                "{}; did the organisation accept this permission of the App?",
                said("no such token (422)")
            ),
        },
        401 => ForgeError::Passing { message: said("the token was refused (401); a new one is minted") },
        403 => ForgeError::Denied {
            message: format!(
                "{}; does the App have this permission, and did the organisation accept it?",
                said("forbidden (403)")
            ),
        },
        404 | 410 => ForgeError::Gone { what: what.to_owned() },
        451 => ForgeError::Denied { message: said("blocked for legal reasons (451)") },
        408 | 409 | 500..=599 => ForgeError::Passing { message: format!("{} ({status})", said("no success")) },
        _ => ForgeError::Bug { message: format!("{} ({status})", said("refused")) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status: u16, headers: &[(&'static str, &str)], message: &str) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a header"));
        }
        let status = StatusCode::from_u16(status).expect("a status");
        format!("{:?}", classify("GET /x", status, &map, message, Timestamp::from_seconds(1000)))
    }

    #[test]
    fn every_refusal_has_its_class() {
        insta::assert_snapshot!(class(403, &[("retry-after", "7")], ""), @"RateLimited { until: 1007000000µs }");
        insta::assert_snapshot!(class(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1500")], ""), @"RateLimited { until: 1500000000µs }");
        insta::assert_snapshot!(class(403, &[], "You have exceeded a secondary rate limit"), @"RateLimited { until: 1060000000µs }");
        insta::assert_snapshot!(class(403, &[], "Resource not accessible by integration"), @r#"Denied { message: "GET /x: Resource not accessible by integration; does the App have this permission, and did the organisation accept it?" }"#);
        insta::assert_snapshot!(class(404, &[], "Not Found"), @r#"Gone { what: "GET /x" }"#);
        insta::assert_snapshot!(class(502, &[], ""), @r#"Passing { message: "GET /x: no success (502 Bad Gateway)" }"#);
        insta::assert_snapshot!(class(422, &[], "Validation Failed"), @r#"Bug { message: "GET /x: Validation Failed (422 Unprocessable Entity)" }"#);
    }
}
