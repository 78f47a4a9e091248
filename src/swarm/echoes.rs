//! What becomes of the pieces that a seed sends as the first copy: whether those who took them claim to have them, and
//! pass them on. Whoever does neither gets little, and what it got goes to somebody else.
//!
//! Invariant: `unechoed` counts a peer's pieces that were sent and that nobody claims yet; a piece is `alone` while a single
//! peer claims it, and at most until it counts as kept.

use super::event::PeerKey;
use crate::torrent::{Bitfield, PieceIndex};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the first echoes are taken to need, and what a piece needs from the first that claims it to the second.
const ECHO_TIME_AT_FIRST: Duration = Duration::from_millis(600);
const SPREAD_TIME_AT_FIRST: Duration = Duration::from_millis(500);
/// A piece that a single peer claims counts as kept after so many times what pieces need to spread, or this time.
const KEPT_TIMES: u32 = 4;
const KEPT_AFTER_MIN: Duration = Duration::from_millis(300);
/// Pieces on their way to a peer that never claimed any; each one claimed allows another, each one lost takes one away.
const TRIAL_PIECES: usize = 4;

/// What is known of one that takes pieces.
#[derive(Debug, Default)]
struct Taker {
    unechoed: usize,
    echoed: usize,
    /// Pieces that it did not claim, less those that it claimed since.
    lost: usize,
    /// Pieces in a row that nobody had from it.
    kept: usize,
}

impl Taker {
    /// Whether what it takes is lost, as far as is known.
    fn is_doubted(&self) -> bool {
        self.lost >= TRIAL_PIECES || (self.lost > 0 && self.echoed == 0)
    }
}

/// What becomes of what a seed sends.
#[derive(Debug)]
pub(super) struct Echoes {
    takers: BTreeMap<PeerKey, Taker>,
    /// How many of them are doubted.
    doubted: usize,
    alone: BTreeMap<PieceIndex, (PeerKey, Duration)>,
    /// Pieces that those who have them pass on to nobody: to be offered again.
    kept: Bitfield,
    echo_time: Duration,
    spread_time: Duration,
}

impl Echoes {
    pub(super) fn new(pieces: u32) -> Self {
        Self {
            takers: BTreeMap::new(),
            doubted: 0,
            alone: BTreeMap::new(),
            kept: Bitfield::none(pieces),
            echo_time: ECHO_TIME_AT_FIRST,
            spread_time: SPREAD_TIME_AT_FIRST,
        }
    }

    /// The smoothed time from a piece being sent to its echo: its way through the queues of both links, and back.
    pub(super) fn echo_time(&self) -> Duration {
        self.echo_time
    }

    /// Pieces that those who have them pass on to nobody.
    pub(super) fn kept(&self) -> &Bitfield {
        &self.kept
    }

    /// Whether one of so many peers may have one piece more on its way, beside so many that are not sent yet. Who is
    /// doubted gets nothing where others are not.
    pub(super) fn trusts(&self, peer: PeerKey, unsent: usize, peers: usize) -> bool {
        let Some(taker) = self.takers.get(&peer) else { return unsent < TRIAL_PIECES };
        let room = (TRIAL_PIECES + taker.echoed).saturating_sub(taker.lost + taker.kept).max(1);
        unsent + taker.unechoed < room && (!taker.is_doubted() || self.doubted >= peers)
    }

    fn count_doubted(&mut self) {
        self.doubted = self.takers.values().filter(|taker| taker.is_doubted()).count();
    }

    /// A piece that nobody has was sent to a peer.
    pub(super) fn sent(&mut self, peer: PeerKey) {
        self.takers.entry(peer).or_default().unechoed += 1;
    }

    /// A piece that was sent to a peer `took` ago is claimed, by that peer or another.
    pub(super) fn echoed(&mut self, peer: PeerKey, by: PeerKey, took: Duration) {
        let Some(taker) = self.takers.get_mut(&peer) else { return };
        taker.unechoed -= 1;
        if peer == by {
            taker.echoed += 1;
            self.echo_time = (self.echo_time * 7 + took) / 8;
        }
    }

    /// A piece that was sent to a peer is claimed by nobody.
    pub(super) fn unclaimed(&mut self, peer: PeerKey) {
        if let Some(taker) = self.takers.get_mut(&peer) {
            taker.unechoed -= 1;
            taker.lost += 1;
            self.count_doubted();
        }
    }

    /// A peer says that it has something.
    pub(super) fn spoke_up(&mut self, peer: PeerKey) {
        if let Some(taker) = self.takers.get_mut(&peer).filter(|taker| taker.lost > 0) {
            taker.lost -= 1;
            self.count_doubted();
        }
    }

    /// So many peers claim a piece that left the seed, this one as the last of them.
    pub(super) fn claimed(&mut self, now: Duration, piece: PieceIndex, peer: PeerKey, claims: u16) {
        if claims == 1 {
            self.alone.insert(piece, (peer, now));
            return;
        }
        self.kept.remove(piece);
        if let Some((giver, since)) = self.alone.remove(&piece) {
            self.spread_time = (self.spread_time * 7 + now.saturating_sub(since)) / 8;
            if let Some(taker) = self.takers.get_mut(&giver) {
                taker.kept = 0;
            }
        }
    }

    /// A piece is offered, or nobody claims it any more.
    pub(super) fn forget(&mut self, piece: PieceIndex) {
        self.kept.remove(piece);
        self.alone.remove(&piece);
    }

    pub(super) fn left(&mut self, peer: PeerKey) {
        self.takers.remove(&peer);
        self.count_doubted();
        self.alone.retain(|_, (giver, _)| *giver != peer);
    }

    /// Finds pieces that count as kept from now on.
    pub(super) fn look(&mut self, now: Duration) {
        let patience = (self.spread_time * KEPT_TIMES).max(KEPT_AFTER_MIN);
        let is_kept = |since: Duration| now.saturating_sub(since) >= patience;
        let kept =
            self.alone.iter().filter(|(_, (_, since))| is_kept(*since)).map(|(piece, (giver, _))| (*piece, *giver));
        let kept: Vec<(PieceIndex, PeerKey)> = kept.collect();
        for (piece, giver) in &kept {
            self.alone.remove(piece);
            self.kept.insert(*piece);
            if let Some(taker) = self.takers.get_mut(giver) {
                taker.kept += 1;
            }
        }
    }

    /// Checks the invariant of this file: `unechoed` gives of each peer what was sent to it and is not claimed.
    pub(super) fn check(&self, unechoed: impl Fn(PeerKey) -> usize) {
        self.takers
            .iter()
            .for_each(|(peer, taker)| assert_eq!(taker.unechoed, unechoed(*peer), "unechoed of {peer:?}"));
        assert_eq!(self.doubted, self.takers.values().filter(|taker| taker.is_doubted()).count(), "doubted");
        assert!(self.alone.keys().all(|piece| !self.kept.has(*piece)), "alone and kept");
    }
}
