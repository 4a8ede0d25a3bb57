//! What is refused before the KDL parser sees it.
//!
//! The parser takes exponential time on nested `/-` and overflows the stack on deep nesting, so one linear
//! scan that knows strings and comments holds every file to bounds first.

use super::place::Place;
use crate::diagnostic::Diagnostic;

/// Largest file in bytes.
pub(super) const MAX_BYTES: usize = 256 * 1024;
const MAX_DEPTH: usize = 24;
const MAX_SLASHDASH: usize = 4;
const MAX_TOKENS: usize = 50_000;

/// The first bound that the file breaks.
pub(super) fn check(file: &str, text: &str) -> Result<(), Box<Diagnostic>> {
    let place = Place::new(file, text);
    if text.len() > MAX_BYTES {
        let summary = format!("the file has {} KiB; the limit is 256 KiB", text.len() / 1024);
        return Err(Box::new(
            Diagnostic::error("file-too-large", summary).help("split it into several files").at(place.span(0, 0)),
        ));
    }
    let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
    match scan.run() {
        Ok(()) => Ok(()),
        Err((offset, code, summary)) => Err(Box::new(
            Diagnostic::error(code, summary).help("flatten the file, or split it").at(place.span(offset, 1)),
        )),
    }
}

type Broken = (usize, &'static str, String);

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn run(&mut self) -> Result<(), Broken> {
        let (mut depth, mut tokens, mut dashes, mut in_word) = (0usize, 0usize, Vec::new(), false);
        while let Some(&byte) = self.bytes.get(self.at) {
            let start = self.at;
            match byte {
                b'"' => self.string(0),
                b'#' if self.raw_hashes() > 0 => {
                    let hashes = self.raw_hashes();
                    self.at += hashes;
                    self.string(hashes);
                }
                b'/' if self.next_is(b'/') => self.line_comment(),
                b'/' if self.next_is(b'*') => self.block_comment()?,
                b'/' if self.next_is(b'-') => {
                    self.at += 2;
                    dashes.push(depth);
                    if dashes.len() > MAX_SLASHDASH {
                        return Err((start, "too-many-slashdash", "`/-` inside `/-` more than 4 deep".to_owned()));
                    }
                }
                b'{' | b'(' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    if depth > MAX_DEPTH {
                        return Err((start, "too-deep", "nested more than 24 deep".to_owned()));
                    }
                }
                b'}' | b')' | b']' => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                _ => self.at += 1,
            }
            if matches!(byte, b'\n' | b';' | b'}') {
                dashes.retain(|level| *level < depth);
            }
            let blank = byte.is_ascii_whitespace() || byte == b';';
            if !blank && !in_word {
                tokens += 1;
                if tokens > MAX_TOKENS {
                    return Err((start, "too-many-words", "more than 50,000 words".to_owned()));
                }
            }
            in_word = !blank && !matches!(byte, b'{' | b'}' | b'"' | b'=');
        }
        Ok(())
    }

    fn next_is(&self, byte: u8) -> bool {
        self.bytes.get(self.at + 1) == Some(&byte)
    }

    /// `#…"` opens a raw string: how many hashes, or 0.
    fn raw_hashes(&self) -> usize {
        let hashes = self.bytes[self.at..].iter().take_while(|b| **b == b'#').count();
        if self.bytes.get(self.at + hashes) == Some(&b'"') { hashes } else { 0 }
    }

    /// Skips a string that begins here; `hashes` of a raw one.
    fn string(&mut self, hashes: usize) {
        let quotes = if self.bytes[self.at..].starts_with(b"\"\"\"") { 3 } else { 1 };
        self.at += quotes;
        while let Some(&byte) = self.bytes.get(self.at) {
            if hashes == 0 && byte == b'\\' {
                self.at += 2;
                continue;
            }
            let rest = &self.bytes[self.at..];
            let closes = rest.len() >= quotes + hashes
                && rest[..quotes].iter().all(|b| *b == b'"')
                && rest[quotes..quotes + hashes].iter().all(|b| *b == b'#');
            if closes {
                self.at += quotes + hashes;
                return;
            }
            if quotes == 1 && byte == b'\n' {
                return;
            }
            self.at += 1;
        }
    }

    fn line_comment(&mut self) {
        while self.bytes.get(self.at).is_some_and(|b| *b != b'\n') {
            self.at += 1;
        }
    }

    fn block_comment(&mut self) -> Result<(), Broken> {
        let mut depth = 0usize;
        while self.at < self.bytes.len() {
            let rest = &self.bytes[self.at..];
            if rest.starts_with(b"/*") {
                depth += 1;
                self.at += 2;
                if depth > MAX_DEPTH {
                    return Err((self.at - 2, "too-deep", "comments nested more than 24 deep".to_owned()));
                }
            } else if rest.starts_with(b"*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return Ok(());
                }
            } else {
                self.at += 1;
            }
        }
        Ok(())
    }
}
