//! A set that is being brought in: through the swarm, or over HTTP alone; and what is told of it meanwhile.
//!
//! Invariant: where an installer waits at the door, neither a swarm that cannot be joined nor one whose engine is lost
//! nor a disk that is full ends the fetch.

use super::checksums;
use super::documents::Documents;
use super::plain::Plain;
use super::tracker;
use super::ways::Ways;
use super::{Options, Progress, Summary};
use crate::cache::{Cache, CacheError};
use crate::net::NetError;
use crate::net::http::server;
use crate::net::links::{self, Door as PeerDoor, Member, Setup, Supply, WebSeed};
use crate::net::log::Log;
use crate::net::proxy::{Door, Loaded};
use crate::net::rate::Bucket;
use crate::net::report::Phase;
use crate::profile::Manifest;
use crate::swarm::{Event, SessionConfig};
use crate::torrent::{LayoutFile, Metainfo, PieceIndex};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// How long nothing may come before a fetch that nobody waits for gives up.
const PATIENCE: Duration = Duration::from_secs(150);
/// How often it looks how far it is where nothing tells.
const LOOK: Duration = Duration::from_secs(1);

/// A set that is being brought in.
pub(super) struct Fetching {
    loaded: Option<Arc<Loaded>>,
    files: Vec<LayoutFile>,
    wanted: Vec<PieceIndex>,
    total_bytes: u64,
    /// The set over HTTP alone: from the start where told so, else once the swarm's engine is lost.
    plain: OnceLock<Plain>,
    plain_bytes: Arc<AtomicU64>,
    passed: Arc<AtomicU64>,
    log: Log,
}

/// What a machine was started with, as far as it is about its packages.
pub(super) struct Start<'a> {
    pub(super) options: &'a Options,
    pub(super) ways: &'a Ways,
    pub(super) upload: Option<Arc<Bucket>>,
    pub(super) download: Option<Arc<Bucket>>,
    pub(super) door: Option<&'a Arc<Door>>,
    /// Where peers come in; none where packages come over HTTP alone.
    pub(super) peers: Option<Result<PeerListener, NetError>>,
    pub(super) log: &'a Log,
}

/// Where peers come in. It listens before the swarm can be joined: who comes sooner waits.
pub(super) struct PeerListener {
    listener: TcpListener,
    pub(super) port: u16,
}

impl PeerListener {
    /// Listens as these options say.
    pub(super) fn bind(options: &Options) -> Result<Self, NetError> {
        let at = SocketAddr::new(options.bind.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), options.peer_port);
        let listener = server::listen(at)?;
        let port = listener.local_addr().map_err(|source| NetError::Listen { address: at, source })?.port();
        Ok(Self { listener, port })
    }
}

impl Fetching {
    /// Begins to bring the set in; from now on the door answers with it.
    pub(super) async fn start(mut start: Start<'_>, documents: Documents) -> Result<Self, NetError> {
        let (options, log) = (start.options, start.log);
        let Some((metainfo, tree_path)) = documents.metainfo else {
            return Ok(Self::of_nothing(log));
        };
        let (files, wanted) = wanted(&metainfo, &documents.manifest, options.everything);
        let total_bytes = files.iter().map(|file| file.length_bytes).sum();
        let cache = Arc::new(make_cache(options, metainfo.clone(), log)?);
        let web_seed = WebSeed { client: Arc::clone(&start.ways.packages), tree_path, headers: Vec::new() };
        let member = match start.peers.take() {
            None => None,
            Some(Ok(peers)) => Some(join(&start, peers, &documents.manifest, &metainfo, &cache, &web_seed)),
            // An installer waits at the door: it is served without other machines rather than not at all.
            Some(Err(error)) if start.door.is_some() => {
                log.warning("swarm-not-joined", &[("reason", &error)]);
                None
            }
            Some(Err(error)) => return Err(error),
        };
        let loaded = Arc::new(Loaded::new(Arc::clone(&cache), member.clone(), web_seed));
        if let Some(door) = start.door {
            door.load(Arc::clone(&loaded));
        }
        tokio::spawn(checksums::learn(Arc::clone(&loaded), log.clone()));
        if let Some(member) = &member {
            member.event(Event::Want { pieces: wanted.clone() }).await;
        }
        let passed = start.door.map(|door| Arc::clone(door.passed_bytes())).unwrap_or_default();
        let fetching = Self { loaded: Some(loaded), files, wanted, total_bytes, passed, ..Self::of_nothing(log) };
        if member.is_none() {
            fetching.fetch_plainly();
        }
        Ok(fetching)
    }

    /// Of a cluster that has no distribution yet.
    fn of_nothing(log: &Log) -> Self {
        Self {
            loaded: None,
            files: Vec::new(),
            wanted: Vec::new(),
            total_bytes: 0,
            plain: OnceLock::new(),
            plain_bytes: Arc::default(),
            passed: Arc::default(),
            log: log.clone(),
        }
    }

    fn fetch_plainly(&self) {
        let Some(loaded) = &self.loaded else { return };
        let (cache, web_seed) = (Arc::clone(&loaded.cache), loaded.web_seed.clone());
        self.plain.get_or_init(|| Plain::start(cache, web_seed, self.files.clone(), Arc::clone(&self.plain_bytes)));
    }

    /// What tells at any moment how far it is.
    pub(super) fn gauge(&self) -> Box<dyn Fn() -> Progress + Send + Sync> {
        let Some(loaded) = self.loaded.clone() else { return Box::new(Progress::default) };
        let (wanted, total_bytes) = (self.wanted.clone(), self.total_bytes);
        let (plain, passed) = (Arc::clone(&self.plain_bytes), Arc::clone(&self.passed));
        Box::new(move || {
            let layout = loaded.cache.metainfo().layout();
            let held = wanted.iter().filter(|piece| loaded.cache.has(**piece));
            let bytes: u64 = held.map(|piece| u64::from(layout.payload_len(*piece))).sum();
            let plain = plain.load(Ordering::Relaxed) + passed.load(Ordering::Relaxed);
            let (moved, peers) = moved(loaded.member.as_ref(), plain);
            Progress { phase: Phase::Fetching, bytes: bytes.min(total_bytes), total_bytes, moved, peers }
        })
    }

    pub(super) fn summary(&self, seconds: f64) -> Summary {
        Summary { seconds, ..(self.gauge())().moved }
    }

    /// Waits until the set is complete.
    pub(super) async fn complete(&self, options: &Options, begun: Instant) -> Result<Summary, NetError> {
        let Some(loaded) = &self.loaded else { return Ok(self.summary(begun.elapsed().as_secs_f64())) };
        let missing = || self.wanted.iter().filter(|piece| !loaded.cache.has(**piece)).count();
        let mut progress = loaded.member.as_ref().map(Member::progress);
        let (mut left, mut moved) = (missing(), Instant::now());
        let mut looked = Instant::now();
        while left > 0 {
            match (&mut progress, self.plain.get()) {
                (Some(changes), _) => {
                    if matches!(tokio::time::timeout(LOOK, changes.changed()).await, Ok(Err(_))) {
                        // Its task has gone, which only a defect can do: the set comes all the same.
                        self.log.warning("engine-lost", &[("next", &"the set comes over HTTP alone")]);
                        progress = None;
                        self.fetch_plainly();
                    }
                }
                (None, Some(plain)) => plain.changed().await,
                (None, None) => tokio::time::sleep(LOOK).await,
            }
            // Each piece is told of, and counting them all each time would be as many times too much.
            let has_ended = |progress: &links::Progress| progress.is_complete || progress.is_broken;
            if progress.as_ref().is_some_and(|told| !has_ended(&told.borrow())) && looked.elapsed() < LOOK {
                continue;
            }
            looked = Instant::now();
            let now = missing();
            if now != left {
                (left, moved) = (now, Instant::now());
            }
            let is_full = progress.as_ref().is_some_and(|progress| progress.borrow().is_broken)
                || self.plain.get().is_some_and(Plain::is_broken);
            let waits_for_nobody = options.exits_when_complete || options.proxy.is_none();
            if waits_for_nobody && is_full {
                return Err(NetError::Said("the cache cannot keep the set: see the line above".to_owned()));
            }
            if waits_for_nobody && moved.elapsed() > PATIENCE {
                let why = format!("no source has answered for {} s; {left} pieces are missing", PATIENCE.as_secs());
                return Err(NetError::Said(why));
            }
        }
        Ok(self.summary(begun.elapsed().as_secs_f64()))
    }

    /// Says goodbye to the swarm.
    pub(super) async fn leave(&self) {
        if let Some(member) = self.loaded.as_ref().and_then(|loaded| loaded.member.as_ref()) {
            member.stop().await;
        }
    }
}

fn moved(member: Option<&Member>, plain_bytes: u64) -> (Summary, u32) {
    let progress = member.map(|member| *member.progress().borrow()).unwrap_or_default();
    let moved = Summary {
        frontend_bytes: progress.totals.from_frontend_bytes + plain_bytes,
        peer_bytes: progress.totals.from_peers_bytes,
        uploaded_bytes: member.map_or(0, |member| member.uploaded().load(Ordering::Relaxed)),
        seconds: 0.0,
    };
    (moved, progress.peers as u32)
}

/// The files that are wanted, with the repository's metadata, and their pieces.
fn wanted(metainfo: &Metainfo, manifest: &Manifest, everything: bool) -> (Vec<LayoutFile>, Vec<PieceIndex>) {
    let layout = metainfo.layout();
    let set =
        manifest.distribution.as_ref().map(|distribution| distribution.install_set.as_slice()).unwrap_or_default();
    let mut files: Vec<LayoutFile> = if everything {
        layout.files().iter().filter(|file| !file.is_pad).cloned().collect()
    } else {
        let metadata = layout.files().iter().filter(|file| !file.is_pad && file.path.as_str().starts_with("repodata/"));
        metadata.chain(set.iter().filter_map(|href| layout.file(href))).cloned().collect()
    };
    files.sort_by_key(|file| file.offset_bytes);
    files.dedup_by_key(|file| file.offset_bytes);
    files.retain(|file| file.length_bytes > 0);
    let mut pieces: Vec<PieceIndex> = files.iter().flat_map(|file| layout.pieces_of(file)).collect();
    pieces.dedup();
    (files, pieces)
}

fn make_cache(options: &Options, metainfo: Metainfo, log: &Log) -> Result<Cache, NetError> {
    let usual = || std::env::temp_dir().join(format!("rocks-cache-{}", std::process::id()));
    let folder = options.cache.clone().unwrap_or_else(usual);
    match Cache::on_disk(&folder, metainfo.clone()) {
        Ok(cache) => Ok(cache),
        // A folder that was named and cannot be used is a mistake; a disk that is full is a bad day.
        Err(error @ CacheError::File { .. }) if options.cache.is_some() => Err(NetError::Said(error.to_string())),
        Err(error) => {
            log.info("cache-in-memory", &[("reason", &error)]);
            Ok(Cache::in_memory(metainfo))
        }
    }
}

fn join(
    start: &Start<'_>,
    PeerListener { listener, port }: PeerListener,
    manifest: &Manifest,
    metainfo: &Metainfo,
    cache: &Arc<Cache>,
    web_seed: &WebSeed,
) -> Member {
    let (options, client, log) = (start.options, &start.ways.own, start.log);
    let (peer_id, seed_value) = crate::net::swarm_identity();
    let own_key = |name: &str| metainfo.envelope.own.get(name).and_then(|value| std::str::from_utf8(value).ok());
    let config = SessionConfig {
        // Whoever is come to must hear the port; the address it sees itself.
        address: Some(SocketAddr::new(options.bind.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), port)),
        frontend: own_key("seed").and_then(|seed| seed.parse().ok()),
        rack: manifest.rack,
        ..SessionConfig::machine(peer_id)
    };
    let metainfo_path = manifest.distribution.as_ref().map(|told| told.metainfo_path.clone()).unwrap_or_default();
    let announcer =
        tracker::announcer(metainfo, metainfo_path, peer_id, port, options.bind, Arc::clone(client), log.clone());
    let member = Member::join(Setup {
        config,
        seed_value,
        supply: Supply::Cache(Arc::clone(cache)),
        web_seed: Some(web_seed.clone()),
        announcer: Some(announcer),
        bind: options.bind,
        upload: start.upload.clone(),
        download: start.download.clone(),
        log: log.clone(),
    });
    let door = PeerDoor::new(neighbours(manifest), log.clone());
    door.add(member.clone());
    tokio::spawn(door.run(listener));
    member
}

/// Says who may come in as a peer: who is in a network of the cluster. A peer may have announced itself after this
/// machine asked the tracker last, so it need not have been named; what it gives is believed by its digest alone.
fn neighbours(manifest: &Manifest) -> impl Fn(IpAddr) -> bool + Send + Sync + use<> {
    let networks: Vec<IpNet> = manifest.networks.iter().filter_map(|network| network.parse().ok()).collect();
    move |address| networks.iter().any(|network| network.contains(&address.to_canonical()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_neighbours_may_come_in_as_peers() {
        let networks = ["10.1.0.0/16", "fd00::/64"].map(str::to_owned).to_vec();
        let may_come_in = neighbours(&Manifest { networks, ..Manifest::default() });
        for (address, expected) in
            [("10.1.255.254", true), ("::ffff:10.1.0.1", true), ("fd00::7", true), ("10.2.0.1", false), ("::1", false)]
        {
            assert_eq!(may_come_in(address.parse().expect("an address")), expected, "{address}");
        }
    }
}
