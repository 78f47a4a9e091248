//! Byte offsets of a file into lines and columns: quickly, in whatever order, however long its lines are.

use super::error::Place;
use std::sync::Arc;

/// So many bytes are counted at most for one place.
const STEP_BYTES: usize = 4096;

/// Lines and columns of a file.
pub(super) struct Locator<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    /// Line and column, from 0, where each step begins; made when first asked for.
    steps: Vec<(u32, u32)>,
    /// The offset that was last asked for, and its place from 0: the next is mostly a little further on.
    last: (usize, (u32, u32)),
}

impl<'a> Locator<'a> {
    pub(super) fn new(file: &'a Arc<str>, text: &'a str) -> Self {
        Self { file, text, steps: Vec::new(), last: (0, (0, 0)) }
    }

    /// Line and column, both from 1, the column in characters.
    pub(super) fn at(&mut self, offset: usize) -> (u32, u32) {
        let bytes = self.text.as_bytes();
        if self.steps.is_empty() {
            let mut begin = (0, 0);
            for step in bytes.chunks(STEP_BYTES) {
                self.steps.push(begin);
                begin = counted(begin, step);
            }
            self.steps.push(begin);
        }
        let offset = offset.min(bytes.len());
        let step = offset / STEP_BYTES;
        let (from, begin) = match self.last {
            (last, place) if (step * STEP_BYTES..=offset).contains(&last) => (last, place),
            _ => (step * STEP_BYTES, self.steps[step]),
        };
        let (line, column) = counted(begin, &bytes[from..offset]);
        self.last = (offset, (line, column));
        (line + 1, column + 1)
    }

    pub(super) fn place(&mut self, offset: usize) -> Place {
        let (line, column) = self.at(offset);
        Place { file: self.file.clone(), line, column }
    }
}

/// Where one stands after these bytes.
fn counted((line, column): (u32, u32), bytes: &[u8]) -> (u32, u32) {
    // Bytes that begin a character.
    let characters = |bytes: &[u8]| bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u32;
    match memchr::memrchr(b'\n', bytes) {
        None => (line, column + characters(bytes)),
        Some(last) => (line + memchr::memchr_iter(b'\n', bytes).count() as u32, characters(&bytes[last + 1..])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::xml;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn places_are_those_that_counting_finds(text in "[aü\n]{0,60}", repeated in 1usize..300, offsets in proptest::collection::vec(0usize..40_000, 1..5)) {
            let (file, text): (Arc<str>, String) = ("f".into(), text.repeat(repeated));
            let mut locator = Locator::new(&file, &text);
            for offset in offsets {
                let offset = (0..=offset.min(text.len())).rev().find(|offset| text.is_char_boundary(*offset));
                let offset = offset.expect("0 is one");
                prop_assert_eq!(locator.at(offset), xml::line_and_column(&text, offset));
            }
        }
    }

    #[test]
    fn offsets_may_go_back() {
        let file: Arc<str> = "f".into();
        let mut locator = Locator::new(&file, "a\nbü\nc");
        assert_eq!([0, 2, 5, 6, 3].map(|offset| locator.at(offset)), [(1, 1), (2, 1), (2, 3), (3, 1), (2, 2)]);
    }
}
