//! Bytes of a text as lines and columns, quickly also where a text of megabytes is one line.

use crate::problem::Place;

/// So many bytes are counted at a time.
const BLOCK: usize = 64;

/// Where the lines of a text begin, and how many characters come before each block of it.
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
    before: Vec<usize>,
}

/// A byte that is no later one of a character.
fn begins(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| begins(**byte)).count()
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1));
        let mut sum = 0;
        let before = text.as_bytes().chunks(BLOCK).map(|block| {
            let before = sum;
            sum += characters(block);
            before
        });
        let before = before.collect();
        Self {
            text,
            starts: starts.collect(),
            before,
        }
    }

    /// How many characters come before this byte.
    fn before(&self, offset: usize) -> usize {
        let block = offset / BLOCK;
        let rest = self.text.as_bytes().get(block * BLOCK..offset);
        match self.before.get(block) {
            Some(before) => before + characters(rest.unwrap_or_default()),
            None => self.text.chars().count(),
        }
    }

    /// Where this byte stands.
    pub(super) fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        place(line, self.before(offset) - self.before(start) + 1)
    }

    /// The byte of a line from 1 and a column of bytes from 1, as `serde_json` gives them.
    pub(super) fn offset(&self, line: usize, column: usize) -> usize {
        let start = self.starts.get(line.saturating_sub(1));
        let start = start.copied().unwrap_or(self.text.len());
        let mut offset = (start + column.saturating_sub(1)).min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

/// A place from counts, both from 1.
pub(super) fn place(line: usize, column: usize) -> Place {
    let short = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Place {
        line: short(line),
        column: short(column),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = format!("{}x\n\u{e9}y", "\u{1f600}".repeat(100));
        let lines = Lines::of(&text);
        let x = text.find('x').unwrap();
        assert_eq!(lines.place(x), place(1, 101));
        assert_eq!(lines.place(text.find('y').unwrap()), place(2, 2));
        assert_eq!(lines.place(text.len()), place(2, 3));
        assert_eq!(Lines::of("").place(0), place(1, 1));
        assert_eq!(Lines::of("a\n").place(2), place(2, 1));
    }
}
