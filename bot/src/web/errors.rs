//! Pages for what cannot be shown. The cause of a failure stays in the server's log.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use crate::web::view::Layout;
use crate::web::{ReadError, WebState};

#[derive(Template)]
#[template(path = "pages/error.html")]
struct ErrorPage<'a> {
    layout: Layout<'a>,
    code: u16,
    what: &'a str,
    help: &'a str,
}

fn page(state: &WebState, status: StatusCode, what: &str, help: &str) -> Response {
    let page = ErrorPage { layout: Layout::new(state, what, ""), code: status.as_u16(), what, help };
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => (status, what.to_owned()).into_response(),
    }
}

/// 403: the reader is not on this machine.
pub(super) fn forbidden(state: &WebState) -> Response {
    page(
        state,
        StatusCode::FORBIDDEN,
        "These pages answer on the server's own machine only",
        "There is no login yet. Whoever runs the server can set public_read = true, and then everybody who reaches this address can read plans and logs. Webhooks need no pages.",
    )
}

/// 404, also for the router's fallback.
pub(super) async fn missing(State(state): State<WebState>) -> Response {
    not_found(&state, "There is nothing here")
}

/// 404 with what was looked for.
pub(super) fn not_found(state: &WebState, what: &str) -> Response {
    page(state, StatusCode::NOT_FOUND, what, "It may have been removed, or the address is not complete.")
}

/// 500: logged, not shown.
pub(super) fn failed(state: &WebState, error: &ReadError) -> Response {
    tracing::error!(error = error as &dyn std::error::Error, "a page failed");
    broken(state)
}

/// 500 of a template.
pub(super) fn broken(state: &WebState) -> Response {
    page(
        state,
        StatusCode::INTERNAL_SERVER_ERROR,
        "This page failed",
        "The server's log says why. Trying again does no harm.",
    )
}
