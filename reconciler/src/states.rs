//! States of stacks that are kept here: versions, lock, epoch, tokens. The only writer of their tables.
//!
//! Invariants: a version that was stored is never changed or lost; of a stack's heads each has a higher serial than
//! the one before in its lineage; what an older apply writes is kept beside the heads, never served. A state is
//! sealed, and bound to its stack, lineage, serial, content and the head before it, so that a row or a value that
//! somebody moved, swapped or restored is an error, never another state.
//!
//! Two numbers guard a write: the *lock* says whose turn it is, the *epoch* which apply is the newest. The epoch
//! grows only when an apply is granted or a person forces the lock.

mod document;
mod history;
mod judge;
mod lock;
#[cfg(test)]
mod tests;
mod token;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use model::id::{RepoId, RunId, StackName};
use model::plan::{StateSeen, StateStamp};
use model::ports::{BlobError, BlobKey, Blobs, Clock, Ids};
use model::time::Timestamp;
use ring::digest;

pub use document::{DocumentError, StateOutput};
pub use history::Import;
pub use judge::Refusal;
pub use lock::{Holder, LockError, LockRequest};
pub use token::{Access, Grant, TokenError};
pub use write::Written;

use crate::seal::{Seal, SealError};
use crate::server_secret::ServerSecretError;
use crate::store::states::{StackRow, VersionRow};
use crate::store::{Conn, Store, StoreError, states};

/// The origin of a version that says that there is no state any more.
const REMOVAL: &str = "removal";

/// Why a state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The storage of large values failed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The secret of tokens cannot be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The machine gives no random bytes.
    #[error("this machine gives no random bytes")]
    Random,
    /// Rows and values do not belong together.
    #[error("the stored state of {stack} is damaged: {what}; restore the database and its values from one backup")]
    Damaged {
        /// Of which stack.
        stack: StackName,
        /// What does not fit.
        what: String,
    },
    /// Nothing was ever stored for the stack.
    #[error("no state of {stack} is kept here")]
    NoState {
        /// Which.
        stack: StackName,
    },
    /// The stack has no such version.
    #[error("{stack} has no version {number}")]
    NoVersion {
        /// Which stack.
        stack: StackName,
        /// Which version.
        number: i64,
    },
    /// The version does not fit what is asked.
    #[error("version {number} of {stack} {why}")]
    Unfit {
        /// Which stack.
        stack: StackName,
        /// Which version.
        number: i64,
        /// Why.
        why: &'static str,
    },
    /// The bytes are no state that can be kept, or not one that can be changed.
    #[error("the state cannot be used: {0}")]
    Document(#[from] DocumentError),
    /// Somebody works with the state.
    #[error("the state of {stack} is locked by {holder}")]
    Locked {
        /// Which stack.
        stack: StackName,
        /// Who holds the lock.
        holder: Box<Holder>,
    },
    /// The lock is not the one that is meant.
    #[error("the state of {stack} is not locked by {id}")]
    NotHeld {
        /// Which stack.
        stack: StackName,
        /// The lock that was named.
        id: String,
    },
    /// A run that works with it has no end yet.
    #[error("{actor} works with the state of {stack} and has not ended; wait for it, or cancel it")]
    Running {
        /// Which stack.
        stack: StackName,
        /// Which run.
        actor: String,
    },
    /// What is imported does not follow what is there.
    #[error("the state of {stack} is not replaced: {why}")]
    Conflict {
        /// Which stack.
        stack: StackName,
        /// Why, and what would do it.
        why: String,
    },
    /// The token may only read.
    #[error("this token may only read")]
    ReadOnly,
    /// A run left too many refused versions.
    #[error("{count} refused versions of this run are kept already; no more are taken")]
    TooManyOrphans {
        /// How many there are.
        count: usize,
    },
    /// Others wrote all the time.
    #[error("the state of {stack} is being written by others; try again")]
    Busy {
        /// Which stack.
        stack: StackName,
    },
}

impl StateError {
    /// Does trying again not help before someone acts?
    pub(crate) fn is_of_a_person(&self) -> bool {
        !matches!(self, Self::Store(_) | Self::Blob(_) | Self::Seal(_) | Self::Random | Self::Busy { .. })
    }
}

/// Where a job finds the state of its stack, below the server's URL.
pub fn path(repo: RepoId, stack: &StackName) -> String {
    let mut path = format!("/state/{repo}/");
    for byte in stack.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~') {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

impl From<ServerSecretError> for StateError {
    fn from(error: ServerSecretError) -> Self {
        match error {
            ServerSecretError::Store(error) => Self::Store(error),
            ServerSecretError::Seal(error) => Self::Seal(error),
            ServerSecretError::Random => Self::Random,
        }
    }
}

/// Where a version came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Written by a run.
    Write,
    /// Brought by a person.
    Import,
    /// An earlier version again.
    Rollback {
        /// Its number.
        from: i64,
    },
    /// There is no state any more: the version has no content.
    Removal,
    /// A refused version, made the head by a person.
    Promote {
        /// Its number.
        from: i64,
    },
}

/// What a version is to its stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The state.
    Head,
    /// It was the head.
    Earlier,
    /// It never was.
    Orphan {
        /// Why it was refused.
        refused: String,
    },
}

/// A version, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Counts up per stack, orphans included; a number may be missing.
    pub number: i64,
    /// What it is to the stack.
    pub standing: Standing,
    /// The state's lineage.
    pub lineage: String,
    /// The state's serial.
    pub serial: i64,
    /// SHA-256 of its bytes, hexadecimal.
    pub digest: String,
    /// Its bytes.
    pub length: i64,
    /// Did OpenTofu encrypt it?
    pub encrypted: bool,
    /// The version of the tool that wrote it, when the state says so.
    pub tool: Option<String>,
    /// Where it came from.
    pub origin: Origin,
    /// The run that wrote it.
    pub run: Option<RunId>,
    /// The epoch that it was written with.
    pub epoch: Option<i64>,
    /// Who wrote it, in words.
    pub actor: String,
    /// When.
    pub created_at: Timestamp,
}

/// A stack whose state is kept here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackState {
    /// Its repository.
    pub repo: RepoId,
    /// Its name.
    pub stack: StackName,
    /// The newest apply that was granted.
    pub epoch: i64,
    /// The state; `None` before the first write and after a removal.
    pub head: Option<Version>,
    /// Who holds the lock.
    pub lock: Option<Holder>,
    /// Why no apply may start, and since when.
    pub frozen: Option<(String, Timestamp)>,
}

/// The states of this server.
#[derive(Clone)]
pub struct States {
    store: Store,
    blobs: Arc<dyn Blobs>,
    seal: Seal,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("States").field("store", &self.store).finish_non_exhaustive()
    }
}

impl States {
    /// Over a database; bodies go to `blobs`.
    pub fn new(store: Store, blobs: Arc<dyn Blobs>, seal: Seal, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { store, blobs, seal, clock, ids }
    }

    /// Grants the next apply of a stack, within the transaction of the caller: from its commit on, no older apply
    /// changes the state.
    pub async fn grant_epoch(conn: &mut Conn, repo: RepoId, stack: &StackName) -> Result<i64, StoreError> {
        let epoch = states::hold(conn, repo, stack).await?.epoch + 1;
        states::grow_epoch(conn, repo, stack).await?;
        Ok(epoch)
    }

    /// Who holds the lock of a stack's state, within the transaction of the caller: from then on to its end nobody
    /// else takes it.
    pub async fn holder(conn: &mut Conn, repo: RepoId, stack: &StackName) -> Result<Option<Holder>, StoreError> {
        let row = states::hold(conn, repo, stack).await?;
        match &row.lock {
            Some(held) => Ok(Some(lock::holder(conn, held).await?)),
            None => Ok(None),
        }
    }

    /// The state of a stack now, to hold against what a plan has seen.
    pub async fn seen(conn: &mut Conn, repo: RepoId, stack: &StackName) -> Result<StateSeen, StateError> {
        let Some(head) = states::head(conn, repo, stack).await? else { return Ok(StateSeen::None) };
        if head.binding != binding(repo, stack, &head) {
            return Err(damaged(stack, format!("the row of version {} was changed", head.number)));
        }
        Ok(StateSeen::of((head.origin != REMOVAL).then(|| stamp_of(&head))))
    }

    /// A stamp without a digest, and the digest of the head that had its lineage and serial.
    pub(crate) async fn stamp(
        conn: &mut Conn,
        repo: RepoId,
        stack: &StackName,
        stamp: StateStamp,
    ) -> Result<StateStamp, StateError> {
        let row = states::accepted(conn, repo, stack, &stamp.lineage, stamp.serial).await?;
        Ok(row.map_or(stamp, |row| stamp_of(&row)))
    }

    /// Freezes a stack, or ends that with `None`, within the transaction of the caller. The state itself stays
    /// writable for the apply that was granted last: what it still writes is the truth.
    pub async fn freeze(
        conn: &mut Conn,
        repo: RepoId,
        stack: &StackName,
        why: Option<(&str, Timestamp)>,
    ) -> Result<(), StoreError> {
        states::hold(conn, repo, stack).await?;
        states::set_frozen(conn, repo, stack, why).await
    }

    /// The newest version of a stack's state; `None` when there is no state.
    pub async fn head(&self, repo: RepoId, stack: &StackName) -> Result<Option<Version>, StateError> {
        let mut tx = self.store.snapshot().await?;
        let Some(row) = states::find(&mut tx, repo, stack).await? else { return Ok(None) };
        Ok(state_row(&mut tx, &row).await?.map(|head| version(head, row.head.as_deref())))
    }

    /// The state of a stack: its newest version and its bytes; `None` when there is no state.
    pub async fn current(&self, repo: RepoId, stack: &StackName) -> Result<Option<(Version, Bytes)>, StateError> {
        let mut tx = self.store.snapshot().await?;
        let Some(row) = states::find(&mut tx, repo, stack).await? else { return Ok(None) };
        let Some(head) = state_row(&mut tx, &row).await? else { return Ok(None) };
        drop(tx);
        let bytes = self.content(repo, stack, &head).await?;
        Ok(Some((version(head, row.head.as_deref()), bytes)))
    }

    /// The outputs of the newest state; `None` when no state is kept here.
    pub async fn outputs(
        &self,
        repo: RepoId,
        stack: &StackName,
    ) -> Result<Option<BTreeMap<String, StateOutput>>, StateError> {
        match self.current(repo, stack).await? {
            Some((_, bytes)) => Ok(Some(document::outputs(&bytes)?)),
            None => Ok(None),
        }
    }

    /// Addresses of the resource instances in the newest state; `None` when no state is kept here, or it cannot be
    /// read.
    pub async fn addresses(&self, repo: RepoId, stack: &StackName) -> Result<Option<BTreeSet<String>>, StateError> {
        Ok(self.current(repo, stack).await?.and_then(|(_, bytes)| document::addresses(&bytes)))
    }

    /// A stack; `None` when nothing of it was ever kept here.
    pub async fn stack(&self, repo: RepoId, stack: &StackName) -> Result<Option<StackState>, StateError> {
        let mut tx = self.store.snapshot().await?;
        match states::find(&mut tx, repo, stack).await? {
            Some(row) => Ok(Some(stack_state(&mut tx, row).await?)),
            None => Ok(None),
        }
    }

    /// All stacks, in the order of repository and name; a damaged one is an error of its own.
    pub async fn stacks(&self) -> Result<Vec<Result<StackState, StateError>>, StateError> {
        let mut tx = self.store.snapshot().await?;
        let mut all = Vec::new();
        for row in states::all(&mut tx).await? {
            all.push(stack_state(&mut tx, row).await);
        }
        Ok(all)
    }

    /// The stacks of a repository, by name.
    pub async fn stacks_of(
        &self,
        repo: RepoId,
    ) -> Result<Vec<(StackName, Result<StackState, StateError>)>, StateError> {
        let mut tx = self.store.snapshot().await?;
        let mut all = Vec::new();
        for row in states::of_repo(&mut tx, repo).await? {
            all.push((row.stack.clone(), stack_state(&mut tx, row).await));
        }
        Ok(all)
    }

    /// The bytes of a version, verified.
    async fn content(&self, repo: RepoId, stack: &StackName, row: &VersionRow) -> Result<Bytes, StateError> {
        if row.binding != binding(repo, stack, row) {
            return Err(damaged(stack, format!("the row of version {} was changed", row.number)));
        }
        let found = self.blobs.get(&blob_key(row)).await?;
        found.ok_or_else(|| damaged(stack, format!("the content of version {} is not there", row.number)))
    }
}

fn stamp_of(row: &VersionRow) -> StateStamp {
    StateStamp { lineage: row.lineage.clone(), serial: row.serial, digest: Some(row.digest.clone()) }
}

fn damaged(stack: &StackName, what: String) -> StateError {
    StateError::Damaged { stack: stack.clone(), what }
}

/// Under which key a version's bytes are sealed: with its binding, so that they open for this row only.
fn blob_key(row: &VersionRow) -> BlobKey {
    BlobKey::new("state", format!("{}/{}", row.id, row.binding))
}

/// What a version is bound to, as one hash: its place, what it says of itself, its bytes, and the head before it.
fn binding(repo: RepoId, stack: &StackName, row: &VersionRow) -> String {
    let (repo, number, serial) = (repo.to_string(), row.number.to_string(), row.serial.to_string());
    let parts =
        [&repo, stack.as_str(), row.id.as_str(), &number, row.lineage.as_str(), &serial, &row.digest, &row.previous];
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        // The length keeps two neighbours apart.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    hex::encode(context.finish().as_ref())
}

/// The head's row, held against what else is known of the stack.
async fn head_row(conn: &mut Conn, row: &StackRow) -> Result<Option<VersionRow>, StateError> {
    let newest = states::newest(conn, row.repo, &row.stack).await?;
    if newest.as_ref().map(|it| &it.id) != row.head.as_ref() {
        return Err(damaged(&row.stack, "its head is not its newest version".to_owned()));
    }
    if let Some(head) = &newest
        && !head.previous.is_empty()
        && !states::is_bound(conn, row.repo, &row.stack, &head.previous).await?
    {
        return Err(damaged(&row.stack, format!("the version before version {} is not there", head.number)));
    }
    Ok(newest)
}

/// The head's row, unless the state was removed.
async fn state_row(conn: &mut Conn, row: &StackRow) -> Result<Option<VersionRow>, StateError> {
    Ok(head_row(conn, row).await?.filter(|head| head.origin != REMOVAL))
}

async fn stack_state(conn: &mut Conn, row: StackRow) -> Result<StackState, StateError> {
    let head = state_row(conn, &row).await?.map(|head| version(head, row.head.as_deref()));
    let lock = match &row.lock {
        Some(held) => Some(lock::holder(conn, held).await?),
        None => None,
    };
    Ok(StackState { repo: row.repo, stack: row.stack, epoch: row.epoch, head, lock, frozen: row.frozen })
}

/// A row as others see it.
fn version(row: VersionRow, head: Option<&str>) -> Version {
    let standing = match row.kind.as_str() {
        "orphan" => Standing::Orphan { refused: row.refused.unwrap_or_default() },
        _ if head == Some(row.id.as_str()) => Standing::Head,
        _ => Standing::Earlier,
    };
    let from = row.source.unwrap_or_default();
    let origin = match row.origin.as_str() {
        "import" => Origin::Import,
        REMOVAL => Origin::Removal,
        "rollback" => Origin::Rollback { from },
        "promote" => Origin::Promote { from },
        _ => Origin::Write,
    };
    Version {
        number: row.number,
        standing,
        lineage: row.lineage,
        serial: row.serial,
        digest: row.digest,
        length: row.length,
        encrypted: row.encrypted,
        tool: row.tool,
        origin,
        run: row.run,
        epoch: row.epoch,
        actor: row.actor,
        created_at: row.created_at,
    }
}

/// Who a run is, in words.
async fn actor(conn: &mut Conn, run: RunId) -> Result<String, StoreError> {
    let row = crate::store::runs::by_id(conn, run).await?;
    Ok(row.map_or_else(|| format!("run {run}"), |row| format!("run {}", row.number)))
}

/// A stack in the audit log.
fn stack_place(repo: RepoId, stack: &StackName) -> String {
    format!("repo:{repo}/{stack}")
}
