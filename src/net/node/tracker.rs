//! The way to the tracker: announces over HTTP, one tracker after the other; where none answers, the frontend is asked
//! anew where they are.

use crate::net::http::client::{Client, Origin};
use crate::net::links::{Announced, Announcer};
use crate::swarm::AnnounceEvent;
use crate::torrent::{InfoHash, Metainfo, PeerId};
use crate::wire::{self, Announce, http::Reply};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long one announce may take.
const ANNOUNCE_SECS_MAX: u64 = 5;
/// Trackers that are asked, of those that the metainfo names.
const TRACKERS_MAX: usize = 8;
/// Between two questions to the frontend where the trackers are, at least.
const LOOK_AGAIN_SECS_MIN: u64 = 1;

/// Where the trackers are, as the frontend told last.
struct Trackers {
    /// Asked again where none answers: a tracker may have been started, or moved, after the metainfo was taken.
    frontend: Arc<Client>,
    metainfo_path: String,
    info_hash: InfoHash,
    bind: Option<IpAddr>,
    known: Mutex<Known>,
}

struct Known {
    at: Arc<[(Client, String)]>,
    told: Instant,
    /// The `ETag` of what told it: of a whole operating system that is a megabyte, and a dead tracker has all ask for it.
    tag: Option<String>,
}

/// Announces to the trackers that the metainfo names, and to those that the frontend names later.
pub(super) fn announcer(
    metainfo: &Metainfo,
    metainfo_path: String,
    peer_id: PeerId,
    port: u16,
    bind: Option<IpAddr>,
    frontend: Arc<Client>,
) -> Announcer {
    let info_hash = metainfo.info_hash();
    let known = Known { at: clients(metainfo, bind, frontend.origin()), told: Instant::now(), tag: None };
    let trackers = Arc::new(Trackers { frontend, metainfo_path, info_hash, bind, known: Mutex::new(known) });
    Arc::new(move |event, left_bytes, totals| {
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
        Box::pin(async move { trackers.announce(&announce).await })
    })
}

impl Trackers {
    async fn announce(&self, announce: &Announce) -> Announced {
        let known = Arc::clone(&self.known().at);
        if let Some(answer) = ask_each(&known, announce).await {
            return Some(answer);
        }
        ask_each(&self.look_again().await?, announce).await
    }

    /// Takes the metainfo again, not too often, for the trackers it names now.
    async fn look_again(&self) -> Option<Arc<[(Client, String)]>> {
        let tag = {
            let mut known = self.known();
            if known.told.elapsed() < Duration::from_secs(LOOK_AGAIN_SECS_MIN) {
                return None;
            }
            known.told = Instant::now();
            known.tag.clone()
        };
        let limit = Duration::from_secs(ANNOUNCE_SECS_MAX);
        let newer = timeout(limit, self.frontend.get_newer(&self.metainfo_path, tag.as_deref())).await.ok()?.ok()?;
        let (bytes, tag) = newer?;
        let metainfo = Metainfo::parse(&bytes).ok().filter(|metainfo| metainfo.info_hash() == self.info_hash)?;
        let at = clients(&metainfo, self.bind, self.frontend.origin());
        let mut known = self.known();
        (known.at, known.tag) = (Arc::clone(&at), tag);
        Some(at)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("nothing panics while the trackers are looked at")
    }
}

/// The trackers that can be reached by HTTP.
fn clients(metainfo: &Metainfo, bind: Option<IpAddr>, frontend: &Origin) -> Arc<[(Client, String)]> {
    let urls = metainfo.envelope.trackers.iter().flatten();
    urls.filter_map(|url| Origin::parse(url).ok())
        .filter(|(origin, _)| !origin.is_secure || origin == frontend)
        .take(TRACKERS_MAX)
        .map(|(origin, path)| (Client::new(origin, bind), path))
        .collect()
}

async fn ask_each(trackers: &[(Client, String)], announce: &Announce) -> Announced {
    for (client, path) in trackers {
        if let Some(answer) = ask(client, path, announce).await {
            return Some(answer);
        }
    }
    None
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
