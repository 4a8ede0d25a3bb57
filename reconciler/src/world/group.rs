//! What a merge queue tests together.

use model::group::MergeGroup;
use model::id::CommitSha;
use model::survey::Survey;

use super::{PublicationRow, PullWorld, RepoRow, RunRow};

/// A group as GitHub says it is.
#[derive(Debug, Clone)]
pub(crate) struct GroupRow {
    /// The branch that GitHub made for it.
    pub(crate) branch: String,
    pub(crate) base_branch: String,
    pub(crate) head: CommitSha,
    pub(crate) group: MergeGroup,
    /// Between its base and its head.
    pub(crate) survey: Option<Survey>,
}

impl GroupRow {
    /// The request of its runs, as long as it has this head.
    pub(crate) fn request(&self) -> String {
        format!("group:{}:{}", self.branch, self.head)
    }
}

/// All of a group.
#[derive(Debug, Clone)]
pub(crate) struct GroupWorld {
    pub(crate) base_url: String,
    pub(crate) may_apply: bool,
    pub(crate) repo: RepoRow,
    pub(crate) row: GroupRow,
    /// Its pull requests, those that are known.
    pub(crate) members: Vec<PullWorld>,
    /// What was merged before it and is not served yet.
    pub(crate) waiting: Vec<PullWorld>,
    /// Plans of the group itself.
    pub(crate) runs: Vec<RunRow>,
    pub(crate) publications: Vec<PublicationRow>,
}
