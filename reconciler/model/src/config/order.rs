//! Orders must be orders: unknown names, names given twice and circles in `needs` and `depends-on`.

use std::collections::BTreeMap;

use super::value::nearest;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};

/// Something with edges to what comes first.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) at: Span,
    pub(super) edges: Vec<(String, Span)>,
}

/// Reports everything that keeps `items` from being a DAG.
pub(super) fn check(kind: &str, items: &[Item], found: &mut Diagnostics) {
    let mut index = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        if index.insert(item.name.as_str(), at).is_some() {
            found.push(
                Diagnostic::error("duplicate-name", format!("a second {kind} named `{}`", item.name))
                    .at(item.at.clone()),
            );
        }
    }
    for item in items {
        for (edge, at) in item.edges.iter().filter(|(edge, _)| !index.contains_key(edge.as_str())) {
            let help =
                nearest(edge, index.keys().copied()).map_or_else(String::new, |near| format!("did you mean `{near}`?"));
            found.push(Diagnostic::error("unknown-name", format!("unknown {kind} `{edge}`")).help(help).at(at.clone()));
        }
    }
    let mut state = vec![0u8; items.len()];
    for start in 0..items.len() {
        walk(kind, items, &index, start, &mut state, found);
    }
}

/// Depth first without recursion; the first edge back into the open path is reported.
fn walk(
    kind: &str,
    items: &[Item],
    index: &BTreeMap<&str, usize>,
    start: usize,
    state: &mut [u8],
    found: &mut Diagnostics,
) {
    if state[start] != 0 {
        return;
    }
    let mut path = vec![(start, 0usize)];
    state[start] = 1;
    while let Some((node, next)) = path.last_mut() {
        let Some((edge, at)) = items[*node].edges.get(*next) else {
            state[*node] = 2;
            path.pop();
            continue;
        };
        *next += 1;
        let Some(&target) = index.get(edge.as_str()) else { continue };
        match state[target] {
            0 => {
                state[target] = 1;
                path.push((target, 0));
            }
            1 => {
                let circle: Vec<&str> =
                    path.iter().map(|(n, _)| items[*n].name.as_str()).skip_while(|n| n != edge).collect();
                let summary = format!("a circle of {kind}s: {} → {edge}", circle.join(" → "));
                found.push(Diagnostic::error("circle", summary).help("remove one of the edges").at(at.clone()));
            }
            _ => {}
        }
    }
}
