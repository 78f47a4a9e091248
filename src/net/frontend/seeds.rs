//! The permanent seeds: one for each distribution, of the tree that the frontend serves anyway; and those of snapshots that
//! were replaced, as long as machines install from them.
//!
//! Invariant: whoever is connected was found to install in what the store said at the last look, or has come since.

use super::{Shared, who};
use crate::cluster::DistributionName;
use crate::net::links::{Door, Member, Setup, Supply};
use crate::net::log::Log;
use crate::net::rate::Bucket;
use crate::net::tree::Tree;
use crate::store::{Reader, Store, StoreError};
use crate::swarm::{SessionConfig, WebSeedShare};
use crate::torrent::{InfoHash, Metainfo};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long the seed of a snapshot that was replaced stays when nobody is connected with it: a machine in the middle of its
/// installation comes again.
const FORMER_FOR: Duration = Duration::from_secs(120);

/// What a seed is of.
#[derive(Debug, Clone)]
struct Seeded {
    distribution: DistributionName,
    tree: Arc<Tree>,
    /// Of a snapshot that was replaced: when a machine was last connected with it.
    needed: Option<Instant>,
}

/// The seeds of all distributions.
pub(super) struct Seeds {
    door: Door,
    upload: Option<Arc<Bucket>>,
    log: Log,
    seeded: Mutex<HashMap<InfoHash, Seeded>>,
    /// The store's generation at the last look.
    looked: AtomicU64,
    /// The generation at the last look at who is connected, and whom it found there that installs.
    reviewed: Mutex<(u64, HashSet<IpAddr>)>,
    /// What seeds that have ended had sent.
    sent_before: AtomicU64,
    /// What the web seed may take while seeds are at work.
    web_seed: Mutex<WebSeedShare>,
    /// Trees whose metainfo could not be read: told once.
    broken: Mutex<HashSet<String>>,
}

impl Seeds {
    pub(super) fn new(store: Arc<Store>, upload: Option<Arc<Bucket>>, log: Log) -> Self {
        let door =
            Door::new(move |address| store.read(|reader| is_installing(reader, address)).unwrap_or(false), log.clone());
        Self {
            door,
            upload,
            log,
            seeded: Mutex::default(),
            looked: AtomicU64::new(u64::MAX),
            reviewed: Mutex::new((u64::MAX, HashSet::new())),
            sent_before: AtomicU64::new(0),
            web_seed: Mutex::default(),
            broken: Mutex::default(),
        }
    }

    pub(super) fn door(&self) -> Door {
        self.door.clone()
    }

    /// Payload that all seeds have sent.
    pub(super) fn sent_bytes(&self) -> u64 {
        let now: u64 = self.door.members().iter().map(|member| member.uploaded().load(Ordering::Relaxed)).sum();
        self.sent_before.load(Ordering::Relaxed) + now
    }

    /// Whether so many bytes may be sent as web seed now: while seeds are at work, a share of what they send.
    pub(super) fn admits_web_seed(&self, bytes: u64) -> bool {
        let is_offering = self.door.members().iter().any(|member| member.progress().borrow().is_offering);
        let mut share = self.web_seed.lock().expect("nobody panics while holding the share");
        share.admits(bytes, is_offering, self.sent_bytes())
    }

    /// Connections to peers, all seeds together.
    pub(super) fn peers(&self) -> usize {
        self.door.members().iter().map(|member| member.progress().borrow().peers).sum()
    }

    fn seeded(&self) -> MutexGuard<'_, HashMap<InfoHash, Seeded>> {
        self.seeded.lock().expect("nobody panics while holding what is seeded")
    }

    /// The trees of snapshots of this distribution that were replaced, and that machines install from.
    pub(super) fn former_trees(&self, distribution: &str) -> Vec<Arc<Tree>> {
        let seeded = self.seeded();
        let former = seeded.values().filter(|it| it.needed.is_some() && it.distribution.as_str() == distribution);
        former.map(|it| Arc::clone(&it.tree)).collect()
    }

    /// Seeds what the store has published now, and what it replaced until nobody needs that any more.
    pub(super) async fn refresh(&self, shared: &Arc<Shared>) {
        self.follow(shared).await;
        self.let_go(Instant::now());
    }

    async fn follow(&self, shared: &Arc<Shared>) {
        let (store, looked) = (Arc::clone(&shared.store), self.looked.load(Ordering::Relaxed));
        let read = move || {
            store.read(|reader| {
                let generation = reader.facts_generation()?;
                if generation == looked {
                    return Ok(None);
                }
                let mut published = Vec::new();
                for distribution in reader.distributions()? {
                    let metainfo = reader.metainfo(&distribution.name)?;
                    published.push((distribution, metainfo));
                }
                Ok(Some((generation, published)))
            })
        };
        let Ok(Ok(Some((generation, published)))) = tokio::task::spawn_blocking(read).await else { return };
        let mut there: HashSet<InfoHash> = HashSet::new();
        for (distribution, metainfo) in published {
            there.insert(distribution.info_hash);
            let tree = shared.tree(&distribution.path);
            let name = distribution.name.clone();
            let seeded = Seeded { distribution: name, tree: Arc::clone(&tree), needed: None };
            if self.door.member(distribution.info_hash).is_some_and(|member| member.is_alive()) {
                self.seeded().insert(distribution.info_hash, seeded);
                continue;
            }
            match metainfo.as_deref().map(Metainfo::parse) {
                Some(Ok(metainfo)) => {
                    self.door.add(self.join(Supply::Tree { metainfo, tree }));
                    self.seeded().insert(distribution.info_hash, seeded);
                    self.log.info("seeding", &[("distribution", &distribution.name)]);
                }
                unreadable => {
                    let reason = match unreadable {
                        Some(Err(error)) => error.to_string(),
                        _ => "the store has no metainfo of it".to_owned(),
                    };
                    let mut broken = self.broken.lock().expect("nobody panics while holding the names");
                    if broken.insert(distribution.name.to_string()) {
                        self.log.warning("not-seeding", &[("distribution", &distribution.name), ("reason", &reason)]);
                    }
                }
            }
        }
        for (info_hash, seeded) in &mut *self.seeded() {
            if !there.contains(info_hash) {
                seeded.needed.get_or_insert_with(Instant::now);
            }
        }
        self.looked.store(generation, Ordering::Relaxed);
    }

    /// Ends the seeds of snapshots that were replaced and that nobody installs from any more.
    pub(super) fn let_go(&self, now: Instant) {
        for member in self.door.members() {
            let mut seeded = self.seeded();
            let is_needed = seeded.get_mut(&member.info_hash()).is_some_and(|seeded| match &mut seeded.needed {
                None => true,
                Some(needed) => {
                    if member.progress().borrow().peers > 0 {
                        *needed = now;
                    }
                    now.saturating_duration_since(*needed) < FORMER_FOR
                }
            });
            if !is_needed {
                seeded.remove(&member.info_hash());
                self.door.remove(member.info_hash());
                self.sent_before.fetch_add(member.uploaded().load(Ordering::Relaxed), Ordering::Relaxed);
                tokio::spawn(async move { member.stop().await });
            }
        }
    }

    /// Hangs up on whose host has ended its installation, or is none any more, since he came in.
    pub(super) async fn review(&self, shared: &Shared) {
        let linked = self.door.linked().await;
        let (generation, installing) = self.reviewed.lock().expect("nobody panics while holding the addresses").clone();
        let store = Arc::clone(&shared.store);
        let read = move || {
            store.read(|reader| {
                let now = reader.generation()?;
                if now == generation && linked.is_subset(&installing) {
                    return Ok(None);
                }
                let (mut done, mut installing) = (HashSet::new(), HashSet::new());
                for address in linked {
                    if is_installing(reader, address)? { &mut installing } else { &mut done }.insert(address);
                }
                Ok(Some((now, installing, done)))
            })
        };
        // A store that cannot be read tells nothing: who is there stays until it can.
        let Ok(Ok(Some((now, installing, done)))) = tokio::task::spawn_blocking(read).await else { return };
        *self.reviewed.lock().expect("nobody panics while holding the addresses") = (now, installing);
        if !done.is_empty() {
            self.log.info("seed-hangs-up", &[("hosts", &done.len()), ("reason", &"not installing any more")]);
            self.door.hang_up_on(done).await;
        }
    }

    fn join(&self, supply: Supply) -> Member {
        let (peer_id, seed_value) = crate::net::swarm_identity();
        Member::join(Setup {
            config: SessionConfig::seed(peer_id),
            seed_value,
            supply,
            web_seed: None,
            announcer: None,
            bind: None,
            upload: self.upload.clone(),
            download: None,
            log: self.log.clone(),
        })
    }
}

/// Whether a host that may install is at this address.
fn is_installing(reader: &Reader, address: IpAddr) -> Result<bool, StoreError> {
    match reader.host_by_ip(address.to_canonical())? {
        Some(host) => Ok(who::may_install(&reader.boot(&host.name)?)),
        None => Ok(false),
    }
}
