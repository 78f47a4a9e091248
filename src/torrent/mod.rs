//! What a file is to BitTorrent: bencode, metainfo, pieces, blocks, bit fields, hashing. No network, no clock.
//!
//! [`Metainfo`] is read and written here and hashed over its raw `info` bytes. Its [`Layout`] is the one map between
//! files, pieces and blocks; a [`PieceIndex`] can only be had from it, so that a piece out of range cannot be written.
//! [`MetainfoBuilder`] makes our own metainfo: v1 with BEP 47 padding, every file at the start of a piece, so that a
//! machine takes any subset of files without touching the others.

pub mod bencode;
mod bitfield;
mod block;
mod builder;
mod hash;
mod info_hash;
mod layout;
mod metainfo;
mod path;
mod peer_id;

pub use bitfield::{Bitfield, BitfieldError};
pub use block::{BLOCK_BYTES, Block, blocks_of};
pub use builder::{MetainfoBuilder, fitting_piece_length_bytes};
pub use hash::{PieceHash, PieceHasher, hash_reader, piece_matches, sha1};
pub use info_hash::InfoHash;
pub use layout::{Layout, LayoutFile, PieceIndex, Segment};
pub use metainfo::{Envelope, METAINFO_BYTES_MAX, Metainfo, MetainfoError};
pub use path::{PathError, TorrentPath};
pub use peer_id::PeerId;
