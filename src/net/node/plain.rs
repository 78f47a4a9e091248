//! Plain HTTP: the set from the frontend alone, file by file over a few connections; every piece verified all the
//! same.

use crate::cache::{Cache, CacheError};
use crate::net::http::content_range;
use crate::net::links::{WebSeed, encode_path};
use crate::torrent::{LayoutFile, PieceIndex};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Files that are fetched at one time.
const CONNECTIONS: usize = 4;
/// The pause after a failure.
const PAUSE: Duration = Duration::from_millis(500);

/// The set on its way.
pub(super) struct Plain {
    shared: Arc<Shared>,
}

struct Shared {
    cache: Arc<Cache>,
    web_seed: WebSeed,
    queue: Mutex<VecDeque<LayoutFile>>,
    bytes: Arc<AtomicU64>,
    is_broken: AtomicBool,
    news: Notify,
}

impl Plain {
    /// Starts to fetch these files; `bytes` counts what comes.
    pub(super) fn start(cache: Arc<Cache>, web_seed: WebSeed, files: Vec<LayoutFile>, bytes: Arc<AtomicU64>) -> Self {
        let shared = Arc::new(Shared {
            cache,
            web_seed,
            queue: Mutex::new(files.into()),
            bytes,
            is_broken: AtomicBool::new(false),
            news: Notify::new(),
        });
        for _ in 0..CONNECTIONS {
            tokio::spawn(work(Arc::clone(&shared)));
        }
        Self { shared }
    }

    /// Whether the cache takes no more.
    pub(super) fn is_broken(&self) -> bool {
        self.shared.is_broken.load(Ordering::Relaxed)
    }

    /// Waits for news, not for long.
    pub(super) async fn changed(&self) {
        let _ = timeout(Duration::from_millis(200), self.shared.news.notified()).await;
    }
}

async fn work(shared: Arc<Shared>) {
    loop {
        let Some(file) = shared.queue.lock().expect("nobody panics while holding the queue").pop_front() else {
            return;
        };
        while shared.first_missing(&file).is_some() && !shared.is_broken.load(Ordering::Relaxed) {
            if shared.file(&file).await.is_none() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

impl Shared {
    fn first_missing(&self, file: &LayoutFile) -> Option<PieceIndex> {
        self.cache.metainfo().layout().pieces_of(file).find(|piece| !self.cache.has(*piece))
    }

    /// Fetches a file from its first missing piece on; none where it broke off.
    async fn file(&self, file: &LayoutFile) -> Option<()> {
        let layout = self.cache.metainfo().layout();
        let piece = self.first_missing(file)?;
        let start = layout.piece_offset_bytes(piece).saturating_sub(file.offset_bytes);
        let path = format!("{}{}", self.web_seed.tree_path, encode_path(file.path.as_str()));
        let range = format!("bytes={start}-");
        let mut headers: Vec<(&str, &str)> = Vec::new();
        if start > 0 {
            headers.push(("Range", &range));
        }
        headers.extend(self.web_seed.headers.iter().map(|(name, value)| (*name, value.as_str())));
        let mut answer = self.web_seed.client.get(&path, &headers).await.ok()?;
        let starts_there = match answer.status {
            200 => start == 0,
            206 => answer
                .headers
                .get("content-range")
                .and_then(content_range)
                .is_some_and(|(range, _)| range.start == start),
            _ => false,
        };
        if !starts_there || answer.length_bytes() != Some(file.length_bytes - start) {
            return None;
        }
        let mut pieces = layout.pieces_of_part(file, start, file.length_bytes - start);
        let mut piece = pieces.next();
        let mut parts: Vec<Bytes> = Vec::new();
        let mut gathered = 0;
        while let Some(mut bytes) = answer.next().await.ok()? {
            self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            while let Some(now) = piece {
                let wanted = layout.payload_len(now) as usize - gathered;
                let part = bytes.split_to(wanted.min(bytes.len()));
                gathered += part.len();
                parts.push(part);
                if gathered < layout.payload_len(now) as usize {
                    break;
                }
                self.store(now, std::mem::take(&mut parts)).await?;
                (piece, gathered) = (pieces.next(), 0);
            }
        }
        Some(())
    }

    async fn store(&self, piece: PieceIndex, parts: Vec<Bytes>) -> Option<()> {
        let cache = Arc::clone(&self.cache);
        let stored = tokio::task::spawn_blocking(move || cache.store(piece, &parts)).await.ok()?;
        if matches!(stored, Err(CacheError::Full { .. } | CacheError::File { .. })) {
            self.is_broken.store(true, Ordering::Relaxed);
        }
        self.news.notify_one();
        stored.ok()
    }
}
