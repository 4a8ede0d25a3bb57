//! A repository in a temporary directory, made of trees that a test writes down.

use std::collections::BTreeMap;

use git2::{Index, IndexEntry, IndexTime, Oid, Repository, Signature, Time};
use model::id::{CommitSha, RelPath, RepoId, RepoName, TreeId};
use model::ports::{Source as _, SourceError, SurveyRequest};
use model::survey::Survey;
use tempfile::TempDir;

use super::super::GitSource;
use super::super::tar::LINK;

/// A root's marker.
pub(super) const BACKEND: &str = "terraform {\n  backend \"s3\" {}\n}\n";

/// Files by path.
#[derive(Clone, Default)]
pub(super) struct Files(BTreeMap<String, (i32, Vec<u8>)>);

impl Files {
    pub(super) fn with(mut self, path: &str, content: &str) -> Self {
        self.0.insert(path.to_owned(), (0o100_644, content.into()));
        self
    }
    pub(super) fn link(mut self, path: &str, target: &str) -> Self {
        self.0.insert(path.to_owned(), (LINK, target.into()));
        self
    }
    pub(super) fn without(mut self, path: &str) -> Self {
        assert!(self.0.remove(path).is_some(), "{path} was there");
        self
    }
}

/// The repository.
pub(super) struct Scene {
    dir: TempDir,
    git: Repository,
}

impl Scene {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let git = Repository::init_bare(dir.path()).expect("a repository");
        Self { dir, git }
    }

    pub(super) fn tree(&self, files: &Files) -> Oid {
        let mut index = Index::new().expect("an index");
        for (path, (mode, content)) in &files.0 {
            let entry = IndexEntry {
                ctime: IndexTime::new(0, 0),
                mtime: IndexTime::new(0, 0),
                dev: 0,
                ino: 0,
                mode: u32::try_from(*mode).expect("small"),
                uid: 0,
                gid: 0,
                file_size: 0,
                id: self.git.blob(content).expect("a blob"),
                flags: 0,
                flags_extended: 0,
                path: path.clone().into_bytes(),
            };
            index.add(&entry).expect("an entry");
        }
        index.write_tree_to(&self.git).expect("a tree")
    }

    pub(super) fn commit(&self, files: &Files, parents: &[&CommitSha]) -> CommitSha {
        let tree = self.git.find_tree(self.tree(files)).expect("a tree");
        let who = Signature::new("Ana", "ana@acme.test", &Time::new(1_800_000_000, 0)).expect("a signature");
        let find = |sha: &&CommitSha| self.git.find_commit(Oid::from_str(sha.as_str()).expect("an id")).expect("there");
        let parents: Vec<_> = parents.iter().map(find).collect();
        let parents: Vec<_> = parents.iter().collect();
        let id = self.git.commit(None, &who, &who, "a commit", &tree, &parents).expect("a commit");
        CommitSha::parse(&id.to_string()).expect("an id")
    }

    pub(super) async fn survey(&self, base: &CommitSha, head: &CommitSha, test_merge: Option<&CommitSha>) -> Survey {
        let request = SurveyRequest {
            repo: RepoId::new(1),
            name: RepoName::parse("acme/shop").expect("a name"),
            base: base.clone(),
            base_branch: "main".to_owned(),
            default_tip: base.clone(),
            default_branch: "main".to_owned(),
            head: head.clone(),
            test_merge: test_merge.cloned(),
        };
        GitSource::over_clone(self.dir.path()).survey(request).await.expect("a survey")
    }

    /// The survey of a pull request that turns `old` into `new`.
    pub(super) async fn change(&self, old: &Files, new: &Files) -> Survey {
        let base = self.commit(old, &[]);
        let head = self.commit(new, &[&base]);
        self.survey(&base, &head, None).await
    }

    /// An archive: entry names, and the bytes.
    pub(super) async fn tar(&self, tree: Oid, paths: &[&str]) -> Result<(Vec<String>, bytes::Bytes), SourceError> {
        let paths: Vec<RelPath> = paths.iter().map(|path| RelPath::parse(path).expect("a path")).collect();
        let tree = TreeId::parse(&tree.to_string()).expect("an id");
        let bytes = GitSource::over_clone(self.dir.path()).tar(RepoId::new(1), &tree, &paths).await?;
        let mut archive = tar::Archive::new(&*bytes);
        let entries = archive.entries().expect("entries").map(|entry| entry.expect("an entry"));
        let names = entries.map(|entry| entry.path().expect("a path").display().to_string()).collect();
        Ok((names, bytes))
    }
}

/// What a survey says is affected, a line each.
pub(super) fn said(survey: &Survey) -> String {
    let mut out = String::new();
    let affected = &survey.affected;
    for (kind, stacks) in [("", &affected.affected), ("removed ", &affected.removed)] {
        for one in stacks {
            let whys = one.why.iter().map(|why| {
                let at = why.at.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
                format!("{} ({}{at})", why.file, why.rule)
            });
            out.push_str(&format!("{kind}{}: {}\n", one.stack, whys.collect::<Vec<_>>().join(", ")));
        }
    }
    for (stack, from, to) in &affected.moved {
        out.push_str(&format!("moved {stack}: {from} to {to}\n"));
    }
    for path in &affected.unclaimed {
        out.push_str(&format!("unclaimed {path}\n"));
    }
    for found in survey.diagnostics.iter().chain(affected.diagnostics.iter()) {
        out.push_str(&format!("{}: {}\n", found.code, found.summary));
    }
    out
}
