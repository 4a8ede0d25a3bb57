//! The configuration language `.buildit/*.kdl`.
//!
//! Owns guards, parsing, validation, layers and discovery. Everything is pure: bytes and a directory layout
//! in, valid types and diagnostics out. Nothing here may panic on any input.

mod access;
mod context;
mod discover;
mod family;
mod format;
mod gates;
mod guard;
mod layers;
mod layout;
mod order;
mod parse;
mod place;
mod read;
mod resolve;
mod schema;
mod trust;
mod trust_diff;
mod validate;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use globset::{GlobBuilder, GlobMatcher};

pub use format::format;
pub use layout::{Directory, Layout};
pub use parse::parse;
pub use resolve::{Explained, ResolveInput, Resolved, resolve};
pub use trust::{TrustInput, Trusted, Weakened, opened, trusted, weakened};

use crate::diagnostic::{Diagnostics, Span};
use crate::stack::NotYet;

/// One file of `.buildit/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Path from the repository root, such as `.buildit/stacks.kdl`.
    pub path: String,
    /// Its text; invalid UTF-8 was replaced by U+FFFD.
    pub text: String,
}

/// What reading files gives: all that is valid, and what is wrong with the rest.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The valid part.
    pub config: Config,
    /// Findings by file and place.
    pub diagnostics: Diagnostics,
}

/// All files of one repository, read.
#[derive(Debug, Clone, Default)]
pub struct Config {
    stacks: Vec<StackNode>,
    defaults: Vec<Defaults>,
    discover: Vec<Discover>,
    branches: Vec<String>,
    preview: Vec<String>,
    prefixes: Vec<String>,
    /// Commands that `commands { allow … }` names.
    enabled: Vec<String>,
    bots: Vec<String>,
    access: Vec<access::Rule>,
    /// Selectors and what they enforce.
    enforce: Vec<Defaults>,
    comment: Option<String>,
    not_yet: Vec<NotYet>,
    repositories: Vec<(String, Config)>,
    fragments: BTreeMap<String, read::Fragment>,
}

#[derive(Debug, Clone)]
struct StackNode {
    name: String,
    was: Vec<String>,
    body: read::Body,
    at: Span,
}

#[derive(Debug, Clone)]
struct Defaults {
    path: Option<String>,
    tag: Option<String>,
    stack: Option<String>,
    body: read::Body,
}

#[derive(Debug, Clone)]
struct Discover {
    roots: Vec<String>,
    ignore: Vec<String>,
    name: String,
    at: Span,
}

impl Config {
    /// Does it say nothing at all?
    pub fn is_empty(&self) -> bool {
        self.stacks.is_empty()
            && self.defaults.is_empty()
            && self.discover.is_empty()
            && self.repositories.is_empty()
            && self.not_yet.is_empty()
            && self.branches.is_empty()
    }

    /// Which branches may be planned into. Read from the default branch's configuration.
    pub fn branch_rules(&self, default_branch: &str) -> BranchRules {
        let globs = |list: &[String]| list.iter().filter_map(|text| matcher(text)).collect();
        BranchRules {
            default_branch: default_branch.to_owned(),
            trusted: globs(&self.branches),
            preview: globs(&self.preview),
        }
    }

    /// "changes", "always" or "never".
    pub fn comment_on(&self) -> &str {
        self.comment.as_deref().unwrap_or("changes")
    }

    /// Prefixes of comment commands besides our own.
    pub fn prefixes(&self) -> &[String] {
        &self.prefixes
    }

    /// Valid configuration that this version does not execute, for the check.
    pub fn not_yet(&self) -> &[NotYet] {
        &self.not_yet
    }
}

/// The `branches` node.
#[derive(Debug, Clone)]
pub struct BranchRules {
    default_branch: String,
    trusted: Vec<GlobMatcher>,
    preview: Vec<GlobMatcher>,
}

impl BranchRules {
    /// What a base branch is.
    pub fn trust(&self, branch: &str) -> crate::survey::BaseTrust {
        use crate::survey::BaseTrust;
        if branch == self.default_branch || self.trusted.iter().any(|glob| glob.is_match(branch)) {
            BaseTrust::Trusted
        } else if self.preview.iter().any(|glob| glob.is_match(branch)) {
            BaseTrust::Preview
        } else {
            BaseTrust::Untrusted
        }
    }
}

/// A doublestar glob: `*` stays within a folder, `**/x/**` matches `x` and all below.
pub(crate) fn matcher(text: &str) -> Option<GlobMatcher> {
    GlobBuilder::new(text).literal_separator(true).build().ok().map(|glob| glob.compile_matcher())
}

/// Does a doublestar glob match a path? `**` matches the root too, and a trailing `/**` the folder itself.
pub fn glob_matches(glob: &str, path: &str) -> bool {
    if glob == "**" || glob == path {
        return true;
    }
    let direct = matcher(glob).is_some_and(|m| m.is_match(path));
    direct
        || glob
            .strip_suffix("/**")
            .is_some_and(|folder| folder == path || matcher(folder).is_some_and(|m| m.is_match(path)))
}
