//! The way to the tracker: announces over HTTP, one tracker after the other.

use crate::net::http::client::{Client, Origin};
use crate::net::links::{Announced, Announcer};
use crate::swarm::AnnounceEvent;
use crate::torrent::{InfoHash, PeerId};
use crate::wire::{self, Announce, http::Reply};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long one announce may take.
const ANNOUNCE_SECS_MAX: u64 = 5;
/// Trackers that are asked, of those that the metainfo names.
const TRACKERS_MAX: usize = 8;

/// Announces to these trackers; none where there is none that can be reached by HTTP.
pub(super) fn announcer(
    urls: Vec<String>,
    info_hash: InfoHash,
    peer_id: PeerId,
    port: u16,
    bind: Option<IpAddr>,
    frontend: Origin,
) -> Option<Announcer> {
    let trackers: Vec<(Arc<Client>, String)> = urls
        .iter()
        .filter_map(|url| Origin::parse(url).ok())
        .filter(|(origin, _)| !origin.is_secure || *origin == frontend)
        .take(TRACKERS_MAX)
        .map(|(origin, path)| (Arc::new(Client::new(origin, bind)), path))
        .collect();
    if trackers.is_empty() {
        return None;
    }
    let trackers = Arc::new(trackers);
    Some(Arc::new(move |event, left_bytes, totals| {
        let announce = Announce {
            uploaded_bytes: totals.sent_bytes,
            downloaded_bytes: totals.from_frontend_bytes + totals.from_peers_bytes,
            left_bytes,
            event: match event {
                AnnounceEvent::Started => wire::Event::Started,
                AnnounceEvent::Completed => wire::Event::Completed,
                AnnounceEvent::Interval => wire::Event::Periodic,
                AnnounceEvent::Stopped => wire::Event::Stopped,
            },
            ..Announce::new(info_hash, peer_id, port)
        };
        let trackers = Arc::clone(&trackers);
        Box::pin(async move {
            for (client, path) in trackers.iter() {
                if let Some(answer) = ask(client, path, &announce).await {
                    return Some(answer);
                }
            }
            None
        })
    }))
}

async fn ask(client: &Client, path: &str, announce: &Announce) -> Announced {
    let joint = if path.contains('?') { '&' } else { '?' };
    let path = format!("{path}{joint}{}", wire::http::announce_query(announce));
    let limit = Duration::from_secs(ANNOUNCE_SECS_MAX);
    let body = timeout(limit, client.get_whole(&path, &[])).await.ok()?.ok()?;
    match wire::http::read_announce_reply(&body).ok()? {
        Reply::Peers(reply) => {
            let peers = reply.peers.iter().map(|peer| peer.address).collect();
            Some((peers, Duration::from_secs(u64::from(reply.interval_secs.clamp(1, 3600)))))
        }
        Reply::Failure { .. } => None,
    }
}
