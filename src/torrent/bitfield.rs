//! Which pieces somebody has.

use super::layout::PieceIndex;

/// Why bytes are not the bit field of this many pieces.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BitfieldError {
    /// Too many or too few bytes.
    #[error("a bit field of {found} bytes for {pieces} pieces")]
    Length {
        /// How many bytes it has.
        found: usize,
        /// How many pieces there are.
        pieces: u32,
    },
    /// A bit behind the last piece is set (BEP 3: spare bits are zero).
    #[error("a bit field for {pieces} pieces has a spare bit set")]
    SpareBits {
        /// How many pieces there are.
        pieces: u32,
    },
}

/// One bit a piece; on the wire the high bit of the first byte is piece 0 (BEP 3). Spare bits are always zero, and the
/// count of set bits is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Bitfield {
    /// Piece `n` is bit `63 - n % 64` of word `n / 64`, so that big-endian bytes are the wire's.
    words: Box<[u64]>,
    pieces: u32,
    ones: u32,
}

impl Bitfield {
    /// No piece of so many.
    pub fn none(pieces: u32) -> Self {
        Self { words: vec![0; pieces.div_ceil(64) as usize].into_boxed_slice(), pieces, ones: 0 }
    }

    /// Every piece of so many.
    pub fn all(pieces: u32) -> Self {
        let mut words = vec![u64::MAX; pieces.div_ceil(64) as usize].into_boxed_slice();
        if let (Some(last), spare @ 1..) = (words.last_mut(), words_spare(pieces)) {
            *last <<= spare;
        }
        Self { words, pieces, ones: pieces }
    }

    /// Reads the payload of a bit field message for so many pieces.
    pub fn from_bytes(bytes: &[u8], pieces: u32) -> Result<Self, BitfieldError> {
        if bytes.len() != pieces.div_ceil(8) as usize {
            return Err(BitfieldError::Length { found: bytes.len(), pieces });
        }
        let words: Box<[u64]> = bytes
            .chunks(8)
            .map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_be_bytes(word)
            })
            .collect();
        if words.last().is_some_and(|last| last.trailing_zeros() < words_spare(pieces)) {
            return Err(BitfieldError::SpareBits { pieces });
        }
        let ones = words.iter().map(|word| word.count_ones()).sum();
        Ok(Self { words, pieces, ones })
    }

    /// The payload of a bit field message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.truncate(self.pieces.div_ceil(8) as usize);
        bytes
    }

    /// How many pieces there are.
    pub fn pieces(&self) -> u32 {
        self.pieces
    }

    /// How many of them are set.
    pub fn count(&self) -> u32 {
        self.ones
    }

    /// Whether every piece is set.
    pub fn is_all(&self) -> bool {
        self.ones == self.pieces
    }

    /// Whether no piece is set.
    pub fn is_none(&self) -> bool {
        self.ones == 0
    }

    /// Whether this piece is set; a piece of another layout, behind the end, is not.
    pub fn has(&self, piece: PieceIndex) -> bool {
        let n = piece.get();
        n < self.pieces && self.words[n as usize / 64] & bit(n) != 0
    }

    /// Sets a piece; says whether it was not set before.
    pub fn insert(&mut self, piece: PieceIndex) -> bool {
        let n = piece.get();
        if n >= self.pieces || self.has(piece) {
            return false;
        }
        self.words[n as usize / 64] |= bit(n);
        self.ones += 1;
        true
    }

    /// Clears a piece; says whether it was set before.
    pub fn remove(&mut self, piece: PieceIndex) -> bool {
        if !self.has(piece) {
            return false;
        }
        self.words[piece.get() as usize / 64] &= !bit(piece.get());
        self.ones -= 1;
        true
    }

    /// The pieces that are set, in order.
    pub fn iter(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        ones(self.words.iter().copied())
    }

    /// The pieces that are set here and not there, in order.
    pub fn difference<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = PieceIndex> + 'a {
        let theirs = other.words.iter().copied().chain(std::iter::repeat(0));
        ones(self.words.iter().copied().zip(theirs).map(|(mine, theirs)| mine & !theirs))
    }

    /// Whether something is set here that is not set there.
    pub fn has_beyond(&self, other: &Self) -> bool {
        self.difference(other).next().is_some()
    }

    /// The words behind it: piece `n` is bit `63 - n % 64` of word `n / 64`.
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

impl std::fmt::Debug for Bitfield {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bitfield({} of {})", self.ones, self.pieces)
    }
}

/// How many bits of the last word belong to no piece.
fn words_spare(pieces: u32) -> u32 {
    (64 - pieces % 64) % 64
}

fn bit(n: u32) -> u64 {
    1 << (63 - n % 64)
}

fn ones(words: impl Iterator<Item = u64>) -> impl Iterator<Item = PieceIndex> {
    words.zip(0_u32..).flat_map(|(mut word, at)| {
        std::iter::from_fn(move || {
            if word == 0 {
                return None;
            }
            let n = word.leading_zeros();
            word &= !bit(n);
            Some(PieceIndex::checked_elsewhere(at * 64 + n))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn piece(n: u32) -> PieceIndex {
        PieceIndex::checked_elsewhere(n)
    }

    #[test]
    fn the_high_bit_of_the_first_byte_is_piece_zero() {
        let mut field = Bitfield::none(10);
        assert!(
            field.insert(piece(0)) && field.insert(piece(9)) && !field.insert(piece(9)) && !field.insert(piece(10))
        );
        assert_eq!(field.to_bytes(), [0x80, 0x40]);
        assert_eq!(Bitfield::from_bytes(&[0x80, 0x40], 10), Ok(field));
        assert_eq!(Bitfield::from_bytes(&[0x80, 0x20], 10), Err(BitfieldError::SpareBits { pieces: 10 }));
        assert_eq!(Bitfield::from_bytes(&[0x80], 10), Err(BitfieldError::Length { found: 1, pieces: 10 }));
    }

    proptest! {
        #[test]
        fn it_is_a_set(pieces in 0_u32..300, steps in proptest::collection::vec((any::<bool>(), 0_u32..300), 0..200)) {
            let (mut field, mut set) = (Bitfield::none(pieces), BTreeSet::new());
            for (insert, n) in steps {
                if insert {
                    prop_assert_eq!(field.insert(piece(n)), n < pieces && set.insert(n));
                } else {
                    prop_assert_eq!(field.remove(piece(n)), set.remove(&n));
                }
            }
            prop_assert_eq!(field.count() as usize, set.len());
            prop_assert!(field.iter().map(PieceIndex::get).eq(set.iter().copied()));
            prop_assert_eq!(&Bitfield::from_bytes(&field.to_bytes(), pieces).expect("our own bytes"), &field);
            let all = Bitfield::all(pieces);
            prop_assert_eq!(all.iter().count() as u32, pieces);
            prop_assert_eq!(Bitfield::from_bytes(&all.to_bytes(), pieces).expect("our own bytes"), all.clone());
            prop_assert_eq!(all.difference(&field).count(), pieces as usize - set.len());
            prop_assert_eq!(all.has_beyond(&field), !field.is_all());
        }
    }
}
