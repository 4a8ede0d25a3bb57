//! Secrets of people: named values that stacks' variables and environment are bound to.
//!
//! Owns: which value a name has for a repository (its own wins over its owner's), and what a log must not show.
//! Invariants: a value is sealed, and bound to its scope, name and version; no API gives one out; a version belongs to
//! one value for ever, so that plans know that it changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::id::{RepoId, RepoName, SecretName};
use model::mask::SHORTEST;
use model::ports::Clock;
use model::stack::{Bound, SecretBinding};
use model::survey::{SecretVersion, Survey};
use model::time::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use crate::audit::{self, Actor, Entry};
use crate::seal::{Seal, SealError};
use crate::server_secret::ServerSecretError;
use crate::store::secrets::SecretRow;
use crate::store::{Conn, Store, StoreError, pulls, secrets};

/// The longest value, in bytes: it goes into an environment.
pub const LONGEST: usize = 64 << 10;
/// What still runs with a value of before is masked for so long.
const REMEMBERED: Duration = Duration::from_secs(48 * 3600);

/// Whose secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretScope {
    /// Of an organisation or user: for all its repositories.
    Owner(String),
    /// Of one repository.
    Repository(RepoId),
}

impl fmt::Display for SecretScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(owner) => write!(f, "org:{}", owner.to_ascii_lowercase()),
            Self::Repository(repo) => write!(f, "repo:{repo}"),
        }
    }
}

/// A secret, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretInfo {
    /// Its name.
    pub name: SecretName,
    /// "org:acme" or "repo:5".
    pub scope: String,
    /// Counts up with each change.
    pub version: i64,
    /// When it was set.
    pub changed_at: Timestamp,
    /// By whom.
    pub actor: String,
}

/// Why a secret cannot be kept or used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It would be found everywhere, or nowhere.
    #[error("a value of less than {SHORTEST} characters, or true, false or null, cannot be masked in logs")]
    Short,
    /// It does not fit.
    #[error("a value has at most {LONGEST} bytes and no NUL: it goes into an environment")]
    Unfit,
    /// It was changed by another hand.
    #[error("the stored secret {name} of {scope} is damaged; set it again")]
    Damaged {
        /// Which.
        name: String,
        /// Where.
        scope: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key cannot be had.
    #[error(transparent)]
    Seal(SealError),
    /// The machine gives no random bytes.
    #[error("this machine gives no random bytes")]
    Random,
}

impl From<ServerSecretError> for SecretError {
    fn from(error: ServerSecretError) -> Self {
        match error {
            ServerSecretError::Store(error) => Self::Store(error),
            ServerSecretError::Seal(error) => Self::Seal(error),
            ServerSecretError::Random => Self::Random,
        }
    }
}

/// What a run gets.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) var: BTreeMap<String, SecretString>,
    pub(crate) env: BTreeMap<String, SecretString>,
    /// Which values these are.
    pub(crate) versions: Vec<SecretVersion>,
    /// What is bound and not set.
    pub(crate) missing: Vec<SecretBinding>,
}

/// The secrets of this server.
#[derive(Clone)]
pub struct Secrets {
    store: Store,
    seal: Seal,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("store", &self.store).finish_non_exhaustive()
    }
}

/// What a value is sealed for.
pub(crate) fn place(scope: &str, name: &str, version: i64) -> String {
    format!("secret/{scope}/{name}/{version}")
}

fn unreadable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unreadable { what: error.to_string() }
}

impl Secrets {
    /// Over the database.
    pub fn new(store: Store, seal: Seal, clock: Arc<dyn Clock>) -> Self {
        Self { store, seal, clock }
    }

    /// What is set in a scope, by name.
    pub async fn list(&self, scope: &SecretScope) -> Result<Vec<SecretInfo>, SecretError> {
        let scope = scope.to_string();
        let rows = secrets::of_scopes(&mut *self.store.read().await?, &scope, &scope).await?;
        rows.into_iter().map(info).collect()
    }

    /// Sets a value. Gives its version.
    pub async fn set(
        &self,
        scope: &SecretScope,
        name: &SecretName,
        value: &SecretString,
        by: &Actor,
    ) -> Result<i64, SecretError> {
        let text = value.expose_secret();
        if text.len() > LONGEST || text.contains('\0') {
            return Err(SecretError::Unfit);
        }
        if text.trim().len() < SHORTEST || matches!(text.trim(), "true" | "false" | "null") {
            return Err(SecretError::Short);
        }
        let changed = self.change(scope, name, Some(text), "secret.set", by).await?;
        Ok(changed.unwrap_or_default())
    }

    /// Removes a value. False: there was none.
    pub async fn remove(&self, scope: &SecretScope, name: &SecretName, by: &Actor) -> Result<bool, SecretError> {
        Ok(self.change(scope, name, None, "secret.remove", by).await?.is_some())
    }

    async fn change(
        &self,
        scope: &SecretScope,
        name: &SecretName,
        value: Option<&str>,
        action: &'static str,
        by: &Actor,
    ) -> Result<Option<i64>, SecretError> {
        let now = self.clock.now();
        let text = scope.to_string();
        let mut tx = self.store.write().await?;
        let old = secrets::hold(&mut tx, &text, name.as_str()).await?;
        if value.is_none() && old.sealed.is_none() {
            return Ok(None);
        }
        let version = old.version + 1;
        let sealed = value
            .map(|value| self.seal.seal(&place(&text, name.as_str(), version), value.as_bytes()))
            .transpose()
            .map_err(SecretError::Seal)?;
        secrets::keep(&mut tx, &old, now.after(REMEMBERED), now).await?;
        let (scope_text, name_text) = (text.clone(), name.to_string());
        let row =
            SecretRow { scope: scope_text, name: name_text, version, sealed, changed_at: now, actor: by.to_string() };
        secrets::put(&mut tx, &row).await?;
        let (place, detail) = (format!("{text}/{name}"), format!("version {version}"));
        audit::note(&mut tx, &self.seal, now, Entry { actor: by, action, place, detail }).await?;
        for repo in self.repositories(&mut tx, scope).await? {
            pulls::mark_open(&mut tx, repo, now).await?;
        }
        tx.commit().await.map_err(StoreError::from)?;
        self.store.wake();
        Ok(Some(version))
    }

    /// Whose plans may change by a change in this scope.
    async fn repositories(&self, conn: &mut Conn, scope: &SecretScope) -> Result<Vec<RepoId>, StoreError> {
        match scope {
            SecretScope::Repository(repo) => Ok(vec![*repo]),
            SecretScope::Owner(owner) => pulls::repos_of_owner(conn, owner).await,
        }
    }

    /// Values for what a stack binds.
    pub(crate) async fn give(
        &self,
        conn: &mut Conn,
        (repo, name): (RepoId, &RepoName),
        bindings: &[SecretBinding],
    ) -> Result<Given, SecretError> {
        let mut given = Given::default();
        if bindings.is_empty() {
            return Ok(given);
        }
        let rows = in_force(secrets::of_scopes(conn, &own(repo), &shared(name)).await?, |row| (&row.name, &row.scope));
        for binding in bindings {
            let Some(row) = rows.get(binding.secret.as_str()) else {
                given.missing.push(binding.clone());
                continue;
            };
            let value = self.open(&row.scope, &row.name, row.version, row.sealed.as_deref().unwrap_or_default())?;
            match binding.bound {
                Bound::Var => given.var.insert(binding.name.clone(), value),
                Bound::Env => given.env.insert(binding.name.clone(), value),
            };
        }
        given.versions = versions_of(bindings, &rows, |row| (row.scope.clone(), row.version));
        Ok(given)
    }

    /// Everything that a log of a stack with these bindings must not show: values of now, and those of before that
    /// something may still run with.
    pub(crate) async fn masks(
        &self,
        conn: &mut Conn,
        (repo, name): (RepoId, &RepoName),
        bindings: &[SecretBinding],
    ) -> Result<Vec<SecretString>, SecretError> {
        if bindings.is_empty() {
            return Ok(Vec::new());
        }
        let bound: BTreeSet<&str> = bindings.iter().map(|binding| binding.secret.as_str()).collect();
        let (own, shared) = (own(repo), shared(name));
        let now = secrets::of_scopes(conn, &own, &shared).await?.into_iter();
        let now = now.filter_map(|row| Some((row.name, row.scope, row.version, row.sealed?)));
        let mut all = Vec::new();
        for (name, scope, version, sealed) in now.chain(secrets::before(conn, &own, &shared).await?) {
            if bound.contains(name.as_str()) {
                all.extend(parts(&self.open(&scope, &name, version, &sealed)?));
            }
        }
        Ok(all)
    }

    fn open(&self, scope: &str, name: &str, version: i64, sealed: &[u8]) -> Result<SecretString, SecretError> {
        let damaged = || SecretError::Damaged { name: name.to_owned(), scope: scope.to_owned() };
        match self.seal.open(&place(scope, name, version), sealed) {
            Ok(bytes) => Ok(SecretString::from(String::from_utf8(bytes).map_err(|_| damaged())?)),
            Err(SealError::Damaged) => Err(damaged()),
            Err(error) => Err(SecretError::Seal(error)),
        }
    }
}

/// Fills in which values the stacks' secrets have.
pub(crate) async fn fill(
    conn: &mut Conn,
    (repo, name): (RepoId, &RepoName),
    survey: &mut Survey,
) -> Result<(), StoreError> {
    if survey.stacks.iter().all(|stack| stack.stack.secrets.is_empty()) {
        return Ok(());
    }
    let rows = secrets::versions(conn, &own(repo), &shared(name)).await?;
    let rows = in_force(rows, |(name, scope, _)| (name, scope));
    for stack in &mut survey.stacks {
        stack.secret_versions =
            versions_of(&stack.stack.secrets, &rows, |(_, scope, version)| (scope.clone(), *version));
    }
    Ok(())
}

/// Of two rows of a name the repository's own: "repo:…" comes after "org:…".
fn in_force<T>(rows: Vec<T>, key: impl Fn(&T) -> (&String, &String)) -> BTreeMap<String, T> {
    let mut all = BTreeMap::new();
    for row in rows {
        let name = key(&row).0.clone();
        all.insert(name, row);
    }
    all
}

/// Each secret once.
fn versions_of<T>(
    bindings: &[SecretBinding],
    rows: &BTreeMap<String, T>,
    read: impl Fn(&T) -> (String, i64),
) -> Vec<SecretVersion> {
    let names: BTreeSet<&SecretName> = bindings.iter().map(|binding| &binding.secret).collect();
    let found = names.into_iter().filter_map(|name| Some((name, rows.get(name.as_str())?)));
    found
        .map(|(name, row)| {
            let (scope, version) = read(row);
            SecretVersion { secret: name.clone(), scope, version }
        })
        .collect()
}

fn own(repo: RepoId) -> String {
    SecretScope::Repository(repo).to_string()
}

fn shared(name: &RepoName) -> String {
    SecretScope::Owner(name.owner().to_owned()).to_string()
}

fn info(row: SecretRow) -> Result<SecretInfo, SecretError> {
    let name = SecretName::parse(&row.name).map_err(unreadable)?;
    Ok(SecretInfo { name, scope: row.scope, version: row.version, changed_at: row.changed_at, actor: row.actor })
}

/// A value, and the texts inside of one that is JSON: a tool shows these one by one.
pub(crate) fn parts(value: &SecretString) -> Vec<SecretString> {
    fn texts(value: &serde_json::Value, all: &mut Vec<SecretString>) {
        match value {
            serde_json::Value::String(text) if text.len() >= SHORTEST => all.push(SecretString::from(text.clone())),
            serde_json::Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
            serde_json::Value::Object(map) => map.values().for_each(|item| texts(item, all)),
            _ => {}
        }
    }
    let mut all = vec![value.clone()];
    if let Ok(json) = serde_json::from_str(value.expose_secret()) {
        texts(&json, &mut all);
    }
    all
}

#[cfg(test)]
mod tests;
