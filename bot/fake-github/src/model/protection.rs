//! Owns what branches ask for before a merge: classic protection and rulesets, side by side as on GitHub.

use serde_json::{Map, Value};

use crate::error::Error;
use crate::model::Model;
use crate::model::queue::QueueRules;
use crate::model::repository::Repository;
use crate::shape;

/// What a rule asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Checks that must pass, each with the only App that may set it.
    pub checks: Vec<(String, Option<u64>)>,
    /// The head must hold the newest base.
    pub strict: bool,
    /// Approving reviews by people who may push; `None` asks for no pull request.
    pub approvals: Option<u32>,
    /// A code owner must approve each file that has one.
    pub code_owners: bool,
    /// A push dismisses approvals.
    pub dismiss_stale: bool,
    /// Somebody else than who pushed last must approve.
    pub last_push_approval: bool,
    /// Every conversation must be resolved.
    pub conversations: bool,
    /// Every commit must have a verified signature.
    pub signatures: bool,
    /// No merge commits.
    pub linear: bool,
    /// Merges go through a queue.
    pub queue: Option<QueueRules>,
}

impl Rules {
    /// Required checks and nothing else.
    pub fn checks(checks: &[(&str, Option<u64>)]) -> Rules {
        Rules { checks: checks.iter().map(|(name, app)| ((*name).into(), *app)).collect(), ..Rules::default() }
    }

    /// So many approving reviews and nothing else.
    pub fn approvals(count: u32) -> Rules {
        Rules { approvals: Some(count), ..Rules::default() }
    }

    /// Is anything said about pull requests and their reviews?
    pub(crate) fn asks_reviews(&self) -> bool {
        self.approvals.is_some() || self.code_owners || self.dismiss_stale || self.last_push_approval
    }
}

/// Classic protection of the branches that fit a pattern.
#[derive(Debug, Clone)]
pub(crate) struct Protection {
    pub(crate) id: u64,
    pub(crate) pattern: String,
    pub(crate) rules: Rules,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// A ruleset of the repository.
#[derive(Debug, Clone)]
pub(crate) struct Ruleset {
    pub(crate) id: u64,
    pub(crate) name: String,
    /// `~DEFAULT_BRANCH`, `~ALL` or `refs/heads/…` with `*`.
    pub(crate) include: String,
    pub(crate) active: bool,
    pub(crate) rules: Rules,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

impl Repository {
    /// The classic protection of a branch: an exact name before a pattern, then the oldest.
    pub(crate) fn protection(&self, branch: &str) -> Option<&Protection> {
        let exact = self.protections.iter().find(|it| it.pattern == branch);
        exact.or_else(|| self.protections.iter().find(|it| fits(&it.pattern, branch)))
    }

    /// The rulesets in force on a branch, which need not exist.
    pub(crate) fn rulesets_on(&self, branch: &str) -> impl Iterator<Item = &Ruleset> {
        let branch = branch.to_owned();
        self.rulesets.iter().filter(move |it| it.active && self.includes(&it.include, &branch))
    }

    fn includes(&self, include: &str, branch: &str) -> bool {
        match include {
            "~ALL" => true,
            "~DEFAULT_BRANCH" => branch == self.default_branch,
            pattern => fits(pattern.strip_prefix("refs/heads/").unwrap_or(pattern), branch),
        }
    }

    /// Everything that is asked of a branch.
    pub(crate) fn rules_on(&self, branch: &str) -> Vec<&Rules> {
        let classic = self.protection(branch).map(|it| &it.rules);
        classic.into_iter().chain(self.rulesets_on(branch).map(|it| &it.rules)).collect()
    }

    pub(crate) fn is_protected(&self, branch: &str) -> bool {
        !self.rules_on(branch).is_empty()
    }
}

/// `*` stands for any characters but `/`, `**` for any.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return name.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    if first == '*' {
        let (rest, deep) = rest.strip_prefix('*').map_or((rest, false), |rest| (rest, true));
        let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
        return ends.take_while(|at| deep || !name[..*at].contains('/')).any(|at| fits(rest, &name[at..]));
    }
    name.strip_prefix(first).is_some_and(|name| fits(rest, name))
}

impl Model {
    /// Protects the branches of a pattern, or changes what is asked; `None` takes the protection away.
    pub(crate) fn protect(
        &mut self,
        repository: u64,
        pattern: &str,
        actor: u64,
        rules: Option<Rules>,
    ) -> Result<(), Error> {
        let (id, now) = (self.id(), self.now());
        let it = self.repository_mut(repository)?;
        let place = it.protections.iter().position(|it| it.pattern == pattern);
        let (action, told) = match (place, rules) {
            (None, None) => return Err(Error::NotFound(format!("protection of {pattern}"))),
            (None, Some(rules)) => {
                it.protections.push(Protection {
                    id,
                    pattern: pattern.into(),
                    rules,
                    created_at: now,
                    updated_at: now,
                });
                ("created", it.protections.last().cloned())
            }
            (Some(place), Some(rules)) => {
                let there = &mut it.protections[place];
                (there.rules, there.updated_at) = (rules, now);
                ("edited", Some(there.clone()))
            }
            (Some(place), None) => ("deleted", Some(it.protections.remove(place))),
        };
        let mut fields = Map::new();
        if let Some(rule) = told {
            fields.insert("rule".into(), shape::rules::classic_webhook(repository, &rule));
        }
        if action == "edited" {
            fields.insert("changes".into(), Value::Object(Map::new()));
        }
        self.tell(repository, actor, "branch_protection_rule", Some(action), fields);
        Ok(())
    }

    /// Makes a ruleset or changes the one of that name; `None` takes it away.
    pub(crate) fn set_ruleset(
        &mut self,
        repository: u64,
        name: &str,
        actor: u64,
        new: Option<(&str, bool, Rules)>,
    ) -> Result<(), Error> {
        let (id, now) = (self.id(), self.now());
        let it = self.repository_mut(repository)?;
        let place = it.rulesets.iter().position(|it| it.name == name);
        let (action, told) = match (place, new) {
            (None, None) => return Err(Error::NotFound(format!("ruleset {name}"))),
            (None, Some((include, active, rules))) => {
                let (name, include) = (name.to_owned(), include.to_owned());
                it.rulesets.push(Ruleset { id, name, include, active, rules, created_at: now, updated_at: now });
                ("created", it.rulesets.last().cloned())
            }
            (Some(place), Some((include, active, rules))) => {
                let there = &mut it.rulesets[place];
                (there.include, there.active, there.rules, there.updated_at) = (include.into(), active, rules, now);
                ("edited", Some(there.clone()))
            }
            (Some(place), None) => ("deleted", Some(it.rulesets.remove(place))),
        };
        let it = self.repository(repository)?;
        let mut fields = Map::new();
        if let Some(ruleset) = told {
            fields.insert("repository_ruleset".into(), shape::rules::ruleset(self, it, &ruleset));
        }
        self.tell(repository, actor, "repository_ruleset", Some(action), fields);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stops_at_a_slash() {
        for (pattern, name, expected) in [
            ("main", "main", true),
            ("main", "maintenance", false),
            ("release/*", "release/1", true),
            ("release/*", "release/1/x", false),
            ("release/**", "release/1/x", true),
            ("*", "main", true),
            ("*", "a/b", false),
            ("*.x", "1.2.x", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
