//! Owns CODEOWNERS: who owns which file, as GitHub reads it.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::model::Model;
use crate::model::account::Role;
use crate::model::pull::Pull;
use crate::model::repository::Repository;

/// Where GitHub looks, the first that is there counts.
const PLACES: [&str; 3] = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];

/// An owner of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    Person(u64),
    Team(u64),
}

impl Model {
    /// For each changed file that has owners, all of them.
    pub(crate) fn owners_of(&self, it: &Repository, pull: &Pull) -> Result<Vec<Vec<Owner>>, Error> {
        let Some(tip) = it.git.branch(&pull.base_ref)? else { return Ok(Vec::new()) };
        let mut text = None;
        for place in PLACES {
            if text.is_none() {
                text = it.git.file(&tip, place)?.map(|(_, bytes)| String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        let Some(text) = text else { return Ok(Vec::new()) };
        let base = it.git.merge_base(&pull.base_sha, &pull.head_sha)?.unwrap_or_else(|| pull.base_sha.clone());
        let changed = it.git.diff(&base, &pull.head_sha)?;
        let paths = changed.iter().flat_map(|change| [Some(&change.path), change.previous.as_ref()]).flatten();
        let owned = paths.map(|path| names(&text, path).filter_map(|name| self.owner(it, name)).collect::<Vec<_>>());
        Ok(owned.filter(|owners| !owners.is_empty()).collect())
    }

    /// Only those who may push can own.
    fn owner(&self, it: &Repository, name: &str) -> Option<Owner> {
        let name = name.strip_prefix('@')?;
        let Some((organization, slug)) = name.split_once('/') else {
            let person = self.account_id(name)?;
            return (self.role(person, it) >= Some(Role::Write)).then_some(Owner::Person(person));
        };
        let team = self.team(self.account_id(organization)?, slug).ok()?;
        let may = self.team_members(team.id).into_iter().any(|member| self.role(member, it) >= Some(Role::Write));
        may.then_some(Owner::Team(team.id))
    }

    /// Is the person that owner, or of that team?
    pub(crate) fn is_owner(&self, owner: Owner, person: u64) -> bool {
        match owner {
            Owner::Person(id) => id == person,
            Owner::Team(id) => self.team_members(id).contains(&person),
        }
    }

    /// Everyone whose review a new pull request asks for by itself.
    pub(crate) fn asked_owners(&self, it: &Repository, pull: &Pull) -> Result<BTreeSet<Owner>, Error> {
        let all: BTreeSet<Owner> = self.owners_of(it, pull)?.into_iter().flatten().collect();
        Ok(all.into_iter().filter(|owner| *owner != Owner::Person(pull.author)).collect())
    }
}

/// The names on the last line that fits.
fn names<'a>(text: &'a str, path: &str) -> impl Iterator<Item = &'a str> {
    let lines = text.lines().map(|line| line.split(" #").next().unwrap_or_default().trim());
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut matching = lines.filter(|line| line.split_whitespace().next().is_some_and(|it| fits(it, path)));
    let last = matching.next_back();
    last.unwrap_or_default().split_whitespace().skip(1)
}

/// gitignore's patterns, without negation and classes, as GitHub reads them here.
fn fits(pattern: &str, path: &str) -> bool {
    let folder = pattern.ends_with('/');
    let bare = pattern.trim_matches('/');
    let anchored = pattern.starts_with('/') || bare.contains('/');
    let wanted: Vec<&str> = bare.split('/').collect();
    let parts: Vec<&str> = path.split('/').collect();
    let starts = if anchored { 0..1 } else { 0..parts.len() };
    // A name without `*` is a folder's too; `docs/*` stops at the files of `docs`.
    let below = folder || wanted.last().is_some_and(|last| !last.contains('*'));
    starts.into_iter().any(|start| {
        let rest = &parts[start..];
        let ends = wanted.len().min(rest.len())..=rest.len();
        ends.into_iter().any(|end| {
            let whole = end == rest.len();
            (if whole { !folder } else { below } || wanted == ["*"]) && segments(&wanted, &rest[..end])
        })
    })
}

fn segments(wanted: &[&str], parts: &[&str]) -> bool {
    match wanted.split_first() {
        None => parts.is_empty(),
        Some((&"**", rest)) => (0..=parts.len()).any(|skip| segments(rest, &parts[skip..])),
        Some((first, rest)) => {
            parts.split_first().is_some_and(|(part, more)| star(first, part) && segments(rest, more))
        }
    }
}

fn star(pattern: &str, name: &str) -> bool {
    super::protection::fits(pattern, name)
}

#[cfg(test)]
mod tests {
    use super::{fits, names};

    #[test]
    fn patterns_are_read_as_github_documents_them() {
        for (pattern, path, expected) in [
            ("*", "a/b.tf", true),
            ("*.js", "src/a/b.js", true),
            ("*.js", "src/a/b.ts", false),
            ("/build/logs/", "build/logs/x/y", true),
            ("/build/logs/", "a/build/logs/x", false),
            ("docs/*", "docs/getting-started.md", true),
            ("docs/*", "docs/build-app/troubleshooting.md", false),
            ("apps/", "a/apps/b", true),
            ("/docs/", "docs/x", true),
            ("/docs/", "docs", false),
            ("**/logs", "build/logs/x", true),
            ("/apps/github", "apps/github/x", true),
            ("main.tf", "infra/main.tf", true),
        ] {
            assert_eq!(fits(pattern, path), expected, "{pattern} {path}");
        }
        let text = "# all\n* @ana # the boss\n/infra/ @acme/sre @ben\n/infra/free/\n";
        assert_eq!(names(text, "x").collect::<Vec<_>>(), ["@ana"]);
        assert_eq!(names(text, "infra/x").collect::<Vec<_>>(), ["@acme/sre", "@ben"]);
        assert_eq!(names(text, "infra/free/x").count(), 0);
    }
}
