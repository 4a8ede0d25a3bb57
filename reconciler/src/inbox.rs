//! Webhooks become rows: the delivery, what it hints at, and a due key, durable before the answer.
//!
//! Invariant: decides nothing. A hint only says where to look.

use std::sync::Arc;
use std::time::Duration;

use model::id::{CheckRunId, CommitSha, InstallationId, PullNumber, RepoId, RepoName};
use model::ports::Clock;
use model::publication::CheckAction;
use model::time::Timestamp;

use crate::store::{Conn, Store, StoreError, commands, due, landings, pulls};
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
    /// Somebody's check or status of a commit changed: facts of pull requests with that head are old, where we know
    /// any.
    Commit {
        /// The repository.
        repo: RepoId,
        /// Which.
        commit: CommitSha,
        /// Who caused it; what we did ourselves is no news.
        by: String,
    },
    /// Somebody pressed a button of a check.
    Pressed {
        /// Through which installation.
        installation: InstallationId,
        /// The repository.
        repo: RepoId,
        /// Its name now.
        name: RepoName,
        /// Which, and who.
        button: Button,
    },
    /// What branches ask for changed.
    Rules {
        /// Through which installation.
        installation: InstallationId,
        /// In this repository; `None` in all of the installation.
        repo: Option<RepoId>,
    },
    /// Who is in which team changed.
    Teams {
        /// Of which installation's organisation.
        installation: InstallationId,
    },
    /// Nothing that concerns us.
    Nothing,
}

/// A pressed button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// The commit of the checks.
    pub commit: CommitSha,
    /// The one check; `None` for all of the commit.
    pub check: Option<CheckRunId>,
    /// What it asks for.
    pub action: CheckAction,
    /// Who pressed it.
    pub login: String,
    /// An account of a program?
    pub bot: bool,
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
            landings::ask(conn, *repo, branch).await?;
            (Some(*repo), Key::Branch(*repo, branch.clone()))
        }
        Hint::Repository { installation, repo, name } => {
            pulls::know_repo(conn, *repo, *installation, name).await?;
            (Some(*repo), Key::Repository(*repo))
        }
        Hint::Pressed { installation, repo, name, button } => {
            pulls::know_repo(conn, *repo, *installation, name).await?;
            commands::press(conn, id, *repo, button, now).await?;
            (Some(*repo), Key::Rerun(id.to_owned()))
        }
        Hint::Commit { repo, commit, by } => return checked(conn, *repo, commit, by, now).await,
        Hint::Rules { repo: Some(repo), .. } => (Some(*repo), Key::Rules(*repo)),
        Hint::Rules { installation, repo: None } => {
            for repo in pulls::repos_of(conn, *installation).await? {
                due::mark(conn, &Key::Rules(repo), &repo.to_string(), now, now).await?;
            }
            return Ok(());
        }
        Hint::Teams { installation } => (None, Key::Teams(*installation)),
        Hint::Installation { .. } => (None, Key::Everything),
        Hint::Nothing => return Ok(()),
    };
    let tenant = repo.map_or_else(|| "server".to_owned(), |repo| repo.to_string());
    due::mark(conn, &key, &tenant, now, now).await
}

/// Checks end in bunches, and each look costs GitHub some requests: the next look takes all of this long.
const BUNCH: Duration = Duration::from_secs(1);

/// Facts of the open pull requests with that head are old.
async fn checked(
    conn: &mut Conn,
    repo: RepoId,
    commit: &CommitSha,
    by: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let slug = due::setting(conn, due::SLUG).await?;
    if slug.is_some_and(|slug| by == format!("{slug}[bot]")) {
        return Ok(());
    }
    for number in pulls::with_head(conn, repo, commit.as_str()).await? {
        pulls::ask(conn, repo, number, now).await?;
        due::mark(conn, &Key::Pull(repo, number), &repo.to_string(), now, now.after(BUNCH)).await?;
    }
    Ok(())
}
