//! The plan tree: GitHub's test merge when it fits, else our own merge.

use std::collections::{BTreeSet, HashSet};

use git2::{Commit, Oid, Repository, Tree};
use model::id::{CommitSha, RelPath};
use model::ports::SourceError;

use super::{git, oid, tree_of};

const BASE_TREE: i32 = super::tar::TREE;

/// The tree that plans run on.
pub(super) struct Merged {
    pub(super) tree: Option<Oid>,
    pub(super) ours: bool,
    pub(super) conflicts: Vec<RelPath>,
}

/// Takes the test merge if its parents are exactly (base, head), else merges.
pub(super) fn plan_tree(
    repo: &Repository,
    base: &CommitSha,
    head: &CommitSha,
    test_merge: Option<&CommitSha>,
) -> Result<Merged, SourceError> {
    let (ours, theirs) = (oid(base.as_str())?, oid(head.as_str())?);
    if let Some(commit) = test_merge.map(|sha| oid(sha.as_str())).transpose()?.and_then(|id| repo.find_commit(id).ok())
        && commit.parent_ids().eq([ours, theirs])
        && let Ok(tree) = commit.tree()
    {
        return Ok(Merged { tree: Some(tree.id()), ours: false, conflicts: Vec::new() });
    }
    let ancestor = merge_base(repo, ours, theirs)?
        .ok_or_else(|| SourceError::Missing { id: format!("the merge base of {base} and {head}") })?;
    if ancestor == ours {
        // Nothing came into the base since: whoever merges gets the head's own tree.
        return Ok(Merged { tree: Some(tree_of(repo, head)?.id()), ours: false, conflicts: Vec::new() });
    }
    let of = |id: Oid| repo.find_commit(id).and_then(|commit| commit.tree());
    let ancestor = of(ancestor).map_err(|_| SourceError::Missing { id: ancestor.to_string() })?;
    merge(repo, &ancestor, &tree_of(repo, base)?, &tree_of(repo, head)?)
}

/// The best common ancestor among the commits that are here; a shallow boundary ends a line.
pub(super) fn merge_base(repo: &Repository, ours: Oid, theirs: Oid) -> Result<Option<Oid>, SourceError> {
    let ours_all = ancestors(repo, ours);
    let mut queue = std::collections::BinaryHeap::new();
    let mut seen = HashSet::new();
    let at = |id: Oid| repo.find_commit(id).map(|commit| commit.time().seconds()).unwrap_or_default();
    queue.push((at(theirs), theirs));
    while let Some((_, id)) = queue.pop() {
        if ours_all.contains(&id) {
            return Ok(Some(id));
        }
        if !seen.insert(id) {
            continue;
        }
        if let Ok(commit) = repo.find_commit(id) {
            queue.extend(commit.parent_ids().map(|parent| (at(parent), parent)));
        }
    }
    Ok(None)
}

fn ancestors(repo: &Repository, tip: Oid) -> HashSet<Oid> {
    let mut seen = HashSet::new();
    let mut open = vec![tip];
    while let Some(id) = open.pop() {
        let commit: Option<Commit<'_>> = repo.find_commit(id).ok();
        if let (true, Some(commit)) = (seen.insert(id), commit) {
            open.extend(commit.parent_ids());
        }
    }
    seen
}

fn merge(repo: &Repository, ancestor: &Tree<'_>, ours: &Tree<'_>, theirs: &Tree<'_>) -> Result<Merged, SourceError> {
    if let Some(tree) = merge_level(repo, Some(ancestor), Some(ours), Some(theirs))? {
        return Ok(Merged { tree: Some(tree), ours: true, conflicts: Vec::new() });
    }
    // Both sides changed one file, or a rename is in the way: libgit2 merges the whole.
    let mut index = repo.merge_trees(ancestor, ours, theirs, None).map_err(git)?;
    if index.has_conflicts() {
        let mut conflicts = BTreeSet::new();
        for conflict in index.conflicts().map_err(git)? {
            let conflict = conflict.map_err(git)?;
            for entry in [conflict.our, conflict.their, conflict.ancestor].into_iter().flatten() {
                conflicts.extend(String::from_utf8(entry.path).ok().and_then(|path| RelPath::parse(&path).ok()));
            }
        }
        return Ok(Merged { tree: None, ours: true, conflicts: conflicts.into_iter().collect() });
    }
    let tree = index.write_tree_to(repo).map_err(git)?;
    Ok(Merged { tree: Some(tree), ours: true, conflicts: Vec::new() })
}

/// Merges one directory by object ids. `None`: not decidable by ids alone.
fn merge_level(
    repo: &Repository,
    ancestor: Option<&Tree<'_>>,
    ours: Option<&Tree<'_>>,
    theirs: Option<&Tree<'_>>,
) -> Result<Option<Oid>, SourceError> {
    let mut out = repo.treebuilder(ours).map_err(git)?;
    let mut names: BTreeSet<Vec<u8>> = BTreeSet::new();
    for tree in [ancestor, ours, theirs].into_iter().flatten() {
        names.extend(tree.iter().map(|entry| entry.name_bytes().to_vec()));
    }
    for name in names {
        let get = |tree: Option<&Tree<'_>>| {
            let entry = tree?.get_name_bytes(&name)?;
            Some((entry.id(), entry.filemode()))
        };
        let (o, a, b) = (get(ancestor), get(ours), get(theirs));
        let winner = if a == b || o == b {
            continue;
        } else if o == a {
            b
        } else {
            let all_trees = [o, a, b].into_iter().flatten().all(|(_, mode)| mode == BASE_TREE);
            if !all_trees || a.is_none() || b.is_none() {
                return Ok(None);
            }
            let sub = |side: Option<(Oid, i32)>| side.map(|(id, _)| repo.find_tree(id)).transpose().map_err(git);
            match merge_level(repo, sub(o)?.as_ref(), sub(a)?.as_ref(), sub(b)?.as_ref())? {
                None => return Ok(None),
                Some(id) => Some((id, BASE_TREE)).filter(|_| !repo.find_tree(id).is_ok_and(|tree| tree.is_empty())),
            }
        };
        match winner {
            Some((id, mode)) => {
                out.insert(name.as_slice(), id, mode).map_err(git)?;
            }
            None => out.remove(name.as_slice()).map_err(git)?,
        }
    }
    Ok(Some(out.write().map_err(git)?))
}
