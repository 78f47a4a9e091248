//! Making our own metainfo: version 1 with BEP 47 padding, the one form that every stock client reads.
//!
//! Invariant: every file begins a piece and is padded to the end of its last one, the last file too; so the hashes of
//! a file depend on nothing but the file and the piece length, and can be kept while the tree around it changes.

use super::bencode;
use super::hash::PieceHash;
use super::metainfo::{Envelope, Metainfo, MetainfoError};
use super::path::TorrentPath;

/// The piece length for a tree of so many bytes: about 4,096 pieces, a power of two from 128 KiB to 1 MiB. A swarm is
/// some tens of piece times behind its source, whatever their length: short pieces, as long as their cost is not seen.
pub fn fitting_piece_length_bytes(total_bytes: u64) -> u32 {
    (total_bytes / 4096).clamp(128 * 1024, 1024 * 1024).next_power_of_two() as u32
}

/// Collects files into a metainfo.
pub struct MetainfoBuilder {
    name: TorrentPath,
    piece_length_bytes: u32,
    private: bool,
    files: Vec<(TorrentPath, u64, Vec<PieceHash>)>,
    envelope: Envelope,
}

impl MetainfoBuilder {
    /// A torrent of this name (the folder a stock client makes) and piece length, private (BEP 27) unless told.
    pub fn new(name: &str, piece_length_bytes: u32) -> Result<Self, MetainfoError> {
        let name = TorrentPath::from_components([name.as_bytes()].into_iter())?;
        Ok(Self { name, piece_length_bytes, private: true, files: Vec::new(), envelope: Envelope::default() })
    }

    /// Whether only trackers may name peers (BEP 27).
    pub fn private(mut self, private: bool) -> Self {
        self.private = private;
        self
    }

    /// What stands beside `info`.
    pub fn envelope(mut self, envelope: Envelope) -> Self {
        self.envelope = envelope;
        self
    }

    /// Adds a file behind the others. The hashes are those of [`super::PieceHasher`]: the last one includes the zeros
    /// up to the end of its piece.
    pub fn file(&mut self, path: &str, length_bytes: u64, hashes: Vec<PieceHash>) -> Result<(), MetainfoError> {
        let path = TorrentPath::parse(path)?;
        let expected = length_bytes.div_ceil(u64::from(self.piece_length_bytes.max(1)));
        if hashes.len() as u64 != expected {
            return Err(MetainfoError::FilePieces { path: path.to_string(), found: hashes.len(), expected });
        }
        self.files.push((path, length_bytes, hashes));
        Ok(())
    }

    /// The metainfo, read back and checked as any other.
    pub fn finish(self) -> Result<Metainfo, MetainfoError> {
        let piece = u64::from(self.piece_length_bytes.max(1));
        let mut info = Vec::new();
        info.extend_from_slice(b"d5:filesl");
        for (path, length_bytes, _) in &self.files {
            put_file(&mut info, *length_bytes, path.components(), false);
            let pad_bytes = length_bytes.next_multiple_of(piece) - length_bytes;
            if pad_bytes > 0 {
                put_file(&mut info, pad_bytes, [".pad", &pad_bytes.to_string()].into_iter(), true);
            }
        }
        info.push(b'e');
        bencode::put_bytes(&mut info, b"name");
        bencode::put_bytes(&mut info, self.name.as_bytes());
        bencode::put_bytes(&mut info, b"piece length");
        bencode::put_integer(&mut info, i64::from(self.piece_length_bytes));
        bencode::put_bytes(&mut info, b"pieces");
        let hashes: Vec<u8> = self.files.iter().flat_map(|(_, _, hashes)| hashes.as_flattened()).copied().collect();
        bencode::put_bytes(&mut info, &hashes);
        if self.private {
            bencode::put_bytes(&mut info, b"private");
            bencode::put_integer(&mut info, 1);
        }
        info.push(b'e');
        Metainfo::from_info(&info, self.envelope)
    }
}

fn put_file<'a>(info: &mut Vec<u8>, length_bytes: u64, path: impl Iterator<Item = &'a str>, is_pad: bool) {
    info.push(b'd');
    if is_pad {
        info.extend_from_slice(b"4:attr1:p");
    }
    bencode::put_bytes(info, b"length");
    bencode::put_integer(info, length_bytes as i64);
    bencode::put_bytes(info, b"path");
    info.push(b'l');
    path.for_each(|part| bencode::put_bytes(info, part.as_bytes()));
    info.extend_from_slice(b"ee");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torrent::{hash_reader, sha1};
    use proptest::prelude::*;

    #[test]
    fn piece_lengths_fit_the_tree() {
        for (bytes, length) in [(0, 128 << 10), (500 << 20, 128 << 10), (800 << 20, 256 << 10), (9 << 30, 1 << 20)] {
            assert_eq!(fitting_piece_length_bytes(bytes), length, "{bytes}");
        }
    }

    #[test]
    fn wrong_hashes_and_paths_are_refused() {
        let mut builder = MetainfoBuilder::new("tree", 16).expect("a plain name");
        assert!(matches!(builder.file("a", 17, vec![[0; 20]]), Err(MetainfoError::FilePieces { expected: 2, .. })));
        assert!(builder.file("../a", 0, vec![]).is_err());
        assert!(MetainfoBuilder::new("a/b", 16).is_err());
        builder.file("a", 0, vec![]).expect("an empty file");
        builder.file("a", 0, vec![]).expect("clashes are seen at the end");
        assert!(matches!(builder.finish(), Err(MetainfoError::Clash { .. })));
    }

    proptest! {
        #[test]
        fn every_file_begins_a_piece_and_its_pieces_verify(
            lengths in proptest::collection::vec(0_usize..100, 0..8),
            piece in 1_u32..40,
            private: bool,
        ) {
            let envelope = Envelope {
                trackers: vec![vec!["http://10.1.1.1:7002/announce".into(), "udp://10.1.1.1:7002".into()]],
                web_seeds: vec!["http://10.1.1.1:7001/install/distributions/".into()],
                creation_date_secs: Some(1_700_000_000),
                created_by: Some("rocks".into()),
                own: [("serial".to_owned(), b"7".to_vec()), ("signature".to_owned(), vec![255; 64])].into(),
            };
            let mut builder = MetainfoBuilder::new("tree", piece).expect("a plain name").private(private).envelope(envelope.clone());
            let files: Vec<Vec<u8>> = lengths.iter().enumerate().map(|(n, &length)| vec![n as u8 + 1; length]).collect();
            for (n, file) in files.iter().enumerate() {
                let (length, hashes) = hash_reader(&file[..], piece).expect("memory does not fail");
                builder.file(&format!("d{n}/f"), length, hashes).expect("hashed as asked");
            }
            let made = builder.finish().expect("no clash");
            let read = Metainfo::parse(&made.to_bytes()).expect("our own bytes");
            prop_assert_eq!(&read, &made);
            prop_assert_eq!(&read.envelope, &envelope);
            prop_assert_eq!(read.is_private(), private);
            prop_assert_eq!(read.info_hash().0, sha1(read.raw_info()));
            let layout = read.layout();
            for (n, bytes) in files.iter().enumerate() {
                let file = layout.file(&format!("d{n}/f")).expect("it was added");
                prop_assert_eq!(file.offset_bytes % u64::from(piece), 0);
                for (index, part) in layout.pieces_of(file).zip(bytes.chunks(piece as usize)) {
                    prop_assert_eq!(layout.payload_len(index) as usize, part.len());
                    prop_assert!(read.verify_piece(index, part));
                    let mut wrong = part.to_vec();
                    wrong[0] ^= 1;
                    prop_assert!(!read.verify_piece(index, &wrong));
                }
            }
        }
    }
}
