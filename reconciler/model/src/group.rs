//! What a merge queue tests together.
//!
//! Invariant: values; who is in a group is GitHub's word.

use serde::{Deserialize, Serialize};

use crate::id::{CommitSha, PullNumber};

/// A group of a merge queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeGroup {
    /// The commit of the base branch on which the first member was put.
    pub base: CommitSha,
    /// Its pull requests in the order of their merge; the last one is the one whose commit is the group's head.
    pub members: Vec<GroupMember>,
}

impl MergeGroup {
    /// The base branch of a group, by the name that GitHub gives to the group's own branch
    /// (`gh-readonly-queue/BASE/pr-NUMBER-COMMIT`); `None` for every other branch.
    pub fn base_branch(group: &str) -> Option<&str> {
        let (base, last) = group.strip_prefix("gh-readonly-queue/")?.rsplit_once('/')?;
        let (number, commit) = last.strip_prefix("pr-")?.split_once('-')?;
        (number.parse::<i64>().is_ok() && CommitSha::parse(commit).is_ok()).then_some(base)
    }
}

/// A pull request of a merge group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMember {
    /// Its number.
    pub number: PullNumber,
    /// Its head.
    pub head: CommitSha,
}

#[cfg(test)]
mod tests {
    use super::MergeGroup;

    #[test]
    fn a_groups_branch_tells_its_base() {
        let sha = "929f8209d40f77f4abc622a499c93a83babdbe64";
        let base = |name: &str| MergeGroup::base_branch(&name.replace("SHA", sha)).map(str::to_owned);
        assert_eq!(base("gh-readonly-queue/main/pr-104-SHA").as_deref(), Some("main"));
        assert_eq!(base("gh-readonly-queue/release/1.2/pr-7-SHA").as_deref(), Some("release/1.2"));
        for other in
            ["main", "gh-readonly-queue/main", "gh-readonly-queue/main/pr-x-SHA", "x/gh-readonly-queue/main/pr-1-SHA"]
        {
            assert_eq!(base(other), None, "{other}");
        }
    }
}
