//! Changed files between two trees; looks only where object ids differ.

use git2::{Delta, DiffFindOptions, Oid, Repository};
use model::affected::{ChangeKind, ChangedFile};
use model::id::RelPath;
use model::ports::SourceError;

use super::git;

/// What differs, sorted by path. Renames are exact ones and those at least half alike, as git finds them.
/// Paths that are no clean UTF-8 are left out.
pub(super) fn changed(repo: &Repository, old: Oid, new: Oid) -> Result<Vec<ChangedFile>, SourceError> {
    if old == new {
        return Ok(Vec::new());
    }
    let tree = |id: Oid| repo.find_tree(id).map_err(|_| SourceError::Missing { id: id.to_string() });
    let mut diff = repo.diff_tree_to_tree(Some(&tree(old)?), Some(&tree(new)?), None).map_err(git)?;
    let (mut gone, mut came) = (false, false);
    for delta in diff.deltas() {
        gone |= delta.status() == Delta::Deleted;
        came |= delta.status() == Delta::Added;
    }
    if gone && came {
        diff.find_similar(Some(DiffFindOptions::new().renames(true).rename_threshold(50))).map_err(git)?;
    }
    let path = |file: git2::DiffFile<'_>| -> Option<RelPath> {
        RelPath::parse(std::str::from_utf8(file.path_bytes()?).ok()?).ok()
    };
    let mut files = Vec::new();
    for delta in diff.deltas() {
        let kind = match delta.status() {
            Delta::Added | Delta::Copied => ChangeKind::Added,
            Delta::Deleted => ChangeKind::Deleted,
            Delta::Renamed => ChangeKind::Renamed,
            _ => ChangeKind::Modified,
        };
        let new_side = if kind == ChangeKind::Deleted { delta.old_file() } else { delta.new_file() };
        let Some(to) = path(new_side) else { continue };
        let from = if kind == ChangeKind::Renamed { path(delta.old_file()) } else { None };
        files.push(ChangedFile { path: to, from, kind });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}
