//! Owns the commits that bring a pull request into its base, and those that take it back: trees, parents, authors and
//! messages as GitHub makes them. Never moves a branch.

use crate::error::Error;
use crate::git::{CommitObject, Person};
use crate::model::Model;
use crate::model::pull::Pull;
use crate::model::repository::Repository;

/// A way to merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// A commit with two parents.
    Merge,
    /// One commit.
    Squash,
    /// The commits anew on the base.
    Rebase,
}

impl Method {
    /// GitHub's word.
    pub fn name(self) -> &'static str {
        match self {
            Method::Merge => "merge",
            Method::Squash => "squash",
            Method::Rebase => "rebase",
        }
    }

    /// Reads GitHub's word.
    pub fn from_name(name: &str) -> Option<Method> {
        [Method::Merge, Method::Squash, Method::Rebase].into_iter().find(|it| it.name() == name)
    }

    /// What GitHub says where the repository does not allow it.
    pub(crate) fn refused(self) -> &'static str {
        match self {
            Method::Merge => "Merge commits are not allowed on this repository.",
            Method::Squash => "Squash merges are not allowed on this repository.",
            Method::Rebase => "Rebase merges are not allowed on this repository.",
        }
    }
}

/// What someone writes instead of GitHub's own message.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Words<'a> {
    pub(crate) title: Option<&'a str>,
    pub(crate) message: Option<&'a str>,
}

impl Words<'_> {
    fn instead_of(self, title: String, body: String) -> String {
        let (title, body) = (self.title.map_or(title, str::to_owned), self.message.map_or(body, str::to_owned));
        if body.is_empty() { title } else { format!("{title}\n\n{body}") }
    }
}

impl Model {
    /// The commit that merges a head into a base. Nothing points to it yet.
    pub(crate) fn landing(
        &self,
        it: &Repository,
        pull: &Pull,
        base: &str,
        actor: u64,
        method: Method,
        words: Words<'_>,
    ) -> Result<String, Error> {
        if method == Method::Rebase {
            return self.rebased(it, pull, base, actor);
        }
        let tree = it.git.merge_tree(base, &pull.head_sha)?;
        let tree = tree.ok_or_else(|| Error::NotAllowed("Pull Request is not mergeable".into()))?;
        let (author, parents, title, body) = if method == Method::Squash {
            let commits = it.git.log(Some(base), &pull.head_sha, 250)?;
            let author = self.person(pull.author);
            let (title, body) = squashed(pull, &commits, &author);
            (author, vec![base], title, body)
        } else {
            let owner = match pull.head_repository {
                Some(head) => self.login(self.repository(head)?.owner),
                None => "unknown".into(),
            };
            let title = format!("Merge pull request #{} from {owner}/{}", pull.number, pull.head_ref);
            (self.person(actor), vec![base, pull.head_sha.as_str()], title, pull.title.clone())
        };
        let message = words.instead_of(title, body);
        Ok(it.git.commit_tree(&tree, &parents, &author, &self.web_flow(), &message)?)
    }

    /// Each commit anew, with its author and the merging person as committer. Merge commits and commits whose change
    /// is there already fall away, as with git.
    fn rebased(&self, it: &Repository, pull: &Pull, base: &str, actor: u64) -> Result<String, Error> {
        let conflict = || Error::NotAllowed("This branch can't be rebased".into());
        let mut tip = base.to_owned();
        for commit in it.git.log(Some(base), &pull.head_sha, 250)? {
            let [parent] = commit.parents.as_slice() else { continue };
            let tree = it.git.replay(parent, &commit.sha, &tip)?.ok_or_else(conflict)?;
            let there = it.git.commit_object(&tip)?.is_some_and(|it| it.tree == tree);
            if !there {
                tip = it.git.commit_tree(&tree, &[&tip], &commit.author, &self.person(actor), &commit.message)?;
            }
        }
        if tip == base { Err(conflict()) } else { Ok(tip) }
    }

    /// The commits that take a merged pull request back, on top of `tip`.
    pub(crate) fn reverting(&self, it: &Repository, pull: &Pull, tip: &str, actor: u64) -> Result<String, Error> {
        let refuse = || Error::invalid("PullRequest", "base", "This pull request cannot be reverted automatically.");
        let merged = pull.merge_commit_sha.clone().filter(|_| pull.merged_at.is_some()).ok_or_else(refuse)?;
        let whole = pull.landed == Some(Method::Merge);
        let brought = if whole { vec![merged] } else { pull.brought.clone() };
        let mut tip = tip.to_owned();
        for sha in brought.iter().rev() {
            let commit = it.git.commit_object(sha)?.ok_or_else(refuse)?;
            let Some(parent) = commit.parents.first() else { continue };
            if commit.parents.len() > 1 && !whole {
                continue;
            }
            let tree = it.git.replay(sha, parent, &tip)?.ok_or_else(refuse)?;
            let what = if whole { &pull.title } else { commit.message.lines().next().unwrap_or_default() };
            let from = if whole { format!(", reversing\nchanges made to {parent}") } else { String::new() };
            let message = format!("Revert \"{what}\"\n\nThis reverts commit {sha}{from}.");
            tip = it.git.commit_tree(&tree, &[&tip], &self.person(actor), &self.web_flow(), &message)?;
        }
        Ok(tip)
    }
}

/// Title and body of a squashed commit: one commit keeps its own, several are listed.
fn squashed(pull: &Pull, commits: &[CommitObject], author: &Person) -> (String, String) {
    let split = |message: &str| {
        let (title, body) = message.split_once('\n').unwrap_or((message, ""));
        (title.to_owned(), body.trim_matches('\n').to_owned())
    };
    let number = pull.number;
    let (title, mut body) = match commits {
        [only] => split(&only.message),
        many => {
            let list: Vec<String> = many.iter().map(|commit| format!("* {}", commit.message)).collect();
            (pull.title.clone(), list.join("\n\n"))
        }
    };
    let mut others: Vec<String> = Vec::new();
    for by in commits.iter().map(|commit| &commit.author).filter(|by| by.email != author.email) {
        let line = format!("Co-authored-by: {} <{}>", by.name, by.email);
        if !others.contains(&line) {
            others.push(line);
        }
    }
    if !others.is_empty() {
        let rule = if commits.len() > 1 { "---------\n\n" } else { "" };
        let gap = if body.is_empty() { "" } else { "\n\n" };
        body = format!("{body}{gap}{rule}{}", others.join("\n"));
    }
    (format!("{title} (#{number})"), body)
}
