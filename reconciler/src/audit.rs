//! Who did what: a log that only grows, each entry bound to the one before by the server's key.
//!
//! Invariant: an entry is written in the transaction of what it tells of, so that neither is without the other.

use std::fmt;

use model::time::Timestamp;
use ring::hmac;

use crate::seal::Seal;
use crate::server_secret::{self, ServerSecretError};
use crate::store::audit::AuditRow;
use crate::store::{Conn, Store, StoreError, audit};

/// The setting that holds the key, sealed.
const SECRET: &str = "audit-secret";
/// Entries that are read at a time.
const WINDOW: i64 = 500;

/// Who acts, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Whom an API token is of, or what else acts: "ana", "the command line".
    pub name: String,
    /// The id and the name of the API token.
    pub token: Option<(String, String)>,
}

impl Actor {
    /// Whoever has the server's own machine.
    pub fn command_line() -> Self {
        Self { name: "the command line of the server".to_owned(), token: None }
    }

    /// The id of its token.
    pub(crate) fn token_id(&self) -> Option<&str> {
        self.token.as_ref().map(|(id, _)| id.as_str())
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.token {
            Some((_, token)) => write!(f, "{} (token {token})", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// By whom.
    pub(crate) actor: &'a Actor,
    /// Such as "state.rollback".
    pub(crate) action: &'static str,
    /// To what, such as "repo:5/infra/network".
    pub(crate) place: String,
    /// The rest; never a secret.
    pub(crate) detail: String,
}

/// Adds an entry within the transaction of the caller.
pub(crate) async fn note(
    conn: &mut Conn,
    seal: &Seal,
    now: Timestamp,
    entry: Entry<'_>,
) -> Result<(), ServerSecretError> {
    let key = server_secret::find_or_make(conn, seal, SECRET).await?;
    let (last, before) = audit::hold(conn).await?;
    let mut row = AuditRow {
        seq: last + 1,
        at: now,
        actor: entry.actor.name.clone(),
        token: entry.actor.token_id().map(str::to_owned),
        action: entry.action.to_owned(),
        place: entry.place,
        detail: entry.detail,
        hash: String::new(),
    };
    row.hash = hash(&key, &before, &row);
    Ok(audit::add(conn, &row).await?)
}

/// An entry's hash: over itself and the hash of the one before.
fn hash(key: &[u8], before: &str, row: &AuditRow) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    let (seq, at) = (row.seq.to_string(), row.at.micros().to_string());
    let token = row.token.as_deref().unwrap_or_default();
    for part in [before, &seq, &at, &row.actor, token, &row.action, &row.place, &row.detail] {
        // The length keeps two neighbours apart.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    hex::encode(context.sign().as_ref())
}

/// An entry as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Counts up without gaps.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: String,
    /// The id of the API token that was shown.
    pub token: Option<String>,
    /// Such as "state.rollback".
    pub action: String,
    /// To what.
    pub place: String,
    /// The rest.
    pub detail: String,
}

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Rows were changed, removed or added by another hand.
    #[error("the audit log is damaged at entry {seq}: {what}")]
    Damaged {
        /// Where.
        seq: i64,
        /// What does not fit.
        what: &'static str,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key cannot be had.
    #[error(transparent)]
    Seal(#[from] crate::seal::SealError),
}

impl From<ServerSecretError> for AuditError {
    fn from(error: ServerSecretError) -> Self {
        match error {
            ServerSecretError::Store(error) => Self::Store(error),
            ServerSecretError::Seal(error) => Self::Seal(error),
            // Nothing is made where it is read.
            ServerSecretError::Random => Self::Store(StoreError::NoRow),
        }
    }
}

/// The log.
#[derive(Debug, Clone)]
pub struct Audit {
    store: Store,
    seal: Seal,
}

impl Audit {
    /// Over the database.
    pub fn new(store: Store, seal: Seal) -> Self {
        Self { store, seal }
    }

    /// Reads all of it from the first entry on, each held against the one before.
    ///
    /// # Errors
    /// It was changed, or cannot be read.
    pub async fn read(&self, mut each: impl FnMut(AuditEntry)) -> Result<i64, AuditError> {
        let mut tx = self.store.snapshot().await?;
        let Some(key) = server_secret::find(&mut tx, &self.seal, SECRET).await? else { return Ok(0) };
        let (mut seq, mut before) = (0, String::new());
        loop {
            let rows = audit::after(&mut tx, seq, WINDOW).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                if row.seq != seq + 1 {
                    return Err(AuditError::Damaged { seq: seq + 1, what: "it is not there" });
                }
                if row.hash != hash(&key, &before, &row) {
                    return Err(AuditError::Damaged { seq: row.seq, what: "it was changed" });
                }
                (seq, before) = (row.seq, row.hash);
                let AuditRow { at, actor, token, action, place, detail, .. } = row;
                each(AuditEntry { seq, at, actor, token, action, place, detail });
            }
        }
        match audit::head(&mut tx).await? {
            Some(head) if head != (seq, before) => {
                Err(AuditError::Damaged { seq: seq + 1, what: "the newest entries are not there" })
            }
            _ => Ok(seq),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::tests::seal_with;
    use crate::store::db;
    use crate::store::tests::{NOW, stores};

    async fn noted(store: &Store, seal: &Seal, detail: &str) {
        let actor = Actor { name: "ana".to_owned(), token: Some(("t1".to_owned(), "laptop".to_owned())) };
        let mut tx = store.write().await.unwrap();
        let entry = Entry {
            actor: &actor,
            action: "state.rollback",
            place: "repo:5/net".to_owned(),
            detail: detail.to_owned(),
        };
        note(&mut tx, seal, NOW, entry).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn change(store: &Store, text: &'static str) {
        let mut tx = store.write().await.unwrap();
        assert!(db::run(&mut tx, db::sql(text)).await.unwrap() > 0, "{text}");
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn entries_are_read_in_order_and_every_change_is_noticed() {
        let changes = [
            "update audit set actor='ben' where seq=2",
            "update audit set at=at+1 where seq=2",
            "update audit set token=null where seq=2",
            "update audit set detail='b' where seq=1",
            "delete from audit where seq=1",
            "delete from audit where seq=2",
            "delete from audit where seq=3",
            "update audit set hash=(select hash from audit where seq=1) where seq=3",
        ];
        for change_text in changes {
            for (store, _dir) in stores("audit").await {
                let seal = seal_with(&[("k", 1)]);
                let log = Audit::new(store.clone(), seal.clone());
                assert_eq!(log.read(|_| {}).await.unwrap(), 0);
                for detail in ["a", "b", "c"] {
                    noted(&store, &seal, detail).await;
                }
                let mut details = Vec::new();
                assert_eq!(log.read(|entry| details.push((entry.detail, entry.token))).await.unwrap(), 3);
                let token = Some("t1".to_owned());
                assert_eq!(details, ["a", "b", "c"].map(|detail| (detail.to_owned(), token.clone())));
                change(&store, change_text).await;
                let read = log.read(|_| {}).await;
                assert!(matches!(read, Err(AuditError::Damaged { .. })), "{change_text}: {read:?}");
                crate::store::tests::drop_schema(&store).await;
            }
        }
    }
}
