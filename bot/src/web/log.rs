//! A run's log: as text, and piece by piece for the page that follows it.
//!
//! Invariant: no state in memory. Each viewer asks for the bytes behind its own cursor, so that any number of
//! them, on any server, see the same.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use model::id::RunNumber;
use serde::{Deserialize, Serialize};

use crate::render::words;
use crate::web::view::RunLine;
use crate::web::{ReadError, Reads, WebState, ansi, errors};

/// The largest piece that one answer carries, in bytes.
pub(super) const WINDOW: usize = 256 * 1024;

/// Lines of a log and where to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Piece {
    /// Lines as HTML.
    pub(super) lines: Vec<String>,
    /// The byte behind them.
    pub(super) next: u64,
    /// Does nothing follow?
    pub(super) ended: bool,
}

/// Whole lines from `from` on; the last one may be without its end when the log has ended or the line is longer
/// than a window. `None` without such a run.
pub(super) async fn piece(reads: &dyn Reads, run: RunNumber, from: u64) -> Result<Option<Piece>, ReadError> {
    let Some(window) = reads.log(run, from, WINDOW).await? else { return Ok(None) };
    let full = window.bytes.len() >= WINDOW;
    let whole = match window.bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => at + 1,
        None if full => window.bytes.len(),
        None => 0,
    };
    let take = if window.ended && !full { window.bytes.len() } else { whole };
    let rest = window.bytes.len() - take;
    let next = window.next.saturating_sub(u64::try_from(rest).unwrap_or(0));
    Ok(Some(Piece { lines: ansi::lines(&window.bytes[..take]), next, ended: window.ended && rest == 0 }))
}

#[derive(Debug, Deserialize)]
pub(super) struct From {
    #[serde(default)]
    from: u64,
}

#[derive(Serialize)]
struct Event {
    #[serde(flatten)]
    piece: Piece,
    state: &'static str,
    class: &'static str,
    done: bool,
}

/// `/r/{n}/events?from=BYTE`: what came since, as JSON.
pub(super) async fn events(State(state): State<WebState>, Path(number): Path<i64>, Query(at): Query<From>) -> Response {
    let number = RunNumber::new(number);
    // The run first: a log that is read later than its end is whole.
    let run = match state.reads.run(number).await {
        Ok(Some(run)) => run,
        Ok(None) => return errors::not_found(&state, "There is no such run"),
        Err(error) => return errors::failed(&state, &error),
    };
    match piece(&*state.reads, number, at.from).await {
        Ok(Some(piece)) => {
            let done = run.card.state.is_terminal() && piece.ended;
            let event = Event { piece, state: words::state(run.card.state), class: RunLine::of(&run.card).class, done };
            Json(event).into_response()
        }
        Ok(None) => errors::not_found(&state, "There is no such run"),
        Err(error) => errors::failed(&state, &error),
    }
}

/// `/r/{n}/log`: all of it that is there, as plain text without control sequences.
pub(super) async fn download(State(state): State<WebState>, Path(number): Path<i64>) -> Response {
    let number = RunNumber::new(number);
    match state.reads.log(number, 0, 1).await {
        Ok(Some(_)) => {}
        Ok(None) => return errors::not_found(&state, "There is no such run"),
        Err(error) => return errors::failed(&state, &error),
    }
    let reads = state.reads;
    let chunks = futures_util::stream::try_unfold(Some(0_u64), move |from| {
        let reads = reads.clone();
        async move {
            let Some(from) = from else { return Ok::<_, ReadError>(None) };
            let Some(window) = reads.log(number, from, WINDOW).await? else { return Ok(None) };
            let more = window.next > from && !window.bytes.is_empty();
            Ok(more.then_some((window.bytes, Some(window.next))))
        }
    });
    let name = format!("attachment; filename=\"run-{number}.log\"");
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    (headers, Body::from_stream(chunks)).into_response()
}
