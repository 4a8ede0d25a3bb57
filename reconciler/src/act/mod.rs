//! Decisions carried out: facts refreshed, jobs started and stopped, publications written.
//!
//! Invariant: every action can be repeated; it writes rows only under its pass's lease, and what it causes is seen
//! by the next observation, never handed on.

pub(crate) mod apply;
pub(crate) mod group;
pub(crate) mod landing;
pub(crate) mod order;
pub(crate) mod publish;
pub(crate) mod pull;
mod recover;
pub(crate) mod resync;
pub(crate) mod run;
pub(crate) mod secret;
mod state;

use model::id::{PullNumber, RepoId};
use model::ports::{BlobError, ExecError, FetchError, ForgeError, IacError, SourceError};
use model::pull::RepoSnapshot;
use model::time::Timestamp;

use crate::logs::LogError;
use crate::parts::Parts;
use crate::retry::{self, Failed, Next};
use crate::secrets::SecretError;
use crate::states::StateError;
use crate::store::due::Claim;
use crate::store::{Conn, StoreError, Tx, due, pulls};
use crate::world::Key;

/// Why an action could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Forge(#[from] ForgeError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Exec(#[from] ExecError),
    #[error(transparent)]
    Iac(#[from] IacError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl Trouble {
    /// What follows from it; `None` when another worker took over.
    pub(crate) fn next(&self, attempt: u32, now: Timestamp) -> Option<Next> {
        Some(match self {
            Trouble::Store(StoreError::Fenced)
            | Trouble::Log(LogError::Store(StoreError::Fenced))
            | Trouble::State(StateError::Store(StoreError::Fenced)) => return None,
            Trouble::Forge(error) => retry::next(Failed::Forge(error), attempt, now),
            Trouble::Source(error) => retry::next(Failed::Source(error), attempt, now),
            Trouble::Fetch(error) => retry::next(Failed::Fetch(error), attempt, now),
            Trouble::Exec(error) => retry::next(Failed::Exec(error), attempt, now),
            Trouble::Iac(error) => retry::next(Failed::Iac(error), attempt, now),
            Trouble::Blob(error) => retry::next(Failed::Blob(error), attempt, now),
            Trouble::State(StateError::Blob(error)) => retry::next(Failed::Blob(error), attempt, now),
            Trouble::Secret(SecretError::Store(StoreError::Fenced)) => return None,
            Trouble::Secret(error @ SecretError::Damaged { .. }) => Next::Stall(error.to_string()),
            Trouble::State(error) if error.is_of_a_person() => Next::Stall(error.to_string()),
            // The database or the key store comes back; nothing can be told before.
            Trouble::Store(_) | Trouble::Log(_) | Trouble::State(_) | Trouble::Secret(_) => {
                Next::Again(now.after(retry::pause(attempt)))
            }
        })
    }
}

impl Trouble {
    /// Must a person be told at once, although it is tried again?
    pub(crate) fn needs_an_operator(&self) -> bool {
        matches!(self, Trouble::Exec(ExecError::Unavailable { .. }))
    }
}

/// A pass under way: what it works with and the lease that it writes under.
pub(crate) struct Pass<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) claim: &'a Claim,
}

impl Pass<'_> {
    pub(crate) fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// Begins a write under the lease.
    pub(crate) async fn write(&self) -> Result<Tx, StoreError> {
        let mut tx = self.parts.store.write().await?;
        due::hold(&mut tx, &self.claim.key, self.claim.fence, self.now()).await?;
        Ok(tx)
    }

    /// The same, and no other of its kind overlaps.
    pub(crate) async fn serial(&self) -> Result<Tx, StoreError> {
        let mut tx = self.parts.store.serial().await?;
        due::hold(&mut tx, &self.claim.key, self.claim.fence, self.now()).await?;
        Ok(tx)
    }

    /// Commits, and wakes whoever waits for due keys.
    pub(crate) async fn commit(&self, tx: Tx) -> Result<(), StoreError> {
        tx.commit().await?;
        self.parts.store.wake();
        Ok(())
    }

    /// Makes a key of a repository due now.
    pub(crate) async fn mark(&self, conn: &mut Conn, repo: RepoId, key: &Key) -> Result<(), StoreError> {
        let now = self.now();
        due::mark(conn, key, &repo.to_string(), now, now).await
    }

    /// Says that a pull request's facts are old.
    pub(crate) async fn ask(&self, conn: &mut Conn, repo: RepoId, number: PullNumber) -> Result<(), StoreError> {
        pulls::ask(conn, repo, number, self.now()).await?;
        self.mark(conn, repo, &Key::Pull(repo, number)).await
    }

    /// The repository as GitHub last said, read now when nothing or another name is known.
    pub(crate) async fn repository(&self, repo: RepoId) -> Result<RepoSnapshot, Trouble> {
        let row = pulls::repo(&mut *self.parts.store.read().await?, repo).await?.ok_or(StoreError::NoRow)?;
        match row.snapshot {
            Some(snapshot) if snapshot.name == row.name && snapshot.installation == row.installation => Ok(snapshot),
            _ => {
                let snapshot = self.parts.forge.repository(row.installation, &row.name).await?;
                let mut tx = self.write().await?;
                pulls::set_repo(&mut tx, &snapshot, self.now()).await?;
                self.commit(tx).await?;
                Ok(snapshot)
            }
        }
    }
}
