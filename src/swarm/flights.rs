//! The copies of pieces that are on their way.
//!
//! Invariant: in the order of pieces, of one piece in the order in which they were asked for; the counts are those of
//! the copies that are not overdue.

use super::event::Source;
use crate::torrent::{Block, PieceIndex};
use std::time::Duration;

/// One copy of a piece on its way.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) piece: PieceIndex,
    pub(super) source: Source,
    pub(super) asked_at: Duration,
    /// When the last block of it came, or `asked_at`.
    pub(super) moved_at: Duration,
    /// Blocks asked for and not yet come.
    pub(super) waiting: Vec<Block>,
    /// Where the next request begins.
    pub(super) next_offset: u32,
    /// Bytes that have come.
    pub(super) got_bytes: u32,
    /// It takes too long: its slot is given to another piece. [`Flights::overdue`] sets it.
    pub(super) is_overdue: bool,
    pub(super) kind: FlightKind,
}

/// Why a piece is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FlightKind {
    /// It was the rarest one.
    Normal,
    /// The installer waits for it: it has the slot that is kept for that.
    Demanded,
    /// The frontend offered it, which no window counts.
    Offer,
    /// It comes over HTTP, which has limits of its own: what hangs there keeps nobody from asking peers.
    Http,
}

impl Flight {
    /// A copy that is asked for now.
    pub(super) fn new(now: Duration, piece: PieceIndex, source: Source, kind: FlightKind) -> Self {
        Self {
            piece,
            source,
            asked_at: now,
            moved_at: now,
            waiting: Vec::new(),
            next_offset: 0,
            got_bytes: 0,
            is_overdue: false,
            kind,
        }
    }
}

/// Copies that are not overdue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fresh {
    pub(super) normal: usize,
    pub(super) demanded: usize,
    pub(super) offers: usize,
    pub(super) http: usize,
}

impl Fresh {
    fn of(&mut self, kind: FlightKind) -> &mut usize {
        match kind {
            FlightKind::Normal => &mut self.normal,
            FlightKind::Demanded => &mut self.demanded,
            FlightKind::Offer => &mut self.offers,
            FlightKind::Http => &mut self.http,
        }
    }

    /// Whether there are none.
    pub(super) fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// The copies of pieces that are on their way.
#[derive(Debug, Default)]
pub(super) struct Flights {
    list: Vec<Flight>,
    pieces: usize,
    fresh: Fresh,
}

impl Flights {
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Flight> {
        self.list.iter()
    }
    /// All copies, piece by piece.
    pub(super) fn by_piece(&self) -> impl Iterator<Item = &[Flight]> {
        self.list.chunk_by(|one, other| one.piece == other.piece)
    }
    /// How many pieces they are copies of.
    pub(super) fn pieces(&self) -> usize {
        self.pieces
    }
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
    pub(super) fn fresh(&self) -> Fresh {
        self.fresh
    }

    fn range(&self, piece: PieceIndex) -> std::ops::Range<usize> {
        let first = self.list.partition_point(|flight| flight.piece < piece);
        let count = self.list[first..].iter().take_while(|flight| flight.piece == piece).count();
        first..first + count
    }

    /// The copies of a piece.
    pub(super) fn of(&self, piece: PieceIndex) -> &[Flight] {
        &self.list[self.range(piece)]
    }
    /// The copy of a piece from this source. Its kind and whether it is overdue stay as they are.
    pub(super) fn get_mut(&mut self, piece: PieceIndex, source: Source) -> Option<&mut Flight> {
        let range = self.range(piece);
        self.list[range].iter_mut().find(|flight| flight.source == source)
    }
    /// The pieces on their way from this source.
    pub(super) fn from(&self, source: Source) -> Vec<PieceIndex> {
        self.list.iter().filter(|flight| flight.source == source).map(|flight| flight.piece).collect()
    }

    pub(super) fn push(&mut self, flight: Flight) {
        let range = self.range(flight.piece);
        self.pieces += usize::from(range.is_empty());
        if !flight.is_overdue {
            *self.fresh.of(flight.kind) += 1;
        }
        self.list.insert(range.end, flight);
    }

    fn taken(&mut self, flight: &Flight) {
        if !flight.is_overdue {
            *self.fresh.of(flight.kind) -= 1;
        }
    }

    /// Takes one copy out; says with it whether it was the last one of its piece.
    pub(super) fn take(&mut self, piece: PieceIndex, source: Source) -> Option<(Flight, bool)> {
        let range = self.range(piece);
        let at = range.start + self.list[range.clone()].iter().position(|flight| flight.source == source)?;
        let flight = self.list.remove(at);
        self.taken(&flight);
        let is_last = range.len() == 1;
        self.pieces -= usize::from(is_last);
        Some((flight, is_last))
    }

    /// Takes all copies of a piece out.
    pub(super) fn take_all(&mut self, piece: PieceIndex) -> Vec<Flight> {
        let range = self.range(piece);
        self.pieces -= usize::from(!range.is_empty());
        let flights: Vec<Flight> = self.list.drain(range).collect();
        flights.iter().for_each(|flight| self.taken(flight));
        flights
    }

    /// Goes through all copies; those that are to be overdue from now on are.
    pub(super) fn overdue(&mut self, mut is_overdue: impl FnMut(&Flight) -> bool) {
        for flight in &mut self.list {
            if is_overdue(flight) && !flight.is_overdue {
                flight.is_overdue = true;
                *self.fresh.of(flight.kind) -= 1;
            }
        }
    }

    /// Checks the invariant of this file; for tests and fuzzers.
    pub(super) fn check(&self) {
        assert!(self.list.is_sorted_by_key(|flight| flight.piece), "flights in the order of pieces");
        assert_eq!(self.by_piece().count(), self.pieces, "pieces in flight");
        let mut fresh = Fresh::default();
        self.list.iter().filter(|flight| !flight.is_overdue).for_each(|flight| *fresh.of(flight.kind) += 1);
        assert_eq!(fresh, self.fresh, "fresh flights");
    }
}
