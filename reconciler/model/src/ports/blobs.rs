//! Large values.

use async_trait::async_trait;
use bytes::Bytes;

/// Stores large values, sealed and bound to their key. The caller chooses the key; writing the same key again
/// replaces the value.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Stores the value durably before it returns.
    async fn put(&self, key: &BlobKey, bytes: Bytes) -> Result<(), BlobError>;
    /// The whole value; `None` when there is none.
    async fn get(&self, key: &BlobKey) -> Result<Option<Bytes>, BlobError>;
    /// Removes it; absent is Ok.
    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError>;
}

/// The name of a value: a kind and an id, such as `plan-file/<run>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobKey(String);

impl BlobKey {
    /// Joins kind and id.
    pub fn new(kind: &str, id: impl std::fmt::Display) -> Self {
        Self(format!("{kind}/{id}"))
    }
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a value cannot be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// It was changed, or sealed for another place.
    #[error("the stored value {key} is damaged or was moved")]
    Damaged {
        /// Its key.
        key: String,
    },
    /// The storage failed.
    #[error("storage of {key} failed")]
    Storage {
        /// Its key.
        key: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
