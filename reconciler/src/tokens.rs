//! Tokens of people for the API: what one lets its holder do, where, and until when.
//!
//! Invariants: only the hash of a token is stored, so that it is shown once; whatever ends it ends it at once.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::id::{RepoId, RepoName};
use model::ports::{Clock, Ids};
use model::time::Timestamp;
use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::audit::{self, Actor, Entry};
use crate::seal::{Seal, SealError};
use crate::server_secret::ServerSecretError;
use crate::store::api_tokens::ApiTokenRow;
use crate::store::{Store, StoreError, api_tokens, pulls};

/// Every token begins with it, so that scanners for leaked secrets know it.
const PREFIX: &str = "bit_";
/// Its last use is noted at most so often.
const NOTED: Duration = Duration::from_secs(60);
/// The longest name and owner.
const LONGEST: usize = 100;

/// What a token lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Read what pages show.
    Read,
    /// Ask for plans.
    Plan,
    /// Ask for applies, held to every requirement.
    Apply,
    /// Read states and who holds their locks.
    StateRead,
    /// Lock, write, roll back, promote, import and unlock states.
    StateWrite,
    /// List, set and remove secrets; no token reads one.
    Secrets,
    /// All of it.
    Admin,
}

impl Scope {
    /// All, in the order in which people read them.
    pub const ALL: [Self; 7] =
        [Self::Read, Self::Plan, Self::Apply, Self::StateRead, Self::StateWrite, Self::Secrets, Self::Admin];

    /// The word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::StateRead => "state:read",
            Self::StateWrite => "state:write",
            Self::Secrets => "secrets",
            Self::Admin => "admin",
        }
    }

    /// The scope of that word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == text)
    }

    /// Does whoever has this one have the other too?
    fn gives(self, other: Self) -> bool {
        self == other || self == Self::Admin || (self, other) == (Self::StateWrite, Self::StateRead)
    }
}

/// Where a token is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// Everywhere.
    Everywhere,
    /// In the repositories of an organisation or user.
    Owner(String),
    /// In one repository, whatever its name is by now.
    Repository(RepoId),
}

/// A token, without itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Names it for good.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whose it is.
    pub owner: String,
    /// What it is good for.
    pub scopes: BTreeSet<Scope>,
    /// Where.
    pub bound: Bound,
    /// Since when.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// Until when.
    pub expires_at: Option<Timestamp>,
    /// When it was shown last, to the minute.
    pub used_at: Option<Timestamp>,
    /// When it was ended.
    pub revoked_at: Option<Timestamp>,
}

/// A token that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// What people will call it.
    pub name: String,
    /// Whose it will be.
    pub owner: String,
    /// What it will be good for.
    pub scopes: BTreeSet<Scope>,
    /// Where.
    pub bound: Bound,
    /// For how long; `None`: for good.
    pub lasts: Option<Duration>,
}

/// Why a token cannot be made, found or used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// Not known here.
    #[error("this token is not known here")]
    Unknown,
    /// It was good once.
    #[error("the token {name} has ended ({why})")]
    Ended {
        /// Its name.
        name: String,
        /// How.
        why: &'static str,
    },
    /// No token is called so.
    #[error("there is no token {name:?}")]
    NoToken {
        /// What was named.
        name: String,
    },
    /// Several are.
    #[error("{count} tokens are named {name:?}; name one by its id")]
    Several {
        /// What was named.
        name: String,
        /// How many.
        count: usize,
    },
    /// The repository is not known here.
    #[error("the repository {repo} is not known here")]
    NoRepository {
        /// Which.
        repo: String,
    },
    /// It cannot be made so.
    #[error("{0}")]
    Wrong(&'static str),
    /// The machine gives no random bytes.
    #[error("this machine gives no random bytes")]
    Random,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key of the audit log cannot be had.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl From<ServerSecretError> for TokensError {
    fn from(error: ServerSecretError) -> Self {
        match error {
            ServerSecretError::Store(error) => Self::Store(error),
            ServerSecretError::Seal(error) => Self::Seal(error),
            ServerSecretError::Random => Self::Random,
        }
    }
}

/// Who showed a good token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    token: ApiToken,
}

impl Caller {
    /// The token that was shown.
    pub fn token(&self) -> &ApiToken {
        &self.token
    }

    /// The same, for the audit log.
    pub fn actor(&self) -> Actor {
        Actor { name: self.token.owner.clone(), token: Some((self.token.id.clone(), self.token.name.clone())) }
    }

    /// May it do this anywhere?
    pub fn has(&self, scope: Scope) -> bool {
        self.token.scopes.iter().any(|own| own.gives(scope))
    }

    /// Is it good in this repository?
    pub fn reaches(&self, repo: RepoId, name: &RepoName) -> bool {
        match &self.token.bound {
            Bound::Everywhere => true,
            Bound::Owner(owner) => owner.eq_ignore_ascii_case(name.owner()),
            Bound::Repository(bound) => *bound == repo,
        }
    }

    /// Is it good for what all repositories of an organisation or user share?
    pub fn reaches_all_of(&self, owner: &str) -> bool {
        match &self.token.bound {
            Bound::Everywhere => true,
            Bound::Owner(bound) => bound.eq_ignore_ascii_case(owner),
            Bound::Repository(_) => false,
        }
    }
}

/// The tokens of this server.
#[derive(Clone)]
pub struct Tokens {
    store: Store,
    seal: Seal,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Over the database; what is done is noted under the server's key.
    pub fn new(store: Store, seal: Seal, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { store, seal, clock, ids }
    }

    /// The bound of a repository by its name.
    pub async fn repository(&self, name: &RepoName) -> Result<Bound, TokensError> {
        let mut conn = self.store.read().await?;
        let found = pulls::repo_by_name(&mut conn, name).await?;
        let (id, _) = found.ok_or_else(|| TokensError::NoRepository { repo: name.to_string() })?;
        Ok(Bound::Repository(id))
    }

    /// Makes a token; it is given out here and never again.
    pub async fn create(&self, new: NewToken, by: &Actor) -> Result<(ApiToken, SecretString), TokensError> {
        check(&new)?;
        let mut bytes = Zeroizing::new([0_u8; 32]);
        SystemRandom::new().fill(bytes.as_mut_slice()).map_err(|_| TokensError::Random)?;
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes.as_slice()));
        let now = self.clock.now();
        let (org, repo) = match &new.bound {
            Bound::Everywhere => (None, None),
            Bound::Owner(owner) => (Some(owner.clone()), None),
            Bound::Repository(repo) => (None, Some(*repo)),
        };
        let scopes: Vec<&str> = new.scopes.iter().map(|scope| scope.name()).collect();
        let row = ApiTokenRow {
            id: self.ids.uuid(now).to_string(),
            name: new.name,
            owner: new.owner,
            scopes: scopes.join(" "),
            org,
            repo,
            created_at: now,
            created_by: by.to_string(),
            expires_at: new.lasts.map(|lasts| now.after(lasts)),
            used_at: None,
            revoked_at: None,
        };
        let mut tx = self.store.write().await?;
        api_tokens::add(&mut tx, &hash(&text), &row).await?;
        let detail = format!("{} of {}: {}", row.name, row.owner, row.scopes);
        let place = format!("token:{}", row.id);
        let entry = Entry { actor: by, action: "token.create", place, detail };
        audit::note(&mut tx, &self.seal, now, entry).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok((read(row), SecretString::from(text)))
    }

    /// All tokens, ended ones included, the oldest first.
    pub async fn list(&self) -> Result<Vec<ApiToken>, TokensError> {
        let mut conn = self.store.read().await?;
        Ok(api_tokens::all(&mut conn).await?.into_iter().map(read).collect())
    }

    /// Ends a token, by its id or by a name that one live token has.
    pub async fn revoke(&self, which: &str, by: &Actor) -> Result<ApiToken, TokensError> {
        let now = self.clock.now();
        let mut tx = self.store.write().await?;
        let all = api_tokens::all(&mut tx).await?;
        let named = |row: &&ApiTokenRow| row.id == which || (row.name == which && row.revoked_at.is_none());
        let found: Vec<&ApiTokenRow> = all.iter().filter(named).collect();
        let row = match found.as_slice() {
            [] => return Err(TokensError::NoToken { name: which.to_owned() }),
            [row] => (*row).clone(),
            several => return Err(TokensError::Several { name: which.to_owned(), count: several.len() }),
        };
        if api_tokens::revoke(&mut tx, &row.id, &by.to_string(), now).await? {
            let (place, detail) = (format!("token:{}", row.id), row.name.clone());
            audit::note(&mut tx, &self.seal, now, Entry { actor: by, action: "token.revoke", place, detail }).await?;
        }
        tx.commit().await.map_err(StoreError::from)?;
        Ok(read(ApiTokenRow { revoked_at: row.revoked_at.or(Some(now)), ..row }))
    }

    /// Who shows this token.
    pub async fn authenticate(&self, text: &str) -> Result<Caller, TokensError> {
        if !text.starts_with(PREFIX) {
            return Err(TokensError::Unknown);
        }
        let found = api_tokens::by_hash(&mut *self.store.read().await?, &hash(text)).await?;
        let row = found.ok_or(TokensError::Unknown)?;
        let now = self.clock.now();
        let ended = |why| TokensError::Ended { name: row.name.clone(), why };
        if row.revoked_at.is_some() {
            return Err(ended("it was revoked"));
        }
        if row.expires_at.is_some_and(|at| at <= now) {
            return Err(ended("its time is over"));
        }
        if row.used_at.is_none_or(|at| now.since(at) >= NOTED) {
            let mut tx = self.store.write().await?;
            api_tokens::used(&mut tx, &row.id, now).await?;
            tx.commit().await.map_err(StoreError::from)?;
        }
        Ok(Caller { token: read(row) })
    }
}

fn check(new: &NewToken) -> Result<(), TokensError> {
    let fine = |text: &str| {
        !text.trim().is_empty() && text.len() <= LONGEST && !text.chars().any(|c| c.is_control() || c.is_whitespace())
    };
    if !fine(&new.name) || !fine(&new.owner) {
        return Err(TokensError::Wrong("a token's name and owner have 1 to 100 characters without white space"));
    }
    if new.scopes.is_empty() {
        return Err(TokensError::Wrong("a token without a scope is good for nothing"));
    }
    Ok(())
}

fn hash(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn read(row: ApiTokenRow) -> ApiToken {
    let bound = match (row.org, row.repo) {
        (_, Some(repo)) => Bound::Repository(repo),
        (Some(owner), None) => Bound::Owner(owner),
        (None, None) => Bound::Everywhere,
    };
    ApiToken {
        id: row.id,
        name: row.name,
        owner: row.owner,
        // A word of a newer version is good for nothing here.
        scopes: row.scopes.split(' ').filter_map(Scope::parse).collect(),
        bound,
        created_at: row.created_at,
        created_by: row.created_by,
        expires_at: row.expires_at,
        used_at: row.used_at,
        revoked_at: row.revoked_at,
    }
}

#[cfg(test)]
mod tests;
