//! `rocks track`: announces and scrapes over HTTP and UDP, on one port.
//!
//! Invariant: an announce is answered from what is known, at once: it waits for no disk and no other process. The
//! store is looked at by a thread of its own (`picture`); where that cannot read, the last picture stands.

mod http;
mod metrics;
mod picture;
mod udp;

use super::NetError;
use super::addresses::reachable_at;
use super::http::server::listen;
use super::log::Log;
use super::seldom::Seldom;
use crate::store::Store;
use crate::torrent::InfoHash;
use crate::tracker::{Refusal, Tracker};
use crate::wire::{Announce, AnnounceReply, ScrapeEntry};
use metrics::Counters;
use picture::Picture;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// File descriptors that the service asks the system for.
const DESCRIPTORS: u64 = 65_536;
/// How long it may take to end.
const STOP: Duration = Duration::from_secs(1);

/// What all connections share.
struct Shared {
    tracker: Mutex<Tracker>,
    picture: Picture,
    counters: Counters,
    refused: Seldom,
    /// Who reported others as bad, for the log.
    reported: Seldom,
    /// The clock that the tracker sees begins here.
    epoch: Instant,
    /// Keys the connection ids of UDP; new with each start.
    secret: RandomState,
    log: Log,
}

/// Answers announces until SIGTERM or Ctrl-C. Calls `ready` once it listens.
pub fn track(address: SocketAddr, store: Store, log: Log, ready: impl FnOnce(SocketAddr)) -> Result<(), NetError> {
    super::raise_descriptors(DESCRIPTORS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| NetError::Said(format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(run(address, store, log, ready, super::ended()));
    runtime.shutdown_timeout(STOP);
    result
}

async fn run(
    address: SocketAddr,
    store: Store,
    log: Log,
    ready: impl FnOnce(SocketAddr),
    ended: impl Future<Output = ()>,
) -> Result<(), NetError> {
    let listener = listen(address)?;
    let address = listener.local_addr().map_err(|source| NetError::Listen { address, source })?;
    let sockets = udp::bind_all(address)?;
    let secret = RandomState::new();
    let shared = Arc::new(Shared {
        tracker: Mutex::new(Tracker::new(secret.hash_one(address))),
        picture: Picture::default(),
        counters: Counters::default(),
        refused: Seldom::default(),
        reported: Seldom::default(),
        epoch: Instant::now(),
        secret,
        log: log.clone(),
    });
    let looking = picture::follow(Arc::clone(&shared), store, reachable_at(address))?;
    let (stop, stopped) = watch::channel(false);
    let answering: Result<Vec<_>, _> =
        sockets.into_iter().map(|socket| udp::Answering::start(Arc::clone(&shared), socket)).collect();
    let answering = answering?;
    let serving = tokio::spawn(http::serve(Arc::clone(&shared), listener, stopped));
    tokio::spawn(metrics::summarise(Arc::clone(&shared)));
    log.info("tracking", &[("listen", &address)]);
    ready(address);

    ended.await;
    log.info("stopping", &[]);
    stop.send_replace(true);
    answering.iter().for_each(udp::Answering::stop);
    looking.stop();
    answering.into_iter().for_each(udp::Answering::join);
    let _ = tokio::time::timeout(STOP, serving).await;
    Ok(())
}

impl Shared {
    /// The tracker's clock.
    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn tracker(&self) -> MutexGuard<'_, Tracker> {
        self.tracker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in an announce from this address.
    fn announce(&self, from: IpAddr, announce: &Announce) -> Result<AnnounceReply, Refusal> {
        self.tracker().announce(self.now(), from, announce)
    }

    /// Numbers, for hosts of the cluster and for the frontend itself (a loopback address, or the one that was asked,
    /// where that is known); none for strangers.
    fn scrape(&self, from: IpAddr, asked: Option<IpAddr>, hashes: &[InfoHash]) -> Option<Vec<(InfoHash, ScrapeEntry)>> {
        let from = from.to_canonical();
        let is_own = from.is_loopback() || asked.is_some_and(|asked| asked.to_canonical() == from);
        let mut tracker = self.tracker();
        (is_own || tracker.knows(from)).then(|| tracker.scrape(self.now(), hashes))
    }

    /// Notes what became of an announce.
    fn note(&self, from: IpAddr, announce: &Announce, outcome: &Result<AnnounceReply, Refusal>) {
        if let Err(refusal) = outcome {
            Counters::count(&self.counters.refused);
            if self.refused.is_due(from) {
                self.log.warning("refused", &[("address", &from), ("why", refusal)]);
            }
        }
        // What strangers say of others is of no interest, and of one host it is told once in a while.
        let is_told = outcome.is_ok() && !announce.bad_peers.is_empty() && self.reported.is_due(from);
        for bad in announce.bad_peers.iter().filter(|_| is_told) {
            self.log.warning("reported-bad", &[("by", &from), ("peer", bad), ("swarm", &announce.info_hash)]);
        }
    }
}

#[cfg(test)]
mod tests;
