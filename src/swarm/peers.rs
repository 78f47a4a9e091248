//! The connected peers of a session, and what it knows of each.
//!
//! Invariant: `useful` is the number of the peer's pieces that are idle here; `flights` the number of pieces in flight
//! from it. A peer's queues stay within the limits of `config`.

use super::config;
use super::event::{Direction, PeerKey};
use super::extension::Handshake;
use crate::torrent::{Bitfield, Block, PeerId, PieceIndex};
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// A connected peer.
pub(super) struct Peer {
    pub(super) key: PeerKey,
    pub(super) id: PeerId,
    pub(super) address: SocketAddr,
    pub(super) direction: Direction,
    pub(super) fast: bool,
    pub(super) extended: bool,
    pub(super) is_frontend: bool,
    pub(super) extension: Handshake,
    pub(super) is_mate: bool,
    /// It has told its pieces (bit field, have-all or have-none); said again is nonsense.
    pub(super) has_opened: bool,
    pub(super) have: Bitfield,
    pub(super) want: Option<Bitfield>,
    pub(super) upload_only: bool,
    pub(super) useful: u32,

    /// When it last said anything, and when we last did (zero: since the last look).
    pub(super) heard_at: Duration,
    pub(super) said_at: Duration,
    pub(super) chokes_us: bool,
    pub(super) we_are_interested: bool,
    /// Pieces in flight from it, blocks of them asked for and not come, and when it last sent one.
    pub(super) flights: usize,
    pub(super) blocks_out: usize,
    pub(super) answered_at: Duration,
    /// It rejected or let time out a request: nothing is asked of it until then.
    pub(super) backoff_until: Duration,
    /// Requests in a row that it did not answer.
    pub(super) silences: u32,
    /// Pieces given up that may still come from it, oldest first.
    pub(super) late: VecDeque<PieceIndex>,

    /// What it asked for.
    pub(super) queue: VecDeque<Block>,
    /// What is being sent to it.
    pub(super) sending: Option<Sending>,
    /// Pieces it is not yet told of (the frontend is told now and then).
    pub(super) untold: Vec<PieceIndex>,
    pub(super) nonsense: u32,
    /// Of a seed: when the peer last gained a piece or was offered one.
    pub(super) gained_at: Duration,
    /// Of a seed: pieces offered to it and not yet sent.
    pub(super) offers: BTreeSet<PieceIndex>,
    /// Of a seed: offers in a row on which it said nothing at all.
    pub(super) ignored: u32,
    /// Of a seed: how many peers it reported as liars, and who reported it last.
    pub(super) reports: u32,
    pub(super) reported_by: Option<PeerId>,
    /// Of a seed: pieces it was ever told of, which it may ask for.
    pub(super) told: Bitfield,
}

/// A block on its way to a peer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sending {
    pub(super) block: Block,
    pub(super) since: Duration,
    /// It takes so long that another peer is served beside it.
    pub(super) is_stalled: bool,
}

impl Peer {
    /// A peer of which only the handshake is known.
    pub(super) fn new(key: PeerKey, id: PeerId, address: SocketAddr, direction: Direction, pieces: u32) -> Self {
        Self {
            key,
            id,
            address,
            direction,
            fast: false,
            extended: false,
            is_frontend: false,
            extension: Handshake::default(),
            is_mate: false,
            has_opened: false,
            have: Bitfield::none(pieces),
            want: None,
            upload_only: false,
            useful: 0,
            heard_at: Duration::ZERO,
            said_at: Duration::ZERO,
            chokes_us: true,
            we_are_interested: false,
            flights: 0,
            blocks_out: 0,
            answered_at: Duration::ZERO,
            backoff_until: Duration::ZERO,
            silences: 0,
            late: VecDeque::new(),
            queue: VecDeque::new(),
            sending: None,
            untold: Vec::new(),
            nonsense: 0,
            gained_at: Duration::ZERO,
            offers: BTreeSet::new(),
            ignored: 0,
            reports: 0,
            reported_by: None,
            told: Bitfield::none(0),
        }
    }

    /// Whether it speaks our extensions.
    pub(super) fn is_ours(&self) -> bool {
        self.extension.is_ours()
    }

    /// Where it can be connected to, as far as is known.
    pub(super) fn listens_at(&self) -> SocketAddr {
        match (self.direction, self.extension.port) {
            (Direction::Incoming, Some(port)) => SocketAddr::new(self.address.ip(), port),
            _ => self.address,
        }
    }

    /// Bytes it has queued.
    pub(super) fn queued_bytes(&self) -> u64 {
        self.queue.iter().map(|block| u64::from(block.length_bytes)).sum()
    }

    /// Whether it takes one of the places for those who are sent to at once.
    pub(super) fn counts_as_sending(&self) -> bool {
        self.sending.is_some_and(|sending| !sending.is_stalled)
    }

    /// The longest block that may be asked of it, or that it may ask for.
    pub(super) fn block_bytes(&self) -> u32 {
        if self.is_ours() { config::OUR_BLOCK_BYTES_MAX } else { crate::torrent::BLOCK_BYTES }
    }

    /// Blocks that may be asked of it at once.
    pub(super) fn pipeline(&self) -> usize {
        let theirs = self.extension.requests_max.unwrap_or(u32::MAX) as usize;
        theirs.clamp(1, config::STOCK_PIPELINE_BLOCKS)
    }

    /// Whether something can be asked of it now.
    pub(super) fn is_usable(&self, now: Duration) -> bool {
        !self.chokes_us && self.useful > 0 && now >= self.backoff_until
    }

    /// Whether it lacks this piece and, as far as is known, wants it.
    pub(super) fn lacks(&self, piece: PieceIndex) -> bool {
        !self.upload_only && !self.have.has(piece) && self.want.as_ref().is_none_or(|want| want.has(piece))
    }
}

/// The connected peers in the order of their keys.
#[derive(Default)]
pub(super) struct Peers {
    list: Vec<Peer>,
}

impl Peers {
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }
    pub(super) fn position(&self, key: PeerKey) -> Option<usize> {
        self.list.binary_search_by_key(&key, |peer| peer.key).ok()
    }
    pub(super) fn get(&self, key: PeerKey) -> Option<&Peer> {
        self.position(key).map(|at| &self.list[at])
    }
    pub(super) fn get_mut(&mut self, key: PeerKey) -> Option<&mut Peer> {
        self.position(key).map(|at| &mut self.list[at])
    }
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Peer> {
        self.list.iter()
    }
    pub(super) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Peer> {
        self.list.iter_mut()
    }
    pub(super) fn at(&self, at: usize) -> &Peer {
        &self.list[at]
    }
    /// Adds a peer; `false` if its key is taken.
    pub(super) fn insert(&mut self, peer: Peer) -> bool {
        match self.list.binary_search_by_key(&peer.key, |peer| peer.key) {
            Ok(_) => false,
            Err(at) => {
                self.list.insert(at, peer);
                true
            }
        }
    }
    pub(super) fn remove(&mut self, key: PeerKey) -> Option<Peer> {
        self.position(key).map(|at| self.list.remove(at))
    }
    pub(super) fn frontend(&self) -> Option<&Peer> {
        self.list.iter().find(|peer| peer.is_frontend)
    }
    /// A piece became idle, or stopped being so.
    pub(super) fn count_useful(&mut self, piece: PieceIndex, is_idle: bool) {
        for peer in &mut self.list {
            if peer.have.has(piece) {
                if is_idle {
                    peer.useful += 1;
                } else {
                    peer.useful -= 1;
                }
            }
        }
    }
}
