//! What people ask for with an API token: first who may, then the deed, noted together with it.
//!
//! Invariants: nothing is read or done before the token was found good for it, here and in this place; a repository that a
//! token is not good for is answered like one that is not known.

use std::fmt;

use bytes::Bytes;
use model::id::{RepoId, RepoName, SecretName, StackName};
use secrecy::SecretString;

pub use crate::audit::Actor;
pub use crate::secrets::{SecretError, SecretInfo, SecretScope};
pub use crate::tokens::{Bound, Caller, Scope, TokensError};

use crate::secrets::Secrets;
use crate::states::{Grant, Holder, Import, StackState, StateError, States, Version};
use crate::store::{Store, StoreError, pulls};
use crate::tokens::Tokens;

/// Why somebody does not get it.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The token is not good at all.
    #[error(transparent)]
    Token(#[from] TokensError),
    /// It is not good for this.
    #[error("the token {token} has not the scope {need}")]
    Scope {
        /// Its name.
        token: String,
        /// What it would need.
        need: &'static str,
    },
    /// Not known, or not for this token.
    #[error("the repository {repo} is not known here, or the token is not good for it")]
    NoRepository {
        /// Which.
        repo: RepoName,
    },
    /// The token is not good for what an owner's repositories share.
    #[error("the token is not good for all of {owner}")]
    NoOwner {
        /// Whose.
        owner: String,
    },
    /// Nothing is set under this name.
    #[error("there is no secret {name}")]
    NoSecret {
        /// Which.
        name: SecretName,
    },
    /// Of the state.
    #[error(transparent)]
    State(#[from] StateError),
    /// Of the secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whose secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretsOf {
    /// Of an organisation or user.
    Owner(String),
    /// Of a repository.
    Repository(RepoName),
}

/// The desk.
#[derive(Clone)]
pub struct Desk {
    store: Store,
    states: States,
    secrets: Secrets,
    tokens: Tokens,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Desk {
    /// Over what is kept here.
    pub fn new(store: Store, states: States, secrets: Secrets, tokens: Tokens) -> Self {
        Self { store, states, secrets, tokens }
    }

    /// Who shows this token.
    pub async fn caller(&self, token: &str) -> Result<Caller, DeskError> {
        Ok(self.tokens.authenticate(token).await?)
    }

    /// The repository, when the caller may do this there.
    async fn repository(&self, caller: &Caller, repo: &RepoName, need: Scope) -> Result<RepoId, DeskError> {
        may(caller, need)?;
        let found = pulls::repo_by_name(&mut *self.store.read().await?, repo).await?;
        let reached = found.filter(|(id, name)| caller.reaches(*id, name));
        reached.map(|(id, _)| id).ok_or_else(|| DeskError::NoRepository { repo: repo.clone() })
    }

    /// The stacks of a repository whose states are kept here; a damaged one is an error of its own.
    pub async fn stacks(
        &self,
        caller: &Caller,
        repo: &RepoName,
    ) -> Result<Vec<(StackName, Result<StackState, StateError>)>, DeskError> {
        let repo = self.repository(caller, repo, Scope::StateRead).await?;
        Ok(self.states.stacks_of(repo).await?)
    }

    /// The versions of a stack's state, newest first.
    pub async fn versions(
        &self,
        caller: &Caller,
        repo: &RepoName,
        stack: &StackName,
    ) -> Result<Vec<Version>, DeskError> {
        let repo = self.repository(caller, repo, Scope::StateRead).await?;
        Ok(self.states.versions(repo, stack).await?)
    }

    /// A state and its bytes: this version, or the newest.
    pub async fn download(
        &self,
        caller: &Caller,
        repo: &RepoName,
        stack: &StackName,
        number: Option<i64>,
    ) -> Result<(Version, Bytes), DeskError> {
        let repo = self.repository(caller, repo, Scope::StateRead).await?;
        match number {
            Some(number) => Ok(self.states.read_version(repo, stack, number).await?),
            None => {
                let current = self.states.current(repo, stack).await?;
                Ok(current.ok_or_else(|| StateError::NoState { stack: stack.clone() })?)
            }
        }
    }

    /// Who holds the lock of a stack's state.
    pub async fn holder(
        &self,
        caller: &Caller,
        repo: &RepoName,
        stack: &StackName,
    ) -> Result<Option<Holder>, DeskError> {
        let repo = self.repository(caller, repo, Scope::StateRead).await?;
        let state = self.states.stack(repo, stack).await?;
        Ok(state.ok_or_else(|| StateError::NoState { stack: stack.clone() })?.lock)
    }

    /// Makes the content of an earlier version the state again.
    pub async fn rollback(
        &self,
        caller: &Caller,
        repo: &RepoName,
        stack: &StackName,
        number: i64,
    ) -> Result<Version, DeskError> {
        let repo = self.repository(caller, repo, Scope::StateWrite).await?;
        Ok(self.states.rollback(repo, stack, number, &caller.actor()).await?)
    }

    /// Makes a version that was refused the state.
    pub async fn promote(
        &self,
        caller: &Caller,
        repo: &RepoName,
        stack: &StackName,
        number: i64,
    ) -> Result<Version, DeskError> {
        let repo = self.repository(caller, repo, Scope::StateWrite).await?;
        Ok(self.states.promote(repo, stack, number, &caller.actor()).await?)
    }

    /// Brings a state in from elsewhere.
    pub async fn import(
        &self,
        caller: &Caller,
        repo: &RepoName,
        stack: &StackName,
        body: Bytes,
        how: Import,
    ) -> Result<Version, DeskError> {
        let repo = self.repository(caller, repo, Scope::StateWrite).await?;
        Ok(self.states.import(repo, stack, body, how, &caller.actor()).await?)
    }

    /// May the caller bring states in there? Asked before a large body is read.
    pub async fn may_import(&self, caller: &Caller, repo: &RepoName) -> Result<(), DeskError> {
        self.repository(caller, repo, Scope::StateWrite).await.map(drop)
    }

    /// Ends the lock of that id for its holder. Gives who it was.
    pub async fn unlock(
        &self,
        caller: &Caller,
        repo: &RepoName,
        stack: &StackName,
        id: &str,
    ) -> Result<Holder, DeskError> {
        let repo = self.repository(caller, repo, Scope::StateWrite).await?;
        Ok(self.states.force_unlock(repo, stack, id, &caller.actor()).await?)
    }

    /// What a laptop's terraform or OpenTofu may do at a state.
    pub async fn grant(&self, caller: &Caller, repo: &RepoName, stack: &StackName) -> Result<Grant, DeskError> {
        let repo = self.repository(caller, repo, Scope::StateRead).await?;
        Ok(Grant::person(repo, stack.clone(), caller.actor(), caller.has(Scope::StateWrite)))
    }

    async fn scope(&self, caller: &Caller, of: &SecretsOf) -> Result<SecretScope, DeskError> {
        match of {
            SecretsOf::Repository(repo) => {
                Ok(SecretScope::Repository(self.repository(caller, repo, Scope::Secrets).await?))
            }
            SecretsOf::Owner(owner) => {
                may(caller, Scope::Secrets)?;
                match caller.reaches_all_of(owner) {
                    true => Ok(SecretScope::Owner(owner.clone())),
                    false => Err(DeskError::NoOwner { owner: owner.clone() }),
                }
            }
        }
    }

    /// The secrets that are set, by name; never their values.
    pub async fn secrets(&self, caller: &Caller, of: &SecretsOf) -> Result<Vec<SecretInfo>, DeskError> {
        let scope = self.scope(caller, of).await?;
        Ok(self.secrets.list(&scope).await?)
    }

    /// Sets a secret. Gives its version.
    pub async fn set_secret(
        &self,
        caller: &Caller,
        of: &SecretsOf,
        name: &SecretName,
        value: &SecretString,
    ) -> Result<i64, DeskError> {
        let scope = self.scope(caller, of).await?;
        Ok(self.secrets.set(&scope, name, value, &caller.actor()).await?)
    }

    /// Removes a secret.
    pub async fn remove_secret(&self, caller: &Caller, of: &SecretsOf, name: &SecretName) -> Result<(), DeskError> {
        let scope = self.scope(caller, of).await?;
        match self.secrets.remove(&scope, name, &caller.actor()).await? {
            true => Ok(()),
            false => Err(DeskError::NoSecret { name: name.clone() }),
        }
    }
}

fn may(caller: &Caller, need: Scope) -> Result<(), DeskError> {
    match caller.has(need) {
        true => Ok(()),
        false => Err(DeskError::Scope { token: caller.token().name.clone(), need: need.name() }),
    }
}
