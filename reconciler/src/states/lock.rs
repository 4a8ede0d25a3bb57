//! The lock of a state: one holder, found again by its id.
//!
//! Invariants: asking again with the same id is answered as the first time (tried: a lost reply makes the client
//! fail on its own lock); a lock ends by its holder or by a person, never by time.

use std::fmt;

use model::id::{RepoId, RunId, StackName};
use model::time::Timestamp;
use serde::Deserialize;

use super::{Access, DocumentError, Grant, StateError, States, actor};
use crate::store::states::{LockRow, StackRow};
use crate::store::{Conn, StoreError, runs, states};

/// Lock ids of terraform are UUIDs.
const LONGEST_ID: usize = 200;

/// What a client sends to lock or unlock: terraform's lock info.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRequest {
    /// The lock's id.
    pub id: String,
    /// All of it, JSON.
    pub info: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Info {
    #[serde(rename = "ID")]
    id: String,
    operation: String,
    who: String,
}

impl LockRequest {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// It is not the JSON of a lock info with an id.
    pub fn read(body: &[u8]) -> Result<Self, DocumentError> {
        let place =
            |error: serde_json::Error| DocumentError::Json(format!("line {}, column {}", error.line(), error.column()));
        let info: Info = serde_json::from_slice(body).map_err(place)?;
        let fine = !info.id.is_empty() && info.id.len() <= LONGEST_ID && !info.id.chars().any(char::is_control);
        if !fine {
            return Err(DocumentError::Json("a lock info needs an ID of 1 to 200 characters".to_owned()));
        }
        Ok(Self { id: info.id, info: String::from_utf8_lossy(body).into_owned() })
    }
}

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The lock's id.
    pub id: String,
    /// The run that holds it.
    pub run: Option<RunId>,
    /// The holder as this server knows it, such as "run 12".
    pub actor: String,
    /// What the client said it does.
    pub operation: String,
    /// Who the client said it is.
    pub who: String,
    /// All that the client said, JSON.
    pub info: String,
    /// Since when.
    pub since: Timestamp,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, lock {}", self.actor, self.id)?;
        if self.operation.is_empty() && self.who.is_empty() {
            return Ok(());
        }
        write!(f, " ({} by {})", self.operation, self.who)
    }
}

/// Why there is no lock, or it does not end.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The token may only read.
    #[error("this token may only read; plans take no lock")]
    ReadOnly,
    /// The run has an end, or a newer apply was granted.
    #[error("this run may lock no more: it has ended, or a newer apply was granted")]
    Over,
    /// Another holds the lock.
    #[error("the state is locked by {0}")]
    Held(Box<Holder>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(super) async fn holder(conn: &mut Conn, lock: &LockRow) -> Result<Holder, StoreError> {
    let info: Info = serde_json::from_str(&lock.info).unwrap_or_default();
    let actor = match lock.run {
        Some(run) => actor(conn, run).await?,
        None => "another client".to_owned(),
    };
    Ok(Holder {
        id: lock.id.clone(),
        run: lock.run,
        actor,
        operation: info.operation,
        who: info.who,
        info: lock.info.clone(),
        since: lock.at,
    })
}

impl States {
    /// Takes the lock, or finds that the same run has it under the same id.
    pub async fn lock(&self, grant: &Grant, request: &LockRequest) -> Result<(), LockError> {
        let Access::Write { epoch } = grant.access else { return Err(LockError::ReadOnly) };
        let mut tx = self.store.write().await?;
        let row = states::hold(&mut tx, grant.repo, &grant.stack).await?;
        if let Some(held) = &row.lock {
            let same = held.id == request.id && held.run == Some(grant.run);
            return if same { Ok(()) } else { Err(LockError::Held(Box::new(holder(&mut tx, held).await?))) };
        }
        if grant.ended || epoch != row.epoch {
            return Err(LockError::Over);
        }
        let (id, info) = (request.id.clone(), request.info.clone());
        let lock = LockRow { id, info, run: Some(grant.run), at: self.clock.now() };
        states::lock(&mut tx, grant.repo, &grant.stack, &lock).await?;
        Ok(tx.commit().await.map_err(StoreError::from)?)
    }

    /// Releases the lock that the run holds under this id (`None`: whichever it holds), or finds that it was released.
    pub async fn unlock(&self, grant: &Grant, id: Option<&str>) -> Result<(), LockError> {
        if grant.access == Access::Read {
            return Err(LockError::ReadOnly);
        }
        if grant.ended {
            return Err(LockError::Over);
        }
        let mut tx = self.store.write().await?;
        let row = states::hold(&mut tx, grant.repo, &grant.stack).await?;
        match &row.lock {
            Some(held) if id.is_none_or(|id| held.id == id) && held.run == Some(grant.run) => {
                states::unlock(&mut tx, grant.repo, &grant.stack).await?;
                Ok(tx.commit().await.map_err(StoreError::from)?)
            }
            None => Ok(()),
            Some(_) if id.is_some() && row.released.as_deref() == id => Ok(()),
            Some(held) => Err(LockError::Held(Box::new(holder(&mut tx, held).await?))),
        }
    }

    /// Ends the lock of that id for its holder, whose run has an end, and makes the epoch grow, so that whatever of
    /// the holder is still alive changes nothing any more. Gives who it was.
    pub async fn force_unlock(&self, repo: RepoId, stack: &StackName, id: &str) -> Result<Holder, StateError> {
        let mut tx = self.store.write().await?;
        let row = states::hold(&mut tx, repo, stack).await?;
        let not_held = || StateError::NotHeld { stack: stack.clone(), id: id.to_owned() };
        let held = row.lock.as_ref().filter(|held| held.id == id).ok_or_else(not_held)?;
        let holder = holder(&mut tx, held).await?;
        if let Some(run) = held.run
            && runs::by_id(&mut tx, run).await?.is_some_and(|run| !run.state.is_terminal())
        {
            return Err(StateError::Running { stack: stack.clone(), actor: holder.actor });
        }
        states::unlock(&mut tx, repo, stack).await?;
        Self::grant_epoch(&mut tx, repo, stack).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(holder)
    }
}

impl States {
    /// Breaks the lock of that id within the transaction of the caller, who has seen that its run has ended; from its
    /// commit on, no apply that was granted before changes the state. Another lock stays.
    pub async fn break_lock(conn: &mut Conn, repo: RepoId, stack: &StackName, id: &str) -> Result<(), StoreError> {
        let row = states::hold(conn, repo, stack).await?;
        if row.lock.as_ref().is_some_and(|held| held.id == id) {
            states::unlock(conn, repo, stack).await?;
            Self::grant_epoch(conn, repo, stack).await?;
        }
        Ok(())
    }
}

/// Nobody may hold the lock.
pub(super) async fn must_be_free(conn: &mut Conn, row: &StackRow) -> Result<(), StateError> {
    match &row.lock {
        None => Ok(()),
        Some(held) => {
            let holder = Box::new(holder(conn, held).await?);
            Err(StateError::Locked { stack: row.stack.clone(), holder })
        }
    }
}
