//! The lines of a comment that its reader sees as plain paragraph text.
//!
//! The text of a line is taken from the source, not from the parsed inlines: a glob such as `a*b*c` must not
//! lose its stars to emphasis.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// One line of a plain paragraph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Its source, trimmed, and without the backticks when all of it is one code span.
    pub(super) text: String,
    /// Does a link, an image, HTML or a footnote stand in it?
    pub(super) decorated: bool,
    /// Is it the only line of its paragraph?
    pub(super) alone: bool,
}

/// What an inline does to the lines that it touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Lines that begin inside are not plain: emphasis, strike-through, code.
    Inside,
    /// And the line in which it stands is not plain either: links, images, footnotes.
    Decorates,
    /// And neither is what follows in the paragraph: an HTML tag.
    Rest,
}

/// Where an inline stands, and what it does.
type Inline = (Range<usize>, Effect);

/// The plain lines of a comment, in order.
pub(super) fn plain(body: &str) -> Vec<Line> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_GFM;
    let mut lines = Vec::new();
    // Blocks around the current one; HTML blocks may leave elements open behind them.
    let mut depth = 0_usize;
    let mut open_html = 0_usize;
    let mut paragraph: Option<(Range<usize>, Vec<Inline>)> = None;
    for (event, range) in Parser::new_ext(body, options).into_offset_iter() {
        if let Some((whole, inlines)) = paragraph.as_mut() {
            match event {
                Event::End(TagEnd::Paragraph) => {
                    cut(body, whole.clone(), inlines, &mut lines);
                    paragraph = None;
                }
                Event::Start(Tag::Emphasis | Tag::Strong | Tag::Strikethrough) => inlines.push((range, Effect::Inside)),
                Event::Code(_) => inlines.push((range, Effect::Inside)),
                Event::Start(_) | Event::FootnoteReference(_) => inlines.push((range, Effect::Decorates)),
                Event::InlineHtml(ref tag) if is_break(tag) => inlines.push((range, Effect::Decorates)),
                Event::InlineHtml(_) => inlines.push((range, Effect::Rest)),
                _ => {}
            }
            continue;
        }
        match event {
            Event::Start(Tag::Paragraph) if depth == 0 && open_html == 0 => paragraph = Some((range, Vec::new())),
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Html(text) => open_html = balance(open_html, &text),
            _ => {}
        }
    }
    lines
}

fn is_break(tag: &str) -> bool {
    let tag = tag.to_ascii_lowercase();
    matches!(tag.as_str(), "<br>" | "<br/>" | "<br />")
}

/// How many elements are open behind this piece of an HTML block: what stands between `<details>` and
/// `</details>` is folded away or quoted, though Markdown calls it a paragraph.
fn balance(mut open: usize, html: &str) -> usize {
    const VOID: [&str; 14] =
        ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];
    for piece in html.split('<').skip(1) {
        let closing = piece.starts_with('/');
        let name: String =
            piece.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect::<String>();
        let name = name.to_ascii_lowercase();
        if name.is_empty() || VOID.contains(&name.as_str()) {
            continue;
        }
        if closing {
            open = open.saturating_sub(1);
        } else {
            open += 1;
        }
    }
    open
}

/// Cuts a paragraph into its lines and leaves out those that are not plain.
fn cut(body: &str, whole: Range<usize>, inlines: &[Inline], lines: &mut Vec<Line>) {
    let source = &body[whole.clone()];
    let alone = source.trim_end().lines().count() == 1;
    let mut at = whole.start;
    for raw in source.split_inclusive('\n') {
        let (start, end) = (at, at + raw.len());
        at = end;
        let text = raw.trim();
        let begins = start + (raw.len() - raw.trim_start().len());
        let hidden = inlines.iter().any(|(range, effect)| match effect {
            Effect::Inside | Effect::Decorates => range.start < begins && begins < range.end,
            Effect::Rest => range.start < begins,
        });
        if text.is_empty() || hidden {
            continue;
        }
        let decorated =
            inlines.iter().any(|(range, effect)| *effect != Effect::Inside && range.start < end && start < range.end);
        lines.push(Line { text: unwrap_code(text, begins, inlines).to_owned(), decorated, alone });
    }
}

/// The content of the one code span that the whole line is, else the line without the `\` of a hard break.
fn unwrap_code<'a>(text: &'a str, begins: usize, inlines: &[Inline]) -> &'a str {
    let whole = begins..begins + text.len();
    if text.starts_with('`') && inlines.iter().any(|(range, effect)| *effect == Effect::Inside && *range == whole) {
        return text.trim_matches('`').trim();
    }
    let breaks = text.ends_with('\\') && !text.ends_with("\\\\");
    if breaks { text[..text.len() - 1].trim_end() } else { text }
}
