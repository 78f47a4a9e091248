//! What is sent to whom: everybody is unchoked, the queue is short, what does not fit is rejected at once (BEP 6).
//!
//! Invariant: a peer is in `ready` if it has requests queued and nothing is being sent to it; `active` counts the peers
//! that are being sent to and do not stall.

use super::config::{STOCK_BLOCK_BYTES_MAX, STOCK_REQUESTS_MAX, UPLOAD_QUEUE_PIECES};
use super::event::{Action, PeerKey, Reason};
use super::extension;
use super::message::{Message, RawBlock};
use super::peers::{Peer, Sending};
use super::session::Session;
use crate::torrent::Block;
use std::collections::VecDeque;
use std::time::Duration;

/// A block that is not out after eight times what blocks usually take, and within these bounds, is stalled: another peer
/// is served beside it.
const STALL_TIMES: u32 = 8;
const STALL_AFTER_MIN: Duration = Duration::from_millis(50);
const STALL_AFTER_MAX: Duration = Duration::from_secs(2);
/// Peers told at once that there is room: the first may have no need any more.
const READY_AT_ONCE: usize = 2;
/// Of a machine that still downloads: a peer that was sent so many pieces, and two for each that it ever claimed to have,
/// takes and does not give; it gets something only while nobody else does.
const TAKEN_PIECES_MAX: u64 = 8;
/// A block that is not out after this time never will be.
const STALL_MAX: Duration = Duration::from_secs(60);

/// Who waits for blocks and who is being sent to.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    ready: VecDeque<PeerKey>,
    active: usize,
    /// Peers that are being sent to, those that stall too, in the order of their keys.
    busy: Vec<PeerKey>,
    /// Bytes queued by peers of ours, which a queue limit holds.
    queued_bytes: u64,
    /// How many peers were turned down and are to be told when there is room, and the turn of the next one.
    turned_down: usize,
    next_turn: u64,
    /// The smoothed time a block takes to be out.
    block_time: Option<Duration>,
}

impl Uploads {
    /// What a block usually takes to be out; a guess before anything is known.
    pub(super) fn block_time(&self) -> Duration {
        self.block_time.unwrap_or(Duration::from_millis(100))
    }

    fn stall_after(&self) -> Duration {
        (self.block_time() * STALL_TIMES).clamp(STALL_AFTER_MIN, STALL_AFTER_MAX)
    }

    pub(super) fn active(&self) -> usize {
        self.active
    }

    pub(super) fn lost(&mut self, peer: &Peer) {
        self.active -= usize::from(peer.counts_as_sending());
        self.idle(peer.key);
        self.turned_down -= usize::from(peer.turned_down.is_some());
        if peer.is_ours() {
            self.queued_bytes -= peer.queued_bytes();
        }
    }

    /// Nothing is being sent to a peer any more.
    fn idle(&mut self, peer: PeerKey) {
        self.busy.retain(|key| *key != peer);
    }

    /// Something is being sent to a peer.
    fn busy(&mut self, peer: PeerKey) {
        let at = self.busy.partition_point(|key| *key < peer);
        self.busy.insert(at, peer);
        self.active += 1;
    }

    /// How many peers are to be told when there is room.
    pub(super) fn turned_down(&self) -> usize {
        self.turned_down
    }

    /// Those that are being sent to, those that stall too.
    pub(super) fn sent_to(&self) -> &[PeerKey] {
        &self.busy
    }

    /// A peer turns out to be one of ours: what it has queued counts from now on.
    pub(super) fn became_ours(&mut self, peer: &Peer) {
        if peer.is_ours() {
            self.queued_bytes += peer.queued_bytes();
        }
    }
}

impl Session {
    pub(super) fn on_request(&mut self, now: Duration, key: PeerKey, raw: RawBlock) {
        let Some(peer) = self.peers.get(key) else { return };
        let length_max = peer.block_bytes().max(STOCK_BLOCK_BYTES_MAX);
        let block = self.layout.block(raw.piece, raw.offset_bytes, raw.length_bytes);
        let Some(block) = block.filter(|block| block.length_bytes <= length_max) else {
            return self.disconnect(now, key, Reason::OutOfRange);
        };
        let may_ask = self.pieces.held().has(block.piece) && (!self.is_seed() || peer.rest.told.has(block.piece));
        if !may_ask {
            self.reject(key, raw);
            return self.nonsense(now, key, 1);
        }
        if peer.rest.queue.contains(&block) || peer.rest.sending.is_some_and(|sending| sending.block == block) {
            return self.nonsense(now, key, 1);
        }
        // A free place is for what comes next, if only to a peer that is being sent to.
        let places = self.config.serve_at_once.saturating_sub(self.uploads.active) + UPLOAD_QUEUE_PIECES;
        let queue_bytes_max = places as u64 * u64::from(self.layout.piece_length_bytes());
        let is_ours = peer.is_ours();
        let is_full = match is_ours && !self.is_seed() {
            _ if self.only_takes(peer) && self.uploads.active + self.uploads.turned_down > 0 => true,
            true => self.uploads.queued_bytes + u64::from(block.length_bytes) > queue_bytes_max,
            false => peer.rest.queue.len() >= STOCK_REQUESTS_MAX,
        };
        if is_full {
            let is_fast = peer.fast;
            let is_told = is_ours && !self.peers.get(key).is_some_and(|peer| self.only_takes(peer));
            if let Some(peer) = self.peers.get_mut(key).filter(|peer| is_told && peer.turned_down.is_none()) {
                peer.turned_down = Some(self.uploads.next_turn);
                self.uploads.next_turn += 1;
                self.uploads.turned_down += 1;
            }
            return match is_fast {
                true => self.reject(key, raw),
                false => self.nonsense(now, key, 1),
            };
        }
        let Some(peer) = self.peers.get_mut(key) else { return };
        if peer.rest.queue.is_empty() && peer.rest.sending.is_none() {
            self.uploads.ready.push_back(key);
        }
        peer.rest.queue.push_back(block);
        if is_ours {
            self.uploads.queued_bytes += u64::from(block.length_bytes);
        }
        if self.is_seed() {
            self.offers.requested(now, block.piece, key);
        }
        self.serve(now);
    }

    /// Whether a peer was sent much and never claimed that it has something: others tell of what we lack.
    fn only_takes(&self, peer: &Peer) -> bool {
        let fair = TAKEN_PIECES_MAX + 2 * u64::from(peer.have().count());
        let may_be_told = !self.is_seed() && !self.is_complete() && (peer.fast || peer.is_ours());
        may_be_told && peer.rest.sent_bytes > fair * u64::from(self.layout.piece_length_bytes())
    }

    fn reject(&mut self, key: PeerKey, raw: RawBlock) {
        if self.peers.get(key).is_some_and(|peer| peer.fast) {
            self.say(key, Message::Reject(raw));
        }
    }

    pub(super) fn on_cancel(&mut self, key: PeerKey, raw: RawBlock) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let Some(at) = peer.rest.queue.iter().position(|block| RawBlock::of(*block) == raw) else { return };
        peer.rest.queue.remove(at);
        if peer.is_ours() {
            self.uploads.queued_bytes -= u64::from(raw.length_bytes);
        }
        // BEP 6: a request is answered by the block or by a reject, a cancelled one too.
        self.reject(key, raw);
    }

    /// Sends as much at once as may be.
    pub(super) fn serve(&mut self, now: Duration) {
        while self.uploads.active < self.config.serve_at_once {
            let Some(key) = self.uploads.ready.pop_front() else { return };
            let Some(peer) = self.peers.get_mut(key) else { continue };
            if peer.rest.sending.is_some() {
                continue;
            }
            let Some(block) = peer.rest.queue.pop_front() else { continue };
            peer.rest.sending = Some(Sending { block, since: now, is_stalled: false });
            peer.said_at = now;
            if peer.is_ours() {
                self.uploads.queued_bytes -= u64::from(block.length_bytes);
            }
            self.uploads.busy(key);
            self.act(Action::SendBlock { peer: key, block });
            self.wake_at(now + self.uploads.stall_after());
        }
    }

    pub(super) fn on_sent(&mut self, now: Duration, key: PeerKey, block: Block) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let Some(sending) = peer.rest.sending.take_if(|sending| sending.block == block) else { return };
        self.uploads.active -= usize::from(!sending.is_stalled);
        self.uploads.idle(key);
        peer.rest.sent_bytes += u64::from(block.length_bytes);
        let took = now.saturating_sub(sending.since);
        self.uploads.block_time = Some(self.uploads.block_time.map_or(took, |time| (time * 7 + took) / 8));
        if !peer.rest.queue.is_empty() {
            self.uploads.ready.push_back(key);
        }
        self.totals.sent_bytes += u64::from(block.length_bytes);
        if self.is_seed() {
            self.sent_offer(now, key, block);
        }
        self.serve(now);
        self.tell_ready();
        self.offer(now);
    }

    /// What was to be sent is not there. The request is answered all the same, and of a seed nobody is offered that piece for
    /// a while.
    pub(super) fn on_gone(&mut self, now: Duration, key: PeerKey, block: Block) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let Some(sending) = peer.rest.sending.take_if(|sending| sending.block == block) else { return };
        self.uploads.active -= usize::from(!sending.is_stalled);
        self.uploads.idle(key);
        if !peer.rest.queue.is_empty() {
            self.uploads.ready.push_back(key);
        }
        if self.is_seed() {
            self.offer_is_gone(now, key, block.piece);
        }
        match self.peers.get(key).is_some_and(|peer| peer.fast) {
            true => self.reject(key, RawBlock::of(block)),
            // Without BEP 6 a request cannot be turned down.
            false => self.disconnect(now, key, Reason::Silent),
        }
        self.serve(now);
        self.tell_ready();
        self.offer(now);
    }

    /// Tells those of the peers turned down that have least that there is room: they need not ask again and again, and
    /// in the first moments a piece is worth most to whom it gives something to share.
    fn tell_ready(&mut self) {
        if self.uploads.queued_bytes > 0 {
            return;
        }
        // With nothing left to send, everybody is welcome.
        let at_once = if self.uploads.active == 0 { self.uploads.turned_down } else { READY_AT_ONCE };
        for _ in 0..at_once.min(self.uploads.turned_down) {
            let turned_down = self.peers.iter_mut().filter_map(|peer| Some((peer.turned_down?, peer)));
            let Some((_, peer)) = turned_down.min_by_key(|(turn, peer)| (peer.have().count(), *turn)) else { return };
            peer.turned_down = None;
            self.uploads.turned_down -= 1;
            let (key, id) = (peer.key, peer.rest.extension.ids[usize::from(extension::READY)]);
            self.say(key, Message::Extended { id, payload: Vec::new() });
        }
    }

    /// Lets others pass a peer that does not take its block, and closes it in the end.
    pub(super) fn check_uploads(&mut self, now: Duration) {
        let mut dead = Vec::new();
        let stall_after = self.uploads.stall_after();
        let mut next: Option<Duration> = None;
        for key in &self.uploads.busy {
            let Some(peer) = self.peers.get_mut(*key) else { continue };
            let Some(sending) = &mut peer.rest.sending else { continue };
            let waited = now.saturating_sub(sending.since);
            if waited >= STALL_MAX {
                dead.push(peer.key);
            } else if waited < stall_after {
                let due = sending.since + stall_after;
                next = Some(next.map_or(due, |next| next.min(due)));
            } else if !sending.is_stalled {
                sending.is_stalled = true;
                self.uploads.active -= 1;
            }
        }
        if let Some(next) = next {
            self.wake_at(next);
        }
        for key in dead {
            self.disconnect(now, key, Reason::Silent);
        }
    }
}
