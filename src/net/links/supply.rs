//! Where blocks that are sent come from, and where pieces come from when no peer has them.

use crate::cache::{Cache, Part, block_parts};
use crate::net::NetError;
use crate::net::http::client::Client;
use crate::net::http::content_range;
use crate::net::tree::Tree;
use crate::swarm::WebSeedOutcome;
use crate::torrent::{Block, Metainfo, PieceIndex, Segment};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long the frontend may stand still where nobody waits for the piece.
const STALL: Duration = Duration::from_secs(10);

/// Says that a piece is fetched for the swarm and can wait: the frontend may answer 503.
pub(in crate::net) const WEB_SEED_HEADER: &str = "rocks-web-seed";

/// What stays as it is in the path of a URL.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'+');

/// A path as it stands in a URL.
pub(in crate::net) fn encode_path(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

/// Where blocks that are sent come from.
#[derive(Debug, Clone)]
pub enum Supply {
    /// The frontend's tree, which has every piece.
    Tree {
        /// What it was published as.
        metainfo: Metainfo,
        /// The files.
        tree: Arc<Tree>,
    },
    /// A machine's cache.
    Cache(Arc<Cache>),
}

impl Supply {
    /// What is shared.
    pub fn metainfo(&self) -> &Metainfo {
        match self {
            Self::Tree { metainfo, .. } => metainfo,
            Self::Cache(cache) => cache.metainfo(),
        }
    }

    /// The bytes of a block; none where they are not there, or no longer of the length that was published.
    pub(super) async fn block(&self, block: Block) -> Option<Vec<Part>> {
        match self {
            Self::Cache(cache) => cache.piece_parts(block.piece, block.offset_bytes, block.length_bytes),
            Self::Tree { metainfo, tree } => {
                let mut files = HashMap::new();
                for segment in metainfo.layout().segments(block.piece).filter(|segment| !segment.file.is_pad) {
                    let file = tree.file(segment.file.path.as_str()).await?;
                    if file.length_bytes != segment.file.length_bytes {
                        return None;
                    }
                    // Of a tree that changes under its snapshot, `repomd.xml` keeps its name, and often its length: whoever
                    // sends another one is taken for a liar.
                    if file
                        .content
                        .as_ref()
                        .is_some_and(|content| !is_as_published(metainfo, block.piece, &segment, content))
                    {
                        return None;
                    }
                    files.insert(segment.file.path.as_str(), Arc::clone(&file.file));
                }
                block_parts(metainfo, block.piece, block.offset_bytes, block.length_bytes, |path| {
                    files.get(path).cloned()
                })
            }
        }
    }
}

/// Whether a short file's part of a piece is what was published.
fn is_as_published(metainfo: &Metainfo, piece: PieceIndex, segment: &Segment<'_>, content: &[u8]) -> bool {
    if metainfo.layout().payload_len(piece) != segment.length_bytes {
        return true;
    }
    let start = segment.file_offset_bytes as usize;
    let part = content.get(start..start + segment.length_bytes as usize);
    part.is_some_and(|part| metainfo.verify_piece(piece, part))
}

/// The frontend's tree over HTTP: the bounded fall-back.
#[derive(Debug, Clone)]
pub struct WebSeed {
    /// The frontend.
    pub client: Arc<Client>,
    /// The tree's path there, ending in a slash.
    pub tree_path: String,
    /// Sent with each request (the install token).
    pub headers: Vec<(&'static str, String)>,
}

impl WebSeed {
    /// Fetches the payload of a piece for the swarm: the frontend may turn it away while its seed is at work. Whether it
    /// is right is for the cache to say.
    pub async fn piece(&self, metainfo: &Metainfo, piece: PieceIndex) -> Result<Vec<Bytes>, WebSeedOutcome> {
        self.segments(STALL, metainfo, piece, Some((WEB_SEED_HEADER, "yes"))).await
    }

    /// Fetches the payload of a piece that the installer waits for, from a frontend that may stand still for so long.
    pub async fn piece_within(
        &self,
        stall: Duration,
        metainfo: &Metainfo,
        piece: PieceIndex,
    ) -> Result<Vec<Bytes>, WebSeedOutcome> {
        self.segments(stall, metainfo, piece, None).await
    }

    async fn segments(
        &self,
        stall: Duration,
        metainfo: &Metainfo,
        piece: PieceIndex,
        more: Option<(&str, &str)>,
    ) -> Result<Vec<Bytes>, WebSeedOutcome> {
        let mut parts = Vec::new();
        for segment in metainfo.layout().segments(piece).filter(|segment| !segment.file.is_pad) {
            parts.extend(self.segment(stall, segment, more).await?);
        }
        Ok(parts)
    }

    async fn segment(
        &self,
        stall: Duration,
        segment: Segment<'_>,
        more: Option<(&str, &str)>,
    ) -> Result<Vec<Bytes>, WebSeedOutcome> {
        let failed = |_: NetError| WebSeedOutcome::Failed;
        let path = format!("{}{}", self.tree_path, encode_path(segment.file.path.as_str()));
        let start = segment.file_offset_bytes;
        let end = start + u64::from(segment.length_bytes);
        let range = format!("bytes={start}-{}", end - 1);
        let mut headers: Vec<(&str, &str)> = vec![("Range", &range)];
        headers.extend(more);
        headers.extend(self.headers.iter().map(|(name, value)| (*name, value.as_str())));
        let mut answer = self.client.send_within(stall, "GET", &path, &headers, None).await.map_err(failed)?;
        let is_part = answer.status == 206
            && answer
                .headers
                .get("content-range")
                .and_then(content_range)
                .is_some_and(|(range, _)| range == (start..end));
        let is_whole = answer.status == 200 && answer.length_bytes() == Some(end) && start == 0;
        if matches!(answer.status, 429 | 503) {
            let wait = answer.headers.number("retry-after").unwrap_or(1).clamp(1, 30);
            return Err(WebSeedOutcome::Busy(Duration::from_secs(wait)));
        }
        if !is_part && !is_whole {
            let is_there = matches!(answer.status, 200 | 206 | 404 | 410 | 416);
            return Err(if is_there { WebSeedOutcome::Missing } else { WebSeedOutcome::Failed });
        }
        let mut parts = Vec::new();
        while let Some(bytes) = answer.next().await.map_err(failed)? {
            parts.push(bytes);
        }
        let length: usize = parts.iter().map(Bytes::len).sum();
        if length == segment.length_bytes as usize { Ok(parts) } else { Err(WebSeedOutcome::Failed) }
    }
}
