//! Wrapping keys in a file beside the data: one line `ID BASE64` per key, the last one seals.
//!
//! Invariant: the file is made with mode 0600 and is never rewritten; a new key is a new line.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::ports::{Keys, KeysError};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::SecretString;

/// The keys of a file.
pub struct FileKeys {
    current: String,
    keys: BTreeMap<String, SecretString>,
}

impl fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileKeys").field("current", &self.current).finish_non_exhaustive()
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
    /// A line is not `ID BASE64` of 32 bytes.
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

impl FileKeys {
    /// Opens the file; makes it with one fresh key when there is none.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        let file = |source| KeyFileError::File { path: path.display().to_string(), source };
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut key = [0_u8; 32];
                SystemRandom::new().fill(&mut key).map_err(|_| KeyFileError::Random)?;
                let text = format!("key-1 {}\n", STANDARD.encode(key));
                let mut made =
                    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(file)?;
                made.write_all(text.as_bytes()).and_then(|()| made.sync_all()).map_err(file)?;
                Self::parse(path, &text)
            }
            Err(error) => Err(file(error)),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, KeyFileError> {
        let mut keys = BTreeMap::new();
        let mut current = None;
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = || KeyFileError::Line { path: path.display().to_string(), line: index + 1 };
            let (id, key) = line.trim().split_once(' ').ok_or_else(wrong)?;
            if STANDARD.decode(key.trim()).map(|bytes| bytes.len()) != Ok(32) {
                return Err(wrong());
            }
            keys.insert(id.to_owned(), SecretString::from(key.trim().to_owned()));
            current = Some(id.to_owned());
        }
        let current = current.ok_or(KeyFileError::Line { path: path.display().to_string(), line: 1 })?;
        Ok(Self { current, keys })
    }
}

impl Keys for FileKeys {
    fn current(&self) -> String {
        self.current.clone()
    }
    fn key(&self, id: &str) -> Result<SecretString, KeysError> {
        self.keys.get(id).cloned().ok_or_else(|| KeysError::Unknown { id: id.to_owned() })
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
        std::fs::write(&path, "key-1 short\n").expect("written");
        let refused = FileKeys::open(&path).expect_err("refused").to_string();
        assert!(refused.contains("line 1"), "{refused}");
    }
}
