//! What one configuration file says about others: blocks that mark a root, and paths that it names.

use std::ops::Range;

use hcl_edit::Span as _;
use hcl_edit::expr::{Expression, FuncCall, TraversalOperator};
use hcl_edit::structure::{Block, Body};
use hcl_edit::template::{Element, StringTemplate};
use hcl_edit::visit::{self, Visit};
use serde_json::Map;

/// What a path is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// The directory of the file.
    Module,
    /// The stack's directory.
    Root,
}

/// One reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) from: From,
    /// A path, `*` for an interpolated component; `module` sources as written.
    pub(super) path: String,
    pub(super) module: bool,
    pub(super) line: usize,
}

/// What one file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FileFacts {
    pub(super) backend: Option<String>,
    /// Is that block known to be empty?
    pub(super) backend_empty: bool,
    pub(super) cloud: bool,
    pub(super) provider: bool,
    pub(super) required_version: Option<String>,
    pub(super) references: Vec<Reference>,
    /// Line and message when the file cannot be parsed.
    pub(super) broken: Option<(usize, String)>,
}

const READERS: [&str; 10] = [
    "file",
    "filebase64",
    "templatefile",
    "fileset",
    "fileexists",
    "filemd5",
    "filesha1",
    "filesha256",
    "filesha512",
    "filebase64sha256",
];

/// Reads a file; what cannot be parsed is scanned line by line.
pub(super) fn read(text: &str, json: bool) -> FileFacts {
    if json {
        return read_json(text);
    }
    match hcl_edit::parser::parse_body(text) {
        Ok(body) => read_body(text, &body),
        Err(error) => {
            let mut facts = scan(text);
            facts.broken = Some((error.location().line(), error.message().to_owned()));
            facts
        }
    }
}

fn read_body(text: &str, body: &Body) -> FileFacts {
    let mut facts = FileFacts::default();
    for block in body.blocks() {
        match block.ident.as_str() {
            "provider" => facts.provider = true,
            "terraform" => {
                for inner in block.body.blocks() {
                    match inner.ident.as_str() {
                        "backend" => {
                            facts.backend = inner.labels.first().map(|label| label.as_str().to_owned());
                            facts.backend_empty = inner.body.is_empty();
                        }
                        "cloud" => facts.cloud = true,
                        _ => {}
                    }
                }
                let version = block.body.get_attribute("required_version").and_then(|a| a.value.as_str());
                facts.required_version = version.map(str::to_owned);
            }
            _ => {}
        }
    }
    let mut reader = Reader { text, facts: &mut facts };
    reader.visit_body(body);
    facts
}

struct Reader<'a> {
    text: &'a str,
    facts: &'a mut FileFacts,
}

impl Reader<'_> {
    fn push(&mut self, from: From, path: &str, module: bool, span: Option<Range<usize>>) {
        let before = self.text.get(..span.map_or(0, |s| s.start)).unwrap_or_default();
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        self.facts.references.push(Reference { from, path: path.to_owned(), module, line });
    }
}

impl Visit for Reader<'_> {
    fn visit_block(&mut self, node: &Block) {
        let name = node.ident.as_str();
        if (name == "module" || name == "terraform")
            && let Some(attribute) = node.body.get_attribute("source")
            && let Some(source) = attribute.value.as_str()
        {
            self.push(From::Module, source, true, attribute.span());
        }
        visit::visit_block(self, node);
    }
    fn visit_func_call(&mut self, node: &FuncCall) {
        let mut literals = node.args.iter().map_while(Expression::as_str);
        if READERS.contains(&node.name.name.as_str())
            && let Some(first) = literals.next()
        {
            let path = match literals.next() {
                Some(pattern) if node.name.name.as_str() == "fileset" => format!("{first}/{pattern}"),
                _ => first.to_owned(),
            };
            self.push(From::Root, &path, false, node.span());
        }
        visit::visit_func_call(self, node);
    }
    fn visit_string_template(&mut self, node: &StringTemplate) {
        let mut elements = node.iter();
        let from = match elements.next() {
            Some(Element::Interpolation(first)) => path_root(&first.expr),
            _ => None,
        };
        if let Some(from) = from {
            let mut path = String::new();
            for element in elements {
                match element {
                    Element::Literal(text) => path.push_str(text.value()),
                    _ => path.push('*'),
                }
            }
            if path.starts_with('/') {
                self.push(from, path.trim_start_matches('/'), false, node.span());
            }
        }
        visit::visit_string_template(self, node);
    }
}

fn path_root(expression: &Expression) -> Option<From> {
    let traversal = expression.as_traversal()?;
    if traversal.expr.as_variable()?.as_str() != "path" {
        return None;
    }
    match traversal.operators.first()?.value() {
        TraversalOperator::GetAttr(name) if name.as_str() == "module" => Some(From::Module),
        TraversalOperator::GetAttr(name) if matches!(name.as_str(), "root" | "cwd") => Some(From::Root),
        _ => None,
    }
}

fn read_json(text: &str) -> FileFacts {
    let value: serde_json::Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let mut facts = scan(text);
            facts.broken = Some((error.line(), error.to_string()));
            return facts;
        }
    };
    let mut facts = scan(text);
    facts.references.retain(|reference| !reference.module);
    facts.provider = value.get("provider").is_some();
    for terraform in each(value.get("terraform")) {
        facts.cloud |= terraform.get("cloud").is_some();
        for backend in each(terraform.get("backend")) {
            let Some((name, settings)) = backend.as_object().and_then(|map| map.iter().next()) else { continue };
            facts.backend = Some(name.clone());
            facts.backend_empty = each(Some(settings)).iter().all(|it| it.as_object().is_some_and(Map::is_empty));
        }
        let version = terraform.get("required_version").and_then(serde_json::Value::as_str);
        facts.required_version = version.map(str::to_owned).or(facts.required_version);
    }
    for modules in each(value.get("module")) {
        for module in modules.as_object().into_iter().flat_map(Map::values).flat_map(|m| each(Some(m))) {
            if let Some(source) = module.get("source").and_then(serde_json::Value::as_str) {
                let at = text.find(source).unwrap_or_default();
                let line = text[..at].bytes().filter(|b| *b == b'\n').count() + 1;
                facts.references.push(Reference { from: From::Module, path: source.to_owned(), module: true, line });
            }
        }
    }
    facts
}

/// JSON syntax lets one block or a list of blocks stand in the same place.
fn each(value: Option<&serde_json::Value>) -> Vec<&serde_json::Value> {
    match value {
        Some(serde_json::Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

/// Finds blocks and paths in text that does not parse, and in the strings of JSON.
fn scan(text: &str) -> FileFacts {
    let mut facts = FileFacts::default();
    for (index, whole) in text.lines().enumerate() {
        let line = whole.trim_start();
        let first = line.split([' ', '\t', '{']).next().unwrap_or_default();
        let quoted = || line.split('"').nth(1).map(str::to_owned);
        match first {
            "backend" => facts.backend = quoted().or(facts.backend),
            "cloud" => facts.cloud = true,
            "provider" if !whole.starts_with([' ', '\t']) => facts.provider = true,
            "source" => {
                let path = quoted().unwrap_or_default();
                facts.references.push(Reference { from: From::Module, path, module: true, line: index + 1 });
            }
            _ => {}
        }
        scan_paths(line, index + 1, &mut facts.references);
    }
    facts
}

fn scan_paths(line: &str, number: usize, out: &mut Vec<Reference>) {
    for (prefix, from) in
        [("${path.module}/", From::Module), ("${path.root}/", From::Root), ("${path.cwd}/", From::Root)]
    {
        for rest in line.split(prefix).skip(1) {
            out.push(Reference { from, path: with_stars(rest), module: false, line: number });
        }
    }
    for name in READERS {
        for open in ["(\"", "(\\\""] {
            for rest in line.split(&format!("{name}{open}")).skip(1).filter(|rest| !rest.starts_with("${")) {
                out.push(Reference { from: From::Root, path: with_stars(rest), module: false, line: number });
            }
        }
    }
}

/// The text up to the closing quote, with `*` for each interpolation.
fn with_stars(rest: &str) -> String {
    let end = rest.find(['"', '\\']).unwrap_or(rest.len());
    let mut out = String::new();
    let mut left = &rest[..end];
    while let Some((literal, tail)) = left.split_once("${") {
        out.push_str(literal);
        out.push('*');
        left = tail.split_once('}').map_or("", |(_, after)| after);
    }
    out.push_str(left);
    out
}
