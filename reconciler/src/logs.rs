//! Logs of runs: appended by the attendant, read by offset.
//!
//! Invariant: what comes in was masked by the caller; pieces are sealed and bound to their run and offset, and
//! a gap is an error, never skipped.

use model::id::RunId;

use crate::blobs::PIECE;
use crate::seal::{Seal, SealError};
use crate::store::logs::Piece;
use crate::store::{Conn, Store, StoreError, logs};

/// Most bytes of a window.
pub const WINDOW_BYTES: usize = 2 * 1024 * 1024;
/// Most pieces of a window.
const WINDOW_PIECES: i64 = 512;

/// A part of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogWindow {
    /// Bytes from the offset asked for; fewer than the limit at any time, none at the end so far.
    pub bytes: Vec<u8>,
    /// The offset to ask for next.
    pub next: u64,
    /// Has the run ended, and is nothing left from `next` on?
    pub ended: bool,
}

/// Why a log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// There is no such run.
    #[error("there is no run {run}")]
    NoRun {
        /// Which.
        run: RunId,
    },
    /// A part is missing, was changed or was moved.
    #[error("the stored log of run {run} is damaged at byte {at}")]
    Damaged {
        /// Whose.
        run: RunId,
        /// Offset of the part.
        at: u64,
    },
    /// It cannot be sealed or opened.
    #[error(transparent)]
    Seal(SealError),
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The logs of all runs.
#[derive(Debug, Clone)]
pub struct Logs {
    store: Store,
    seal: Seal,
}

impl Logs {
    /// Over a database.
    pub fn new(store: Store, seal: Seal) -> Self {
        Self { store, seal }
    }

    /// Appends bytes at the offset `start`, which must be the end so far; else `StoreError::Fenced`, for then
    /// another attendant has written. In the caller's transaction, beside the cursor.
    pub(crate) async fn append(&self, conn: &mut Conn, run: RunId, start: u64, bytes: &[u8]) -> Result<(), LogError> {
        let mut at = start;
        for part in bytes.chunks(PIECE) {
            let (start, length) = (offset(at), offset(part.len() as u64));
            let sealed = self.seal.seal(&place(run, start, length), part).map_err(LogError::Seal)?;
            logs::add(conn, run, Piece { start, length, sealed }).await?;
            at += part.len() as u64;
        }
        Ok(())
    }

    /// Up to `limit` bytes from the offset `from` (at least 1, at most `WINDOW_BYTES`).
    pub async fn read(&self, run: RunId, from: u64, limit: usize) -> Result<LogWindow, LogError> {
        let limit = limit.clamp(1, WINDOW_BYTES);
        let mut conn = self.store.read().await?;
        // Before the pieces: once a run has ended its log grows no more.
        let extent = logs::extent(&mut conn, run).await?.ok_or(LogError::NoRun { run })?;
        let range = (offset(from), offset(from.saturating_add(limit as u64)));
        let pieces = logs::window(&mut conn, run, range, offset(PIECE as u64), WINDOW_PIECES).await?;
        drop(conn);
        let mut bytes = Vec::new();
        let mut next = range.0;
        for piece in pieces {
            let damaged = || LogError::Damaged { run, at: piece.start.unsigned_abs() };
            let clear = self.seal.open(&place(run, piece.start, piece.length), &piece.sealed);
            let clear = clear.map_err(|error| match error {
                SealError::Damaged => damaged(),
                other => LogError::Seal(other),
            })?;
            // Behind the first piece this is 0; a piece that starts later leaves a gap.
            let skip = usize::try_from(next - piece.start).map_err(|_| damaged())?;
            let part = clear.get(skip..).ok_or_else(damaged)?;
            bytes.extend(part.iter().take(limit - bytes.len()));
            next = range.0 + offset(bytes.len() as u64);
        }
        if bytes.is_empty() && next < extent.length {
            return Err(LogError::Damaged { run, at: from });
        }
        Ok(LogWindow { bytes, next: next.unsigned_abs(), ended: extent.ended && next >= extent.length })
    }
}

/// An offset as the database has it.
fn offset(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// What a piece is sealed for.
pub(crate) fn place(run: impl std::fmt::Display, start: i64, length: i64) -> String {
    format!("log/{run}/{start}/{length}")
}
