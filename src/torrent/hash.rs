//! SHA-1 of pieces.

use sha1::{Digest, Sha1};
use std::io::{self, Read};

/// The SHA-1 of a piece.
pub type PieceHash = [u8; 20];

/// The SHA-1 of some bytes.
pub fn sha1(bytes: &[u8]) -> PieceHash {
    Sha1::digest(bytes).into()
}

/// Whether a piece is right: its payload, followed by zeros up to `piece_bytes` (the pad, which is never sent), has
/// this hash.
pub fn piece_matches(payload: &[u8], piece_bytes: u32, expected: &PieceHash) -> bool {
    let Some(pad_bytes) = (piece_bytes as usize).checked_sub(payload.len()) else { return false };
    let mut sha = Sha1::new();
    sha.update(payload);
    put_zeros(&mut sha, pad_bytes);
    <PieceHash>::from(sha.finalize()) == *expected
}

/// Hashes one file piece by piece; the last piece is filled up with zeros, as [`super::MetainfoBuilder`] lays it.
pub struct PieceHasher {
    piece_bytes: usize,
    filled_bytes: usize,
    sha: Sha1,
    hashes: Vec<PieceHash>,
}

impl PieceHasher {
    /// Begins a file. A piece has at least one byte.
    pub fn new(piece_length_bytes: u32) -> Self {
        let piece_bytes = piece_length_bytes.max(1) as usize;
        Self { piece_bytes, filled_bytes: 0, sha: Sha1::new(), hashes: Vec::new() }
    }

    /// The next bytes of the file.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(self.piece_bytes - self.filled_bytes));
            self.sha.update(now);
            self.filled_bytes += now.len();
            if self.filled_bytes == self.piece_bytes {
                self.hashes.push(self.sha.finalize_reset().into());
                self.filled_bytes = 0;
            }
            bytes = later;
        }
    }

    /// The hash of each piece; that of the last includes the zeros behind the file.
    pub fn finish(mut self) -> Vec<PieceHash> {
        if self.filled_bytes > 0 {
            put_zeros(&mut self.sha, self.piece_bytes - self.filled_bytes);
            self.hashes.push(self.sha.finalize().into());
        }
        self.hashes
    }
}

/// Hashes a file piece by piece; also says how many bytes it had.
pub fn hash_reader(mut reader: impl Read, piece_length_bytes: u32) -> io::Result<(u64, Vec<PieceHash>)> {
    let mut hasher = PieceHasher::new(piece_length_bytes);
    let mut buffer = vec![0; 256 * 1024];
    let mut length_bytes = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((length_bytes, hasher.finish())),
            Ok(count) => {
                length_bytes += count as u64;
                hasher.update(&buffer[..count]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn put_zeros(sha: &mut Sha1, mut count: usize) {
    const ZEROS: [u8; 4096] = [0; 4096];
    while count > 0 {
        let now = count.min(ZEROS.len());
        sha.update(&ZEROS[..now]);
        count -= now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pad_is_hashed_as_zeros() {
        let file: Vec<u8> = (0..100_u8).collect();
        let (length, hashes) = hash_reader(&file[..], 64).expect("memory does not fail");
        assert_eq!(length, 100);
        let mut padded = file.clone();
        padded.resize(128, 0);
        assert_eq!(hashes, [sha1(&padded[..64]), sha1(&padded[64..])]);
        assert!(piece_matches(&file[64..], 64, &hashes[1]));
        assert!(!piece_matches(&file[63..99], 64, &hashes[1]));
        assert!(!piece_matches(&padded, 64, &hashes[1]));
        assert_eq!(hash_reader(&[][..], 64).expect("memory does not fail"), (0, vec![]));
    }

    #[test]
    fn pieces_do_not_depend_on_how_the_bytes_arrive() {
        let file: Vec<u8> = (0..1000_u32).map(|i| (i * 7) as u8).collect();
        let whole = hash_reader(&file[..], 128).expect("memory does not fail").1;
        let mut hasher = PieceHasher::new(128);
        file.chunks(13).for_each(|chunk| hasher.update(chunk));
        assert_eq!(hasher.finish(), whole);
    }
}
