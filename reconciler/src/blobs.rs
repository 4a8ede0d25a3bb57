//! Large values in the database: sealed pieces of 256 KiB, read eight at a time.
//!
//! Invariant: nothing is stored in clear; a value is whole, of one write, and of its key, or it is an error.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use model::ports::{BlobError, BlobKey, Blobs, Clock, Ids};

use crate::seal::{Seal, SealError};
use crate::store::blobs::Head;
use crate::store::{Store, StoreError, blobs};

/// Bytes of a piece.
pub(crate) const PIECE: usize = 256 * 1024;
/// Pieces read at a time.
const WINDOW: i64 = 8;

/// The port `Blobs` over the database.
#[derive(Clone)]
pub struct DatabaseBlobs {
    store: Store,
    seal: Seal,
    ids: Arc<dyn Ids>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for DatabaseBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseBlobs").field("store", &self.store).finish_non_exhaustive()
    }
}

impl DatabaseBlobs {
    /// Over a database; each write is named by a fresh id.
    pub fn new(store: Store, seal: Seal, ids: Arc<dyn Ids>, clock: Arc<dyn Clock>) -> Self {
        Self { store, seal, ids, clock }
    }

    async fn write(&self, key: &BlobKey, value: &[u8]) -> Result<(), Trouble> {
        let length = i64::try_from(value.len()).map_err(|_| Trouble::Damaged)?;
        let head = Head { length, generation: self.ids.uuid(self.clock.now()).to_string() };
        let mut tx = self.store.write().await?;
        blobs::begin(&mut tx, key.as_str(), &head).await?;
        // An empty value has one empty piece, so that it too is bound to its key.
        let pieces = if value.is_empty() { &[&[][..]][..] } else { &value.chunks(PIECE).collect::<Vec<_>>() };
        for (seq, piece) in (0..).zip(pieces) {
            let sealed = self.seal.seal(&place(key.as_str(), &head, seq), piece)?;
            blobs::add(&mut tx, key.as_str(), &head.generation, seq, sealed).await?;
        }
        tx.commit().await.map_err(StoreError::from)?;
        Ok(())
    }

    async fn read(&self, key: &BlobKey) -> Result<Option<Bytes>, Trouble> {
        let mut conn = self.store.read().await?;
        let mut head = blobs::head(&mut conn, key.as_str()).await?;
        while let Some(known) = head {
            match self.generation(&mut conn, key, &known).await {
                Err(Trouble::Damaged) => {
                    // Pieces vanish when the value is replaced while it is read: then begin again.
                    head = blobs::head(&mut conn, key.as_str()).await?;
                    if head.as_ref() == Some(&known) {
                        return Err(Trouble::Damaged);
                    }
                }
                read => return read.map(Some),
            }
        }
        Ok(None)
    }

    async fn generation(&self, conn: &mut crate::store::Conn, key: &BlobKey, head: &Head) -> Result<Bytes, Trouble> {
        let length = usize::try_from(head.length).map_err(|_| Trouble::Damaged)?;
        let pieces = i64::try_from(length.div_ceil(PIECE).max(1)).map_err(|_| Trouble::Damaged)?;
        let mut value = Vec::new();
        let mut next = 0;
        while next < pieces {
            let until = pieces.min(next + WINDOW);
            for (seq, sealed) in blobs::window(conn, key.as_str(), &head.generation, next, until).await? {
                if seq != next {
                    return Err(Trouble::Damaged);
                }
                let piece = self.seal.open(&place(key.as_str(), head, seq), &sealed)?;
                if seq == 0 {
                    // The length can be trusted now: it is part of the place.
                    value.reserve_exact(length);
                }
                value.extend(piece);
                next += 1;
            }
            if next < until {
                return Err(Trouble::Damaged);
            }
        }
        if value.len() == length { Ok(value.into()) } else { Err(Trouble::Damaged) }
    }

    async fn remove(&self, key: &BlobKey) -> Result<(), Trouble> {
        let mut tx = self.store.write().await?;
        blobs::remove(&mut tx, key.as_str()).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(())
    }
}

/// What a piece is sealed for: its key, write, position and the length of the whole.
pub(crate) fn place(key: &str, head: &Head, seq: i64) -> String {
    format!("blob/{}/{seq}/{}/{key}", head.generation, head.length)
}

/// Why not, before the key is named.
#[derive(Debug)]
enum Trouble {
    Damaged,
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Trouble {
    fn of(self, key: &BlobKey) -> BlobError {
        let key = key.as_str().to_owned();
        match self {
            Self::Damaged => BlobError::Damaged { key },
            Self::Other(source) => BlobError::Storage { key, source },
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Other(Box::new(error))
    }
}

impl From<SealError> for Trouble {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Damaged => Self::Damaged,
            other => Self::Other(Box::new(other)),
        }
    }
}

#[async_trait]
impl Blobs for DatabaseBlobs {
    async fn put(&self, key: &BlobKey, bytes: Bytes) -> Result<(), BlobError> {
        self.write(key, &bytes).await.map_err(|trouble| trouble.of(key))
    }
    async fn get(&self, key: &BlobKey) -> Result<Option<Bytes>, BlobError> {
        self.read(key).await.map_err(|trouble| trouble.of(key))
    }
    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        self.remove(key).await.map_err(|trouble| trouble.of(key))
    }
}
