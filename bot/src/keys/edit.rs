//! Changes of the key file: a key is prepared, begins to seal, and is retired.
//!
//! Invariants: one process at a time; a key is on the disk before anything is sealed by it, and in `keys.retired` before it
//! leaves `keys`; a name is never given twice.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::{KeyFileError, Line, fresh, parse};

/// The key file, for a change.
pub struct KeyFile {
    path: PathBuf,
    lines: Vec<Line>,
    _lock: File,
}

impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Another process changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFileBusy;

impl KeyFile {
    /// Opens a file that there is.
    pub fn edit(path: &Path) -> Result<Result<Self, KeyFileBusy>, KeyFileError> {
        let file = |source| KeyFileError::file(path, source);
        let lock = beside(path, "lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(lock).map_err(file)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(KeyFileBusy)),
            Err(TryLockError::Error(error)) => return Err(file(error)),
        }
        let lines = parse(path, &std::fs::read_to_string(path).map_err(file)?)?;
        Ok(Ok(Self { path: path.to_owned(), lines, _lock: lock }))
    }

    /// The names of the keys in the order of the file, each with whether it is only prepared; the last that is not
    /// seals.
    pub fn names(&self) -> impl Iterator<Item = (&str, bool)> {
        self.lines.iter().map(|line| (line.id.as_str(), line.prepared))
    }

    /// Has a key that opens only, and gives its name.
    pub fn prepare(&mut self) -> Result<String, KeyFileError> {
        if let Some(line) = self.lines.iter().find(|line| line.prepared) {
            return Ok(line.id.clone());
        }
        let line = Line { id: self.unused()?, key: SecretString::from(fresh()?), prepared: true };
        let id = line.id.clone();
        self.lines.push(line);
        self.write()?;
        Ok(id)
    }

    /// Has a new key seal: the prepared one, or a fresh one. `None`: a change is under way already.
    pub fn begin(&mut self) -> Result<Option<String>, KeyFileError> {
        let mut line = match self.lines.iter().position(|line| line.prepared) {
            Some(at) => self.lines.remove(at),
            None if self.lines.len() > 1 => return Ok(None),
            None => Line { id: self.unused()?, key: SecretString::from(fresh()?), prepared: false },
        };
        line.prepared = false;
        let id = line.id.clone();
        self.lines.push(line);
        self.write()?;
        Ok(Some(id))
    }

    /// Takes all keys away that neither seal nor are prepared. Gives their names.
    pub fn retire(&mut self) -> Result<Vec<String>, KeyFileError> {
        let current = self.lines.iter().rposition(|line| !line.prepared).unwrap_or_default();
        let mut lines = self.lines.drain(..).enumerate();
        let (kept, gone): (Vec<_>, Vec<_>) = lines.by_ref().partition(|(at, line)| *at == current || line.prepared);
        drop(lines);
        self.lines = kept.into_iter().map(|(_, line)| line).collect();
        let gone: Vec<Line> = gone.into_iter().map(|(_, line)| line).collect();
        let path = beside(&self.path, "retired");
        let keep = || {
            let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
            file.write_all(text(&gone).as_bytes())?;
            file.sync_all()?;
            sync_folder(&path)
        };
        keep().map_err(|source| KeyFileError::file(&path, source))?;
        self.write()?;
        Ok(gone.into_iter().map(|line| line.id).collect())
    }

    /// A name that no key has or had.
    fn unused(&self) -> Result<String, KeyFileError> {
        let path = beside(&self.path, "retired");
        let retired = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.map_err(|source| KeyFileError::file(&path, source))?,
        };
        let retired = retired.lines().filter_map(|line| line.split_whitespace().next());
        let names = retired.chain(self.lines.iter().map(|line| line.id.as_str()));
        let numbers = names.filter_map(|name| name.strip_prefix("key-")?.parse::<u64>().ok());
        Ok(format!("key-{}", numbers.max().unwrap_or_default() + 1))
    }

    /// Puts the file in the place of the one that is there.
    fn write(&self) -> Result<(), KeyFileError> {
        let new = beside(&self.path, "new");
        let replace = || {
            // Of one that died before us.
            match std::fs::remove_file(&new) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
            file.write_all(text(&self.lines).as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&new, &self.path)?;
            sync_folder(&self.path)
        };
        replace().map_err(|source| KeyFileError::file(&self.path, source))
    }
}

fn text(lines: &[Line]) -> String {
    let line = |line: &Line| {
        format!("{} {}{}\n", line.id, line.key.expose_secret(), if line.prepared { " prepared" } else { "" })
    };
    lines.iter().map(line).collect()
}

/// `keys` and `retired` is `keys.retired`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// A new name is on the disk once its directory is.
pub(super) fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
