//! A clone on disk, as far as a person names things in it: branches, tags, short ids.

use std::path::Path;

use git2::{Repository, StatusOptions};
use model::id::CommitSha;
use model::ports::SourceError;

/// A local clone.
pub struct LocalClone(Repository);

impl std::fmt::Debug for LocalClone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LocalClone").field(&self.0.path()).finish()
    }
}

impl LocalClone {
    /// Opens the repository that holds `path`.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let refused = |error: git2::Error| SourceError::Git { message: error.message().to_owned() };
        Repository::discover(path).map(Self).map_err(refused)
    }

    /// The commit of a branch, tag, or (short) id.
    pub fn commit(&self, reference: &str) -> Result<CommitSha, SourceError> {
        let missing = || SourceError::Missing { id: reference.to_owned() };
        let object = self.0.revparse_single(reference).and_then(|object| object.peel_to_commit());
        let commit = object.map_err(|_| missing())?;
        CommitSha::parse(&commit.id().to_string()).map_err(|_| missing())
    }

    /// The branch that is checked out, or the short id of its commit; `None` before the first commit.
    pub fn head_name(&self) -> Option<String> {
        let head = self.0.head().ok()?;
        if head.is_branch() {
            return head.shorthand().ok().map(str::to_owned);
        }
        Some(self.commit("HEAD").ok()?.short().to_owned())
    }

    /// What pull requests of this clone are most likely merged into: the branch that `origin/HEAD` names, else
    /// `main` or `master` of origin, else those of the clone. As a person would write it: `origin/main`.
    pub fn merge_target(&self) -> Option<String> {
        let named = self.0.find_reference("refs/remotes/origin/HEAD").ok();
        let named = named.and_then(|origin| {
            let target = origin.symbolic_target().ok().flatten()?;
            target.strip_prefix("refs/remotes/").map(str::to_owned)
        });
        let usual = ["origin/main", "origin/master", "main", "master"].map(str::to_owned);
        named.into_iter().chain(usual).find(|name| self.commit(name).is_ok())
    }

    /// How many files differ from the commit that is checked out, those that git does not know yet included.
    /// Nothing differs in a clone without a working tree.
    pub fn uncommitted(&self) -> Result<usize, SourceError> {
        if self.0.is_bare() {
            return Ok(0);
        }
        let mut options = StatusOptions::new();
        options.include_untracked(true).recurse_untracked_dirs(false).exclude_submodules(true);
        let refused = |error: git2::Error| SourceError::Git { message: error.message().to_owned() };
        Ok(self.0.statuses(Some(&mut options)).map_err(refused)?.len())
    }

    /// Where its files are checked out; `None` for a bare one.
    pub fn working_tree(&self) -> Option<&Path> {
        self.0.workdir()
    }

    /// The folder's name, for stacks named after the repository.
    pub fn name(&self) -> String {
        let folder = self.0.workdir().unwrap_or_else(|| self.0.path());
        folder.file_name().map_or_else(|| "repository".to_owned(), |name| name.to_string_lossy().into_owned())
    }
}
