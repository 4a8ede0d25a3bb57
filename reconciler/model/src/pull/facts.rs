//! What GitHub says about everything that requirements ask of a pull request, read at one moment.
//!
//! Invariant: what was not asked for, or cannot be read, says so and is never taken for "no".

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{PullState, Role};
use crate::access::Access;
use crate::id::CommitSha;
use crate::stack::Stack;
use crate::time::Timestamp;
use crate::who::{Teams, Who};

/// Which facts are wanted; the rest is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateWants {
    /// Reviews, and the roles of those who approved or asked for changes.
    pub reviews: bool,
    /// Who pushed the head.
    pub pusher: bool,
    /// GitHub's own verdict on reviews, and whether its rules ask for code owners.
    pub codeowners: bool,
    /// Required checks and all checks of the head.
    pub checks: bool,
    /// Conversations.
    pub threads: bool,
    /// Signatures of the commits.
    pub signatures: bool,
    /// Teams by slug.
    pub teams: BTreeSet<String>,
    /// Whose roles, beside those of reviewers; logins in lower case.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub people: BTreeSet<String>,
}

impl GateWants {
    /// What the requirements and rights of these stacks ask for.
    pub fn of<'a>(stacks: impl IntoIterator<Item = &'a Stack>, repository: &Access) -> Self {
        let mut wants = Self::default();
        wants.teams_of(repository);
        for stack in stacks {
            let asked = &stack.require;
            wants.reviews |= !asked.approvals.is_empty();
            wants.pusher |= asked.approvals.iter().any(|rule| rule.not_pusher);
            wants.codeowners |= asked.codeowners;
            wants.checks |= asked.checks_passed.is_some();
            wants.threads |= asked.conversation_resolved;
            wants.signatures |= asked.signed;
            let people = asked.approvals.iter().flat_map(|rule| rule.any_of.iter().chain(&rule.all_of));
            wants.teams.extend(people.filter_map(slug));
            wants.teams_of(&stack.access);
        }
        wants
    }

    /// Adds the teams that rights name.
    pub fn teams_of(&mut self, access: &Access) {
        self.teams.extend(access.rules.iter().flat_map(|rule| &rule.who).filter_map(slug));
    }

    /// Do facts that were read for `other` hold all that is wanted here?
    pub fn within(&self, other: &GateWants) -> bool {
        let flags = |wants: &GateWants| {
            [wants.reviews, wants.pusher, wants.codeowners, wants.checks, wants.threads, wants.signatures]
        };
        flags(self).iter().zip(flags(other)).all(|(mine, theirs)| theirs || !mine)
            && self.teams.is_subset(&other.teams)
            && self.people.is_subset(&other.people)
    }
}

fn slug(who: &Who) -> Option<String> {
    match who {
        Who::Team(slug) => Some(slug.clone()),
        Who::User(_) | Who::Role(_) | Who::Author | Who::Anyone => None,
    }
}

/// A fact, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact<T> {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// It could not be read, for this reason, with what to do.
    Unreadable(String),
    /// So it is.
    Is(T),
}

impl<T> Fact<T> {
    /// The fact, or in words why there is none.
    pub fn known(&self) -> Result<&T, Unknown<'_>> {
        match self {
            Fact::Is(value) => Ok(value),
            Fact::NotAsked => Err(Unknown("it was not read")),
            Fact::Unreadable(reason) => Err(Unknown(reason)),
        }
    }
}

/// Why there is no fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown<'a>(pub &'a str);

impl fmt::Display for Unknown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not known: {}", self.0)
    }
}

/// Facts of one pull request, all of the same head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateFacts {
    /// What was asked for.
    pub wants: GateWants,
    /// The head before and after everything else was read.
    pub head: CommitSha,
    /// The base branch's name.
    pub base_branch: String,
    /// The author's login.
    pub author: String,
    /// Open, closed or merged.
    pub state: PullState,
    /// A draft?
    pub draft: bool,
    /// Does it merge without conflicts? `None` while GitHub computes.
    pub mergeable: Option<bool>,
    /// GitHub's word for how it could be merged: "clean", "blocked", "behind", …
    pub mergeable_state: String,
    /// Is the base branch protected, by classic protection or rules?
    pub protected: Fact<bool>,
    /// Submitted reviews, oldest first.
    pub reviews: Fact<Vec<Review>>,
    /// Roles of those who approved or asked for changes, by login in lower case; who may not be asked about is absent.
    pub roles: BTreeMap<String, Role>,
    /// Members of the teams that rules name.
    pub teams: Teams,
    /// Who pushed the head.
    pub pushers: Fact<Pushers>,
    /// GitHub's own verdict on reviews.
    pub decision: Fact<Option<Decision>>,
    /// Does a rule in force ask for a review by code owners?
    pub code_owner_rule: Fact<bool>,
    /// Checks that must pass before a merge.
    pub required: Fact<Vec<RequiredCheck>>,
    /// The newest checks and statuses of the head, each name of each App once.
    pub checks: Fact<Vec<CheckFact>>,
    /// Review conversations that are not resolved.
    pub unresolved: Fact<u32>,
    /// Commits without a verified signature, with GitHub's reason.
    pub unsigned: Fact<Vec<Unsigned>>,
}

/// A submitted review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// GitHub's number.
    pub id: i64,
    /// The reviewer's login.
    pub author: String,
    /// An account of a program?
    pub bot: bool,
    /// What it says now.
    pub state: ReviewState,
    /// The commit that was reviewed; `None` when GitHub does not know it any more.
    pub commit: Option<CommitSha>,
    /// When.
    pub submitted_at: Timestamp,
}

/// What a review says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReviewState {
    /// Approves.
    Approved,
    /// Wants changes.
    ChangesRequested,
    /// Was one of both and does not count any more.
    Dismissed,
    /// Only remarks.
    Commented,
}

/// GitHub's own verdict on reviews.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Its rules are met.
    Approved,
    /// Someone wants changes.
    ChangesRequested,
    /// A review is missing.
    ReviewRequired,
}

/// Who may have put code into the head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pushers {
    /// The account that pushed the head, by the repository's activity.
    Last(String),
    /// That is not known; everyone with a commit in the pull request.
    Committers {
        /// Logins.
        logins: BTreeSet<String>,
        /// Commits that belong to no account.
        unknown: Vec<CommitSha>,
    },
}

/// A check that must pass before a merge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequiredCheck {
    /// Its context or name.
    pub context: String,
    /// The only App that may set it.
    pub app: Option<i64>,
}

/// A check or status of the head.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckFact {
    /// Its context or name.
    pub context: String,
    /// The App that set it; `None` for a commit status, whose App GitHub does not tell.
    pub app: Option<i64>,
    /// How it stands.
    pub state: CheckState,
}

/// How a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckState {
    /// Success, neutral or skipped.
    Passed,
    /// Not ended.
    Running,
    /// Everything else.
    Failed,
}

/// A commit without a verified signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsigned {
    /// Which.
    pub commit: CommitSha,
    /// GitHub's reason, such as "unsigned" or "unknown_key".
    pub reason: String,
}

impl GateFacts {
    /// Nothing is known but the pull request itself.
    pub fn of(pull: &super::PullSnapshot, wants: &GateWants) -> Self {
        Self {
            wants: wants.clone(),
            head: pull.head.clone(),
            base_branch: pull.base_branch.clone(),
            author: pull.author.clone(),
            state: pull.state,
            draft: pull.draft,
            mergeable: pull.mergeable,
            mergeable_state: "unknown".to_owned(),
            protected: Fact::NotAsked,
            reviews: Fact::NotAsked,
            roles: BTreeMap::new(),
            teams: Teams::default(),
            pushers: Fact::NotAsked,
            decision: Fact::NotAsked,
            code_owner_rule: Fact::NotAsked,
            required: Fact::NotAsked,
            checks: Fact::NotAsked,
            unresolved: Fact::NotAsked,
            unsigned: Fact::NotAsked,
        }
    }
}
