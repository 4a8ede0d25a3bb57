//! Owns the calls of the `git` program on bare repositories. Knows objects and refs; never knows a pull request.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::clock;

/// The `git` program failed, or is not there.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// No `git` on PATH.
    #[error(
        "git could not be started ({0}): install git 2.38 or later and put it on PATH; the double serves repositories with it"
    )]
    Missing(std::io::Error),
    /// The command ended with an error.
    #[error("git {command} failed: {stderr}")]
    Failed {
        /// The sub-command and its arguments.
        command: String,
        /// What git wrote.
        stderr: String,
    },
}

/// Who made a commit, and when.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) email: String,
    /// Microseconds since the epoch.
    pub(crate) at: i64,
}

/// A commit as its object says it.
#[derive(Debug, Clone)]
pub(crate) struct CommitObject {
    pub(crate) sha: String,
    pub(crate) tree: String,
    pub(crate) parents: Vec<String>,
    pub(crate) author: Person,
    pub(crate) committer: Person,
    pub(crate) message: String,
}

/// A changed file between two commits.
#[derive(Debug, Clone)]
pub(crate) struct FileChange {
    pub(crate) path: String,
    pub(crate) previous: Option<String>,
    /// GitHub's word: `added`, `removed`, `modified`, `renamed`.
    pub(crate) status: &'static str,
    pub(crate) additions: u64,
    pub(crate) deletions: u64,
    /// The blob after the change (before it, for a removed file).
    pub(crate) blob: String,
    /// The hunks; `None` for binary files.
    pub(crate) patch: Option<String>,
}

/// A file that a commit writes or removes.
#[derive(Debug, Clone)]
pub enum Change {
    /// A regular file with this content.
    Write {
        /// Path from the root, with `/`.
        path: String,
        /// The whole content.
        content: Vec<u8>,
    },
    /// An executable file with this content.
    Executable {
        /// Path from the root.
        path: String,
        /// The whole content.
        content: Vec<u8>,
    },
    /// A symbolic link.
    Link {
        /// Path from the root.
        path: String,
        /// Where it points.
        target: String,
    },
    /// Removes the file or the folder.
    Delete {
        /// Path from the root.
        path: String,
    },
}

impl Change {
    /// A regular file with this content.
    pub fn write(path: impl Into<String>, content: impl AsRef<[u8]>) -> Change {
        Change::Write { path: path.into(), content: content.as_ref().to_vec() }
    }

    /// Removes the file or the folder.
    pub fn delete(path: impl Into<String>) -> Change {
        Change::Delete { path: path.into() }
    }
}

/// The hash that stands for "no commit" in pushes.
pub(crate) const ZERO: &str = "0000000000000000000000000000000000000000";

/// A bare repository on disk.
#[derive(Debug, Clone)]
pub(crate) struct Git {
    dir: PathBuf,
}

/// What a finished git command left.
struct Finished {
    code: i32,
    stdout: Vec<u8>,
    stderr: String,
}

/// The `git` command with nothing of the user's configuration.
#[expect(clippy::disallowed_methods, reason = "the double serves git through the git on PATH")]
pub(crate) fn command() -> Command {
    let mut command = Command::new("git");
    for name in
        ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"]
    {
        command.env_remove(name);
    }
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C");
    command
}

impl Git {
    /// Makes an empty bare repository that serves exact commits and filters.
    pub(crate) fn init(dir: &Path, default_branch: &str) -> Result<Git, GitError> {
        let git = Git { dir: dir.to_owned() };
        std::fs::create_dir_all(dir).map_err(GitError::Missing)?;
        git.text(&["init", "--quiet", "--bare", "--template=", "--initial-branch", default_branch, "."])?;
        let config = "\n[uploadpack]\n\tallowAnySHA1InWant = true\n\tallowFilter = true\n[http]\n\treceivepack = true\n\
                      [receive]\n\tdenyDeleteCurrent = ignore\n[gc]\n\tauto = 0\n[fetch]\n\tunpackLimit = 1000\n";
        let path = dir.join("config");
        let mut text = std::fs::read_to_string(&path).map_err(GitError::Missing)?;
        text.push_str(config);
        std::fs::write(path, text).map_err(GitError::Missing)?;
        Ok(git)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    fn run(&self, args: &[&str], input: &[u8], env: &[(&str, String)]) -> Result<Finished, GitError> {
        let mut command = command();
        command.arg("-C").arg(&self.dir).args(args);
        command.envs(env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(GitError::Missing)?;
        let mut stdin = child.stdin.take().expect("stdin was asked for as a pipe");
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            // A command that does not read its input closes the pipe early; its exit code tells what matters.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().map_err(GitError::Missing)?;
        let _ = writer.join();
        Ok(Finished {
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    fn bytes(&self, args: &[&str], input: &[u8], env: &[(&str, String)]) -> Result<Vec<u8>, GitError> {
        let done = self.run(args, input, env)?;
        if done.code == 0 {
            return Ok(done.stdout);
        }
        Err(GitError::Failed { command: args.join(" "), stderr: done.stderr })
    }

    fn text(&self, args: &[&str]) -> Result<String, GitError> {
        Ok(String::from_utf8_lossy(&self.bytes(args, b"", &[])?).trim_end().to_owned())
    }

    /// The commit that a ref, branch name or hash means; `None` when there is none.
    pub(crate) fn commit(&self, name: &str) -> Result<Option<String>, GitError> {
        if name.is_empty() || name.starts_with('-') {
            return Ok(None);
        }
        let done = self.run(&["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")], b"", &[])?;
        Ok((done.code == 0).then(|| String::from_utf8_lossy(&done.stdout).trim().to_owned()))
    }

    pub(crate) fn branch(&self, name: &str) -> Result<Option<String>, GitError> {
        self.commit(&format!("refs/heads/{name}"))
    }

    /// Every ref below a prefix, with the object it names, by name.
    pub(crate) fn refs(&self, prefix: &str) -> Result<Vec<(String, String)>, GitError> {
        let text = self.text(&["for-each-ref", "--format=%(refname) %(objectname)", prefix])?;
        Ok(text.lines().filter_map(|line| line.split_once(' ')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect())
    }

    pub(crate) fn set_ref(&self, name: &str, sha: &str) -> Result<(), GitError> {
        self.text(&["update-ref", name, sha]).map(drop)
    }

    pub(crate) fn delete_ref(&self, name: &str) -> Result<(), GitError> {
        self.text(&["update-ref", "-d", name]).map(drop)
    }

    pub(crate) fn set_head(&self, branch: &str) -> Result<(), GitError> {
        self.text(&["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")]).map(drop)
    }

    pub(crate) fn valid_ref(&self, name: &str) -> Result<bool, GitError> {
        Ok(!name.starts_with('-') && self.run(&["check-ref-format", name], b"", &[])?.code == 0)
    }

    /// Brings one commit of another repository here and names it.
    pub(crate) fn take(&self, from: &Git, sha: &str, name: &str) -> Result<(), GitError> {
        let source = from.dir.to_string_lossy().into_owned();
        self.text(&["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", &source, &format!("+{sha}:{name}")])
            .map(drop)
    }

    pub(crate) fn take_branches(&self, from: &Git) -> Result<(), GitError> {
        let source = from.dir.to_string_lossy().into_owned();
        self.text(&[
            "fetch",
            "--quiet",
            "--no-write-fetch-head",
            &source,
            "+refs/heads/*:refs/heads/*",
            "+refs/tags/*:refs/tags/*",
        ])
        .map(drop)
    }

    /// Commits changes onto a branch (made when it is not there) and answers the new commit; `merged` becomes its second
    /// parent, and nothing of that is taken over.
    pub(crate) fn commit_changes(
        &self,
        branch: &str,
        (parent, merged): (Option<&str>, Option<&str>),
        author: &Person,
        message: &str,
        changes: &[Change],
    ) -> Result<String, GitError> {
        let reference = format!("refs/heads/{branch}");
        let who = format!("{} <{}> {} +0000", author.name, author.email, author.at.div_euclid(1_000_000));
        let mut stream =
            format!("commit {reference}\nauthor {who}\ncommitter {who}\ndata {}\n{message}\n", message.len())
                .into_bytes();
        if let Some(parent) = parent {
            stream.extend(format!("from {parent}\n").bytes());
        }
        if let Some(merged) = merged {
            stream.extend(format!("merge {merged}\n").bytes());
        }
        for change in changes {
            write_change(&mut stream, change);
        }
        stream.extend(b"\ndone\n");
        self.bytes(&["fast-import", "--quiet", "--done", "--date-format=raw"], &stream, &[])?;
        let made = self.commit(&reference)?;
        made.ok_or_else(|| GitError::Failed {
            command: "fast-import".into(),
            stderr: format!("{reference} was not made"),
        })
    }

    /// Makes a commit of a tree.
    pub(crate) fn commit_tree(
        &self,
        tree: &str,
        parents: &[&str],
        author: &Person,
        committer: &Person,
        message: &str,
    ) -> Result<String, GitError> {
        let at = |by: &Person| format!("@{} +0000", by.at.div_euclid(1_000_000));
        let env = [
            ("GIT_AUTHOR_NAME", author.name.clone()),
            ("GIT_AUTHOR_EMAIL", author.email.clone()),
            ("GIT_AUTHOR_DATE", at(author)),
            ("GIT_COMMITTER_NAME", committer.name.clone()),
            ("GIT_COMMITTER_EMAIL", committer.email.clone()),
            ("GIT_COMMITTER_DATE", at(committer)),
        ];
        let mut args = vec!["commit-tree", tree];
        for parent in parents {
            args.extend(["-p", parent]);
        }
        let out = self.bytes(&args, message.as_bytes(), &env)?;
        Ok(String::from_utf8_lossy(&out).trim().to_owned())
    }

    /// The tree of a merge; `None` when it conflicts.
    pub(crate) fn merge_tree(&self, ours: &str, theirs: &str) -> Result<Option<String>, GitError> {
        let args = ["merge-tree", "--write-tree", "--allow-unrelated-histories", ours, theirs];
        let done = self.run(&args, b"", &[])?;
        match done.code {
            0 => Ok(Some(String::from_utf8_lossy(&done.stdout).lines().next().unwrap_or_default().to_owned())),
            1 => Ok(None),
            _ => Err(GitError::Failed { command: args.join(" "), stderr: done.stderr }),
        }
    }

    pub(crate) fn is_ancestor(&self, older: &str, newer: &str) -> Result<bool, GitError> {
        Ok(self.run(&["merge-base", "--is-ancestor", older, newer], b"", &[])?.code == 0)
    }

    pub(crate) fn merge_base(&self, one: &str, other: &str) -> Result<Option<String>, GitError> {
        let done = self.run(&["merge-base", one, other], b"", &[])?;
        Ok((done.code == 0).then(|| String::from_utf8_lossy(&done.stdout).trim().to_owned()))
    }

    /// Commits reachable from `to` and not from `from`, oldest first (`from` absent: all).
    pub(crate) fn log(&self, from: Option<&str>, to: &str, limit: usize) -> Result<Vec<CommitObject>, GitError> {
        let limit = format!("--max-count={limit}");
        let format = "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B%x01";
        let mut args = vec!["log", "--topo-order", &limit, format, to];
        let not = from.map(|sha| format!("^{sha}"));
        args.extend(not.as_deref());
        args.push("--");
        let out = self.bytes(&args, b"", &[])?;
        let text = String::from_utf8_lossy(&out);
        let mut commits: Vec<_> =
            text.split('\u{1}').filter_map(|entry| parse_commit(entry.trim_start_matches('\n'))).collect();
        commits.reverse();
        Ok(commits)
    }

    pub(crate) fn commit_object(&self, sha: &str) -> Result<Option<CommitObject>, GitError> {
        let Some(sha) = self.commit(sha)? else { return Ok(None) };
        Ok(self.log(None, &sha, 1)?.pop())
    }

    /// The content of a path at a commit; `None` when there is no such file.
    pub(crate) fn file(&self, commit: &str, path: &str) -> Result<Option<(String, Vec<u8>)>, GitError> {
        let entries = self.tree(commit, path, false)?;
        let Some(entry) = entries.into_iter().find(|entry| entry.path == path && entry.kind == "blob") else {
            return Ok(None);
        };
        let content = self.bytes(&["cat-file", "blob", &entry.sha], b"", &[])?;
        Ok(Some((entry.sha, content)))
    }

    /// The entries of a folder (`path` empty: the root), or the one entry of a file.
    pub(crate) fn tree(&self, commit: &str, path: &str, inside: bool) -> Result<Vec<TreeEntry>, GitError> {
        let folder = format!("{path}/");
        let mut args = vec!["ls-tree", "-l", "-z", commit, "--"];
        match (path.is_empty(), inside) {
            (true, _) => {}
            (false, true) => args.push(&folder),
            (false, false) => args.push(path),
        }
        let out = self.bytes(&args, b"", &[])?;
        Ok(String::from_utf8_lossy(&out).split('\0').filter_map(parse_entry).collect())
    }

    /// What changed from one commit to the other, with patches.
    pub(crate) fn diff(&self, from: &str, to: &str) -> Result<Vec<FileChange>, GitError> {
        crate::git_diff::between(|args| self.bytes(args, b"", &[]), from, to)
    }
}

/// An entry of a tree.
#[derive(Debug, Clone)]
pub(crate) struct TreeEntry {
    pub(crate) kind: String,
    pub(crate) sha: String,
    pub(crate) size: u64,
    pub(crate) path: String,
}

fn parse_entry(line: &str) -> Option<TreeEntry> {
    let (head, path) = line.split_once('\t')?;
    let mut words = head.split_whitespace();
    let (_mode, kind, sha, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
    Some(TreeEntry { kind: kind.into(), sha: sha.into(), size: size.parse().unwrap_or(0), path: path.into() })
}

fn write_change(stream: &mut Vec<u8>, change: &Change) {
    let (mode, path, content): (&str, &str, &[u8]) = match change {
        Change::Write { path, content } => ("100644", path, content),
        Change::Executable { path, content } => ("100755", path, content),
        Change::Link { path, target } => ("120000", path, target.as_bytes()),
        Change::Delete { path } => {
            stream.extend(format!("D {}\n", quoted(path)).bytes());
            return;
        }
    };
    stream.extend(format!("M {mode} inline {}\ndata {}\n", quoted(path), content.len()).bytes());
    stream.extend(content);
    stream.push(b'\n');
}

/// A path as fast-import wants it: always quoted, with C escapes.
fn quoted(path: &str) -> String {
    let escaped = path.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

fn parse_commit(entry: &str) -> Option<CommitObject> {
    let mut parts = entry.splitn(10, '\0').map(str::to_owned);
    let (sha, tree, parents) = (parts.next()?, parts.next()?, parts.next()?);
    let mut person = || {
        let (name, email, at) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Person { name, email, at: at.parse::<i64>().ok()?.saturating_mul(1_000_000) })
    };
    let (author, committer) = (person()?, person()?);
    let message = parts.next()?.trim_end_matches('\n').to_owned();
    let parents = parents.split_whitespace().map(str::to_owned).collect();
    Some(CommitObject { sha, tree, parents, author, committer, message })
}

impl Person {
    /// The time as GitHub writes it.
    pub(crate) fn date(&self) -> String {
        clock::rfc3339(self.at)
    }
}
