//! Ports with a trap: at one chosen call, before or after its effect, the server does not get its answer and the
//! test is told, which then kills it there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use model::id::JobName;
use model::job::Cursor;
use model::ports::Executor;
use tokio::sync::Notify;

mod forge;
mod work;

/// Where in a call the server dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// Nothing of the call has happened.
    Before,
    /// All of it has happened, and nobody knows.
    After,
}

/// Whose events the server reads, and from where on.
type Readers = BTreeMap<u64, (Arc<dyn Executor>, JobName, Cursor)>;

/// Counts the calls of all ports; springs once.
#[derive(Default)]
pub(crate) struct Trap {
    calls: AtomicU64,
    at: Mutex<Option<(u64, Side)>>,
    names: Mutex<Vec<&'static str>>,
    sprung: Notify,
    readers: Mutex<Readers>,
}

impl Trap {
    /// Lets every call through.
    pub(crate) fn open() -> Arc<Self> {
        Arc::default()
    }

    /// Springs at the `at`-th call (from 0).
    pub(crate) fn set(at: u64, side: Side) -> Arc<Self> {
        Arc::new(Self { at: Mutex::new(Some((at, side))), ..Self::default() })
    }

    /// The names of the calls so far, in order.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Is it still set?
    pub(crate) fn is_set(&self) -> bool {
        self.at.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Resolves when it has sprung.
    pub(crate) async fn sprung(&self) {
        self.sprung.notified().await;
    }

    /// Where the next call dies, if it does.
    fn enter(&self, name: &'static str) -> Option<Side> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        self.names.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, side) = at.take_if(|(at, _)| *at == number)?;
        Some(side)
    }

    /// Never comes back: the test kills the server meanwhile.
    async fn spring(&self) -> ! {
        self.sprung.notify_one();
        std::future::pending::<std::convert::Infallible>().await;
        unreachable!("pending never ends")
    }

    /// One call.
    async fn call<T>(&self, name: &'static str, effect: impl Future<Output = T>) -> T {
        match self.enter(name) {
            None => effect.await,
            Some(Side::Before) => self.spring().await,
            Some(Side::After) => {
                drop(effect.await);
                self.spring().await
            }
        }
    }
}

/// A port and the trap around it.
struct Around<P: ?Sized> {
    port: Arc<P>,
    trap: Arc<Trap>,
}
