//! Secrets of the server itself: random bytes, made once, kept sealed among the settings.
//!
//! Must never be used for what a person or GitHub gave. Their names end with "-secret": that is how a change of keys finds
//! them.

use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::zeroize::Zeroizing;

use crate::seal::{Seal, SealError};
use crate::store::{Conn, StoreError, due};

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerSecretError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("this machine gives no random bytes")]
    Random,
}

/// The secret of that name; `None` before it was made.
pub(crate) async fn find(
    conn: &mut Conn,
    seal: &Seal,
    name: &str,
) -> Result<Option<Zeroizing<Vec<u8>>>, ServerSecretError> {
    let Some(sealed) = due::setting(conn, name).await? else { return Ok(None) };
    let sealed = hex::decode(sealed).map_err(|error| StoreError::Unreadable { what: error.to_string() })?;
    Ok(Some(Zeroizing::new(seal.open(name, &sealed)?)))
}

/// The secret of that name, made within the transaction of the caller when there is none.
pub(crate) async fn find_or_make(
    conn: &mut Conn,
    seal: &Seal,
    name: &str,
) -> Result<Zeroizing<Vec<u8>>, ServerSecretError> {
    if let Some(secret) = find(conn, seal, name).await? {
        return Ok(secret);
    }
    let mut fresh = Zeroizing::new([0_u8; 32]);
    SystemRandom::new().fill(fresh.as_mut_slice()).map_err(|_| ServerSecretError::Random)?;
    due::set_setting(conn, name, &hex::encode(seal.seal(name, fresh.as_slice())?)).await?;
    // Another may have been first.
    Ok(find(conn, seal, name).await?.ok_or(StoreError::NoRow)?)
}
