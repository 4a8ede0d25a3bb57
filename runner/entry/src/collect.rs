//! Keeping files of the job.
//!
//! Must never follow a symlink: the job could point it at a file of the server.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Moves each existing regular file to `DIR/files/NAME`.
pub(crate) fn collect(dir: &Path, root: &Path, wanted: &BTreeMap<String, String>) -> io::Result<()> {
    let files = dir.join("files");
    fs::create_dir_all(&files)?;
    for (name, path) in wanted {
        let Some(from) = plain_file(root, path) else { continue };
        let to = files.join(name);
        if fs::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

/// The path below `root` when all directories on the way are real ones and it is a regular file itself.
pub(crate) fn plain_file(root: &Path, path: &str) -> Option<PathBuf> {
    let mut at = root.to_owned();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        if part.is_empty() || part == "." || part == ".." {
            return None;
        }
        at.push(part);
        let kind = fs::symlink_metadata(&at).ok()?.file_type();
        if !(if parts.peek().is_some() { kind.is_dir() } else { kind.is_file() }) {
            return None;
        }
    }
    Some(at)
}
