//! The ports `Clock` and `Ids` of a real machine.
//!
//! Invariant: this is the only room of the server that reads the wall clock.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use model::ports::{Clock, Ids};
use model::time::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use uuid::Uuid;

/// The machine's clock, never going back within the process.
#[derive(Debug, Default)]
pub struct SystemClock {
    last: AtomicI64,
}

impl SystemClock {
    /// A clock.
    pub const fn new() -> Self {
        Self { last: AtomicI64::new(0) }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the port's implementation")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        let before = self.last.fetch_max(micros, Ordering::Relaxed);
        Timestamp::from_micros(micros.max(before))
    }
}

/// UUIDv7 of the given time: milliseconds, a counter that keeps the order within one, random bits.
#[derive(Debug, Default)]
pub struct UuidIds {
    counter: AtomicU64,
}

impl UuidIds {
    /// A source of ids.
    pub const fn new() -> Self {
        Self { counter: AtomicU64::new(0) }
    }
}

impl Ids for UuidIds {
    fn uuid(&self, now: Timestamp) -> Uuid {
        let mut random = [0_u8; 8];
        // A machine without randomness still gets unique ids from time and counter.
        let _ = SystemRandom::new().fill(&mut random);
        let millis = u64::try_from(now.micros() / 1000).unwrap_or(0);
        let count = self.counter.fetch_add(1, Ordering::Relaxed) & 0x0fff;
        let high = (millis << 16) | 0x7000 | count;
        let low = (u64::from_be_bytes(random) & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
        Uuid::from_u64_pair(high, low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_seven_and_ordered() {
        let ids = UuidIds::new();
        let now = Timestamp::from_seconds(1_800_000_000);
        let made: Vec<Uuid> = (0..100).map(|_| ids.uuid(now)).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(made.iter().all(|id| id.get_version_num() == 7));
        assert!(ids.uuid(now.after(std::time::Duration::from_millis(1))) > made[99]);
    }
}
