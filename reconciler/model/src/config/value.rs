//! Single values: kinds, durations, sizes, and what is nearest to a slip.

use kdl::{KdlEntry, KdlValue};

use super::access::judge_selector;
use super::schema::Kind;
use crate::access::Right;
use crate::who::Who;
use crate::window::judge_cron;

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
        Kind::Cron => {
            let help = "minute hour day month weekday, such as \"0 9 * * MON-FRI\"";
            judge_cron(text).map_err(|summary| ("bad-cron", summary, help.to_owned()))
        }
        Kind::Who => Who::parse(text).map(|_| ()).map_err(|error| ("who", error.to_string(), error.help)),
        Kind::Selector => {
            judge_selector(text).map_err(|help| ("selector", format!("`{text}` selects nothing"), help.to_owned()))
        }
        Kind::Verb if Right::names().any(|name| name == text) => Ok(()),
        Kind::Verb => {
            let names: Vec<&str> = Right::names().collect();
            let near = nearest(text, names.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            let help = near.unwrap_or_else(|| format!("commands are {}", names.join(", ")));
            Err(("unknown-command", format!("there is no command `{text}`"), help))
        }
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
