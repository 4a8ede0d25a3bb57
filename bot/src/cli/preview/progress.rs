//! What is happening, on standard error: a line per stack that ended and, on a terminal, one line that changes.

use std::collections::BTreeSet;
use std::io::Write as _;

use model::id::StackName;
use model::publication::{RowStatus, StackRow, Standing};

use crate::local::{Preview, Published};
use crate::render::{row_verdict, words};

/// Takes the changing line away.
const CLEAR: &str = "\r\u{1b}[K";
/// Stacks that the changing line names.
const NAMED: usize = 4;

/// What is compared with what, and what is left out.
pub(super) fn begin(preview: &Preview, note: Option<String>) {
    let (head, base) = (&preview.head, &preview.base);
    eprintln!("{} ({}) into {} ({})", preview.head_branch, head.short(), preview.base_branch, base.short());
    if let Some(note) = note {
        eprintln!("note: {note}");
    }
}

/// The lines so far.
#[derive(Debug)]
pub(super) struct Progress {
    /// Does the changing line go away again?
    terminal: bool,
    said: BTreeSet<StackName>,
    shown: String,
}

impl Progress {
    pub(super) fn new(terminal: bool) -> Self {
        Self { terminal, said: BTreeSet::new(), shown: String::new() }
    }

    /// What is new since the last call.
    pub(super) fn show(&mut self, published: &Published) {
        let Some(Standing::Stacks(rows)) = published.view().map(|view| &view.standing) else { return };
        for row in rows.iter().filter(|row| row_verdict(row).status.conclusion.is_some()) {
            if self.said.insert(row.stack.clone()) {
                self.clear();
                eprintln!("{}", ended(row));
            }
        }
        if self.terminal {
            let status = status(rows);
            if status != self.shown {
                eprint!("{CLEAR}{status}");
                self.shown = status;
                // Progress that cannot be seen is no reason to stop.
                let _ = std::io::stderr().flush();
            }
        }
    }

    /// Leaves the lines that stay.
    pub(super) fn end(&mut self) {
        self.clear();
    }

    fn clear(&mut self) {
        if !self.shown.is_empty() {
            eprint!("{CLEAR}");
            self.shown.clear();
        }
    }
}

/// `network: planned in 1.2 s`.
fn ended(row: &StackRow) -> String {
    let what = match &row.status {
        RowStatus::Planned(_) => "planned",
        RowStatus::NoChange => "no changes",
        RowStatus::Failed(_) => "failed",
        RowStatus::TimedOut { .. } => "timed out",
        RowStatus::NotYet(_) => "not planned",
        _ => "ended",
    };
    let time = row.millis.map(|millis| format!(" in {}", words::duration(millis))).unwrap_or_default();
    format!("  {}: {what}{time}", row.stack)
}

/// `planning cache, dns: 1 of 3 done`; nothing when all ended.
fn status(rows: &[StackRow]) -> String {
    let live = |row: &&StackRow| row_verdict(row).status.conclusion.is_none();
    let names: Vec<String> = rows.iter().filter(live).map(|row| row.stack.to_string()).collect();
    if names.is_empty() {
        return String::new();
    }
    format!("  planning {}: {} of {} done", words::list(&names, NAMED), rows.len() - names.len(), rows.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    #[test]
    fn the_changing_line_names_what_is_planned() {
        let rows = sample::many();
        assert_eq!(status(&rows), "");
        let queued = RowStatus::Queued { position: None, since: model::time::Timestamp::from_seconds(1) };
        let mut rows = rows;
        rows[0].status = queued.clone();
        rows[1].status = queued;
        let names = format!("{} and {}", rows[0].stack, rows[1].stack);
        assert_eq!(status(&rows), format!("  planning {names}: 4 of 6 done"));
    }
}
