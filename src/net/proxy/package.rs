//! A file of the distribution, sent as its verified pieces arrive.

use super::Loaded;
use super::ladder::{Ladder, OUTAGE, Step};
use crate::cache::{CacheError, Part};
use crate::net::http::{Body, ByteRange, FileSlice, Request, Response, Segment};
use crate::net::links::Member;
use crate::net::log::Log;
use crate::swarm::Event;
use crate::torrent::{LayoutFile, PieceIndex};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The pieces ahead that the swarm is told the installer waits for.
const DEMAND_PIECES: usize = 8;
/// What is held back of a package until all of it has the right SHA-256.
const LAST_BLOCK_BYTES: u64 = 16 << 10;
/// A wait of the installer that is told in the log.
const LONG_WAIT: Duration = Duration::from_secs(1);
/// Parts of one answer that wait for the installer.
const PARTS_MAX: usize = 4;

/// Answers a request for a file of the metainfo.
pub(super) async fn answer(
    loaded: &Arc<Loaded>,
    file: LayoutFile,
    request: &Request,
    passed: &Arc<AtomicU64>,
    log: &Log,
) -> Response {
    let length = file.length_bytes;
    let etag = format!("\"{}-{}\"", loaded.cache.metainfo().info_hash(), file.offset_bytes);
    let headers = &request.head.headers;
    if headers.names_tag(&etag) == Some(true) {
        return Response::text(304, "").with("ETag", etag);
    }
    let is_current = headers.get("if-range").is_none_or(|tag| tag == etag);
    let (status, part) = match ByteRange::parse(request.range().filter(|_| is_current), length) {
        ByteRange::Whole => (200, 0..length),
        ByteRange::Part(part) => (206, part),
        ByteRange::Unsatisfiable => {
            return Response::text(416, "the file does not have these bytes")
                .with("Content-Range", format!("bytes */{length}"));
        }
    };
    let (start, end) = (part.start, part.end);
    let body = match whole(loaded, &file, start, end - start).await {
        Some(segment) => Body::Whole(segment),
        None if request.head.method == "HEAD" => {
            Body::Stream { length_bytes: Some(end - start), segments: mpsc::channel(1).1 }
        }
        None => {
            let (sender, segments) = mpsc::channel(PARTS_MAX);
            let feeder =
                Feeder { loaded: Arc::clone(loaded), file, sender, passed: Arc::clone(passed), log: log.clone() };
            tokio::spawn(feeder.run(start, end));
            Body::Stream { length_bytes: Some(end - start), segments }
        }
    };
    let mut response = Response::new(status, "application/octet-stream", Bytes::new());
    response.body = body;
    if status == 206 {
        response = response.with("Content-Range", format!("bytes {start}-{}/{length}", end - 1));
    }
    response.with("ETag", etag).with("Accept-Ranges", "bytes")
}

/// The range as one segment, where all of it is there and right.
async fn whole(loaded: &Arc<Loaded>, file: &LayoutFile, start: u64, length_bytes: u64) -> Option<Segment> {
    if length_bytes == 0 {
        return Some(Segment::Bytes(Bytes::new()));
    }
    if loaded.cache.held_from(file, start) < length_bytes {
        return None;
    }
    if loaded.cache.held_from(file, 0) == file.length_bytes && !is_right(loaded, file).await {
        return None;
    }
    let parts = loaded.cache.file_parts(file, start, length_bytes)?;
    match <[Part; 1]>::try_from(parts) {
        Ok([part]) => Some(segment(part)),
        Err(_) => None,
    }
}

fn segment(part: Part) -> Segment {
    match part {
        Part::File { file, offset_bytes, length_bytes } => {
            Segment::File(FileSlice { file, offset: offset_bytes, length_bytes })
        }
        Part::Bytes(bytes) => Segment::Bytes(bytes),
        Part::Zeros(length) => Segment::Bytes(vec![0; length as usize].into()),
    }
}

/// Whether a file that is held whole has the SHA-256 that the repository's metadata tells; true where it tells none.
async fn is_right(loaded: &Arc<Loaded>, file: &LayoutFile) -> bool {
    let name = file.path.as_str();
    let Some(expected) = loaded.checksums.get().and_then(|checksums| checksums.get(name)).copied() else { return true };
    if let Some(verdict) = loaded.checked.lock().expect("nobody panics while holding the verdicts").get(name) {
        return *verdict;
    }
    let (loaded, file) = (Arc::clone(loaded), file.clone());
    let compare = move || {
        let digest = sha256(&loaded, &file)?;
        let verdict = digest == expected;
        let name = file.path.as_str().to_owned();
        loaded.checked.lock().expect("nobody panics while holding the verdicts").insert(name, verdict);
        Some(verdict)
    };
    tokio::task::spawn_blocking(compare).await.ok().flatten().unwrap_or(false)
}

fn sha256(loaded: &Loaded, file: &LayoutFile) -> Option<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 256 << 10];
    for part in loaded.cache.file_parts(file, 0, file.length_bytes)? {
        match part {
            Part::Bytes(bytes) => hasher.update(&bytes),
            Part::Zeros(length) => hasher.update(vec![0; length as usize]),
            Part::File { file, mut offset_bytes, mut length_bytes } => {
                while length_bytes > 0 {
                    let now = (chunk.len() as u64).min(length_bytes) as usize;
                    file.read_exact_at(&mut chunk[..now], offset_bytes).ok()?;
                    hasher.update(&chunk[..now]);
                    offset_bytes += now as u64;
                    length_bytes -= now as u64;
                }
            }
        }
    }
    Some(hasher.finalize().into())
}

/// What came of a question to the frontend.
enum Fetched {
    /// The piece is in the cache.
    Held,
    /// The piece is right, and the cache takes no more.
    Past(PieceIndex, Vec<Bytes>),
    /// Nothing that is right.
    Nothing,
}

/// The longest time that the installer was given nothing in the course of one answer: told where it is long.
struct Longest<'a> {
    waited: Duration,
    fed: Instant,
    feeder: &'a Feeder,
}

impl Longest<'_> {
    fn fed(&mut self) {
        (self.waited, self.fed) = (self.waited.max(self.fed.elapsed()), Instant::now());
    }
}

impl Drop for Longest<'_> {
    fn drop(&mut self) {
        if self.waited >= LONG_WAIT {
            let (file, secs) = (self.feeder.file.path.as_str(), format!("{:.1}", self.waited.as_secs_f64()));
            self.feeder.log.info("installer-waited", &[("file", &file), ("secs", &secs)]);
        }
    }
}

/// Sends one answer's bytes as they come.
struct Feeder {
    loaded: Arc<Loaded>,
    file: LayoutFile,
    sender: mpsc::Sender<Segment>,
    passed: Arc<AtomicU64>,
    log: Log,
}

impl Feeder {
    async fn run(self, start: u64, end: u64) {
        let mut demanded = Vec::new();
        self.feed(start, end, &mut demanded).await;
        if let Some(member) = &self.loaded.member {
            member.event(Event::DemandEnd { pieces: demanded }).await;
        }
    }

    async fn feed(&self, start: u64, end: u64, demanded: &mut Vec<PieceIndex>) {
        let begun = Instant::now();
        let mut at = start;
        let mut ladder = Ladder::new(Duration::ZERO);
        let mut progress = self.loaded.member.as_ref().map(Member::progress);
        let mut question = None;
        let mut longest = Longest { waited: Duration::ZERO, fed: begun, feeder: self };
        while at < end {
            self.demand(at, end, demanded).await;
            match self.send_held(at, end).await {
                None => return,
                Some(0) => {}
                Some(sent) => {
                    at += sent;
                    ladder.fed(begun.elapsed());
                    longest.fed();
                    if question.take().is_some() {
                        ladder.dropped();
                    }
                    continue;
                }
            }
            let until = match ladder.step(begun.elapsed(), self.swarm_works()) {
                Step::GiveUp => {
                    let (file, secs) = (&self.file.path.as_str(), OUTAGE.as_secs());
                    self.log.warning("package-given-up", &[("file", file), ("after_secs", &secs)]);
                    return;
                }
                Step::Ask { stall } => {
                    question = Some((Box::pin(self.fetch(stall, at, end)), begun.elapsed() + stall));
                    continue;
                }
                Step::Wait { until } => begun + until,
            };
            let answered = async {
                match &mut question {
                    Some((answer, stalled_at)) => (answer.await, *stalled_at),
                    None => std::future::pending().await,
                }
            };
            let news = async {
                let changed = match &mut progress {
                    Some(progress) => progress.changed().await.is_ok(),
                    None => false,
                };
                if !changed {
                    std::future::pending().await
                }
            };
            let (answer, stalled_at) = tokio::select! {
                answered = answered => answered,
                () = news => continue,
                () = tokio::time::sleep_until(until) => continue,
                () = self.sender.closed() => return,
            };
            question = None;
            match answer {
                Fetched::Held => ladder.brought(),
                Fetched::Past(piece, parts) => {
                    let Some(sent) = self.send_past_cache(piece, parts, at, end).await else { return };
                    at += sent;
                    ladder.brought();
                    ladder.fed(begun.elapsed());
                    longest.fed();
                }
                Fetched::Nothing => ladder.failed(begun.elapsed(), begun.elapsed() >= stalled_at),
            }
        }
    }

    fn swarm_works(&self) -> bool {
        let works = |member: &Member| member.is_alive() && !member.progress().borrow().is_broken;
        self.loaded.member.as_ref().is_some_and(works)
    }

    /// Tells the swarm what the installer waits for.
    async fn demand(&self, at: u64, end: u64, demanded: &mut Vec<PieceIndex>) {
        let Some(member) = &self.loaded.member else { return };
        let (cache, layout) = (&self.loaded.cache, self.loaded.cache.metainfo().layout());
        let ahead = layout.pieces_of_part(&self.file, at, end - at).filter(|piece| !cache.has(*piece));
        let news: Vec<PieceIndex> = ahead.take(DEMAND_PIECES).filter(|piece| !demanded.contains(piece)).collect();
        if !news.is_empty() {
            demanded.extend(&news);
            member.event(Event::Demand { pieces: news }).await;
        }
    }

    /// Sends what is held from here on: how much, none where the installer has gone or the file is wrong.
    async fn send_held(&self, at: u64, end: u64) -> Option<u64> {
        let mut held = self.loaded.cache.held_from(&self.file, at).min(end - at);
        let has_checksum = self.loaded.checksums.get().is_some_and(|sums| sums.contains_key(self.file.path.as_str()));
        if held > 0 && at + held == self.file.length_bytes && has_checksum {
            if self.loaded.cache.held_from(&self.file, 0) == self.file.length_bytes {
                if !is_right(&self.loaded, &self.file).await {
                    self.log.warning("package-wrong", &[("file", &self.file.path.as_str())]);
                    return None;
                }
            } else if held > LAST_BLOCK_BYTES {
                held -= LAST_BLOCK_BYTES;
            }
        }
        if held == 0 {
            return Some(0);
        }
        for part in self.loaded.cache.file_parts(&self.file, at, held)? {
            self.sender.send(segment(part)).await.ok()?;
        }
        Some(held)
    }

    /// Fetches the piece that is waited for from the frontend, into the cache where that takes more.
    async fn fetch(&self, stall: Duration, at: u64, end: u64) -> Fetched {
        let metainfo = self.loaded.cache.metainfo();
        let piece = metainfo.layout().pieces_of_part(&self.file, at, end - at).next();
        let piece = piece.expect("what is asked for is not empty");
        let Ok(parts) = self.loaded.web_seed.piece_within(stall, metainfo, piece).await else {
            return Fetched::Nothing;
        };
        let (cache, payload) = (Arc::clone(&self.loaded.cache), parts.clone());
        self.passed.fetch_add(payload.iter().map(|part| part.len() as u64).sum(), Ordering::Relaxed);
        match tokio::task::spawn_blocking(move || cache.store(piece, &payload)).await {
            Ok(Ok(())) => {
                if let Some(member) = &self.loaded.member {
                    member.event(Event::Have { pieces: vec![piece] }).await;
                }
                Fetched::Held
            }
            Ok(Err(CacheError::WrongDigest { .. })) => {
                self.log.warning("frontend-wrong", &[("file", &self.file.path.as_str()), ("piece", &piece)]);
                Fetched::Nothing
            }
            // The digest was right: only the disk fails.
            Ok(Err(CacheError::Full { .. } | CacheError::File { .. })) => Fetched::Past(piece, parts),
            Err(_) => Fetched::Nothing,
        }
    }

    async fn send_past_cache(&self, piece: PieceIndex, parts: Vec<Bytes>, at: u64, end: u64) -> Option<u64> {
        let offset = self.loaded.cache.metainfo().layout().piece_offset_bytes(piece);
        let mut from = offset;
        let (start, end) = (self.file.offset_bytes + at, self.file.offset_bytes + end);
        let mut sent = 0;
        for part in parts {
            let to = from + part.len() as u64;
            let (first, last) = (start.max(from), end.min(to));
            if first < last {
                let bytes = part.slice((first - from) as usize..(last - from) as usize);
                sent += bytes.len() as u64;
                self.sender.send(Segment::Bytes(bytes)).await.ok()?;
            }
            from = to;
        }
        Some(sent)
    }
}
