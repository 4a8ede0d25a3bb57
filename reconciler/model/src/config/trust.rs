//! What counts from the trusted base: the gates, rights and modes of stacks, and what a change would loosen.
//!
//! Invariant: nothing that the head says of these keys reaches a stack here. A stack that only the head has is
//! held to what the base would ask of it.

use std::collections::BTreeMap;

use super::family::Bindings;
use super::layers::Building;
use super::resolve::{self, ResolveInput, Resolved};
use super::{Defaults, Layout, trust_diff};
use crate::access::Access;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::id::StackName;
use crate::requirement::Requirement;
use crate::stack::{Dependency, SecretBinding, Stack};

pub use trust_diff::{Weakened, opened, weakened};

/// Both sides of a change.
#[derive(Debug, Clone, Copy)]
pub struct TrustInput<'a> {
    /// The base's configuration with the base's layout.
    pub base: ResolveInput<'a>,
    /// What that comes to.
    pub on_base: &'a Resolved,
    /// What the head's configuration comes to on the head's layout.
    pub on_head: &'a Resolved,
    /// The head's layout.
    pub head_layout: &'a Layout,
}

/// The head's stacks under the base's rules.
#[derive(Debug, Clone, Default)]
pub struct Trusted {
    /// Sorted as the head's.
    pub stacks: Vec<Stack>,
    /// Bindings of the head's stacks that the base has not; stacks without any are absent.
    pub new_secrets: BTreeMap<StackName, Vec<SecretBinding>>,
    /// Who may give commands that are about no stack.
    pub access: Access,
    /// What is wrong with the change: it takes the place of a stack without saying so.
    pub diagnostics: Diagnostics,
    /// Errors in the base's own rules: what it asks for cannot be known, so nothing may be applied.
    pub errors: Diagnostics,
}

impl Trusted {
    /// The base is not one whose rules count: it gives nobody a right, and no secret to any stack.
    pub fn distrust(&mut self) {
        self.access = Access::default();
        self.new_secrets.clear();
        for stack in &mut self.stacks {
            stack.access = Access::default();
            stack.secrets.clear();
            stack
                .depends_on
                .iter_mut()
                .filter_map(|edge| edge.input.as_mut())
                .for_each(|input| input.sensitive = false);
        }
    }
}

/// Head stacks with the keys that count from the trusted base.
pub fn trusted(input: &TrustInput<'_>) -> Trusted {
    let mut out = Trusted { access: input.on_base.access.clone(), ..Trusted::default() };
    out.errors = input.on_base.diagnostics.errors().cloned().collect();
    let by_name: BTreeMap<_, _> = input.on_base.stacks.iter().map(|stack| (&stack.name, stack)).collect();
    let mut prospect: Option<Resolved> = None;
    for head in &input.on_head.stacks {
        let mut stack = head.clone();
        if let Some(base) = by_name.get(&head.name) {
            overlay(&mut stack, base);
            stack.state = base.state.clone();
            note_secrets(&stack, &[base], &mut out);
        } else {
            let prospect = prospect
                .get_or_insert_with(|| resolve::resolve(ResolveInput { layout: input.head_layout, ..input.base }));
            newcomer(input, prospect, &mut stack, &mut out);
        }
        displaced(input, head, &mut out.diagnostics);
        out.stacks.push(stack);
    }
    if let Some(prospect) = prospect {
        let known = out.errors.clone();
        let fresh = prospect.diagnostics.errors().filter(|d| !known.iter().any(|k| k == *d));
        out.errors.extend(fresh.cloned().collect());
    }
    out
}

/// The trusted keys of one stack on another.
fn overlay(stack: &mut Stack, base: &Stack) {
    stack.apply = base.apply;
    stack.apply_options = base.apply_options.clone();
    stack.lock = base.lock;
    stack.require = base.require.clone();
    stack.access = base.access.clone();
    stack.plan.ttl_seconds = base.plan.ttl_seconds;
    // A sensitive output crosses only where the base lets it: whoever writes the head could print it.
    for edge in &mut stack.depends_on {
        let (from, Some(input)) = (&edge.stack, &mut edge.input) else { continue };
        let same = |known: &&Dependency| {
            &known.stack == from && known.input.as_ref().is_some_and(|it| it.sensitive && it.output == input.output)
        };
        input.sensitive &= base.depends_on.iter().any(|known| same(&known));
    }
    for need in &base.not_yet {
        if !stack.not_yet.iter().any(|known| known.what == need.what) {
            stack.not_yet.push(need.clone());
        }
    }
}

/// Notes the head's bindings that none of these stacks of the base has.
fn note_secrets(stack: &Stack, base: &[&Stack], out: &mut Trusted) {
    let known = |one: &&SecretBinding| base.iter().flat_map(|stack| &stack.secrets).any(|other| other.is_same(one));
    let new: Vec<SecretBinding> = stack.secrets.iter().filter(|one| !known(one)).cloned().collect();
    if !new.is_empty() {
        out.new_secrets.insert(stack.name.clone(), new);
    }
}

/// A stack that only the head has: what the base's `defaults` say of its name, path and tags, and the rules of
/// whatever the base would have made of its directory.
fn newcomer(input: &TrustInput<'_>, prospect: &Resolved, stack: &mut Stack, out: &mut Trusted) {
    let mut others = predecessors(input, stack);
    let there = |other: &&Stack| other.path == stack.path && other.workspace == stack.workspace;
    others.extend(prospect.stacks.iter().filter(|other| other.name == stack.name || there(other)));
    let (by_defaults, written) = of_defaults(input, stack, &others, &mut out.errors);
    let (base, rest) = others.split_first().map_or((&by_defaults, &[][..]), |(first, rest)| (*first, rest));
    overlay(stack, base);
    stack.state = base.state.clone().or(by_defaults.state.clone()).or(stack.state.take());
    let known: Vec<&Stack> = others.iter().copied().chain([&by_defaults]).collect();
    note_secrets(stack, &known, out);
    for other in rest {
        other.require.items().iter().for_each(|item| stack.require.tighten(item));
        stack.access.deny_also(&other.access);
    }
    written.iter().for_each(|item| stack.require.tighten(item));
    stack.access.deny_also(&by_defaults.access);
}

/// Base stacks that this one says it was, or whose place it takes.
fn predecessors<'a>(input: &TrustInput<'a>, stack: &Stack) -> Vec<&'a Stack> {
    let named = |other: &&Stack| stack.was.iter().any(|was| names(was, other));
    let there = |other: &&Stack| other.path == stack.path && other.workspace == stack.workspace;
    input.on_base.stacks.iter().filter(|other| named(other) || there(other)).collect()
}

/// `was` holds an earlier name or directory.
fn names(was: &str, stack: &Stack) -> bool {
    was == stack.name.as_str() || was.trim_end_matches('/') == stack.path.as_str()
}

/// A stack of which nothing is written but the base's layers, and what these ask for; without those that `others`
/// brings (there with their captures).
fn of_defaults(
    input: &TrustInput<'_>,
    stack: &Stack,
    others: &[&Stack],
    errors: &mut Diagnostics,
) -> (Stack, Vec<Requirement>) {
    let bindings = Bindings::new();
    let mut found = Diagnostics::new();
    let mut building = Building::new(stack.name.clone(), stack.path.clone(), stack.origin, &bindings);
    let layers = resolve::layers(&input.base);
    let tags: Vec<String> = stack.tags.iter().cloned().collect();
    let selects = |defaults: &Defaults, stack: &Stack| {
        let tags: Vec<String> = stack.tags.iter().cloned().collect();
        resolve::selects(defaults, stack.name.as_str(), stack.path.as_str(), &tags)
    };
    for defaults in layers.iter().flat_map(|config| &config.defaults) {
        if selects(defaults, stack) && !others.iter().any(|other| selects(defaults, other)) {
            building.apply(&defaults.body, &mut found);
        }
    }
    resolve::finish(&mut building, &input.base, &layers, &tags, &mut found);
    errors.extend(found.errors().cloned().collect());
    (building.stack, building.required.into_iter().map(|(item, _, _)| item).collect())
}

/// A directory and workspace that another stack of the base has.
fn displaced(input: &TrustInput<'_>, head: &Stack, found: &mut Diagnostics) {
    let there =
        |other: &&Stack| other.name != head.name && other.path == head.path && other.workspace == head.workspace;
    let Some(other) = input.on_base.stacks.iter().find(there) else { return };
    let stays = input.on_head.stacks.iter().any(|stack| stack.name == other.name);
    if !stays && head.was.iter().any(|was| names(was, other)) {
        return;
    }
    let summary = format!("stack `{}` takes the directory of stack `{}` of the base", head.name, other.name);
    let help = match stays {
        true => format!("give it a directory of its own; `{}` still exists", other.name),
        false => format!("write was=\"{}\" so that state, lock and history move along", other.name),
    };
    let mut diagnostic = Diagnostic::error("displaced", summary).help(help);
    diagnostic.span = head.declared_at.clone();
    found.push(diagnostic);
}
