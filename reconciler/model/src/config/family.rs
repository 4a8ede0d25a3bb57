//! Families: one node, one stack per matching directory or matrix cell.

use std::collections::BTreeMap;

use super::layout::Layout;
use super::read::{Body, Matrix, What, fill, open_braces};

/// Captures and axes of one member.
pub(super) type Bindings = BTreeMap<String, String>;

/// The members of a stack node. A literal node has one, with nothing bound.
pub(super) fn members(name: &str, body: &Body, layout: &Layout) -> Vec<Bindings> {
    let path = path_pattern(name, body);
    let cells = body.matrix.as_ref().map_or_else(|| vec![Bindings::new()], cells);
    let mut members = Vec::new();
    for cell in cells {
        let pattern = fill(&path, &cell);
        if open_braces(&pattern).is_empty() {
            members.push(cell);
            continue;
        }
        for directory in layout.directories.keys() {
            if let Some(captures) = capture(&pattern, directory.as_str()) {
                members.push(cell.clone().into_iter().chain(captures).collect());
            }
        }
    }
    members
}

/// The path as written; a stack without one lives where its name says.
pub(super) fn path_pattern(name: &str, body: &Body) -> String {
    let written = body.settings.iter().rev().find_map(|setting| match &setting.what {
        What::Path(path) => Some(path.clone()),
        _ => None,
    });
    written.unwrap_or_else(|| name.to_owned())
}

/// How specific a pattern is: its literal segments.
pub(super) fn weight(pattern: &str) -> usize {
    pattern.split('/').filter(|segment| open_braces(segment).is_empty()).count()
}

/// The product of the axes, less `exclude`, plus `include`.
fn cells(matrix: &Matrix) -> Vec<Bindings> {
    let mut cells = vec![Bindings::new()];
    for (axis, values) in &matrix.axes {
        let with = |cell: &Bindings, value: &String| {
            let mut cell = cell.clone();
            cell.insert(axis.clone(), value.clone());
            cell
        };
        cells =
            cells.iter().flat_map(|cell| values.iter().map(|value| with(cell, value)).collect::<Vec<_>>()).collect();
        cells.truncate(MAX_CELLS);
    }
    let hit = |cell: &Bindings, rule: &Bindings| rule.iter().all(|(axis, value)| cell.get(axis) == Some(value));
    cells.retain(|cell| !matrix.exclude.iter().any(|rule| hit(cell, rule)));
    cells.extend(matrix.include.iter().cloned());
    cells
}

/// More members than this of one node are cut.
const MAX_CELLS: usize = 10_000;

/// Matches a path against a pattern; each capture takes one folder or a part of one.
fn capture(pattern: &str, path: &str) -> Option<Bindings> {
    let (patterns, parts) = (pattern.split('/'), path.split('/'));
    if patterns.clone().count() != parts.clone().count() {
        return None;
    }
    let mut bound = Bindings::new();
    for (pattern, part) in patterns.zip(parts) {
        segment(pattern, part, &mut bound)?;
    }
    Some(bound)
}

fn segment(pattern: &str, part: &str, bound: &mut Bindings) -> Option<()> {
    let Some(open) = pattern.find('{') else { return (pattern == part).then_some(()) };
    let close = open + pattern[open..].find('}')?;
    let rest = part.strip_prefix(&pattern[..open])?;
    let (name, tail) = (&pattern[open + 1..close], &pattern[close + 1..]);
    // The capture ends where the literal behind it begins; at the end it takes all.
    let literal = &tail[..tail.find('{').unwrap_or(tail.len())];
    let end = if literal.is_empty() {
        rest.len()
    } else if literal.len() == tail.len() {
        rest.len().checked_sub(literal.len()).filter(|at| rest.is_char_boundary(*at))?
    } else {
        rest.find(literal)?
    };
    let value = &rest[..end];
    if value.is_empty() || bound.get(name).is_some_and(|known| known != value) {
        return None;
    }
    bound.insert(name.to_owned(), value.to_owned());
    segment(tail, &rest[end..], bound)
}
