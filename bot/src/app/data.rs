//! The data directory and the database at start: made, held against a second process, opened.
//!
//! Invariant: nothing is opened that another process of this machine has; no message holds the database's password.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use reconciler::seal::Seal;
use reconciler::store::{Store, StoreError};
use secrecy::{ExposeSecret as _, SecretString};

use crate::keys::FileKeys;

/// Keeps others out until it is dropped.
#[derive(Debug)]
pub(super) struct Hold(Vec<File>);

impl Drop for Hold {
    fn drop(&mut self) {
        for file in &self.0 {
            // Closing is not enough: a process that is just being started may have the open file for a moment.
            let _ = file.unlock();
        }
    }
}

/// Makes the directory and takes it, and the SQLite file wherever that is, for this process.
pub(super) fn hold(data_dir: &Path, database: &SecretString) -> anyhow::Result<Hold> {
    make(data_dir)?;
    let mut files = vec![lock(&data_dir.join("lock"), &format!("the data directory {}", data_dir.display()))?];
    if let Some(path) = sqlite_file(database.expose_secret()) {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            make(folder)?;
        }
        let mut name = path.clone().into_os_string();
        name.push(".lock");
        files.push(lock(Path::new(&name), &format!("the database {}", path.display()))?);
    }
    Ok(Hold(files))
}

/// Makes a directory that only this user may enter, with those above it.
///
/// # Errors
/// It cannot be made; says what to do.
pub fn make(folder: &Path) -> anyhow::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| {
        anyhow::anyhow!(
            "the data directory {} cannot be made: {error}\n  do: set data_dir (BUILDIT_DATA_DIR) to a directory that this user may write to",
            folder.display()
        )
    })
}

fn sqlite_file(url: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix("sqlite:")?;
    let path = rest.strip_prefix("//").unwrap_or(rest).split('?').next().unwrap_or_default();
    (!path.is_empty() && path != ":memory:").then(|| PathBuf::from(path))
}

fn lock(path: &Path, what: &str) -> anyhow::Result<File> {
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let mut file = open.map_err(|error| {
        anyhow::anyhow!("{} cannot be written: {error}\n  do: let this user write to that directory", path.display())
    })?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // The number is a help only: a reader may come before it is written.
            let _ = file.read_to_string(&mut owner);
            let owner = owner.trim();
            let owner = if owner.is_empty() { String::new() } else { format!(" (process {owner})") };
            anyhow::bail!(
                "{what} is in use by another buildit{owner}\n  do: stop that one, or give this one its own data_dir (BUILDIT_DATA_DIR); several servers need PostgreSQL and a data directory each"
            );
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("{} cannot be locked", path.display()));
        }
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

/// Opens what a server keeps, beside it or without it: the database, and the keys.
///
/// # Errors
/// No server of this version has run with these settings.
pub async fn attach(data_dir: &Path, database: &SecretString) -> anyhow::Result<(Store, Seal)> {
    let keys = data_dir.join("keys");
    anyhow::ensure!(
        keys.is_file(),
        "no server has run with the data directory {}\n  do: give the settings of the server: --config FILE, or --data-dir DIR",
        data_dir.display()
    );
    let url = database.expose_secret();
    let store = Store::attach(url).await.map_err(|error| {
        let place = sqlite_file(url).map_or_else(|| "PostgreSQL (database_url)".to_owned(), |path| path.display().to_string());
        let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        anyhow::anyhow!("the database cannot be opened\n  {place}: {why}\n  do: give the settings of the server, and use its version")
    })?;
    Ok((store, Seal::new(Arc::new(FileKeys::open(&keys)?))))
}

/// Opens the database and brings its schema up to date.
pub(super) async fn open_store(database: &SecretString) -> anyhow::Result<Store> {
    let url = database.expose_secret();
    Store::open(url).await.map_err(|error| {
        let place = match sqlite_file(url) {
            Some(path) => path.display().to_string(),
            None => "PostgreSQL (database_url)".to_owned(),
        };
        let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        let help = match &error {
            StoreError::Newer { .. } => "start the newer version, or restore a backup of the older one",
            _ if url.starts_with("sqlite:") => "let this user write to that file and its directory, on a local disk",
            _ => "check that it runs, and the host, user, password and name in database_url (BUILDIT_DATABASE_URL)",
        };
        anyhow::anyhow!("the database cannot be opened\n  {place}: {why}\n  do: {help}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_refused_until_the_first_lets_go() {
        let dir = tempfile::tempdir().expect("a directory");
        let url = SecretString::from(format!("sqlite:{}", dir.path().join("db/buildit.db").display()));
        let first = hold(&dir.path().join("one"), &url).expect("held");
        let told = |error: anyhow::Error| error.to_string().replace(&dir.path().display().to_string(), "DIR");
        let same = told(hold(&dir.path().join("one"), &url).expect_err("the directory is held"));
        let line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        let pid = std::process::id();
        assert_eq!(line(&same), format!("the data directory DIR/one is in use by another buildit (process {pid})"));
        let other = told(hold(&dir.path().join("two"), &url).expect_err("the database is held"));
        assert_eq!(
            line(&other),
            format!("the database DIR/db/buildit.db is in use by another buildit (process {pid})")
        );
        drop(first);
        hold(&dir.path().join("one"), &url).expect("free again");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("written");
        let error = hold(&file.join("data"), &SecretString::from("postgres://x")).expect_err("no directory");
        assert!(error.to_string().contains("do: set data_dir"), "{error}");
    }

    #[tokio::test]
    async fn a_database_that_does_not_answer_is_told_without_its_password() {
        let url = SecretString::from("postgres://ana:hunter2@127.0.0.1:1/buildit");
        let error = open_store(&url).await.expect_err("nobody listens").to_string();
        assert!(error.starts_with("the database cannot be opened\n  PostgreSQL (database_url): "), "{error}");
        assert!(error.contains("Connection refused") && error.contains("\n  do: check that it runs"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
