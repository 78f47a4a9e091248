//! What the tracker is told of hosts: a thread of its own looks at the store and tells what has changed.
//!
//! Reading never waits for a writer. Writing where the tracker can be reached is tried again and again, each time for
//! a short while, so that a store whose lock somebody holds delays nothing here.

use super::Shared;
use crate::cluster::{Endpoint, Service};
use crate::net::NetError;
use crate::net::roster;
use crate::net::seldom::Trouble;
use crate::store::Store;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often the store's generation is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Who is refused has the store looked at sooner than that, but not sooner than this.
const HURRIED_INTERVAL: Duration = Duration::from_millis(10);
/// How long a refused announce waits for that.
const FRESH_WAIT: Duration = Duration::from_millis(500);
/// How long one try to write waits for other writers.
const WRITE_PATIENCE: Duration = Duration::from_millis(50);
/// The same at the end, when no machine waits any more: the frontend may be ending at the same time, and writes too.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(1);
/// How often writing is tried.
const WRITE_INTERVAL: Duration = Duration::from_millis(200);

/// Tells when the store was last looked at, and can have it looked at sooner.
#[derive(Debug)]
pub(super) struct Picture {
    /// How often it was looked at.
    looks: watch::Sender<u64>,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    hurry: bool,
    stop: bool,
}

impl Default for Picture {
    fn default() -> Self {
        Self { looks: watch::Sender::new(0), state: Mutex::default(), wake: Condvar::new() }
    }
}

impl Picture {
    /// Returns once the store was looked at after this call, or after a short while if it cannot be.
    pub(super) async fn fresh(&self) {
        let mut looks = self.looks.subscribe();
        // A look that is under way may have read already: only the one after it is sure.
        let sure = *looks.borrow_and_update() + 2;
        let seen = async {
            while *looks.borrow_and_update() < sure {
                self.set(|state| state.hurry = true);
                if looks.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(FRESH_WAIT, seen).await;
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_one();
    }

    /// Waits until it is time to look again; false means to stop.
    fn wait(&self) -> bool {
        let begun = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let interval = if state.hurry { HURRIED_INTERVAL } else { LOOK_INTERVAL };
            let left = interval.saturating_sub(begun.elapsed());
            if state.stop || left.is_zero() {
                state.hurry = false;
                return !state.stop;
            }
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The thread that looks.
pub(super) struct Looking {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

impl Looking {
    /// Ends it.
    pub(super) fn stop(self) {
        self.shared.picture.set(|state| state.stop = true);
        // It panics in no case we know of; if it did, the service went on with its last picture.
        let _ = self.thread.join();
    }
}

/// Looks once, then starts the thread that goes on looking and writes these addresses into the store.
pub(super) fn follow(shared: Arc<Shared>, store: Store, addresses: Vec<SocketAddr>) -> Result<Looking, NetError> {
    let mut follower =
        Follower { shared: Arc::clone(&shared), store, known: None, failing: false, unwritable: Trouble::default() };
    // What it writes itself is news to it as well: written first, it is looked at once.
    let (mut to_write, mut written) =
        if follower.write_endpoints(&addresses) { (None, Some(addresses)) } else { (Some(addresses), None) };
    follower.look();
    let mut last_try = Some(Instant::now());
    let body = move || {
        while follower.shared.picture.wait() {
            follower.look();
            if last_try.is_none_or(|last| last.elapsed() >= WRITE_INTERVAL)
                && let Some(addresses) = to_write.take()
            {
                last_try = Some(Instant::now());
                if follower.write_endpoints(&addresses) {
                    written = Some(addresses);
                } else {
                    to_write = Some(addresses);
                }
            }
        }
        if let Some(addresses) = written {
            follower.remove_endpoints(&addresses);
        }
    };
    let thread = std::thread::Builder::new().name("picture".to_owned()).spawn(body);
    let thread = thread.map_err(|error| NetError::Said(format!("cannot start a thread: {error}")))?;
    Ok(Looking { shared, thread })
}

struct Follower {
    shared: Arc<Shared>,
    store: Store,
    known: Option<roster::Known>,
    /// Whether the last look failed: each failure is told of once.
    failing: bool,
    /// Writing is tried several times a second.
    unwritable: Trouble,
}

impl Follower {
    fn look(&mut self) {
        match roster::look(&self.store, self.known) {
            Ok(found) => {
                if std::mem::take(&mut self.failing) {
                    self.shared.log.info("store-read-again", &[]);
                }
                if let Some((known, news)) = found {
                    news.tell(&mut self.shared.tracker());
                    self.known = Some(known);
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    self.shared.log.warning("store-unreadable", &[("why", &error)]);
                }
            }
        }
        self.shared.picture.looks.send_modify(|looks| *looks += 1);
    }

    /// Nobody is to look for a tracker where none is any more; one that was started elsewhere meanwhile stays.
    fn remove_endpoints(&self, addresses: &[SocketAddr]) {
        let removed = self.store.write_within(FAREWELL_PATIENCE, "track has ended", |writer| {
            for service in [Service::Track, Service::TrackUdp] {
                if writer.endpoint(service)?.is_some_and(|there| there.addresses == addresses) {
                    writer.remove_endpoint(service)?;
                }
            }
            Ok(())
        });
        if let Err(error) = removed {
            self.shared.log.warning("store-unwritable", &[("why", &error)]);
        }
    }

    fn write_endpoints(&mut self, addresses: &[SocketAddr]) -> bool {
        let since = jiff::Timestamp::now();
        let sentence = addresses.first().map_or_else(String::new, |at| format!("track listens at {at}"));
        let written = self.store.write_within(WRITE_PATIENCE, &sentence, |writer| {
            for service in [Service::Track, Service::TrackUdp] {
                let old = writer.endpoint(service)?;
                if old.is_none_or(|old| old.addresses != addresses) {
                    writer.set_endpoint(&Endpoint { service, addresses: addresses.to_vec(), since })?;
                }
            }
            Ok(())
        });
        match written {
            Ok(()) => {
                if let Some(waited) = self.unwritable.over(Instant::now()) {
                    self.shared.log.info("store-written", &[("waited_secs", &waited.as_secs())]);
                }
                true
            }
            Err(error) => {
                if self.unwritable.is_due(Instant::now()) {
                    self.shared.log.warning("store-unwritable", &[("why", &error)]);
                }
                false
            }
        }
    }
}
