//! Wrapping keys in a file beside the data: one line `NAME BASE64` per key, the last one seals.
//!
//! A line that ends with `prepared` is of a key that opens and does not seal yet. Invariants: the file has mode 0600, and is
//! whole at any time: it is replaced, never written over. A server sees a changed file at its next use of a key, without a
//! restart.

mod edit;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::ports::{Keys, KeysError};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::SecretString;

pub use edit::{KeyFile, KeyFileBusy};

/// The keys of a file.
pub struct FileKeys {
    path: PathBuf,
    read: Mutex<Read>,
}

/// What was read, and of which file.
struct Read {
    stamp: Option<Stamp>,
    current: String,
    keys: BTreeMap<String, SecretString>,
}

/// A replaced file differs in one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    seconds: i64,
    nanos: i64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let it = std::fs::metadata(path).ok()?;
        Some(Self { inode: it.ino(), length: it.len(), seconds: it.mtime(), nanos: it.mtime_nsec() })
    }
}

impl fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileKeys").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Why the key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or made.
    #[error("the key file {path} cannot be read or made")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line is not `NAME BASE64` of 32 bytes.
    #[error("the key file {path}, line {line}: not `NAME BASE64` of 32 bytes; restore the file from a backup")]
    Line {
        /// Which file.
        path: String,
        /// Which line, from 1.
        line: usize,
    },
    /// The machine gives no random bytes.
    #[error("this machine gives no random bytes")]
    Random,
}

impl KeyFileError {
    fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File { path: path.display().to_string(), source }
    }
}

/// A line of the file.
#[derive(Clone)]
struct Line {
    id: String,
    key: SecretString,
    /// Does it open only?
    prepared: bool,
}

fn parse(path: &Path, text: &str) -> Result<Vec<Line>, KeyFileError> {
    let mut lines = Vec::new();
    for (index, text) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = || KeyFileError::Line { path: path.display().to_string(), line: index + 1 };
        let (id, key, prepared) = match text.split_whitespace().collect::<Vec<_>>()[..] {
            [id, key] => (id, key, false),
            [id, key, "prepared"] => (id, key, true),
            _ => return Err(wrong()),
        };
        if STANDARD.decode(key).map(|bytes| bytes.len()) != Ok(32) || lines.iter().any(|line: &Line| line.id == id) {
            return Err(wrong());
        }
        lines.push(Line { id: id.to_owned(), key: SecretString::from(key.to_owned()), prepared });
    }
    if lines.iter().all(|line| line.prepared) {
        return Err(KeyFileError::Line { path: path.display().to_string(), line: 1 });
    }
    Ok(lines)
}

/// A key that was never there.
fn fresh() -> Result<String, KeyFileError> {
    let mut key = [0_u8; 32];
    SystemRandom::new().fill(&mut key).map_err(|_| KeyFileError::Random)?;
    Ok(STANDARD.encode(key))
}

impl Read {
    fn of(path: &Path, stamp: Option<Stamp>, text: &str) -> Result<Self, KeyFileError> {
        let lines = parse(path, text)?;
        let current = lines.iter().rfind(|line| !line.prepared).map(|line| line.id.clone()).unwrap_or_default();
        Ok(Self { stamp, current, keys: lines.into_iter().map(|line| (line.id, line.key)).collect() })
    }
}

impl FileKeys {
    /// Opens the file; makes it with one fresh key when there is none.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        let file = |source| KeyFileError::file(path, source);
        let stamp = Stamp::of(path);
        let read = match std::fs::read_to_string(path) {
            Ok(text) => Read::of(path, stamp, &text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let text = format!("key-1 {}\n", fresh()?);
                let mut made =
                    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(file)?;
                made.write_all(text.as_bytes()).and_then(|()| made.sync_all()).map_err(file)?;
                edit::sync_folder(path).map_err(file)?;
                Read::of(path, Stamp::of(path), &text)?
            }
            Err(error) => return Err(file(error)),
        };
        Ok(Self { path: path.to_owned(), read: Mutex::new(read) })
    }

    /// Looks at what was read, after another look at the file. One that is gone or damaged changes nothing: what is
    /// known goes on.
    fn look<T>(&self, what: impl FnOnce(&Read) -> T) -> T {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = Stamp::of(&self.path);
        if stamp.is_some() && stamp != read.stamp {
            let text = std::fs::read_to_string(&self.path);
            let fresh = text.map_err(|source| KeyFileError::file(&self.path, source));
            match fresh.and_then(|text| Read::of(&self.path, stamp, &text)) {
                Ok(fresh) => *read = fresh,
                Err(error) => {
                    tracing::error!(%error, "the keys of before go on");
                    // Told once, until the file changes again.
                    read.stamp = stamp;
                }
            }
        }
        what(&read)
    }
}

impl Keys for FileKeys {
    fn current(&self) -> String {
        self.look(|read| read.current.clone())
    }
    fn key(&self, id: &str) -> Result<SecretString, KeysError> {
        self.look(|read| read.keys.get(id).cloned()).ok_or_else(|| KeysError::Unknown { id: id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_made_file_is_read_back_and_a_damaged_one_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("keys");
        let made = FileKeys::open(&path).expect("made");
        let read = FileKeys::open(&path).expect("read");
        let key = |keys: &FileKeys| keys.key("key-1").expect("there").expose_secret().to_owned();
        assert_eq!(key(&made), key(&read));
        assert!(made.key("other").is_err());
        for (text, line) in [
            ("key-1 short\n", 1),
            ("", 1),
            ("\n\nkey-1\n", 3),
            ("a AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= prepared\n", 1),
            ("a AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= later\n", 1),
            ("a AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\na BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 2),
        ] {
            std::fs::write(&path, text).expect("written");
            let refused = FileKeys::open(&path).expect_err("refused").to_string();
            assert!(refused.contains(&format!("line {line}:")), "{text:?}: {refused}");
        }
        // Who had it open goes on.
        assert_eq!((made.current().as_str(), key(&made)), ("key-1", key(&read)));
    }

    #[test]
    fn a_changed_file_is_seen_at_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("keys");
        let server = FileKeys::open(&path).expect("made");
        let mut file = KeyFile::edit(&path).expect("free").expect("read");
        assert!(matches!(KeyFile::edit(&path), Ok(Err(KeyFileBusy))));
        assert_eq!(file.prepare().expect("prepared"), "key-2");
        assert_eq!((server.current().as_str(), server.key("key-2").is_ok()), ("key-1", true));
        assert_eq!(file.begin().expect("begun"), Some("key-2".to_owned()));
        assert_eq!((server.current().as_str(), server.key("key-1").is_ok()), ("key-2", true));
        // As long as the old one is there, it is the same change.
        assert_eq!(file.begin().expect("as before"), None);
        assert_eq!(file.retire().expect("retired"), ["key-1"]);
        assert_eq!((server.current().as_str(), server.key("key-1").is_err()), ("key-2", true));
        drop(file);
        // A name is never given twice, and what is gone is kept beside.
        let mut file = KeyFile::edit(&path).expect("free").expect("read");
        assert_eq!(file.begin().expect("begun"), Some("key-3".to_owned()));
        let retired = std::fs::read_to_string(dir.path().join("keys.retired")).expect("kept");
        assert!(retired.starts_with("key-1 ") && retired.lines().count() == 1, "it has the key that was");
        use std::os::unix::fs::PermissionsExt as _;
        for name in ["keys", "keys.retired"] {
            let mode = std::fs::metadata(dir.path().join(name)).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}
