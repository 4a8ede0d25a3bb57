//! What a plan would destroy that keeps data, and the order of rows by danger.

use std::collections::BTreeMap;

use model::plan::{Action, Change, PlanDocument, Risk};
use model::publication::{RowStatus, StackRow};

use crate::render::text::{code, cut, inline};
use crate::render::words;

/// At most so many destroyed stores are named one by one.
const NAMED: usize = 10;

/// Changes that destroy data, each with its stack.
pub(super) fn of(rows: &[StackRow]) -> Vec<(&StackRow, &Change)> {
    let mut found = Vec::new();
    for row in rows {
        if let RowStatus::Planned(plan) = &row.status {
            found.extend(in_plan(plan).map(|change| (row, change)));
        }
    }
    found
}

/// Changes of a plan that destroy data.
pub(super) fn in_plan(plan: &PlanDocument) -> impl Iterator<Item = &Change> {
    plan.changes.iter().filter(|change| change.risk == Risk::Data)
}

/// "1 database", "2 databases and 1 bucket".
pub(super) fn tally<'a>(changes: impl Iterator<Item = &'a Change>) -> Option<String> {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for change in changes {
        *kinds.entry(change.data_kind.as_deref().unwrap_or("data store")).or_default() += 1;
    }
    if kinds.is_empty() {
        return None;
    }
    let parts: Vec<String> = kinds.into_iter().map(|(kind, number)| words::count(number, kind)).collect();
    Some(words::list(&parts, 3))
}

/// The alert above everything else; empty without such changes. Ends with a blank line.
pub(super) fn caution(dangers: &[(&StackRow, &Change)]) -> String {
    if dangers.is_empty() {
        return String::new();
    }
    let mut out = "> [!CAUTION]\n".to_owned();
    for (row, change) in dangers.iter().take(NAMED) {
        out.push_str(&format!("> {}\n", line(row, change)));
    }
    if dangers.len() > NAMED {
        out.push_str(&format!("> And {} more.\n", dangers.len() - NAMED));
    }
    // Several lines of an alert are one paragraph; a break at each line's end keeps them apart.
    let out = out.trim_end().replace(".\n>", ".<br>\n>");
    format!("{out}\n\n")
}

fn line(row: &StackRow, change: &Change) -> String {
    let what = match change.action {
        Action::DeleteCreate | Action::CreateDelete => "replaces, and so destroys,",
        _ => "destroys",
    };
    let mut line = format!("{} {what} **{}**", code(row.stack.as_str()), code(&cut(&change.address, 200)));
    if let Some(kind) = &change.data_kind {
        line.push_str(&format!(" ({})", inline(kind)));
    }
    if !change.facts.is_empty() {
        let facts: Vec<String> =
            change.facts.iter().take(8).map(|(name, value)| code(&cut(&format!("{name} = {value}"), 80))).collect();
        line.push_str(&format!(": {}", facts.join(", ")));
    }
    line.push('.');
    if let Some(reason) = &change.reason {
        line.push_str(&format!(" Why: {}.", inline(&cut(reason, 200)).trim_end_matches('.')));
    }
    line
}

/// A plan without a stack, for `buildit show`.
pub(super) fn bare_row(plan: &PlanDocument) -> Option<StackRow> {
    let stack = model::id::StackName::parse("plan").ok()?;
    Some(StackRow {
        stack,
        path: model::id::RelPath::root(),
        run: None,
        apply: None,
        status: RowStatus::Planned(Box::new(plan.clone())),
        tool: None,
        millis: None,
        since_last: None,
        undoes: None,
        state_known: None,
    })
}

/// Rows with the worst first; equal ones by name.
pub fn ordered(rows: &[StackRow]) -> Vec<&StackRow> {
    let mut sorted: Vec<&StackRow> = rows.iter().collect();
    sorted.sort_by(|a, b| rank(&a.status).cmp(&rank(&b.status)).then_with(|| a.stack.cmp(&b.stack)));
    sorted
}

/// How far up a row belongs; 0 is the worst.
pub(super) fn rank(status: &RowStatus) -> u8 {
    match status {
        RowStatus::Failed(_) => 0,
        RowStatus::TimedOut { .. } => 1,
        RowStatus::Planned(plan) => match plan.risk {
            Risk::Data => 2,
            Risk::High => 4,
            Risk::Medium => 5,
            Risk::Low => 6,
            Risk::None => 7,
        },
        RowStatus::NotYet(_) => 3,
        RowStatus::Running(_) => 8,
        RowStatus::Queued { .. } | RowStatus::Blocked { .. } => 9,
        RowStatus::Behind { .. } | RowStatus::Deferred { .. } => 9,
        RowStatus::Cancelled | RowStatus::Closed => 10,
        RowStatus::Superseded => 11,
        RowStatus::NoChange | RowStatus::Skipped { .. } => 12,
    }
}
