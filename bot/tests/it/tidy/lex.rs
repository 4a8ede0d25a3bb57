//! Just enough of Rust's lexical structure to know what is code: comments and the
//! contents of literals are blanked, and paths are read with their `use` groups spread
//! out. It never judges; the rules do.

/// A path as it stands in the code, `use a::{b, c}` giving two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) path: Vec<String>,
    /// It is more than a name of its own: part of a `use`, an attribute, or a path.
    pub(super) reaches: bool,
}

/// The text with comments and the insides of strings and characters turned to
/// spaces. Lines stay where they are.
pub(super) fn code_of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that begins here ends; `at` itself when none does.
fn literal_end(chars: &[char], at: usize) -> usize {
    let next = |by: usize| chars.get(at + by).copied().unwrap_or(' ');
    match (chars[at], next(1)) {
        ('/', '/') => find(chars, at, |i| chars[i] == '\n'),
        ('/', '*') => block_comment_end(chars, at),
        ('r', '"' | '#') if !in_word(chars, at) => raw_string_end(chars, at),
        ('"', _) => {
            let mut i = at + 1;
            while i < chars.len() && chars[i] != '"' {
                i += if chars[i] == '\\' { 2 } else { 1 };
            }
            (i + 1).min(chars.len())
        }
        ('\'', '\\') => find(chars, at + 3, |i| chars[i] == '\'') + 1,
        ('\'', _) if next(2) == '\'' => at + 3,
        _ => at,
    }
}

fn find(chars: &[char], from: usize, is: impl Fn(usize) -> bool) -> usize {
    (from..chars.len()).find(|&i| is(i)).unwrap_or(chars.len())
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut i = at;
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

/// Is this letter inside a longer word (the `r` of `var`, but not of `br"…"`)?
fn in_word(chars: &[char], at: usize) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    match at.checked_sub(1).map(|before| chars[before]) {
        Some('b' | 'c') => at >= 2 && part(chars[at - 2]),
        Some(before) => part(before),
        None => false,
    }
}

/// `r"…"`, `r#"…"#`; a raw identifier (`r#type`) is no literal.
fn raw_string_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    let open = at + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return at;
    }
    let closes =
        |i: usize| chars[i] == '"' && chars[i + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes;
    (find(chars, open + 1, closes) + 1 + hashes).min(chars.len())
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Separator,
    Mark(char),
}

fn tokens(code: &str) -> Vec<(usize, Token)> {
    let mut out = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let (token, used) = match (length, rest.starts_with("::")) {
                (0, true) => (Token::Separator, 2),
                (0, false) => (Token::Mark(first), first.len_utf8()),
                _ => (Token::Word(rest[..length].to_owned()), length),
            };
            out.push((index + 1, token));
            rest = rest[used..].trim_start();
        }
    }
    out
}

/// Every path of the code.
pub(super) fn mentions(code: &str) -> Vec<Mention> {
    let tokens = tokens(code);
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let begins = match &tokens[at].1 {
            Token::Word(word) if word == "use" => false,
            Token::Word(word) => word == "await" || before(&tokens, at, 1) != Some(&Token::Mark('.')),
            _ => false,
        };
        if !begins {
            at += 1;
            continue;
        }
        let reaches = match before(&tokens, at, 1) {
            Some(Token::Word(word)) => word == "use" || word == "crate" && is_extern(&tokens, at),
            Some(Token::Mark('[')) => matches!(before(&tokens, at, 2), Some(Token::Mark('#' | '!'))),
            // `::sqlx`, but not the `new` of `Vec<T>::new`.
            Some(Token::Separator) => before(&tokens, at, 2) != Some(&Token::Mark('>')),
            _ => false,
        };
        at = read_path(&tokens, at, &[], reaches, &mut out);
    }
    out
}

fn before(tokens: &[(usize, Token)], at: usize, by: usize) -> Option<&Token> {
    at.checked_sub(by).map(|i| &tokens[i].1)
}

fn is_extern(tokens: &[(usize, Token)], at: usize) -> bool {
    before(tokens, at, 2) == Some(&Token::Word("extern".to_owned()))
}

/// Reads one path and the group at its end; returns where reading goes on.
fn read_path(
    tokens: &[(usize, Token)],
    mut at: usize,
    prefix: &[String],
    reaches: bool,
    out: &mut Vec<Mention>,
) -> usize {
    let line = tokens[at].0;
    let mut path = prefix.to_vec();
    while let Some((_, Token::Word(word))) = tokens.get(at) {
        path.push(word.clone());
        at += 1;
        if tokens.get(at).map(|t| &t.1) != Some(&Token::Separator) {
            break;
        }
        at += 1;
        if tokens.get(at).map(|t| &t.1) == Some(&Token::Mark('{')) {
            return read_group(tokens, at + 1, &path, out);
        }
        if tokens.get(at).map(|t| &t.1) == Some(&Token::Mark('*')) {
            path.push("*".to_owned());
            at += 1;
        }
    }
    let reaches = reaches || path.len() > 1;
    out.push(Mention { line, path, reaches });
    at
}

fn read_group(tokens: &[(usize, Token)], mut at: usize, prefix: &[String], out: &mut Vec<Mention>) -> usize {
    while let Some((line, token)) = tokens.get(at) {
        at = match token {
            Token::Mark('}') => return at + 1,
            Token::Word(_) => read_path(tokens, at, prefix, true, out),
            Token::Mark('*') => {
                out.push(Mention { line: *line, path: [prefix, &["*".to_owned()]].concat(), reaches: true });
                at + 1
            }
            _ => at + 1,
        };
    }
    at
}
