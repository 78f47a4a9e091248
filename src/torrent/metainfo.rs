//! A `.torrent` file (BEP 3, 12, 19, 27, 47).
//!
//! Invariant: the raw `info` bytes are kept as they were read and are what is hashed and written again; everything else
//! is read from them. What stands beside `info` (trackers, web seeds, a signature) is the [`Envelope`], which may
//! change without changing the swarm.

use super::InfoHash;
use super::bencode::{self, BencodeError, DEPTH_MAX};
use super::hash::{PieceHash, piece_matches, sha1};
use super::layout::{Layout, PieceIndex};
use super::path::{PathError, TorrentPath};
use serde::Deserialize;
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The longest metainfo that is read: some three million pieces.
pub const METAINFO_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most files of one metainfo, pads too.
const FILES_MAX: usize = 1_000_000;
/// The longest piece: a machine keeps several in memory.
const PIECE_LENGTH_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// The most trackers or web seeds that are taken from a metainfo; the rest is not looked at.
const ADDRESSES_MAX: usize = 64;
/// The longest address of a tracker or web seed.
const ADDRESS_BYTES_MAX: usize = 4096;
/// What our own keys beside `info` begin with.
const OWN_KEY_PREFIX: &[u8] = b"rocks ";
/// The longest value of one of our own keys.
const OWN_VALUE_BYTES_MAX: usize = 4096;
/// The most of our own keys in one metainfo.
const OWN_KEYS_MAX: usize = 16;

/// Why bytes are no metainfo that we take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetainfoError {
    /// It is not bencode.
    #[error("metainfo: {0}")]
    Bencode(#[from] BencodeError),
    /// It is too long.
    #[error("metainfo of {found} bytes is longer than {METAINFO_BYTES_MAX}")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// Something that must be there is not.
    #[error("metainfo has no '{key}'")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A version 2 torrent without version 1 pieces.
    #[error("metainfo is of BitTorrent version 2 only")]
    NotVersion1,
    /// A file's name is not taken.
    #[error("metainfo: {0}")]
    Path(#[from] PathError),
    /// Two files of one path, or a file where another needs a folder.
    #[error("metainfo has '{path}' twice, or as both file and folder")]
    Clash {
        /// The path.
        path: String,
    },
    /// A number that cannot be.
    #[error("metainfo has a {what} of {value}")]
    Number {
        /// Which number ("piece length").
        what: &'static str,
        /// Its value.
        value: i64,
    },
    /// More files than are taken.
    #[error("metainfo has {found} files, more than {FILES_MAX}")]
    TooManyFiles {
        /// How many.
        found: usize,
    },
    /// The hashes do not fit the files.
    #[error("metainfo has {found} bytes of piece hashes where its files need {expected}")]
    Pieces {
        /// How many bytes of hashes.
        found: usize,
        /// How many they should be.
        expected: u64,
    },
    /// A file was given with the wrong count of hashes.
    #[error("file '{path}' has {found} piece hashes where its length needs {expected}")]
    FilePieces {
        /// The file.
        path: String,
        /// How many hashes.
        found: usize,
        /// How many they should be.
        expected: u64,
    },
}

/// What stands beside `info`: where to find others, and who vouches for it. Changing it does not change the swarm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Announce addresses in tiers (BEP 12), best first.
    pub trackers: Vec<Vec<String>>,
    /// Web seeds (BEP 19): a file is at this address, followed by the torrent's name and the file's path.
    pub web_seeds: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub creation_date_secs: Option<i64>,
    /// Which program made it.
    pub created_by: Option<String>,
    /// Our own keys (`signature`, `serial`), written as `rocks signature` and so on; byte strings.
    pub own: BTreeMap<String, Vec<u8>>,
}

/// A metainfo, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metainfo {
    /// What stands beside `info`.
    pub envelope: Envelope,
    info: Arc<Info>,
}

#[derive(Debug, PartialEq, Eq)]
struct Info {
    raw: Box<[u8]>,
    hash: InfoHash,
    name: TorrentPath,
    private: bool,
    single_file: bool,
    hashes: Box<[PieceHash]>,
    layout: Layout,
}

#[derive(Deserialize)]
struct RawInfo {
    name: ByteBuf,
    #[serde(rename = "piece length")]
    piece_length: i64,
    pieces: Option<ByteBuf>,
    files: Option<Vec<RawFile>>,
    length: Option<i64>,
    private: Option<i64>,
}

#[derive(Deserialize)]
struct RawFile {
    length: i64,
    path: Vec<ByteBuf>,
    attr: Option<ByteBuf>,
}

impl Envelope {
    /// Reads what [`Self::to_bytes`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, MetainfoError> {
        if bytes.len() > METAINFO_BYTES_MAX {
            return Err(MetainfoError::TooLong { found: bytes.len() });
        }
        Ok(Self::of(&bencode::entries(bytes, DEPTH_MAX)?))
    }

    /// A `.torrent` file without its `info`.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.around(None)
    }

    fn of(entries: &[bencode::Entry<'_>]) -> Self {
        let find = |key: &str| entries.iter().find(|(found, _)| *found == key.as_bytes()).map(|(_, value)| *value);
        let text = |value| bencode::byte_string(value).ok().and_then(address);
        let tier = |value| bencode::items(value, DEPTH_MAX).unwrap_or_default().into_iter().filter_map(text).collect();
        let mut trackers: Vec<Vec<String>> = find("announce-list")
            .and_then(|value| bencode::items(value, DEPTH_MAX).ok())
            .unwrap_or_default()
            .into_iter()
            .map(tier)
            .filter(|tier: &Vec<String>| !tier.is_empty())
            .take(ADDRESSES_MAX)
            .collect();
        trackers.iter_mut().for_each(|tier| tier.truncate(ADDRESSES_MAX));
        if trackers.is_empty() {
            trackers.extend(find("announce").and_then(text).map(|announce| vec![announce]));
        }
        let mut web_seeds: Vec<String> = match find("url-list") {
            Some(value) if value.starts_with(b"l") => tier(value),
            value => value.and_then(text).into_iter().collect(),
        };
        web_seeds.truncate(ADDRESSES_MAX);
        let own = entries
            .iter()
            .filter_map(|(key, value)| {
                let name = std::str::from_utf8(key.strip_prefix(OWN_KEY_PREFIX)?).ok()?;
                let value = bencode::byte_string(value).ok().filter(|value| value.len() <= OWN_VALUE_BYTES_MAX)?;
                Some((name.to_owned(), value.to_vec()))
            })
            .take(OWN_KEYS_MAX)
            .collect();
        Self {
            trackers,
            web_seeds,
            creation_date_secs: find("creation date").and_then(|value| bencode::integer(value).ok()),
            created_by: find("created by").and_then(text),
            own,
        }
    }

    fn around(&self, info: Option<&[u8]>) -> Vec<u8> {
        let mut out = Vec::with_capacity(info.map_or(0, <[u8]>::len) + 512);
        out.push(b'd');
        if let Some(first) = self.trackers.iter().flatten().next() {
            put_entry(&mut out, "announce", first);
            bencode::put_bytes(&mut out, b"announce-list");
            out.push(b'l');
            for tier in &self.trackers {
                put_list(&mut out, tier);
            }
            out.push(b'e');
        }
        if let Some(program) = &self.created_by {
            put_entry(&mut out, "created by", program);
        }
        if let Some(secs) = self.creation_date_secs {
            bencode::put_bytes(&mut out, b"creation date");
            bencode::put_integer(&mut out, secs);
        }
        if let Some(info) = info {
            bencode::put_bytes(&mut out, b"info");
            out.extend_from_slice(info);
        }
        for (name, value) in &self.own {
            bencode::put_bytes(&mut out, &[OWN_KEY_PREFIX, name.as_bytes()].concat());
            bencode::put_bytes(&mut out, value);
        }
        if !self.web_seeds.is_empty() {
            bencode::put_bytes(&mut out, b"url-list");
            put_list(&mut out, &self.web_seeds);
        }
        out.push(b'e');
        out
    }
}

impl Metainfo {
    /// Reads a `.torrent` file.
    pub fn parse(bytes: &[u8]) -> Result<Self, MetainfoError> {
        if bytes.len() > METAINFO_BYTES_MAX {
            return Err(MetainfoError::TooLong { found: bytes.len() });
        }
        let entries = bencode::entries(bytes, DEPTH_MAX)?;
        let info = entries.iter().find(|(key, _)| *key == b"info").ok_or(MetainfoError::Missing { key: "info" })?;
        let info = Info::parse(info.1)?;
        let envelope = Envelope::of(&entries);
        Ok(Self { envelope, info: Arc::new(info) })
    }

    /// The metainfo of this raw `info`.
    pub fn from_info(raw_info: &[u8], envelope: Envelope) -> Result<Self, MetainfoError> {
        Ok(Self { envelope, info: Arc::new(Info::parse(raw_info)?) })
    }

    /// The `.torrent` file: the envelope as it is now around the raw `info` as it was read.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.envelope.around(Some(&self.info.raw))
    }

    /// The name of the swarm: the SHA-1 of the raw `info`.
    pub fn info_hash(&self) -> InfoHash {
        self.info.hash
    }

    /// The torrent's name: the folder its files are in, or its only file.
    pub fn name(&self) -> &str {
        self.info.name.as_str()
    }

    /// Whether only trackers may name peers (BEP 27).
    pub fn is_private(&self) -> bool {
        self.info.private
    }

    /// Whether it is one bare file rather than a folder.
    pub fn is_single_file(&self) -> bool {
        self.info.single_file
    }

    /// Where its files and pieces lie.
    pub fn layout(&self) -> &Layout {
        &self.info.layout
    }

    /// The hash that a piece must have.
    pub fn piece_hash(&self, piece: PieceIndex) -> &PieceHash {
        &self.info.hashes[piece.get() as usize]
    }

    /// Whether this is the payload of a piece: all of it, or all but the pad at its end (whose zeros are supplied).
    pub fn verify_piece(&self, piece: PieceIndex, payload: &[u8]) -> bool {
        piece_matches(payload, self.layout().piece_len(piece), self.piece_hash(piece))
    }

    /// The raw `info`.
    pub fn raw_info(&self) -> &[u8] {
        &self.info.raw
    }
}

impl Info {
    fn parse(raw: &[u8]) -> Result<Self, MetainfoError> {
        let info: RawInfo = bencode::from_bytes(raw, DEPTH_MAX)?;
        let hashes = info.pieces.ok_or(MetainfoError::NotVersion1)?;
        let name = TorrentPath::from_components([&info.name[..]].into_iter())?;
        let number = |what, value: i64| MetainfoError::Number { what, value };
        let piece_length_bytes = u32::try_from(info.piece_length)
            .ok()
            .filter(|&length| (1..=PIECE_LENGTH_BYTES_MAX).contains(&length))
            .ok_or_else(|| number("piece length", info.piece_length))?;
        let single_file = info.files.is_none();
        let files = match (info.files, info.length) {
            (None, None) => return Err(MetainfoError::Missing { key: "length" }),
            (Some(_), Some(_)) => return Err(MetainfoError::Clash { path: name.to_string() }),
            (None, Some(length)) => {
                vec![(name.clone(), u64::try_from(length).map_err(|_| number("file length", length))?, false)]
            }
            (Some(files), None) => {
                if files.len() > FILES_MAX {
                    return Err(MetainfoError::TooManyFiles { found: files.len() });
                }
                let read = |file: RawFile| {
                    let length = u64::try_from(file.length).map_err(|_| number("file length", file.length))?;
                    let path = TorrentPath::from_components(file.path.iter().map(|part| &part[..]))?;
                    let is_pad = file.attr.is_some_and(|attr| attr.contains(&b'p'));
                    Ok((path, length, is_pad))
                };
                files.into_iter().map(read).collect::<Result<Vec<_>, MetainfoError>>()?
            }
        };
        check_clashes(&files)?;
        let total_bytes = files.iter().try_fold(0_u64, |total, (_, length, _)| total.checked_add(*length));
        let pieces = total_bytes.map(|total| total.div_ceil(u64::from(piece_length_bytes)));
        let expected = pieces.and_then(|pieces| pieces.checked_mul(20)).unwrap_or(u64::MAX);
        if hashes.len() as u64 != expected {
            return Err(MetainfoError::Pieces { found: hashes.len(), expected });
        }
        // The hashes are there, so the pieces fit in 32 bits: METAINFO_BYTES_MAX / 20 of them at most.
        let layout = Layout::new(piece_length_bytes, files.into_iter());
        let (hashes, _) = hashes.as_chunks::<20>();
        Ok(Self {
            raw: raw.into(),
            hash: InfoHash(sha1(raw)),
            name,
            private: info.private == Some(1),
            single_file,
            hashes: hashes.into(),
            layout,
        })
    }
}

/// Refuses two files of one path, and a file that another's path goes through. Pads are never written, so they may
/// share a path.
fn check_clashes(files: &[(TorrentPath, u64, bool)]) -> Result<(), MetainfoError> {
    let mut paths: Vec<Vec<&str>> =
        files.iter().filter(|(_, _, is_pad)| !is_pad).map(|(path, _, _)| path.components().collect()).collect();
    // Sorted by their parts, whatever lies below a path comes right behind it.
    paths.sort_unstable();
    match paths.windows(2).find(|pair| pair[1].starts_with(&pair[0])) {
        Some(pair) => Err(MetainfoError::Clash { path: pair[0].join("/") }),
        None => Ok(()),
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty() && text.len() <= ADDRESS_BYTES_MAX && !text.contains(char::is_control)).then(|| text.to_owned())
}

fn put_entry(out: &mut Vec<u8>, key: &str, value: &str) {
    bencode::put_bytes(out, key.as_bytes());
    bencode::put_bytes(out, value.as_bytes());
}

fn put_list(out: &mut Vec<u8>, texts: &[String]) {
    out.push(b'l');
    texts.iter().for_each(|text| bencode::put_bytes(out, text.as_bytes()));
    out.push(b'e');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn metainfo(info: &str) -> Result<Metainfo, MetainfoError> {
        Metainfo::parse(format!("d8:announce8:http://a4:info{info}e").as_bytes())
    }

    const HASH: &str = "aaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn the_raw_info_is_hashed_and_written_again() {
        // Keys out of order and unknown: a re-serialisation would have another hash.
        let info = format!("d6:lengthi5e4:name1:f6:pieces20:{HASH}12:piece lengthi16384e1:xd1:yleee");
        let read = metainfo(&info).expect("a metainfo");
        assert_eq!(read.info_hash(), InfoHash(sha1(info.as_bytes())));
        assert_eq!((read.name(), read.is_single_file(), read.is_private()), ("f", true, false));
        assert_eq!(read.envelope.trackers, [["http://a"]]);
        let again = Metainfo::parse(&read.to_bytes()).expect("our own bytes");
        assert_eq!(again, read);
        assert_eq!(again.raw_info(), info.as_bytes());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let files =
            |list: &str| metainfo(&format!("d5:filesl{list}e4:name1:d12:piece lengthi16384e6:pieces20:{HASH}e"));
        assert!(files("d6:lengthi1e4:pathl1:aeed6:lengthi1e4:pathl1:bee").is_ok());
        for (list, error) in [
            ("d6:lengthi1e4:pathl2:..ee", "metainfo: path '..' has a '.' or '..'"),
            ("d6:lengthi1e4:pathl2:/ee", "bencode"),
            ("d6:lengthi1e4:pathl3:a/bee", "has a slash"),
            ("d6:lengthi1e4:pathlee", "is empty"),
            ("d6:lengthi-1e4:pathl1:aee", "metainfo has a file length of -1"),
            ("d6:lengthi1e4:pathl1:aeed6:lengthi1e4:pathl1:aee", "metainfo has 'a' twice"),
            ("d6:lengthi1e4:pathl1:aeed6:lengthi1e4:pathl1:a1:bee", "metainfo has 'a' twice"),
            ("d6:lengthi1e4:pathl1:aeed6:lengthi1e4:pathl2:a!eed6:lengthi1e4:pathl1:a1:bee", "metainfo has 'a' twice"),
            ("d6:lengthi9223372036854775807e4:pathl1:aeed6:lengthi9223372036854775807e4:pathl1:bee", "piece hashes"),
            ("d6:lengthi16385e4:pathl1:aee", "metainfo has 20 bytes of piece hashes where its files need 40"),
        ] {
            let found = files(list).expect_err(list).to_string();
            assert!(found.contains(error), "{found}");
        }
        for info in [
            format!("d4:name1:f12:piece lengthi16384e6:pieces20:{HASH}e"),
            format!("d6:lengthi5e4:name1:f12:piece lengthi0e6:pieces20:{HASH}e"),
            format!("d6:lengthi5e4:name1:f12:piece lengthi99999999999e6:pieces20:{HASH}e"),
            format!("d6:lengthi5e4:name2:..12:piece lengthi16384e6:pieces20:{HASH}e"),
            "d6:lengthi5e4:name1:f12:piece lengthi16384ee".to_owned(),
            "i1e".to_owned(),
        ] {
            assert!(metainfo(&info).is_err(), "{info}");
        }
        assert_eq!(Metainfo::parse(b"de"), Err(MetainfoError::Missing { key: "info" }));
    }

    #[test]
    fn pads_may_share_a_path() {
        let file = |name: &str| format!("d6:lengthi1e4:pathl1:{name}ee");
        let pad = "d4:attr1:p6:lengthi16383e4:pathl4:.pad5:16383ee";
        let list = format!("{}{pad}{}{pad}", file("a"), file("b"));
        let info = format!("d5:filesl{list}e4:name1:d12:piece lengthi16384e6:pieces40:{HASH}{HASH}e");
        let read = metainfo(&info).expect("a metainfo");
        assert_eq!(read.layout().files().iter().filter(|file| file.is_pad).count(), 2);
        assert_eq!(read.layout().file("b").map(|file| file.first_piece), Some(1));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Metainfo::parse(&bytes);
        }

        #[test]
        fn damaged_metainfo_never_panics(at in 0_usize..170, byte: u8) {
            let info = format!("d5:filesld6:lengthi9e4:pathl1:aeee4:name1:d12:piece lengthi16384e6:pieces20:{HASH}e");
            let mut bytes = format!("d8:announce8:http://a13:announce-listll1:aee4:info{info}8:url-list1:ue").into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(read) = Metainfo::parse(&bytes) {
                prop_assert_eq!(Metainfo::parse(&read.to_bytes()).map(|again| again.info_hash()), Ok(read.info_hash()));
            }
        }
    }
}
