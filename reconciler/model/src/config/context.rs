//! What texts may refer to when a run starts: `${x.y}`, and the names in an `expr`.
//!
//! Owns the list of contexts and keys. An `expr` is CEL; here only its brackets, quotes and names are judged,
//! the rest when it is evaluated.

use super::value::nearest;

/// Each context with its keys; none listed: any key is legal.
const CONTEXTS: &[(&str, &[&str])] = &[
    ("git", &["sha", "short", "branch", "tag", "base", "changed", "repository", "author", "pull"]),
    ("pipeline", &["name", "number"]),
    ("run", &["id", "number", "url", "event", "attempt"]),
    ("stage", &["name"]),
    ("stages", &[]),
    ("stacks", &[]),
    ("matrix", &[]),
    ("env", &[]),
    ("secrets", &[]),
    ("hash", &[]),
];
const EXPR_WORDS: &[&str] = &["true", "false", "null", "in", "event", "branch", "label", "labels", "tag"];

/// What is wrong, and what to do.
pub(super) type Refused = (String, String);

/// All `${x.y}` of a text that name nothing. `${…}` without a point belongs to the shell.
pub(super) fn references(text: &str) -> Vec<Refused> {
    let mut found = Vec::new();
    for part in text.split("${").skip(1) {
        let Some((inside, _)) = part.split_once('}') else { continue };
        let Some((head, rest)) = inside.split_once('.') else { continue };
        if head.is_empty() || !head.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
            continue;
        }
        found.extend(reference(head, rest).map(|help| (format!("unknown `${{{inside}}}`"), help)));
    }
    found
}

/// Our references that stand in a shell's single quotes, where the shell does not fill them in.
pub(super) fn in_single_quotes(script: &str) -> Vec<String> {
    let (mut single, mut double) = (false, false);
    let mut found = Vec::new();
    let mut escaped = false;
    for (at, c) in script.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if !single => escaped = true,
            '\'' if !double => single = !single,
            '"' if !single => double = !double,
            '$' if single => {
                let inside =
                    script[at..].strip_prefix("${").and_then(|rest| rest.split_once('}')).map(|(inside, _)| inside);
                let ours = inside
                    .and_then(|inside| inside.split_once('.'))
                    .is_some_and(|(head, _)| CONTEXTS.iter().any(|(name, _)| *name == head));
                found.extend(inside.filter(|_| ours).map(|inside| format!("${{{inside}}}")));
            }
            _ => {}
        }
    }
    found
}

/// What to do about a reference that names nothing.
fn reference(head: &str, rest: &str) -> Option<String> {
    let Some((_, keys)) = CONTEXTS.iter().find(|(name, _)| *name == head) else {
        let names = CONTEXTS.iter().map(|(name, _)| *name);
        return Some(match nearest(head, names.clone()) {
            Some(near) => format!("did you mean `${{{near}.{rest}}}`?"),
            None => format!("known are: {}", names.collect::<Vec<_>>().join(", ")),
        });
    };
    if matches!(head, "stages" | "stacks") {
        let shaped = rest.split_once(".outputs.").is_some_and(|(name, key)| !name.is_empty() && !key.is_empty());
        return (!shaped).then(|| format!("write `${{{head}.NAME.outputs.KEY}}`"));
    }
    if rest.is_empty() {
        return Some(format!("name a key behind `{head}.`"));
    }
    if keys.is_empty() || keys.contains(&rest) {
        return None;
    }
    Some(match nearest(rest, keys.iter().copied()) {
        Some(near) => format!("did you mean `${{{head}.{near}}}`?"),
        None => format!("`{head}` has: {}", keys.join(", ")),
    })
}

/// Judges brackets, quotes and names of an expression.
pub(super) fn expression(text: &str) -> Result<(), Refused> {
    let refuse = |summary: String| Err((summary, "an expr is CEL, such as matrix.rust == '1.95'".to_owned()));
    let mut open = Vec::new();
    let mut names: Vec<(String, bool)> = Vec::new();
    let mut chars = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                let mut closed = false;
                while let Some(inner) = chars.next() {
                    if inner == '\\' {
                        chars.next();
                    } else if inner == c {
                        closed = true;
                        break;
                    }
                }
                if !closed {
                    return refuse(format!("a text that begins with {c} has no end"));
                }
            }
            '(' | '[' | '{' => open.push(c),
            ')' | ']' | '}' => {
                let pair = matches!((open.pop(), c), (Some('('), ')') | (Some('['), ']') | (Some('{'), '}'));
                if !pair {
                    return refuse(format!("`{c}` closes nothing"));
                }
            }
            c if c.is_alphabetic() || c == '_' => {
                let mut name = c.to_string();
                while let Some(next) = chars.next_if(|n| n.is_alphanumeric() || *n == '_') {
                    name.push(next);
                }
                let call = chars.peek() == Some(&'(');
                if before != '.' && !call && !before.is_alphanumeric() {
                    names.push((name, false));
                } else if call {
                    names.push((name, true));
                }
            }
            _ => {}
        }
        if !c.is_whitespace() {
            before = c;
        }
    }
    if let Some(left) = open.pop() {
        return refuse(format!("`{left}` is not closed"));
    }
    if text.trim().is_empty() {
        return refuse("the expression is empty".to_owned());
    }
    // Macros bring names of their own.
    if names
        .iter()
        .any(|(name, call)| *call && matches!(name.as_str(), "all" | "exists" | "exists_one" | "filter" | "map"))
    {
        return Ok(());
    }
    let known = |name: &str| EXPR_WORDS.contains(&name) || CONTEXTS.iter().any(|(context, _)| *context == name);
    match names.iter().find(|(name, call)| !call && !known(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let all = CONTEXTS.iter().map(|(context, _)| *context).chain(EXPR_WORDS.iter().copied());
            let near = nearest(name, all).map(|near| format!("did you mean `{near}`?"));
            let help = near.unwrap_or_else(|| "a text needs quotes: 'main'".to_owned());
            Err((format!("unknown `{name}` in the expression"), help))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_references_are_named_and_the_shell_keeps_its_own() {
        for fine in [
            "${HOME}",
            "${x%.*}",
            "${git.sha}",
            "${stages.image.outputs.digest}",
            "${hash.Cargo.lock}",
            "a ${env.A} $x",
        ] {
            assert_eq!(references(fine), [], "{fine}");
        }
        let (summary, help) = references("x ${git.shaa}").remove(0);
        assert_eq!((summary.as_str(), help.as_str()), ("unknown `${git.shaa}`", "did you mean `${git.sha}`?"));
        assert_eq!(references("${foo.bar} ${stages.a.digest}").len(), 2);
    }

    #[test]
    fn single_quotes_hide_references() {
        assert_eq!(in_single_quotes("echo '${git.branch}' \"it's ${git.sha}\" '${HOME}'"), ["${git.branch}"]);
        assert!(in_single_quotes("echo \"${git.branch}\" \\'${git.sha}").is_empty());
    }

    #[test]
    fn expressions_are_judged() {
        assert_eq!(expression("matrix.rust == '1.95' && size(git.changed) < 100"), Ok(()));
        assert_eq!(expression("git.changed.exists(f, f.endsWith('.rs'))"), Ok(()));
        for wrong in ["matrix.( == 1", "a)", "'x", "", "[1}", "branch == main"] {
            assert!(expression(wrong).is_err(), "{wrong}");
        }
    }
}
