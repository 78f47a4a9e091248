//! What a file is to BitTorrent: bencode, metainfo, pieces, blocks, bit fields, hashing. No network.

mod info_hash;

pub use info_hash::InfoHash;
