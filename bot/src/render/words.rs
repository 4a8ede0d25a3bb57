//! Numbers, times and names as people read them.

use model::plan::{Counts, PlanDocument};
use model::publication::RowStatus;
use model::run::RunState;
use model::time::Timestamp;

/// "1 stack", "2 stacks".
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {}", plural(noun)) }
}

/// The plural of an English noun, as far as our nouns go.
pub fn plural(noun: &str) -> String {
    let last = noun.chars().last().unwrap_or(' ');
    let before = noun.chars().rev().nth(1).unwrap_or(' ');
    match last {
        'y' if !"aeiou".contains(before) => format!("{}ies", &noun[..noun.len() - 1]),
        's' | 'x' => format!("{noun}es"),
        _ => format!("{noun}s"),
    }
}

/// "1st", "2nd", "3rd", "11th".
pub fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (1, tens) if tens != 11 => "st",
        (2, tens) if tens != 12 => "nd",
        (3, tens) if tens != 13 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// "0.4 s", "41 s", "1 min 52 s", "2 h 5 min".
pub fn duration(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..10 => format!("{}.{} s", seconds, millis % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3600 if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ if seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// "10:42 UTC".
pub fn clock(at: Timestamp) -> String {
    formatted(at, "%H:%M UTC")
}

/// "24 Nov 2026, 10:42 UTC".
pub fn date(at: Timestamp) -> String {
    formatted(at, "%-d %b %Y, %H:%M UTC")
}

fn formatted(at: Timestamp, format: &str) -> String {
    jiff::Timestamp::from_microsecond(at.micros()).map(|t| t.strftime(format).to_string()).unwrap_or_default()
}

/// The sum of two counts.
pub fn add(a: Counts, b: Counts) -> Counts {
    Counts {
        add: a.add + b.add,
        change: a.change + b.change,
        destroy: a.destroy + b.destroy,
        replace: a.replace + b.replace,
        import: a.import + b.import,
        moved: a.moved + b.moved,
        forget: a.forget + b.forget,
        outputs: a.outputs + b.outputs,
        read: a.read + b.read,
    }
}

/// What is neither added, changed nor destroyed: "1 to import", "2 moved".
fn others(c: Counts) -> Vec<String> {
    let mut parts = Vec::new();
    for (number, words) in [(c.import, "to import"), (c.moved, "moved"), (c.forget, "forgotten")] {
        if number > 0 {
            parts.push(format!("{number} {words}"));
        }
    }
    let quiet = c.add + c.change + c.destroy == 0;
    if c.outputs > 0 && quiet {
        parts.push(count(c.outputs as usize, "output"));
    }
    parts
}

/// All of it in one short text for titles: "+7 ~5 −1", or what there is instead.
pub fn short(c: Counts) -> String {
    let others = others(c);
    if c.add + c.change + c.destroy == 0 && !others.is_empty() {
        return others.join(", ");
    }
    format!("+{} ~{} −{}", c.add, c.change, c.destroy)
}

/// For a cell of the table: zeros left out, destruction in bold.
pub fn cell(c: Counts) -> String {
    let mut parts = Vec::new();
    if c.add > 0 {
        parts.push(format!("+{}", c.add));
    }
    if c.change > 0 {
        parts.push(format!("~{}", c.change));
    }
    if c.destroy > 0 {
        parts.push(format!("**−{}**", c.destroy));
    }
    if c.replace > 0 {
        parts.push(format!("({} replaced)", c.replace));
    }
    let signs = parts.join(" ");
    let all: Vec<String> = std::iter::once(signs).filter(|signs| !signs.is_empty()).chain(others(c)).collect();
    if all.is_empty() { "changes".to_owned() } else { all.join(", ") }
}

/// In words: "1 to add, 1 to change, nothing destroyed".
pub fn sentence(c: Counts) -> String {
    let mut parts = Vec::new();
    // What is replaced is named once, not as one to add and one to destroy.
    let (add, destroy) = (c.add.saturating_sub(c.replace), c.destroy.saturating_sub(c.replace));
    if add > 0 {
        parts.push(format!("{add} to add"));
    }
    if c.change > 0 {
        parts.push(format!("{} to change", c.change));
    }
    if c.replace > 0 {
        parts.push(format!("**{} to replace**", c.replace));
    }
    parts.extend(others(c));
    match (destroy, c.replace) {
        (0, 0) if parts.is_empty() => parts.push("nothing to add, change or destroy".to_owned()),
        (0, 0) => parts.push("nothing destroyed".to_owned()),
        (0, _) => {}
        (n, _) => parts.push(format!("**{n} to destroy**")),
    }
    parts.join(", ")
}

/// The document's counts.
pub fn counts(document: &PlanDocument) -> Counts {
    document.counts
}

/// A state of a run in one or two words.
pub const fn state(state: RunState) -> &'static str {
    match state {
        RunState::Queued => "queued",
        RunState::Preparing => "preparing",
        RunState::Initializing => "initializing",
        RunState::Planning => "planning",
        RunState::Planned => "planned",
        RunState::NoChange => "no changes",
        RunState::Failed => "failed",
        RunState::Cancelled => "cancelled",
        RunState::Superseded => "replaced by a newer push",
        RunState::TimedOut => "timed out",
        RunState::Applying => "applying",
        RunState::Applied => "applied",
        RunState::PartlyApplied => "partly applied",
        RunState::Stale => "out of date",
        RunState::Lost => "lost",
    }
}

/// The sign of a row.
pub fn sign(status: &RowStatus) -> &'static str {
    use model::plan::Risk;
    match status {
        RowStatus::Failed(_) | RowStatus::TimedOut { .. } => "❌",
        RowStatus::NotYet(_) => "⛔",
        RowStatus::Planned(plan) if plan.risk >= Risk::High => "🔴",
        RowStatus::Planned(_) => "🟢",
        RowStatus::Behind { .. } => "⛔",
        RowStatus::Queued { .. } | RowStatus::Blocked { .. } | RowStatus::Deferred { .. } | RowStatus::Running(_) => {
            "⏳"
        }
        RowStatus::Skipped { .. }
        | RowStatus::NoChange
        | RowStatus::Cancelled
        | RowStatus::Closed
        | RowStatus::Superseded => "⚪",
    }
}

/// Names of stacks in a sentence.
pub fn stacks(names: &[model::id::StackName]) -> String {
    list(&names.iter().map(ToString::to_string).collect::<Vec<_>>(), 5)
}

/// "a, b and c"; at most `limit` names, then "and 3 more".
pub fn list(items: &[String], limit: usize) -> String {
    let shown = items.len().min(limit);
    let rest = items.len() - shown;
    let last = match (rest, shown) {
        (0, 0 | 1) => return items.join(""),
        (0, _) => items[shown - 1].clone(),
        _ => format!("{rest} more"),
    };
    let head = if rest == 0 { &items[..shown - 1] } else { &items[..shown] };
    format!("{} and {last}", head.join(", "))
}
