//! Byte offsets of a file into lines and columns, quickly as long as they are asked for in order.

use super::error::Place;
use std::sync::Arc;

/// Remembers how far it has counted.
pub(super) struct Locator<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    offset: usize,
    line: u32,
    line_start: usize,
}

impl<'a> Locator<'a> {
    pub(super) fn new(file: &'a Arc<str>, text: &'a str) -> Self {
        Self { file, text, offset: 0, line: 1, line_start: 0 }
    }

    /// Line and column, both from 1, the column in characters.
    pub(super) fn at(&mut self, offset: usize) -> (u32, u32) {
        let offset = offset.min(self.text.len());
        if offset < self.offset {
            (self.offset, self.line, self.line_start) = (0, 1, 0);
        }
        for (i, byte) in self.text.as_bytes()[self.offset..offset].iter().enumerate() {
            if *byte == b'\n' {
                self.line += 1;
                self.line_start = self.offset + i + 1;
            }
        }
        self.offset = offset;
        let column = self.text.get(self.line_start..offset).map_or(0, |before| before.chars().count());
        (self.line, column as u32 + 1)
    }

    pub(super) fn place(&mut self, offset: usize) -> Place {
        let (line, column) = self.at(offset);
        Place { file: self.file.clone(), line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_may_go_back() {
        let file: Arc<str> = "f".into();
        let mut locator = Locator::new(&file, "a\nbü\nc");
        assert_eq!([0, 2, 5, 6, 3].map(|offset| locator.at(offset)), [(1, 1), (2, 1), (2, 3), (3, 1), (2, 2)]);
    }
}
