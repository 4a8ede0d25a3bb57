//! Owns GitHub's limits on how much one caller may ask: the hourly one and the secondary ones. Off unless the starter
//! wants them. Never sleeps: time is the double's clock.

use std::collections::{HashMap, VecDeque};

use axum::http::HeaderMap;
use axum::http::header::{HeaderName, HeaderValue, RETRY_AFTER};

use crate::model::Model;
use crate::model::account::Caller;
use crate::rest::Refusal;

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
const SECONDARY: &str = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";

/// How much one caller may ask. Each installation and each person counts alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests in an hour.
    pub hourly: u32,
    /// Things made (comments, issues, reviews, checks, …) in a minute.
    pub made_per_minute: u32,
    /// Things made in an hour.
    pub made_per_hour: u32,
    /// Points of REST in a minute: 1 to read, 5 to write.
    pub points: u32,
    /// Points of GraphQL in a minute: 1 for a query, 5 for a mutation.
    pub graphql_points: u32,
    /// Requests at the same time, of all callers together.
    pub concurrent: usize,
}

impl Default for Limits {
    /// GitHub's own, as it documents them.
    fn default() -> Limits {
        Limits {
            hourly: 5000,
            made_per_minute: 80,
            made_per_hour: 500,
            points: 900,
            graphql_points: 2000,
            concurrent: 100,
        }
    }
}

/// A request that was counted.
#[derive(Debug, Clone, Copy)]
struct Counted {
    at: i64,
    rest: u32,
    graphql: u32,
    made: bool,
}

/// What a caller asked lately.
#[derive(Debug, Default)]
struct Account {
    /// When the hourly count began, and how far it is.
    began: i64,
    used: u32,
    lately: VecDeque<Counted>,
}

/// All callers.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    accounts: HashMap<String, Account>,
}

/// What a request is, for counting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a str,
    /// Below `/api/v3`, or `/graphql`.
    pub(crate) path: &'a str,
    pub(crate) body: &'a [u8],
}

impl Ask<'_> {
    fn counted(self, at: i64) -> Counted {
        let writes = !matches!(self.method, "GET" | "HEAD" | "OPTIONS");
        if self.path == "/graphql" {
            let mutates = self.body.windows(8).any(|word| word == b"mutation");
            return Counted { at, rest: 0, graphql: if mutates { 5 } else { 1 }, made: false };
        }
        // What notifies people or shows as new; an edit shows nothing new.
        let quiet = ["/access_tokens", "/git/refs", "/labels", "/attempts", "/rerequest"];
        let made = self.method == "POST" && quiet.iter().all(|end| !self.path.ends_with(end));
        Counted {
            at,
            rest: if writes { 5 } else { 1 },
            graphql: 0,
            made: made || self.path.ends_with("/merge") && writes,
        }
    }
}

/// The hourly count, as headers tell it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) limit: u32,
    pub(crate) used: u32,
    /// Seconds since the epoch.
    pub(crate) reset: i64,
}

impl Rate {
    pub(crate) fn remaining(self) -> u32 {
        self.limit.saturating_sub(self.used)
    }

    /// GitHub's headers.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        for (name, value) in [
            ("x-ratelimit-limit", i64::from(self.limit)),
            ("x-ratelimit-remaining", i64::from(self.remaining())),
            ("x-ratelimit-used", i64::from(self.used)),
            ("x-ratelimit-reset", self.reset),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
        headers.insert(HeaderName::from_static("x-ratelimit-resource"), HeaderValue::from_static("core"));
    }
}

/// Why a request is not answered, and how long its sender should wait.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) refusal: Refusal,
    /// Seconds; GitHub gives them for secondary limits.
    pub(crate) retry_after: Option<i64>,
}

impl Stopped {
    fn secondary(free_at: i64, now: i64) -> Stopped {
        // GitHub tells a minute where it tells nothing better.
        let seconds = (free_at - now).max(0).div_euclid(1_000_000) + 1;
        Stopped { refusal: Refusal::new(403, SECONDARY), retry_after: Some(seconds.max(1)) }
    }

    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
}

/// Where too many requests run at the same time.
pub(crate) fn crowded() -> Stopped {
    Stopped { refusal: Refusal::new(403, SECONDARY), retry_after: Some(60) }
}

impl Account {
    fn rate(&self, limits: Limits) -> Rate {
        Rate { limit: limits.hourly, used: self.used, reset: (self.began + HOUR).div_euclid(1_000_000) }
    }

    fn admit(&mut self, limits: Limits, ask: Ask<'_>, now: i64) -> Result<(), Stopped> {
        if now >= self.began + HOUR {
            (self.began, self.used) = (now, 0);
        }
        self.lately.retain(|it| now < it.at + HOUR);
        if self.used >= limits.hourly {
            return Err(Stopped {
                refusal: Refusal::new(403, "API rate limit exceeded for installation."),
                retry_after: None,
            });
        }
        let new = ask.counted(now);
        let over = |span: i64, limit: u32, of: &dyn Fn(&Counted) -> u32| {
            let inside: Vec<&Counted> = self.lately.iter().filter(|it| now < it.at + span && of(it) > 0).collect();
            let sum: u32 = inside.iter().map(|it| of(it)).sum();
            let full = of(&new) > 0 && sum + of(&new) > limit;
            full.then(|| inside.first().map_or(now, |it| it.at) + span)
        };
        let made = |it: &Counted| u32::from(it.made);
        let stopped = over(MINUTE, limits.points, &|it| it.rest)
            .or_else(|| over(MINUTE, limits.graphql_points, &|it| it.graphql))
            .or_else(|| over(MINUTE, limits.made_per_minute, &made))
            .or_else(|| over(HOUR, limits.made_per_hour, &made));
        if let Some(free_at) = stopped {
            return Err(Stopped::secondary(free_at, now));
        }
        self.used += 1;
        self.lately.push_back(new);
        Ok(())
    }
}

/// Under which name a caller is counted. A JSON web token has a count of its own, which nobody reaches.
fn name(caller: &Caller) -> Option<String> {
    match caller {
        Caller::App(_) => None,
        Caller::Anonymous => Some("anonymous".to_owned()),
        Caller::Person(id) => Some(format!("person {id}")),
        Caller::Installation { installation, .. } => Some(format!("installation {installation}")),
    }
}

/// Counts a request; the rate as headers tell it, and whether the request goes on. `None`: nobody counts.
pub(crate) fn admit(
    model: &mut Model,
    authorization: Option<&str>,
    ask: Ask<'_>,
) -> Option<(Rate, Result<(), Stopped>)> {
    let limits = model.limits?;
    let name = name(&crate::token::caller(model, authorization).ok()?)?;
    let now = model.now();
    let account = model.meter.accounts.entry(name).or_default();
    let free = ask.path == "/rate_limit";
    let admitted = if free { Ok(()) } else { account.admit(limits, ask, now) };
    Some((account.rate(limits), admitted))
}

/// How far a caller's hourly count is; `None`: nobody counts, or nothing was asked yet.
pub(crate) fn rate(model: &Model, caller: &Caller) -> Option<Rate> {
    Some(model.meter.accounts.get(&name(caller)?)?.rate(model.limits?))
}
