//! A plan as lines with `+`, `-` or `!` in the first column.
//!
//! Owns the form of the diff on GitHub, on terminals and on pages. It never sees a sensitive value: the plan
//! reader masked them.

use model::plan::{Action, AttributeChange, Change, OutputChange, PlanDocument, Shown};

use crate::render::text::{cut, one_line};

/// The longest value that is written out, in characters.
const VALUE: usize = 400;
/// The most lines of one text value.
const TEXT_LINES: usize = 200;
/// Paths longer than this do not push the `=` of all others to the right.
const WIDEST: usize = 40;

/// One line: the sign of the first column and what stands behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `+`, `-`, `!` or a space.
    pub sign: char,
    /// The rest, without the separating space; may be empty.
    pub text: String,
}

impl Line {
    /// The class that colours it on a page.
    pub const fn class(&self) -> &'static str {
        match self.sign {
            '+' => "add",
            '-' => "del",
            '!' => "chg",
            _ => "ctx",
        }
    }
}

/// The lines of a plan, as far as they fit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// The lines; an empty one stands between resources.
    pub lines: Vec<Line>,
    /// Changes and outputs that are not among them.
    pub left_out: usize,
}

impl Diff {
    /// As one text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for line in &self.lines {
            if line.text.is_empty() {
                out.push('\n');
            } else {
                out.push(line.sign);
                out.push(' ');
                out.push_str(&line.text);
                out.push('\n');
            }
        }
        out
    }
}

/// The diff of a plan: the most dangerous first, whole resources only, about `limit` characters at most.
pub fn diff(plan: &PlanDocument, limit: usize) -> Diff {
    let changes: Vec<&Change> = plan.changes.iter().collect();
    let mut used = 0;
    let fits = |size: usize, used: &mut usize| {
        *used += size;
        *used <= limit
    };
    let shown = changes.iter().take_while(|change| fits(change_size(change), &mut used)).count();
    let outputs = plan.outputs.iter().take_while(|output| fits(output.name.len() + 120, &mut used)).count();
    let width = width(&changes[..shown], &plan.outputs[..outputs]);
    let mut lines = Vec::new();
    for change in &changes[..shown] {
        resource(&mut lines, change, width);
        lines.push(Line { sign: ' ', text: String::new() });
    }
    for change in &plan.outputs[..outputs] {
        lines.push(output(change, width));
    }
    if lines.last().is_some_and(|line| line.text.is_empty()) {
        lines.pop();
    }
    Diff { lines, left_out: changes.len() - shown + plan.outputs.len() - outputs }
}

fn change_size(change: &Change) -> usize {
    let shown = |value: &Option<Shown>| match value {
        Some(Shown::Value(text)) => text.len().min(VALUE * 2),
        Some(Shown::Lines(text)) => text.len().saturating_mul(2),
        _ => 20,
    };
    let attributes: usize = change
        .attributes
        .iter()
        .map(|a| 2 * (a.path.len().max(WIDEST) + 10) + shown(&a.before) + shown(&a.after))
        .sum();
    change.address.len() + 200 + attributes
}

/// Where the `=` stands, counted from the attribute's first column.
fn width(changes: &[&Change], outputs: &[OutputChange]) -> usize {
    let paths = changes.iter().flat_map(|c| &c.attributes).map(|a| a.path.chars().count());
    // Outputs begin four columns further left and carry the word "output ".
    let names = outputs.iter().map(|o| (o.name.chars().count() + 7).saturating_sub(4));
    paths.chain(names).filter(|width| *width <= WIDEST).max().unwrap_or(0)
}

fn resource(lines: &mut Vec<Line>, change: &Change, width: usize) {
    let address = one_line(&change.address);
    let mut notes = Vec::new();
    let sign = match change.action {
        Action::Create => '+',
        Action::Delete => '-',
        Action::DeleteCreate => {
            notes.push("destroyed, then created anew".to_owned());
            '-'
        }
        Action::CreateDelete => {
            notes.push("created anew, then destroyed".to_owned());
            '-'
        }
        Action::Read => {
            notes.push("read during the apply".to_owned());
            '!'
        }
        Action::Forget => {
            notes.push("removed from the state only, not destroyed".to_owned());
            '!'
        }
        Action::Other => {
            notes.push("an action that this version does not know".to_owned());
            '-'
        }
        Action::Update | Action::NoOp => '!',
    };
    if let Some(id) = &change.import_id {
        notes.push(format!("imported from {}", cut(&one_line(id), 100)));
    }
    if let Some(before) = &change.previous_address {
        notes.push(format!("moved from {}", one_line(before)));
    }
    if let Some(key) = &change.deposed {
        notes.push(format!("deposed object {}", one_line(key)));
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
    lines.push(Line { sign, text: format!("{address}{notes}") });
    if let Some(reason) = &change.reason {
        lines.push(Line { sign: ' ', text: format!("    # {}", cut(&one_line(reason), 300)) });
    }
    for attribute in &change.attributes {
        attribute_lines(lines, attribute, width);
    }
    if change.unchanged > 0 {
        let noun = if change.unchanged == 1 { "attribute" } else { "attributes" };
        lines.push(Line { sign: ' ', text: format!("    # {} unchanged {noun}", change.unchanged) });
    }
}

fn attribute_lines(lines: &mut Vec<Line>, attribute: &AttributeChange, width: usize) {
    let path = one_line(&attribute.path);
    let forces = if attribute.forces_replacement { "  # forces the replacement" } else { "" };
    if let (Some(Shown::Sensitive), Some(Shown::Sensitive)) = (&attribute.before, &attribute.after) {
        lines.push(Line { sign: '!', text: format!("    {path:width$} = (sensitive value, it changes){forces}") });
        return;
    }
    if let (Some(Shown::Lines(before)), Some(Shown::Lines(after))) = (&attribute.before, &attribute.after) {
        lines.push(Line { sign: '!', text: format!("    {path:width$} = <<-EOT{forces}") });
        text_diff(lines, before, after);
        lines.push(Line { sign: ' ', text: "    EOT".to_owned() });
        return;
    }
    for (sign, value) in [('-', &attribute.before), ('+', &attribute.after)] {
        match value {
            None => {}
            Some(Shown::Lines(text)) => {
                lines.push(Line { sign, text: format!("    {path:width$} = <<-EOT{forces}") });
                let all = split(text);
                for line in all.iter().take(TEXT_LINES) {
                    lines.push(Line { sign, text: format!("        {line}") });
                }
                left_out(lines, all.len().saturating_sub(TEXT_LINES));
                lines.push(Line { sign, text: "    EOT".to_owned() });
            }
            Some(value) => {
                lines.push(Line { sign, text: format!("    {path:width$} = {}{forces}", shown(value)) });
            }
        }
    }
}

fn left_out(lines: &mut Vec<Line>, number: usize) {
    if number > 0 {
        lines.push(Line { sign: ' ', text: format!("        # {number} more lines") });
    }
}

fn split(text: &str) -> Vec<String> {
    crate::render::text::lines(text).lines().map(|line| cut(line, VALUE)).collect()
}

fn shown(value: &Shown) -> String {
    match value {
        Shown::Value(text) => {
            let line = one_line(text);
            let total = line.chars().count();
            if total <= VALUE {
                return line;
            }
            let head: String = line.chars().take(VALUE).collect();
            format!("{head}… ({} more characters)", total - VALUE)
        }
        Shown::Lines(text) => shown(&Shown::Value(format!("{text:?}"))),
        Shown::Unknown => "(known after apply)".to_owned(),
        Shown::Sensitive => "(sensitive value)".to_owned(),
    }
}

/// The lines of a changed text with three lines around each change.
fn text_diff(lines: &mut Vec<Line>, before: &str, after: &str) {
    const AROUND: usize = 3;
    let (before, after) = (split(before), split(after));
    let edits = edits(&before, &after);
    let near: Vec<bool> = (0..edits.len())
        .map(|at| {
            let around = at.saturating_sub(AROUND)..(at + AROUND + 1).min(edits.len());
            edits[around].iter().any(|(sign, _)| *sign != ' ')
        })
        .collect();
    let mut skipped = 0;
    let mut shown = 0;
    for ((sign, text), near) in edits.iter().zip(near) {
        if !near {
            skipped += 1;
            continue;
        }
        if skipped > 0 {
            lines.push(Line { sign: ' ', text: format!("        # {skipped} unchanged lines") });
            skipped = 0;
        }
        shown += 1;
        if shown > TEXT_LINES {
            lines.push(Line { sign: ' ', text: "        # and more".to_owned() });
            return;
        }
        lines.push(Line { sign: *sign, text: format!("        {text}") });
    }
    if skipped > 0 {
        lines.push(Line { sign: ' ', text: format!("        # {skipped} unchanged lines") });
    }
}

/// Which lines go, come and stay: longest common subsequence, given up for texts that are too large for it.
fn edits<'a>(before: &'a [String], after: &'a [String]) -> Vec<(char, &'a str)> {
    let prefix = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let (left, right) = (&before[prefix..], &after[prefix..]);
    let suffix = left.iter().rev().zip(right.iter().rev()).take_while(|(a, b)| a == b).count();
    let (left, right) = (&left[..left.len() - suffix], &right[..right.len() - suffix]);
    let mut out: Vec<(char, &str)> = before[..prefix].iter().map(|line| (' ', line.as_str())).collect();
    if left.len().saturating_mul(right.len()) > 250_000 {
        out.extend(left.iter().map(|line| ('-', line.as_str())));
        out.extend(right.iter().map(|line| ('+', line.as_str())));
    } else {
        let columns = right.len() + 1;
        let mut table = vec![0_u32; (left.len() + 1) * columns];
        for i in (0..left.len()).rev() {
            for j in (0..right.len()).rev() {
                table[i * columns + j] = if left[i] == right[j] {
                    table[(i + 1) * columns + j + 1] + 1
                } else {
                    table[(i + 1) * columns + j].max(table[i * columns + j + 1])
                };
            }
        }
        let (mut i, mut j) = (0, 0);
        while i < left.len() || j < right.len() {
            if i < left.len() && j < right.len() && left[i] == right[j] {
                out.push((' ', left[i].as_str()));
                (i, j) = (i + 1, j + 1);
            } else if i < left.len() && (j == right.len() || table[(i + 1) * columns + j] >= table[i * columns + j + 1])
            {
                out.push(('-', left[i].as_str()));
                i += 1;
            } else {
                out.push(('+', right[j].as_str()));
                j += 1;
            }
        }
    }
    out.extend(before[before.len() - suffix..].iter().map(|line| (' ', line.as_str())));
    out
}

fn output(change: &OutputChange, width: usize) -> Line {
    let name = format!("output {}", one_line(&change.name));
    let width = width + 4;
    let (sign, value) = match (&change.before, &change.after) {
        (None, Some(after)) => ('+', brief(after)),
        (Some(before), None) => ('-', brief(before)),
        (Some(Shown::Sensitive), Some(Shown::Sensitive)) => ('!', "(sensitive value, it changes)".to_owned()),
        (Some(before), Some(after)) => ('!', arrow(before, after)),
        (None, None) => ('!', "changes".to_owned()),
    };
    Line { sign, text: format!("{name:width$} = {value}") }
}

fn arrow(before: &Shown, after: &Shown) -> String {
    let (left, right) = (shown(before), shown(after));
    if left.chars().count() + right.chars().count() <= 60 {
        return format!("{left} → {right}");
    }
    match (items(before), items(after)) {
        (Some(a), Some(b)) if a != b => format!("{a} → {b}"),
        (Some(a), Some(_)) => format!("{a}, changed"),
        _ => format!("{} → {}", cut(&left, 60), cut(&right, 60)),
    }
}

fn brief(value: &Shown) -> String {
    let text = shown(value);
    if text.chars().count() <= 100 { text } else { items(value).unwrap_or_else(|| cut(&text, 100)) }
}

/// "2 items" of a list or an object.
fn items(value: &Shown) -> Option<String> {
    let Shown::Value(text) = value else { return None };
    let number = match serde_json::from_str(text).ok()? {
        serde_json::Value::Array(list) => list.len(),
        serde_json::Value::Object(map) => map.len(),
        _ => return None,
    };
    Some(crate::render::words::count(number, "item"))
}
