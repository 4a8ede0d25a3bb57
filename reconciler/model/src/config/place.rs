//! Byte offsets of one file as lines and columns.

use kdl::NodeKey;

use crate::diagnostic::Span;

/// One file of configuration with the starts of its lines.
#[derive(Debug)]
pub(super) struct Place<'a> {
    file: &'a str,
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Place<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file, text, starts }
    }

    fn line_column(&self, offset: usize) -> (u32, u32) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= offset).max(1) - 1;
        let column = self.text[self.starts[line]..offset].chars().count();
        (number(line + 1), number(column + 1))
    }

    /// The span of `length` bytes from `offset`.
    pub(super) fn span(&self, offset: usize, length: usize) -> Span {
        let (line, column) = self.line_column(offset);
        let (end_line, end_column) = self.line_column(offset + length);
        Span {
            file: self.file.to_owned(),
            line,
            column,
            end_line,
            end_column,
            offset: number(offset),
            length: number(length),
        }
    }

    /// The text of the line that holds `offset`.
    pub(super) fn line_text(&self, offset: usize) -> &'a str {
        let (line, _) = self.line_column(offset);
        let start = self.starts[line as usize - 1];
        self.text[start..].lines().next().unwrap_or_default()
    }

    /// Where a node's name stands.
    pub(super) fn name_of(&self, node: &kdl::KdlNode) -> Span {
        let span = node.name().span();
        self.span(span.offset(), span.len())
    }

    /// Where an entry stands.
    pub(super) fn entry(&self, entry: &kdl::KdlEntry) -> Span {
        let span = entry.span();
        let (mut offset, mut length) = (span.offset(), span.len());
        let raw = self.text.get(offset..offset + length).unwrap_or_default();
        let blank = raw.len() - raw.trim_start().len();
        offset += blank;
        length = raw.trim().len();
        self.span(offset, length)
    }

    /// Where the property or argument of that key stands; the name when there is none.
    pub(super) fn key(&self, node: &kdl::KdlNode, key: impl Into<NodeKey>) -> Span {
        node.entry(key).map_or_else(|| self.name_of(node), |entry| self.entry(entry))
    }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
