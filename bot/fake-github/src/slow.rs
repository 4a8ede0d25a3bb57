//! Owns slowness by order: a time that every request takes, and answers that are held back until they are let go.
//! Never decides what an answer is.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::FakeGitHub;

/// How slow the double is.
#[derive(Debug)]
pub(crate) struct Slow {
    micros: AtomicU64,
    waiting: AtomicUsize,
    /// Counts how often answers were let go.
    released: watch::Sender<u64>,
}

impl Default for Slow {
    fn default() -> Slow {
        Slow { micros: AtomicU64::new(0), waiting: AtomicUsize::new(0), released: watch::Sender::new(0) }
    }
}

impl Slow {
    /// The time that every request takes.
    #[expect(clippy::disallowed_methods, reason = "a slow network is what this plays; nothing waits for it")]
    pub(crate) async fn pass(&self) {
        let micros = self.micros.load(Ordering::Relaxed);
        if micros > 0 {
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
    }

    /// Taken before work that may be held: only what is let go afterwards lets it go.
    pub(crate) fn ticket(&self) -> watch::Receiver<u64> {
        self.released.subscribe()
    }

    /// Ends when answers are let go.
    pub(crate) async fn held(&self, mut ticket: watch::Receiver<u64>) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        // The sender lives as long as the double.
        let _ = ticket.changed().await;
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn release(&self) -> usize {
        let waiting = self.waiting.load(Ordering::SeqCst);
        self.released.send_modify(|count| *count += 1);
        waiting
    }
}

impl FakeGitHub {
    /// Every request takes this much longer, as over a network.
    pub fn set_latency(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.shared.slow.micros.store(micros, Ordering::Relaxed);
    }

    /// How many answers are ready and held back ([`crate::Fault::AnswerHeld`]).
    pub fn held_answers(&self) -> usize {
        self.shared.slow.waiting.load(Ordering::SeqCst)
    }

    /// Lets all held answers go; answers how many waited.
    pub fn release_answers(&self) -> usize {
        self.shared.slow.release()
    }
}
