//! Tokens of runs: what a job shows to read or write the state of its stack.
//!
//! Invariant: a token is of one run and one stack. Its hash is stored; the token itself is made again from the
//! server's own secret and a nonce, so that logs can be masked after a restart.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::id::{RepoId, RunId, StackName};
use model::time::Timestamp;
use ring::{digest, hmac};
use secrecy::SecretString;

use super::judge::Writer;
use super::{StateError, States};
use crate::audit::Actor;
use crate::server_secret;
use crate::store::state_tokens::TokenRow;
use crate::store::{Conn, StoreError, state_tokens};

/// The setting that holds the secret, sealed, hexadecimal.
const SECRET: &str = "state-secret";
/// Every token begins with it, so that scanners for leaked secrets know it.
const PREFIX: &str = "bst_";
/// What an ended run still writes is kept for so long.
const AFTERWARDS: Duration = Duration::from_secs(3600);

/// What a token lets its run do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read the state.
    Read,
    /// Read, lock and write it, as the apply of this epoch.
    Write {
        /// From `States::grant_epoch`.
        epoch: i64,
    },
}

/// Who may work with a stack's state, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub(super) client: Client,
    pub(super) repo: RepoId,
    pub(super) stack: StackName,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Client {
    /// A run, by a token of its own.
    Run {
        run: RunId,
        access: Access,
        /// The run has an end: what it writes is kept beside the heads.
        ended: bool,
    },
    /// A person, by an API token that was found good for this.
    Person { actor: Actor, writes: bool },
}

impl Grant {
    /// Of a person who was authorised.
    pub(crate) fn person(repo: RepoId, stack: StackName, actor: Actor, writes: bool) -> Self {
        Self { client: Client::Person { actor, writes }, repo, stack }
    }

    /// The repository.
    pub fn repo(&self) -> RepoId {
        self.repo
    }

    /// The stack.
    pub fn stack(&self) -> &StackName {
        &self.stack
    }

    /// May it read the state now?
    pub fn may_read(&self) -> bool {
        !matches!(self.client, Client::Run { ended: true, .. })
    }

    /// As one who writes; `None`: it only reads.
    pub(super) fn writer(&self) -> Option<Writer<'_>> {
        match &self.client {
            Client::Run { run, access: Access::Write { epoch }, ended } => {
                Some(Writer::Run { run: *run, epoch: *epoch, ended: *ended })
            }
            Client::Person { actor, writes: true } => Some(Writer::Person(actor)),
            Client::Run { access: Access::Read, .. } | Client::Person { writes: false, .. } => None,
        }
    }
}

/// Why a token is not good.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// No such token, one of another stack, or one that has ended.
    #[error("the token is not known, is of another stack, or has ended with its run")]
    Unknown,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl States {
    /// The token of a run for a stack, made within the transaction of the caller. The same call gives the same
    /// token until `end_tokens`.
    pub async fn token(
        &self,
        conn: &mut Conn,
        run: RunId,
        repo: RepoId,
        stack: &StackName,
        access: Access,
    ) -> Result<SecretString, StateError> {
        let secret = server_secret::find_or_make(conn, &self.seal, SECRET).await?;
        let epoch = match access {
            Access::Read => None,
            Access::Write { epoch } => Some(epoch),
        };
        let same = |it: &TokenRow| (it.repo, &it.stack, it.epoch, it.ended_at) == (repo, stack, epoch, None);
        if let Some(row) = state_tokens::of_run(conn, run).await?.iter().find(|row| same(row)) {
            return Ok(SecretString::from(derive(&secret, &row.nonce)));
        }
        let now = self.clock.now();
        let nonce = self.ids.uuid(now).to_string();
        let token = derive(&secret, &nonce);
        let row = TokenRow { nonce, run, repo, stack: stack.clone(), epoch, ended_at: None };
        state_tokens::add(conn, &hash(&token), &row, now).await?;
        Ok(SecretString::from(token))
    }

    /// Ends the tokens of a run, within the transaction of the caller. What the run still writes within an hour is
    /// kept beside the heads.
    pub async fn end_tokens(&self, conn: &mut Conn, run: RunId) -> Result<(), StoreError> {
        state_tokens::end(conn, run, self.clock.now()).await
    }

    /// All tokens that a run ever had, so that its log can be masked.
    pub async fn tokens_of(&self, run: RunId) -> Result<Vec<SecretString>, StateError> {
        let mut conn = self.store.read().await?;
        let rows = state_tokens::of_run(&mut conn, run).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let secret = server_secret::find(&mut conn, &self.seal, SECRET).await?.ok_or(StoreError::NoRow)?;
        Ok(rows.iter().map(|row| SecretString::from(derive(&secret, &row.nonce))).collect())
    }

    /// Who shows this token at the state of a stack.
    pub async fn authenticate(&self, repo: RepoId, stack: &StackName, token: &str) -> Result<Grant, TokenError> {
        if !token.starts_with(PREFIX) {
            return Err(TokenError::Unknown);
        }
        let row =
            state_tokens::by_hash(&mut *self.store.read().await?, &hash(token)).await?.ok_or(TokenError::Unknown)?;
        let access = row.epoch.map_or(Access::Read, |epoch| Access::Write { epoch });
        let is_over = |ended: Timestamp| access == Access::Read || self.clock.now() > ended.after(AFTERWARDS);
        if (row.repo, &row.stack) != (repo, stack) || row.ended_at.is_some_and(is_over) {
            return Err(TokenError::Unknown);
        }
        let client = Client::Run { run: row.run, access, ended: row.ended_at.is_some() };
        Ok(Grant { client, repo, stack: row.stack })
    }
}

fn derive(secret: &[u8], nonce: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, format!("state-token/{nonce}").as_bytes());
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

fn hash(token: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, token.as_bytes()).as_ref())
}
