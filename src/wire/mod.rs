//! Bytes to messages and back: the peer wire, and announces over HTTP and UDP. No sockets, no clock.
//!
//! Every decoder takes `&[u8]`, never panics, says `Ok(None)` where it needs more, and refuses what is over its named
//! limits as soon as that can be seen. [`Handshake`] and [`Message`] are what peers say to each other, [`Extensions`]
//! is the dictionary inside the first extended message, [`MetadataMessage`] what peers say of the info dictionary. [`Announce`] and [`AnnounceReply`] are what clients and
//! trackers say, whatever carries them: [`http`] and [`udp`] do.

mod announce;
mod extension;
mod handshake;
pub mod http;
mod message;
mod metadata;
mod query;
mod reply;
pub mod udp;
pub mod utp;

pub use announce::{
    Announce, AnnounceReply, BAD_PEERS_MAX, Event, NamedPeer, PEERS_MAX, SCRAPE_HASHES_MAX, ScrapeEntry,
};
pub use extension::{EXTENSION_BYTES_MAX, EXTENSION_HANDSHAKE_ID, Extensions};
pub use handshake::{HANDSHAKE_BYTES, Handshake, Reserved};
pub use message::{BlockRequest, MESSAGE_BYTES_MAX, Message, PIECE_DATA_BYTES_MAX, PIECE_HEAD_BYTES, put_piece_head};
pub use metadata::{METADATA_NAME, METADATA_PART_BYTES, MetadataMessage, metadata_part, metadata_parts};

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not the protocol at all.
    #[error("not the BitTorrent protocol")]
    Protocol,
    /// Longer than any such message may be.
    #[error("{what} of {found} bytes is longer than {limit}")]
    TooLong {
        /// Which message.
        what: &'static str,
        /// How long it says it is.
        found: usize,
        /// How long it may be.
        limit: usize,
    },
    /// A length that this kind of message cannot have.
    #[error("{what} of {found} bytes")]
    Length {
        /// Which message.
        what: &'static str,
        /// Its length.
        found: usize,
    },
    /// A part that must be there is not.
    #[error("no {what}")]
    Missing {
        /// Which part.
        what: &'static str,
    },
    /// A part that cannot be read.
    #[error("malformed {what}")]
    Malformed {
        /// Which part.
        what: &'static str,
    },
    /// Bencode inside it is wrong.
    #[error(transparent)]
    Bencode(#[from] crate::torrent::bencode::BencodeError),
}
