//! Nodes as settings: what one layer says about a stack, each with its place.
//!
//! A body is a list, so that layers merge by applying one list after the other.

use std::collections::BTreeMap;

use kdl::{KdlDocument, KdlEntry, KdlNode, KdlValue};

use super::gates::{Asked, is_requirement};
use super::place::Place;
use super::value;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// What one layer says about stacks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Body {
    pub(super) settings: Vec<Setting>,
    /// The axes of a family, from the stack's own `matrix`.
    pub(super) matrix: Option<Matrix>,
}

/// One value with its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    pub(super) at: Span,
    pub(super) what: What,
}

/// What is set. Texts may still hold `{…}` of captures and axes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Path(String),
    Workspace(String),
    Tool {
        name: String,
        version: Option<String>,
    },
    ApplyOn(String),
    AfterUpstream(String),
    ApplyTimeout(u64),
    /// The method, when one is named.
    Automerge(Option<String>),
    Lock {
        mode: String,
        per_base_branch: bool,
    },
    Require(Asked),
    PlanAuto(bool),
    PlanDrafts(bool),
    PlanRestrict(bool),
    PlanTtl(u64),
    PlanTimeout(u64),
    Var(String, Raw),
    Env(String, Raw),
    VarFile(String),
    Watch {
        pattern: String,
        only: bool,
    },
    Tag(String),
    DependsOn {
        stack: String,
        only_if_changed: bool,
    },
    Input {
        variable: String,
        from: String,
        sensitive: bool,
        only_if_changed: bool,
    },
    State {
        own: bool,
        config: Vec<String>,
    },
    /// Valid, and a plan would need it, and this version cannot give it.
    NotYet(String),
    /// Valid, and a plan does not need it: shown by `--explain` only.
    Other {
        key: String,
        value: String,
    },
}

/// A value of `var` or `env` before texts are filled in.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    Secret(String),
    Json(serde_json::Value),
}

/// Axes of a family that are not folders.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Matrix {
    pub(super) axes: Vec<(String, Vec<String>)>,
    pub(super) exclude: Vec<BTreeMap<String, String>>,
    pub(super) include: Vec<BTreeMap<String, String>>,
}

/// A fragment as written; read anew at each `use`, with its arguments filled in.
#[derive(Debug, Clone)]
pub(super) struct Fragment {
    pub(super) file: String,
    pub(super) text: String,
    pub(super) nodes: KdlDocument,
}

/// Reads nodes at one place of the language.
pub(super) type ReadNodes = fn(&Reader<'_>, &KdlDocument, &mut Body, &mut Diagnostics);

/// Everything that reading bodies needs.
pub(super) struct Reader<'a> {
    pub(super) place: &'a Place<'a>,
    pub(super) fragments: &'a BTreeMap<String, Fragment>,
    pub(super) arguments: BTreeMap<String, String>,
    /// Fragments that are being inserted, to refuse circles.
    pub(super) open: Vec<String>,
}

impl Reader<'_> {
    /// Reads the children of a `stack`, `defaults` or fragment.
    pub(super) fn body(&self, nodes: &KdlDocument, body: &mut Body, found: &mut Diagnostics) {
        for node in nodes.nodes() {
            match node.name().value() {
                "use" => self.insert(node, body, found, |r, nodes, body, found| r.body(nodes, body, found)),
                "matrix" => body.matrix = Some(self.matrix(node)),
                "require" => {
                    if let Some(children) = node.children() {
                        self.requirements(children, body, found);
                    }
                }
                // Only a fragment brings one here without `require` around it.
                name if is_requirement(name) => {
                    let mut alone = KdlDocument::new();
                    alone.nodes_mut().push(node.clone());
                    self.requirements(&alone, body, found);
                }
                _ => self.settings(node, body),
            }
        }
    }

    /// Reads the fragments of a `use` where it stands.
    pub(super) fn insert(&self, node: &KdlNode, body: &mut Body, found: &mut Diagnostics, read: ReadNodes) {
        for entry in arguments(node) {
            let name = self.text(entry);
            let Some(fragment) = self.fragments.get(&name) else {
                let near = value::nearest(&name, self.fragments.keys().map(String::as_str));
                let help = near
                    .map_or_else(|| "no fragment has this name".to_owned(), |near| format!("did you mean `{near}`?"));
                found.push(
                    Diagnostic::error("unknown-fragment", format!("unknown fragment `{name}`"))
                        .help(help)
                        .at(self.place.entry(entry)),
                );
                continue;
            };
            if self.open.contains(&name) {
                let circle = format!("{} uses itself", self.open.join(" uses "));
                found.push(Diagnostic::error("fragment-circle", circle).at(self.place.entry(entry)));
                continue;
            }
            let place = Place::new(&fragment.file, &fragment.text);
            let mut given = BTreeMap::new();
            for property in node.entries().iter().filter(|e| e.name().is_some()) {
                let key = property.name().map(|n| n.value().to_owned()).unwrap_or_default();
                given.insert(key, self.text(property));
            }
            let open = self.open.iter().cloned().chain([name]).collect();
            let reader = Reader { place: &place, fragments: self.fragments, arguments: given, open };
            read(&reader, &fragment.nodes, body, found);
        }
    }

    /// An entry's text with the fragment's arguments filled in.
    pub(super) fn text(&self, entry: &KdlEntry) -> String {
        fill(&value::as_written(entry), &self.arguments)
    }

    fn texts(&self, node: &KdlNode) -> Vec<String> {
        arguments(node).map(|entry| self.text(entry)).collect()
    }

    pub(super) fn property(&self, node: &KdlNode, key: &str) -> Option<String> {
        node.entry(key).map(|entry| self.text(entry))
    }

    fn settings(&self, node: &KdlNode, body: &mut Body) {
        let at = self.place.span(node.span().offset() + leading(self.place, node), node.name().value().len());
        let name = node.name().value();
        let first = || self.texts(node).into_iter().next().unwrap_or_default();
        let mut push = |what: What| body.settings.push(Setting { at: at.clone(), what });
        match name {
            "path" => push(What::Path(first())),
            "workspace" => push(What::Workspace(first())),
            "tool" if first() == "terragrunt" => push(What::NotYet("terragrunt".to_owned())),
            "tool" => push(What::Tool { name: first(), version: self.property(node, "version") }),
            "tags" => self.texts(node).into_iter().for_each(|tag| push(What::Tag(tag))),
            "var-file" => self.texts(node).into_iter().for_each(|file| push(What::VarFile(file))),
            "watch" => {
                let only = flag(node, "only");
                self.texts(node).into_iter().for_each(|pattern| push(What::Watch { pattern, only }));
            }
            "depends-on" => {
                let only_if_changed = flag(node, "only-if-changed");
                self.texts(node).into_iter().for_each(|stack| push(What::DependsOn { stack, only_if_changed }));
            }
            "input" => push(What::Input {
                variable: first(),
                from: self.property(node, "from").unwrap_or_default(),
                sensitive: flag(node, "sensitive"),
                only_if_changed: flag(node, "only-if-changed"),
            }),
            "state" => push(What::State { own: first() == "own", config: self.children_texts(node, "config") }),
            "apply" => self.apply(node, &mut push),
            "plan" => plan(node, &mut push),
            "var" | "env" => self.values(node, body),
            "lock" => {
                push(What::Lock { mode: first(), per_base_branch: self.property(node, "per").is_some() });
            }
            "policies" => {
                self.texts(node).into_iter().for_each(|name| push(What::Require(Asked::Policy(name))));
            }
            "identity" => push(What::NotYet(format!("the identity `{}`", first()))),
            "hooks" => push(What::NotYet("hooks".to_owned())),
            "steps" => push(What::NotYet("own steps".to_owned())),
            "image" => push(What::NotYet(format!("the container image `{}`", first()))),
            "runner" => push(What::NotYet(format!("the runner `{}`", first()))),
            _ => push(What::Other { key: name.to_owned(), value: self.texts(node).join(" ") }),
        }
    }

    fn apply(&self, node: &KdlNode, push: &mut impl FnMut(What)) {
        if let Some(on) = self.property(node, "on") {
            push(What::ApplyOn(on));
        }
        if let Some(then) = self.property(node, "after-upstream") {
            push(What::AfterUpstream(then));
        }
        let timeout = self.property(node, "timeout").as_deref().and_then(value::duration_seconds);
        timeout.into_iter().for_each(|seconds| push(What::ApplyTimeout(seconds)));
        let mut children = node.children().into_iter().flat_map(KdlDocument::nodes);
        if let Some(automerge) = children.find(|child| child.name().value() == "automerge") {
            push(What::Automerge(arguments(automerge).next().map(|entry| self.text(entry))));
        }
    }

    pub(super) fn children_texts(&self, node: &KdlNode, name: &str) -> Vec<String> {
        let children = node.children().into_iter().flat_map(KdlDocument::nodes);
        children.filter(|child| child.name().value() == name).flat_map(|child| self.texts(child)).collect()
    }

    fn values(&self, node: &KdlNode, body: &mut Body) {
        let is_env = node.name().value() == "env";
        for child in node.children().into_iter().flat_map(KdlDocument::nodes) {
            let at = self.place.name_of(child);
            let key = fill(child.name().value(), &self.arguments);
            let raw = match self.property(child, "secret") {
                Some(secret) => Raw::Secret(secret),
                None if is_env => Raw::Json(self.texts(child).into_iter().next().unwrap_or_default().into()),
                None => Raw::Json(self.json(child)),
            };
            let what = if is_env { What::Env(key, raw) } else { What::Var(key, raw) };
            body.settings.push(Setting { at, what });
        }
    }

    /// One argument: scalar, several: list, children: object.
    fn json(&self, node: &KdlNode) -> serde_json::Value {
        if let Some(children) = node.children() {
            let pairs = children.nodes().iter().map(|c| (fill(c.name().value(), &self.arguments), self.json(c)));
            return serde_json::Value::Object(pairs.collect());
        }
        let mut values: Vec<serde_json::Value> = arguments(node).map(|entry| self.scalar(entry)).collect();
        if values.len() == 1 { values.remove(0) } else { serde_json::Value::Array(values) }
    }

    fn scalar(&self, entry: &KdlEntry) -> serde_json::Value {
        match entry.value() {
            KdlValue::String(text) => fill(text, &self.arguments).into(),
            KdlValue::Bool(value) => (*value).into(),
            KdlValue::Null => serde_json::Value::Null,
            KdlValue::Integer(number) => i64::try_from(*number).map_or_else(|_| number.to_string().into(), Into::into),
            KdlValue::Float(number) => {
                serde_json::Number::from_f64(*number).map_or_else(|| value::as_written(entry).into(), Into::into)
            }
        }
    }

    fn matrix(&self, node: &KdlNode) -> Matrix {
        let mut matrix = Matrix::default();
        for child in node.children().into_iter().flat_map(KdlDocument::nodes) {
            let pairs = || {
                let named = child.entries().iter().filter_map(|e| Some((e.name()?.value().to_owned(), self.text(e))));
                named.collect::<BTreeMap<_, _>>()
            };
            match child.name().value() {
                "exclude" => matrix.exclude.push(pairs()),
                "include" => matrix.include.push(pairs()),
                axis => matrix.axes.push((axis.to_owned(), self.texts(child))),
            }
        }
        matrix
    }
}

fn plan(node: &KdlNode, push: &mut impl FnMut(What)) {
    for entry in node.entries() {
        let text = value::as_written(entry);
        let on = entry.value().as_bool().unwrap_or_default();
        match (entry.name().map(kdl::KdlIdentifier::value), value::duration_seconds(&text)) {
            (Some("auto"), _) => push(What::PlanAuto(on)),
            (Some("drafts"), _) => push(What::PlanDrafts(on)),
            (Some("restrict"), _) => push(What::PlanRestrict(on)),
            (Some("ttl"), Some(seconds)) => push(What::PlanTtl(seconds)),
            (Some("timeout"), Some(seconds)) => push(What::PlanTimeout(seconds)),
            _ => {}
        }
    }
}

fn leading(place: &Place<'_>, node: &KdlNode) -> usize {
    usize::try_from(place.name_of(node).offset).unwrap_or(0).saturating_sub(node.span().offset())
}

/// The arguments of a node (entries without a name).
pub(super) fn arguments(node: &KdlNode) -> impl Iterator<Item = &KdlEntry> {
    node.entries().iter().filter(|entry| entry.name().is_none())
}

fn flag(node: &KdlNode, key: &str) -> bool {
    node.get(key).and_then(KdlValue::as_bool).unwrap_or(false)
}

/// Replaces each `{key}` that is given; `${…}` and unknown braces stay.
pub(super) fn fill(text: &str, given: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        out.push_str(before);
        let close = from.find('}').map(|at| at + 1);
        let known = close.filter(|_| !before.ends_with('$')).and_then(|end| Some((end, given.get(&from[1..end - 1])?)));
        match (known, close) {
            (Some((end, value)), _) => {
                out.push_str(value);
                rest = &from[end..];
            }
            (None, Some(end)) => {
                out.push_str(&from[..end]);
                rest = &from[end..];
            }
            (None, None) => {
                out.push_str(from);
                rest = "";
            }
        }
    }
    out + rest
}

/// Names in `{…}` that are still open (not `${…}`).
pub(super) fn open_braces(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let dollar = rest[..open].ends_with('$');
        let from = &rest[open + 1..];
        let Some(close) = from.find('}') else { break };
        if !dollar {
            names.push(&from[..close]);
        }
        rest = &from[close + 1..];
    }
    names
}
