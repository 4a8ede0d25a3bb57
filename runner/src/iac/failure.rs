//! What a job that made no plan failed of.
//!
//! The tools print errors in a box (`╷ │ Error: … ╵`) or plainly; both are read. The log was masked before.

use model::job::{JobEnd, Outcome};
use model::plan::PlanFailure;

/// A detail beyond this is cut.
const LONGEST: usize = 8 * 1024;

pub(super) fn explain(end: &JobEnd, log_tail: &str) -> PlanFailure {
    let text = without_ansi(log_tail);
    let mut errors = error_blocks(&text);
    // terraform introduces errors of `init` with one that says nothing itself.
    if errors.len() > 1 {
        errors.retain(|block| !block.starts_with("Error: Terraform encountered problems during init"));
    }
    let phase = phase(end);
    if let (Outcome::StepFailed { .. }, Some(first)) = (&end.outcome, errors.first()) {
        let (file, line) = place(first);
        let detail = cut(&errors.join("\n\n"));
        return PlanFailure { phase, headline: headline(first), detail, file, line };
    }
    let headline = match &end.outcome {
        Outcome::CannotStart { step, reason } => format!("{step} could not be started: {reason}"),
        Outcome::TimedOut { step } => format!("{step} did not end in time"),
        Outcome::Interrupted { step } => format!("{step} was interrupted"),
        Outcome::Killed { step } => format!("{step} was killed"),
        Outcome::Vanished => "the job's process is gone without an end".to_owned(),
        Outcome::StepFailed { step } => how_it_failed(end, step),
        Outcome::Completed => "the job ended without a plan".to_owned(),
    };
    PlanFailure { phase, headline, detail: last_lines(&text), file: None, line: None }
}

/// The phase that failed, by the step that the outcome names.
fn phase(end: &JobEnd) -> String {
    match &end.outcome {
        Outcome::CannotStart { .. } => "start".to_owned(),
        Outcome::StepFailed { step }
        | Outcome::TimedOut { step }
        | Outcome::Interrupted { step }
        | Outcome::Killed { step } => step.clone(),
        Outcome::Completed | Outcome::Vanished => {
            end.steps.last().map_or_else(|| "start".to_owned(), |step| step.name.clone())
        }
    }
}

fn how_it_failed(end: &JobEnd, step: &str) -> String {
    match end.step(step).map(|end| (end.code, end.signal)) {
        Some((Some(code), _)) => format!("{step} ended with exit code {code}"),
        Some((None, Some(signal))) => format!("{step} was ended by signal {signal}"),
        _ => format!("{step} failed"),
    }
}

/// Each error, without box and warnings.
fn error_blocks(text: &str) -> Vec<String> {
    let mut blocks: Vec<Vec<&str>> = Vec::new();
    let (mut inside, mut boxed) = (false, false);
    for line in text.lines() {
        let bare = line.trim_start();
        let starts_box = bare.starts_with('╷');
        if starts_box || bare.starts_with('╵') {
            inside = false;
            boxed = starts_box;
            continue;
        }
        let (in_box, content) = match bare.strip_prefix('│') {
            Some(rest) => (true, rest.strip_prefix(' ').unwrap_or(rest)),
            None => (false, line),
        };
        if content.starts_with("Error: ") {
            blocks.push(vec![content]);
            inside = true;
            boxed = in_box;
        } else if content.starts_with("Warning: ") || (boxed && !in_box) {
            inside = false;
        } else if inside && let Some(block) = blocks.last_mut() {
            block.push(content);
        }
    }
    blocks.iter().map(|block| block.join("\n").trim().to_owned()).collect()
}

/// One line: the summary, and the first sentence of the detail where the summary alone says little.
fn headline(block: &str) -> String {
    let mut lines = block.lines();
    let summary = lines.next().unwrap_or_default().trim_start_matches("Error: ").trim().to_owned();
    let detail: Vec<&str> = paragraphs(block).into_iter().filter(|p| !is_place(p)).collect();
    let short = summary.split_whitespace().count() <= 6 && !summary.contains(['"', ':']);
    match detail.first() {
        Some(text) if short || summary.ends_with(':') => {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let sentence = text.split_once(". ").map_or(text.as_str(), |(first, _)| first).trim_end_matches('.');
            format!("{}: {}", summary.trim_end_matches([':', '.']), shorten(sentence))
        }
        _ => shorten(summary.trim_end_matches('.')),
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 200 {
        return text.to_owned();
    }
    let cut: String = text.chars().take(199).collect();
    format!("{cut}…")
}

/// Paragraphs behind the summary line.
fn paragraphs(block: &str) -> Vec<&str> {
    block.split("\n\n").skip(1).map(str::trim).filter(|p| !p.is_empty()).collect()
}

fn is_place(paragraph: &str) -> bool {
    place_in(paragraph).is_some()
}

/// `on main.tf line 4, in resource "x" "y":`, or `on main.tf line 4:`.
fn place_in(line: &str) -> Option<(String, u32)> {
    let rest = line.trim_start().strip_prefix("on ")?;
    let (file, rest) = rest.split_once(" line ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((file.to_owned(), digits.parse().ok()?))
}

fn place(block: &str) -> (Option<String>, Option<u32>) {
    match block.lines().find_map(place_in) {
        Some((file, line)) => (Some(file), Some(line)),
        None => (None, None),
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    cut(&lines[lines.len().saturating_sub(20)..].join("\n"))
}

fn cut(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let at = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    format!("{}\n…", &text[..at])
}

/// Drops escape sequences and control characters other than line ends and tabs.
fn without_ansi(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.peek() {
                Some('[') => {
                    chars.next();
                    for c in chars.by_ref() {
                        if ('@'..='~').contains(&c) {
                            break;
                        }
                    }
                }
                Some(']') => {
                    while let Some(c) = chars.next() {
                        if c == '\u{7}' || (c == '\u{1b}' && chars.peek() == Some(&'\\')) {
                            break;
                        }
                    }
                }
                _ => {}
            },
            '\n' | '\t' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use model::job::StepEnd;
    use model::time::Timestamp;

    use super::*;

    fn failed(step: &str, code: i32) -> JobEnd {
        JobEnd {
            outcome: Outcome::StepFailed { step: step.to_owned() },
            steps: vec![StepEnd { name: step.to_owned(), code: Some(code), signal: None, millis: 1 }],
            at: Timestamp::from_seconds(1),
            log_dropped: 0,
        }
    }

    #[test]
    fn boxed_errors_are_read_with_their_place() {
        let log = "\u{1b}[31mInitializing\u{1b}[0m...\n╷\n│ Warning: Old\n│ \n│ never mind\n╵\n╷\n│ Error: Reference to undeclared input variable\n│ \n│   on main.tf line 4, in resource \"terraform_data\" \"a\":\n│    4:   input = var.nope\n│ \n│ An input variable with the name \"nope\" has not been declared. This variable\n│ can be declared with a variable \"nope\" {} block.\n╵\n";
        let failure = explain(&failed("plan", 1), log);
        assert_eq!((failure.phase.as_str(), failure.file.as_deref(), failure.line), ("plan", Some("main.tf"), Some(4)));
        insta::assert_snapshot!(failure.headline, @r#"Reference to undeclared input variable: An input variable with the name "nope" has not been declared"#);
        insta::assert_snapshot!(failure.detail, @r#"
        Error: Reference to undeclared input variable

          on main.tf line 4, in resource "terraform_data" "a":
           4:   input = var.nope

        An input variable with the name "nope" has not been declared. This variable
        can be declared with a variable "nope" {} block.
        "#);
    }

    #[test]
    fn plain_errors_are_read_and_short_ones_explained() {
        let log = "Initializing the backend...\n\nError: Unsupported argument\n\n  on infra/x.tf line 12:\n  12: foo = 1\n\nAn argument named \"foo\" is not expected here. Look again.\n";
        let failure = explain(&failed("init", 1), log);
        insta::assert_snapshot!(failure.headline, @r#"Unsupported argument: An argument named "foo" is not expected here"#);
        assert_eq!((failure.file.as_deref(), failure.line), (Some("infra/x.tf"), Some(12)));
    }

    #[test]
    fn ends_without_an_error_block_say_how() {
        let mut end = failed("plan", 134);
        let failure = explain(&end, "panic: runtime error\ngoroutine 1\n");
        assert_eq!(failure.headline, "plan ended with exit code 134");
        assert_eq!(failure.detail, "panic: runtime error\ngoroutine 1");
        end.outcome = Outcome::TimedOut { step: "plan".to_owned() };
        assert_eq!(explain(&end, "").headline, "plan did not end in time");
        end.outcome =
            Outcome::CannotStart { step: "init".to_owned(), reason: "the program \"x\" was not found".to_owned() };
        let failure = explain(&end, "");
        assert_eq!(
            (failure.phase.as_str(), failure.headline.as_str()),
            ("start", "init could not be started: the program \"x\" was not found")
        );
    }
}
