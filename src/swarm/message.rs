//! Control messages of the peer wire as a session sees them: everything but the payload of blocks.

use crate::torrent::Block;

/// A message without payload. Numbers are as they stood on the wire; the session judges them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Nothing, so that the connection is not taken for dead.
    KeepAlive,
    /// Requests will not be answered.
    Choke,
    /// Requests will be answered.
    Unchoke,
    /// The sender wants pieces of the receiver.
    Interested,
    /// It does not.
    NotInterested,
    /// The sender has a piece.
    Have(u32),
    /// Which pieces the sender has, high bit first.
    Bitfield(Vec<u8>),
    /// A block is asked for.
    Request(RawBlock),
    /// It is asked for no longer.
    Cancel(RawBlock),
    /// It will not be sent (BEP 6).
    Reject(RawBlock),
    /// The sender has every piece (BEP 6).
    HaveAll,
    /// The sender has no piece (BEP 6).
    HaveNone,
    /// A message of an extension (BEP 10); number 0 is the extension handshake.
    Extended {
        /// The number the receiver gave that extension.
        id: u8,
        /// Its payload.
        payload: Vec<u8>,
    },
}

/// A block as it stands on the wire: not yet known to exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawBlock {
    /// The number of the piece.
    pub piece: u32,
    /// Where it begins in the piece.
    pub offset_bytes: u32,
    /// How long it is.
    pub length_bytes: u32,
}

impl RawBlock {
    /// The numbers of a block.
    pub fn of(block: Block) -> Self {
        Self { piece: block.piece.get(), offset_bytes: block.offset_bytes, length_bytes: block.length_bytes }
    }
}
