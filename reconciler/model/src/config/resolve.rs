//! Configuration and a tree's layout to stacks: families, discovery, layers, and who wins.

use std::collections::BTreeMap;

use super::access::{self, Subject};
use super::family::{self, Bindings};
use super::layers::Building;
use super::layout::Layout;
use super::read::{Body, What, fill, open_braces};
use super::{Config, Defaults, discover, glob_matches, order};
use crate::access::Access;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::id::{RelPath, RepoName, StackName};
use crate::stack::{Origin, Stack};

/// What stacks follow from.
#[derive(Debug, Clone, Copy)]
pub struct ResolveInput<'a> {
    /// Whose configuration.
    pub repo: &'a RepoName,
    /// Its own layer.
    pub config: &'a Config,
    /// The organisation's layer.
    pub organisation: Option<&'a Config>,
    /// The directories of the same tree.
    pub layout: &'a Layout,
}

/// The stacks of one tree.
#[derive(Debug, Clone, Default)]
pub struct Resolved {
    /// Sorted by name; names are unique.
    pub stacks: Vec<Stack>,
    /// For each stack what set its values, sorted by key.
    pub explained: BTreeMap<StackName, Vec<Explained>>,
    /// Who may give commands that are about no stack.
    pub access: Access,
    /// Findings.
    pub diagnostics: Diagnostics,
}

/// One value of the effective configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Such as "var region" or "plan timeout".
    pub key: String,
    /// As it counts.
    pub value: String,
    /// The place that set it; `None` for built-in values.
    pub at: Option<Span>,
}

/// A stack before its layers.
struct Candidate<'a> {
    name: String,
    path: String,
    workspace: String,
    weight: usize,
    origin: Origin,
    bindings: Bindings,
    body: Option<&'a Body>,
    was: Vec<String>,
    at: Span,
}

/// All stacks of a tree.
pub fn resolve(input: ResolveInput<'_>) -> Resolved {
    let layers = layers(&input);
    let mut resolved = Resolved { access: access::at_place(&layers, None).0, ..Resolved::default() };
    let mut by_place: BTreeMap<(String, String), Vec<Candidate<'_>>> = BTreeMap::new();
    let all = candidates(&input, &layers);
    // A directory that is declared with workspaces of its own is not discovered with the default one besides.
    let declared: Vec<String> = all.iter().filter(|c| c.origin != Origin::Discovered).map(|c| c.path.clone()).collect();
    for node in layers.iter().flat_map(|config| &config.stacks) {
        if family::members(&node.name, &node.body, input.layout).is_empty() {
            let pattern = family::path_pattern(&node.name, &node.body);
            let summary = format!("no directory with configuration files matches `{pattern}`");
            let help = "a capture such as {env} matches one folder; paths start at the repository root";
            resolved.diagnostics.push(Diagnostic::warning("no-members", summary).help(help).at(node.at.clone()));
        }
    }
    for candidate in all {
        if candidate.origin == Origin::Discovered && declared.contains(&candidate.path) {
            continue;
        }
        by_place.entry((candidate.path.clone(), candidate.workspace.clone())).or_default().push(candidate);
    }
    for group in by_place.values_mut() {
        group.sort_by_key(|c| std::cmp::Reverse((c.origin == Origin::Literal, c.weight)));
        build(&input, &layers, group, &mut resolved);
    }
    resolved.stacks.sort_by(|a, b| a.name.cmp(&b.name));
    unique(&mut resolved);
    check_order(&mut resolved);
    let mut seen = Vec::new();
    resolved.diagnostics = resolved
        .diagnostics
        .iter()
        .filter(|d| {
            !seen.contains(d) && {
                seen.push(d);
                true
            }
        })
        .cloned()
        .collect();
    resolved.diagnostics.sort();
    resolved
}

/// The organisation's matching `repository` layers, then the repository's own.
pub(super) fn layers<'a>(input: &ResolveInput<'a>) -> Vec<&'a Config> {
    let organisation = input.organisation.into_iter().flat_map(|config| &config.repositories);
    let matching = organisation.filter(|(glob, _)| glob_matches(glob, input.repo.name())).map(|(_, config)| config);
    matching.chain([input.config]).collect()
}

fn candidates<'a>(input: &ResolveInput<'_>, layers: &[&'a Config]) -> Vec<Candidate<'a>> {
    let mut all = Vec::new();
    for config in layers {
        for node in &config.stacks {
            let pattern = family::path_pattern(&node.name, &node.body);
            for bindings in family::members(&node.name, &node.body, input.layout) {
                let workspace = node.body.settings.iter().rev().find_map(|setting| match &setting.what {
                    What::Workspace(text) => Some(fill(text, &bindings)),
                    _ => None,
                });
                all.push(Candidate {
                    name: fill(&node.name, &bindings),
                    path: fill(&pattern, &bindings),
                    workspace: workspace.unwrap_or_else(|| "default".to_owned()),
                    weight: family::weight(&pattern) + 1,
                    origin: if bindings.is_empty() { Origin::Literal } else { Origin::Family },
                    bindings,
                    body: Some(&node.body),
                    was: node.was.clone(),
                    at: node.at.clone(),
                });
            }
        }
        for node in &config.discover {
            all.extend(discover::roots(node, input.layout, input.repo).into_iter().map(|found| Candidate {
                name: found.name,
                path: found.path.as_str().to_owned(),
                workspace: "default".to_owned(),
                weight: 0,
                origin: Origin::Discovered,
                bindings: Bindings::new(),
                body: None,
                was: Vec::new(),
                at: node.at.clone(),
            }));
        }
    }
    all
}

/// One stack from the candidates of one directory and workspace, best first.
fn build(input: &ResolveInput<'_>, layers: &[&Config], group: &[Candidate<'_>], resolved: &mut Resolved) {
    let Some(winner) = group.first() else { return };
    let found = &mut resolved.diagnostics;
    if let Some(rival) = group
        .get(1)
        .filter(|r| r.weight == winner.weight && r.origin == winner.origin && r.origin != Origin::Discovered)
    {
        let summary = format!("`{}` and `{}` are the same directory and workspace", winner.name, rival.name);
        let help = "give one another workspace, or remove it";
        found.push(Diagnostic::error("same-place", summary).help(help).at(rival.at.clone()));
    }
    let Some((name, path)) = identity(winner, found) else { return };
    if !input.layout.directories.contains_key(&path) {
        let summary = format!("stack `{name}`: no configuration files in `{path}`");
        let help = "its `path` starts at the repository root";
        found.push(Diagnostic::warning("no-files", summary).help(help).at(winner.at.clone()));
        return;
    }
    let mut building = Building::new(name, path, winner.origin, &winner.bindings);
    building.stack.declared_at = Some(winner.at.clone());
    building.stack.was = winner.was.clone();
    let own: Vec<&Body> = group.iter().rev().filter_map(|candidate| candidate.body).collect();
    // Tags decide which `defaults` apply, so they are read first.
    let tags = tags(layers, &own, &winner.bindings);
    for defaults in layers.iter().flat_map(|config| &config.defaults) {
        if selects(defaults, building.stack.name.as_str(), building.stack.path.as_str(), &tags) {
            building.apply(&defaults.body, found);
        }
    }
    for body in own {
        building.apply(body, found);
    }
    finish(&mut building, input, layers, &tags, found);
    resolved.explained.insert(building.stack.name.clone(), building.explained.into_values().collect());
    resolved.stacks.push(building.stack);
}

/// What comes last: `enforce`, and what is asked for together.
pub(super) fn finish(
    building: &mut Building<'_>,
    input: &ResolveInput<'_>,
    layers: &[&Config],
    tags: &[String],
    found: &mut Diagnostics,
) {
    let (name, path) = (building.stack.name.to_string(), building.stack.path.clone());
    building.enforcing = true;
    for enforced in input.organisation.into_iter().chain([input.config]).flat_map(|config| &config.enforce) {
        if selects(enforced, &name, path.as_str(), tags) {
            building.apply(&enforced.body, found);
        }
    }
    building.settle_requirements();
    let explained = &building.explained;
    building.stack.bind_secrets(|key| explained.get(key).and_then(|entry| entry.at.clone()));
    let (rights, places) = access::at_place(layers, Some(Subject { name: &name, path: path.as_str(), tags }));
    access::explain(&rights, places, &mut building.explained);
    building.stack.access = rights;
}

fn identity(candidate: &Candidate<'_>, found: &mut Diagnostics) -> Option<(StackName, RelPath)> {
    for text in [&candidate.name, &candidate.path] {
        if let Some(open) = open_braces(text).first() {
            let summary = format!("unknown `{{{open}}}` in `{text}`");
            let help = "it is neither a folder of `path` nor an axis of `matrix`";
            found.push(Diagnostic::error("unknown-brace", summary).help(help).at(candidate.at.clone()));
            return None;
        }
    }
    let name = StackName::parse(&candidate.name);
    let path = RelPath::parse(candidate.path.trim_end_matches('/'));
    match (name, path) {
        (Ok(name), Ok(path)) => Some((name, path)),
        (Err(error), _) | (_, Err(error)) => {
            found.push(Diagnostic::error("stack", error.to_string()).at(candidate.at.clone()));
            None
        }
    }
}

fn tags(layers: &[&Config], own: &[&Body], bindings: &Bindings) -> Vec<String> {
    let everywhere = layers
        .iter()
        .flat_map(|config| &config.defaults)
        .filter(|d| d.path.is_none() && d.tag.is_none() && d.stack.is_none());
    let bodies = everywhere.map(|defaults| &defaults.body).chain(own.iter().copied());
    let tag = |what: &What| match what {
        What::Tag(tag) => Some(fill(tag, bindings)),
        _ => None,
    };
    bodies.flat_map(|body| body.settings.iter().filter_map(|setting| tag(&setting.what))).collect()
}

pub(super) fn selects(defaults: &Defaults, name: &str, path: &str, tags: &[String]) -> bool {
    defaults.path.as_ref().is_none_or(|glob| glob_matches(glob, path))
        && defaults.stack.as_ref().is_none_or(|glob| glob_matches(glob, name))
        && defaults.tag.as_ref().is_none_or(|tag| tags.contains(tag))
}

fn unique(resolved: &mut Resolved) {
    let found = &mut resolved.diagnostics;
    for pair in resolved.stacks.windows(2) {
        if pair[0].name == pair[1].name {
            let summary = format!("two stacks are named `{}`: `{}` and `{}`", pair[0].name, pair[0].path, pair[1].path);
            let mut diagnostic =
                Diagnostic::error("duplicate-name", summary).help("put a capture or axis into the name");
            diagnostic.span = pair[1].declared_at.clone();
            found.push(diagnostic);
        }
    }
    resolved.stacks.dedup_by(|a, b| a.name == b.name);
}

fn check_order(resolved: &mut Resolved) {
    let nowhere = || Span { file: String::new(), line: 1, column: 1, end_line: 1, end_column: 1, offset: 0, length: 0 };
    let item = |stack: &Stack| order::Item {
        name: stack.name.to_string(),
        at: stack.declared_at.clone().unwrap_or_else(nowhere),
        edges: stack.depends_on.iter().map(|d| (d.stack.to_string(), d.at.clone().unwrap_or_else(nowhere))).collect(),
    };
    let items: Vec<order::Item> = resolved.stacks.iter().map(item).collect();
    order::check("stack", &items, &mut resolved.diagnostics);
}
