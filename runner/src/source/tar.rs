//! Archives of a tree: sorted, without times or owners, so that equal trees give equal bytes.
//!
//! Must never let a symbolic link lead out of the tree.

use bytes::Bytes;
use git2::{Oid, Repository};
use model::id::RelPath;
use model::ports::SourceError;

pub(crate) const LINK: i32 = 0o120_000;
pub(crate) const TREE: i32 = 0o040_000;
pub(crate) const SUBMODULE: i32 = 0o160_000;

/// A tar archive of these paths of the tree; all of it when empty.
pub(super) fn tar(repo: &Repository, tree: Oid, paths: &[RelPath]) -> Result<Bytes, SourceError> {
    let mut out = tar::Builder::new(Vec::new());
    add_tree(repo, tree, "", paths, &mut out)?;
    Ok(Bytes::from(out.into_inner().map_err(|e| failed(&e))?))
}

fn failed(error: &std::io::Error) -> SourceError {
    SourceError::Git { message: format!("archive: {error}") }
}

fn add_tree(
    repo: &Repository,
    id: Oid,
    prefix: &str,
    paths: &[RelPath],
    out: &mut tar::Builder<Vec<u8>>,
) -> Result<(), SourceError> {
    let tree = repo.find_tree(id).map_err(|_| SourceError::Missing { id: id.to_string() })?;
    for entry in &tree {
        let Ok(name) = entry.name() else { continue };
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        let Ok(here) = RelPath::parse(&path) else { continue };
        let inside = paths.is_empty() || paths.iter().any(|wanted| here.is_within(wanted));
        let above = paths.iter().any(|wanted| wanted.is_within(&here));
        match entry.filemode() {
            TREE if inside => add_tree(repo, entry.id(), &path, &[], out)?,
            TREE if above => add_tree(repo, entry.id(), &path, paths, out)?,
            TREE | SUBMODULE => {}
            mode if inside => add_file(repo, entry.id(), mode, &here, out)?,
            _ => {}
        }
    }
    Ok(())
}

fn add_file(
    repo: &Repository,
    id: Oid,
    mode: i32,
    path: &RelPath,
    out: &mut tar::Builder<Vec<u8>>,
) -> Result<(), SourceError> {
    let blob = repo.find_blob(id).map_err(|_| SourceError::Missing { id: id.to_string() })?;
    let mut header = tar::Header::new_gnu();
    header.set_mtime(0);
    header.set_mode(if mode == 0o100_755 { 0o755 } else { 0o644 });
    if mode == LINK {
        let target = String::from_utf8_lossy(blob.content()).into_owned();
        let stays = !turns_back(&target) && path.parent().is_some_and(|dir| dir.join(&target).is_some());
        if !stays {
            return Err(SourceError::Git {
                message: format!("the symbolic link {path} leads out of the repository, to {target:?}: remove it"),
            });
        }
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        return out.append_link(&mut header, path.as_str(), target).map_err(|e| failed(&e));
    }
    header.set_size(blob.size() as u64);
    out.append_data(&mut header, path.as_str(), blob.content()).map_err(|e| failed(&e))
}

/// `..` after a name: if the name is itself a link, the text does not tell where this leads.
fn turns_back(target: &str) -> bool {
    target.split('/').skip_while(|part| matches!(*part, ".." | "." | "")).any(|part| part == "..")
}
