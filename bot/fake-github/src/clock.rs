//! Owns the double's notion of time: microseconds from a closure that the starter gives. Never reads the system clock anywhere else.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch. A test gives its manual clock, so that tokens expire by it.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The system's clock, for the demo and for running alone.
#[expect(clippy::disallowed_methods, reason = "this is the room of the clock")]
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)
    })
}

/// A time as GitHub writes it: `2026-01-31T12:00:00Z`, whole seconds.
pub(crate) fn rfc3339(micros: i64) -> String {
    let seconds = micros.div_euclid(1_000_000);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

/// A time for people: `31 Jan 2026, 12:00 UTC`.
pub(crate) fn written(micros: i64) -> String {
    let at = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("%-d %b %Y, %H:%M UTC").to_string()
}

/// Reads a time that a client sent; `None` when it is no RFC 3339 time.
pub(crate) fn parse(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
}
