//! What a session knows of every piece.
//!
//! Invariant: a piece is unwanted, idle (wanted and asked of nobody), in flight, being verified, or held: exactly one.
//! `idle` and `held` are the sets of that state; `flights` has copies of the pieces in flight and of no others.

use super::event::Source;
use super::flights::{Flight, Flights};
use super::random::scatter;
use crate::torrent::{Bitfield, Layout, PieceIndex};
use std::sync::Arc;

/// Where a piece stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Unwanted,
    Idle,
    InFlight,
    Verifying(Source),
    Held,
}

/// What a session knows of every piece.
pub(super) struct Pieces {
    layout: Arc<Layout>,
    states: Vec<State>,
    idle: Bitfield,
    held: Bitfield,
    flights: Flights,
    /// How many connected peers have it, the frontend's seed not counted.
    availability: Vec<u16>,
    /// Of those, how many in our own rack.
    mates: Vec<u16>,
    missing_bytes: u64,
    verifying: u32,
    salt: u64,
}

impl Pieces {
    pub(super) fn new(layout: Arc<Layout>, holds_all: bool, salt: u64) -> Self {
        let count = layout.piece_count();
        let (state, held) = match holds_all {
            true => (State::Held, Bitfield::all(count)),
            false => (State::Unwanted, Bitfield::none(count)),
        };
        Self {
            states: vec![state; count as usize],
            idle: Bitfield::none(count),
            held,
            flights: Flights::default(),
            availability: vec![0; count as usize],
            mates: vec![0; count as usize],
            missing_bytes: 0,
            verifying: 0,
            salt,
            layout,
        }
    }

    pub(super) fn state(&self, piece: PieceIndex) -> State {
        self.states[piece.get() as usize]
    }
    pub(super) fn idle(&self) -> &Bitfield {
        &self.idle
    }
    pub(super) fn held(&self) -> &Bitfield {
        &self.held
    }
    /// The pieces wanted, those held too.
    pub(super) fn wanted(&self) -> Bitfield {
        let mut wanted = Bitfield::none(self.layout.piece_count());
        let pieces = self.layout.pieces().filter(|piece| self.state(*piece) != State::Unwanted);
        pieces.for_each(|piece| _ = wanted.insert(piece));
        wanted
    }
    pub(super) fn flights(&self) -> &Flights {
        &self.flights
    }
    pub(super) fn flights_mut(&mut self) -> &mut Flights {
        &mut self.flights
    }
    pub(super) fn missing_bytes(&self) -> u64 {
        self.missing_bytes
    }
    /// Pieces wanted and not held.
    pub(super) fn missing(&self) -> usize {
        self.idle.count() as usize + self.flights.pieces() + self.verifying as usize
    }
    pub(super) fn availability(&self, piece: PieceIndex) -> u16 {
        self.availability[piece.get() as usize]
    }
    /// How many mates of the own rack have a piece.
    pub(super) fn mates(&self, piece: PieceIndex) -> u16 {
        self.mates[piece.get() as usize]
    }
    pub(super) fn has_mate(&self, piece: PieceIndex) -> bool {
        self.mates[piece.get() as usize] > 0
    }

    /// Counts a peer's piece in or out.
    pub(super) fn count(&mut self, piece: PieceIndex, is_mate: bool, is_in: bool) {
        let at = piece.get() as usize;
        let step = |n: &mut u16| *n = if is_in { n.saturating_add(1) } else { n.saturating_sub(1) };
        step(&mut self.availability[at]);
        if is_mate {
            step(&mut self.mates[at]);
        }
    }

    /// Wants a piece; says whether that is new.
    pub(super) fn want(&mut self, piece: PieceIndex) -> bool {
        if self.state(piece) != State::Unwanted {
            return false;
        }
        self.set(piece, State::Idle);
        self.missing_bytes += u64::from(self.layout.payload_len(piece));
        true
    }

    /// Holds a piece without a flight: it was there before, or is nothing but pad.
    pub(super) fn hold(&mut self, piece: PieceIndex) {
        match self.state(piece) {
            State::Held => return,
            State::Unwanted => {}
            _ => self.missing_bytes -= u64::from(self.layout.payload_len(piece)),
        }
        self.flights.take_all(piece);
        self.set(piece, State::Held);
    }

    /// Puts a copy into the air.
    pub(super) fn fly(&mut self, flight: Flight) {
        debug_assert!(matches!(self.state(flight.piece), State::Idle | State::InFlight));
        self.set(flight.piece, State::InFlight);
        self.flights.push(flight);
    }

    /// Takes a copy out of the air; the piece is idle again if it was the last one.
    pub(super) fn land(&mut self, piece: PieceIndex, source: Source) -> Option<Flight> {
        let (flight, is_last) = self.flights.take(piece, source)?;
        if is_last {
            self.set(piece, State::Idle);
        }
        Some(flight)
    }

    /// All its payload has come from this source. What else was in the air is given back.
    pub(super) fn arrive(&mut self, piece: PieceIndex, source: Source) -> Vec<Flight> {
        self.set(piece, State::Verifying(source));
        self.flights.take_all(piece)
    }

    /// The digest was compared. Says whether the piece was being verified for this source at all.
    pub(super) fn verified(&mut self, piece: PieceIndex, source: Source, ok: bool) -> bool {
        if self.state(piece) != State::Verifying(source) {
            return false;
        }
        if ok {
            self.missing_bytes -= u64::from(self.layout.payload_len(piece));
        }
        self.set(piece, if ok { State::Held } else { State::Idle });
        true
    }

    fn set(&mut self, piece: PieceIndex, state: State) {
        let old = std::mem::replace(&mut self.states[piece.get() as usize], state);
        if old == state {
            return;
        }
        match old {
            State::Idle => _ = self.idle.remove(piece),
            State::Verifying(_) => self.verifying -= 1,
            _ => {}
        }
        match state {
            State::Idle => _ = self.idle.insert(piece),
            State::Held => _ = self.held.insert(piece),
            State::Verifying(_) => self.verifying += 1,
            _ => {}
        }
    }

    /// The idle piece of `have` that fewest peers have, ties at random but the same for this session, among those
    /// that `may` allows.
    pub(super) fn rarest(&self, have: &Bitfield, may: impl Fn(PieceIndex) -> bool) -> Option<PieceIndex> {
        let mut best: Option<(u16, u64, PieceIndex)> = None;
        for piece in both(have, &self.idle, &self.layout) {
            let availability = self.availability(piece);
            if best.is_some_and(|(least, ..)| availability > least) || !may(piece) {
                continue;
            }
            let key = (availability, scatter(self.salt ^ u64::from(piece.get())));
            if best.is_none_or(|(least, tie, _)| key < (least, tie)) {
                best = Some((key.0, key.1, piece));
            }
        }
        best.map(|(.., piece)| piece)
    }

    /// Checks the invariant of this file; for tests and fuzzers.
    pub(super) fn check(&self) {
        for piece in self.layout.pieces() {
            let state = self.state(piece);
            assert_eq!(state == State::Idle, self.idle.has(piece), "{piece} idle");
            assert_eq!(state == State::Held, self.held.has(piece), "{piece} held");
            assert_eq!(state == State::InFlight, !self.flights.of(piece).is_empty(), "{piece} in flight");
        }
        self.flights.check();
        let missing = |state: &&State| !matches!(state, State::Unwanted | State::Held);
        assert_eq!(self.states.iter().filter(missing).count(), self.missing());
    }
}

/// The pieces set in both, in order.
pub(super) fn both<'a>(a: &'a Bitfield, b: &'a Bitfield, layout: &'a Layout) -> impl Iterator<Item = PieceIndex> + 'a {
    a.words().iter().zip(b.words()).zip(0_u32..).flat_map(move |((a, b), at)| {
        let mut word = a & b;
        std::iter::from_fn(move || {
            let n = word.leading_zeros();
            word = word.checked_sub(1 << (63 - n.min(63)))?;
            layout.index(at * 64 + n)
        })
    })
}
