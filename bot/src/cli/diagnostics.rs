//! Diagnostics for a terminal, for programs, and as GitHub's workflow commands.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report};
use model::diagnostic::{Diagnostic, Diagnostics, Severity};

/// With the excerpt of the source under each; `sources` holds the text of each file by its path.
pub fn human(diagnostics: &Diagnostics, sources: &BTreeMap<String, String>, colour: bool) -> String {
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(100).without_cause_chain();
    let mut out = String::new();
    for found in diagnostics {
        let mut shown = MietteDiagnostic::new(visible(&found.summary)).with_code(found.code.clone());
        shown = shown.with_severity(match found.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        });
        if !found.help.is_empty() {
            shown = shown.with_help(visible(&found.help));
        }
        let source = found.span.as_ref().and_then(|span| sources.get(&span.file).map(|text| (span, text)));
        let report = match source {
            Some((span, text)) => {
                let (offset, length) = (span.offset as usize, span.length as usize);
                shown = shown.with_label(LabeledSpan::new(Some("here".to_owned()), offset, length));
                Report::new(shown).with_source_code(NamedSource::new(span.file.clone(), visible_source(text)))
            }
            None => Report::new(shown),
        };
        if handler.render_report(&mut out, report.as_ref()).is_err() {
            // A report that cannot be drawn is still said.
            let _ = writeln!(out, "{}", line(found));
        }
    }
    out
}

/// `file:line:column: error: summary (help)`.
pub fn line(found: &Diagnostic) -> String {
    let place = found.span.as_ref().map(|span| format!("{span}: ")).unwrap_or_default();
    let help = if found.help.is_empty() { String::new() } else { format!(" ({})", found.help) };
    visible(&format!("{place}{}: {}{help}", word(found.severity), found.summary))
}

/// GitHub's workflow commands: each becomes an annotation in the log of an action.
pub fn github(diagnostics: &Diagnostics) -> String {
    let mut out = String::new();
    for found in diagnostics {
        let mut properties = Vec::new();
        if let Some(span) = &found.span {
            properties.push(format!("file={}", property(&span.file)));
            properties.push(format!("line={},endLine={}", span.line, span.end_line));
            properties.push(format!("col={},endColumn={}", span.column, span.end_column));
        }
        properties.push(format!("title={}", property(&found.code)));
        let text =
            if found.help.is_empty() { found.summary.clone() } else { format!("{}\n{}", found.summary, found.help) };
        let _ = writeln!(out, "::{} {}::{}", word(found.severity), properties.join(","), data(&text));
    }
    out
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// Text of other people must not steer the terminal.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{FFFD}' } else { c }).collect()
}

/// As `visible`, but every replaced character keeps its length, so that offsets stay right.
fn visible_source(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() && c.len_utf8() == 1 => '?',
        c if c.is_control() => '\u{B7}',
        c => c,
    };
    text.chars().map(shown).collect()
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use model::config::{SourceFile, parse};

    use super::*;

    fn found(text: &str) -> (Diagnostics, BTreeMap<String, String>) {
        let path = ".buildit/stacks.kdl".to_owned();
        let parsed = parse(&[SourceFile { path: path.clone(), text: text.to_owned() }]);
        (parsed.diagnostics, [(path, text.to_owned())].into_iter().collect())
    }

    #[test]
    fn a_person_sees_the_line_and_the_fix() {
        let (diagnostics, sources) = found("stack infra {\n    aply on=merge\n}\n");
        let text = human(&diagnostics, &sources, false);
        for part in ["unknown node `aply`", "aply on=merge", ".buildit/stacks.kdl:2:5", "did you mean `apply`?"] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn github_reads_file_line_and_column() {
        let (diagnostics, _) = found("stack infra {\n    aply on=merge\n}\n");
        insta::assert_snapshot!(github(&diagnostics), @"::error file=.buildit/stacks.kdl,line=2,endLine=2,col=5,endColumn=9,title=unknown-node::unknown node `aply`%0Adid you mean `apply`?");
    }

    #[test]
    fn hostile_text_stays_text() {
        let hostile = Diagnostic::error("x", "a\u{1b}[31mb\n::set-output name=x::y%0A");
        let all: Diagnostics = [hostile].into_iter().collect();
        assert!(!human(&all, &BTreeMap::new(), false).contains('\u{1b}'));
        assert_eq!(github(&all).lines().count(), 1);
    }
}
