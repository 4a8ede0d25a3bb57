//! A directory on disk as if it were a tree, for `buildit check` and `init` before anything is committed.

use std::path::{Path, PathBuf};

use git2::{Index, IndexEntry, IndexTime, Repository};
use model::config::Layout;
use model::id::RelPath;
use model::ports::SourceError;

use super::Cache;
use super::graph::Graph;

/// Folders that never hold anything of ours.
const SKIPPED: [&str; 4] = [".git", ".terraform", "node_modules", "target"];
/// Files that are looked at, at most.
const MOST: usize = 200_000;

/// The layout of the files below `directory`, committed or not.
pub fn layout(directory: &Path) -> Result<Layout, SourceError> {
    let io = |error: std::io::Error| SourceError::Git { message: format!("{}: {error}", directory.display()) };
    let scratch = tempfile::tempdir().map_err(io)?;
    let mut files = Vec::new();
    collect(directory, &mut files).map_err(io)?;
    let git = |error: git2::Error| SourceError::Git { message: error.message().to_owned() };
    let repo = Repository::init_bare(scratch.path()).map_err(git)?;
    let mut index = Index::new().map_err(git)?;
    repo.set_index(&mut index).map_err(git)?;
    for file in files {
        let below = file.strip_prefix(directory).ok().and_then(Path::to_str).and_then(|p| RelPath::parse(p).ok());
        if let Some(path) = below.filter(wanted) {
            add(&mut index, &file, &path).map_err(git)?;
        }
    }
    let tree = index.write_tree_to(&repo).map_err(git)?;
    Ok(Graph::of(&repo, &Cache::default(), tree)?.layout)
}

fn wanted(path: &RelPath) -> bool {
    let name = path.file_name();
    let endings = [".tf", ".tf.json", ".tofu", ".tofu.json"];
    let named = [".terraform-version", ".opentofu-version", ".terraform.lock.hcl", "terragrunt.hcl"];
    endings.iter().any(|ending| name.ends_with(ending)) || named.contains(&name)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() && !SKIPPED.iter().any(|skipped| entry.file_name() == *skipped) {
                open.push(entry.path());
            } else if !kind.is_dir() && files.len() < MOST {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(())
}

fn add(index: &mut Index, file: &Path, path: &RelPath) -> Result<(), git2::Error> {
    let link = std::fs::read_link(file).ok();
    let content = match &link {
        Some(target) => target.to_string_lossy().into_owned().into_bytes(),
        None => std::fs::read(file).unwrap_or_default(),
    };
    let never = IndexTime::new(0, 0);
    let entry = IndexEntry {
        ctime: never,
        mtime: never,
        dev: 0,
        ino: 0,
        mode: if link.is_some() { 0o120_000 } else { 0o100_644 },
        uid: 0,
        gid: 0,
        file_size: 0,
        id: git2::Oid::ZERO_SHA1,
        flags: 0,
        flags_extended: 0,
        path: path.as_str().as_bytes().to_vec(),
    };
    index.add_frombuffer(&entry, &content)
}
