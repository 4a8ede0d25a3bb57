//! The ports of one or two methods.

use secrecy::SecretString;
use uuid::Uuid;

use crate::time::Timestamp;

/// The only way to the time.
pub trait Clock: Send + Sync {
    /// Now, cut to microseconds; never goes back within one process.
    fn now(&self) -> Timestamp;
}

/// The only way to fresh ids.
pub trait Ids: Send + Sync {
    /// A new UUIDv7 of the time `now`; ordered by time.
    fn uuid(&self, now: Timestamp) -> Uuid;
}

/// Wrapping keys for sealed values.
pub trait Keys: Send + Sync {
    /// The id of the key that seals from now on.
    fn current(&self) -> String;
    /// The 32-byte key of that id, base64. Old keys stay readable until nothing names them.
    fn key(&self, id: &str) -> Result<SecretString, KeysError>;
}

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// No key of that id is known here.
    #[error("no key named {id:?}; the value was sealed by another server or the key file was replaced")]
    Unknown {
        /// The id.
        id: String,
    },
    /// The key store failed.
    #[error("cannot read the key store")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}
