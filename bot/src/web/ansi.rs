//! Terminal output as lines of HTML: colours, bold and underline survive as classes, everything else of the
//! terminal's language is dropped.
//!
//! Invariant: the only elements made are `<span class="…">` with fixed class names; all text is escaped.

use anstyle_parse::{DefaultCharAccumulator, Params, Parser, Perform};

use crate::render::text::is_hidden;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Look {
    colour: Option<u8>,
    bold: bool,
    dim: bool,
    underline: bool,
}

impl Look {
    fn classes(self) -> String {
        let mut out = Vec::new();
        if let Some(colour) = self.colour {
            out.push(format!("c{colour}"));
        }
        for (on, class) in [(self.bold, "bold"), (self.dim, "dim"), (self.underline, "under")] {
            if on {
                out.push(class.to_owned());
            }
        }
        out.join(" ")
    }

    /// Select Graphic Rendition of ECMA-48; 0 to 15 are kept of the colours.
    fn apply(&mut self, params: &Params) {
        let mut numbers = params.iter().map(|param| param.first().copied().unwrap_or(0));
        if params.is_empty() {
            *self = Self::default();
        }
        while let Some(number) = numbers.next() {
            match number {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                4 => self.underline = true,
                22 => (self.bold, self.dim) = (false, false),
                24 => self.underline = false,
                30..=37 => self.colour = u8::try_from(number - 30).ok(),
                90..=97 => self.colour = u8::try_from(number - 82).ok(),
                39 => self.colour = None,
                38 | 48 => {
                    let colour = match numbers.next() {
                        Some(5) => {
                            numbers.next().and_then(|index| u8::try_from(index).ok()).filter(|index| *index < 16)
                        }
                        Some(2) => {
                            let _ = (numbers.next(), numbers.next(), numbers.next());
                            None
                        }
                        _ => None,
                    };
                    if number == 38 {
                        self.colour = colour;
                    }
                }
                _ => {}
            }
        }
    }
}

#[derive(Debug, Default)]
struct Page {
    lines: Vec<String>,
    line: String,
    /// The look of the open span; `None` without one.
    open: Option<Look>,
    look: Look,
}

impl Page {
    fn close(&mut self) {
        if self.open.take().is_some() {
            self.line.push_str("</span>");
        }
    }
    fn end_line(&mut self) {
        self.close();
        self.lines.push(std::mem::take(&mut self.line));
    }
}

impl Perform for Page {
    fn print(&mut self, c: char) {
        let wanted = (self.look != Look::default()).then_some(self.look);
        if wanted != self.open {
            self.close();
            if let Some(look) = wanted {
                self.line.push_str(&format!("<span class=\"{}\">", look.classes()));
                self.open = Some(look);
            }
        }
        match c {
            '&' => self.line.push_str("&amp;"),
            '<' => self.line.push_str("&lt;"),
            '>' => self.line.push_str("&gt;"),
            '"' => self.line.push_str("&quot;"),
            c if is_hidden(c) => self.line.push_str(&format!("\u{27e8}U+{:04X}\u{27e9}", u32::from(c))),
            c => self.line.push(c),
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\n' => self.end_line(),
            b'\t' => self.line.push('\t'),
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _ignore: bool, action: u8) {
        if action == b'm' && intermediates.is_empty() {
            self.look.apply(params);
        }
    }
}

/// The lines as HTML, without line ends. A last line without its end is one too.
pub(super) fn lines(bytes: &[u8]) -> Vec<String> {
    // The parser would take bytes 0x80 to 0x9f of broken UTF-8 for controls.
    let text = String::from_utf8_lossy(bytes);
    let mut page = Page::default();
    let mut parser = Parser::<DefaultCharAccumulator>::new();
    for byte in text.bytes() {
        parser.advance(&mut page, byte);
    }
    if !page.line.is_empty() {
        page.end_line();
    }
    page.lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn colours_become_classes() {
        let seen = lines(b"\x1b[31m\xe2\x95\xb7\x1b[0m plain\n\x1b[1;92mok\x1b[22m\nnext\x1b[m end");
        assert_eq!(
            seen,
            [
                "<span class=\"c1\">╷</span> plain",
                "<span class=\"c10 bold\">ok</span>",
                "<span class=\"c10\">next</span> end"
            ]
        );
    }

    #[test]
    fn what_could_act_is_text_or_gone() {
        let seen = lines("<script>&\"\x1b]8;;http://evil\x07link\x1b]8;;\x07\x1b[2J\x1b[9999Ax\u{202e}y\r\n\x1b[38;5;1mr\x1b[38;2;1;2;3mz".as_bytes());
        assert_eq!(seen, ["&lt;script&gt;&amp;&quot;linkx⟨U+202E⟩y", "<span class=\"c1\">r</span>z"]);
    }

    proptest! {
        #[test]
        fn only_our_spans_come_out(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "(<b>|\u{1b}\\[[0-9;]{0,6}m|&|\"|'|\n|x){0,20}") {
            let mut all = bytes;
            all.extend(text.bytes());
            for line in lines(&all) {
                let rest = line.replace("</span>", "");
                for piece in rest.split('<').skip(1) {
                    let class = piece.strip_prefix("span class=\"").and_then(|p| p.split_once("\">"));
                    let (class, _) = class.expect("nothing but our spans");
                    prop_assert!(class.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == ' '));
                }
                prop_assert_eq!(line.matches("<span").count(), line.matches("</span>").count());
            }
        }
    }
}
