//! A server's API, for the command line: one request, its answer, and what went wrong in words.
//!
//! Owns the connection. It knows no route and never prints.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

/// The largest answer that is read: a state.
const LIMIT: usize = 1 << 30;
/// An answer takes no longer.
const PATIENCE: Duration = Duration::from_secs(300);

/// A server.
pub struct Remote {
    url: String,
    token: SecretString,
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What is done to what the path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Read it.
    Get,
    /// Set it.
    Put,
    /// Do something with it.
    Post,
    /// Remove it.
    Delete,
}

/// What the server did not do, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}\n  do: {help}")]
pub struct Refused {
    /// The status of HTTP.
    pub status: u16,
    /// For programs.
    pub code: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub help: String,
}

impl Refused {
    /// Is what was asked for not there, or not as it was thought, rather than the request wrong?
    pub fn is_finding(&self) -> bool {
        matches!(self.status, 404 | 409 | 422 | 423)
    }
}

#[derive(Deserialize)]
struct Body {
    error: Words,
}

#[derive(Deserialize)]
struct Words {
    code: String,
    what: String,
    #[serde(rename = "do")]
    help: String,
}

impl Remote {
    /// The server at this URL, with a token.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub fn new(url: &str, token: SecretString) -> anyhow::Result<Self> {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())?
            .https_or_http()
            .enable_http1()
            .build();
        let http = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { url: url.trim_end_matches('/').to_owned(), token, http })
    }

    /// Asks. `path` begins with `/`.
    ///
    /// # Errors
    /// Nobody answers, or what answers is no server of ours; the server refused (`Refused`).
    pub async fn ask(&self, verb: Verb, path: &str, body: Bytes) -> anyhow::Result<Bytes> {
        let method = match verb {
            Verb::Get => Method::GET,
            Verb::Put => Method::PUT,
            Verb::Post => Method::POST,
            Verb::Delete => Method::DELETE,
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {}", self.token.expose_secret()))
            .header("content-type", "application/json")
            .header("user-agent", concat!("buildit/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body));
        let request = request
            .map_err(|error| anyhow::anyhow!("{:?} is no URL\n  {error}\n  do: --server https://HOST", self.url))?;
        let answered = tokio::time::timeout(PATIENCE, self.answer(request)).await;
        let (status, bytes) =
            answered.unwrap_or_else(|_| Err(anyhow::anyhow!("it took too long"))).map_err(|error| {
                let why = error.chain().last().map(ToString::to_string).unwrap_or_default();
                anyhow::anyhow!(
                    "{} does not answer\n  {why}\n  do: check --server (BUILDIT_SERVER), and that the server runs",
                    self.url
                )
            })?;
        if (200..300).contains(&status) {
            return Ok(bytes);
        }
        match serde_json::from_slice::<Body>(&bytes) {
            Ok(Body { error: Words { code, what, help } }) => Err(Refused { status, code, what, help }.into()),
            Err(_) => Err(anyhow::anyhow!(
                "{} answered {status}, and not as BuildIt does\n  do: check --server (BUILDIT_SERVER); it is the URL without a path below it",
                self.url
            )),
        }
    }

    async fn answer(&self, request: Request<Full<Bytes>>) -> anyhow::Result<(u16, Bytes)> {
        let answer = self.http.request(request).await?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), LIMIT).collect().await;
        Ok((status, body.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes()))
    }
}
