//! Sealed pieces of the logs of runs, by offset.

use model::id::RunId;
use model::run::RunState;

use super::db::{self, bytes, int, sql, text};
use super::{Conn, StoreError};

/// How far a run's log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Bytes stored.
    pub(crate) length: i64,
    /// Has the run ended?
    pub(crate) ended: bool,
}

/// A sealed piece.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// Offset of its first byte.
    pub(crate) start: i64,
    /// Bytes in clear.
    pub(crate) length: i64,
    /// As stored.
    pub(crate) sealed: Vec<u8>,
}

/// The extent of a run's log; `None` when there is no such run.
pub(crate) async fn extent(conn: &mut Conn, run: RunId) -> Result<Option<Extent>, StoreError> {
    let query = sql("select state, log_bytes from runs where id=$1").bind(run.to_string());
    let row = db::optional(conn, query).await?;
    row.map(|row| {
        let state = text(&row, "state")?;
        let known = RunState::parse(&state);
        let known = known.ok_or_else(|| StoreError::Unreadable { what: format!("the state {state:?} of a run") })?;
        Ok(Extent { length: int(&row, "log_bytes")?, ended: known.is_terminal() })
    })
    .transpose()
}

/// Adds a piece at the end of the log. `Fenced` when the log does not end where the piece starts.
pub(crate) async fn add(conn: &mut Conn, run: RunId, piece: Piece) -> Result<(), StoreError> {
    let query = sql("update runs set log_bytes=$3 where id=$1 and log_bytes=$2").bind(run.to_string());
    if db::run(conn, query.bind(piece.start).bind(piece.start + piece.length)).await? == 0 {
        return Err(StoreError::Fenced);
    }
    let query = sql("insert into run_log_chunks (run, start, length, sealed) values ($1, $2, $3, $4)");
    db::run(conn, query.bind(run.to_string()).bind(piece.start).bind(piece.length).bind(piece.sealed)).await?;
    Ok(())
}

/// Pieces with a byte in `from..until`, in order, at most `most`; no piece is longer than `longest`.
pub(crate) async fn window(
    conn: &mut Conn,
    run: RunId,
    (from, until): (i64, i64),
    longest: i64,
    most: i64,
) -> Result<Vec<Piece>, StoreError> {
    let query = sql("select start, length, sealed from run_log_chunks \
         where run=$1 and start>$2 and start<$3 and start+length>$4 order by start limit $5");
    let query = query.bind(run.to_string()).bind(from.saturating_sub(longest)).bind(until).bind(from).bind(most);
    let rows = db::all(conn, query).await?;
    rows.iter()
        .map(|row| Ok(Piece { start: int(row, "start")?, length: int(row, "length")?, sealed: bytes(row, "sealed")? }))
        .collect()
}
