//! Pull requests as GitHub says they are at one moment.

mod facts;

use serde::{Deserialize, Serialize};

pub use facts::{
    CheckFact, CheckState, Decision, Fact, GateFacts, GateWants, Pushers, RequiredCheck, Review, ReviewState, Unknown,
    Unsigned,
};

use crate::id::{CommitSha, InstallationId, PullNumber, RepoId, RepoName};
use crate::time::Timestamp;

/// A pull request, read once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullSnapshot {
    /// Its number.
    pub number: PullNumber,
    /// Its title, as written.
    pub title: String,
    /// The author's login.
    pub author: String,
    /// Is the author a bot account?
    pub author_is_bot: bool,
    /// Open, closed or merged.
    pub state: PullState,
    /// A draft?
    pub draft: bool,
    /// The head commit.
    pub head: CommitSha,
    /// The head branch's name.
    pub head_branch: String,
    /// Does the head live in another repository?
    pub fork: bool,
    /// The tip of the base branch when it was read.
    pub base: CommitSha,
    /// The base branch's name.
    pub base_branch: String,
    /// GitHub's test merge commit of an open pull request, or the merge commit of a merged one.
    pub merge_commit: Option<CommitSha>,
    /// GitHub's verdict; `None` while it computes.
    pub mergeable: Option<bool>,
    /// Labels, sorted.
    pub labels: Vec<String>,
    /// When it was last changed on GitHub.
    pub updated_at: Timestamp,
    /// When it was merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_at: Option<Timestamp>,
}

/// Open, closed or merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullState {
    /// Open.
    Open,
    /// Closed without a merge.
    Closed,
    /// Merged.
    Merged,
}

/// A right on a repository, lowest first (GitHub's roles).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Nothing.
    None,
    /// May read.
    Read,
    /// May triage.
    Triage,
    /// May push.
    Write,
    /// May maintain.
    Maintain,
    /// May administer.
    Admin,
}

/// A repository now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepoSnapshot {
    /// GitHub's number.
    pub id: RepoId,
    /// The installation through which we see it.
    pub installation: InstallationId,
    /// `owner/name`.
    pub name: RepoName,
    /// The default branch's name.
    pub default_branch: String,
    /// Archived or disabled: nothing can be written.
    pub archived: bool,
}
