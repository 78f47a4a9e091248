//! What the installer waits for: several files at once, each read from its beginning.
//!
//! The files take turns: first the next piece of each, the one that moved longest ago first; so none of the installer's
//! connections starves behind a long file, or behind many short ones.

use crate::torrent::PieceIndex;
use std::collections::{BTreeSet, VecDeque};

/// The pieces the installer waits for, the most urgent first.
#[derive(Debug, Default)]
pub(super) struct Demand {
    /// The pieces of each file that are missing; the file that moved last is last.
    files: VecDeque<VecDeque<PieceIndex>>,
    all: BTreeSet<PieceIndex>,
}

impl Demand {
    /// Adds the pieces of one file, in its order.
    pub(super) fn add(&mut self, pieces: &[PieceIndex]) {
        let file: VecDeque<PieceIndex> = pieces.iter().filter(|piece| self.all.insert(**piece)).copied().collect();
        if !file.is_empty() {
            self.files.push_back(file);
        }
    }

    /// Takes a piece out; says whether it was there.
    pub(super) fn remove(&mut self, piece: PieceIndex) -> bool {
        if !self.all.remove(&piece) {
            return false;
        }
        for at in 0..self.files.len() {
            let Some(place) = self.files[at].iter().position(|other| *other == piece) else { continue };
            self.files[at].remove(place);
            if place == 0
                && let Some(file) = self.files.remove(at)
                && !file.is_empty()
            {
                self.files.push_back(file);
            }
            break;
        }
        self.files.retain(|file| !file.is_empty());
        true
    }

    pub(super) fn contains(&self, piece: PieceIndex) -> bool {
        self.all.contains(&piece)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The pieces, the most urgent first.
    pub(super) fn iter(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        let longest = self.files.iter().map(VecDeque::len).max().unwrap_or(0);
        (0..longest).flat_map(|place| self.files.iter().filter_map(move |file| file.get(place).copied()))
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
        let order = |demand: &Demand| demand.iter().map(PieceIndex::get).collect::<Vec<_>>();
        let mut demand = Demand::default();
        demand.add(&piece[0..4]);
        assert!(demand.remove(piece[0]) && !demand.remove(piece[0]));
        demand.add(&piece[6..8]);
        assert_eq!(order(&demand), [1, 6, 2, 7, 3]);
        assert!(demand.remove(piece[1]), "the file that moved goes to the end");
        demand.add(&piece[8..9]);
        assert_eq!(order(&demand), [6, 2, 8, 7, 3]);
        assert!(demand.remove(piece[3]), "a piece in the middle changes no turn");
        assert_eq!(order(&demand), [6, 2, 8, 7]);
        assert!(demand.contains(piece[7]) && !demand.contains(piece[9]) && !demand.is_empty());
    }
}
