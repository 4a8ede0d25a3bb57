//! The lock of a state: one holder, found again by its id.
//!
//! Invariants: asking again with the same id is answered as the first time (tried: a lost reply makes the client
//! fail on its own lock); a lock ends by its holder or by a person, never by time.

use std::fmt;

use model::id::{RepoId, RunId, StackName};
use model::time::Timestamp;
use serde::Deserialize;

use super::judge::Writer;
use super::{DocumentError, Grant, StateError, States, actor, stack_place};
use crate::audit::{self, Actor, Entry};
use crate::seal::SealError;
use crate::server_secret::ServerSecretError;
use crate::store::states::{LockRow, StackRow};
use crate::store::{Conn, StoreError, Tx, api_tokens, gates, runs, states};

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
    /// A run works with the state, and has not ended.
    #[error("{0} works with the state and has not ended; wait for it, or cancel it")]
    Running(String),
    /// Nobody may change it now.
    #[error("the state is frozen: {0}")]
    Frozen(String),
    /// The key of the audit log cannot be had.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The machine gives no random bytes.
    #[error("this machine gives no random bytes")]
    Random,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ServerSecretError> for LockError {
    fn from(error: ServerSecretError) -> Self {
        match error {
            ServerSecretError::Store(error) => Self::Store(error),
            ServerSecretError::Seal(error) => Self::Seal(error),
            ServerSecretError::Random => Self::Random,
        }
    }
}

pub(super) async fn holder(conn: &mut Conn, lock: &LockRow) -> Result<Holder, StoreError> {
    let info: Info = serde_json::from_str(&lock.info).unwrap_or_default();
    let actor = match (lock.run, &lock.token) {
        (Some(run), _) => actor(conn, run).await?,
        (None, Some(token)) => person(conn, token).await?,
        (None, None) => "another client".to_owned(),
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

/// Whose API token it is, in words.
async fn person(conn: &mut Conn, token: &str) -> Result<String, StoreError> {
    let row = api_tokens::by_id(conn, token).await?;
    Ok(row.map_or_else(|| format!("token {token}"), |row| format!("{} (token {})", row.owner, row.name)))
}

impl States {
    /// Takes the lock, or finds that the same client has it under the same id.
    pub async fn lock(&self, grant: &Grant, request: &LockRequest) -> Result<(), LockError> {
        let writer = grant.writer().ok_or(LockError::ReadOnly)?;
        let mut tx = self.store.write().await?;
        let row = states::hold(&mut tx, grant.repo, &grant.stack).await?;
        if let Some(held) = &row.lock {
            let same = held.id == request.id && writer.holds(held);
            return if same { Ok(()) } else { Err(LockError::Held(Box::new(holder(&mut tx, held).await?))) };
        }
        if writer.late(&row).is_some() {
            return Err(LockError::Over);
        }
        let (id, info) = (request.id.clone(), request.info.clone());
        let mut lock = LockRow { id, info, run: None, token: None, at: self.clock.now() };
        match writer {
            Writer::Run { run, .. } => lock.run = Some(run),
            Writer::Person(by) => {
                may_work(&mut tx, &row).await?;
                lock.token = by.token_id().map(str::to_owned);
                self.told(&mut tx, grant, by, "state.lock", format!("lock {}", lock.id)).await?;
            }
        }
        states::lock(&mut tx, grant.repo, &grant.stack, &lock).await?;
        Ok(tx.commit().await.map_err(StoreError::from)?)
    }

    /// Releases the lock that the client holds under this id (`None`: whichever it holds), or finds that it was
    /// released. A person who names another's lock, or none, forces it: that is all that `force-unlock` sends.
    pub async fn unlock(&self, grant: &Grant, id: Option<&str>) -> Result<(), LockError> {
        let writer = grant.writer().ok_or(LockError::ReadOnly)?;
        if matches!(writer, Writer::Run { ended: true, .. }) {
            return Err(LockError::Over);
        }
        let mut tx = self.store.write().await?;
        let row = states::hold(&mut tx, grant.repo, &grant.stack).await?;
        let named = |held: &LockRow| id.is_none_or(|id| held.id == id);
        match (&row.lock, writer) {
            (Some(held), _) if named(held) && writer.holds(held) => {
                states::unlock(&mut tx, grant.repo, &grant.stack).await?;
                if let Writer::Person(by) = writer {
                    self.told(&mut tx, grant, by, "state.unlock", format!("lock {}", held.id)).await?;
                }
                Ok(tx.commit().await.map_err(StoreError::from)?)
            }
            (None, _) => Ok(()),
            (Some(held), Writer::Person(by)) if named(held) => {
                let held = held.clone();
                self.force(tx, &row, &held, by).await.map(drop)
            }
            (Some(_), _) if id.is_some() && row.released.as_deref() == id => Ok(()),
            (Some(held), _) => Err(LockError::Held(Box::new(holder(&mut tx, held).await?))),
        }
    }

    /// Ends a lock whose run has an end, within the transaction of the caller, and makes the epoch grow: whatever of
    /// the holder is still on its way changes nothing any more.
    pub async fn let_go(conn: &mut Conn, repo: RepoId, stack: &StackName) -> Result<(), StoreError> {
        let row = states::hold(conn, repo, stack).await?;
        let Some(run) = row.lock.and_then(|held| held.run) else { return Ok(()) };
        if runs::by_id(conn, run).await?.is_some_and(|run| run.state.is_terminal()) {
            states::unlock(conn, repo, stack).await?;
            states::grow_epoch(conn, repo, stack).await?;
        }
        Ok(())
    }

    /// Ends the lock of that id for its holder, whose run has an end, and makes the epoch grow, so that whatever of
    /// the holder is still alive changes nothing any more. Gives who it was.
    pub async fn force_unlock(
        &self,
        repo: RepoId,
        stack: &StackName,
        id: &str,
        by: &Actor,
    ) -> Result<Holder, StateError> {
        let mut tx = self.store.write().await?;
        let row = states::hold(&mut tx, repo, stack).await?;
        let not_held = || StateError::NotHeld { stack: stack.clone(), id: id.to_owned() };
        let held = row.lock.clone().filter(|held| held.id == id).ok_or_else(not_held)?;
        self.force(tx, &row, &held, by).await.map_err(|error| match error {
            LockError::Running(actor) => StateError::Running { stack: stack.clone(), actor },
            LockError::Store(error) => StateError::Store(error),
            LockError::Seal(error) => StateError::Seal(error),
            LockError::Random => StateError::Random,
            LockError::ReadOnly | LockError::Over | LockError::Held(_) | LockError::Frozen(_) => not_held(),
        })
    }

    async fn force(&self, mut tx: Tx, row: &StackRow, held: &LockRow, by: &Actor) -> Result<Holder, LockError> {
        let holder = holder(&mut tx, held).await?;
        if let Some(run) = held.run
            && runs::by_id(&mut tx, run).await?.is_some_and(|run| !run.state.is_terminal())
        {
            return Err(LockError::Running(holder.actor));
        }
        states::unlock(&mut tx, row.repo, &row.stack).await?;
        Self::grant_epoch(&mut tx, row.repo, &row.stack).await?;
        let (place, detail) = (stack_place(row.repo, &row.stack), format!("lock {} of {}", held.id, holder.actor));
        let entry = Entry { actor: by, action: "state.force-unlock", place, detail };
        audit::note(&mut tx, &self.seal, self.clock.now(), entry).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(holder)
    }

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

    async fn told(
        &self,
        conn: &mut Conn,
        grant: &Grant,
        by: &Actor,
        action: &'static str,
        detail: String,
    ) -> Result<(), LockError> {
        let entry = Entry { actor: by, action, place: stack_place(grant.repo, &grant.stack), detail };
        Ok(audit::note(conn, &self.seal, self.clock.now(), entry).await?)
    }
}

/// May a person work with the state now: is nothing frozen, and does no apply run?
async fn may_work(conn: &mut Conn, row: &StackRow) -> Result<(), LockError> {
    if let Some(why) = gates::freeze(conn, row.repo).await?.or_else(|| row.frozen.as_ref().map(|(why, _)| why.clone()))
    {
        return Err(LockError::Frozen(why));
    }
    match runs::applying(conn, row.repo, &row.stack).await? {
        Some(run) => Err(LockError::Running(format!("run {run}"))),
        None => Ok(()),
    }
}

/// Nobody may hold the lock or be about to take it.
pub(super) async fn must_be_free(conn: &mut Conn, row: &StackRow) -> Result<(), StateError> {
    if let Some(held) = &row.lock {
        let holder = Box::new(holder(conn, held).await?);
        return Err(StateError::Locked { stack: row.stack.clone(), holder });
    }
    match runs::applying(conn, row.repo, &row.stack).await? {
        Some(run) => Err(StateError::Running { stack: row.stack.clone(), actor: format!("run {run}") }),
        None => Ok(()),
    }
}
