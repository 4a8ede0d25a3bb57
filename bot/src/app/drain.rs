//! A server that is to leave: nothing new is begun, and what is applied is brought to an end while its state can
//! still be stored here.
//!
//! Invariant: nothing is lost by leaving earlier; what stands in rows goes on with the next start.

use std::time::Duration;

use model::ports::Clock;
use reconciler::engine::Engine;

/// From the interrupt of a tool to the end of its job: the job's own grace, and time to tell.
const INTERRUPTED: Duration = Duration::from_secs(90);
/// What became of the applies is told to GitHub within this, if GitHub takes it.
const TELLING: Duration = Duration::from_secs(5);
/// How often it is looked at when nothing is heard.
const LOOK: Duration = Duration::from_millis(200);

/// Goes on with what is applied for so long, then interrupts it, once. Plans go on without the server: they change
/// nothing, and the next start finds them.
pub(super) async fn drain(engine: &Engine, clock: &dyn Clock, grace: Duration) {
    engine.leave();
    let begun = applies(engine).await;
    if begun == 0 {
        return;
    }
    tracing::info!(applies = begun, seconds = grace.as_secs(), "applies have so long to end by themselves");
    if !within(grace, ended(engine)).await {
        tracing::warn!("applies that have not ended are interrupted, and store what they have done");
        if let Err(error) = engine.interrupt_applies().await {
            tracing::error!(error = &error as &dyn std::error::Error, "applies could not be interrupted; they go on");
            return;
        }
        if !within(INTERRUPTED, ended(engine)).await {
            tracing::warn!(applies = applies(engine).await, "applies do not end; the next start looks after them");
        }
    }
    within(TELLING, told(engine, clock)).await;
}

/// Does it come within this time?
async fn within(bound: Duration, work: impl Future<Output = ()>) -> bool {
    tokio::time::timeout(bound, work).await.is_ok()
}

async fn ended(engine: &Engine) {
    while applies(engine).await > 0 {
        look().await;
    }
}

/// Until nothing is due now.
async fn told(engine: &Engine, clock: &dyn Clock) {
    while engine.next_due().await.is_ok_and(|due| due.is_some_and(|at| at <= clock.now())) {
        look().await;
    }
}

/// How many run; a database that does not answer says nothing else.
async fn applies(engine: &Engine) -> usize {
    engine.applies().await.unwrap_or_else(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "what runs cannot be read");
        1
    })
}

#[expect(clippy::disallowed_methods, reason = "an end is a row, and another server may write it")]
async fn look() {
    tokio::time::sleep(LOOK).await;
}
