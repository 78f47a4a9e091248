//! What goes into a session and what comes out of it. Payload never does: the driver keeps the bytes of a block it
//! received and says [`Event::BlockReceived`]; it reads the bytes of a block it is told to send.

use super::message::Message;
use crate::torrent::{Block, PeerId, PieceIndex};
use std::net::SocketAddr;
use std::time::Duration;

/// The driver's number for a connection; a number is never used for two connections of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(pub u32);

/// Who opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// They came to us.
    Incoming,
    /// We went to them, as told by [`Action::Connect`].
    Outgoing,
}

/// Where a copy of a piece comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A connected peer.
    Peer(PeerKey),
    /// The frontend's web seed (HTTP).
    WebSeed,
}

/// How a piece asked of the web seed came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebSeedOutcome {
    /// All payload of the piece is with the driver; [`Action::Verify`] follows.
    Received,
    /// The frontend is busy and named a time to stay away (503 with `Retry-After`).
    Busy(Duration),
    /// The frontend is there, but does not have this piece: its file is gone, or is another one by now.
    Missing,
    /// It did not work.
    Failed,
}

/// What happened, as the driver tells it.
#[derive(Debug, Clone)]
pub enum Event {
    /// A handshake for this swarm is complete in both directions. The session answers with its own opening messages
    /// (bit field, extension handshake, unchoke).
    PeerConnected {
        /// The connection.
        peer: PeerKey,
        /// The name in its handshake.
        id: PeerId,
        /// Its address; of an incoming connection, with whatever port it came from.
        address: SocketAddr,
        /// Who opened it.
        direction: Direction,
        /// Whether its handshake says it speaks the fast extension (BEP 6).
        fast: bool,
        /// Whether its handshake says it speaks the extension protocol (BEP 10).
        extended: bool,
    },
    /// A message came in. Blocks come as [`Event::BlockReceived`].
    Message {
        /// From whom.
        peer: PeerKey,
        /// The message.
        message: Message,
    },
    /// A block came in and is with the driver. The answer to [`super::Session::expects`] is what the driver may read
    /// into memory for: a block nobody asked for need not be kept.
    BlockReceived {
        /// From whom.
        peer: PeerKey,
        /// Which.
        block: Block,
    },
    /// A good part of a block came in, and more is to come: a long block on a slow link is no silence.
    BlockMoves {
        /// From whom.
        peer: PeerKey,
        /// Which.
        block: Block,
    },
    /// A block is out: written to the connection to its last byte.
    BlockSent {
        /// To whom.
        peer: PeerKey,
        /// Which.
        block: Block,
    },
    /// A block that was to be sent is not there: its file is gone, or is another one by now. Nothing of it was sent.
    BlockGone {
        /// To whom.
        peer: PeerKey,
        /// Which.
        block: Block,
    },
    /// A connection is gone, by whoever's doing but the session's own.
    PeerLost {
        /// Which.
        peer: PeerKey,
    },
    /// What a peer sent cannot be read as messages; its connection is closed with [`Reason::Malformed`].
    PeerMalformed {
        /// Which.
        peer: PeerKey,
    },
    /// A connection that was to be opened could not be, or its handshake failed.
    ConnectFailed {
        /// Where to.
        address: SocketAddr,
    },
    /// The tracker's answer.
    Peers {
        /// Whom it points at, best first.
        peers: Vec<SocketAddr>,
        /// When to announce again.
        interval: Duration,
    },
    /// The tracker did not answer.
    AnnounceFailed,
    /// How a piece asked of the web seed came out.
    WebSeed {
        /// Which.
        piece: PieceIndex,
        /// How.
        outcome: WebSeedOutcome,
    },
    /// The digest of a piece was compared.
    Verified {
        /// Which.
        piece: PieceIndex,
        /// Whose copy, as [`Action::Verify`] said.
        source: Source,
        /// Whether it is the right one.
        ok: bool,
    },
    /// Pieces to be had (the install set); they add up.
    Want {
        /// Which.
        pieces: Vec<PieceIndex>,
    },
    /// The installer waits for these pieces, in this order. They need not have been wanted before.
    Demand {
        /// Which.
        pieces: Vec<PieceIndex>,
    },
    /// The installer waits for these pieces no longer; they stay wanted.
    DemandEnd {
        /// Which.
        pieces: Vec<PieceIndex>,
    },
    /// Pieces already held and verified, from an earlier run.
    Have {
        /// Which.
        pieces: Vec<PieceIndex>,
    },
    /// The time that [`super::Session::next_timeout`] named has come.
    Tick,
    /// The machine is about to reboot: say goodbye to the tracker.
    Stop,
}

/// What an announce says (BEP 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnounceEvent {
    /// The first one.
    Started,
    /// The wanted set is complete.
    Completed,
    /// A regular one.
    Interval,
    /// The last one.
    Stopped,
}

/// Why a connection is closed by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Reason {
    /// We hold as many connections as we may.
    #[error("too many connections")]
    Full,
    /// The same peer is connected twice.
    #[error("connected twice")]
    Twice,
    /// Its host has opened newer ones.
    #[error("too many connections of one host")]
    Crowd,
    /// It is ourselves.
    #[error("connected to itself")]
    Itself,
    /// It was banned before.
    #[error("banned before")]
    Banned,
    /// Neither side can have anything for the other any more.
    #[error("nothing left to exchange")]
    Useless,
    /// It did not answer requests, or said nothing at all, for too long.
    #[error("does not answer")]
    Silent,
    /// It sent a piece with a wrong digest.
    #[error("sent a wrong piece")]
    WrongPiece,
    /// Its bit field does not fit the metainfo.
    #[error("bit field does not fit")]
    WrongBitfield,
    /// It named a piece or block that does not exist, or is too long.
    #[error("asked for or named what does not exist")]
    OutOfRange,
    /// It sent what nobody asked for, or repeats itself without end.
    #[error("too many messages without sense")]
    Nonsense,
    /// It queued more requests than it may.
    #[error("too many requests")]
    Flood,
    /// What it sent is no message, or one of an impossible length.
    #[error("sent what is no message")]
    Malformed,
    /// Its extension handshake cannot be read.
    #[error("extension handshake cannot be read")]
    WrongExtension,
}

impl Reason {
    /// Whether the peer is not to be talked to again in this installation.
    pub fn is_ban(self) -> bool {
        matches!(
            self,
            Self::Banned
                | Self::WrongPiece
                | Self::WrongBitfield
                | Self::OutOfRange
                | Self::Nonsense
                | Self::Flood
                | Self::Malformed
                | Self::WrongExtension
        )
    }
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Open a connection and shake hands.
    Connect {
        /// Where to.
        address: SocketAddr,
    },
    /// Close a connection; no [`Event::PeerLost`] is to follow. Blocks of it that are still to be sent are dropped.
    Disconnect {
        /// Which.
        peer: PeerKey,
        /// Why; goes into the log. [`Reason::is_ban`] says whether the address is to be refused from now on.
        reason: Reason,
    },
    /// Send a message.
    Send {
        /// To whom.
        peer: PeerKey,
        /// What.
        message: Message,
    },
    /// Send a block; the driver reads its bytes from the cache and says [`Event::BlockSent`] when they are out.
    SendBlock {
        /// To whom.
        peer: PeerKey,
        /// Which.
        block: Block,
    },
    /// Send a part of the info dictionary, which the driver has (BEP 9).
    SendMetadata {
        /// To whom.
        peer: PeerKey,
        /// The number that the receiver gave the extension.
        id: u8,
        /// Which part; it exists.
        part: u32,
    },
    /// Compare the digest of a piece whose payload from this source is complete. Copies of two sources are never
    /// mixed: the driver keeps unverified payload by piece and source, so that a wrong piece has one culprit.
    Verify {
        /// Which.
        piece: PieceIndex,
        /// Whose copy.
        source: Source,
    },
    /// Unverified payload of this piece from this source is of no use any more.
    Forget {
        /// Which.
        piece: PieceIndex,
        /// Whose copy.
        source: Source,
    },
    /// A piece is verified and held from now on.
    PieceDone {
        /// Which.
        piece: PieceIndex,
    },
    /// Every wanted piece is held; comes again when more is wanted and had.
    SetDone,
    /// Announce to the tracker.
    Announce {
        /// What it says.
        event: AnnounceEvent,
        /// Wanted bytes not yet held.
        left_bytes: u64,
    },
    /// Fetch the payload of a piece from the frontend over HTTP.
    FetchHttp {
        /// Which.
        piece: PieceIndex,
    },
    /// Give up such a fetch; its outcome need not be told.
    CancelHttp {
        /// Which.
        piece: PieceIndex,
    },
    /// Tell the tracker's operator of a peer that lies.
    Report {
        /// Its name.
        id: PeerId,
        /// Its address.
        address: SocketAddr,
        /// What it did.
        reason: Reason,
    },
}
