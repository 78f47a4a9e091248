//! What one request asks for.

use super::layout::PieceIndex;

/// The length of a request that every client answers (BEP 3: 2^14).
pub const BLOCK_BYTES: u32 = 16 * 1024;

/// A part of a piece, as one request asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    /// The piece.
    pub piece: PieceIndex,
    /// Where it begins in the piece.
    pub offset_bytes: u32,
    /// How long it is.
    pub length_bytes: u32,
}

/// The blocks of the first `length_bytes` of a piece: all of [`BLOCK_BYTES`], the last one shorter where it must.
pub fn blocks_of(piece: PieceIndex, length_bytes: u32) -> impl ExactSizeIterator<Item = Block> + Clone {
    (0..length_bytes.div_ceil(BLOCK_BYTES)).map(move |n| {
        let offset_bytes = n * BLOCK_BYTES;
        Block { piece, offset_bytes, length_bytes: BLOCK_BYTES.min(length_bytes - offset_bytes) }
    })
}
