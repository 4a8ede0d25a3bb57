//! Webhooks become rows: the delivery, what it hints at, and a due key, durable before the answer.
//!
//! Invariant: decides nothing. A hint only says where to look.

use std::sync::Arc;

use model::id::{CheckRunId, InstallationId, PullNumber, RepoId, RepoName};
use model::ports::Clock;
use model::time::Timestamp;

use crate::store::{Conn, Store, StoreError, commands, due, pulls};
use crate::world::Key;

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// Something about a pull request changed.
    Pull {
        /// Through which installation.
        installation: InstallationId,
        /// The repository.
        repo: RepoId,
        /// Its name now.
        name: RepoName,
        /// The pull request.
        number: PullNumber,
    },
    /// The tip of a branch moved.
    Branch {
        /// Through which installation.
        installation: InstallationId,
        /// The repository.
        repo: RepoId,
        /// Its name now.
        name: RepoName,
        /// The branch, without `refs/heads/`.
        branch: String,
    },
    /// A repository came or changed.
    Repository {
        /// Through which installation.
        installation: InstallationId,
        /// The repository.
        repo: RepoId,
        /// Its name now.
        name: RepoName,
    },
    /// An installation came or changed.
    Installation {
        /// Which.
        installation: InstallationId,
    },
    /// Someone asked for checks to run again.
    Rerun {
        /// Through which installation.
        installation: InstallationId,
        /// The repository.
        repo: RepoId,
        /// Its name now.
        name: RepoName,
        /// The commit of the checks, 40 hexadecimal digits.
        head_sha: String,
        /// The one check; `None` for all of the commit.
        check: Option<CheckRunId>,
    },
    /// Nothing that concerns us.
    Nothing,
}

/// A verified webhook delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// `X-GitHub-Delivery`.
    pub id: String,
    /// `X-GitHub-Event`.
    pub event: String,
    /// The payload's `action`.
    pub action: Option<String>,
    /// Where it says to look.
    pub hints: Vec<Hint>,
}

/// Answer of `note`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// Durably noted now.
    New,
    /// It was noted before; nothing changed.
    Duplicate,
}

/// Why a delivery could not be noted: answer 503, GitHub keeps it for redelivery.
#[derive(Debug, thiserror::Error)]
#[error("failed to note delivery {id}")]
pub struct InboxError {
    /// Which.
    pub id: String,
    /// Why.
    #[source]
    pub source: StoreError,
}

/// Takes deliveries.
#[derive(Clone)]
pub struct Inbox {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Inbox {
    /// Over a store.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Stores the delivery with its due keys in one transaction; durable when it returns Ok.
    pub async fn note(&self, delivery: Delivery) -> Result<Noted, InboxError> {
        let id = delivery.id.clone();
        self.store_it(delivery).await.map_err(|source| InboxError { id, source })
    }

    async fn store_it(&self, delivery: Delivery) -> Result<Noted, StoreError> {
        let now = self.clock.now();
        let mut tx = self.store.write().await?;
        if !due::deliver(&mut tx, &delivery.id, &delivery.event, delivery.action.as_deref(), now).await? {
            return Ok(Noted::Duplicate);
        }
        for (place, hint) in delivery.hints.iter().enumerate() {
            hinted(&mut tx, hint, &format!("{}-{place}", delivery.id), now).await?;
        }
        tx.commit().await?;
        self.store.wake();
        Ok(Noted::New)
    }
}

async fn hinted(conn: &mut Conn, hint: &Hint, id: &str, now: Timestamp) -> Result<(), StoreError> {
    let (repo, key) = match hint {
        Hint::Pull { installation, repo, name, number } => {
            pulls::know_repo(conn, *repo, *installation, name).await?;
            pulls::ask(conn, *repo, *number, now).await?;
            (Some(*repo), Key::Pull(*repo, *number))
        }
        Hint::Branch { installation, repo, name, branch } => {
            pulls::know_repo(conn, *repo, *installation, name).await?;
            (Some(*repo), Key::Branch(*repo, branch.clone()))
        }
        Hint::Repository { installation, repo, name } => {
            pulls::know_repo(conn, *repo, *installation, name).await?;
            (Some(*repo), Key::Repository(*repo))
        }
        Hint::Rerun { installation, repo, name, head_sha, check } => {
            pulls::know_repo(conn, *repo, *installation, name).await?;
            commands::rerun(conn, id, *repo, head_sha, check.map(CheckRunId::get), now).await?;
            (Some(*repo), Key::Rerun(id.to_owned()))
        }
        Hint::Installation { .. } => (None, Key::Everything),
        Hint::Nothing => return Ok(()),
    };
    let tenant = repo.map_or_else(|| "server".to_owned(), |repo| repo.to_string());
    due::mark(conn, &key, &tenant, now, now).await
}
