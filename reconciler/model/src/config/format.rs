//! One way of writing: four spaces per level, no trailing blanks, quotes around numbers where text is wanted.
//!
//! Works on the text, not on KDL's tree, whose own formatting drops comments at the end of a line.
//! Invariant: comments stay, the meaning stays, and what was formatted once is not changed again.

use kdl::{KdlDocument, KdlEntry, KdlNode, KdlValue};

use super::schema::{Children, FRAGMENT, Kind, Node, ORGANISATION, TOP};
use super::{SourceFile, parse, value};
use crate::diagnostic::Diagnostics;

/// The file in the one way of writing. What cannot be read is refused with the reasons; a file that can be read
/// but has other errors is formatted.
pub fn format(file: &SourceFile) -> Result<String, Diagnostics> {
    let document = parse::document(file)?;
    let mut quotes = Vec::new();
    quote(&document, &[TOP, ORGANISATION], &mut quotes);
    quotes.sort_unstable();
    let mut text = file.text.clone();
    for (at, length) in quotes.into_iter().rev() {
        text.insert(at + length, '"');
        text.insert(at, '"');
    }
    let text = indented(&text);
    // A text that broke on the way would be a fault of ours: the file then stays as it is.
    let again = SourceFile { path: file.path.clone(), text: text.clone() };
    Ok(if parse::document(&again).is_ok() { text } else { file.text.clone() })
}

/// What the next character belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Code,
    Line,
    Block(usize),
    /// Hashes around it, and quotes at each end: 1 or 3.
    Text(usize, usize),
}

fn indented(text: &str) -> String {
    let mut out = String::new();
    let (mut depth, mut within, mut continued, mut blank) = (0_usize, Within::Code, false, true);
    for line in text.replace("\r\n", "\n").lines() {
        if within != Within::Code {
            // The inside of a long text or comment is not ours.
            out.push_str(line);
        } else {
            let line = line.trim();
            if line.is_empty() {
                if !blank {
                    out.push('\n');
                }
                blank = true;
                continue;
            }
            let closing = line.bytes().take_while(|b| matches!(b, b'}' | b')')).count();
            let level = depth.saturating_sub(closing) + usize::from(continued);
            out.extend(std::iter::repeat_n("    ", level));
            out.push_str(line);
        }
        blank = false;
        (depth, within) = after(line, depth, within);
        if within == Within::Line {
            within = Within::Code;
        }
        if within == Within::Code {
            out.truncate(out.trim_end().len());
        }
        continued = within == Within::Code && line.trim_end().ends_with('\\');
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// Depth and state at the end of a line.
fn after(line: &str, mut depth: usize, mut within: Within) -> (usize, Within) {
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let hashes = rest.iter().take_while(|b| **b == b'#').count();
        let mut step = 1;
        match within {
            Within::Code if rest.starts_with(b"//") => within = Within::Line,
            Within::Code if rest.starts_with(b"/*") => (within, step) = (Within::Block(1), 2),
            Within::Code if rest.get(hashes) == Some(&b'"') => {
                let quotes = if rest[hashes..].starts_with(b"\"\"\"") { 3 } else { 1 };
                (within, step) = (Within::Text(hashes, quotes), hashes + quotes);
            }
            Within::Code => match bytes[at] {
                b'{' | b'(' => depth += 1,
                b'}' | b')' => depth = depth.saturating_sub(1),
                _ => {}
            },
            Within::Line => {}
            Within::Block(level) if rest.starts_with(b"/*") => (within, step) = (Within::Block(level + 1), 2),
            Within::Block(level) if rest.starts_with(b"*/") => {
                within = if level == 1 { Within::Code } else { Within::Block(level - 1) };
                step = 2;
            }
            Within::Block(_) => {}
            Within::Text(0, _) if bytes[at] == b'\\' => step = 2,
            Within::Text(hashes, quotes) if bytes[at] == b'"' => {
                let end = rest.iter().take(quotes).all(|b| *b == b'"')
                    && rest.len() >= quotes + hashes
                    && rest[quotes..quotes + hashes].iter().all(|b| *b == b'#');
                if end {
                    (within, step) = (Within::Code, quotes + hashes);
                }
            }
            Within::Text(..) => {}
        }
        at += step;
    }
    (depth, within)
}

fn quote(document: &KdlDocument, tables: &[&[Node]], found: &mut Vec<(usize, usize)>) {
    for node in document.nodes() {
        let name = node.name().value();
        if let Some(spec) = tables.iter().flat_map(|table| table.iter()).find(|spec| spec.name == name) {
            quote_node(node, spec, found);
        }
    }
}

fn quote_node(node: &KdlNode, spec: &Node, found: &mut Vec<(usize, usize)>) {
    // `buildit version=1` is the usual form.
    let entries = if spec.name == "buildit" { &[] } else { node.entries() };
    for entry in entries {
        let kind = match entry.name() {
            Some(name) => spec.props.iter().find(|(known, _)| *known == name.value()).map(|(_, kind)| *kind),
            None => Some(spec.args.kind),
        };
        if kind.is_some_and(|kind| !matches!(kind, Kind::Bool | Kind::Count | Kind::Number)) {
            found.extend(number(entry));
        }
    }
    let Some(children) = node.children() else { return };
    match spec.children {
        Children::Nodes(tables) => quote(children, tables, found),
        Children::Fragment => quote(children, FRAGMENT, found),
        Children::Map if spec.name == "env" || spec.name == "matrix" => {
            found.extend(children.nodes().iter().flat_map(|child| child.entries()).filter_map(number));
        }
        Children::Map | Children::None => {}
    }
}

/// Where the digits of a number stand: the end of its entry.
fn number(entry: &KdlEntry) -> Option<(usize, usize)> {
    if !matches!(entry.value(), KdlValue::Integer(_) | KdlValue::Float(_)) {
        return None;
    }
    let (format, length) = (entry.format()?, value::as_written(entry).len());
    let start = entry.span().offset() + entry.span().len();
    // The span may take in what follows the value.
    Some((start.checked_sub(length + format.trailing.len())?, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(text: &str) -> String {
        format(&SourceFile { path: ".buildit/a.kdl".to_owned(), text: text.to_owned() }).expect("readable")
    }

    #[test]
    fn quotes_numbers_where_text_is_wanted_and_keeps_comments() {
        let text = "// top\nstack   infra {\n  tool opentofu   version=1.10 // why\n require { approvals 2; }\n\tenv { PORT 8080 }\n  var { count 3 }\n}\n\n\n";
        let once = formatted(text);
        assert!(once.contains("\n    tool opentofu   version=\"1.10\" // why\n"), "{once}");
        assert!(once.contains("// top") && once.contains("approvals 2") && once.contains("PORT \"8080\""), "{once}");
        assert!(once.contains("count 3"), "{once}");
        assert_eq!(formatted(&once), once);
    }

    #[test]
    fn long_texts_and_comments_are_left_alone() {
        let text = "pipeline p {\n stage s {\n  run \"\"\"\n    a {\n      b\n    \"\"\"\n /* {\n  x */\n run #\"{ \"quoted\"#\n }\n}\n";
        let once = formatted(text);
        assert!(
            once.contains(
                "\n    a {\n      b\n    \"\"\"\n        /* {\n  x */\n        run #\"{ \"quoted\"#\n    }\n}\n"
            ),
            "{once}"
        );
        assert_eq!(formatted(&once), once);
    }

    #[test]
    fn the_sample_keeps_its_meaning() {
        let text = include_str!("sample.kdl");
        let once = formatted(text);
        assert_eq!(formatted(&once), once);
        let read = |text: &str| {
            let file = SourceFile { path: "s.kdl".to_owned(), text: text.to_owned() };
            let values = parse::document(&file).expect("readable");
            let mut out = Vec::new();
            flat(&values, 0, &mut out);
            out
        };
        assert_eq!(read(&once), read(text));
        assert_eq!(once.matches("//").count(), text.matches("//").count());
    }

    fn flat(document: &KdlDocument, depth: usize, out: &mut Vec<String>) {
        for node in document.nodes() {
            let entries: Vec<String> = node
                .entries()
                .iter()
                .map(|e| format!("{:?}={}", e.name().map(kdl::KdlIdentifier::value), value::as_written(e)))
                .collect();
            out.push(format!("{depth} {} {entries:?}", node.name().value()));
            if let Some(children) = node.children() {
                flat(children, depth + 1, out);
            }
        }
    }
}
