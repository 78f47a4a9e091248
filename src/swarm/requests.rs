//! What is asked of whom: the window of pieces in flight, rarest first, the slot kept for the installer, the rack rule,
//! the endgame, and what happens when an answer comes, or is wrong.

use super::config::{ENDGAME_COPIES, ENDGAME_PIECES, IN_FLIGHT_PER_PEER};
use super::event::{Action, PeerKey, Reason, Source};
use super::extension;
use super::flights::{Flight, FlightKind};
use super::message::{Message, RawBlock};
use super::overdue::MUTE_AFTER;
use super::peers::Peer;
use super::pieces::{State, both};
use super::random::scatter;
use super::session::Session;
use crate::torrent::{Block, PieceIndex};
use std::time::Duration;

/// Pieces given up that are still taken if they come after all, a peer.
pub(super) const LATE_MAX: usize = 8;
/// Pieces in flight from the frontend at once: it offers them, so it bounds them.
const OFFERS_TAKEN_MAX: usize = 16;
/// A machine asks for one piece more at once for so many pieces that it has less than most others, and so many at most.
const BEHIND_PIECES: u32 = 2;
const BEHIND_MORE_MAX: u32 = 4;
/// Pieces that rack-mates are believed to fetch from outside.
pub(super) const CROSSING_MAX: usize = 1024;

/// A peer that turned a request down, and does not say that it has room, is asked again after about so many times the time
/// between two pieces, and with more peers after as many times as there are: where all ways out are full, each such question
/// is two packets for nothing.
const REJECTED_GAPS_MIN: u32 = 8;
/// Of what has come, the share that may come twice: within it a second copy is asked for as soon as the first is late.
const TWICE_SHARE: u64 = 512;
/// Beyond it only once nothing of the first has come for so long (TCP sends a lost packet again after 200 ms), and for so
/// many times the time between two pieces: a peer sends the oldest of three blocks first.
const COPY_AFTER: Duration = Duration::from_millis(500);
const COPY_AFTER_GAPS: u32 = 12;

/// What to ask of whom, and why.
struct Choice {
    peer: PeerKey,
    piece: PieceIndex,
    kind: FlightKind,
}

impl Session {
    /// Whether this block was asked of this peer and is of use: only then is its payload worth keeping.
    pub fn expects(&self, peer: PeerKey, block: Block) -> bool {
        let asked = |flight: &Flight| flight.source == Source::Peer(peer) && flight.waiting.contains(&block);
        self.pieces.flights().of(block.piece).iter().any(asked) || self.is_late(peer, block)
    }

    /// Whether a piece that was given up comes after all, whole, and is still missing.
    fn is_late(&self, peer: PeerKey, block: Block) -> bool {
        matches!(self.pieces.state(block.piece), State::Idle | State::InFlight)
            && block.offset_bytes == 0
            && block.length_bytes == self.layout.payload_len(block.piece)
            && self.peers.get(peer).is_some_and(|peer| peer.rest.late.contains(&block.piece))
    }

    /// Asks for as much as may be in flight.
    pub(super) fn fill(&mut self, now: Duration) {
        if self.is_seed() {
            return;
        }
        let window = self.pace.window() + self.pieces_more();
        while let Some(choice) = self.choose(now, window) {
            self.ask(now, choice);
        }
        let is_starving = !self.pieces.idle().is_none() && self.pieces.flights().fresh().is_none();
        self.fallback.starving(now, is_starving);
    }

    /// Pieces that a machine has in flight beyond its window since it has fewer than most others: all wait for the last.
    fn pieces_more(&self) -> usize {
        let most = self.peers.median_had().unwrap_or(0);
        let behind = most.saturating_sub(self.pieces.held().count());
        (behind / BEHIND_PIECES).min(BEHIND_MORE_MAX) as usize
    }

    fn choose(&mut self, now: Duration, window: usize) -> Option<Choice> {
        if self.pieces.idle().is_none() {
            return self.choose_copy(now, |session, piece| {
                session.pieces.missing() <= ENDGAME_PIECES || session.is_overdue(piece)
            });
        }
        if let Some(choice) = self.choose_offer() {
            return Some(choice);
        }
        let fresh = self.pieces.flights().fresh();
        let (asked, demanded) = (fresh.normal + fresh.demanded, fresh.demanded);
        let waits = !self.demand.is_empty();
        if waits && demanded == 0 && asked < window {
            let choice = self.choose_demanded(now).or_else(|| {
                self.choose_copy(now, |session, piece| session.demand.contains(piece) && session.is_overdue(piece))
            });
            if choice.is_some() {
                return choice;
            }
        }
        let reserved = usize::from(waits && demanded == 0);
        if asked + reserved >= window {
            return None;
        }
        self.choose_rarest(now).or_else(|| self.choose_copy(now, Self::is_overdue))
    }

    /// Whether every copy of a piece that is on its way takes too long.
    fn is_overdue(&self, piece: PieceIndex) -> bool {
        self.pieces.flights().of(piece).iter().all(|flight| flight.is_overdue)
    }

    /// Whether what came twice, and may yet, is within [`TWICE_SHARE`].
    fn may_come_twice(&self, now: Duration) -> bool {
        let copies =
            self.pieces.flights().by_piece().filter(|flights| flights.len() > 1).map(|flights| flights[0].piece);
        // From those that speak: the dead send nothing.
        let living = self.peers.iter().filter(|peer| now.saturating_sub(peer.heard_at) < MUTE_AFTER);
        let late = living.flat_map(|peer| &peer.rest.late).copied();
        let length = |piece| u64::from(self.layout.payload_len(piece));
        let totals = &self.totals;
        let came = totals.from_frontend_bytes + totals.from_peers_bytes;
        totals.twice_bytes + copies.chain(late).map(length).sum::<u64>() <= came / TWICE_SHARE
    }

    /// What the frontend offers is taken at once: nobody else has it.
    fn choose_offer(&self) -> Option<Choice> {
        let peer = self.peers.frontend().filter(|peer| peer.useful > 0 && !peer.chokes_us)?;
        if peer.flights >= OFFERS_TAKEN_MAX {
            return None;
        }
        // In the order in which the frontend offers: none of them may wait until it is withdrawn.
        let piece = both(peer.have(), self.pieces.idle(), &self.layout).next()?;
        Some(Choice { peer: peer.key, piece, kind: FlightKind::Offer })
    }

    fn choose_demanded(&self, now: Duration) -> Option<Choice> {
        let with_room = self.peers.with_room(now, IN_FLIGHT_PER_PEER);
        for piece in self.demand.iter().filter(|piece| self.pieces.idle().has(*piece)) {
            let having = self.peers.holders(piece).and(with_room).map(|at| self.peers.at(at));
            let having = having.filter(|peer| self.may_cross(peer, piece, now));
            if let Some(peer) = having.min_by_key(|peer| (!peer.is_mate, peer.flights)) {
                return Some(Choice { peer: peer.key, piece, kind: FlightKind::Demanded });
            }
        }
        None
    }

    /// The rarest piece of the peer that is asked for least, mates of the own rack first.
    fn choose_rarest(&mut self, now: Duration) -> Option<Choice> {
        let salt = self.random.next_u64();
        let mut left = self.peers.with_room(now, IN_FLIGHT_PER_PEER);
        let turn = |at: &usize| {
            let peer = self.peers.at(*at);
            (!peer.is_mate, peer.flights, scatter(salt ^ *at as u64), *at)
        };
        while let Some(at) = left.min_by_key(turn) {
            let peer = self.peers.at(at);
            if let Some(piece) = self.pieces.rarest(peer.have(), |piece| self.may_cross(peer, piece, now)) {
                return Some(Choice { peer: peer.key, piece, kind: FlightKind::Normal });
            }
            left = left.but(at);
        }
        None
    }

    /// A second copy of a piece in flight, from somebody else: only of those that `may` names, and late already.
    fn choose_copy(&self, now: Duration, may: impl Fn(&Self, PieceIndex) -> bool) -> Option<Choice> {
        let patience = self.pace.piece_time() * 2;
        let copy_after = COPY_AFTER.max(self.pace.gap() * COPY_AFTER_GAPS);
        let mut may_come_twice = None;
        for flights in self.pieces.flights().by_piece() {
            let piece = flights[0].piece;
            let waited = |flight: &Flight| now.saturating_sub(flight.moved_at);
            let is_late = |flight: &Flight| flight.is_overdue || waited(flight) > patience;
            if flights.len() >= ENDGAME_COPIES || !flights.iter().all(is_late) || !may(self, piece) {
                continue;
            }
            let is_very_late = flights.iter().all(|flight| waited(flight) >= copy_after);
            // Before the times of pieces are known everything looks late: the first ones may have come in a burst.
            let is_due = is_very_late
                || (self.pace.is_steady() && *may_come_twice.get_or_insert_with(|| self.may_come_twice(now)));
            if !is_due {
                continue;
            }
            let other = |peer: &&Peer| {
                peer.have().has(piece)
                    && (peer.is_mate || self.config.rack.is_none() || !self.pieces.has_mate(piece))
                    && !peer.chokes_us
                    && now >= peer.backoff_until
                    && peer.flights < IN_FLIGHT_PER_PEER
                    && flights.iter().all(|flight| flight.source != Source::Peer(peer.key))
            };
            if let Some(peer) = self.peers.iter().filter(other).min_by_key(|peer| (!peer.is_mate, peer.flights)) {
                return Some(Choice { peer: peer.key, piece, kind: FlightKind::Normal });
            }
        }
        None
    }

    /// Across racks only what no rack-mate has or is fetching, unless there is nothing else to do for too long.
    pub(super) fn may_cross(&self, peer: &Peer, piece: PieceIndex, now: Duration) -> bool {
        peer.is_mate
            || self.config.rack.is_none()
            || (!self.pieces.has_mate(piece) && self.crossing.get(&piece).is_none_or(|until| *until <= now))
            || self.fallback.is_desperate(now)
    }

    fn ask(&mut self, now: Duration, Choice { peer: key, piece, kind }: Choice) {
        let was_idle = self.pieces.idle().has(piece);
        self.pieces.fly(Flight::new(now, piece, Source::Peer(key), kind));
        if was_idle {
            self.peers.count_useful(piece, false);
        }
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.flights += 1;
        let crosses = self.config.rack.is_some() && !peer.is_mate && !peer.is_frontend;
        self.ask_on(key, piece);
        if crosses {
            self.say_crossing(piece);
        }
        self.wake_at(now + self.pace.overdue_after());
    }

    /// Asks for the blocks of a flight that fit into the peer's pipeline.
    fn ask_on(&mut self, key: PeerKey, piece: PieceIndex) {
        let length = self.layout.payload_len(piece);
        let Some(peer) = self.peers.get_mut(key) else { return };
        let (pipeline, block_bytes) = (peer.pipeline(), peer.block_bytes());
        let Some(flight) = self.pieces.flights_mut().get_mut(piece, Source::Peer(key)) else { return };
        while peer.blocks_out < pipeline && flight.next_offset < length {
            let length_bytes = block_bytes.min(length - flight.next_offset);
            let block = Block { piece, offset_bytes: flight.next_offset, length_bytes };
            flight.next_offset += length_bytes;
            flight.waiting.push(block);
            peer.blocks_out += 1;
            peer.said_at = Duration::ZERO;
            self.actions.push_back(Action::Send { peer: key, message: Message::Request(RawBlock::of(block)) });
        }
    }

    fn say_crossing(&mut self, piece: PieceIndex) {
        let payload = extension::encode_pieces(&[piece]);
        let at = usize::from(extension::CROSS);
        let mates: Vec<(PeerKey, u8)> = (self.peers.iter())
            .filter(|peer| peer.is_mate && peer.is_ours() && !peer.upload_only)
            .map(|peer| (peer.key, peer.rest.extension.ids[at]))
            .collect();
        for (peer, id) in mates {
            self.say(peer, Message::Extended { id, payload: payload.clone() });
        }
    }

    /// Takes a piece out of flight from this source. What was asked for is not taken back.
    pub(super) fn give_up(&mut self, piece: PieceIndex, source: Source) -> Option<Flight> {
        let flight = self.pieces.land(piece, source)?;
        if let Source::Peer(key) = source
            && let Some(peer) = self.peers.get_mut(key)
        {
            peer.flights -= 1;
            peer.blocks_out -= flight.waiting.len();
        }
        if self.pieces.idle().has(piece) {
            self.peers.count_useful(piece, true);
        }
        if flight.got_bytes > 0 {
            self.totals.twice_bytes += u64::from(flight.got_bytes);
            self.act(Action::Forget { piece, source });
        }
        Some(flight)
    }

    /// Gives a piece up and takes back what was asked for; if it comes all the same it is not nonsense.
    pub(super) fn call_off(&mut self, piece: PieceIndex, source: Source) {
        if let Some(flight) = self.give_up(piece, source) {
            self.take_back(piece, &flight);
        }
    }

    /// Takes back what a flight that is over was still waiting for.
    fn take_back(&mut self, piece: PieceIndex, flight: &Flight) {
        let Source::Peer(key) = flight.source else {
            return self.act(Action::CancelHttp { piece });
        };
        for block in &flight.waiting {
            self.say(key, Message::Cancel(RawBlock::of(*block)));
        }
        if let Some(peer) = self.peers.get_mut(key)
            && !flight.waiting.is_empty()
        {
            peer.rest.late.truncate(LATE_MAX - 1);
            peer.rest.late.push_front(piece);
        }
    }

    /// A good part of a block came: who sends it is not silent, and the piece is not late.
    pub(super) fn on_block_moves(&mut self, now: Duration, key: PeerKey, block: Block) {
        let flight = self.pieces.flights_mut().get_mut(block.piece, Source::Peer(key));
        let Some(flight) = flight.filter(|flight| flight.waiting.contains(&block)) else { return };
        flight.moved_at = now;
        if let Some(peer) = self.peers.get_mut(key) {
            (peer.heard_at, peer.rest.answered_at) = (now, now);
        }
    }

    pub(super) fn on_block(&mut self, now: Duration, key: PeerKey, block: Block) {
        let source = Source::Peer(key);
        let Some(peer) = self.peers.get_mut(key) else { return };
        (peer.heard_at, peer.rest.answered_at, peer.rest.silences) = (now, now, 0);
        let is_frontend = peer.is_frontend;
        let length = u64::from(block.length_bytes);
        match is_frontend {
            true => self.totals.from_frontend_bytes += length,
            false => self.totals.from_peers_bytes += length,
        }
        let piece = block.piece;
        let flight = self.pieces.flights_mut().get_mut(piece, source);
        if let Some(flight) = flight.filter(|flight| flight.waiting.contains(&block)) {
            flight.waiting.retain(|waiting| *waiting != block);
            flight.got_bytes += block.length_bytes;
            flight.moved_at = now;
            let (got, asked_at, overdue) = (flight.got_bytes, flight.asked_at, flight.is_overdue);
            if let Some(peer) = self.peers.get_mut(key) {
                peer.blocks_out -= 1;
            }
            if is_frontend {
                self.contacts.frontend_works();
            }
            if got == self.layout.payload_len(piece) {
                self.pace.came(now, now.saturating_sub(asked_at), overdue);
                self.arrived(piece, source);
                self.fill(now);
            }
            self.ask_on_all(key);
        } else if self.is_late(key, block) {
            self.arrived(piece, source);
            self.fill(now);
        } else {
            self.totals.twice_bytes += length;
            let was_asked = self.peers.get(key).is_some_and(|peer| peer.rest.late.contains(&piece));
            if !was_asked {
                self.nonsense(now, key, 1);
            }
        }
    }

    /// Keeps the pipeline of a peer full over all pieces that are in flight from it.
    fn ask_on_all(&mut self, key: PeerKey) {
        let unfinished = |flight: &&Flight| {
            flight.source == Source::Peer(key) && flight.next_offset < self.layout.payload_len(flight.piece)
        };
        let pieces: Vec<PieceIndex> =
            self.pieces.flights().iter().filter(unfinished).map(|flight| flight.piece).collect();
        for piece in pieces {
            self.ask_on(key, piece);
        }
    }

    /// The payload of a piece is complete: its digest is to be compared, other copies are called off.
    pub(super) fn arrived(&mut self, piece: PieceIndex, source: Source) {
        if self.pieces.idle().has(piece) {
            self.peers.count_useful(piece, false);
        }
        for flight in self.pieces.arrive(piece, source) {
            if let Source::Peer(key) = flight.source
                && let Some(peer) = self.peers.get_mut(key)
            {
                peer.flights -= 1;
                peer.blocks_out -= flight.waiting.len();
            }
            if flight.source != source {
                if flight.got_bytes > 0 {
                    self.totals.twice_bytes += u64::from(flight.got_bytes);
                }
                self.act(Action::Forget { piece, source: flight.source });
                self.take_back(piece, &flight);
            }
        }
        if let Source::Peer(key) = source
            && let Some(peer) = self.peers.get_mut(key)
        {
            peer.rest.late.retain(|late| *late != piece);
            self.senders.insert(piece, (peer.rest.id, peer.listens_at()));
        }
        self.act(Action::Verify { piece, source });
    }

    pub(super) fn on_verified(&mut self, now: Duration, piece: PieceIndex, source: Source, ok: bool) {
        if !self.pieces.verified(piece, source, ok) {
            return;
        }
        let sender = self.senders.remove(&piece);
        if ok {
            if self.demand.remove(piece) {
                self.fallback.demand_moved(now);
            }
            self.crossing.remove(&piece);
            self.act(Action::PieceDone { piece });
            self.tell(now, piece);
            self.check_done(now);
        } else {
            self.totals.wrong_bytes += u64::from(self.layout.payload_len(piece));
            self.peers.count_useful(piece, true);
            self.act(Action::Forget { piece, source });
            match (source, sender) {
                (Source::Peer(key), _) if self.peers.get(key).is_some() => {
                    self.disconnect(now, key, Reason::WrongPiece);
                }
                (Source::Peer(_), Some((id, address))) => self.ban(id, address, Reason::WrongPiece),
                _ => self.fallback.web_seed_failed(now, piece),
            }
            self.ask_for_spoiled(piece);
        }
        self.refill(now);
    }

    /// A request was turned down: the piece is free again, and the peer is left alone until it says that it has room, or
    /// for some piece times.
    pub(super) fn on_reject(&mut self, now: Duration, key: PeerKey, block: RawBlock) {
        let Some(piece) = self.layout.index(block.piece) else {
            return self.disconnect(now, key, Reason::OutOfRange);
        };
        let source = Source::Peer(key);
        let was_asked = self.pieces.flights().of(piece).iter().any(|flight| flight.source == source);
        let gaps = REJECTED_GAPS_MIN.max(self.peers.len() as u32);
        let backoff = self.random.around(self.pace.gap() * gaps);
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.rest.answered_at = now;
        peer.rest.silences = 0;
        if !was_asked {
            let was_late = peer.rest.late.contains(&piece);
            peer.rest.late.retain(|late| *late != piece);
            if !was_late {
                self.nonsense(now, key, 1);
            }
            return;
        }
        peer.backoff_until = now + backoff;
        // An offer taken back: it will be offered again, perhaps to another machine.
        self.lose_offer(key, piece);
        self.wake_at(now + backoff);
        if let Some(mut flight) = self.give_up(piece, source) {
            self.pace.turned_down(now.saturating_sub(flight.asked_at));
            // What was turned down need not be taken back.
            flight.waiting.retain(|waiting| RawBlock::of(*waiting) != block);
            self.take_back(piece, &flight);
        }
        self.fill(now);
    }

    /// What this peer has offered stands no longer, if it is the frontend's seed.
    pub(super) fn lose_offer(&mut self, key: PeerKey, piece: PieceIndex) {
        let is_idle = self.pieces.idle().has(piece);
        let is_frontend = self.peers.get(key).is_some_and(|peer| peer.is_frontend);
        if is_frontend
            && self.peers.lose(key, piece)
            && let Some(peer) = self.peers.get_mut(key).filter(|_| is_idle)
        {
            peer.useful -= 1;
        }
    }

    /// The peer answers no requests any more; what it had not answered is free again (without BEP 6 it says no more).
    pub(super) fn on_choke(&mut self, now: Duration, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.chokes_us = true;
        let source = Source::Peer(key);
        let lost = self.pieces.flights().from(source);
        for piece in lost {
            self.call_off(piece, source);
        }
        self.fill(now);
    }
}
