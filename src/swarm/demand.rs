//! What the installer waits for: several files at once, each read from its beginning.
//!
//! The files take turns piece by piece, so that none of the installer's connections starves behind a long file.

use crate::torrent::PieceIndex;
use std::collections::{BTreeMap, BTreeSet};

/// The pieces the installer waits for, the most urgent first.
#[derive(Debug, Default)]
pub(super) struct Demand {
    /// By turn: a file asked for later begins at the turn of what is most urgent then.
    order: BTreeSet<(u64, PieceIndex)>,
    turns: BTreeMap<PieceIndex, u64>,
}

impl Demand {
    /// Adds the pieces of one file, in its order.
    pub(super) fn add(&mut self, pieces: &[PieceIndex]) {
        let first = self.order.first().map_or(0, |(turn, _)| *turn);
        for (turn, piece) in (first..).zip(pieces) {
            if !self.turns.contains_key(piece) {
                self.turns.insert(*piece, turn);
                self.order.insert((turn, *piece));
            }
        }
    }

    /// Takes a piece out; says whether it was there.
    pub(super) fn remove(&mut self, piece: PieceIndex) -> bool {
        let Some(turn) = self.turns.remove(&piece) else { return false };
        self.order.remove(&(turn, piece))
    }

    pub(super) fn contains(&self, piece: PieceIndex) -> bool {
        self.turns.contains_key(&piece)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The pieces, the most urgent first.
    pub(super) fn iter(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.order.iter().map(|(_, piece)| *piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torrent::Bitfield;

    #[test]
    fn files_take_turns() {
        let all = Bitfield::all(10);
        let piece: Vec<PieceIndex> = all.iter().collect();
        let mut demand = Demand::default();
        demand.add(&piece[0..4]);
        assert!(demand.remove(piece[0]) && !demand.remove(piece[0]));
        demand.add(&piece[6..8]);
        let order: Vec<u32> = demand.iter().map(PieceIndex::get).collect();
        assert_eq!(order, [1, 6, 2, 7, 3]);
        assert!(demand.contains(piece[7]) && !demand.contains(piece[8]) && !demand.is_empty());
    }
}
