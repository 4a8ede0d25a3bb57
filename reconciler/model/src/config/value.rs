//! Single values: kinds, durations, sizes, and what is nearest to a slip.

use kdl::{KdlEntry, KdlValue};

use super::schema::Kind;

/// Code, summary and help of a refused value.
pub(super) type Refused = (&'static str, String, String);

/// The value as text: strings as they are, numbers as written (`1.10` stays "1.10").
pub(super) fn as_written(entry: &KdlEntry) -> String {
    match entry.value() {
        KdlValue::String(text) => text.clone(),
        KdlValue::Bool(value) => value.to_string(),
        KdlValue::Null => String::new(),
        KdlValue::Integer(number) => {
            entry.format().map_or_else(|| number.to_string(), |format| format.value_repr.clone())
        }
        KdlValue::Float(number) => {
            entry.format().map_or_else(|| number.to_string(), |format| format.value_repr.clone())
        }
    }
}

fn has_braces(text: &str) -> bool {
    text.contains('{')
}

/// Is the value of that kind? Texts with `{…}` or `${…}` are judged when they are filled in.
pub(super) fn check(kind: Kind, value: &KdlValue, text: &str) -> Result<(), Refused> {
    let refuse = |code: &'static str, summary: String, help: &str| Err((code, summary, help.to_owned()));
    if value.is_null() {
        return refuse("null", "`#null` has no meaning here".to_owned(), "leave it out");
    }
    match kind {
        Kind::Bool if value.is_bool() => Ok(()),
        Kind::Bool => {
            let help = if text == "true" || text == "false" {
                format!("write #{text}")
            } else {
                "write #true or #false".to_owned()
            };
            Err(("not-a-switch", format!("`{text}` is neither #true nor #false"), help))
        }
        _ if value.is_bool() => {
            refuse("not-text", format!("`#{text}` stands where text is wanted"), "put it in quotes")
        }
        Kind::Text => Ok(()),
        Kind::Expr => super::context::expression(text).map_err(|(summary, help)| ("expression", summary, help)),
        _ if has_braces(text) => Ok(()),
        Kind::Count => match text.parse::<u32>() {
            Ok(_) => Ok(()),
            Err(_) => refuse("not-a-number", format!("`{text}` is not a whole number"), "write digits only"),
        },
        Kind::Number => match text.parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(()),
            _ => refuse("not-a-number", format!("`{text}` is not a number"), "write digits, with a point if need be"),
        },
        Kind::Duration => match duration_seconds(text) {
            Some(_) => Ok(()),
            None => refuse(
                "not-a-duration",
                format!("`{text}` is not a duration"),
                "write a number and s, m, h or d, such as 30m",
            ),
        },
        Kind::Size => match size_bytes(text) {
            Some(_) => Ok(()),
            None => refuse(
                "not-a-size",
                format!("`{text}` is not a size"),
                "write a number and KiB, MiB or GiB, such as 4GiB",
            ),
        },
        Kind::Cron => cron(text),
        Kind::Zone => match jiff::tz::TimeZone::get(text) {
            Ok(_) => Ok(()),
            Err(_) => refuse(
                "unknown-time-zone",
                format!("unknown time zone `{text}`"),
                "write a name such as Europe/Paris or UTC",
            ),
        },
        Kind::Glob => {
            let glob = text.strip_prefix('!').unwrap_or(text);
            match globset::Glob::new(glob) {
                Ok(_) => Ok(()),
                Err(error) => Err(("bad-glob", format!("`{text}` is not a glob"), error.kind().to_string())),
            }
        }
        Kind::Date => match text.parse::<jiff::civil::Date>() {
            Ok(_) => Ok(()),
            Err(_) => refuse("not-a-date", format!("`{text}` is not a date"), "write it as 2027-03-01"),
        },
        Kind::One(allowed) => {
            if allowed.contains(&text) {
                return Ok(());
            }
            let near = nearest(text, allowed.iter().copied());
            let help = near.map_or_else(
                || format!("write one of {}", allowed.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            Err(("unknown-value", format!("`{text}` is not one of {}", allowed.join(", ")), help))
        }
    }
}

/// Five fields of minute, hour, day, month and weekday.
fn cron(text: &str) -> Result<(), Refused> {
    let ranges = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != 5 {
        let summary = format!("`{text}` has {} fields; a cron expression has five", fields.len());
        return Err(("bad-cron", summary, "minute hour day month weekday, such as \"0 9 * * MON-FRI\"".to_owned()));
    }
    for (index, field) in fields.iter().enumerate() {
        if !field.split(',').all(|part| cron_part(part, index, ranges[index])) {
            let name = ["minute", "hour", "day", "month", "weekday"][index];
            let summary = format!("`{field}` is not a {name} of a cron expression");
            return Err((
                "bad-cron",
                summary,
                format!("numbers {} to {}, `*`, ranges and steps", ranges[index].0, ranges[index].1),
            ));
        }
    }
    Ok(())
}

fn cron_part(part: &str, index: usize, (low, high): (u32, u32)) -> bool {
    const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    let names: &[&str] = match index {
        3 => &MONTHS,
        4 => &DAYS,
        _ => &[],
    };
    let number = |text: &str| {
        let upper = text.to_ascii_uppercase();
        names
            .iter()
            .position(|name| *name == upper)
            .map_or_else(|| text.parse::<u32>().is_ok_and(|n| n >= low && n <= high), |_| true)
    };
    let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
    if step.is_some_and(|step| !step.parse::<u32>().is_ok_and(|n| n > 0)) {
        return false;
    }
    range == "*" || range.split_once('-').map_or_else(|| number(range), |(from, to)| number(from) && number(to))
}

/// Seconds of `90s`, `30m`, `8h`, `7d`.
pub(super) fn duration_seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at))?);
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|seconds| *seconds > 0)
}

/// Bytes of `512MiB`, `4GiB`.
pub(super) fn size_bytes(text: &str) -> Option<u64> {
    [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)]
        .iter()
        .find_map(|(unit, shift)| text.strip_suffix(unit)?.trim().parse::<u64>().ok()?.checked_mul(1 << shift))
}

/// The known word that is closest to a slip, if one is close at all.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    known
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}
