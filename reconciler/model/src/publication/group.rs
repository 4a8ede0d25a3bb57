//! What is told of a group of a merge queue.

use serde::{Deserialize, Serialize};

use super::{ConfigView, RunLink};
use crate::id::{CommitSha, PullNumber, RepoName, StackName};

/// All that is told of a group of a merge queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupView {
    /// The repository.
    pub repo: RepoName,
    /// The base branch.
    pub base_branch: String,
    /// The group's commit.
    pub head: CommitSha,
    /// Its pull requests, in the order of their merge.
    pub members: Vec<PullNumber>,
    /// The first error in its configuration.
    pub errors: Option<String>,
    /// Its affected stacks.
    pub rows: Vec<GroupRowView>,
    /// What those of its pull requests that change the configuration do to it.
    pub configs: Vec<(PullNumber, ConfigView)>,
}

/// A stack of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRowView {
    /// Which.
    pub stack: StackName,
    /// How it stands.
    pub stand: GroupStand,
    /// The group's own plan of it, when one was needed.
    pub run: Option<RunLink>,
}

/// How a stack of a group stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupStand {
    /// Merging them together does what was reviewed of each.
    Same,
    /// It is being planned.
    Planning,
    /// It would do something else.
    Differs {
        /// Addresses.
        delta: Vec<String>,
    },
    /// Two members change the same thing differently.
    Clash {
        /// What.
        address: String,
        /// The first.
        one: PullNumber,
        /// The second.
        other: PullNumber,
    },
    /// No plan of a member was reviewed.
    Unreviewed {
        /// Which.
        pull: PullNumber,
    },
    /// A member is to be applied before it is merged, and is not.
    Unapplied {
        /// Which.
        pull: PullNumber,
    },
    /// It could not be planned.
    Failed {
        /// Why.
        why: String,
    },
}
