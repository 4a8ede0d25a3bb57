//! Unpacking a job's source and files.
//!
//! Must never write outside of the given root, through a symlink, or beyond the limits. A symlink that leads
//! out of the root is left out, as if its target were missing: for a job its target is.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Component, Path, PathBuf};

/// How much a source may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 2 << 30, entries: 300_000 }
    }
}

/// Why not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    #[error("the source cannot be unpacked: {0}")]
    Refused(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn refused(text: impl Into<String>) -> UnpackError {
    UnpackError::Refused(text.into())
}

/// Unpacks a tar archive below `root`, which exists and is empty.
pub(crate) fn unpack(archive: &[u8], root: &Path, limits: Limits) -> Result<(), UnpackError> {
    let mut left = limits;
    let mut links = Vec::new();
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry.map_err(|error| refused(format!("not a tar archive: {error}")))?;
        left.entries =
            left.entries.checked_sub(1).ok_or_else(|| refused(format!("more than {} entries", limits.entries)))?;
        let path = entry.path().map_err(|error| refused(error.to_string()))?.into_owned();
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            continue;
        }
        let Some(path) = clean(&path)? else { continue };
        let to = root.join(&path);
        if kind.is_dir() {
            real_directory(root, &path)?;
        } else if kind.is_file() {
            real_directory(root, path.parent().unwrap_or(Path::new("")))?;
            left.bytes = left
                .bytes
                .checked_sub(entry.size())
                .ok_or_else(|| refused(format!("more than {} bytes", limits.bytes)))?;
            let executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
            let mut file = fresh(&to, if executable { 0o755 } else { 0o644 })?;
            let size = entry.size();
            let copied = io::copy(&mut entry.by_ref().take(size), &mut file)?;
            if copied != size {
                return Err(refused(format!("{} is cut off", path.display())));
            }
        } else if kind.is_symlink() {
            let target = entry.link_name()?.ok_or_else(|| refused("a symlink without target"))?.into_owned();
            links.push((path, target));
        } else {
            return Err(refused(format!("{} is neither a file, a directory nor a symlink", path.display())));
        }
    }
    // Links come last: nothing can be written through them.
    for (path, target) in &links {
        link(root, path, target)?;
    }
    leave_out_escapes(root, &links)
}

/// Writes a file below `root`, over whatever is there.
pub(crate) fn write_file(root: &Path, path: &str, bytes: &[u8]) -> Result<(), UnpackError> {
    let path = clean(Path::new(path))?.ok_or_else(|| refused("a file without a name"))?;
    real_directory(root, path.parent().unwrap_or(Path::new("")))?;
    io::Write::write_all(&mut fresh(&root.join(path), 0o600)?, bytes)?;
    Ok(())
}

/// Makes a directory below `root`, and refuses to go through a symlink.
pub(crate) fn real_directory(root: &Path, path: &Path) -> Result<(), UnpackError> {
    let mut at = root.to_owned();
    for part in path.components() {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(refused(format!("{} is a file and a directory", path.display()))),
            Err(_) => fs::create_dir(&at)?,
        }
    }
    Ok(())
}

fn fresh(to: &Path, mode: u32) -> Result<fs::File, UnpackError> {
    match fs::symlink_metadata(to) {
        Ok(found) if found.is_dir() => return Err(refused(format!("{} is a file and a directory", to.display()))),
        Ok(_) => fs::remove_file(to)?,
        Err(_) => {}
    }
    Ok(OpenOptions::new().write(true).create_new(true).mode(mode).open(to)?)
}

/// The path without `.` parts; `None` for the root itself.
fn clean(path: &Path) -> Result<Option<PathBuf>, UnpackError> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => clean.push(part),
            Component::CurDir => {}
            _ => return Err(refused(format!("{} leads out of it", path.display()))),
        }
    }
    Ok(if clean.as_os_str().is_empty() { None } else { Some(clean) })
}

fn link(root: &Path, path: &Path, target: &Path) -> Result<(), UnpackError> {
    if !stays_within(path, target) {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new(""));
    real_directory(root, parent)?;
    let at = root.join(path);
    match fs::symlink_metadata(&at) {
        Ok(found) if found.is_dir() => return Err(refused(format!("{} is a link and a directory", path.display()))),
        Ok(_) => fs::remove_file(&at)?,
        Err(_) => {}
    }
    Ok(symlink(target, at)?)
}

/// Does the text of the link, read from its own directory, stay below the root?
fn stays_within(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count().saturating_sub(1);
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return false,
        }
    }
    true
}

/// Links of links can lead out though each text stays within.
fn leave_out_escapes(root: &Path, links: &[(PathBuf, PathBuf)]) -> Result<(), UnpackError> {
    let real_root = fs::canonicalize(root)?;
    for (path, _) in links {
        let at = root.join(path);
        if fs::canonicalize(&at).is_ok_and(|real| !real.starts_with(&real_root)) {
            fs::remove_file(&at)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, &str, tar::EntryType)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content, kind) in entries {
            let mut header = tar::Header::new_gnu();
            let name = &mut header.as_old_mut().name;
            name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            if *kind == tar::EntryType::Symlink {
                header.set_link_name(content).expect("a target");
                header.set_size(0);
                header.set_cksum();
                builder.append(&header, io::empty()).expect("appended");
            } else {
                header.set_size(content.len() as u64);
                header.set_cksum();
                builder.append(&header, content.as_bytes()).expect("appended");
            }
        }
        builder.into_inner().expect("an archive")
    }

    fn try_unpack(entries: &[(&str, &str, tar::EntryType)], limits: Limits) -> (tempfile::TempDir, Option<String>) {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("root");
        fs::create_dir(&root).expect("made");
        let error = unpack(&archive(entries), &root, limits).err().map(|error| error.to_string());
        (dir, error)
    }

    use tar::EntryType::{Fifo, Regular, Symlink};

    #[test]
    fn files_and_links_within_are_made() {
        let (dir, error) = try_unpack(
            &[("a/b/c.tf", "hello", Regular), ("l/x", "../a/b", Symlink), ("l/gone", "../none", Symlink)],
            Limits::default(),
        );
        assert_eq!(error, None);
        assert_eq!(fs::read_to_string(dir.path().join("root/l/x/c.tf")).expect("read through"), "hello");
        assert!(fs::symlink_metadata(dir.path().join("root/l/gone")).is_ok());
    }

    #[test]
    fn nothing_is_written_outside() {
        for path in ["../evil", "/tmp/evil-buildit", "a/../../evil"] {
            let (dir, error) = try_unpack(&[(path, "x", Regular)], Limits::default());
            assert!(error.is_some_and(|error| error.contains("leads out")), "{path}");
            assert!(!dir.path().join("evil").exists());
        }
        let (dir, error) = try_unpack(&[("out", "..", Symlink), ("out/evil", "x", Regular)], Limits::default());
        assert!(error.is_none_or(|error| error.contains("link and a directory")));
        assert!(!dir.path().join("evil").exists());
    }

    #[test]
    fn links_that_lead_out_are_left_out() {
        let (dir, error) = try_unpack(
            &[
                ("abs", "/etc/passwd", Symlink),
                ("up", "../x", Symlink),
                ("a/b", "..", Symlink),
                ("chain", "a/b/..", Symlink),
            ],
            Limits::default(),
        );
        assert_eq!(error, None);
        let there = |name: &str| fs::symlink_metadata(dir.path().join("root").join(name)).is_ok();
        assert_eq!([there("abs"), there("up"), there("a/b"), there("chain")], [false, false, true, false]);
    }

    #[test]
    fn limits_and_strange_kinds_are_refused() {
        let small = Limits { bytes: 3, entries: 2 };
        let (_, error) = try_unpack(&[("a", "1234", Regular)], small);
        assert_eq!(error.as_deref(), Some("the source cannot be unpacked: more than 3 bytes"));
        let (_, error) = try_unpack(&[("a", "", Regular), ("b", "", Regular), ("c", "", Regular)], small);
        assert_eq!(error.as_deref(), Some("the source cannot be unpacked: more than 2 entries"));
        let (_, error) = try_unpack(&[("p", "", Fifo)], small);
        assert!(error.is_some_and(|error| error.contains("neither a file")));
    }

    #[test]
    fn files_never_go_through_a_link() {
        let (dir, _) = try_unpack(&[("real/x", "1", Regular), ("link", "real", Symlink)], Limits::default());
        let root = dir.path().join("root");
        assert!(write_file(&root, "link/y", b"2").is_err());
        write_file(&root, "real/x", b"2").expect("over an existing file");
        assert_eq!(fs::read(root.join("real/x")).expect("read"), b"2");
    }
}
