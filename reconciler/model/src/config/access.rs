//! `access` and `commands`: who may give which command where.

use std::collections::{BTreeMap, BTreeSet};

use kdl::{KdlDocument, KdlNode};

use super::glob_matches;
use super::place::Place;
use super::read::arguments;
use super::value;
use crate::access::{Access, AccessRule, Right};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::who::Who;

/// One `allow` or `deny` with the stacks that it is about.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) rule: AccessRule,
    /// None: everywhere.
    on: Vec<Selector>,
    pub(super) at: Span,
}

/// `tag:env:prod`, `path:infra/**`, `stack:net-*`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Selector {
    Tag(String),
    Path(String),
    Stack(String),
}

/// What rules are asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) name: &'a str,
    pub(super) path: &'a str,
    pub(super) tags: &'a [String],
}

/// Is the text a selector? The error is what to write.
pub(super) fn judge_selector(text: &str) -> Result<(), &'static str> {
    selector(text).map(|_| ()).ok_or("write \"tag:env:prod\", \"path:infra/**\" or \"stack:net-*\"")
}

fn selector(text: &str) -> Option<Selector> {
    let (kind, rest) = text.split_once(':').filter(|(_, rest)| !rest.is_empty())?;
    match kind {
        "tag" => Some(Selector::Tag(rest.to_owned())),
        "path" => Some(Selector::Path(rest.to_owned())),
        "stack" => Some(Selector::Stack(rest.to_owned())),
        _ => None,
    }
}

impl Rule {
    /// Does it reach this stack; with `None`: the repository as a whole?
    pub(super) fn reaches(&self, subject: Option<Subject<'_>>) -> bool {
        let Some(subject) = subject else { return self.on.is_empty() };
        let hit = |selector: &Selector| match selector {
            Selector::Tag(tag) => subject.tags.contains(tag),
            Selector::Path(glob) => glob_matches(glob, subject.path),
            Selector::Stack(glob) => glob_matches(glob, subject.name),
        };
        self.on.is_empty() || self.on.iter().any(hit)
    }
}

/// The rules of an `access` node.
pub(super) fn rules(place: &Place<'_>, node: &KdlNode, found: &mut Diagnostics) -> Vec<Rule> {
    let children = node.children().into_iter().flat_map(KdlDocument::nodes);
    children.filter_map(|child| rule(place, child, found)).collect()
}

fn rule(place: &Place<'_>, node: &KdlNode, found: &mut Diagnostics) -> Option<Rule> {
    let at = place.name_of(node);
    let texts = |name: &str| {
        let children = node.children().into_iter().flat_map(KdlDocument::nodes);
        let named = children.filter(move |child| child.name().value() == name);
        named.flat_map(|child| arguments(child).map(value::as_written)).collect::<Vec<_>>()
    };
    let deny = node.name().value() == "deny";
    let who: Vec<String> = texts("who");
    if who.is_empty() {
        let finding = Diagnostic::error("who", format!("`{}` names nobody", node.name().value()));
        found.push(finding.help("write who team:sre, user:ana, role:write, author or \"*\"").at(at));
        return None;
    }
    // `validate` reported what cannot be read; such a rule is none, and its file does not count as trusted.
    let who = who.iter().map(|text| Who::parse(text).ok()).collect::<Option<BTreeSet<Who>>>()?;
    let on = texts("on").iter().map(|text| selector(text)).collect::<Option<Vec<_>>>()?;
    let rights = arguments(node).map(|entry| Right::parse(&value::as_written(entry))).collect::<Option<_>>()?;
    Some(Rule { rule: AccessRule { deny, rights, who }, on, at })
}

/// What a repository's layers say together, for one place.
pub(super) fn at_place(layers: &[&super::Config], subject: Option<Subject<'_>>) -> (Access, Vec<Span>) {
    let mut access = Access::default();
    let mut places = Vec::new();
    for config in layers {
        for rule in config.access.iter().filter(|rule| rule.reaches(subject)) {
            access.rules.push(rule.rule.clone());
            places.push(rule.at.clone());
        }
        access.enabled.extend(config.enabled.iter().filter_map(|verb| Right::parse(verb)));
        access.bots.extend(config.bots.iter().map(|bot| bot.to_ascii_lowercase()));
    }
    (access, places)
}

/// Lines of `--explain`.
pub(super) fn explain(access: &Access, places: Vec<Span>, into: &mut BTreeMap<String, super::Explained>) {
    for (index, (rule, at)) in access.rules.iter().zip(places).enumerate() {
        let text = rule.to_string();
        let (key, value) = text.split_once(" to ").unwrap_or((&text, ""));
        let explained = super::Explained { key: key.to_owned(), value: value.to_owned(), at: Some(at) };
        into.insert(format!("access {index:03}"), explained);
    }
}
