//! The engine's loops: workers, the heartbeat, the resync.
//!
//! Invariant: a loop ends between two steps only; an error of the database is told and tried again.

use std::sync::Arc;
use std::time::Duration;

use model::ports::Clock;
use reconciler::engine::Engine;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// Passes at the same time.
const WORKERS: usize = 4;
/// A worker looks at the clock again after this, whatever it was told.
const REST: Duration = Duration::from_secs(5);
/// At least so long, whatever the clock says.
const BREATH: Duration = Duration::from_millis(10);
/// A worker whose database fails waits so long.
const TROUBLE: Duration = Duration::from_secs(1);
/// Leases last four times as long.
const BEAT: Duration = Duration::from_secs(15);

/// Loops that run.
#[derive(Debug)]
pub(super) struct Loops {
    workers: JoinSet<()>,
    /// Ends with the workers, so that a long last pass keeps its lease.
    beat: JoinSet<()>,
}

struct Worker {
    engine: Engine,
    clock: Arc<dyn Clock>,
    peers: Arc<Notify>,
    stopped: watch::Receiver<bool>,
}

impl Loops {
    pub(super) fn start(
        engine: Engine,
        clock: Arc<dyn Clock>,
        resync: Duration,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let peers = Arc::new(Notify::new());
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            let worker =
                Worker { engine: engine.clone(), clock: clock.clone(), peers: peers.clone(), stopped: stopped.clone() };
            workers.spawn(worker.run());
        }
        workers.spawn(resyncs(engine.clone(), resync, stopped));
        let mut beat = JoinSet::new();
        beat.spawn(beats(engine));
        Self { workers, beat }
    }

    /// Ready when the last pass has ended.
    pub(super) async fn ended(mut self) {
        while self.workers.join_next().await.is_some() {}
        self.beat.shutdown().await;
    }
}

impl Worker {
    async fn run(mut self) {
        while !*self.stopped.borrow() {
            let rest = match self.engine.step().await {
                Ok(true) => {
                    // Where one key was due there may be more.
                    self.peers.notify_one();
                    continue;
                }
                Ok(false) => self.until_due().await,
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "a step failed");
                    TROUBLE
                }
            };
            tokio::select! {
                () = self.engine.woken() => {}
                () = self.peers.notified() => {}
                () = pause(rest) => {}
                _ = self.stopped.wait_for(|stop| *stop) => {}
            }
        }
    }

    async fn until_due(&self) -> Duration {
        match self.engine.next_due().await {
            Ok(Some(at)) => at.since(self.clock.now()).clamp(BREATH, REST),
            Ok(None) => REST,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the next due time cannot be read");
                TROUBLE
            }
        }
    }
}

async fn resyncs(engine: Engine, every: Duration, mut stopped: watch::Receiver<bool>) {
    while !*stopped.borrow() {
        if let Err(error) = engine.resync().await {
            tracing::error!(error = &error as &dyn std::error::Error, "the resync failed; the next one comes");
        }
        tokio::select! {
            () = pause(every) => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
    }
}

async fn beats(engine: Engine) {
    loop {
        pause(BEAT).await;
        if let Err(error) = engine.beat().await {
            tracing::error!(error = &error as &dyn std::error::Error, "leases could not be renewed");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the loops are where rows with a due time are waited for")]
async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}
