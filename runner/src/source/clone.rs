//! A clone on disk, as far as a person names things in it: branches, tags, short ids.

use std::path::Path;

use git2::Repository;
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

    /// The folder's name, for stacks named after the repository.
    pub fn name(&self) -> String {
        let folder = self.0.workdir().unwrap_or_else(|| self.0.path());
        folder.file_name().map_or_else(|| "repository".to_owned(), |name| name.to_string_lossy().into_owned())
    }
}
