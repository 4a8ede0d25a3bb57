//! Owns outages on purpose: which of the next requests are answered as a GitHub in trouble answers.
//! Never decides what a good answer is.

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::Response;

use crate::error::Error;
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

    /// Ends all outages; answers how many of the ordered failures never came.
    pub fn mend(&self) -> u32 {
        let ordered = std::mem::take(&mut self.shared.model().outages.0);
        ordered.iter().fold(0, |sum, it| sum.saturating_add(it.left))
    }
}

/// The fault of this request, if it has one. What is not carried out is counted here.
pub(crate) fn strike(model: &mut Model, method: &str, path: &str) -> Option<Fault> {
    let fault = model.outages.strike(method, path)?;
    if fault != Fault::AnswerLost && path.starts_with("/api/") {
        model.requests += 1;
    }
    Some(fault)
}

/// What the client gets.
pub(crate) fn answer(fault: Fault, now: i64) -> Response {
    let json = |status: u16, message: &str| {
        let body = rest::Refusal::new(status, message).body().to_string();
        let builder = Response::builder().status(status);
        (builder.header(header::CONTENT_TYPE, "application/json; charset=utf-8"), body)
    };
    let (builder, body) = match fault {
        Fault::BadGateway | Fault::AnswerLost => {
            let builder = Response::builder().status(StatusCode::BAD_GATEWAY);
            (builder.header(header::CONTENT_TYPE, "text/html"), "<html><body>Unicorn!</body></html>".to_owned())
        }
        Fault::Forbidden => json(403, "Resource not accessible by integration"),
        Fault::SlowDown(seconds) => {
            let (builder, body) = json(403, "You have exceeded a secondary rate limit.");
            (builder.header(header::RETRY_AFTER, seconds), body)
        }
        Fault::TooMany(seconds) => {
            let (builder, body) = json(429, "You have exceeded a secondary rate limit.");
            (builder.header(header::RETRY_AFTER, seconds), body)
        }
        Fault::Exhausted(seconds) => {
            let (builder, body) = json(403, "API rate limit exceeded for installation.");
            let reset = now.div_euclid(1_000_000) + i64::from(seconds);
            let builder = builder.header("X-RateLimit-Remaining", "0");
            (builder.header("X-RateLimit-Limit", "5000").header("X-RateLimit-Reset", reset), body)
        }
    };
    builder.body(Body::from(body)).unwrap_or_else(|_| server::plain(500, "an answer could not be written"))
}
