//! What must hold before an apply may start, as the trusted configuration says it.
//!
//! Owns the meaning of "stricter": layers only add, and a change that loosens is found here. Judging facts
//! against requirements is `reconciler::gate`'s work.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::who::{Who, listed};
use crate::window::Window;

/// All requirements of one stack; every one must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Requirements {
    /// Approving reviews; each rule must hold.
    pub approvals: Vec<Approvals>,
    /// Nothing came into the base since the plan that the stack, or anybody, depends on.
    pub undiverged: Option<Scope>,
    /// Required checks of the head have passed.
    pub checks_passed: Option<ChecksPassed>,
    /// GitHub's code owners approved.
    pub codeowners: bool,
    /// Every review conversation is resolved.
    pub conversation_resolved: bool,
    /// Every commit has a verified signature.
    pub signed: bool,
    /// Now is inside of each of these.
    pub windows: Vec<Windows>,
    /// The plan adds less than this to the monthly cost.
    pub cost_below: Option<f64>,
    /// Policies that must pass, by name.
    pub policies: BTreeSet<String>,
}

/// One rule about approving reviews.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Approvals {
    /// How many people.
    pub count: u32,
    /// Whose approvals count; nobody named: everyone who may write.
    pub any_of: BTreeSet<Who>,
    /// Of each of these at least one must have approved.
    pub all_of: BTreeSet<Who>,
    /// The author's own does not count.
    pub not_author: bool,
    /// That of whoever pushed does not count.
    pub not_pusher: bool,
    /// It must be for the newest push.
    pub on_latest_push: bool,
}

/// What `undiverged` looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// What the stack depends on.
    Stack,
    /// The whole repository.
    Repository,
}

/// `checks-passed { ignore "codecov/*" }`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChecksPassed {
    /// Globs of contexts that are not asked for.
    pub ignore: BTreeSet<String>,
}

/// Windows that were written together: one of them must be open.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Windows {
    /// The alternatives.
    pub any: BTreeSet<Window>,
}

/// One requirement as one layer writes it.
#[derive(Debug, Clone, PartialEq)]
pub enum Requirement {
    /// `approvals N { … }`.
    Approvals(Approvals),
    /// `undiverged`.
    Undiverged(Scope),
    /// `checks-passed`.
    ChecksPassed(ChecksPassed),
    /// `codeowners`.
    Codeowners,
    /// `conversation-resolved`.
    ConversationResolved,
    /// `signed`.
    Signed,
    /// All `window`s of one `require`.
    Windows(Windows),
    /// `cost-below N`.
    CostBelow(f64),
    /// One name of `policies`.
    Policy(String),
}

impl Requirement {
    /// The word in configuration and the name of its gate.
    pub const fn name(&self) -> &'static str {
        match self {
            Requirement::Approvals(_) => "approvals",
            Requirement::Undiverged(_) => "undiverged",
            Requirement::ChecksPassed(_) => "checks-passed",
            Requirement::Codeowners => "codeowners",
            Requirement::ConversationResolved => "conversation-resolved",
            Requirement::Signed => "signed",
            Requirement::Windows(_) => "window",
            Requirement::CostBelow(_) => "cost-below",
            Requirement::Policy(_) => "policy",
        }
    }
}

impl Approvals {
    /// `approvals COUNT` with nothing else said.
    pub const fn plain(count: u32) -> Self {
        Self {
            count,
            any_of: BTreeSet::new(),
            all_of: BTreeSet::new(),
            not_author: true,
            not_pusher: true,
            on_latest_push: false,
        }
    }

    /// `approvals 0`: always met.
    pub fn asks_nothing(&self) -> bool {
        self.count == 0 && self.all_of.is_empty()
    }

    /// Whose approvals count.
    pub fn counted(&self) -> BTreeSet<Who> {
        match self.any_of.is_empty() {
            true => BTreeSet::from([Who::Role(crate::pull::Role::Write)]),
            false => self.any_of.clone(),
        }
    }

    /// Whatever meets this rule meets the other one too.
    pub fn implies(&self, other: &Approvals) -> bool {
        let no_looser = |mine: bool, theirs: bool| mine || !theirs;
        let theirs = other.counted();
        let people =
            other.count == 0 || self.counted().iter().all(|who| theirs.iter().any(|known| who.is_within(known)));
        let each = other.all_of.iter().all(|known| self.all_of.iter().any(|who| who.is_within(known)));
        other.asks_nothing()
            || (self.count >= other.count
                && people
                && each
                && no_looser(self.not_author, other.not_author)
                && no_looser(self.not_pusher, other.not_pusher)
                && no_looser(self.on_latest_push, other.on_latest_push))
    }
}

impl Windows {
    /// Whenever these are open, the others are.
    fn implies(&self, other: &Windows) -> bool {
        !self.any.is_empty() && self.any.is_subset(&other.any)
    }
}

impl Default for Requirements {
    /// What holds where nothing is written.
    fn default() -> Self {
        Self::union([], [])
    }
}

impl Requirements {
    /// Nothing is asked for.
    fn none() -> Self {
        Self {
            approvals: Vec::new(),
            undiverged: None,
            checks_passed: None,
            codeowners: false,
            conversation_resolved: false,
            signed: false,
            windows: Vec::new(),
            cost_below: None,
            policies: BTreeSet::new(),
        }
    }

    /// What layers ask for together: the union, and the stricter of two.
    ///
    /// Built in are `approvals 1; undiverged; checks-passed`. What `layers` write of one of these takes its
    /// place (else `approvals 0` and an `ignore` would mean nothing); what `enforced` writes never does.
    pub fn union<'a>(
        layers: impl IntoIterator<Item = &'a Requirement>,
        enforced: impl IntoIterator<Item = &'a Requirement>,
    ) -> Self {
        let mut all = Self::none();
        let mut written = BTreeSet::new();
        for item in layers {
            written.insert(item.name());
            all.tighten(item);
        }
        let built_in = [
            Requirement::Approvals(Approvals::plain(1)),
            Requirement::Undiverged(Scope::Stack),
            Requirement::ChecksPassed(ChecksPassed::default()),
        ];
        built_in.iter().filter(|item| !written.contains(item.name())).for_each(|item| all.tighten(item));
        enforced.into_iter().for_each(|item| all.tighten(item));
        all
    }

    /// Adds one; never loosens.
    pub fn tighten(&mut self, item: &Requirement) {
        match item {
            Requirement::Approvals(rule) if rule.asks_nothing() => {}
            Requirement::Approvals(rule) => add(&mut self.approvals, rule, Approvals::implies),
            Requirement::Undiverged(scope) => self.undiverged = self.undiverged.max(Some(*scope)),
            Requirement::ChecksPassed(asked) => match &mut self.checks_passed {
                Some(known) => known.ignore.retain(|glob| asked.ignore.contains(glob)),
                none => *none = Some(asked.clone()),
            },
            Requirement::Codeowners => self.codeowners = true,
            Requirement::ConversationResolved => self.conversation_resolved = true,
            Requirement::Signed => self.signed = true,
            Requirement::Windows(windows) => add(&mut self.windows, windows, Windows::implies),
            Requirement::CostBelow(limit) => {
                self.cost_below = Some(self.cost_below.map_or(*limit, |known| known.min(*limit)));
            }
            Requirement::Policy(name) => {
                self.policies.insert(name.clone());
            }
        }
    }

    /// Each requirement by itself, in the order in which people read them.
    pub fn items(&self) -> Vec<Requirement> {
        let mut items: Vec<Requirement> = self.approvals.iter().cloned().map(Requirement::Approvals).collect();
        items.extend(self.codeowners.then_some(Requirement::Codeowners));
        items.extend(self.checks_passed.clone().map(Requirement::ChecksPassed));
        items.extend(self.undiverged.map(Requirement::Undiverged));
        items.extend(self.conversation_resolved.then_some(Requirement::ConversationResolved));
        items.extend(self.signed.then_some(Requirement::Signed));
        items.extend(self.windows.iter().cloned().map(Requirement::Windows));
        items.extend(self.cost_below.map(Requirement::CostBelow));
        items.extend(self.policies.iter().cloned().map(Requirement::Policy));
        items
    }

    /// Does this hold back at least what the one requirement holds back?
    pub fn covers(&self, item: &Requirement) -> bool {
        match item {
            Requirement::Approvals(rule) => {
                rule.asks_nothing() || self.approvals.iter().any(|known| known.implies(rule))
            }
            Requirement::Undiverged(scope) => self.undiverged >= Some(*scope),
            Requirement::ChecksPassed(asked) => {
                self.checks_passed.as_ref().is_some_and(|known| known.ignore.is_subset(&asked.ignore))
            }
            Requirement::Codeowners => self.codeowners,
            Requirement::ConversationResolved => self.conversation_resolved,
            Requirement::Signed => self.signed,
            Requirement::Windows(windows) => self.windows.iter().any(|known| known.implies(windows)),
            Requirement::CostBelow(limit) => self.cost_below.is_some_and(|known| known <= *limit),
            Requirement::Policy(name) => self.policies.contains(name),
        }
    }
}

/// Keeps the strictest of a list in which each must hold.
fn add<T: Clone + Ord>(list: &mut Vec<T>, item: &T, implies: fn(&T, &T) -> bool) {
    if list.iter().any(|known| implies(known, item)) {
        return;
    }
    list.retain(|known| !implies(item, known));
    list.push(item.clone());
    list.sort();
}

impl fmt::Display for Requirement {
    /// As it is written in configuration, on one line, what is on by itself left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Requirement::Approvals(rule) => write!(f, " {rule}"),
            Requirement::Undiverged(Scope::Stack) => Ok(()),
            Requirement::Undiverged(Scope::Repository) => f.write_str(" scope=repository"),
            Requirement::ChecksPassed(asked) if asked.ignore.is_empty() => Ok(()),
            Requirement::ChecksPassed(asked) => {
                let globs: Vec<&str> = asked.ignore.iter().map(String::as_str).collect();
                write!(f, " ignoring {}", globs.join(", "))
            }
            Requirement::Windows(windows) => {
                let all: Vec<String> = windows.any.iter().map(Window::to_string).collect();
                write!(f, " {}", all.join(" or "))
            }
            Requirement::CostBelow(limit) => write!(f, " {limit}"),
            Requirement::Policy(name) => write!(f, " {name}"),
            Requirement::Codeowners | Requirement::ConversationResolved | Requirement::Signed => Ok(()),
        }
    }
}

impl fmt::Display for Approvals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.count)?;
        if !self.any_of.is_empty() {
            write!(f, " any-of {}", listed(&self.any_of))?;
        }
        if !self.all_of.is_empty() {
            write!(f, " all-of {}", listed(&self.all_of))?;
        }
        for (says, text) in [
            (!self.not_author, " not-author #false"),
            (!self.not_pusher, " not-pusher #false"),
            (self.on_latest_push, " on-latest-push"),
        ] {
            f.write_str(if says { text } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
