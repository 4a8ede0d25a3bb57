//! Owns turning Markdown into HTML that may stand in a page: tables, alerts, details, coloured diffs.
//! Of raw HTML only a short list of bare tags passes; everything else is shown as text.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd, html};

/// Tags without attributes that GitHub's comments use.
const TAGS: [&str; 13] = ["details", "summary", "b", "i", "em", "strong", "br", "sub", "sup", "kbd", "code", "p", "hr"];

/// Escapes text for HTML, in and out of attributes.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Renders GitHub's Markdown.
pub(crate) fn rendered(text: &str) -> String {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS | Options::ENABLE_GFM;
    let mut events = Vec::new();
    let mut diff: Option<String> = None;
    for event in Parser::new_ext(text, options) {
        match (event, &mut diff) {
            (Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(kind))), _) if kind.as_ref() == "diff" => {
                diff = Some(String::new())
            }
            (Event::Text(text), Some(open)) => open.push_str(&text),
            // In comments GitHub breaks lines where they are broken.
            (Event::SoftBreak, None) => events.push(Event::HardBreak),
            (Event::End(TagEnd::CodeBlock), Some(open)) => {
                events.push(Event::Html(coloured(open).into()));
                diff = None;
            }
            (Event::Html(raw), None) => events.push(Event::Html(bare(&raw).into())),
            (Event::InlineHtml(raw), None) => events.push(Event::InlineHtml(bare(&raw).into())),
            (Event::Start(tag), None) => events.push(Event::Start(harmless(tag))),
            (other, None) => events.push(other),
            (_, Some(_)) => {}
        }
    }
    let mut out = String::new();
    html::push_html(&mut out, events.into_iter());
    out
}

/// Links and images lead to web addresses and places of the same page only.
fn harmless(tag: Tag<'_>) -> Tag<'_> {
    let good = |url: &str| url.starts_with("https://") || url.starts_with("http://") || url.starts_with(['#', '/']);
    match tag {
        Tag::Link { link_type, dest_url, title, id } if !good(&dest_url) => {
            drop(dest_url);
            Tag::Link { link_type, dest_url: "#".into(), title, id }
        }
        Tag::Image { link_type, title, id, .. } => Tag::Image { link_type, dest_url: "#".into(), title, id },
        other => other,
    }
}

/// Lets bare tags of the list through, takes comments out, and shows the rest as text.
fn bare(raw: &str) -> String {
    let (mut out, mut rest) = (String::new(), raw);
    while let Some(start) = rest.find('<') {
        out.push_str(&escaped(&rest[..start]));
        rest = &rest[start..];
        if let Some(end) = rest.strip_prefix("<!--").and_then(|inner| inner.find("-->")) {
            rest = &rest[end + 7..];
            continue;
        }
        let end = rest.find('>').map_or(rest.len(), |end| end + 1);
        let name = rest[..end]
            .trim_start_matches('<')
            .trim_start_matches('/')
            .trim_end_matches('>')
            .trim_end_matches('/')
            .trim();
        if TAGS.contains(&name) || name == "details open" {
            out.push_str(&rest[..end]);
        } else {
            out.push_str(&escaped(&rest[..end]));
        }
        rest = &rest[end..];
    }
    out.push_str(&escaped(rest));
    out
}

/// A diff with a class for each kind of line.
pub(crate) fn coloured(diff: &str) -> String {
    let line = |line: &str| {
        let class = match line.chars().next() {
            Some('+') => "add",
            Some('-') => "del",
            Some('!') => "chg",
            Some('@' | '#') => "hunk",
            _ => "",
        };
        format!("<span class=\"{class}\">{}</span>\n", escaped(line))
    };
    format!("<pre class=\"diff\"><code>{}</code></pre>\n", diff.lines().map(line).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::rendered;

    #[test]
    fn github_markdown_is_rendered() {
        let html = rendered(
            "> [!CAUTION]\n> Destroys.\n\n|a|b|\n|-|-|\n|1|2|\n\n<details><summary>More</summary>\n\n```diff\n+ x < y\n- z\n```\n</details>\n",
        );
        for part in [
            "markdown-alert-caution",
            "<td>1</td>",
            "<summary>More</summary>",
            "<span class=\"add\">+ x &lt; y</span>",
            "<span class=\"del\">- z</span>",
            "</details>",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn lines_of_a_comment_stay_lines() {
        assert_eq!(rendered("one\ntwo"), "<p>one<br />\ntwo</p>\n");
    }

    #[test]
    fn nothing_runs_in_a_page() {
        let html = rendered(
            "<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1)) <!-- buildit:1 --><details onclick=x>\n\n<div onclick=x>hi</div>",
        );
        for part in ["<script", "<img", "href=\"javascript", "<details", "<div", "<!--"] {
            assert!(!html.contains(part), "{part} in {html}");
        }
    }
}
