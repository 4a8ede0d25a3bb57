//! Masking of secrets in streams of bytes.
//!
//! Finds a secret as it is, line by line, and in the shapes in which it usually leaks: base64 at all three
//! offsets, hexadecimal, URL-encoded, JSON-escaped, shell-quoted. Whatever part of the input lies in any match is
//! replaced; matches that overlap become one mask. Nothing that could still become part of a match is given out.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// Shorter secrets (and shorter lines of secrets) are not searched for: they would be found everywhere.
pub const SHORTEST: usize = 4;

/// All needles of a set of secrets.
#[derive(Debug, Clone, Default)]
pub struct Masker {
    needles: Option<AhoCorasick>,
    longest: usize,
}

impl Masker {
    /// Prepares the search. Texts shorter than `SHORTEST` and the words `true`, `false` and `null` are left out.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles = BTreeSet::new();
        for secret in secrets {
            shapes(secret, &mut needles);
        }
        needles.retain(|needle| needle.len() >= SHORTEST);
        let longest = needles.iter().map(Vec::len).max().unwrap_or_default();
        if needles.is_empty() {
            return Self::default();
        }
        let built = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&needles);
        // It fails only beyond billions of states; then nothing at all is let through.
        let needles = built.or_else(|_| AhoCorasick::new((0..=u8::MAX).map(|byte| [byte]))).ok();
        Self { needles, longest }
    }

    /// Nothing to search for?
    pub fn is_empty(&self) -> bool {
        self.needles.is_none()
    }

    /// Is any secret in it?
    pub fn finds(&self, text: &str) -> bool {
        self.needles.as_ref().is_some_and(|needles| needles.is_match(text))
    }

    /// A whole text. Invalid UTF-8 cannot arise: a mask that would split a character takes all of it away.
    pub fn mask(&self, text: &str) -> String {
        let mut stream = self.stream();
        let mut out = stream.push(text.as_bytes());
        out.extend(stream.finish());
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Masks a whole piece of output.
    pub fn mask_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.stream();
        let mut out = stream.push(bytes);
        out.extend(stream.finish());
        out
    }

    /// For output that comes in chunks.
    pub fn stream(&self) -> MaskStream {
        MaskStream { masker: self.clone(), held: Vec::new(), covered: 0 }
    }
}

/// Masks a stream; holds back at most the length of the longest needle.
#[derive(Debug, Clone)]
pub struct MaskStream {
    masker: Masker,
    held: Vec<u8>,
    /// So many bytes at the begin of `held` belong to a match whose mask was given out already.
    covered: usize,
}

impl MaskStream {
    /// Takes a chunk; gives what is decided.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        let Some(needles) = self.masker.needles.clone() else { return chunk.to_vec() };
        self.held.extend_from_slice(chunk);
        // A match that begins before this place has been seen whole.
        let decided = (self.held.len() + 1).saturating_sub(self.masker.longest);
        self.give(&needles, decided)
    }

    /// The rest.
    pub fn finish(&mut self) -> Vec<u8> {
        let Some(needles) = self.masker.needles.clone() else { return Vec::new() };
        self.give(&needles, self.held.len())
    }

    fn give(&mut self, needles: &AhoCorasick, decided: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(decided);
        let mut spans: Vec<(usize, usize)> =
            needles.find_overlapping_iter(&self.held).map(|found| (found.start(), found.end())).collect();
        spans.retain(|(start, _)| *start < decided);
        spans.sort_unstable();
        let (mut at, mut masked_to) = (0, self.covered);
        for (start, end) in spans {
            if start < masked_to {
                masked_to = masked_to.max(end);
                continue;
            }
            at = at.max(masked_to);
            out.extend_from_slice(self.held.get(at..start).unwrap_or_default());
            out.extend_from_slice(MASK.as_bytes());
            (at, masked_to) = (start, end);
        }
        at = at.max(masked_to);
        out.extend_from_slice(self.held.get(at..decided).unwrap_or_default());
        self.covered = masked_to.saturating_sub(decided);
        self.held.drain(..decided);
        out
    }
}

fn is_worth_it(part: &str) -> bool {
    part.len() >= SHORTEST && !matches!(part, "true" | "false" | "null")
}

fn shapes(secret: &str, needles: &mut BTreeSet<Vec<u8>>) {
    let whole = secret.trim_end_matches(['\n', '\r']);
    let lines = whole.lines().map(str::trim);
    let parts: BTreeSet<&str> = lines.chain([whole, whole.trim()]).filter(|part| is_worth_it(part)).collect();
    for part in parts {
        let bytes = part.as_bytes();
        needles.insert(bytes.to_vec());
        base64_shapes(bytes, needles);
        needles.insert(hex::encode(bytes).into_bytes());
        needles.insert(hex::encode_upper(bytes).into_bytes());
        for (space_as_plus, upper) in [(false, true), (false, false), (true, true), (true, false)] {
            needles.insert(url_encoded(bytes, space_as_plus, upper));
        }
        let json = serde_json::Value::from(part).to_string();
        let json = json.trim_start_matches('"').strip_suffix('"').unwrap_or_default().to_owned();
        needles.insert(json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").into_bytes());
        needles.insert(json.replace('/', "\\/").into_bytes());
        needles.insert(json.into_bytes());
        needles.insert(part.replace('\'', "'\\''").into_bytes());
        needles.insert(part.replace('\'', "'\"'\"'").into_bytes());
        needles.insert(part.replace('$', "$$").into_bytes());
    }
}

/// The characters that the secret alone decides, wherever it stands in a longer encoded text.
fn base64_shapes(bytes: &[u8], needles: &mut BTreeSet<Vec<u8>>) {
    for offset in 0..3_usize {
        let mut padded = vec![0; offset];
        padded.extend_from_slice(bytes);
        let first = (offset * 8).div_ceil(6);
        let behind = padded.len() * 8 / 6;
        for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            needles.extend(encoded.as_bytes().get(first..behind).map(<[u8]>::to_vec));
        }
    }
}

fn url_encoded(bytes: &[u8], space_as_plus: bool, upper: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 3);
    for byte in bytes {
        match byte {
            b' ' if space_as_plus => out.push(b'+'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(*byte),
            other if upper => out.extend_from_slice(format!("%{other:02X}").as_bytes()),
            other => out.extend_from_slice(format!("%{other:02x}").as_bytes()),
        }
    }
    out
}

#[cfg(test)]
mod tests;
