//! The threads that serve connections. Each has a small runtime of its own, and a connection stays with one: nothing
//! that a request does wakes another core.

use super::overseer::{Lease, Overseer};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// More threads than this serve nobody faster.
const THREADS_MAX: usize = 16;

/// Who serves connections: threads of their own, or the caller's runtime.
pub(super) struct Workers(Vec<Worker>);

struct Worker {
    runtime: Handle,
    overseer: Arc<Overseer>,
}

impl Workers {
    /// One thread for each core. Where none can be had, the caller's runtime serves.
    pub(super) fn of_their_own(stop: &watch::Receiver<bool>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers: Vec<_> = (0..cores.min(THREADS_MAX)).map_while(|n| Worker::start(n, stop.clone())).collect();
        if workers.is_empty() { Self::of_the_callers(stop) } else { Self(workers) }
    }

    /// The runtime that this is called in.
    pub(super) fn of_the_callers(stop: &watch::Receiver<bool>) -> Self {
        let (overseer, stop) = (Overseer::new(), stop.clone());
        let watching = Arc::clone(&overseer);
        tokio::spawn(async move { watching.run(stop).await });
        Self(vec![Worker { runtime: Handle::current(), overseer }])
    }

    /// Has the one with the fewest connections serve another client.
    pub(super) fn serve<F: Future<Output = ()> + Send + 'static>(
        &self,
        peer: SocketAddr,
        connection: impl FnOnce(Lease) -> F,
    ) {
        let worker = self.0.iter().min_by_key(|worker| worker.overseer.count()).expect("there is at least one");
        worker.overseer.watch(peer, |lease| -> AbortHandle { worker.runtime.spawn(connection(lease)).abort_handle() });
    }

    /// Ends the connections of these clients that have taken nothing for a while; how many.
    pub(super) fn hang_up(&self, peers: &HashSet<SocketAddr>) -> usize {
        self.0.iter().map(|worker| worker.overseer.hang_up(peers)).sum()
    }
}

impl Worker {
    fn start(number: usize, stop: watch::Receiver<bool>) -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let (handle, overseer) = (runtime.handle().clone(), Overseer::new());
        let watching = Arc::clone(&overseer);
        let work = move || {
            runtime.block_on(watching.run(stop));
            runtime.shutdown_background();
        };
        std::thread::Builder::new().name(format!("http-{number}")).spawn(work).ok()?;
        Some(Self { runtime: handle, overseer })
    }
}
