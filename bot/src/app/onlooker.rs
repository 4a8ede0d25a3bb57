//! What a person sees of a pull request, read over HTTP as that person.
//!
//! Owns the eyes of the demo: it asks GitHub's REST API and nothing of BuildIt. It never writes.

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The largest answer that is read.
const LIMIT: usize = 16 << 20;
/// How long a person reads.
const READING: Duration = Duration::from_millis(1_100);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// A person with a token.
pub struct Onlooker {
    api: String,
    token: SecretString,
    http: Client<HttpConnector, Full<Bytes>>,
}

impl fmt::Debug for Onlooker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Onlooker").field("api", &self.api).finish_non_exhaustive()
    }
}

/// A pull request at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The head commit.
    pub head: String,
    /// Is it merged?
    pub merged: bool,
    /// The newest check of each name on the head.
    pub checks: Vec<SeenCheck>,
    /// Its comments, oldest first.
    pub comments: Vec<SeenComment>,
}

impl Seen {
    /// The check of that name.
    pub fn check(&self, name: &str) -> Option<&SeenCheck> {
        self.checks.iter().find(|check| check.name == name)
    }
}

/// A check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenCheck {
    /// Its name.
    pub name: String,
    /// `queued`, `in_progress` or `completed`.
    pub status: String,
    /// Once completed.
    pub conclusion: Option<String>,
    /// Its title.
    pub title: String,
    /// What it says, as Markdown.
    pub summary: String,
    /// Where "Details" leads.
    pub details_url: Option<String>,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenComment {
    /// Its number on GitHub.
    pub id: u64,
    /// Who wrote it.
    pub author: String,
    /// As Markdown.
    pub body: String,
}

#[derive(Deserialize)]
struct Pull {
    head: Head,
    #[serde(default)]
    merged: bool,
}

#[derive(Deserialize)]
struct Head {
    sha: String,
}

#[derive(Deserialize)]
struct Runs {
    check_runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    name: String,
    status: String,
    conclusion: Option<String>,
    details_url: Option<String>,
    output: Output,
}

#[derive(Deserialize)]
struct Output {
    title: Option<String>,
    summary: Option<String>,
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    user: Login,
    body: String,
}

#[derive(Deserialize)]
struct Login {
    login: String,
}

impl Onlooker {
    /// Looks at the REST API below `api` with a person's token.
    pub fn new(api: String, token: SecretString) -> Self {
        Self { api, token, http: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// The pull request now. `repo` is `owner/name`.
    ///
    /// # Errors
    /// Nobody answers, or not as GitHub does.
    pub async fn look(&self, repo: &str, number: u64) -> anyhow::Result<Seen> {
        let pull: Pull = self.get(&format!("/repos/{repo}/pulls/{number}")).await?;
        let (head, merged) = (pull.head.sha, pull.merged);
        let runs: Runs = self.get(&format!("/repos/{repo}/commits/{head}/check-runs?per_page=100")).await?;
        let comments: Vec<Comment> = self.get(&format!("/repos/{repo}/issues/{number}/comments?per_page=100")).await?;
        let check = |run: Run| SeenCheck {
            name: run.name,
            status: run.status,
            conclusion: run.conclusion,
            title: run.output.title.unwrap_or_default(),
            summary: run.output.summary.unwrap_or_default(),
            details_url: run.details_url,
        };
        let comment = |it: Comment| SeenComment { id: it.id, author: it.user.login, body: it.body };
        Ok(Seen {
            head,
            merged,
            checks: runs.check_runs.into_iter().map(check).collect(),
            comments: comments.into_iter().map(comment).collect(),
        })
    }

    /// Looks until it is so; the last look as an error's value when the bound passed.
    ///
    /// # Errors
    /// Nobody answers, or not as GitHub does.
    #[expect(clippy::disallowed_methods, reason = "a person looks again after a while; nothing else waits for it")]
    pub async fn until(
        &self,
        repo: &str,
        number: u64,
        bound: Duration,
        holds: impl Fn(&Seen) -> bool,
    ) -> anyhow::Result<Result<Seen, Seen>> {
        let looks = bound.as_millis() / PAUSE.as_millis();
        for _ in 0..looks {
            let seen = self.look(repo, number).await?;
            if holds(&seen) {
                return Ok(Ok(seen));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Err(self.look(repo, number).await?))
    }

    /// Reads for a moment. GitHub tells times in seconds: what is said in the second in which something was shown
    /// may have been said before.
    #[expect(clippy::disallowed_methods, reason = "a person reads before they speak; nothing else waits for it")]
    pub async fn reads(&self) {
        tokio::time::sleep(READING).await;
    }

    /// Does a page open, as a click in a browser would?
    pub async fn opens(&self, url: &str) -> bool {
        let Ok(request) = Request::get(url).header("User-Agent", "buildit-demo").body(Full::default()) else {
            return false;
        };
        self.http.request(request).await.is_ok_and(|answer| answer.status().is_success())
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let request = Request::get(format!("{}{path}", self.api))
            .header("Accept", "application/vnd.github+json")
            .header("User-Agent", "buildit-demo")
            .header("Authorization", format!("token {}", self.token.expose_secret()))
            .body(Full::default())?;
        let answer = self.http.request(request).await.with_context(|| format!("nobody answered GET {path}"))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LIMIT).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("GET {path} broke off: {error}"))?.to_bytes();
        anyhow::ensure!(status.is_success(), "GET {path} was answered {status}");
        serde_json::from_slice(&body).with_context(|| format!("GET {path} was not answered as GitHub does"))
    }
}
