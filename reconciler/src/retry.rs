//! What follows from an error: again later, wait for a person, or let go.
//!
//! Invariant: one total function; no class of error is retried without end at full speed, and none is lost.

use std::time::Duration;

use model::ports::{BlobError, ExecError, FetchError, ForgeError, IacError, SourceError};
use model::time::Timestamp;

/// The longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Attempts after which an error that may pass is also shown to people; trying goes on.
pub(crate) const PATIENCE: u32 = 5;
/// Attempts after which what looks like our own fault is no longer tried.
const BUG_ATTEMPTS: u32 = 3;

/// What went wrong, whichever port said it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Failed<'a> {
    /// GitHub.
    Forge(&'a ForgeError),
    /// Git.
    Source(&'a SourceError),
    /// Git over the network.
    Fetch(&'a FetchError),
    /// The executor.
    Exec(&'a ExecError),
    /// terraform and OpenTofu.
    Iac(&'a IacError),
    /// Large values.
    Blob(&'a BlobError),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Try again then.
    Again(Timestamp),
    /// Trying again does not help before someone acts; people are told this.
    Stall(String),
    /// What it was about is gone: nothing is left to do.
    Forget,
}

/// Decides; `attempt` counts from 1, `now` is the pass's time.
pub(crate) fn next(failed: Failed<'_>, attempt: u32, now: Timestamp) -> Next {
    let later = Next::Again(now.after(pause(attempt)));
    let stall_after = |limit: u32, message: String| {
        if attempt < limit { later.clone() } else { Next::Stall(message) }
    };
    match failed {
        Failed::Forge(error) => match error {
            ForgeError::Passing { .. } => later,
            // Never before the pause of a first attempt, should the clocks differ.
            ForgeError::RateLimited { until } => Next::Again((*until).max(now.after(pause(1)))),
            ForgeError::Denied { .. } => Next::Stall(error.to_string()),
            ForgeError::Gone { .. } => Next::Forget,
            ForgeError::Bug { .. } => stall_after(BUG_ATTEMPTS, error.to_string()),
        },
        Failed::Fetch(FetchError::Mirror(error)) | Failed::Source(error) => match error {
            // The next attempt fetches.
            SourceError::Missing { .. } => stall_after(PATIENCE, error.to_string()),
            SourceError::TooLarge { .. } => Next::Stall(error.to_string()),
            SourceError::Git { .. } => later,
        },
        Failed::Fetch(error) => match error {
            // A push may have replaced it since; then new facts are on their way.
            FetchError::NoCommit { .. } | FetchError::Denied => stall_after(PATIENCE, error.to_string()),
            FetchError::TooLarge { .. } => Next::Stall(error.to_string()),
            FetchError::Passing { .. } | FetchError::Mirror(_) => later,
        },
        Failed::Iac(error) => Next::Stall(error.to_string()),
        Failed::Blob(error) => match error {
            BlobError::Damaged { .. } => Next::Stall(error.to_string()),
            BlobError::Storage { .. } => later,
        },
        Failed::Exec(error) => match error {
            ExecError::Absent { .. } => Next::Forget,
            ExecError::Refused { .. } => Next::Stall(error.to_string()),
            // An operator mends it without telling us: look again, slowly.
            ExecError::Unavailable { .. } => Next::Again(now.after(pause(attempt.saturating_add(PATIENCE)))),
            ExecError::Io { .. } => later,
        },
    }
}

/// 1 s, 2 s, 4 s … up to a quarter of an hour.
pub(crate) fn pause(attempt: u32) -> Duration {
    let seconds = 1u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX);
    if attempt > 32 { LONGEST } else { Duration::from_secs(seconds).min(LONGEST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(failed: Failed<'_>) -> String {
        let now = Timestamp::from_seconds(1_000);
        let cell = |attempt| match next(failed, attempt, now) {
            Next::Again(at) => format!("+{}s", at.since(now).as_secs()),
            Next::Stall(message) => format!("stall ({message})"),
            Next::Forget => "forget".to_owned(),
        };
        [1, 3, 5, 40, u32::MAX].map(cell).join(", ")
    }

    #[test]
    fn every_class_of_error_has_its_answer() {
        let m = || "m".to_owned();
        let forge = [
            ForgeError::Passing { message: m() },
            ForgeError::RateLimited { until: Timestamp::from_seconds(1_600) },
            ForgeError::RateLimited { until: Timestamp::from_seconds(1) },
            ForgeError::Denied { message: m() },
            ForgeError::Gone { what: m() },
            ForgeError::Bug { message: m() },
        ];
        let source =
            [SourceError::Missing { id: m() }, SourceError::TooLarge { limit: m() }, SourceError::Git { message: m() }];
        let exec = [
            ExecError::Absent { what: m() },
            ExecError::Refused { reason: m() },
            ExecError::Unavailable { reason: m() },
            ExecError::Io { doing: m(), source: std::io::Error::other("x") },
        ];
        let commit = model::id::CommitSha::parse(&"a".repeat(40)).expect("40 digits");
        let fetch = [
            FetchError::NoCommit { commit },
            FetchError::Denied,
            FetchError::TooLarge { limit: m() },
            FetchError::Passing { message: m() },
            FetchError::Mirror(SourceError::Git { message: m() }),
        ];
        let iac = [IacError::NoTool { message: m() }, IacError::Unreadable { message: m() }];
        let blob = [BlobError::Damaged { key: m() }, BlobError::Storage { key: m(), source: "x".into() }];
        let all = forge.iter().map(Failed::Forge).chain(source.iter().map(Failed::Source));
        let all = all.chain(exec.iter().map(Failed::Exec)).chain(fetch.iter().map(Failed::Fetch));
        let all = all.chain(iac.iter().map(Failed::Iac)).chain(blob.iter().map(Failed::Blob));
        let lines: Vec<String> = all.map(table).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        +1s, +4s, +16s, +900s, +900s
        +600s, +600s, +600s, +600s, +600s
        +1s, +1s, +1s, +1s, +1s
        stall (GitHub refused: m), stall (GitHub refused: m), stall (GitHub refused: m), stall (GitHub refused: m), stall (GitHub refused: m)
        forget, forget, forget, forget, forget
        +1s, stall (unexpected: m), stall (unexpected: m), stall (unexpected: m), stall (unexpected: m)
        +1s, +4s, stall (object m is not in the mirror), stall (object m is not in the mirror), stall (object m is not in the mirror)
        stall (m), stall (m), stall (m), stall (m), stall (m)
        +1s, +4s, +16s, +900s, +900s
        forget, forget, forget, forget, forget
        stall (m), stall (m), stall (m), stall (m), stall (m)
        +32s, +128s, +512s, +900s, +900s
        +1s, +4s, +16s, +900s, +900s
        +1s, +4s, stall (the commit aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa is not there), stall (the commit aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa is not there), stall (the commit aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa is not there)
        +1s, +4s, stall (the Git server refused the credential), stall (the Git server refused the credential), stall (the Git server refused the credential)
        stall (the fetch was stopped: m), stall (the fetch was stopped: m), stall (the fetch was stopped: m), stall (the fetch was stopped: m), stall (the fetch was stopped: m)
        +1s, +4s, +16s, +900s, +900s
        +1s, +4s, +16s, +900s, +900s
        stall (m), stall (m), stall (m), stall (m), stall (m)
        stall (not a readable plan document: m), stall (not a readable plan document: m), stall (not a readable plan document: m), stall (not a readable plan document: m), stall (not a readable plan document: m)
        stall (the stored value m is damaged or was moved), stall (the stored value m is damaged or was moved), stall (the stored value m is damaged or was moved), stall (the stored value m is damaged or was moved), stall (the stored value m is damaged or was moved)
        +1s, +4s, +16s, +900s, +900s
        ");
    }

    #[test]
    fn pauses_never_shrink_and_have_a_bound() {
        for attempt in 0..100 {
            assert!(pause(attempt) <= pause(attempt + 1) && pause(attempt + 1) <= LONGEST, "{attempt}");
        }
        assert_eq!((pause(1), pause(100)), (Duration::from_secs(1), LONGEST));
    }
}
