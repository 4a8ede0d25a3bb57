//! Read-only pages: what needs a look, a pull request, a run with its live log and plan.
//!
//! Owns: HTTP for people. It shows rows and never changes one; it knows neither `decide` nor the store.
//!
//! Invariants: until there is a login, pages answer only this machine unless the operator set `public_read`;
//! no header of the request can widen that. Nothing of other people is markup: templates escape, logs are parsed
//! into a safe subset, Markdown was made harmless by `render`. No inline script or style.

mod access;
mod ansi;
pub mod api;
mod assets;
mod errors;
mod log;
mod pages;
mod reads;
pub mod state;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;

pub use reads::{LogWindow, PullCard, PullPage, ReadError, Reads, RunCard, RunPage};

/// What the pages need.
#[derive(Clone)]
pub struct WebState {
    /// Where they read.
    pub reads: Arc<dyn Reads>,
    /// May anyone who reaches the port read? Without it only this machine may.
    pub public_read: bool,
    /// The server's version.
    pub version: &'static str,
    /// A line above every page, such as the warning that runs are plain processes.
    pub banner: Option<String>,
}

impl std::fmt::Debug for WebState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebState").field("public_read", &self.public_read).finish_non_exhaustive()
    }
}

/// All pages. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`: a request without a known peer
/// is taken for a distant one.
pub fn router(state: WebState) -> Router {
    let pages = Router::new()
        .route("/", get(pages::dashboard))
        .route("/{owner}/{repo}/pull/{number}", get(pages::pull))
        .route("/r/{number}", get(pages::run))
        .route("/r/{number}/log", get(log::download))
        .route("/r/{number}/events", get(log::events))
        .fallback(errors::missing)
        .layer(from_fn_with_state(state.clone(), access::guard))
        .with_state(state.clone());
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .merge(Router::new().route("/readyz", get(ready)).with_state(state))
        .route("/assets/{name}", get(assets::serve))
        .merge(pages)
        .layer(from_fn(access::headers))
}

/// Can requests be answered? For load balancers, so that it is open to all and says no cause.
async fn ready(State(state): State<WebState>) -> (StatusCode, &'static str) {
    match state.reads.ready().await {
        Ok(()) => (StatusCode::OK, "ok\n"),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n")
        }
    }
}
