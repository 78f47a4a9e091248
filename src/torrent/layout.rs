//! The one map between files, pieces and blocks of a metainfo.
//!
//! Invariant: the files stand one behind the other from offset 0 to `total_bytes`; pieces cover the same range, each of
//! `piece_length_bytes` but the last. `piece_count` fits in 32 bits.

use super::block::{Block, blocks_of};
use super::path::TorrentPath;
use std::ops::Range;

/// The number of a piece; can only be had from a [`Layout`] (or a bit field of it), so it is in range there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceIndex(u32);

impl PieceIndex {
    /// The number, from 0.
    pub fn get(self) -> u32 {
        self.0
    }

    /// For this room, where the range was checked by other means.
    pub(super) fn checked_elsewhere(n: u32) -> Self {
        Self(n)
    }
}
impl std::fmt::Display for PieceIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
impl std::fmt::Debug for PieceIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PieceIndex({})", self.0)
    }
}

/// A file of a metainfo, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutFile {
    /// Its path below the torrent's folder; of a torrent of a single file, the torrent's name.
    pub path: TorrentPath,
    /// Where it begins, in the row of all files.
    pub offset_bytes: u64,
    /// How long it is.
    pub length_bytes: u64,
    /// The number of the piece its first byte is in (of an empty file: the one that would be next).
    pub first_piece: u32,
    /// Padding (BEP 47): zeros that belong to no file.
    pub is_pad: bool,
}

/// A part of a piece that lies in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The file.
    pub file: &'a LayoutFile,
    /// Where the part begins in the file.
    pub file_offset_bytes: u64,
    /// Where it begins in the piece.
    pub piece_offset_bytes: u32,
    /// How long it is.
    pub length_bytes: u32,
}

/// Where everything lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    piece_length_bytes: u32,
    total_bytes: u64,
    piece_count: u32,
    files: Vec<LayoutFile>,
    /// Of each piece, its length without the pad at its end.
    payload_lens: Vec<u32>,
    /// Numbers of the files that are no pads, in the order of their paths.
    by_path: Vec<u32>,
}

impl Layout {
    /// Lays files (path, length, whether a pad) one behind the other. The caller has checked that the pieces can be
    /// counted in 32 bits and that a piece has at least one byte.
    pub(super) fn new(piece_length_bytes: u32, files: impl Iterator<Item = (TorrentPath, u64, bool)>) -> Self {
        let piece = u64::from(piece_length_bytes);
        let mut offset_bytes = 0;
        let files: Vec<LayoutFile> = files
            .map(|(path, length_bytes, is_pad)| {
                let first_piece = (offset_bytes / piece) as u32;
                let file = LayoutFile { path, offset_bytes, length_bytes, first_piece, is_pad };
                offset_bytes += length_bytes;
                file
            })
            .collect();
        let mut by_path: Vec<u32> = (0..).zip(&files).filter(|(_, file)| !file.is_pad).map(|(n, _)| n).collect();
        by_path.sort_unstable_by(|&a, &b| files[a as usize].path.cmp(&files[b as usize].path));
        let piece_count = offset_bytes.div_ceil(piece) as u32;
        let mut payload_lens = vec![0; piece_count as usize];
        for file in files.iter().filter(|file| !file.is_pad && file.length_bytes > 0) {
            let end = file.offset_bytes + file.length_bytes;
            let pieces = file.first_piece as usize..end.div_ceil(piece) as usize;
            payload_lens[pieces.clone()].fill(piece_length_bytes);
            payload_lens[pieces.end - 1] = (end - (pieces.end - 1) as u64 * piece) as u32;
        }
        Self { piece_length_bytes, total_bytes: offset_bytes, piece_count, files, payload_lens, by_path }
    }

    /// The length of every piece but the last.
    pub fn piece_length_bytes(&self) -> u32 {
        self.piece_length_bytes
    }

    /// The length of all files, pads too.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// How many pieces there are.
    pub fn piece_count(&self) -> u32 {
        self.piece_count
    }

    /// All files in their order, pads too.
    pub fn files(&self) -> &[LayoutFile] {
        &self.files
    }

    /// The file of this path, if it is one and no pad.
    pub fn file(&self, path: &str) -> Option<&LayoutFile> {
        let found = self.by_path.binary_search_by(|&n| self.files[n as usize].path.as_str().cmp(path)).ok()?;
        Some(&self.files[self.by_path[found] as usize])
    }

    /// The piece of this number, if there is one.
    pub fn index(&self, n: u32) -> Option<PieceIndex> {
        (n < self.piece_count).then_some(PieceIndex(n))
    }

    /// All pieces in order.
    pub fn pieces(&self) -> impl ExactSizeIterator<Item = PieceIndex> + DoubleEndedIterator + Clone + use<> {
        (0..self.piece_count).map(PieceIndex)
    }

    /// The pieces a file of this layout has bytes in.
    pub fn pieces_of(&self, file: &LayoutFile) -> impl ExactSizeIterator<Item = PieceIndex> + Clone + use<> {
        let Range { start, end } = self.piece_range(file.offset_bytes, file.length_bytes);
        (start..end).map(PieceIndex)
    }

    /// The pieces that `length_bytes` from `offset_bytes` of a file of this layout lie in; what is behind its end
    /// does not count.
    pub fn pieces_of_part(
        &self,
        file: &LayoutFile,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> impl ExactSizeIterator<Item = PieceIndex> + Clone + use<> {
        let offset_bytes = offset_bytes.min(file.length_bytes);
        let length_bytes = length_bytes.min(file.length_bytes - offset_bytes);
        let Range { start, end } = self.piece_range(file.offset_bytes + offset_bytes, length_bytes);
        (start..end).map(PieceIndex)
    }

    /// Where a piece begins, in the row of all files.
    pub fn piece_offset_bytes(&self, piece: PieceIndex) -> u64 {
        u64::from(piece.0) * u64::from(self.piece_length_bytes)
    }

    /// The length of a piece.
    pub fn piece_len(&self, piece: PieceIndex) -> u32 {
        let left = self.total_bytes.saturating_sub(self.piece_offset_bytes(piece));
        left.min(u64::from(self.piece_length_bytes)) as u32
    }

    /// The length of a piece without the pad at its end: what must be asked for. The rest is zeros by rule.
    pub fn payload_len(&self, piece: PieceIndex) -> u32 {
        self.payload_lens[piece.0 as usize]
    }

    /// The blocks of a piece, pads too.
    pub fn blocks(&self, piece: PieceIndex) -> impl ExactSizeIterator<Item = Block> + Clone + use<> {
        blocks_of(piece, self.piece_len(piece))
    }

    /// The blocks of a piece without the pad at its end.
    pub fn payload_blocks(&self, piece: PieceIndex) -> impl ExactSizeIterator<Item = Block> + Clone + use<> {
        blocks_of(piece, self.payload_len(piece))
    }

    /// The block a request asks for, if it lies in its piece and is not empty.
    pub fn block(&self, piece: u32, offset_bytes: u32, length_bytes: u32) -> Option<Block> {
        let piece = self.index(piece)?;
        let end = offset_bytes.checked_add(length_bytes)?;
        (length_bytes > 0 && end <= self.piece_len(piece)).then_some(Block { piece, offset_bytes, length_bytes })
    }

    /// The files a piece lies in, part by part, pads too, without empty files.
    pub fn segments(&self, piece: PieceIndex) -> impl Iterator<Item = Segment<'_>> {
        let start = self.piece_offset_bytes(piece);
        let end = start + u64::from(self.piece_len(piece));
        let first = self.files.partition_point(|file| file.offset_bytes + file.length_bytes <= start);
        self.files[first..].iter().take_while(move |file| file.offset_bytes < end).filter_map(move |file| {
            let from = file.offset_bytes.max(start);
            let to = (file.offset_bytes + file.length_bytes).min(end);
            (from < to).then(|| Segment {
                file,
                file_offset_bytes: from - file.offset_bytes,
                piece_offset_bytes: (from - start) as u32,
                length_bytes: (to - from) as u32,
            })
        })
    }

    fn piece_range(&self, offset_bytes: u64, length_bytes: u64) -> Range<u32> {
        let piece = u64::from(self.piece_length_bytes);
        let start = (offset_bytes / piece) as u32;
        match length_bytes {
            0 => start..start,
            _ => start..(offset_bytes + length_bytes).div_ceil(piece) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layout(piece: u32, files: &[(u64, bool)]) -> Layout {
        let path = |n: usize| TorrentPath::parse(&format!("file-{n}")).expect("a plain path");
        Layout::new(piece, files.iter().enumerate().map(|(n, &(length, is_pad))| (path(n), length, is_pad)))
    }

    #[test]
    fn pads_are_no_payload() {
        let layout = layout(100, &[(150, false), (50, true), (0, false), (30, false), (20, false), (50, true)]);
        let piece = |n| layout.index(n).expect("in range");
        assert_eq!(layout.piece_count(), 3);
        assert_eq!(layout.index(3), None);
        assert_eq!([0, 1, 2].map(|n| layout.payload_len(piece(n))), [100, 50, 50]);
        assert_eq!(layout.pieces_of(&layout.files()[0]).map(PieceIndex::get).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(layout.pieces_of(&layout.files()[2]).count(), 0);
        assert_eq!(layout.pieces_of_part(&layout.files()[0], 100, 1000).map(PieceIndex::get).collect::<Vec<_>>(), [1]);
        assert_eq!(layout.file("file-3").map(|file| file.first_piece), Some(2));
        assert_eq!(layout.file("file-1"), None);
        assert_eq!(layout.block(2, 90, 10).map(|block| block.offset_bytes), Some(90));
        assert_eq!((layout.block(2, 90, 11), layout.block(2, 0, 0), layout.block(2, u32::MAX, 2)), (None, None, None));
    }

    proptest! {
        #[test]
        fn segments_cover_each_piece_once(
            piece in 1_u32..50_000,
            files in proptest::collection::vec((0_u64..100_000, any::<bool>()), 0..12),
        ) {
            let layout = layout(piece, &files);
            let mut total = 0;
            for piece in layout.pieces() {
                let mut at = 0;
                for part in layout.segments(piece) {
                    prop_assert_eq!(part.piece_offset_bytes, at);
                    prop_assert!(part.length_bytes > 0);
                    prop_assert_eq!(part.file.offset_bytes + part.file_offset_bytes, layout.piece_offset_bytes(piece) + u64::from(at));
                    prop_assert!(layout.pieces_of(part.file).any(|of| of == piece));
                    at += part.length_bytes;
                }
                prop_assert_eq!(at, layout.piece_len(piece));
                prop_assert_eq!(layout.blocks(piece).map(|block| block.length_bytes).sum::<u32>(), at);
                let payload = layout.segments(piece).filter(|part| !part.file.is_pad).last();
                let payload = payload.map_or(0, |part| part.piece_offset_bytes + part.length_bytes);
                prop_assert_eq!(layout.payload_len(piece), payload);
                total += u64::from(at);
            }
            prop_assert_eq!(total, layout.total_bytes());
        }
    }
}
