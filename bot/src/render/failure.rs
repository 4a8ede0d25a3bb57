//! A failed plan in words.

use model::plan::PlanFailure;
use model::publication::{RowStatus, StackRow};

use crate::render::text::{code, cut, ends, fence, inline, link, one_line};
use crate::render::verdict::capital;
use crate::render::words;

/// "init failed", "could not start".
pub(super) fn phase(failure: &PlanFailure) -> String {
    match failure.phase.as_str() {
        "start" => "could not start".to_owned(),
        other => format!("{} failed", one_line(other)),
    }
}

/// The error of a row, open to see: at most about `limit` characters of the tool's words. `None` for rows that
/// did not fail. Ends without a line end.
pub(super) fn body(row: &StackRow, limit: usize) -> Option<String> {
    let page = row.run.as_ref().map(|run| link("Full log", &run.url));
    match &row.status {
        RowStatus::Failed(failure) => {
            let detail = if failure.detail.trim().is_empty() { &failure.headline } else { &failure.detail };
            let mut out = fence("", &ends(detail, limit));
            // The tool's own error says it all; other last words of a log do not say why it ended.
            let told = detail.contains("Error: ") || detail.contains(&failure.headline);
            if !told {
                out = format!("{}:\n{out}", capital(&prose(&cut(&failure.headline, 300))));
            }
            let named = failure.file.as_deref().is_some_and(|file| detail.contains(file));
            if let Some(place) = place(failure).filter(|_| !named) {
                out.push_str(&format!("\nIn {}.", code(&place)));
            }
            if let Some(page) = page {
                out.push_str(&format!("\n{page}"));
            }
            Some(out)
        }
        RowStatus::TimedOut { seconds, tail } => {
            let mut out = format!("No end after {}. The last lines:\n", words::duration(seconds * 1000));
            out.push_str(&fence("", &ends(tail, limit)));
            out.push_str("\nLonger: `plan { timeout \"1h\" }` in the stack's configuration.");
            if let Some(page) = page {
                out.push_str(&format!(" {page}"));
            }
            Some(out)
        }
        RowStatus::NotYet(needs) => {
            let mut out = "Not planned: this version cannot give what it needs.\n".to_owned();
            for need in needs.iter().take(20) {
                let at = need.at.as_ref().map(|span| format!(", {}", code(&format!("{}:{}", span.file, span.line))));
                out.push_str(&format!("- {}{}\n", prose(&need.what), at.unwrap_or_default()));
            }
            Some(out.trim_end().to_owned())
        }
        _ => None,
    }
}

/// `file:line` of a failure.
pub(super) fn place(failure: &PlanFailure) -> Option<String> {
    let file = failure.file.as_deref()?;
    Some(failure.line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}")))
}

/// A sentence of ours that may hold names in backticks: the names stay code, the rest is made harmless.
pub(super) fn prose(sentence: &str) -> String {
    let parts: Vec<&str> = sentence.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return inline(sentence);
    }
    parts.iter().enumerate().map(|(at, part)| if at % 2 == 1 { code(part) } else { inline(part) }).collect()
}
