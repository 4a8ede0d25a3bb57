//! A new key for everything that is sealed: each value is wrapped anew, beside servers that read and write.
//!
//! Invariants: killed anywhere it leaves every value readable, by the old key or the new, and the next time goes on; a
//! value that cannot be opened stays as it is, and is told. A column that holds sealed values and is not walked here would
//! be lost with the old key: a test holds the schema against `Table`.

use std::collections::BTreeMap;

use crate::audit::{self, Actor, Entry};
use crate::seal::{self, Seal, SealError};
use crate::server_secret::ServerSecretError;
use crate::store::blobs::Head;
use crate::store::sealed::{self, At, SealedRow, Table};
use crate::store::{Store, StoreError};
use crate::{blobs, logs, secrets};

use model::time::Timestamp;

/// Rows that are read, and written, at a time: pieces have up to 256 KiB.
const WINDOW: i64 = 16;
/// Walks until nothing is left: each finds only what another sealed by the old key meanwhile.
const WALKS: usize = 10;

/// Why keys cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// A value names a key that is not there.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something goes on sealing by another key.
    #[error("something still seals by another key than {current}")]
    Busy {
        /// The key that should.
        current: String,
    },
    /// The machine gives no random bytes.
    #[error("this machine gives no random bytes")]
    Random,
}

impl From<ServerSecretError> for RotationError {
    fn from(error: ServerSecretError) -> Self {
        match error {
            ServerSecretError::Store(error) => Self::Store(error),
            ServerSecretError::Seal(error) => Self::Seal(error),
            ServerSecretError::Random => Self::Random,
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Values that were wrapped anew.
    pub rewrapped: u64,
    /// Values that are under the key that seals now.
    pub current: u64,
    /// What cannot be opened by the key that it names, or names none that is there.
    pub damaged: Vec<String>,
}

/// The change of the keys of a database.
#[derive(Debug, Clone)]
pub struct Rotation {
    store: Store,
    seal: Seal,
}

/// Where a walk is.
#[derive(Debug)]
struct Cursor {
    tables: std::slice::Iter<'static, Table>,
    table: Option<Table>,
    at: At,
}

impl Cursor {
    fn new() -> Self {
        let mut tables = Table::ALL.iter();
        let table = tables.next().copied();
        Self { tables, table, at: At::START }
    }
}

impl Rotation {
    /// Of this database, with keys of which the newest seals.
    pub fn new(store: Store, seal: Seal) -> Self {
        Self { store, seal }
    }

    /// How many values each key seals; `None` for what is no sealed value.
    pub async fn counts(&self) -> Result<BTreeMap<Option<String>, u64>, RotationError> {
        let mut counts = BTreeMap::new();
        let mut cursor = Cursor::new();
        while let Some((_, rows)) = self.next(&mut cursor).await? {
            for row in rows {
                *counts.entry(seal::key_of(&row.sealed).map(str::to_owned)).or_default() += 1;
            }
        }
        Ok(counts)
    }

    /// Wraps everything by the key that seals now, and says from time to time how far it is. Servers may go on.
    pub async fn run(&self, mut each: impl FnMut(&Progress)) -> Result<Progress, RotationError> {
        let mut rewrapped = 0;
        for _ in 0..WALKS {
            let mut progress = Progress { rewrapped, ..Progress::default() };
            let mut cursor = Cursor::new();
            while self.step(&mut cursor, &mut progress).await? {
                each(&progress);
            }
            if progress.rewrapped == rewrapped {
                return Ok(progress);
            }
            rewrapped = progress.rewrapped;
        }
        Err(RotationError::Busy { current: self.seal.current() })
    }

    /// As `run`, and waits for whoever began to write before: from then on only what `damaged` tells names another key,
    /// as long as nobody seals by one.
    pub async fn finish(&self, mut each: impl FnMut(&Progress)) -> Result<Progress, RotationError> {
        let first = self.run(&mut each).await?;
        let mut tx = self.store.write().await?;
        sealed::wait_for_writers(&mut tx, self.store.dialect()).await?;
        tx.commit().await.map_err(StoreError::from)?;
        let last = self.run(each).await?;
        Ok(Progress { rewrapped: first.rewrapped + last.rewrapped, ..last })
    }

    /// Notes a change of keys in the audit log.
    pub async fn note(
        &self,
        by: &Actor,
        action: &'static str,
        detail: String,
        now: Timestamp,
    ) -> Result<(), RotationError> {
        let mut tx = self.store.write().await?;
        audit::note(&mut tx, &self.seal, now, Entry { actor: by, action, place: "keys".to_owned(), detail }).await?;
        Ok(tx.commit().await.map_err(StoreError::from)?)
    }

    /// The next rows of a walk, and their table; `None` at its end.
    async fn next(&self, cursor: &mut Cursor) -> Result<Option<(Table, Vec<SealedRow>)>, RotationError> {
        while let Some(table) = cursor.table {
            let rows = sealed::after(&mut *self.store.read().await?, table, &cursor.at, WINDOW).await?;
            match rows.last() {
                Some(last) => {
                    cursor.at = last.at.clone();
                    return Ok(Some((table, rows)));
                }
                None => {
                    cursor.table = cursor.tables.next().copied();
                    cursor.at = At::START;
                }
            }
        }
        Ok(None)
    }

    /// Wraps the next rows anew. False: the walk is at its end.
    async fn step(&self, cursor: &mut Cursor, progress: &mut Progress) -> Result<bool, RotationError> {
        let Some((table, rows)) = self.next(cursor).await? else { return Ok(false) };
        let mut changed = Vec::new();
        for row in rows {
            match self.seal.rewrap(&place(table, &row), &row.sealed) {
                Ok(None) => progress.current += 1,
                Ok(Some(new)) => changed.push((row, new)),
                Err(SealError::Damaged | SealError::Keys(model::ports::KeysError::Unknown { .. })) => {
                    progress.damaged.push(words(table, &row));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if changed.is_empty() {
            return Ok(true);
        }
        let mut tx = self.store.write().await?;
        let mut count = 0;
        for (row, new) in changed {
            // What another changed meanwhile is found by the next walk, if need be.
            count += u64::from(sealed::replace(&mut tx, table, &row, new).await?);
        }
        tx.commit().await.map_err(StoreError::from)?;
        progress.rewrapped += count;
        progress.current += count;
        Ok(true)
    }
}

/// What a row's value is sealed for.
fn place(table: Table, row: &SealedRow) -> String {
    let At { first, second, third } = &row.at;
    match table {
        Table::Settings => first.clone(),
        Table::Secrets | Table::SecretsBefore => secrets::place(first, second, *third),
        Table::Logs => logs::place(first, *third, row.length),
        Table::Blobs => blobs::place(first, &Head { length: row.length, generation: second.clone() }, *third),
    }
}

/// A row, for people.
fn words(table: Table, row: &SealedRow) -> String {
    let At { first, second, third } = &row.at;
    let key = seal::key_of(&row.sealed).map_or_else(|| "no key".to_owned(), |key| format!("{key:?}"));
    let what = match table {
        Table::Settings => format!("the server's own {first}"),
        Table::Secrets => format!("the secret {second} of {first}, version {third}"),
        Table::SecretsBefore => format!("an earlier value of the secret {second} of {first}, version {third}"),
        Table::Logs => format!("the log of run {first} at byte {third}"),
        Table::Blobs => format!("piece {third} of {first}"),
    };
    format!("{what} (names {key})")
}

#[cfg(test)]
mod tests;
