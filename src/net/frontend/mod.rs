//! `rocks serve`: profiles, packages, boot scripts, the state of every installation, and the permanent seed of each
//! distribution's swarm. One listener for all of HTTP; another for peers.
//!
//! Invariant: whatever a request does, it is answered from one consistent state of the store; compiling and reading
//! the store happen on blocking threads.

mod boot;
mod compiler;
mod files;
mod holders;
mod install_key;
mod installs;
mod local;
mod metainfos;
mod metrics;
mod pads;
mod pending;
mod routes;
mod seeds;
mod stand_in;
mod status;
mod viewers;
mod who;

pub use compiler::{Compiler, HostProfile};
pub use installs::{MachineStatus, SILENCE};
pub use status::StatusDocument;
pub use who::Security;

use super::NetError;
use super::addresses::reachable_at;
use super::http::server;
use super::log::Log;
use super::rate::Bucket;
use super::seldom::{Seldom, Trouble};
use super::tree::Tree;
use crate::cluster::{Endpoint, Rate, Service};
use crate::store::{Store, StoreError};
use crate::trust::{Fingerprint, Keys};
use installs::Board;
use pending::Pending;
use routes::Routes;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often the board is swept for machines that died.
const SWEEP: Duration = Duration::from_secs(5);
/// How often the store is looked at for new distributions, and for hosts that have ended their installation.
const LOOK: Duration = Duration::from_secs(1);
/// How long a store that others hold is waited for when it is told again where this frontend is.
const RETELL: Duration = Duration::from_millis(50);
/// How long the last transitions may take to be written.
const STOP_SECS_MAX: Duration = Duration::from_secs(2);
/// File descriptors that a frontend asks the system for.
const DESCRIPTORS: u64 = 65_536;

/// How a frontend is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens for HTTP.
    pub listen: SocketAddr,
    /// The port it listens at for peers, at the same address.
    pub peer_port: u16,
    /// The rate of everything it sends, if limited.
    pub rate: Option<Rate>,
    /// The cluster's folder: its own `graphs/` and `templates/`, its `keys/`.
    pub cluster: PathBuf,
    /// What a machine must show.
    pub security: Security,
}

/// What all requests share.
pub(super) struct Shared {
    store: Arc<Store>,
    compiler: Compiler,
    board: Board,
    trees: Mutex<HashMap<PathBuf, Arc<Tree>>>,
    seeds: seeds::Seeds,
    metainfos: metainfos::Metainfos,
    holders: holders::Holders,
    stand_in: stand_in::StandIn,
    counters: Counters,
    cluster: PathBuf,
    keys: Keys,
    security: Security,
    /// The cluster's authority, as boot scripts name it.
    authority: Fingerprint,
    /// Who was refused and why, for the log.
    refused: Seldom<(std::net::IpAddr, &'static str)>,
    status_json: status::Kept,
    status_page: status::Kept,
    viewers: viewers::Viewers,
    endpoints: Mutex<Endpoints>,
    log: Log,
}

/// What a frontend counts.
#[derive(Debug)]
pub(super) struct Counters {
    started: Instant,
    requests: AtomicU64,
    profiles: AtomicU64,
    refused: AtomicU64,
    events: AtomicU64,
    announces: AtomicU64,
    package_bytes: Arc<AtomicU64>,
}

impl Counters {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            requests: AtomicU64::new(0),
            profiles: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            events: AtomicU64::new(0),
            announces: AtomicU64::new(0),
            package_bytes: Arc::default(),
        }
    }
}

impl Shared {
    /// Calls machines on the board by the names that the store has for them now.
    fn follow_names(&self) -> Result<(), StoreError> {
        let generation = self.store.read(|reader| reader.facts_generation())?;
        self.board.follow(&self.store, generation)
    }

    /// The tree that is served from this folder.
    fn tree(&self, root: &std::path::Path) -> Arc<Tree> {
        let mut trees = self.trees.lock().expect("nobody panics while holding the trees");
        Arc::clone(trees.entry(root.to_owned()).or_insert_with(|| Arc::new(Tree::new(root.to_owned()))))
    }
}

/// Serves until SIGTERM or Ctrl-C. The store is the cluster's.
pub fn serve(options: &Options, store: Store, log: Log) -> Result<(), NetError> {
    super::raise_descriptors(DESCRIPTORS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| NetError::Said(format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(async {
        let running = Running::start(options, Arc::new(store), log).await?;
        super::ended().await;
        running.stop().await;
        Ok(())
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// A frontend that runs.
pub struct Running {
    /// Where it listens for HTTP.
    pub http: SocketAddr,
    /// Where it listens for peers.
    pub peers: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
    pending: Arc<Pending>,
    writer: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Listens, seeds what is published, and serves.
    pub async fn start(options: &Options, store: Arc<Store>, log: Log) -> Result<Self, NetError> {
        let listener = server::listen(options.listen)?;
        let peers = server::listen(SocketAddr::new(options.listen.ip(), options.peer_port))?;
        let local = |listener: &tokio::net::TcpListener| {
            listener.local_addr().map_err(|source| NetError::Listen { address: options.listen, source })
        };
        let (http_at, seed_at) = (local(&listener)?, local(&peers)?);
        let pending = Pending::new();
        let board = Board::new(log.clone(), Arc::clone(&pending));
        board.take_over(&store)?;
        let upload = options.rate.map(|rate| Arc::new(Bucket::new(rate.bytes_per_sec())));
        let keys =
            Keys::open_or_create(&options.cluster, super::since_1970()).map_err(|e| NetError::Said(e.to_string()))?;
        let tls = super::tls::acceptor(&keys, http_at)?;
        let authority = super::tls::fingerprint(keys.authority.certificate_pem().as_bytes())?;
        let mut endpoints = Endpoints { http: http_at, seed: seed_at, is_told: false, trouble: Trouble::default() };
        endpoints.tell(&store, pending::PATIENCE, &log);
        let shared = Arc::new(Shared {
            compiler: Compiler::new(&options.cluster),
            board,
            trees: Mutex::default(),
            seeds: seeds::Seeds::new(Arc::clone(&store), upload.clone(), log.clone()),
            metainfos: metainfos::Metainfos::default(),
            holders: holders::Holders::default(),
            stand_in: stand_in::StandIn::new(super::swarm_identity().1),
            counters: Counters::new(),
            cluster: options.cluster.clone(),
            keys,
            security: options.security,
            authority,
            refused: Seldom::default(),
            status_json: status::Kept::default(),
            status_page: status::Kept::default(),
            viewers: viewers::Viewers::default(),
            log: log.clone(),
            endpoints: Mutex::new(endpoints),
            store: Arc::clone(&store),
        });
        shared.seeds.refresh(&shared).await;
        let (stop, stopped) = watch::channel(false);
        let writer = tokio::spawn(Arc::clone(&pending).write(store, log.clone()));
        tokio::spawn(shared.seeds.door().run(peers));
        tokio::spawn(keep_up(Arc::downgrade(&shared)));
        tokio::spawn(viewers::tell(Arc::downgrade(&shared)));
        let service = Arc::new(Routes::new(Arc::clone(&shared)));
        let served = server::Options { upload, has_threads: true, tls: Some(tls), log: log.clone(), stop: stopped };
        let serving = tokio::spawn(server::serve(listener, service, served));
        log.info(
            "serving",
            &[
                ("http", &http_at),
                ("peers", &seed_at),
                ("security", &options.security.as_str()),
                ("authority", &authority),
            ],
        );
        if options.security == Security::Open {
            let hint = "profiles go in the clear to whoever has a host's address or names its card";
            log.warning("security-open", &[("hint", &hint)]);
        }
        Ok(Self { http: http_at, peers: seed_at, shared, stop, serving, pending, writer })
    }

    /// Ends: answers under way have a moment, and the last transitions are written.
    pub async fn stop(self) {
        self.shared.log.info("stopping", &[]);
        self.stop.send_replace(true);
        self.shared.viewers.end();
        let _ = self.serving.await;
        drop(self.shared);
        self.pending.close();
        let _ = tokio::time::timeout(STOP_SECS_MAX, self.writer).await;
    }
}

/// Where this frontend can be reached, to be written into the store. A store whose disk is full, or whose writer is
/// stopped, is no reason to serve nobody: mostly it says already what it would say then.
#[derive(Debug)]
struct Endpoints {
    http: SocketAddr,
    seed: SocketAddr,
    is_told: bool,
    trouble: Trouble,
}

impl Endpoints {
    /// Writes them, unless others hold the store for longer than this.
    fn tell(&mut self, store: &Store, patience: Duration, log: &Log) {
        let since = jiff::Timestamp::now();
        let of = [(Service::Http, self.http), (Service::Seed, self.seed), (Service::Https, self.http)];
        let written = store.write_within(patience, &format!("serve listens at {}", self.http), |writer| {
            of.into_iter().try_for_each(|(service, at)| {
                writer.set_endpoint(&Endpoint { service, addresses: reachable_at(at), since })
            })
        });
        match written {
            Ok(()) => {
                self.is_told = true;
                if let Some(waited) = self.trouble.over(Instant::now()) {
                    log.info("store-written", &[("waited_secs", &waited.as_secs())]);
                }
            }
            Err(error) if self.trouble.is_due(Instant::now()) => {
                log.warning("store-unwritable", &[("reason", &error)]);
            }
            Err(_) => {}
        }
    }
}

/// Sweeps the board, and follows the store: what is to be seeded, and for whom. Tells it of the endpoints, where it could
/// not be told yet.
async fn keep_up(shared: Weak<Shared>) {
    let mut last_sweep = Instant::now();
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(shared) = shared.upgrade() else { return };
        let following = Arc::clone(&shared);
        let follow = move || {
            let _ = following.follow_names();
            let mut endpoints = following.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
            if !endpoints.is_told {
                endpoints.tell(&following.store, RETELL, &following.log);
            }
        };
        let _ = tokio::task::spawn_blocking(follow).await;
        if last_sweep.elapsed() >= SWEEP {
            shared.board.sweep(Instant::now());
            last_sweep = Instant::now();
        }
        shared.seeds.refresh(&shared).await;
        shared.seeds.review(&shared).await;
    }
}

#[cfg(test)]
mod tests;
