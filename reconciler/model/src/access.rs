//! Who may ask for what: `access` rules and what holds without one.
//!
//! Invariant: a rule that cannot be judged because something is not known never lets anybody in.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::pull::Role;
use crate::who::{Person, Who, listed, role_name};

/// What a person may be allowed or denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// `why`, `config`, `status`, `help`, `version`.
    Read,
    /// `plan`.
    Plan,
    /// `apply`.
    Apply,
    /// `approve POLICY` and `reject`.
    Approve,
    /// `approve state`.
    ApproveState,
    /// `approve lost`.
    ApproveLost,
    /// `approve config`.
    ApproveConfig,
    /// `unlock`.
    Unlock,
    /// `cancel`.
    Cancel,
    /// `rerun`.
    Rerun,
    /// `discard`.
    Discard,
    /// `allow SHA`.
    Allow,
    /// `recover`.
    Recover,
    /// `abandon`.
    Abandon,
    /// `import`.
    Import,
    /// `state rm`.
    StateRm,
    /// `state mv`.
    StateMv,
    /// `force-unlock`.
    ForceUnlock,
    /// `force-apply`.
    ForceApply,
}

/// Who has a right when no `allow` rule speaks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unwritten {
    /// This role and those above.
    Role(Role),
    /// The owners of the policy, whom the caller asks.
    Owners,
    /// Nobody.
    Nobody,
}

const RIGHTS: [(Right, &str, Unwritten); 19] = [
    (Right::Read, "why", Unwritten::Role(Role::Read)),
    (Right::Plan, "plan", Unwritten::Role(Role::Write)),
    (Right::Apply, "apply", Unwritten::Role(Role::Write)),
    (Right::Approve, "approve", Unwritten::Owners),
    (Right::ApproveState, "approve state", Unwritten::Role(Role::Maintain)),
    (Right::ApproveLost, "approve lost", Unwritten::Role(Role::Maintain)),
    (Right::ApproveConfig, "approve config", Unwritten::Role(Role::Maintain)),
    (Right::Unlock, "unlock", Unwritten::Role(Role::Write)),
    (Right::Cancel, "cancel", Unwritten::Role(Role::Write)),
    (Right::Rerun, "rerun", Unwritten::Role(Role::Write)),
    (Right::Discard, "discard", Unwritten::Role(Role::Write)),
    (Right::Allow, "allow", Unwritten::Role(Role::Write)),
    (Right::Recover, "recover", Unwritten::Role(Role::Maintain)),
    (Right::Abandon, "abandon", Unwritten::Role(Role::Maintain)),
    (Right::Import, "import", Unwritten::Role(Role::Admin)),
    (Right::StateRm, "state rm", Unwritten::Role(Role::Admin)),
    (Right::StateMv, "state mv", Unwritten::Role(Role::Admin)),
    (Right::ForceUnlock, "force-unlock", Unwritten::Role(Role::Admin)),
    (Right::ForceApply, "force-apply", Unwritten::Nobody),
];

impl Right {
    /// The right to that command.
    pub fn parse(verb: &str) -> Option<Self> {
        let verb = match verb {
            "reject" => "approve",
            "config" | "status" | "help" | "version" => "why",
            other => other,
        };
        RIGHTS.iter().find(|(_, name, _)| *name == verb).map(|(right, _, _)| *right)
    }

    /// The command, as in configuration.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// All.
    pub fn all() -> impl Iterator<Item = Right> {
        RIGHTS.iter().map(|(right, _, _)| *right)
    }

    /// The names that rules may use.
    pub fn names() -> impl Iterator<Item = &'static str> {
        RIGHTS.iter().map(|(_, name, _)| *name)
    }

    fn row(self) -> &'static (Right, &'static str, Unwritten) {
        RIGHTS.iter().find(|(right, _, _)| *right == self).expect("every right has a row")
    }

    /// Is the command off until `commands { allow … }` turns it on?
    pub const fn must_be_enabled(self) -> bool {
        matches!(self, Right::Import | Right::StateRm | Right::StateMv | Right::ForceUnlock)
    }
}

/// One `allow` or `deny` of an `access` node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRule {
    /// Is it a `deny`?
    pub deny: bool,
    /// For which commands.
    pub rights: BTreeSet<Right>,
    /// For whom.
    pub who: BTreeSet<Who>,
}

impl fmt::Display for AccessRule {
    /// `allow apply, plan to team:sre`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rights: Vec<&str> = self.rights.iter().map(|right| right.name()).collect();
        let word = if self.deny { "deny" } else { "allow" };
        write!(f, "{word} {} to {}", rights.join(", "), listed(&self.who))
    }
}

/// The rules that hold at one place: a stack, or the repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// `access` rules that reach this place.
    pub rules: Vec<AccessRule>,
    /// Commands that `commands { allow … }` turned on.
    pub enabled: BTreeSet<Right>,
    /// Accounts of programs that may give commands, in lower case.
    pub bots: BTreeSet<String>,
}

impl Access {
    /// May the person? The error says why not, in words for them.
    pub fn may(&self, right: Right, person: &Person<'_>) -> Result<(), String> {
        let name = right.name();
        if person.bot && !self.bots.contains(&person.login.to_ascii_lowercase()) {
            return Err(format!("{} is a program and not among `commands {{ bots … }}`", person.login));
        }
        if right.must_be_enabled() && !self.enabled.contains(&right) {
            return Err(format!("`{name}` is off here; `commands {{ allow \"{name}\" }}` turns it on"));
        }
        let about = |rule: &&AccessRule| rule.rights.contains(&right);
        let mut denied = self.rules.iter().filter(|rule| rule.deny).filter(about).flat_map(|rule| &rule.who);
        // Who might be meant by a `deny` is denied.
        if let Some(who) = denied.find(|who| who.means(person) != Some(false)) {
            return Err(format!("`{name}` is denied to {who}"));
        }
        let allowing: Vec<&AccessRule> = self.rules.iter().filter(|rule| !rule.deny).filter(about).collect();
        if allowing.is_empty() {
            return unwritten(right, person);
        }
        let mut named = allowing.iter().flat_map(|rule| &rule.who);
        if named.clone().any(|who| who.means(person) == Some(true)) {
            return Ok(());
        }
        let unknown = named.find(|who| who.means(person).is_none());
        let everyone: BTreeSet<&Who> = allowing.iter().flat_map(|rule| &rule.who).collect();
        let note = unknown.map_or_else(String::new, |who| format!("; whether that is so of {who} could not be read"));
        Err(format!("`{name}` is for {}{note}", listed(everyone)))
    }
}

impl Access {
    /// May nobody do it in `new` who may not here?
    pub fn holds_at_least(&self, new: &Access, right: Right) -> bool {
        let off = right.must_be_enabled();
        if off && !new.enabled.contains(&right) {
            return true;
        }
        let still_denied = self.named(right, true).is_subset(&new.named(right, true));
        let enabled = !off || self.enabled.contains(&right);
        enabled
            && still_denied
            && new.allowed(right).iter().all(|who| self.allowed(right).iter().any(|known| who.is_within(known)))
    }

    /// Whom rules allow, or without any the role that does.
    fn allowed(&self, right: Right) -> BTreeSet<Who> {
        let written = self.rules.iter().any(|rule| !rule.deny && rule.rights.contains(&right));
        match right.row().2 {
            Unwritten::Role(least) if !written => BTreeSet::from([Who::Role(least)]),
            _ => self.named(right, false),
        }
    }

    fn named(&self, right: Right, deny: bool) -> BTreeSet<Who> {
        let rules = self.rules.iter().filter(|rule| rule.deny == deny && rule.rights.contains(&right));
        rules.flat_map(|rule| rule.who.clone()).collect()
    }

    /// Takes over what another place denies.
    pub fn deny_also(&mut self, other: &Access) {
        let denials = other.rules.iter().filter(|rule| rule.deny && !self.rules.contains(rule)).cloned();
        self.rules.extend(denials.collect::<Vec<_>>());
    }

    /// Who has the right, on one line.
    pub fn describe(&self, right: Right) -> String {
        if right.must_be_enabled() && !self.enabled.contains(&right) {
            return "off".to_owned();
        }
        let (allowed, denied) = (self.allowed(right), self.named(right, true));
        let allowed = if allowed.is_empty() { "nobody".to_owned() } else { listed(&allowed) };
        if denied.is_empty() { allowed } else { format!("{allowed}, not {}", listed(&denied)) }
    }
}

fn unwritten(right: Right, person: &Person<'_>) -> Result<(), String> {
    let name = right.name();
    match right.row().2 {
        Unwritten::Role(least) if person.role.is_some_and(|role| role >= least) => Ok(()),
        Unwritten::Role(least) => {
            let mine = person.role.map_or("unknown", role_name);
            Err(format!("`{name}` needs the right to {} here; yours is {mine}", role_name(least)))
        }
        Unwritten::Owners => Err(format!("`{name}` is for the owners of the policy")),
        Unwritten::Nobody => {
            Err(format!("`{name}` is for nobody until `access {{ allow {name} {{ who … }} }}` says so"))
        }
    }
}

#[cfg(test)]
mod tests;
