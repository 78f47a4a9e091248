//! `rocks fetch`: what the installing machine runs. Gets its profile, writes its Kickstart file, brings its install set
//! into the cache through the swarm, and keeps the door open for its installer until the machine starts anew.

mod checksums;
mod documents;
mod plain;
mod reporter;
mod tracker;

use super::NetError;
use super::http::client::{Client, Origin};
use super::http::server;
use super::links::{Door as PeerDoor, Member, Setup, Supply, WebSeed};
use super::log::Log;
use super::proxy::{Door, Loaded, Word};
use super::rate::Bucket;
use super::report::Phase;
use super::tls;
use crate::cache::{Cache, CacheError};
use crate::cluster::Rate;
use crate::swarm::{Event, SessionConfig};
use crate::torrent::{LayoutFile, Metainfo, PeerId, PieceIndex};
use crate::trust::PublicKey;
use documents::Documents;
use plain::Plain;
use reporter::Reporter;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// How long nothing may come before a fetch that nobody waits for gives up.
const PATIENCE: Duration = Duration::from_secs(150);
/// How often progress is shown.
const SHOW: Duration = Duration::from_millis(100);
/// File descriptors that a machine asks the system for.
const DESCRIPTORS: u64 = 4096;

/// How a machine fetches.
#[derive(Debug, Clone)]
pub struct Options {
    /// The frontend's URL.
    pub frontend: String,
    /// Where the Kickstart file is written, if anywhere.
    pub kickstart: Option<PathBuf>,
    /// Where packages are kept; a folder of the system for temporary files, or memory, where none is told.
    pub cache: Option<PathBuf>,
    /// Where the installer's door stands; none for no door.
    pub proxy: Option<SocketAddr>,
    /// The address that connections go out from and peers come to.
    pub bind: Option<IpAddr>,
    /// The port that peers come to; 0 for any.
    pub peer_port: u16,
    /// Whether it ends when the set is complete.
    pub exits_when_complete: bool,
    /// How long it serves others before it ends.
    pub linger: Duration,
    /// Whether packages come over HTTP alone.
    pub http_only: bool,
    /// Whether it takes the whole distribution instead of an install set.
    pub everything: bool,
    /// The rate in each direction, if limited.
    pub rate: Option<Rate>,
    /// Where the summary is written, if anywhere.
    pub summary: Option<PathBuf>,
    /// How long it asks for its profile before it gives up.
    pub patience: Duration,
    /// The key that must have signed the distribution; none: any is taken.
    pub key: Option<PublicKey>,
    /// The token of this installation.
    pub token: Option<String>,
    /// The certificate of the authority that an https frontend must show (PEM).
    pub authority: Option<PathBuf>,
}

/// What a fetch came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Package bytes that came from the frontend.
    pub frontend_bytes: u64,
    /// Package bytes that came from other machines.
    pub peer_bytes: u64,
    /// Package bytes given to other machines.
    pub uploaded_bytes: u64,
    /// From the start of the process to the verified set.
    pub seconds: f64,
}

/// How far a fetch is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress {
    /// How far the installation is.
    pub phase: Phase,
    /// Bytes of the set that are there.
    pub bytes: u64,
    /// Bytes of the set.
    pub total_bytes: u64,
    /// What moved so far.
    pub moved: Summary,
    /// Connections to peers.
    pub peers: u32,
}

/// Fetches, and stays until told to end (or until the set is complete, where told so). `show` is called a few times
/// a second.
pub fn fetch(options: Options, log: Log, show: impl Fn(Progress) + Send + Sync + 'static) -> Result<Summary, NetError> {
    let begun = Instant::now();
    super::raise_descriptors(DESCRIPTORS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .enable_all()
        .build()
        .map_err(|error| NetError::Said(format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(run(Arc::new(options), begun, log, show));
    runtime.shutdown_timeout(Duration::from_millis(500));
    result
}

async fn run(
    options: Arc<Options>,
    begun: Instant,
    log: Log,
    show: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Summary, NetError> {
    let (origin, prefix) = Origin::parse(&options.frontend)?;
    if !prefix.trim_end_matches('/').is_empty() {
        return Err(NetError::Url { url: options.frontend.clone(), why: "has a path: give http://ADDRESS:PORT alone" });
    }
    let bucket = || options.rate.map(|rate| Arc::new(Bucket::new(rate.bytes_per_sec())));
    let (upload, download) = (bucket(), bucket());
    let tls = match &options.authority {
        Some(path) => Some(tls::client(&std::fs::read(path).map_err(|error| NetError::file(path, error))?)?),
        None => None,
    };
    let client = Arc::new(Client::new(origin, options.bind).with_download(download.clone()).with_tls(tls));
    client.set_token(options.token.clone());
    let (stop, stopped) = watch::channel(false);
    let (words, mut said) = mpsc::channel(4);
    let door = open_door(&options, &client, words, &stopped, &log)?;

    let ended = super::ended();
    tokio::pin!(ended);
    let documents = tokio::select! {
        documents = Documents::get(&client, &options) => documents?,
        () = &mut ended => return Err(NetError::Said("told to end before the profile was there".to_owned())),
    };
    let reporter = Reporter::start(Arc::clone(&client), Box::new(show), SHOW);
    let fetching =
        Fetching::start(&options, &client, documents, upload, download, door.as_ref(), &reporter, &log).await?;
    let summary = tokio::select! {
        complete = fetching.complete(&options, begun) => complete,
        () = &mut ended => {
            fetching.leave().await;
            reporter.last(Phase::Failed, Some("told to end before its set was complete".to_owned())).await;
            return Err(NetError::Said("told to end before the set was complete".to_owned()));
        }
        // The installer may fail before the set is there; its machine still serves what it has.
        Some(Word::Failed(why)) = said.recv() => {
            reporter.last(Phase::Failed, Some(why.clone())).await;
            Err(NetError::Said(format!("the installer failed: {why}")))
        }
    };
    let summary = match summary {
        Ok(summary) => summary,
        Err(error) => {
            fetching.leave().await;
            reporter.last(Phase::Failed, Some(error.to_string())).await;
            return Err(error);
        }
    };
    reporter.phase(Phase::Serving);
    if let Some(path) = &options.summary {
        let text = serde_json::to_vec(&summary).map_err(|error| NetError::Said(error.to_string()))?;
        write_whole(path, &text)?;
    }
    log.info("set-complete", &[("seconds", &format!("{:.1}", summary.seconds))]);
    let (last, is_told_to_end) = tokio::select! {
        () = &mut ended => (Phase::Installed, true),
        () = tokio::time::sleep(options.linger), if options.exits_when_complete => (Phase::Installed, true),
        Some(word) = said.recv() => match word {
            Word::Installed => (Phase::Installed, false),
            Word::Failed(why) => {
                log.warning("installer-failed", &[("reason", &why)]);
                reporter.set_message(why);
                (Phase::Failed, false)
            }
        },
    };
    reporter.last(last, None).await;
    // The machine serves until it starts anew: the word of its installer is not yet its end.
    if !is_told_to_end {
        ended.await;
    }
    fetching.leave().await;
    stop.send_replace(true);
    Ok(fetching.summary(summary.seconds))
}

/// Opens the installer's door.
fn open_door(
    options: &Options,
    client: &Arc<Client>,
    words: mpsc::Sender<Word>,
    stopped: &watch::Receiver<bool>,
    log: &Log,
) -> Result<Option<Arc<Door>>, NetError> {
    let Some(at) = options.proxy else { return Ok(None) };
    let listener = server::listen(at)?;
    let at = listener.local_addr().map_err(|source| NetError::Listen { address: at, source })?;
    let door = Arc::new(Door::new(Arc::clone(client), at, options.bind, words, log.clone()));
    let served = server::Options { upload: None, tls: None, log: log.clone(), stop: stopped.clone() };
    tokio::spawn(server::serve(listener, Arc::clone(&door), served));
    Ok(Some(door))
}

/// A set that is being brought in.
struct Fetching {
    loaded: Option<Arc<Loaded>>,
    wanted: Vec<PieceIndex>,
    total_bytes: u64,
    plain: Option<Plain>,
    passed: Arc<AtomicU64>,
}

impl Fetching {
    #[expect(clippy::too_many_arguments, reason = "everything that a machine was started with meets here")]
    async fn start(
        options: &Arc<Options>,
        client: &Arc<Client>,
        documents: Documents,
        upload: Option<Arc<Bucket>>,
        download: Option<Arc<Bucket>>,
        door: Option<&Arc<Door>>,
        reporter: &Reporter,
        log: &Log,
    ) -> Result<Self, NetError> {
        let Some((metainfo, tree_path)) = documents.metainfo else {
            reporter.phase(Phase::Fetching);
            return Ok(Self { loaded: None, wanted: Vec::new(), total_bytes: 0, plain: None, passed: Arc::default() });
        };
        let (files, wanted) = wanted(&metainfo, &documents.manifest, options.everything);
        let total_bytes = files.iter().map(|file| file.length_bytes).sum();
        let cache = Arc::new(make_cache(options, metainfo.clone(), log)?);
        let web_seed = WebSeed { client: Arc::clone(client), tree_path, headers: Vec::new() };
        let member = if options.http_only {
            None
        } else {
            Some(join(options, &documents.manifest, &metainfo, &cache, &web_seed, client, upload, download, log).await?)
        };
        let loaded = Arc::new(Loaded::new(Arc::clone(&cache), member.clone(), web_seed.clone()));
        if let Some(door) = door {
            door.load(Arc::clone(&loaded));
        }
        tokio::spawn(checksums::learn(Arc::clone(&loaded), log.clone()));
        let plain = match &member {
            Some(member) => {
                member.event(Event::Want { pieces: wanted.clone() }).await;
                None
            }
            None => Some(Plain::start(Arc::clone(&cache), web_seed, files)),
        };
        let passed = door.map(|door| Arc::clone(door.passed_bytes())).unwrap_or_default();
        let fetching = Self { loaded: Some(loaded), wanted, total_bytes, plain, passed };
        reporter.follow(fetching.gauge());
        reporter.phase(Phase::Fetching);
        Ok(fetching)
    }

    /// What tells at any moment how far it is.
    fn gauge(&self) -> Box<dyn Fn() -> Progress + Send + Sync> {
        let Some(loaded) = self.loaded.clone() else { return Box::new(Progress::default) };
        let (wanted, total_bytes) = (self.wanted.clone(), self.total_bytes);
        let plain = self.plain.as_ref().map(|plain| Arc::clone(plain.bytes()));
        let passed = Arc::clone(&self.passed);
        Box::new(move || {
            let layout = loaded.cache.metainfo().layout();
            let held = wanted.iter().filter(|piece| loaded.cache.has(**piece));
            let bytes: u64 = held.map(|piece| u64::from(layout.payload_len(*piece))).sum();
            let plain = plain.as_ref().map_or(0, |bytes| bytes.load(Ordering::Relaxed));
            let (moved, peers) = moved(loaded.member.as_ref(), plain + passed.load(Ordering::Relaxed));
            Progress { phase: Phase::Fetching, bytes: bytes.min(total_bytes), total_bytes, moved, peers }
        })
    }

    fn summary(&self, seconds: f64) -> Summary {
        Summary { seconds, ..(self.gauge())().moved }
    }

    /// Waits until the set is complete.
    async fn complete(&self, options: &Options, begun: Instant) -> Result<Summary, NetError> {
        let Some(loaded) = &self.loaded else { return Ok(self.summary(begun.elapsed().as_secs_f64())) };
        let missing = || self.wanted.iter().filter(|piece| !loaded.cache.has(**piece)).count();
        let mut progress = loaded.member.as_ref().map(Member::progress);
        let (mut left, mut moved) = (missing(), Instant::now());
        while left > 0 {
            match (&mut progress, &self.plain) {
                (Some(progress), _) => {
                    let _ = tokio::time::timeout(Duration::from_secs(1), progress.changed()).await;
                }
                (None, Some(plain)) => plain.changed().await,
                (None, None) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
            let now = missing();
            if now != left {
                (left, moved) = (now, Instant::now());
            }
            let is_full = progress.as_ref().is_some_and(|progress| progress.borrow().is_broken)
                || self.plain.as_ref().is_some_and(Plain::is_broken);
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
    async fn leave(&self) {
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
fn wanted(
    metainfo: &Metainfo,
    manifest: &crate::profile::Manifest,
    everything: bool,
) -> (Vec<LayoutFile>, Vec<PieceIndex>) {
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
    let on_disk = |folder: &Path| Cache::on_disk(folder, metainfo.clone());
    match &options.cache {
        Some(folder) => on_disk(folder).map_err(|error| NetError::Said(error.to_string())),
        None => {
            let folder = std::env::temp_dir().join(format!("rocks-cache-{}", std::process::id()));
            match on_disk(&folder) {
                Ok(cache) => Ok(cache),
                Err(error @ (CacheError::File { .. } | CacheError::Full { .. } | CacheError::WrongDigest { .. })) => {
                    log.info("cache-in-memory", &[("reason", &error)]);
                    Ok(Cache::in_memory(metainfo))
                }
            }
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "everything that a machine was started with meets here")]
async fn join(
    options: &Options,
    manifest: &crate::profile::Manifest,
    metainfo: &Metainfo,
    cache: &Arc<Cache>,
    web_seed: &WebSeed,
    client: &Arc<Client>,
    upload: Option<Arc<Bucket>>,
    download: Option<Arc<Bucket>>,
    log: &Log,
) -> Result<Member, NetError> {
    let at = SocketAddr::new(options.bind.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), options.peer_port);
    let listener = server::listen(at)?;
    let port = listener.local_addr().map_err(|source| NetError::Listen { address: at, source })?.port();
    let mut random = [0; 20];
    getrandom::fill(&mut random).map_err(|error| NetError::Said(format!("no randomness: {error}")))?;
    let (unique, seed_value) = random.split_at(12);
    let peer_id = PeerId::new(unique.try_into().expect("twelve bytes were split off"));
    let own_key = |name: &str| metainfo.envelope.own.get(name).and_then(|value| std::str::from_utf8(value).ok());
    let config = SessionConfig {
        address: options.bind.map(|ip| SocketAddr::new(ip, port)),
        frontend: own_key("seed").and_then(|seed| seed.parse().ok()),
        rack: manifest.rack,
        ..SessionConfig::machine(peer_id)
    };
    let metainfo_path = manifest.distribution.as_ref().map(|told| told.metainfo_path.clone()).unwrap_or_default();
    let announcer = tracker::announcer(metainfo, metainfo_path, peer_id, port, options.bind, Arc::clone(client));
    let member = Member::join(Setup {
        config,
        seed_value: u64::from_be_bytes(seed_value.try_into().expect("eight bytes are left")),
        supply: Supply::Cache(Arc::clone(cache)),
        web_seed: Some(web_seed.clone()),
        announcer: Some(announcer),
        bind: options.bind,
        upload,
        download,
        log: log.clone(),
    });
    let door = PeerDoor::new(|_| true, log.clone());
    door.add(member.clone());
    tokio::spawn(door.run(listener));
    Ok(member)
}

/// Writes a file so that whoever sees it sees all of it.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), NetError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = path.with_file_name(name);
    let written = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        NetError::file(path, error)
    })
}
