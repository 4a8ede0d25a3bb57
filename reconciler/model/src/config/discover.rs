//! Stacks that nobody has to declare.

use super::layout::{Directory, Layout};
use super::{Discover, glob_matches};
use crate::id::{RelPath, RepoName};

/// A found root with its name.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: RelPath,
    pub(super) name: String,
}

/// Directories that are roots for this node.
pub(super) fn roots(discover: &Discover, layout: &Layout, repo: &RepoName) -> Vec<Found> {
    let hit = |path: &RelPath| discover.roots.iter().any(|glob| glob_matches(glob, path.as_str()));
    let found = layout.directories.iter().filter(|(path, directory)| hit(path) && is_root(discover, path, directory));
    found
        .map(|(path, _)| {
            let dir = if path.is_root() { repo.name() } else { path.as_str() };
            Found { path: path.clone(), name: discover.name.replace("{dir}", dir) }
        })
        .collect()
}

/// A root has a backend, cloud or provider block, and nothing says that it is something else.
fn is_root(discover: &Discover, path: &RelPath, directory: &Directory) -> bool {
    let keeps_state = directory.backend.is_some() || directory.cloud;
    let marked = keeps_state || directory.provider;
    let hidden = path.as_str().split('/').any(|part| part == ".terraform");
    let module = !keeps_state && directory.used_as_module;
    marked && !hidden && !module && !directory.only_linked && !ignored(discover, path, keeps_state)
}

/// An ignored directory counts all the same when it keeps state and only globs that begin with `**/` hit it.
fn ignored(discover: &Discover, path: &RelPath, keeps_state: bool) -> bool {
    let mut hits = discover.ignore.iter().filter(|glob| glob_matches(glob, path.as_str())).peekable();
    hits.peek().is_some() && !(keeps_state && hits.all(|glob| glob.starts_with("**/")))
}
