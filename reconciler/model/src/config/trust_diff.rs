//! What a change would loosen, once it is merged.

use serde::{Deserialize, Serialize};

use super::Config;
use super::resolve::{Explained, Resolved};
use crate::access::{Access, Right};
use crate::diagnostic::Span;
use crate::id::StackName;
use crate::requirement::Requirements;
use crate::stack::Stack;

/// One gate, right or mode that the change loosens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weakened {
    /// Of which stack; `None`: of the repository.
    pub stack: Option<StackName>,
    /// Such as "approvals", "apply", "access plan".
    pub what: String,
    /// As the base has it.
    pub from: String,
    /// As the change would have it.
    pub to: String,
    /// Where the change says so, when it says anything.
    pub at: Option<Span>,
}

/// Everything that is looser on the head, by stack. `under_base` are the head's stacks as the base would have them: a
/// new one is compared with that.
pub fn weakened(base: &Resolved, head: &Resolved, under_base: &[Stack]) -> Vec<Weakened> {
    let mut all = Vec::new();
    rights(&base.access, &head.access, |what, from, to| Weakened { stack: None, what, from, to, at: None }, &mut all);
    let everywhere = all.clone();
    for new in &head.stacks {
        let named = |old: &&Stack| old.name == new.name;
        let was = |old: &&Stack| new.was.iter().any(|was| was == old.name.as_str());
        let known = base.stacks.iter().find(named).or_else(|| base.stacks.iter().find(was));
        let Some(old) = known.or_else(|| under_base.iter().find(named)) else { continue };
        let explained = head.explained.get(&new.name).map(Vec::as_slice).unwrap_or_default();
        let entry = |what: String, from, to| {
            let at = place(explained, &what);
            Weakened { stack: Some(new.name.clone()), what, from, to, at }
        };
        let mut found = Vec::new();
        requirements(&old.require, &new.require, entry, &mut found);
        modes(old, new, entry, &mut found);
        rights(&old.access, &new.access, entry, &mut found);
        // What holds for the whole repository is said once.
        found.retain(|one| !everywhere.iter().any(|e| (&e.what, &e.from, &e.to) == (&one.what, &one.from, &one.to)));
        all.extend(found);
    }
    all
}

/// Branches that the change would trust, or have planned.
pub fn opened(base: &Config, head: &Config) -> Vec<Weakened> {
    let shown = |list: &[String]| if list.is_empty() { "nothing".to_owned() } else { list.join(", ") };
    let sides = [("branches", &base.branches, &head.branches), ("branches preview", &base.preview, &head.preview)];
    let more = sides.into_iter().filter(|(_, old, new)| new.iter().any(|glob| !old.contains(glob)));
    more.map(|(what, old, new)| Weakened {
        stack: None,
        what: what.to_owned(),
        from: shown(old),
        to: shown(new),
        at: None,
    })
    .collect()
}

/// The line of the head that set the key.
fn place(explained: &[Explained], what: &str) -> Option<Span> {
    let key = format!("require {what}");
    let prefix = format!("{what} ");
    let hit = |one: &&Explained| one.key == key || one.key == what || one.key.starts_with(&prefix);
    explained.iter().rev().filter(hit).find_map(|one| one.at.clone())
}

fn requirements(
    old: &Requirements,
    new: &Requirements,
    entry: impl Fn(String, String, String) -> Weakened,
    all: &mut Vec<Weakened>,
) {
    let text = |all: &Requirements, name: &str| {
        let items = all.items();
        let same: Vec<String> = items.iter().filter(|item| item.name() == name).map(ToString::to_string).collect();
        if same.is_empty() { "nothing".to_owned() } else { same.join("; ") }
    };
    let mut named = Vec::new();
    for item in old.items().iter().filter(|item| !new.covers(item)) {
        if !named.contains(&item.name()) {
            named.push(item.name());
            all.push(entry(item.name().to_owned(), text(old, item.name()), text(new, item.name())));
        }
    }
}

/// Modes in which more happens by itself, or less is held off.
fn modes(old: &Stack, new: &Stack, entry: impl Fn(String, String, String) -> Weakened, all: &mut Vec<Weakened>) {
    let mut add = |looser: bool, what: &str, from: String, to: String| {
        if looser {
            all.push(entry(what.to_owned(), from, to));
        }
    };
    let rank = |stack: &Stack| crate::stack::ApplyMode::ALL.iter().position(|mode| *mode == stack.apply);
    add(rank(new) > rank(old), "apply", format!("on={}", old.apply.name()), format!("on={}", new.apply.name()));
    let (from, to) = (old.apply_options.after_upstream, new.apply_options.after_upstream);
    add(to > from, "apply after-upstream", from.name().to_owned(), to.name().to_owned());
    let narrower = new.lock.per_base_branch && !old.lock.per_base_branch;
    add(new.lock.mode < old.lock.mode || narrower, "lock", old.lock.to_string(), new.lock.to_string());
    let days = |stack: &Stack| format!("{} h", stack.plan.ttl_seconds / 3600);
    add(new.plan.ttl_seconds > old.plan.ttl_seconds, "plan ttl", days(old), days(new));
}

/// Rights that someone gains, and denials that end.
fn rights(old: &Access, new: &Access, entry: impl Fn(String, String, String) -> Weakened, all: &mut Vec<Weakened>) {
    for right in Right::all() {
        if !old.holds_at_least(new, right) {
            all.push(entry(format!("access {}", right.name()), old.describe(right), new.describe(right)));
        }
    }
    let bots = |access: &Access| {
        let names: Vec<&str> = access.bots.iter().map(String::as_str).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    };
    if !new.bots.is_subset(&old.bots) {
        all.push(entry("bots".to_owned(), bots(old), bots(new)));
    }
}
