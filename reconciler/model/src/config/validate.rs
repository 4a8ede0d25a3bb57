//! Holds a parsed file to the tables of `schema`: unknown names with the nearest match, counts and kinds of
//! values, properties given twice.

use kdl::{KdlDocument, KdlEntry, KdlNode, KdlValue};

use super::place::Place;
use super::schema::{Args, Children, FRAGMENT, Kind, MATRIX, Node};
use super::{context, value};
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Validates all nodes of a document against tables.
pub(super) fn document(place: &Place<'_>, nodes: &KdlDocument, tables: &[&[Node]], found: &mut Diagnostics) {
    for node in nodes.nodes() {
        match find(tables, node.name().value()) {
            Some(spec) => one(place, node, spec, found),
            None => found.push(unknown("node", node.name().value(), names(tables)).at(place.name_of(node))),
        }
    }
}

fn find(tables: &[&[Node]], name: &str) -> Option<Node> {
    tables.iter().flat_map(|table| table.iter()).find(|node| node.name == name).copied()
}

fn names(tables: &[&[Node]]) -> Vec<&'static str> {
    tables.iter().flat_map(|table| table.iter()).map(|node| node.name).collect()
}

/// "unknown node `aproval`", with the nearest that exists.
fn unknown(what: &str, name: &str, known: Vec<&str>) -> Diagnostic {
    let code = format!("unknown-{what}");
    let diagnostic = Diagnostic::error(&code, format!("unknown {what} `{name}`"));
    match value::nearest(name, known.iter().copied()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None if known.is_empty() => diagnostic.help(format!("no {what} may stand here")),
        None => diagnostic.help(format!("here may stand: {}", known.join(", "))),
    }
}

fn one(place: &Place<'_>, node: &KdlNode, spec: Node, found: &mut Diagnostics) {
    entries(place, node, &spec, found);
    let empty = KdlDocument::new();
    let children = node.children().unwrap_or(&empty);
    match spec.children {
        Children::None => {
            if let Some(child) = children.nodes().first() {
                let summary = format!("`{}` takes no children", spec.name);
                found.push(Diagnostic::error("no-children", summary).at(place.name_of(child)));
            }
        }
        Children::Nodes(tables) => document(place, children, tables, found),
        Children::Fragment => document(place, children, FRAGMENT, found),
        Children::Map => map(place, spec.name, children, found),
    }
}

fn map(place: &Place<'_>, name: &str, children: &KdlDocument, found: &mut Diagnostics) {
    for child in children.nodes() {
        if name == "matrix" && MATRIX.iter().any(|node| node.name == child.name().value()) {
            continue;
        }
        duplicates(place, child, found);
        let secret = child.get("secret").is_some();
        child.entries().iter().for_each(|entry| references(place, entry, found));
        for entry in child.entries() {
            match entry.name().map(kdl::KdlIdentifier::value) {
                Some("secret") if name != "matrix" => {}
                Some(other) => {
                    found.push(unknown("property", other, vec!["secret"]).at(place.entry(entry)));
                }
                None if name == "env" && entry.value().is_bool() => found.push(
                    Diagnostic::error("not-text", "an environment variable is text")
                        .help("put it in quotes")
                        .at(place.entry(entry)),
                ),
                None => {}
            }
        }
        let arguments = child.entries().iter().filter(|e| e.name().is_none()).count();
        let nothing = arguments == 0 && !secret && child.children().is_none_or(|c| c.nodes().is_empty());
        let several = name == "env" && arguments > 1;
        if nothing || several || (secret && arguments > 0) {
            let summary = format!("`{}` needs one value", child.name().value());
            let help = "write a value, or `secret=NAME`";
            found.push(Diagnostic::error("value-count", summary).help(help).at(place.name_of(child)));
        }
    }
}

fn duplicates(place: &Place<'_>, node: &KdlNode, found: &mut Diagnostics) {
    let mut seen: Vec<&str> = Vec::new();
    for entry in node.entries() {
        let Some(name) = entry.name().map(kdl::KdlIdentifier::value) else { continue };
        if seen.contains(&name) {
            let summary = format!("`{name}` is given twice");
            let help = "a property takes one value; several values are arguments of a node";
            found.push(Diagnostic::error("duplicate-property", summary).help(help).at(place.entry(entry)));
        }
        seen.push(name);
    }
}

fn entries(place: &Place<'_>, node: &KdlNode, spec: &Node, found: &mut Diagnostics) {
    duplicates(place, node, found);
    let mut count = 0;
    for entry in node.entries() {
        match entry.name().map(kdl::KdlIdentifier::value) {
            Some(name) => match spec.props.iter().find(|(known, _)| *known == name) {
                Some((_, kind)) => kind_of(place, entry, *kind, found),
                None if spec.open => {}
                None if name.ends_with(['>', '<', '~', '!']) => {
                    let summary = format!("`{name}={}` is no property", value::as_written(entry));
                    let help = "properties are written name=value; version=\"1.9\" is the newest 1.9.x, \"=1.9.3\" exactly that";
                    found.push(Diagnostic::error("comparison", summary).help(help).at(place.entry(entry)));
                }
                None => {
                    let known = spec.props.iter().map(|(known, _)| *known).collect();
                    found.push(unknown("property", name, known).at(place.entry(entry)));
                }
            },
            None => {
                count += 1;
                argument(place, entry, spec, count, found);
            }
        }
    }
    if count < spec.args.min {
        let summary = format!("`{}` needs {}", spec.name, wanted(spec.args));
        found.push(Diagnostic::error("value-count", summary).at(place.name_of(node)));
    }
}

fn wanted(args: Args) -> &'static str {
    if args.max == 1 { "one value" } else { "at least one value" }
}

fn argument(place: &Place<'_>, entry: &KdlEntry, spec: &Node, count: usize, found: &mut Diagnostics) {
    if spec.name == "run" {
        for hidden in context::in_single_quotes(entry.value().as_string().unwrap_or_default()) {
            let summary = format!("`{hidden}` in single quotes is not filled in by the shell");
            let warning = Diagnostic::warning("single-quotes", summary).help("use double quotes");
            found.push(warning.at(place.entry(entry)));
        }
    }
    if count <= spec.args.max {
        return kind_of(place, entry, spec.args.kind, found);
    }
    let summary = format!("`{}` takes {}", spec.name, if spec.args.max == 0 { "no argument" } else { "one argument" });
    let help = if spec.props.is_empty() { "remove it" } else { "properties are written name=value" };
    found.push(Diagnostic::error("extra-argument", summary).help(help).at(place.entry(entry)));
}

/// Each `${x.y}` must name something.
fn references(place: &Place<'_>, entry: &KdlEntry, found: &mut Diagnostics) {
    let text = entry.value().as_string().unwrap_or_default();
    for (summary, help) in context::references(text) {
        found.push(Diagnostic::error("unknown-reference", summary).help(help).at(place.entry(entry)));
    }
}

fn kind_of(place: &Place<'_>, entry: &KdlEntry, kind: Kind, found: &mut Diagnostics) {
    references(place, entry, found);
    if let Err((code, summary, help)) = value::check(kind, entry.value(), &value::as_written(entry)) {
        found.push(Diagnostic::error(code, summary).help(help).at(place.entry(entry)));
    } else if let (KdlValue::String(text), Kind::Text | Kind::Glob) = (entry.value(), kind)
        && text.ends_with(',')
    {
        let help = "arguments are separated by spaces";
        found.push(Diagnostic::error("comma", "lists have no commas").help(help).at(place.entry(entry)));
    }
}
