//! A clone on this disk and the two commits that a person names in it: what a change is, and what it goes into.
//!
//! Owns the words about clones and references that are not there. Reads only.

use std::path::Path;

use model::id::{CommitSha, RepoName};
use model::ports::SourceError;
use runner::source::LocalClone;

/// A commit and how the person named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// As written, or as found: "main", "origin/main", "a1b2c3d".
    pub name: String,
    /// The commit.
    pub commit: CommitSha,
}

/// Opens the clone that holds `directory`; `flag` is how another one is named.
pub fn open(directory: &Path, flag: &str) -> anyhow::Result<LocalClone> {
    LocalClone::open(directory).map_err(|error| {
        anyhow::anyhow!(
            "{} is not a git repository\n  {error}\n  do: name a clone with {flag} DIR",
            directory.display()
        )
    })
}

/// The commit of a branch, tag or id that came with `flag`.
pub fn side(clone: &LocalClone, flag: &str, name: &str) -> anyhow::Result<Side> {
    let commit = clone.commit(name).map_err(|_| {
        anyhow::anyhow!("no branch, tag or commit is named {name:?}\n  do: {flag} REF, such as {flag} origin/main")
    })?;
    Ok(Side { name: name.to_owned(), commit })
}

/// What the change is: `wanted`, else what is checked out.
pub fn head(clone: &LocalClone, wanted: Option<&str>) -> anyhow::Result<Side> {
    if let Some(name) = wanted {
        return side(clone, "--head", name);
    }
    let nothing = || anyhow::anyhow!("this clone has no commit yet\n  do: commit first, or name one with --head REF");
    let name = clone.head_name().ok_or_else(nothing)?;
    Ok(Side { name, commit: clone.commit("HEAD").map_err(|_| nothing())? })
}

/// What the change goes into: `wanted`, else where pull requests of this clone are most likely merged.
pub fn base(clone: &LocalClone, wanted: Option<&str>) -> anyhow::Result<Side> {
    if let Some(name) = wanted {
        return side(clone, "--base", name);
    }
    let found = clone.merge_target().ok_or_else(|| {
        anyhow::anyhow!(
            "which branch would this be merged into?\n  looked for origin/HEAD, main and master\n  do: --base REF"
        )
    })?;
    side(clone, "--base", &found)
}

/// What git says about two commits of this clone, in words for who has the clone.
pub fn unreadable(error: SourceError, base: &str, head: &str) -> anyhow::Error {
    match error {
        SourceError::Missing { id } => anyhow::anyhow!(
            "this clone lacks what it takes to merge {head} into {base}\n  missing: {id}\n  do: git fetch --unshallow origin (a shallow or partial clone, or two histories without a common commit)"
        ),
        other => other.into(),
    }
}

/// `local/FOLDER`; a folder whose name cannot be a repository's is `local/repository`.
pub fn name(clone: &LocalClone) -> anyhow::Result<RepoName> {
    let folder = clone.name();
    let folder = folder.strip_suffix(".git").filter(|name| !name.is_empty()).unwrap_or(&folder);
    RepoName::parse(&format!("local/{folder}")).or_else(|_| RepoName::parse("local/repository")).map_err(Into::into)
}
