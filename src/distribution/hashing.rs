//! One pass over a file: the checksum that the metadata tells, and the hashes of its pieces.

use super::publish::Observer;
use super::repomd::hex;
use crate::torrent::PieceHasher;
use sha2::{Digest, Sha256, Sha512};
use std::io::Read;
use std::path::Path;

/// What the metadata says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    /// Its size, where told.
    pub(super) size_bytes: Option<u64>,
    /// How its checksum is made (`sha256`).
    pub(super) kind: String,
    /// Its checksum, hexadecimal.
    pub(super) checksum: String,
}

/// What one pass over a file finds.
pub(super) struct Sums {
    pub(super) length_bytes: u64,
    pub(super) checksum: String,
    pub(super) pieces: Vec<[u8; 20]>,
}

enum Checksum {
    Sha1(sha1::Sha1),
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Checksum {
    fn new(kind: &str) -> Option<Self> {
        match kind {
            "sha" | "sha1" => Some(Self::Sha1(sha1::Sha1::new())),
            "sha256" => Some(Self::Sha256(Sha256::new())),
            "sha512" => Some(Self::Sha512(Sha512::new())),
            _ => None,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(sum) => sum.update(bytes),
            Self::Sha256(sum) => sum.update(bytes),
            Self::Sha512(sum) => sum.update(bytes),
        }
    }

    fn finish(self) -> String {
        match self {
            Self::Sha1(sum) => hex(&sum.finalize()),
            Self::Sha256(sum) => hex(&sum.finalize()),
            Self::Sha512(sum) => hex(&sum.finalize()),
        }
    }
}

/// Reads a file once; an error says what is wrong as the end of a sentence.
pub(super) fn read(
    path: &Path,
    piece_bytes: u32,
    expected: Option<&Expected>,
    observer: &dyn Observer,
) -> Result<Sums, String> {
    let kind = expected.map_or("sha256", |expected| expected.kind.as_str());
    let mut checksum = Checksum::new(kind).ok_or_else(|| format!("has an unknown kind of checksum, '{kind}'"))?;
    let mut pieces = PieceHasher::new(piece_bytes);
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    let mut buffer = vec![0; 256 << 10];
    let mut length_bytes = 0;
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(error)),
        };
        length_bytes += count as u64;
        checksum.update(&buffer[..count]);
        pieces.update(&buffer[..count]);
        observer.read(count as u64);
    }
    let checksum = checksum.finish();
    if expected.is_some_and(|expected| expected.checksum != checksum) {
        return Err(format!("has another {kind} than the metadata says ({checksum})"));
    }
    Ok(Sums { length_bytes, checksum, pieces: pieces.finish() })
}
