//! Owns GitHub Apps and their installations: who may see what, and the tokens they get.

use std::fmt;

use ring::rand::SecureRandom as _;

use crate::error::Error;
use crate::model::Model;
use crate::model::account::{Kind, Permissions, Token};

/// How long an installation token lives, in microseconds.
pub(crate) const TOKEN_LIFE: i64 = 3_600_000_000;

pub(crate) struct App {
    pub(crate) id: u64,
    pub(crate) slug: String,
    pub(crate) owner: u64,
    /// The account `slug[bot]` in whose name it acts.
    pub(crate) bot: u64,
    pub(crate) hook_id: u64,
    pub(crate) webhook_url: Option<String>,
    pub(crate) webhook_secret: String,
    pub(crate) permissions: Permissions,
    pub(crate) events: Vec<String>,
    /// DER of the RSA public key (PKCS#1).
    pub(crate) public_key: Vec<u8>,
    pub(crate) created_at: i64,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("id", &self.id).field("slug", &self.slug).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Installation {
    pub(crate) id: u64,
    pub(crate) app: u64,
    pub(crate) account: u64,
    pub(crate) repositories: Vec<u64>,
    pub(crate) permissions: Permissions,
    pub(crate) events: Vec<String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

impl Model {
    /// The installation of an app that holds a repository.
    pub(crate) fn installation_on(&self, app: u64, repository: u64) -> Option<&Installation> {
        self.installations.values().find(|it| it.app == app && it.repositories.contains(&repository))
    }

    /// Installs the app on one repository, or adds the repository to the owner's installation.
    pub(crate) fn install(&mut self, app: u64, repository: u64) -> Result<u64, Error> {
        let account = self.repository(repository)?.owner;
        let now = self.now();
        let existing = self.installations.values_mut().find(|it| it.app == app && it.account == account);
        if let Some(installation) = existing {
            if !installation.repositories.contains(&repository) {
                installation.repositories.push(repository);
                installation.updated_at = now;
                let id = installation.id;
                self.tell_repositories(id, &[repository], true);
                return Ok(id);
            }
            return Ok(installation.id);
        }
        let (permissions, events) = {
            let app = self.apps.get(&app).ok_or_else(|| Error::NotFound(format!("app {app}")))?;
            (app.permissions.clone(), app.events.clone())
        };
        let id = self.id();
        let repositories = vec![repository];
        self.installations.insert(
            id,
            Installation { id, app, account, repositories, permissions, events, created_at: now, updated_at: now },
        );
        self.tell_installation(id, "created");
        Ok(id)
    }

    /// Takes the repository out of the installation; the app is told.
    pub(crate) fn uninstall(&mut self, app: u64, repository: u64) -> Result<(), Error> {
        let id = self.installation_on(app, repository).map(|it| it.id);
        let id = id.ok_or_else(|| Error::NotFound(format!("installation of app {app} on repository {repository}")))?;
        let now = self.now();
        if let Some(installation) = self.installations.get_mut(&id) {
            installation.repositories.retain(|held| *held != repository);
            installation.updated_at = now;
        }
        self.tell_repositories(id, &[repository], false);
        Ok(())
    }

    /// Makes a token of one hour. Permissions must be within the installation's, repositories too.
    pub(crate) fn mint(
        &mut self,
        installation: u64,
        repositories: Option<Vec<u64>>,
        permissions: Permissions,
    ) -> Result<(String, i64), Error> {
        let value = format!("ghs_{}", random_word()?);
        let expires_at = self.now() + TOKEN_LIFE;
        self.tokens.insert(value.clone(), Token::Installation { installation, repositories, permissions, expires_at });
        Ok((value, expires_at))
    }

    pub(crate) fn add_app(&mut self, app: App) -> u64 {
        let id = app.id;
        self.apps.insert(id, app);
        id
    }

    pub(crate) fn bot_account(&mut self, slug: &str) -> Result<u64, Error> {
        self.add_account(&format!("{slug}[bot]"), Kind::Bot)
    }
}

/// 36 letters and digits that nobody can guess.
pub(crate) fn random_word() -> Result<String, Error> {
    let mut bytes = [0_u8; 18];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::Use("the system gave no random bytes".into()))?;
    Ok(hex::encode(bytes))
}
