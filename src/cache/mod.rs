//! The package cache of an installing node: verified pieces on disk or in memory; dies with the installation.
//!
//! Invariant: a piece is held exactly when its digest was compared here and its payload is stored; nothing else is
//! ever read out. On disk every file of the metainfo is a sparse file of its own at its own path, so that a whole
//! package can be sent from it as it lies.

mod open_files;

use crate::torrent::{Bitfield, LayoutFile, Metainfo, PieceHasher, PieceIndex};
use bytes::Bytes;
use open_files::OpenFiles;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

/// What goes wrong with a cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The payload is not the piece's.
    #[error("piece {piece} has a wrong digest")]
    WrongDigest {
        /// Its number.
        piece: PieceIndex,
    },
    /// The disk has no room left.
    #[error("no space left in the cache at {}", path.display())]
    Full {
        /// The cache's folder.
        path: PathBuf,
    },
    /// The disk fails.
    #[error("cache file {}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// A run of held bytes, to be read or sent.
#[derive(Debug, Clone)]
pub enum Part {
    /// In a file.
    File {
        /// The file.
        file: Arc<File>,
        /// Where the run begins in it.
        offset_bytes: u64,
        /// How long it is.
        length_bytes: u64,
    },
    /// In memory.
    Bytes(Bytes),
    /// Zeros of a pad (BEP 47).
    Zeros(u64),
}

/// Where pieces are kept.
#[derive(Debug)]
enum Place {
    Disk { files: OpenFiles, made: Made },
    Memory(RwLock<HashMap<u32, Bytes>>),
}

/// What is removed when the cache goes.
#[derive(Debug)]
struct Made(PathBuf);

impl Drop for Made {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
        // The folder above goes too where nothing else is in it.
        if let Some(parent) = self.0.parent() {
            let _ = std::fs::remove_dir(parent);
        }
    }
}

/// The verified pieces of one metainfo.
#[derive(Debug)]
pub struct Cache {
    metainfo: Metainfo,
    place: Place,
    held: RwLock<Bitfield>,
}

impl Cache {
    /// An empty cache in a folder of its own below `directory`; what an earlier run left there goes.
    pub fn on_disk(directory: &Path, metainfo: Metainfo) -> Result<Self, CacheError> {
        let path = directory.join(metainfo.info_hash().to_string());
        let failed = |source| CacheError::File { path: path.clone(), source };
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        std::fs::create_dir_all(&path).map_err(failed)?;
        let files = OpenFiles::new(path.clone());
        Ok(Self::new(metainfo, Place::Disk { files, made: Made(path) }))
    }

    /// An empty cache in memory.
    pub fn in_memory(metainfo: Metainfo) -> Self {
        Self::new(metainfo, Place::Memory(RwLock::default()))
    }

    fn new(metainfo: Metainfo, place: Place) -> Self {
        let held = RwLock::new(Bitfield::none(metainfo.layout().piece_count()));
        Self { metainfo, place, held }
    }

    /// What it caches.
    pub fn metainfo(&self) -> &Metainfo {
        &self.metainfo
    }

    /// The folder in which the files lie as in their tree; none for a cache in memory. A file there is whole only once
    /// all its pieces are held.
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::Disk { made, .. } => Some(&made.0),
            Place::Memory(_) => None,
        }
    }

    /// Compares a piece's digest and stores it. `parts` are its payload in order: all of the piece, or all but the
    /// pad at its end. Storing a piece twice is harmless.
    pub fn store(&self, piece: PieceIndex, parts: &[Bytes]) -> Result<(), CacheError> {
        let layout = self.metainfo.layout();
        let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let fits = (u64::from(layout.payload_len(piece))..=u64::from(layout.piece_len(piece))).contains(&length);
        let mut hasher = PieceHasher::new(layout.piece_len(piece));
        parts.iter().for_each(|part| hasher.update(part));
        if !fits || hasher.finish().first() != Some(self.metainfo.piece_hash(piece)) {
            return Err(CacheError::WrongDigest { piece });
        }
        if self.has(piece) {
            return Ok(());
        }
        match &self.place {
            Place::Memory(pieces) => {
                let whole = if let [one] = parts { one.clone() } else { parts.concat().into() };
                pieces.write().expect("nobody panics while holding the pieces").insert(piece.get(), whole);
            }
            Place::Disk { files, made } => {
                self.write(files, piece, parts).map_err(|(path, source)| match source.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        CacheError::Full { path: made.0.clone() }
                    }
                    _ => CacheError::File { path, source },
                })?;
            }
        }
        self.held.write().expect("nobody panics while holding the bit field").insert(piece);
        Ok(())
    }

    fn write(&self, files: &OpenFiles, piece: PieceIndex, parts: &[Bytes]) -> Result<(), (PathBuf, io::Error)> {
        use std::os::unix::fs::FileExt;
        let mut segments = self.metainfo.layout().segments(piece);
        let mut segment = segments.next();
        let mut done = 0;
        for part in parts {
            let mut rest = &part[..];
            while let Some(now) = segment.filter(|_| !rest.is_empty()) {
                let (here, later) = rest.split_at(rest.len().min((now.length_bytes - done) as usize));
                if !now.file.is_pad {
                    let path = now.file.path.as_str();
                    let file = files.open(path).map_err(|error| (PathBuf::from(path), error))?;
                    file.write_all_at(here, now.file_offset_bytes + u64::from(done))
                        .map_err(|error| (PathBuf::from(path), error))?;
                }
                done += here.len() as u32;
                rest = later;
                if done == now.length_bytes {
                    segment = segments.next();
                    done = 0;
                }
            }
        }
        Ok(())
    }

    /// Whether a piece is held.
    pub fn has(&self, piece: PieceIndex) -> bool {
        self.held.read().expect("nobody panics while holding the bit field").has(piece)
    }

    /// How many bytes of a file, from an offset on, are held without a gap.
    pub fn held_from(&self, file: &LayoutFile, offset_bytes: u64) -> u64 {
        let layout = self.metainfo.layout();
        let held = self.held.read().expect("nobody panics while holding the bit field");
        let Some(left) = file.length_bytes.checked_sub(offset_bytes) else { return 0 };
        let first_missing = layout.pieces_of_part(file, offset_bytes, left).find(|piece| !held.has(*piece));
        match first_missing {
            None => left,
            Some(piece) => layout.piece_offset_bytes(piece).saturating_sub(file.offset_bytes + offset_bytes).min(left),
        }
    }

    /// Held bytes of a file; none where they are not all held, or cannot be opened.
    pub fn file_parts(&self, file: &LayoutFile, offset_bytes: u64, length_bytes: u64) -> Option<Vec<Part>> {
        if self.held_from(file, offset_bytes) < length_bytes {
            return None;
        }
        if let Place::Disk { files, .. } = &self.place {
            let file = files.open(file.path.as_str()).ok()?;
            return Some(vec![Part::File { file, offset_bytes, length_bytes }]);
        }
        let layout = self.metainfo.layout();
        let (start, end) = (file.offset_bytes + offset_bytes, file.offset_bytes + offset_bytes + length_bytes);
        let mut parts = Vec::new();
        for piece in layout.pieces_of_part(file, offset_bytes, length_bytes) {
            let from = layout.piece_offset_bytes(piece);
            let to = from + u64::from(layout.piece_len(piece));
            let (from, to) = (start.max(from) - from, end.min(to) - from);
            parts.extend(self.piece_parts(piece, from as u32, (to - from) as u32)?);
        }
        Some(parts)
    }

    /// Held bytes of a piece, pads as zeros; none where it is not held, or cannot be opened.
    pub fn piece_parts(&self, piece: PieceIndex, offset_bytes: u32, length_bytes: u32) -> Option<Vec<Part>> {
        if !self.has(piece) {
            return None;
        }
        match &self.place {
            Place::Memory(pieces) => {
                let pieces = pieces.read().expect("nobody panics while holding the pieces");
                let whole = pieces.get(&piece.get())?;
                let (from, to) = (offset_bytes as usize, (offset_bytes + length_bytes) as usize);
                let mut parts = Vec::new();
                if from < whole.len() {
                    parts.push(Part::Bytes(whole.slice(from..to.min(whole.len()))));
                }
                if to > whole.len() {
                    parts.push(Part::Zeros((to - from.max(whole.len())) as u64));
                }
                Some(parts)
            }
            Place::Disk { files, .. } => {
                block_parts(&self.metainfo, piece, offset_bytes, length_bytes, |path| files.open(path).ok())
            }
        }
    }
}

/// The parts of a block in files of a tree, pads as zeros; none where a file cannot be opened.
pub fn block_parts(
    metainfo: &Metainfo,
    piece: PieceIndex,
    offset_bytes: u32,
    length_bytes: u32,
    open: impl Fn(&str) -> Option<Arc<File>>,
) -> Option<Vec<Part>> {
    let end = offset_bytes + length_bytes;
    let mut parts = Vec::new();
    for segment in metainfo.layout().segments(piece) {
        let from = segment.piece_offset_bytes.max(offset_bytes);
        let to = (segment.piece_offset_bytes + segment.length_bytes).min(end);
        if from >= to {
            continue;
        }
        let length_bytes = u64::from(to - from);
        if segment.file.is_pad {
            parts.push(Part::Zeros(length_bytes));
        } else {
            let file = open(segment.file.path.as_str())?;
            let offset_bytes = segment.file_offset_bytes + u64::from(from - segment.piece_offset_bytes);
            parts.push(Part::File { file, offset_bytes, length_bytes });
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torrent::{MetainfoBuilder, hash_reader};
    use std::os::unix::fs::FileExt;

    const PIECE: u32 = 16 << 10;

    /// Two files that do not end with a piece, and their metainfo.
    fn metainfo() -> (Metainfo, Vec<(String, Vec<u8>)>) {
        let mut builder = MetainfoBuilder::new("tree", PIECE).expect("a name");
        let mut files = Vec::new();
        for (name, length) in [("Packages/a.rpm", 40_000usize), ("b.rpm", 20_000)] {
            let bytes: Vec<u8> = (0..length).map(|i| (i * 7 + name.len()) as u8).collect();
            let (length, hashes) = hash_reader(&bytes[..], PIECE).expect("in memory");
            builder.file(name, length, hashes).expect("a file");
            files.push((name.to_owned(), bytes));
        }
        (builder.finish().expect("metainfo"), files)
    }

    /// The payload of a piece, taken from the files.
    fn payload(metainfo: &Metainfo, files: &[(String, Vec<u8>)], piece: PieceIndex) -> Bytes {
        let mut bytes = Vec::new();
        for segment in metainfo.layout().segments(piece).filter(|segment| !segment.file.is_pad) {
            let (_, file) = files.iter().find(|(name, _)| name == segment.file.path.as_str()).expect("its file");
            let from = segment.file_offset_bytes as usize;
            bytes.extend_from_slice(&file[from..from + segment.length_bytes as usize]);
        }
        bytes.into()
    }

    fn read(parts: Vec<Part>) -> Vec<u8> {
        let mut all = Vec::new();
        for part in parts {
            match part {
                Part::Bytes(bytes) => all.extend_from_slice(&bytes),
                Part::Zeros(length) => all.resize(all.len() + length as usize, 0),
                Part::File { file, offset_bytes, length_bytes } => {
                    let mut bytes = vec![0; length_bytes as usize];
                    file.read_exact_at(&mut bytes, offset_bytes).expect("held");
                    all.extend(bytes);
                }
            }
        }
        all
    }

    #[test]
    fn only_right_pieces_are_held_and_they_read_back_on_disk_and_in_memory() {
        let (metainfo, files) = metainfo();
        let folder = tempfile::tempdir().expect("a folder");
        let below = folder.path().join("cache");
        for cache in [Cache::in_memory(metainfo.clone()), Cache::on_disk(&below, metainfo.clone()).expect("a cache")] {
            for piece in metainfo.layout().pieces() {
                let whole = payload(&metainfo, &files, piece);
                let mut wrong = whole.to_vec();
                wrong[100] ^= 1;
                assert!(matches!(cache.store(piece, &[wrong.into()]), Err(CacheError::WrongDigest { .. })));
                assert!(matches!(cache.store(piece, &[whole.slice(1..)]), Err(CacheError::WrongDigest { .. })));
                assert!(!cache.has(piece) && cache.piece_parts(piece, 0, 1).is_none());
                cache.store(piece, &[whole.slice(..500), whole.slice(500..)]).expect("the right piece");
                let length = metainfo.layout().piece_len(piece);
                let mut padded = whole.to_vec();
                padded.resize(length as usize, 0);
                assert_eq!(read(cache.piece_parts(piece, 0, length).expect("held")), padded);
                assert_eq!(read(cache.piece_parts(piece, 7, 900).expect("held")), padded[7..907]);
            }
            for (name, bytes) in &files {
                let file = metainfo.layout().file(name).expect("a file");
                assert_eq!(read(cache.file_parts(file, 10, 19_000).expect("held")), bytes[10..19_010]);
                assert_eq!(read(cache.file_parts(file, 0, file.length_bytes).expect("held")), bytes[..]);
                assert!(cache.file_parts(file, 1, file.length_bytes).is_none());
            }
        }
        assert!(!below.exists(), "a cache goes with everything it made");
    }

    #[test]
    fn what_is_held_without_a_gap_is_counted() {
        let (metainfo, files) = metainfo();
        let cache = Cache::in_memory(metainfo.clone());
        let file = metainfo.layout().file("Packages/a.rpm").expect("a file");
        assert_eq!(cache.held_from(file, 0), 0);
        for n in [0, 2] {
            let piece = metainfo.layout().index(n).expect("a piece");
            cache.store(piece, &[payload(&metainfo, &files, piece)]).expect("right");
        }
        assert_eq!(cache.held_from(file, 10), u64::from(PIECE) - 10);
        assert_eq!(cache.held_from(file, u64::from(PIECE)), 0);
        assert_eq!(cache.held_from(file, 2 * u64::from(PIECE)), 40_000 - 2 * u64::from(PIECE));
        assert_eq!(cache.held_from(file, 40_001), 0);
    }
}
