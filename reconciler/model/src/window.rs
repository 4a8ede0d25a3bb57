//! Times at which something may happen: a cron expression of openings, a duration and a time zone.
//!
//! Must never read a clock. An expression that nobody can read, or that never opens, is closed.

use std::fmt;
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Zoned;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// `window cron="0 9 * * MON-FRI" duration="8h" tz="Europe/Paris"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// When it opens: minute, hour, day, month, weekday.
    pub cron: String,
    /// How long it stays open, in seconds that pass (not by the wall clock).
    pub seconds: u64,
    /// The name of the time zone in which `cron` is meant.
    pub tz: String,
}

/// A window at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// Open until then.
    Open {
        /// When it closes.
        until: Timestamp,
    },
    /// Closed.
    Closed {
        /// When it opens next; `None` when it never does.
        next: Option<Timestamp>,
    },
}

/// Reads five fields.
fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build()
}

/// Is this a cron expression? The error is for people.
pub fn judge_cron(text: &str) -> Result<(), String> {
    let fields = text.split_whitespace().count();
    if fields != 5 {
        return Err(format!("`{text}` has {fields} fields; a cron expression has five"));
    }
    parser().parse(text).map(|_| ()).map_err(|error| format!("`{text}` is not a cron expression: {error}"))
}

impl Window {
    /// How it stands at `now`.
    pub fn at(&self, now: Timestamp) -> Opening {
        self.read(now).unwrap_or(Opening::Closed { next: None })
    }

    fn read(&self, now: Timestamp) -> Option<Opening> {
        let cron: Cron = parser().parse(&self.cron).ok()?;
        let zone = TimeZone::get(&self.tz).ok()?;
        let instant = jiff::Timestamp::from_microsecond(now.micros()).ok()?;
        let here: Zoned = instant.to_zoned(zone);
        // The last opening closes last: all stay open equally long.
        if let Ok(opened) = cron.find_previous_occurrence(&here, true) {
            let until = stamp(&opened).after(Duration::from_secs(self.seconds));
            if stamp(&opened) <= now && now < until {
                return Some(Opening::Open { until });
            }
        }
        let next = cron.find_next_occurrence(&here, false).ok();
        Some(Opening::Closed { next: next.as_ref().map(stamp) })
    }

    /// `Mon 09:00 Europe/Paris`: a moment as this window's people read it.
    pub fn local(&self, moment: Timestamp) -> String {
        let zone = TimeZone::get(&self.tz).unwrap_or(TimeZone::UTC);
        let text = jiff::Timestamp::from_microsecond(moment.micros())
            .map(|instant| instant.to_zoned(zone).strftime("%a %-d %b %H:%M").to_string());
        format!("{} {}", text.unwrap_or_else(|_| "?".to_owned()), self.tz)
    }
}

fn stamp(moment: &Zoned) -> Timestamp {
    Timestamp::from_micros(moment.timestamp().as_microsecond())
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" for {} {}", self.cron, Span(self.seconds), self.tz)
    }
}

/// Seconds as people write them: `8h`, `90m`.
struct Span(u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            s if s % 86_400 == 0 => write!(f, "{}d", s / 86_400),
            s if s % 3600 == 0 => write!(f, "{}h", s / 3600),
            s if s % 60 == 0 => write!(f, "{}m", s / 60),
            s => write!(f, "{s}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let instant: jiff::Timestamp = text.parse().expect("a time");
        Timestamp::from_micros(instant.as_microsecond())
    }

    fn window(cron: &str, hours: u64, tz: &str) -> Window {
        Window { cron: cron.to_owned(), seconds: hours * 3600, tz: tz.to_owned() }
    }

    #[test]
    fn office_hours_of_a_place() {
        let office = window("0 9 * * MON-THU", 8, "Europe/Paris");
        // 2026-03-26 is a Thursday; Paris is at +01:00 until 2026-03-29 and at +02:00 afterwards.
        for (moment, open) in [
            ("2026-03-26T07:59:59Z", false),
            ("2026-03-26T08:00:00Z", true),
            ("2026-03-26T15:59:59Z", true),
            ("2026-03-26T16:00:00Z", false),
            ("2026-03-27T09:00:00Z", false),
            ("2026-03-30T07:00:00Z", true),
            ("2026-03-30T15:00:00Z", false),
        ] {
            assert_eq!(matches!(office.at(at(moment)), Opening::Open { .. }), open, "{moment}");
        }
        let closed = office.at(at("2026-03-27T09:00:00Z"));
        assert_eq!(closed, Opening::Closed { next: Some(at("2026-03-30T07:00:00Z")) });
        assert_eq!(office.local(at("2026-03-30T07:00:00Z")), "Mon 30 Mar 09:00 Europe/Paris");
        assert_eq!(office.to_string(), "\"0 9 * * MON-THU\" for 8h Europe/Paris");
    }

    #[test]
    fn an_hour_that_does_not_exist_opens_and_one_that_comes_twice_stays_open() {
        let night = window("30 2 * * *", 1, "Europe/Paris");
        // 02:30 is skipped on 2026-03-29; the window opens with the hour that follows.
        assert!(matches!(night.at(at("2026-03-29T01:10:00Z")), Opening::Open { .. }));
        // On 2026-10-25 02:30 comes twice; one hour passes after the first.
        assert!(matches!(night.at(at("2026-10-25T00:45:00Z")), Opening::Open { .. }));
    }

    #[test]
    fn what_cannot_be_read_or_never_comes_is_closed() {
        let never = Opening::Closed { next: None };
        for broken in [window("0 0 30 2 *", 1, "UTC"), window("x", 1, "UTC"), window("* * * * *", 1, "Mars/Base")] {
            assert_eq!(broken.at(at("2026-03-26T07:59:59Z")), never, "{broken}");
        }
        assert!(matches!(window("* * * * *", 1, "UTC").at(at("2026-03-26T07:59:59Z")), Opening::Open { .. }));
    }

    #[test]
    fn overlapping_openings_keep_it_open() {
        let daily = window("0 0 * * *", 48, "UTC");
        let Opening::Open { until } = daily.at(at("2026-03-26T12:00:00Z")) else { panic!("open") };
        assert_eq!(until, at("2026-03-28T00:00:00Z"));
    }
}
