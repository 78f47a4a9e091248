//! Requests that no answer comes to: first their slot is used for another piece, then the piece is asked of somebody else,
//! and who lets several of them wait is closed.

use super::config::{self, IN_FLIGHT_PER_PEER};
use super::event::{PeerKey, Reason, Source};
use super::flights::FlightKind;
use super::peers::Peer;
use super::session::Session;
use crate::torrent::PieceIndex;
use std::time::Duration;

/// Requests in a row without an answer after which a peer is closed.
const SILENCES_MAX: u32 = 4;
/// A peer that said nothing since it was asked, for so many times the time between two pieces, may have lost its power: news
/// of pieces waits no longer than two thirds of that.
const MUTE_GAPS: u32 = 12;
/// What is overdue is asked of somebody else who has it, but not before this time, if the peer said nothing at all since.
pub(super) const MUTE_AFTER: Duration = Duration::from_millis(300);

impl Session {
    /// Finds flights that take too long: first their slot is used for another piece, then they are given to others.
    pub(super) fn check_flights(&mut self, now: Duration) {
        let overdue_after = self.pace.overdue_after();
        let reassign_after = self.pace.reassign_after();
        let mut hopeless = Vec::new();
        let mut next = None;
        let mut slow = Vec::new();
        let mut mute = Vec::new();
        let mute_after = overdue_after.max(MUTE_AFTER);
        let mute_overdue_after = (overdue_after / 2).max(self.pace.gap() * MUTE_GAPS).min(overdue_after);
        self.pieces.flights_mut().overdue(|flight| {
            let Source::Peer(key) = flight.source else { return false };
            let waited = now.saturating_sub(flight.moved_at);
            let patience = if flight.kind == FlightKind::Offer { reassign_after * 2 } else { reassign_after };
            if waited >= patience {
                hopeless.push((flight.piece, key));
                return false;
            }
            let is_mute = self.peers.get(key).is_some_and(|peer| peer.heard_at <= flight.asked_at);
            if waited >= mute_after && is_mute {
                mute.push((flight.piece, key));
            }
            // Who says nothing at all has half the time, but longer than news waits: of two such peers a window is full.
            let overdue_after = if is_mute { mute_overdue_after } else { overdue_after };
            let is_overdue = flight.is_overdue || waited >= overdue_after;
            if is_overdue && !flight.is_overdue {
                slow.push(key);
            }
            let due = match (is_overdue, waited >= mute_after) {
                (false, _) => overdue_after,
                (true, false) => mute_after,
                (true, true) => patience,
            };
            let due = flight.moved_at + due;
            next = Some(next.map_or(due, |next: Duration| next.min(due)));
            is_overdue
        });
        for key in slow {
            if let Some(peer) = self.peers.get_mut(key) {
                peer.backoff_until = peer.backoff_until.max(now + overdue_after);
            }
        }
        self.ask_others(now, mute);
        self.give_up_on(now, hopeless);
        if let Some(next) = next {
            self.wake_at(next);
        }
        if self.pieces.idle().is_none() {
            if !self.pieces.flights().is_empty() {
                self.wake_at(now + self.pace.piece_time().max(Duration::from_millis(1)));
            }
            return;
        }
        let backoffs = self.peers.iter().filter(|peer| peer.useful > 0 && peer.backoff_until > now);
        if let Some(at) = backoffs.map(|peer| peer.backoff_until).min() {
            self.wake_at(at);
        }
    }

    /// Asks others for what mute peers were asked for, where others have it and have room, and may be asked: a dead rack-mate
    /// whose requests were taken back for nobody would be asked again and again, and counted as silent never.
    fn ask_others(&mut self, now: Duration, mute: Vec<(PieceIndex, PeerKey)>) {
        let reassign_after = self.pace.reassign_after();
        for (piece, key) in mute {
            let is_other = |peer: &Peer| {
                let has_room = now >= peer.backoff_until && peer.flights < IN_FLIGHT_PER_PEER;
                peer.key != key && !peer.chokes_us && has_room && self.may_cross(peer, piece, now)
            };
            if self.peers.holders(piece).any(|at| is_other(self.peers.at(at))) {
                // Offers are taken at once, whatever the pause: this one would be taken again before anybody else is asked.
                self.lose_offer(key, piece);
                self.call_off(piece, Source::Peer(key));
                if let Some(peer) = self.peers.get_mut(key) {
                    peer.backoff_until = peer.backoff_until.max(now + reassign_after);
                }
            }
        }
    }

    /// Takes from peers what they were asked for and never sent.
    fn give_up_on(&mut self, now: Duration, hopeless: Vec<(PieceIndex, PeerKey)>) {
        let reassign_after = self.pace.reassign_after();
        for (piece, key) in hopeless {
            self.call_off(piece, Source::Peer(key));
            let Some(peer) = self.peers.get_mut(key) else { continue };
            peer.rest.silences += 1;
            peer.backoff_until = now + reassign_after * 2u32.pow(peer.rest.silences.min(5));
            let since = now.saturating_sub(peer.rest.answered_at);
            if peer.rest.silences >= SILENCES_MAX && since >= config::REASSIGN_MIN {
                self.disconnect(now, key, Reason::Silent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::Event;
    use super::super::exercise::{Bench, PIECE_BYTES, id};
    use super::super::message::Message;
    use super::*;
    use crate::swarm::SessionConfig;
    use crate::torrent::MetainfoBuilder;
    use std::sync::Arc;

    /// A machine that got all of so many pieces but the last two from one peer, so far apart; the other peer, which has these
    /// two to send, speaks and sends nothing. How long until so many copies are asked of the first one too.
    fn copied_after(pieces: u32, gap: Duration, copies: usize) -> Duration {
        let mut builder = MetainfoBuilder::new("test", PIECE_BYTES).expect("a plain name");
        let length_bytes = u64::from(pieces * PIECE_BYTES);
        builder.file("a", length_bytes, vec![[0; 20]; pieces as usize]).expect("whole pieces");
        let layout = Arc::new(builder.finish().expect("well-formed").layout().clone());
        let mut bench =
            Bench::of(SessionConfig { web_seed: false, ..SessionConfig::machine(id(1)) }, Arc::clone(&layout));
        bench.tell(Event::Want { pieces: layout.pieces().collect() });
        let good = bench.connect_ours(2);
        let give = |bench: &mut Bench| {
            bench.pass(gap);
            let at = bench.asked.iter().position(|(peer, _)| *peer == good).expect("something is asked of it");
            let (peer, block) = bench.asked.remove(at);
            bench.tell(Event::BlockReceived { peer, block });
            let (piece, source) = bench.verifying.pop().expect("a whole piece");
            bench.tell(Event::Verified { piece, source, ok: true });
        };
        (4..pieces).for_each(|_| give(&mut bench));
        let begun = bench.now;
        let late = bench.connect_ours(3);
        (0..2).for_each(|_| give(&mut bench));
        let missing: Vec<_> = bench.asked.iter().map(|(peer, _)| *peer).collect();
        assert_eq!(missing, [late; 2]);
        while bench.asked.iter().filter(|(peer, _)| *peer == good).count() < copies {
            bench.pass(Duration::from_millis(10));
            bench.say(late, Message::KeepAlive);
        }
        bench.now - begun
    }

    #[test]
    fn a_second_copy_waits_for_half_a_second_and_for_twelve_pieces() {
        let fast = copied_after(40, Duration::from_millis(5), 2);
        assert!((500..700).contains(&fast.as_millis()), "{fast:?}");
        let slow = copied_after(40, Duration::from_millis(100), 2);
        assert!((1200..1500).contains(&slow.as_millis()), "{slow:?}: the peer sends the oldest of three blocks first");
    }

    #[test]
    fn one_copy_may_be_on_its_way_at_once_but_for_the_first_moments() {
        let later = copied_after(40, Duration::from_millis(5), 1);
        assert!(later.as_millis() < 100, "{later:?}");
        let at_first = copied_after(12, Duration::from_millis(5), 1);
        assert!((500..700).contains(&at_first.as_millis()), "{at_first:?}: ten pieces may have come in a burst");
    }

    #[test]
    fn who_sends_a_long_block_is_not_silent() {
        let taken_back = |moves: bool| {
            let mut bench = Bench::machine();
            let slow = bench.connect_ours(2);
            let asked: Vec<_> = bench.asked.iter().map(|(_, block)| *block).collect();
            assert!(asked.len() > 1);
            bench.connect_ours(3);
            for _ in 0..10 {
                bench.pass(Duration::from_millis(200));
                for block in asked.iter().filter(|_| moves) {
                    bench.tell(Event::BlockMoves { peer: slow, block: *block });
                }
            }
            bench.said.iter().filter(|(to, said)| *to == slow && matches!(said, Message::Cancel(_))).count()
        };
        assert_eq!(taken_back(true), 0);
        assert!(taken_back(false) > 1);
    }
}
