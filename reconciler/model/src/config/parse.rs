//! Files to `Config`: guard, parse on a thread of its own, validate, read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kdl::{KdlDocument, KdlNode};

use super::place::Place;
use super::read::{Body, Fragment, Reader, arguments};
use super::schema::{ORGANISATION, TOP};
use super::{Config, Defaults, Discover, Parsed, SourceFile, StackNode, access, guard, order, validate, value};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::stack::NotYet;

/// Diagnostics shown of one file; the rest is counted.
const SHOWN: usize = 20;
/// Known version of the language.
const VERSION: &str = "1";

/// Reads all files of `.buildit/` as one configuration.
pub fn parse(files: &[SourceFile]) -> Parsed {
    let mut ordered: Vec<&SourceFile> = files.iter().collect();
    ordered.sort_by(|a, b| a.path.cmp(&b.path));
    let mut diagnostics = Diagnostics::new();
    let mut documents = Vec::new();
    for file in ordered {
        match document(file) {
            Ok(nodes) => documents.push((file, nodes)),
            Err(found) => diagnostics.extend(found),
        }
    }
    let mut fragments = BTreeMap::new();
    for (file, nodes) in &documents {
        let place = Place::new(&file.path, &file.text);
        let mut found = Diagnostics::new();
        validate::document(&place, nodes, &[TOP, ORGANISATION], &mut found);
        diagnostics.extend(capped(found, &place));
        collect_fragments(file, nodes, &mut fragments);
    }
    let mut config = Config { fragments, ..Config::default() };
    let mut names = BTreeSet::new();
    for (file, nodes) in &documents {
        let place = Place::new(&file.path, &file.text);
        let mut into = Into { config: &mut config, names: &mut names, found: &mut diagnostics };
        into.document(&place, nodes);
    }
    diagnostics.sort();
    Parsed { config, diagnostics }
}

/// The parsed file, or why not. The parser runs under a stack and a deadline of its own.
pub(super) fn document(file: &SourceFile) -> Result<KdlDocument, Diagnostics> {
    let place = Place::new(&file.path, &file.text);
    if let Some(at) = file.text.find('\u{FFFD}') {
        let found = Diagnostic::error("not-utf8", "the file is not UTF-8 text").at(place.span(at, 3));
        return Err([found].into_iter().collect());
    }
    guard::check(&file.path, &file.text).map_err(|found| [*found].into_iter().collect::<Diagnostics>())?;
    let text = file.text.clone();
    let (sender, receiver) = std::sync::mpsc::channel();
    let work = move || {
        // The receiver is gone only after the deadline; then nobody wants the answer.
        sender.send(KdlDocument::parse(&text)).ok();
    };
    let spawned = std::thread::Builder::new().name("kdl".to_owned()).stack_size(32 << 20).spawn(work);
    let answer = spawned.ok().and_then(|_| receiver.recv_timeout(Duration::from_secs(5)).ok());
    match answer {
        Some(Ok(nodes)) => Ok(nodes),
        Some(Err(error)) => Err(capped(syntax(&place, &error), &place)),
        None => {
            let summary = "the file takes too long to read";
            Err([Diagnostic::error("too-slow", summary).help("simplify it").at(place.span(0, 0))].into_iter().collect())
        }
    }
}

fn syntax(place: &Place<'_>, error: &kdl::KdlError) -> Diagnostics {
    let one = |found: &kdl::KdlDiagnostic| {
        let (summary, help) = slip(place.line_text(found.span.offset())).unwrap_or_else(|| {
            let summary = found.message.clone().unwrap_or_else(|| "not KDL".to_owned());
            (summary.to_lowercase(), found.help.clone().unwrap_or_default())
        });
        Diagnostic::error("syntax", summary).help(help).at(place.span(found.span.offset(), found.span.len()))
    };
    let mut seen = BTreeSet::new();
    error
        .diagnostics
        .iter()
        .map(one)
        .filter(|d| seen.insert((d.span.as_ref().map(|s| s.line), d.summary.clone())))
        .collect()
}

/// What people get wrong has its own message.
fn slip(line: &str) -> Option<(String, String)> {
    let outside: String = line.split('"').step_by(2).collect();
    let word = |test: &dyn Fn(&str) -> bool| {
        outside.split(|c: char| c.is_whitespace() || matches!(c, ';' | '{' | '}')).find(|w| test(w)).map(str::to_owned)
    };
    if line.matches("\"\"\"").count() == 2 {
        let help = "use one \" on each side, or put the text between the \"\"\" on lines of its own";
        return Some(("`\"\"\"` opens a text of several lines".to_owned(), help.to_owned()));
    }
    if line.contains("\\d") || line.contains("\\w") || line.contains("\\.") || line.contains("\\s") {
        let help = "write a raw text: #\"\\d+\"#";
        return Some(("a backslash in quotes begins an escape".to_owned(), help.to_owned()));
    }
    if let Some(found) = word(&|w| w.contains(">=") || w.contains("<=") || w.contains("~>")) {
        let help = "properties are written name=\"value\"; version=\"1.9\" means the newest 1.9";
        return Some((format!("`{found}` is not a property"), help.to_owned()));
    }
    if let Some(found) = word(&|w| matches!(w.rsplit('=').next(), Some("true" | "false" | "null"))) {
        let fixed = found.replace("true", "#true").replace("false", "#false").replace("null", "#null");
        return Some((format!("`{found}`: true, false and null begin with #"), format!("write {fixed}")));
    }
    if let Some(found) = word(&|w| w.contains('/') && !w.starts_with('/')) {
        return Some((format!("`{found}` holds a `/` and needs quotes"), format!("write \"{found}\"")));
    }
    word(&|w| w.ends_with(','))
        .map(|found| (format!("`{found}`: lists have no commas"), "separate values by spaces".to_owned()))
}

fn capped(found: Diagnostics, place: &Place<'_>) -> Diagnostics {
    let more = found.len().saturating_sub(SHOWN);
    let mut kept: Diagnostics = found.iter().take(SHOWN).cloned().collect();
    if more > 0 {
        kept.push(Diagnostic::error("more", format!("{more} more in this file")).at(place.span(0, 0)));
    }
    kept
}

fn collect_fragments(file: &SourceFile, nodes: &KdlDocument, into: &mut BTreeMap<String, Fragment>) {
    for node in nodes.nodes().iter().filter(|node| node.name().value() == "fragment") {
        let (Some(name), Some(children)) = (arguments(node).next().map(value::as_written), node.children()) else {
            continue;
        };
        let fragment = Fragment { file: file.path.clone(), text: file.text.clone(), nodes: children.clone() };
        into.insert(name, fragment);
    }
}

struct Into<'a> {
    config: &'a mut Config,
    names: &'a mut BTreeSet<(String, String)>,
    found: &'a mut Diagnostics,
}

impl Into<'_> {
    fn document(&mut self, place: &Place<'_>, nodes: &KdlDocument) {
        for node in nodes.nodes() {
            self.unique(place, node);
            self.node(place, node);
        }
    }

    fn unique(&mut self, place: &Place<'_>, node: &KdlNode) {
        const NAMED: [&str; 7] = ["stack", "pipeline", "fragment", "environment", "service", "policy", "target"];
        let kind = node.name().value();
        let Some(name) = arguments(node).next().map(value::as_written).filter(|_| NAMED.contains(&kind)) else {
            return;
        };
        if !self.names.insert((kind.to_owned(), name.clone())) {
            let summary = format!("a second {kind} named `{name}`");
            self.found.push(
                Diagnostic::error("duplicate-name", summary).help("names are unique per kind").at(place.key(node, 0)),
            );
        }
    }

    fn body(&mut self, place: &Place<'_>, node: &KdlNode) -> Body {
        let fragments = self.config.fragments.clone();
        let reader = Reader { place, fragments: &fragments, arguments: BTreeMap::new(), open: Vec::new() };
        let mut body = Body::default();
        if let Some(children) = node.children() {
            reader.body(children, &mut body, self.found);
        }
        body
    }

    fn node(&mut self, place: &Place<'_>, node: &KdlNode) {
        let texts: Vec<String> = arguments(node).map(value::as_written).collect();
        let property = |key: &str| node.entry(key).map(value::as_written);
        let at = place.name_of(node);
        match node.name().value() {
            "buildit" => self.version(place, node),
            "branches" => {
                self.config.branches.extend(texts);
                self.config.preview.extend(children_texts(node, "preview"));
            }
            "comment" => self.config.comment = property("on"),
            "commands" => {
                self.config.prefixes.extend(children_texts(node, "prefix"));
                self.config.enabled.extend(children_texts(node, "allow"));
                self.config.bots.extend(children_texts(node, "bots"));
            }
            "access" => self.config.access.extend(access::rules(place, node, self.found)),
            kind @ ("defaults" | "enforce") => {
                let body = self.body(place, node);
                let layer = Defaults { path: property("path"), tag: property("tag"), stack: property("stack"), body };
                let enforced = kind == "enforce";
                if enforced { &mut self.config.enforce } else { &mut self.config.defaults }.push(layer);
            }
            "stack" => {
                let Some(name) = texts.into_iter().next() else { return };
                let body = self.body(place, node);
                let was = property("was").into_iter().collect();
                self.config.stacks.push(StackNode { name, was, body, at });
            }
            "discover" => self.discover(place, node),
            "repository" => self.repository(place, node, texts),
            "pipeline" => self.pipeline(place, node, &texts),
            "generate" => self.later("`generate`", at),
            kind @ ("service" | "environment" | "target" | "policy" | "notify") => {
                self.later(&format!("{kind} `{}`", texts.first().map_or("", String::as_str)), at);
            }
            _ => {}
        }
    }

    fn later(&mut self, what: &str, at: crate::diagnostic::Span) {
        self.config.not_yet.push(NotYet { what: what.to_owned(), at: Some(at) });
    }

    fn version(&mut self, place: &Place<'_>, node: &KdlNode) {
        let Some(entry) = node.entry("version") else { return };
        let written = value::as_written(entry);
        if written != VERSION {
            let summary = format!("this server knows version {VERSION} of the language, not {written}");
            self.found.push(
                Diagnostic::error("version", summary)
                    .help("update the server, or write version=1")
                    .at(place.entry(entry)),
            );
        }
    }

    fn discover(&mut self, place: &Place<'_>, node: &KdlNode) {
        let or = |list: Vec<String>, other: &str| if list.is_empty() { vec![other.to_owned()] } else { list };
        let name = children_texts(node, "name").into_iter().next().unwrap_or_else(|| "{dir}".to_owned());
        if children_texts(node, "kind").iter().any(|kind| kind == "terragrunt") {
            return self.later("discovery of terragrunt units", place.name_of(node));
        }
        self.config.discover.push(Discover {
            roots: or(children_texts(node, "root"), "**"),
            ignore: children_texts(node, "ignore"),
            name,
            at: place.name_of(node),
        });
    }

    fn repository(&mut self, place: &Place<'_>, node: &KdlNode, texts: Vec<String>) {
        let Some(pattern) = texts.into_iter().next() else { return };
        let mut inner = Config { fragments: self.config.fragments.clone(), ..Config::default() };
        if let Some(children) = node.children() {
            let mut names = BTreeSet::new();
            Into { config: &mut inner, names: &mut names, found: self.found }.document(place, children);
        }
        self.config.repositories.push((pattern, inner));
    }

    fn pipeline(&mut self, place: &Place<'_>, node: &KdlNode, texts: &[String]) {
        let name = texts.first().map_or("", String::as_str);
        self.later(&format!("pipeline `{name}`"), place.name_of(node));
        let mut stages = Vec::new();
        for stage in node.children().into_iter().flat_map(KdlDocument::nodes).filter(|n| n.name().value() == "stage") {
            let Some(name) = arguments(stage).next().map(value::as_written) else { continue };
            let needs =
                stage.children().into_iter().flat_map(KdlDocument::nodes).filter(|n| n.name().value() == "needs");
            let edges = needs.flat_map(|n| arguments(n).map(|e| (value::as_written(e), place.entry(e)))).collect();
            stages.push(order::Item { name, at: place.key(stage, 0), edges });
        }
        order::check("stage", &stages, self.found);
    }
}

fn children_texts(node: &KdlNode, name: &str) -> Vec<String> {
    let children = node.children().into_iter().flat_map(KdlDocument::nodes);
    children
        .filter(|child| child.name().value() == name)
        .flat_map(|child| arguments(child).map(value::as_written))
        .collect()
}
