//! Other people's text in Markdown, in HTML and in fences.
//!
//! Invariant: whatever goes in, what comes out cannot notify anyone, refer to an issue, link, open or close an
//! element or a fence, or hide or reorder characters.

/// Put behind `@`, `#` and the like: GitHub then sees no mention and no reference.
const BREAK: &str = "&#8203;";

/// Plain text in a running Markdown line.
pub fn inline(text: &str) -> String {
    let clean = one_line(text);
    let mut out = String::with_capacity(clean.len() + 8);
    for c in clean.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '$' => out.push_str("&#36;"),
            '@' | '#' => {
                out.push(c);
                out.push_str(BREAK);
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '|' | '!' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    unlinked(&out)
}

/// Plain text inside of HTML that stands in Markdown, such as a `<summary>`.
pub fn html(text: &str) -> String {
    let clean = one_line(text);
    let mut out = String::with_capacity(clean.len() + 8);
    for c in clean.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '$' => out.push_str("&#36;"),
            '`' | '*' | '_' | '[' | ']' | '~' | '|' | '\\' => out.push_str(&format!("&#{};", u32::from(c))),
            '@' | '#' => {
                out.push(c);
                out.push_str(BREAK);
            }
            _ => out.push(c),
        }
    }
    unlinked(&out)
}

/// Breaks what GitHub makes links of by itself: URLs, `www.` and `GH-1`.
fn unlinked(text: &str) -> String {
    let mut out = text.replace("://", &format!(":{BREAK}//"));
    for (word, at) in [("www.", 3), ("gh-", 2)] {
        let mut from = 0;
        while let Some(found) = out[from..].to_ascii_lowercase().find(word) {
            out.insert_str(from + found + at, BREAK);
            from += found + at + BREAK.len();
        }
    }
    out
}

/// Text as a code span.
pub fn code(text: &str) -> String {
    let clean = one_line(text);
    if clean.trim().is_empty() {
        return "` `".to_owned();
    }
    let ticks = "`".repeat(longest_run(&clean, '`') + 1);
    let pad = if clean.starts_with(['`', ' ']) || clean.ends_with(['`', ' ']) { " " } else { "" };
    format!("{ticks}{pad}{clean}{pad}{ticks}")
}

/// Text as a code span in a cell of a table, where even code must not hold a bare `|`.
pub fn code_cell(text: &str) -> String {
    // A backslash before the `|` would be eaten by the table; such text is rare enough to lose its bars.
    code(&if text.contains("\\|") { text.replace('|', "¦") } else { text.to_owned() }).replace('|', "\\|")
}

/// A link to one of our own pages; its label is already Markdown.
pub fn link(label: &str, url: &str) -> String {
    let mut clean = String::with_capacity(url.len());
    for c in url.chars() {
        match c {
            '(' => clean.push_str("%28"),
            ')' => clean.push_str("%29"),
            '<' => clean.push_str("%3C"),
            '>' => clean.push_str("%3E"),
            '\\' => clean.push_str("%5C"),
            '|' => clean.push_str("%7C"),
            c if c.is_whitespace() || c.is_control() => {}
            c => clean.push(c),
        }
    }
    format!("[{label}]({clean})")
}

/// A fenced block. The fence is longer than any run of backticks inside.
pub fn fence(language: &str, body: &str) -> String {
    let clean = lines(body);
    let ticks = "`".repeat(longest_run(&clean, '`').max(2) + 1);
    format!("{ticks}{language}\n{}\n{ticks}", clean.trim_end_matches('\n'))
}

/// The longest run of `needle`.
fn longest_run(text: &str, needle: char) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == needle { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// Text on one line: no colours, line ends as spaces, hidden characters made visible.
pub fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in strip_ansi(text).chars() {
        match c {
            '\n' | '\r' | '\t' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push(' '),
            c => push_visible(&mut out, c),
        }
    }
    out
}

/// Text of several lines: no colours, `\n` only, hidden characters made visible.
pub fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in strip_ansi(text).replace("\r\n", "\n").chars() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push('\n'),
            c => push_visible(&mut out, c),
        }
    }
    out
}

fn push_visible(out: &mut String, c: char) {
    if is_hidden(c) {
        out.push_str(&format!("\u{27e8}U+{:04X}\u{27e9}", u32::from(c)));
    } else {
        out.push(c);
    }
}

/// Does the character change what a reader sees without being seen? Controls, direction marks, joiners,
/// variation selectors, tags and fillers.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xad | 0x34f | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f
            | 0x2028..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfeff | 0xffa0 | 0xfff0..=0xfffb | 0xe0000..=0xe0fff)
}

/// Removes terminal control sequences (ECMA-48: CSI, OSC and other strings, two-character escapes).
pub fn strip_ansi(text: &str) -> String {
    if !text.contains(['\u{1b}', '\u{9b}', '\u{9d}', '\u{90}']) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let kind = match c {
            '\u{1b}' => rest.next(),
            '\u{9b}' => Some('['),
            '\u{9d}' | '\u{90}' => Some(']'),
            c => {
                out.push(c);
                continue;
            }
        };
        match kind {
            Some('[') => {
                for c in rest.by_ref() {
                    if ('\u{40}'..='\u{7e}').contains(&c) || c == '\n' {
                        if c == '\n' {
                            out.push(c);
                        }
                        break;
                    }
                }
            }
            Some(']' | 'P' | 'X' | '^' | '_') => {
                // A string sequence ends at BEL or ST; one that never ends takes at most its line.
                while let Some(c) = rest.next() {
                    match c {
                        '\u{7}' | '\u{9c}' => break,
                        '\u{1b}' => {
                            rest.next_if_eq(&'\\');
                            break;
                        }
                        '\n' => {
                            out.push(c);
                            break;
                        }
                        _ => {}
                    }
                }
            }
            Some('\n') => out.push('\n'),
            Some('\u{20}'..='\u{2f}') => {
                rest.next();
            }
            _ => {}
        }
    }
    out
}

/// At most `limit` characters, the last of them `…` when something was cut.
pub fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(limit.saturating_sub(1)).collect();
    while out.ends_with(' ') {
        out.pop();
    }
    out.push('…');
    out
}

/// The first and last lines of a longer text, at most about `limit` characters, on line boundaries.
pub fn ends(text: &str, limit: usize) -> String {
    let total = text.chars().count();
    if total <= limit {
        return text.to_owned();
    }
    let mut head = String::new();
    let mut used = 0;
    for line in text.lines() {
        let length = line.chars().count() + 1;
        if used + length > limit / 2 {
            break;
        }
        used += length;
        head.push_str(line);
        head.push('\n');
    }
    let mut tail: Vec<&str> = Vec::new();
    for line in text.lines().rev() {
        let length = line.chars().count() + 1;
        if used + length > limit {
            break;
        }
        used += length;
        tail.push(line);
    }
    tail.reverse();
    if head.is_empty() && tail.is_empty() {
        return cut(text, limit);
    }
    format!("{head}… {} characters left out …\n{}", total.saturating_sub(used), tail.join("\n"))
}
