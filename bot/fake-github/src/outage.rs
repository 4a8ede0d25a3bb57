//! Owns outages on purpose: which of the next requests are answered as a GitHub in trouble answers.
//! Never decides what a good answer is.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::Frame;

use crate::error::Error;
use crate::limits::Rate;
use crate::model::Model;
use crate::rest;
use crate::{FakeGitHub, server};

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 502 with a page of HTML, as GitHub's front answers; nothing was done.
    BadGateway,
    /// It was done, and the answer was lost on the way: 502.
    AnswerLost,
    /// It was done, and the connection ended in the middle of the answer.
    AnswerCut,
    /// It was done, and its answer is held back until [`FakeGitHub::release_answers`].
    AnswerHeld,
    /// Refused with this status in GitHub's form; nothing was done.
    Status(u16),
    /// 403: the App lacks a permission after all.
    Forbidden,
    /// 403 of the secondary limit, with `Retry-After` in seconds.
    SlowDown(u32),
    /// 429 with `Retry-After` in seconds.
    TooMany(u32),
    /// 403 of the hourly limit, with `X-RateLimit-Reset` so many seconds from now.
    Exhausted(u32),
}

/// What is to fail.
#[derive(Debug)]
struct Outage {
    /// `METHOD /template`, `POST /graphql`, `git`, or `*`.
    route: String,
    left: u32,
    fault: Fault,
}

/// All that is to fail, the oldest order first.
#[derive(Debug, Default)]
pub(crate) struct Outages(Vec<Outage>);

impl Outages {
    /// The fault of this request, which counts as one of those that were ordered.
    fn strike(&mut self, method: &str, path: &str) -> Option<Fault> {
        let hit = self.0.iter_mut().find(|it| it.left > 0 && concerns(&it.route, method, path))?;
        hit.left = hit.left.saturating_sub(1);
        let fault = hit.fault;
        self.0.retain(|it| it.left > 0);
        Some(fault)
    }
}

pub(crate) fn concerns(route: &str, method: &str, path: &str) -> bool {
    let git = path.contains(".git/");
    let below = path.strip_prefix("/api/v3");
    match route {
        "*" => git || path.starts_with("/api/"),
        "git" => git,
        "POST /graphql" => method == "POST" && path == "/api/graphql",
        _ => below.is_some_and(|below| rest::fits(route, method, below)),
    }
}

/// Outages by order.
impl FakeGitHub {
    /// The next `times` requests to this route fail. A route is written as in GitHub's description
    /// (`POST /repos/{owner}/{repo}/check-runs`), `POST /graphql`, `git`, or `*` for all of these.
    ///
    /// # Errors
    /// The double has no such route.
    pub fn fail_next(&self, route: &str, times: u32, fault: Fault) -> Result<(), Error> {
        if !matches!(route, "*" | "git" | "POST /graphql") && !rest::known(route) {
            return Err(Error::Use(format!("the double has no route `{route}`")));
        }
        self.shared.model().outages.0.push(Outage { route: route.to_owned(), left: times, fault });
        Ok(())
    }

    /// Ends all outages and lets held answers go; answers how many of the ordered failures never came.
    pub fn mend(&self) -> u32 {
        self.shared.slow.release();
        let ordered = std::mem::take(&mut self.shared.model().outages.0);
        ordered.iter().fold(0, |sum, it| sum.saturating_add(it.left))
    }
}

/// The fault of this request, if it has one. What is not carried out is counted here.
pub(crate) fn strike(model: &mut Model, method: &str, path: &str) -> Option<Fault> {
    let fault = model.outages.strike(method, path)?;
    let done = matches!(fault, Fault::AnswerLost | Fault::AnswerCut | Fault::AnswerHeld);
    if !done && path.starts_with("/api/") {
        model.requests += 1;
    }
    Some(fault)
}

/// What the client gets.
pub(crate) fn answer(fault: Fault, now: i64) -> Response {
    let refused = |status: u16, message: &str| server::json(status, &rest::Refusal::new(status, message).body());
    let secondary = "You have exceeded a secondary rate limit.";
    match fault {
        Fault::BadGateway | Fault::AnswerLost => {
            let mut response = server::plain(502, "<html><body>Unicorn!</body></html>");
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
            response
        }
        Fault::AnswerCut | Fault::AnswerHeld => Response::new(Body::new(Cut { begun: false })),
        Fault::Forbidden => refused(403, words(403)),
        Fault::Status(status) => refused(status, words(status)),
        Fault::SlowDown(seconds) | Fault::TooMany(seconds) => {
            let mut response = refused(if matches!(fault, Fault::TooMany(_)) { 429 } else { 403 }, secondary);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
        Fault::Exhausted(seconds) => {
            let mut response = refused(403, "API rate limit exceeded for installation.");
            let reset = now.div_euclid(1_000_000) + i64::from(seconds);
            Rate { limit: 5000, used: 5000, reset }.tell(response.headers_mut());
            response
        }
    }
}

fn words(status: u16) -> &'static str {
    match status {
        401 => "Bad credentials",
        403 => "Resource not accessible by integration",
        404 => "Not Found",
        409 => "Conflict",
        422 => "Validation Failed",
        503 => "Service Unavailable",
        _ => "Server Error",
    }
}

/// A body that breaks after its first bytes.
struct Cut {
    begun: bool,
}

impl HttpBody for Cut {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.begun {
            return Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())));
        }
        self.begun = true;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"{\"id\":")))))
    }
}
