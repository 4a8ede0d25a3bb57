//! Git: mirrors, the fetch protocol, merges, changed files, the module graph, archives.
//!
//! Owns the port `Source`. All libgit2 work runs in `spawn_blocking`; nothing here talks to GitHub's API, and
//! the credential goes into a header only. It must never run repository code or follow a path out of a tree.

mod affected;
mod clone;
mod directory;
mod facts;
mod graph;
mod merge;
mod protocol;
mod survey;
mod tar;
mod walk;

pub use clone::LocalClone;
pub use directory::layout;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use git2::{Oid, Repository};
use model::id::{CommitSha, RelPath, RepoId, TreeId};
use model::ports::{FetchError, GitCredential, Source, SourceError, SurveyRequest};
use model::survey::Survey;

pub use protocol::Limits;

/// Where mirrors are and what a fetch may cost.
#[derive(Debug, Clone)]
pub struct GitSettings {
    /// Directory that holds one bare repository per `RepoId`.
    pub mirrors: PathBuf,
    /// Limits of one fetch.
    pub limits: Limits,
}

#[derive(Debug)]
enum Place {
    Mirrors(GitSettings),
    Clone(PathBuf),
}

/// The port `Source` over libgit2.
#[derive(Debug, Clone)]
pub struct GitSource(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    place: Place,
    cache: Cache,
}

/// Results that are functions of object ids.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    facts: Mutex<HashMap<(Oid, bool), Arc<facts::FileFacts>>>,
    graphs: Mutex<HashMap<Oid, Arc<graph::Graph>>>,
}

/// So many parsed files and tree graphs are kept; a full cache is emptied.
const KEPT_FACTS: usize = 100_000;
const KEPT_GRAPHS: usize = 32;

impl Cache {
    fn facts(&self, id: Oid, json: bool, make: impl FnOnce() -> facts::FileFacts) -> Arc<facts::FileFacts> {
        let mut kept = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() > KEPT_FACTS {
            kept.clear();
        }
        Arc::clone(kept.entry((id, json)).or_insert_with(|| Arc::new(make())))
    }
    fn graph(
        &self,
        tree: Oid,
        make: impl FnOnce() -> Result<graph::Graph, SourceError>,
    ) -> Result<Arc<graph::Graph>, SourceError> {
        if let Some(found) = self.graphs.lock().unwrap_or_else(PoisonError::into_inner).get(&tree) {
            return Ok(Arc::clone(found));
        }
        let made = Arc::new(make()?);
        let mut kept = self.graphs.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_GRAPHS {
            kept.clear();
        }
        kept.insert(tree, Arc::clone(&made));
        Ok(made)
    }
}

impl GitSource {
    /// Over bare mirrors that are made as they are needed.
    pub fn new(settings: GitSettings) -> Self {
        Self(Arc::new(Inner { place: Place::Mirrors(settings), cache: Cache::default() }))
    }
    /// Over one local clone, for `preview` and `explain`: nothing is fetched, and the `RepoId` is ignored.
    pub fn over_clone(path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Inner { place: Place::Clone(path.into()), cache: Cache::default() }))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        repo: RepoId,
        work: impl FnOnce(&Repository, &Cache) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&inner.open(repo)?, &inner.cache))
            .await
            .map_err(|gone| SourceError::Git { message: format!("the git worker ended early: {gone}") })?
    }
}

impl Inner {
    fn open(&self, repo: RepoId) -> Result<Repository, SourceError> {
        match &self.place {
            Place::Clone(path) => Repository::discover(path).map_err(git),
            Place::Mirrors(settings) => {
                let path = settings.mirrors.join(format!("{repo}.git"));
                match Repository::open_bare(&path) {
                    Ok(found) => Ok(found),
                    Err(absent) if absent.code() == git2::ErrorCode::NotFound => {
                        Repository::init_bare(&path).map_err(git)
                    }
                    Err(other) => Err(git(other)),
                }
            }
        }
    }
}

#[async_trait]
impl Source for GitSource {
    async fn fetch(&self, repo: RepoId, from: &GitCredential, commits: &[CommitSha]) -> Result<(), FetchError> {
        let limits = match &self.0.place {
            Place::Mirrors(settings) => settings.limits,
            Place::Clone(_) => {
                return match self.missing(repo, commits).await?.into_iter().next() {
                    Some(commit) => Err(FetchError::NoCommit { commit }),
                    None => Ok(()),
                };
            }
        };
        protocol::bring(self, repo, from, commits, limits).await
    }

    async fn missing(&self, repo: RepoId, commits: &[CommitSha]) -> Result<Vec<CommitSha>, SourceError> {
        let commits = commits.to_vec();
        self.blocking(repo, move |git, _| {
            let mut missing = Vec::new();
            for commit in commits {
                let whole = git.find_commit(oid(commit.as_str())?).and_then(|found| found.tree()).is_ok();
                if !whole {
                    missing.push(commit);
                }
            }
            Ok(missing)
        })
        .await
    }

    async fn parents(&self, repo: RepoId, commit: &CommitSha) -> Result<Vec<CommitSha>, SourceError> {
        let commit = commit.clone();
        self.blocking(repo, move |git, _| {
            let absent = |_| SourceError::Missing { id: commit.to_string() };
            let found = git.find_commit(oid(commit.as_str())?).map_err(absent)?;
            let parse = |id: Oid| {
                CommitSha::parse(&id.to_string()).map_err(|error| SourceError::Git { message: error.to_string() })
            };
            found.parent_ids().map(parse).collect()
        })
        .await
    }

    async fn survey(&self, request: SurveyRequest) -> Result<Survey, SourceError> {
        self.blocking(request.repo, move |git, cache| survey::survey(git, cache, &request)).await
    }

    async fn tar(&self, repo: RepoId, tree: &TreeId, paths: &[RelPath]) -> Result<Bytes, SourceError> {
        let (tree, paths) = (tree.clone(), paths.to_vec());
        self.blocking(repo, move |git, _| tar::tar(git, oid(tree.as_str())?, &paths)).await
    }
}

pub(crate) fn oid(text: &str) -> Result<Oid, SourceError> {
    Oid::from_str(text).map_err(git)
}

pub(crate) fn git(error: git2::Error) -> SourceError {
    SourceError::Git { message: error.message().to_owned() }
}

pub(crate) fn tree_of<'r>(git: &'r Repository, commit: &CommitSha) -> Result<git2::Tree<'r>, SourceError> {
    let absent = |_| SourceError::Missing { id: commit.to_string() };
    git.find_commit(oid(commit.as_str())?).map_err(absent)?.tree().map_err(absent)
}

#[cfg(test)]
mod tests;
