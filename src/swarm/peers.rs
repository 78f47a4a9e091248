//! The connected peers of a session, and what it knows of each.
//!
//! Invariant: `useful` is the number of the peer's pieces that are idle here; `flights` the number of pieces in flight
//! from it. A peer's queues stay within the limits of `config`.

use super::config;
use super::event::{Direction, PeerKey};
use super::extension::Handshake;
use super::talk::Talk;
use crate::torrent::{Bitfield, Block, PeerId, PieceIndex};
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A connected peer: what is looked at for many peers at once. The rest lies apart, so that a walk over all of them is
/// short.
pub(super) struct Peer {
    pub(super) key: PeerKey,
    pub(super) rest: Box<Rest>,
    pub(super) fast: bool,
    pub(super) is_frontend: bool,
    pub(super) is_mate: bool,
    /// It has told its pieces (bit field, have-all or have-none); said again is nonsense.
    pub(super) has_opened: bool,
    pub(super) upload_only: bool,
    pub(super) chokes_us: bool,
    pub(super) we_are_interested: bool,
    have: Bitfield,
    pub(super) useful: u32,
    /// When it last said anything, and when we last did (zero: since the last look).
    pub(super) heard_at: Duration,
    pub(super) said_at: Duration,
    /// Pieces in flight from it, and blocks of them asked for and not come.
    pub(super) flights: usize,
    pub(super) blocks_out: usize,
    /// It rejected or let time out a request: nothing is asked of it until then.
    pub(super) backoff_until: Duration,
    /// It was turned down and is to be told when there is room: its turn. [`super::uploads`] sets it.
    pub(super) turned_down: Option<u64>,
}

/// What else is known of a peer.
pub(super) struct Rest {
    pub(super) id: PeerId,
    pub(super) address: SocketAddr,
    pub(super) direction: Direction,
    pub(super) extended: bool,
    pub(super) extension: Handshake,
    /// When it last sent a block that was asked for, or turned a request down.
    pub(super) answered_at: Duration,
    /// Requests in a row that it did not answer.
    pub(super) silences: u32,
    /// Pieces given up that may still come from it, oldest first.
    pub(super) late: VecDeque<PieceIndex>,

    /// What it asked for.
    pub(super) queue: VecDeque<Block>,
    /// What is being sent to it, and what was.
    pub(super) sending: Option<Sending>,
    pub(super) sent_bytes: u64,
    /// Pieces it is not yet told of: no more than there are.
    pub(super) untold: Vec<PieceIndex>,
    pub(super) nonsense: u32,
    /// What it may still say.
    pub(super) talk: Talk,

    /// Parts of the info dictionary that it asked for.
    pub(super) metadata_asked: u32,

    /// Of a seed: what it wants, if it told.
    pub(super) want: Option<Bitfield>,
    /// Of a seed: when the peer last gained a piece or was offered one.
    pub(super) gained_at: Duration,
    /// Of a seed: pieces offered to it and not yet sent.
    pub(super) offers: BTreeSet<PieceIndex>,
    /// Of a seed: offers in a row on which it said nothing at all.
    pub(super) ignored: u32,
    /// Of a seed: pieces in a row that were sent to it and that it did not claim to have.
    pub(super) unclaimed: u32,
    /// Of a seed: how often it reported liars.
    pub(super) reports: u32,
    /// Of a seed: pieces it was ever told of, which it may ask for.
    pub(super) told: Bitfield,
}

/// A peer that can be connected to, as far as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name.
    pub id: PeerId,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it wants nothing more.
    pub is_complete: bool,
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
        let rest = Rest {
            id,
            address,
            direction,
            extended: false,
            extension: Handshake::default(),
            answered_at: Duration::ZERO,
            silences: 0,
            late: VecDeque::new(),
            queue: VecDeque::new(),
            sending: None,
            sent_bytes: 0,
            untold: Vec::new(),
            nonsense: 0,
            talk: Talk::new(Duration::ZERO),
            metadata_asked: 0,
            want: None,
            gained_at: Duration::ZERO,
            offers: BTreeSet::new(),
            ignored: 0,
            unclaimed: 0,
            reports: 0,
            told: Bitfield::none(0),
        };
        Self {
            key,
            rest: Box::new(rest),
            fast: false,
            is_frontend: false,
            is_mate: false,
            has_opened: false,
            upload_only: false,
            chokes_us: true,
            we_are_interested: false,
            have: Bitfield::none(pieces),
            useful: 0,
            heard_at: Duration::ZERO,
            said_at: Duration::ZERO,
            flights: 0,
            blocks_out: 0,
            backoff_until: Duration::ZERO,
            turned_down: None,
        }
    }

    /// The pieces it has. [`Peers`] alone changes them.
    pub(super) fn have(&self) -> &Bitfield {
        &self.have
    }

    /// Whether it speaks our extensions.
    pub(super) fn is_ours(&self) -> bool {
        self.rest.extension.is_ours()
    }

    /// Where it can be connected to, as far as is known.
    pub(super) fn listens_at(&self) -> SocketAddr {
        match (self.rest.direction, self.rest.extension.port) {
            (Direction::Incoming, Some(port)) => SocketAddr::new(self.rest.address.ip(), port),
            _ => self.rest.address,
        }
    }

    /// What others may be told of it; nothing where it does not say at which port it listens.
    pub(super) fn listener(&self) -> Option<Listener> {
        let is_known = self.rest.direction == Direction::Outgoing || self.rest.extension.port.is_some();
        is_known.then(|| Listener { id: self.rest.id, address: self.listens_at(), is_complete: self.upload_only })
    }

    /// Bytes it has queued.
    pub(super) fn queued_bytes(&self) -> u64 {
        self.rest.queue.iter().map(|block| u64::from(block.length_bytes)).sum()
    }

    /// Whether it takes one of the places for those who are sent to at once.
    pub(super) fn counts_as_sending(&self) -> bool {
        self.rest.sending.is_some_and(|sending| !sending.is_stalled)
    }

    /// The longest block that may be asked of it, or that it may ask for.
    pub(super) fn block_bytes(&self) -> u32 {
        if self.is_ours() { config::OUR_BLOCK_BYTES_MAX } else { crate::torrent::BLOCK_BYTES }
    }

    /// Blocks that may be asked of it at once.
    pub(super) fn pipeline(&self) -> usize {
        let theirs = self.rest.extension.requests_max.unwrap_or(u32::MAX) as usize;
        theirs.clamp(1, config::STOCK_PIPELINE_BLOCKS)
    }

    /// Whether something can be asked of it now.
    pub(super) fn is_usable(&self, now: Duration) -> bool {
        !self.chokes_us && self.useful > 0 && now >= self.backoff_until
    }

    /// Whether it lacks this piece and, as far as is known, wants it.
    pub(super) fn lacks(&self, piece: PieceIndex) -> bool {
        !self.upload_only && !self.have.has(piece) && self.rest.want.as_ref().is_none_or(|want| want.has(piece))
    }
}

/// The connected peers in the order of their keys.
#[derive(Default)]
pub(super) struct Peers {
    list: Vec<Peer>,
    /// Their keys, side by side.
    keys: Vec<PeerKey>,
    /// Of a machine, by piece: the places in the list of those that have it.
    holders: Vec<u64>,
    /// The place of the frontend's seed.
    frontend: Option<usize>,
    /// The place that was looked at last: one event is mostly about one peer.
    recent: usize,
}

/// Machines that one must know before what most of them have says something.
const MEDIAN_OF_MIN: usize = 4;

const _: () = assert!(config::PEERS_MAX < 64, "a machine's peers are bits of one word");

impl Peers {
    /// Room for nobody yet. A machine knows of each of so many pieces who has it; a seed misses none and has no need.
    pub(super) fn new(pieces: u32, is_seed: bool) -> Self {
        let holders = if is_seed { Vec::new() } else { vec![0; pieces as usize] };
        Self { holders, ..Self::default() }
    }
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }
    fn position(&self, key: PeerKey) -> Option<usize> {
        if self.keys.get(self.recent) == Some(&key) {
            return Some(self.recent);
        }
        self.keys.binary_search(&key).ok()
    }
    pub(super) fn get(&self, key: PeerKey) -> Option<&Peer> {
        self.position(key).map(|at| &self.list[at])
    }
    pub(super) fn get_mut(&mut self, key: PeerKey) -> Option<&mut Peer> {
        self.recent = self.position(key)?;
        self.list.get_mut(self.recent)
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
    pub(super) fn at_mut(&mut self, at: usize) -> &mut Peer {
        &mut self.list[at]
    }
    /// Adds a peer of which no piece is known; `false` if its key is taken.
    pub(super) fn insert(&mut self, peer: Peer) -> bool {
        match self.keys.binary_search(&peer.key) {
            Ok(_) => false,
            Err(at) => {
                for holders in &mut self.holders {
                    let before = *holders & below(at);
                    *holders = before | (*holders & !below(at)) << 1;
                }
                self.keys.insert(at, peer.key);
                self.list.insert(at, peer);
                self.find_frontend();
                true
            }
        }
    }
    pub(super) fn remove(&mut self, key: PeerKey) -> Option<Peer> {
        let at = self.position(key)?;
        for holders in &mut self.holders {
            let before = *holders & below(at);
            *holders = before | (*holders >> 1) & !below(at);
        }
        self.keys.remove(at);
        let peer = self.list.remove(at);
        self.find_frontend();
        Some(peer)
    }
    fn find_frontend(&mut self) {
        self.frontend = self.list.iter().position(|peer| peer.is_frontend);
    }
    pub(super) fn frontend(&self) -> Option<&Peer> {
        self.frontend.map(|at| &self.list[at])
    }

    /// The oldest connection with this host, the frontend's seed aside, if there are more than so many.
    pub(super) fn oldest_beyond(&self, host: IpAddr, most: usize) -> Option<PeerKey> {
        let mut of_host = self.list.iter().filter(|peer| peer.rest.address.ip() == host && !peer.is_frontend);
        let oldest = of_host.next()?.key;
        (of_host.count() + 1 > most).then_some(oldest)
    }

    /// A peer has a piece from now on; `None` if there is no such peer or it had it before.
    pub(super) fn gain(&mut self, key: PeerKey, piece: PieceIndex) -> Option<&mut Peer> {
        let at = self.position(key)?;
        let peer = &mut self.list[at];
        if !peer.have.insert(piece) {
            return None;
        }
        if let Some(holders) = self.holders.get_mut(piece.get() as usize) {
            *holders |= 1 << at;
        }
        Some(peer)
    }
    /// A peer has a piece no longer; says whether it had it.
    pub(super) fn lose(&mut self, key: PeerKey, piece: PieceIndex) -> bool {
        let Some(at) = self.position(key) else { return false };
        if let Some(holders) = self.holders.get_mut(piece.get() as usize) {
            *holders &= !(1 << at);
        }
        self.list[at].have.remove(piece)
    }
    /// A peer of which no piece was known has these.
    pub(super) fn open(&mut self, key: PeerKey, have: Bitfield) {
        let Some(at) = self.position(key) else { return };
        if !self.holders.is_empty() {
            have.iter().for_each(|piece| self.holders[piece.get() as usize] |= 1 << at);
        }
        self.list[at].have = have;
    }

    /// Of a machine: those that have a piece and can be asked for something more now, the frontend's seed not among them.
    pub(super) fn with_room(&self, now: Duration, most: usize) -> Places {
        let has_room = |peer: &Peer| !peer.is_frontend && peer.flights < most && peer.is_usable(now);
        let places = self.list.iter().enumerate().filter(|(_, peer)| has_room(peer));
        Places(places.fold(0, |places, (at, _)| places | 1 << at))
    }
    /// Of a machine: the pieces that half of the machines it knows have; none where it knows too few.
    pub(super) fn median_had(&self) -> Option<u32> {
        let ours = self.list.iter().filter(|peer| peer.is_ours() && !peer.is_frontend);
        let mut had: Vec<u32> = ours.map(|peer| peer.have().count()).collect();
        if had.len() < MEDIAN_OF_MIN {
            return None;
        }
        let middle = had.len() / 2;
        Some(*had.select_nth_unstable(middle).1)
    }
    /// Of a machine: those that have a piece.
    pub(super) fn holders(&self, piece: PieceIndex) -> Places {
        Places(self.holders[piece.get() as usize])
    }
    /// Of a machine: those that have a piece not.
    pub(super) fn without(&self, piece: PieceIndex) -> Places {
        Places(!self.holders[piece.get() as usize] & below(self.list.len()))
    }

    /// A piece became idle, or stopped being so. A seed has no idle pieces.
    pub(super) fn count_useful(&mut self, piece: PieceIndex, is_idle: bool) {
        for at in self.holders(piece) {
            let useful = &mut self.list[at].useful;
            *useful = if is_idle { *useful + 1 } else { *useful - 1 };
        }
    }

    /// Checks what this file promises; for tests and fuzzers.
    pub(super) fn check(&self) {
        assert!(self.keys.iter().eq(self.list.iter().map(|peer| &peer.key)) && self.keys.is_sorted(), "keys");
        assert_eq!(self.frontend, self.list.iter().position(|peer| peer.is_frontend), "frontend");
        for (holders, n) in self.holders.iter().zip(0_u32..) {
            let have = |peer: &Peer| peer.have.iter().any(|piece| piece.get() == n);
            let places = self.list.iter().enumerate().filter(|(_, peer)| have(peer));
            assert_eq!(*holders, places.fold(0, |places, (at, _)| places | 1 << at), "holders of {n}");
        }
    }
}

/// As many of the lowest bits.
fn below(count: usize) -> u64 {
    u32::try_from(count).ok().and_then(|count| 1_u64.checked_shl(count)).map_or(u64::MAX, |bit| bit - 1)
}

/// Places in the list of peers, the first ones first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places(u64);

impl Places {
    /// Those in both.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
    /// All but this one.
    pub(super) fn but(self, at: usize) -> Self {
        Self(self.0 & !(1 << at))
    }
    /// Those for which this holds.
    pub(super) fn filtered(self, holds: impl Fn(usize) -> bool) -> Self {
        Self(self.filter(|at| holds(*at)).fold(0, |places, at| places | 1 << at))
    }
}

impl Iterator for Places {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let at = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        (at < 64).then_some(at as usize)
    }
}
