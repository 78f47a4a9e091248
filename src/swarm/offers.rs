//! What a seed offers: each piece that somebody wants and nobody has, once, to one machine (super-seeding, BEP 16, with
//! several pieces on their way and without waiting for an echo).
//!
//! Invariant: a piece is fresh (no connected peer has it and it is not out), or out (offered to a peer from which
//! nothing is known yet), or had by a connected peer. A piece that is lost again becomes fresh again.
//!
//! What peers say that they have is not believed where it cannot be known: one that claims everything would stop the seed,
//! and all machines with it. A piece that never left this seed and that not nearly everybody claims is doubtful: it is
//! offered once nothing fresh is of use.

use super::echoes::Echoes;
use super::event::{PeerKey, Reason};
use super::message::Message;
use super::peers::{Peer, Peers};
use super::pieces::Pieces;
use super::session::Session;
use crate::torrent::{Bitfield, Block, PieceIndex};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Offers of one peer that are not sent yet, when there are many peers and when there is one.
const OFFERS_PER_PEER_MIN: usize = 2;
const OFFERS_PER_PEER_MAX: usize = 8;
/// An offer that is not asked for is withdrawn after so many block times (it may stand behind blocks in the connection),
/// or this time: the peer is dead, or busy.
const TAKEN_BLOCK_TIMES: u32 = 4;
const TAKEN_WITHIN_MIN: Duration = Duration::from_millis(100);
/// An offer to a peer that speaks, but does not ask for it, is withdrawn after this time.
const BUSY_FOR: Duration = Duration::from_secs(2);
/// A peer that took none is offered nothing for this time, doubled each time it said nothing at all in between.
const IGNORED_FOR: Duration = Duration::from_millis(500);
/// Offers in a row on which a peer said nothing at all, after which it is closed.
const IGNORED_MAX: u32 = 6;
/// Pieces in a row that were sent to a peer, without a claim to have them, after which it is offered less and less beside others.
const UNCLAIMED_MAX: u32 = 4;
/// An offer that was asked for and cannot be sent is withdrawn after so many block times (or this time, if longer), and so
/// is a piece that was sent and that nobody then claims to have.
const ECHO_BLOCK_TIMES: u32 = 16;
const ECHO_WITHIN_MIN: Duration = Duration::from_millis(400);
/// Nor before so many times what echoes take: what is in queues is not lost. A guess before any is known.
const ECHO_TIMES: u32 = 3;
/// A piece is offered again to somebody who cannot get it from others after so many block times, or this time.
const AGAIN_BLOCK_TIMES: u32 = 64;
const AGAIN_AFTER_MIN: Duration = Duration::from_millis(150);
/// While anything is fresh, one of so many offers is of something offered before.
const AGAIN_SHARE: usize = 8;
/// A peer that gained nothing for so long is offered what it lacks, whoever else has it: in the time in which each could
/// have had its turn, within these bounds. Sooner, and on slow links new pieces wait for copies of old ones in the very
/// moments when nobody can have much yet.
const STARVING_AFTER_MIN: Duration = Duration::from_secs(3);
const STARVING_AFTER_MAX: Duration = Duration::from_secs(15);
/// Asks of peers that are remembered.
const ASKS_MAX: usize = 4096;
/// After so many offers in a row on which it said nothing a stock client is told of more, and of so many pieces at most.
const TELL_AFTER_IGNORED: u32 = 2;
const TOLD_AT_ONCE_MAX: usize = 1024;
/// What never left this seed (others began before it, or took it over HTTP) is there for all where more than so many of so
/// many peers claim it.
const CLAIMED_BY: (usize, usize) = (3, 4);
/// Who said nothing for so long comes after all who did: it may have lost its power, which nobody tells a seed.
const LIVELY_FOR: Duration = Duration::from_millis(400);
/// A piece that could not be read is offered to nobody for so long: the tree may be put in order.
const GONE_FOR: Duration = Duration::from_secs(10);
/// How often offers are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A piece offered to a peer.
#[derive(Debug, Clone, Copy)]
struct Offer {
    peer: PeerKey,
    since: Duration,
    is_requested: bool,
    sent_bytes: u32,
    is_sent: bool,
}

/// What a seed offers.
pub(super) struct Offers {
    fresh: Bitfield,
    /// Pieces that left this seed as a whole, to whomever.
    left: Bitfield,
    /// Pieces that too few claim, of those that never left: found anew at each look.
    doubtful: Bitfield,
    out: BTreeMap<PieceIndex, Offer>,
    /// Pieces that could not be read, and until when they are not offered.
    gone: BTreeMap<PieceIndex, Duration>,
    /// Offers that are not sent yet.
    unsent: usize,
    asks: VecDeque<(PeerKey, PieceIndex)>,
    /// Asks for pieces that others should have: they wait for every [`AGAIN_SHARE`]th offer while anything is fresh.
    again: VecDeque<(PeerKey, PieceIndex)>,
    offers_made: usize,
    echoes: Echoes,
    offered_at: Vec<Duration>,
    rotation: VecDeque<PeerKey>,
    /// Nothing fresh is of use to anybody, until something changes.
    is_exhausted: bool,
    look_at: Duration,
}

impl Offers {
    pub(super) fn new(pieces: u32) -> Self {
        Self {
            fresh: Bitfield::all(pieces),
            left: Bitfield::none(pieces),
            doubtful: Bitfield::none(pieces),
            out: BTreeMap::new(),
            gone: BTreeMap::new(),
            unsent: 0,
            asks: VecDeque::new(),
            again: VecDeque::new(),
            offers_made: 0,
            echoes: Echoes::new(pieces),
            offered_at: vec![Duration::ZERO; pieces as usize],
            rotation: VecDeque::new(),
            is_exhausted: false,
            look_at: Duration::ZERO,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.unsent > 0
    }

    /// The share of one peer of so many offers on their way.
    fn per_peer(&self, window: usize) -> usize {
        (window / self.rotation.len().max(1)).clamp(OFFERS_PER_PEER_MIN, OFFERS_PER_PEER_MAX)
    }

    pub(super) fn joined(&mut self, peer: PeerKey) {
        self.rotation.push_back(peer);
        self.is_exhausted = false;
    }

    /// A peer is gone: what it was offered, and what nobody else has, is fresh again.
    pub(super) fn lost(&mut self, peer: &Peer, pieces: &Pieces) {
        self.rotation.retain(|key| *key != peer.key);
        self.asks.retain(|(key, _)| *key != peer.key);
        self.again.retain(|(key, _)| *key != peer.key);
        let offered: Vec<PieceIndex> =
            self.out.iter().filter(|(_, offer)| offer.peer == peer.key).map(|(piece, _)| *piece).collect();
        for piece in offered {
            self.withdraw(piece, pieces);
        }
        self.echoes.left(peer.key);
        for piece in peer.have().iter() {
            self.freshen(piece, pieces);
        }
    }

    /// A peer has a piece now, as so many claim. Says whether an offer of it to this very peer is void: it got the piece
    /// elsewhere and will never ask, and an offer that nobody takes keeps a place from all others.
    pub(super) fn had(&mut self, now: Duration, piece: PieceIndex, peer: PeerKey, claims: u16) -> bool {
        self.fresh.remove(piece);
        self.echoes.spoke_up(peer);
        let mut is_void = false;
        if let Some(offer) = self.out.get(&piece) {
            if offer.is_sent {
                self.echoes.echoed(offer.peer, peer, now.saturating_sub(offer.since));
                // Who says so may take more.
                self.is_exhausted = false;
            }
            is_void = offer.peer == peer && !offer.is_sent && !offer.is_requested;
            if offer.is_sent || is_void {
                self.out.remove(&piece);
            }
            self.unsent -= usize::from(is_void);
        }
        if self.left.has(piece) && !self.out.contains_key(&piece) {
            self.echoes.claimed(now, piece, peer, claims);
        }
        is_void
    }

    /// Whether something may be left to offer, as far as is known.
    pub(super) fn may_have_more(&self) -> bool {
        !self.is_exhausted
    }

    /// What a peer wants has changed.
    pub(super) fn wants_changed(&mut self) {
        self.is_exhausted = false;
    }

    pub(super) fn requested(&mut self, now: Duration, piece: PieceIndex, peer: PeerKey) {
        if let Some(offer) = self.out.get_mut(&piece).filter(|offer| offer.peer == peer && !offer.is_requested) {
            offer.is_requested = true;
            offer.since = now;
        }
    }

    pub(super) fn asked(&mut self, peer: PeerKey, piece: PieceIndex) {
        if self.asks.len() < ASKS_MAX {
            self.asks.push_back((peer, piece));
        }
    }

    /// An offer is over without success. The caller takes it from the peer.
    fn withdraw(&mut self, piece: PieceIndex, pieces: &Pieces) {
        if let Some(offer) = self.out.remove(&piece) {
            match offer.is_sent {
                true => self.echoes.unclaimed(offer.peer),
                false => self.unsent -= 1,
            }
            self.freshen(piece, pieces);
        }
    }

    fn freshen(&mut self, piece: PieceIndex, pieces: &Pieces) {
        if pieces.availability(piece) == 0 && !self.out.contains_key(&piece) {
            self.echoes.forget(piece);
            self.fresh.insert(piece);
            self.is_exhausted = false;
        }
    }

    /// Finds out what is claimed and cannot be known.
    fn doubt(&mut self, pieces: &Pieces) {
        let (more_than, of) = CLAIMED_BY;
        let few = 1..=self.rotation.len() * more_than / of;
        let is_doubtful = |piece: &PieceIndex| {
            few.contains(&usize::from(pieces.availability(*piece))) && !self.out.contains_key(piece)
        };
        let doubtful: Vec<PieceIndex> = pieces.held().difference(&self.left).filter(is_doubtful).collect();
        self.doubtful = Bitfield::none(self.left.pieces());
        doubtful.into_iter().for_each(|piece| _ = self.doubtful.insert(piece));
    }

    /// What nobody has, as far as can be known: kept, fresh, doubtful.
    fn new_ones(&self, kind: usize) -> &Bitfield {
        [self.echoes.kept(), &self.fresh, &self.doubtful][kind]
    }

    /// The first of them that a peer lacks and was not told of.
    fn first_lacking(&self, kind: usize, peer: &Peer) -> Option<PieceIndex> {
        let lacking = self.new_ones(kind).difference(peer.have()).filter(|piece| peer.lacks(*piece));
        { lacking }.find(|piece| self.is_there(*piece))
    }

    /// Whether nobody has this piece, as far as can be known.
    fn is_new(&self, piece: PieceIndex) -> bool {
        self.fresh.has(piece) || self.doubtful.has(piece) || self.echoes.kept().has(piece)
    }

    /// Whether a piece can be sent, as far as is known.
    fn is_there(&self, piece: PieceIndex) -> bool {
        !self.gone.contains_key(&piece)
    }

    /// Whether a peer may be offered more now, with no more than its share on its way.
    fn may_take(&self, now: Duration, peer: &Peer, most: usize) -> bool {
        let unsent = peer.rest.offers.len();
        let takes = !peer.upload_only && peer.has_opened && unsent < most && now >= peer.backoff_until;
        takes && (self.rotation.len() == 1 || self.echoes.trusts(peer.key, unsent, self.rotation.len()))
    }

    /// Checks the invariant of this file.
    pub(super) fn check(&self, peers: &Peers, pieces: &Pieces) {
        for piece in self.fresh.iter() {
            assert_eq!(pieces.availability(piece), 0, "fresh {piece} is had");
            assert!(!self.out.contains_key(&piece), "fresh {piece} is out");
        }
        assert!(self.doubtful.iter().all(|piece| !self.out.contains_key(&piece)), "doubtful and out");
        assert_eq!(self.unsent, self.out.values().filter(|offer| !offer.is_sent).count(), "unsent");
        assert!(self.out.values().all(|offer| peers.get(offer.peer).is_some()), "offers to nobody");
        assert!(self.asks.len() <= ASKS_MAX && self.again.len() <= ASKS_MAX);
        if self.fresh.pieces() > 0 {
            assert_eq!(self.rotation.len(), peers.len(), "rotation");
        }
        assert!(self.echoes.kept().iter().all(|piece| !self.out.contains_key(&piece)), "kept and out");
        self.echoes.check(|peer| self.out.values().filter(|offer| offer.is_sent && offer.peer == peer).count());
    }
}

impl Session {
    /// Offers as much as may be on its way: what is being sent at once, and twice that behind it.
    pub(super) fn offer(&mut self, now: Duration) {
        if !self.is_seed() {
            return;
        }
        let window = 3 * self.config.serve_at_once + 4;
        while self.offers.unsent < window {
            let mut next = self.next_ask(now, window);
            if next.is_none() && self.offers.offers_made.is_multiple_of(AGAIN_SHARE) {
                next = self.next_again(now);
            }
            let next = next.or_else(|| self.next_fresh(now, window)).or_else(|| self.next_again(now));
            let Some((key, piece)) = next else { return };
            self.offers.offers_made += 1;
            self.offer_to(now, key, piece);
        }
    }

    fn offer_to(&mut self, now: Duration, key: PeerKey, piece: PieceIndex) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.rest.offers.insert(piece);
        peer.rest.told.insert(piece);
        peer.rest.gained_at = now;
        let offer = Offer { peer: key, since: now, is_requested: false, sent_bytes: 0, is_sent: false };
        self.offers.out.insert(piece, offer);
        self.offers.unsent += 1;
        self.offers.fresh.remove(piece);
        self.offers.doubtful.remove(piece);
        self.offers.echoes.forget(piece);
        self.offers.offered_at[piece.get() as usize] = now;
        self.say(key, Message::Have(piece.get()));
    }

    /// Takes back what a machine was offered before it said what it wants, and does not want: it would never ask for that, and
    /// until that is certain nothing else would be offered in its place.
    pub(super) fn take_back_unwanted(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let is_void = |(piece, offer): &(&PieceIndex, &Offer)| {
            offer.peer == key && !offer.is_sent && !offer.is_requested && !peer.lacks(**piece)
        };
        let void: Vec<PieceIndex> = self.offers.out.iter().filter(is_void).map(|(piece, _)| *piece).collect();
        for piece in void {
            peer.rest.offers.remove(&piece);
            self.offers.withdraw(piece, &self.pieces);
        }
    }

    /// What a machine asked for and nobody has. It goes to that machine if it has no more than its share on its way, else
    /// to the next in turn: all who lack it wait for it, and many new pieces with one machine have one way out.
    fn next_ask(&mut self, now: Duration, window: usize) -> Option<(PeerKey, PieceIndex)> {
        let per_peer = self.offers.per_peer(window);
        while let Some((key, piece)) = self.offers.asks.pop_front() {
            if self.peers.get(key).is_none() || !self.offers.is_there(piece) {
                continue;
            }
            let takes = |key: &PeerKey| {
                let peer = self.peers.get(*key);
                peer.is_some_and(|peer| self.offers.may_take(now, peer, per_peer) && peer.lacks(piece))
            };
            let taker = match self.offers.is_new(piece) {
                true => Some(key).filter(takes).or_else(|| self.offers.rotation.iter().copied().find(takes)),
                false => None,
            };
            if let Some(taker) = taker {
                self.offers.rotation.retain(|key| *key != taker);
                self.offers.rotation.push_back(taker);
                return Some((taker, piece));
            }
            if self.offers.again.len() < ASKS_MAX {
                self.offers.again.push_back((key, piece));
            }
        }
        None
    }

    /// What a machine asked for that others should have: not too soon after it was offered last.
    fn next_again(&mut self, now: Duration) -> Option<(PeerKey, PieceIndex)> {
        let again_after = (self.uploads.block_time() * AGAIN_BLOCK_TIMES).max(AGAIN_AFTER_MIN);
        while let Some((key, piece)) = self.offers.again.pop_front() {
            let Some(peer) = self.peers.get(key).filter(|_| self.offers.is_there(piece)) else { continue };
            let offered_at = self.offers.offered_at[piece.get() as usize];
            let is_again = offered_at == Duration::ZERO || now.saturating_sub(offered_at) >= again_after;
            let may = self.offers.is_new(piece) || (is_again && !self.offers.out.contains_key(&piece));
            if may && peer.lacks(piece) && self.offers.may_take(now, peer, OFFERS_PER_PEER_MAX) {
                return Some((key, piece));
            }
        }
        None
    }

    /// The first piece that the next peer in turn lacks: of those that are kept, or else of the fresh ones, or else of the
    /// doubtful ones.
    fn next_fresh(&mut self, now: Duration, window: usize) -> Option<(PeerKey, PieceIndex)> {
        if self.offers.is_exhausted {
            return None;
        }
        let per_peer = self.offers.per_peer(window);
        for (kind, must_be_lively) in (0..3).flat_map(|kind| [(kind, true), (kind, false)]) {
            if self.offers.new_ones(kind).is_none() {
                continue;
            }
            for _ in 0..self.offers.rotation.len() {
                let key = self.offers.rotation.pop_front()?;
                self.offers.rotation.push_back(key);
                let may_take = |peer: &&Peer| {
                    let is_lively = now.saturating_sub(peer.heard_at) < LIVELY_FOR;
                    (is_lively || !must_be_lively) && self.offers.may_take(now, peer, per_peer)
                };
                let Some(peer) = self.peers.get(key).filter(may_take) else { continue };
                if let Some(piece) = self.offers.first_lacking(kind, peer) {
                    return Some((key, piece));
                }
            }
        }
        self.offers.is_exhausted = true;
        None
    }

    pub(super) fn sent_offer(&mut self, now: Duration, key: PeerKey, block: Block) {
        let payload = self.layout.payload_len(block.piece);
        if block.offset_bytes + block.length_bytes >= payload {
            self.offers.left.insert(block.piece);
        }
        let offer = self.offers.out.get_mut(&block.piece).filter(|offer| offer.peer == key && !offer.is_sent);
        let Some(offer) = offer else { return };
        offer.sent_bytes += block.length_bytes;
        offer.since = now;
        if offer.sent_bytes < payload {
            return;
        }
        offer.is_sent = true;
        self.offers.unsent -= 1;
        self.offers.is_exhausted = false;
        match self.pieces.availability(block.piece) {
            0 => self.offers.echoes.sent(key),
            _ => _ = self.offers.out.remove(&block.piece),
        }
        if let Some(peer) = self.peers.get_mut(key) {
            peer.rest.offers.remove(&block.piece);
        }
    }

    /// A piece could not be read for this peer.
    pub(super) fn offer_is_gone(&mut self, now: Duration, key: PeerKey, piece: PieceIndex) {
        self.offers.gone.insert(piece, now + GONE_FOR);
        if self.offers.out.get(&piece).is_some_and(|offer| offer.peer == key && !offer.is_sent) {
            self.offers.withdraw(piece, &self.pieces);
            if let Some(peer) = self.peers.get_mut(key) {
                peer.rest.offers.remove(&piece);
            }
        }
    }

    /// Withdraws what is not taken, gives up what is lost, and helps those who gain nothing.
    pub(super) fn check_offers(&mut self, now: Duration) {
        if !self.is_seed() {
            return;
        }
        if now < self.offers.look_at {
            return self.wake_at(self.offers.look_at);
        }
        self.offers.look_at = now + LOOK_EVERY;
        self.wake_at(self.offers.look_at);
        self.offers.is_exhausted = false;
        self.offers.gone.retain(|_, until| now < *until);
        self.offers.doubt(&self.pieces);
        self.offers.echoes.look(now);
        let echo_within = (self.uploads.block_time() * ECHO_BLOCK_TIMES).max(ECHO_WITHIN_MIN);
        let echo_within = echo_within.max(self.offers.echoes.echo_time() * ECHO_TIMES);
        let taken_within = (self.uploads.block_time() * TAKEN_BLOCK_TIMES).max(TAKEN_WITHIN_MIN);
        let is_over = |offer: &Offer| {
            let is_stalled =
                self.peers.get(offer.peer).and_then(|peer| peer.rest.sending).is_some_and(|it| it.is_stalled);
            let within = match (offer.is_sent, offer.is_requested) {
                (false, true) if is_stalled => Duration::ZERO,
                (true, _) | (false, true) => echo_within,
                // Whoever spoke since then lives, and has more on its way than it can ask for.
                (false, false) if self.peers.get(offer.peer).is_some_and(|peer| peer.heard_at > offer.since) => {
                    BUSY_FOR.max(taken_within)
                }
                (false, false) => taken_within,
            };
            now.saturating_sub(offer.since) >= within
        };
        let over: Vec<(PieceIndex, Offer)> =
            self.offers.out.iter().filter(|(_, offer)| is_over(offer)).map(|(piece, offer)| (*piece, *offer)).collect();
        for (piece, offer) in over {
            self.offers.withdraw(piece, &self.pieces);
            let Some(peer) = self.peers.get_mut(offer.peer) else { continue };
            peer.rest.offers.remove(&piece);
            if offer.is_sent {
                peer.rest.unclaimed += 1;
                let beyond = peer.rest.unclaimed.saturating_sub(UNCLAIMED_MAX).min(IGNORED_MAX);
                if beyond > 0 && self.offers.rotation.len() > 1 {
                    peer.backoff_until = now + IGNORED_FOR * 2u32.pow(beyond);
                }
            } else if now >= peer.backoff_until {
                peer.backoff_until = now + IGNORED_FOR * 2u32.pow(peer.rest.ignored.min(IGNORED_MAX));
                peer.rest.ignored += 1;
                match peer.rest.ignored {
                    TELL_AFTER_IGNORED if !peer.is_ours() => self.tell_more(offer.peer),
                    ignored if ignored > IGNORED_MAX => self.disconnect(now, offer.peer, Reason::Silent),
                    _ => {}
                }
            }
        }
        if self.offers.unsent < self.config.serve_at_once {
            self.help_starving(now);
        }
    }

    /// A stock client that says nothing to offers may look around only now and then (transmission: every 10 s, and it
    /// asks nothing more until then once it has what it was told of): it finds more than a few offers.
    fn tell_more(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let is_there = |piece: &PieceIndex| self.offers.is_there(*piece);
        let told =
            self.pieces.held().difference(&peer.rest.told).filter(is_there).take(TOLD_AT_ONCE_MAX).collect::<Vec<_>>();
        told.iter().for_each(|piece| _ = peer.rest.told.insert(*piece));
        told.iter().for_each(|piece| self.say(key, Message::Have(piece.get())));
    }

    /// Offers one piece to each peer that has gained nothing for long, whoever else has it: first to those that answer. A
    /// piece that some mute ones hand on to each other would never come to who waits for it.
    fn help_starving(&mut self, now: Duration) {
        let turns = u32::try_from(self.offers.rotation.len()).unwrap_or(u32::MAX);
        let patience = self.uploads.block_time().saturating_mul(turns).clamp(STARVING_AFTER_MIN, STARVING_AFTER_MAX);
        let mut starving: Vec<&Peer> = (self.peers.iter())
            .filter(|peer| {
                !peer.upload_only && peer.has_opened && peer.rest.offers.is_empty() && now >= peer.backoff_until
            })
            .filter(|peer| now.saturating_sub(peer.rest.gained_at) >= patience)
            .collect();
        starving.sort_by_key(|peer| peer.rest.ignored);
        let starving: Vec<(PeerKey, PieceIndex)> = (starving.into_iter())
            .filter_map(|peer| {
                let lacking = self.pieces.held().difference(peer.have()).filter(|piece| peer.lacks(*piece));
                let is_free = |piece: &PieceIndex| !self.offers.out.contains_key(piece) && self.offers.is_there(*piece);
                Some((peer.key, lacking.filter(is_free).min_by_key(|piece| self.pieces.availability(*piece))?))
            })
            .take(2 * self.config.serve_at_once)
            .collect();
        for (key, piece) in starving {
            if !self.offers.out.contains_key(&piece) {
                self.offer_to(now, key, piece);
            }
        }
    }
}
