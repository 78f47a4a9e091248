//! Who watches over connections: each has a lease that says until when it may go on as it does. All are looked at once a
//! second, so that no read and no write costs a timer.
//!
//! Invariant: a connection whose lease has run out ends within two seconds; one without a request ends with the word to
//! stop, every other one [`STOP_SECS_MAX`] later at the latest.

use super::server::{IDLE_SECS_MAX, REQUEST_SECS_MAX, STALL_SECS_MAX, STOP_SECS_MAX};
use super::unread::UNREAD_SECS_MAX;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// How often the leases are looked at.
const SWEEP: Duration = Duration::from_secs(1);
/// How often it is seen whether connections have ended, after the word to stop.
const STOPPING: Duration = Duration::from_millis(10);
/// A lease without an end.
const ENDLESS: u64 = u64::MAX << 1;
/// The lease of a connection that ends with all that waits for its client.
const FORFEIT: u64 = 0;

/// Tells the seconds since the overseer began.
type Clock = Box<dyn Fn() -> u64 + Send + Sync>;

/// Watches over the connections that one runtime serves.
pub(super) struct Overseer {
    clock: Clock,
    /// What it said at the last look.
    clock_secs: AtomicU64,
    stops: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    next: u64,
    /// Each connection's lease.
    leases: HashMap<u64, Connection>,
}

/// What is kept of a connection: its client, until when it may go on, and how to end it once that is known.
#[derive(Debug)]
struct Connection {
    peer: SocketAddr,
    until: Arc<AtomicU64>,
    end: Option<AbortHandle>,
}

/// What a connection may do: the second at which it ends, and in the lowest bit whether it
/// has no request under way.
pub(super) struct Lease {
    overseer: Arc<Overseer>,
    number: u64,
    until: Arc<AtomicU64>,
}

impl Overseer {
    pub(super) fn new() -> Arc<Self> {
        let began = Instant::now();
        Self::by(Box::new(move || began.elapsed().as_secs()))
    }

    /// One that goes by this clock.
    fn by(clock: Clock) -> Arc<Self> {
        Arc::new(Self { clock, clock_secs: AtomicU64::new(0), stops: AtomicBool::new(false), kept: Mutex::default() })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("nobody panics while holding the leases")
    }

    /// How many connections are watched over.
    pub(super) fn count(&self) -> usize {
        self.kept().leases.len()
    }

    /// Watches over the task that serves this client and holds its lease as long as it lives.
    pub(super) fn watch(self: &Arc<Self>, peer: SocketAddr, spawn: impl FnOnce(Lease) -> AbortHandle) {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let until = Arc::new(AtomicU64::new(ENDLESS));
        let number = {
            let mut kept = self.kept();
            kept.next += 1;
            let number = kept.next;
            kept.leases.insert(number, Connection { peer, until: Arc::clone(&until), end: None });
            number
        };
        let lease = Lease { overseer: Arc::clone(self), number, until };
        lease.rests();
        let task = spawn(lease);
        // It may have ended already.
        if let Some(connection) = self.kept().leases.get_mut(&number) {
            connection.end = Some(task);
        }
    }

    /// Looks after the leases until told to stop, then until every connection has ended.
    pub(super) async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.sweep(),
                // Whoever could say the word is gone without it: it will not be said, and nothing new comes in.
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        self.stops.store(true, Ordering::SeqCst);
        self.end_those(|until| until & 1 == 1);
        let last = Instant::now() + Duration::from_secs(STOP_SECS_MAX);
        while self.count() > 0 && Instant::now() < last {
            tokio::time::sleep(STOPPING).await;
        }
        self.end_those(|_| true);
    }

    pub(super) fn sweep(&self) {
        let now = (self.clock)();
        self.clock_secs.store(now, Ordering::Relaxed);
        self.end_those(|until| until >> 1 <= now);
    }

    fn end_those(&self, is_over: impl Fn(u64) -> bool) {
        for Connection { until, end, .. } in self.kept().leases.values() {
            if let Some(end) = end.as_ref().filter(|_| is_over(until.load(Ordering::SeqCst))) {
                end.abort();
            }
        }
    }

    /// Ends the connections of these clients with all that waits for them, but for those whose answer has gone on since; how
    /// many. Addresses of IPv4 are named as such, and not as IPv6 has them.
    pub(super) fn hang_up(&self, peers: &HashSet<SocketAddr>) -> usize {
        let went_on = self.clock_secs.load(Ordering::Relaxed) + STALL_SECS_MAX + 1 - UNREAD_SECS_MAX;
        let kept = self.kept();
        let named = kept.leases.values().filter(|connection| peers.contains(&connection.peer));
        let ended = named.filter(|connection| {
            let until = connection.until.load(Ordering::SeqCst);
            let Some(end) = connection.end.as_ref().filter(|_| until == ENDLESS || until >> 1 <= went_on) else {
                return false;
            };
            connection.until.store(FORFEIT, Ordering::SeqCst);
            end.abort();
            true
        });
        ended.count()
    }
}

impl Lease {
    /// From now on it waits for a request, as long as a connection may rest.
    pub(super) fn rests(&self) {
        self.until.store(self.after(IDLE_SECS_MAX) | 1, Ordering::SeqCst);
    }

    /// From now on it waits for its client to close it.
    pub(super) fn lingers(&self, secs: u64) {
        self.until.store(self.after(secs) | 1, Ordering::Relaxed);
    }

    /// From now on a request comes in; until it is whole, nothing is lost by an end.
    pub(super) fn reads(&self) {
        self.until.store(self.after(REQUEST_SECS_MAX) | 1, Ordering::Relaxed);
    }

    /// What is under way from now on may take so long.
    pub(super) fn limits(&self, secs: u64) {
        self.until.store(self.after(secs), Ordering::Relaxed);
    }

    /// What is under way from now on may take as long as it takes.
    pub(super) fn waits(&self) {
        self.until.store(ENDLESS, Ordering::Relaxed);
    }

    /// Whether it is time to stop.
    pub(super) fn stops(&self) -> bool {
        self.overseer.stops.load(Ordering::SeqCst)
    }

    /// Whether what waits for its client is not to be sent any more.
    pub(super) fn is_forfeit(&self) -> bool {
        self.until.load(Ordering::SeqCst) == FORFEIT
    }

    /// How many connections share its thread with it.
    pub(super) fn neighbours(&self) -> usize {
        self.overseer.count()
    }

    /// So many seconds after the last look, which may be a second old.
    fn after(&self, secs: u64) -> u64 {
        (self.overseer.clock_secs.load(Ordering::Relaxed) + secs + 1) << 1
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.overseer.kept().leases.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::http::server::{LINGER_SECS_MAX, Options, Shares, WATCHED_LINGER_SECS_MAX};
    use crate::net::http::{Request, Response, Service, conversation};
    use crate::net::log::Log;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    /// Somebody.
    const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

    /// A task that holds its lease as told, for ever.
    fn held(overseer: &Arc<Overseer>, tell: impl FnOnce(&Lease) + Send + 'static) {
        // As a socket that listens for both has it.
        let peer = SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(), PEER.port());
        overseer.watch(peer, |lease| {
            let forever = async move {
                tell(&lease);
                std::future::pending::<()>().await;
                drop(lease);
            };
            tokio::spawn(forever).abort_handle()
        });
    }

    #[tokio::test]
    async fn a_lease_that_ran_out_ends_its_connection_and_no_other() {
        let overseer = Overseer::new();
        held(&overseer, |lease| lease.limits(0));
        held(&overseer, Lease::waits);
        held(&overseer, Lease::rests);
        tokio::task::yield_now().await;
        overseer.end_those(|until| until >> 1 <= 1);
        tokio::task::yield_now().await;
        assert_eq!(overseer.count(), 2);
        overseer.end_those(|until| until >> 1 <= IDLE_SECS_MAX + 1);
        tokio::task::yield_now().await;
        assert_eq!(overseer.count(), 1, "what waits without an end goes on");
    }

    /// Answers nothing, since it is never asked.
    struct Unasked;

    impl Service for Unasked {
        async fn call(&self, _: Request) -> Response {
            panic!("half a request was taken for a whole one")
        }
    }

    /// Answers with so many bytes.
    struct Long(usize);

    impl Service for Long {
        async fn call(&self, _: Request) -> Response {
            Response::new(200, "text/plain", vec![b'x'; self.0])
        }
    }

    /// An overseer whose clock stands where the test sets it.
    fn told_the_time() -> (Arc<Overseer>, Arc<AtomicU64>) {
        let secs = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&secs);
        (Overseer::by(Box::new(move || clock.load(Ordering::SeqCst))), secs)
    }

    /// A connection that is served and watched over, as its client holds it.
    async fn served(
        overseer: &Arc<Overseer>,
        service: impl Service,
        tls: Option<tokio_rustls::TlsAcceptor>,
        shares: Shares,
    ) -> TcpStream {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let (tcp, peer) = listener.accept().await.expect("it has come");
        let tcp = tcp.into_std().expect("it is open");
        overseer.watch(peer, |lease| {
            let held = async move {
                let (_said, stop) = watch::channel(false);
                let options = Options { upload: None, has_threads: false, tls, log: Log::silent(), stop };
                let _ = conversation::hold(tcp, peer, &service, &options, &shares, &lease).await;
            };
            tokio::spawn(held).abort_handle()
        });
        client
    }

    #[tokio::test]
    async fn a_request_or_a_handshake_that_only_drips_is_hung_up_on_in_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = crate::trust::Keys::open_or_create(folder.path(), crate::net::since_1970()).expect("keys");
        let tls = crate::net::tls::acceptor(&keys, "127.0.0.1:0".parse().expect("an address")).expect("TLS");
        let (head, body) = (&b"GET / HTTP/1.1\r\nHo"[..], &b"POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\nhalf"[..]);
        let handshake = &[0x16, 0x03, 0x01, 0x00, 0xff, 0x01][..];
        for (begin, tls) in [(head, None), (body, None), (handshake, Some(tls))] {
            let (overseer, clock) = told_the_time();
            let mut client = served(&overseer, Unasked, tls, Shares::new()).await;
            client.write_all(begin).await.expect("it is read");
            let in_time = |until: u64| until >> 1 <= REQUEST_SECS_MAX + 1;
            let is_told = || overseer.kept().leases.values().all(|held| in_time(held.until.load(Ordering::SeqCst)));
            let told = async {
                while !is_told() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), told).await.expect("its time is counted");
            // A little more each second does not buy it time.
            for secs in 1..=REQUEST_SECS_MAX {
                clock.store(secs, Ordering::SeqCst);
                overseer.sweep();
                client.write_all(b"x").await.expect("it is still open");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            assert_eq!((overseer.count(), REQUEST_SECS_MAX), (1, 20), "it has its time");
            clock.store(REQUEST_SECS_MAX + 1, Ordering::SeqCst);
            overseer.sweep();
            let mut answer = Vec::new();
            // What it sent last may lie unread: then the end is a reset.
            let end = tokio::time::timeout(Duration::from_secs(60), client.read_to_end(&mut answer)).await;
            assert!(end.is_ok() && answer.is_empty(), "it is hung up on");
        }
    }

    /// Waits until the one connection there is may go on no longer than this second, and rests.
    async fn rests_until(overseer: &Overseer, secs: u64) {
        let until =
            || overseer.kept().leases.values().map(|held| held.until.load(Ordering::SeqCst)).collect::<Vec<_>>();
        let told = async {
            while until() != [secs << 1 | 1] {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(60), told).await.is_ok(), "{:?}", until());
    }

    #[tokio::test]
    async fn a_connection_that_is_to_close_does_so_soon_after_its_client_was_sent_everything() {
        // More than a client's window, and less than the kernel takes.
        const BYTES: usize = 256 << 10;
        let last = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
        let watched = || Shares { is_watched: Arc::new(true.into()), ..Shares::new() };
        for (bytes, shares) in [(0, watched()), (10_000, watched()), (20_000, Shares::new()), (BYTES, Shares::new())] {
            let (overseer, clock) = told_the_time();
            let is_watched = shares.is_watched.load(Ordering::Relaxed);
            let linger_secs = if is_watched { WATCHED_LINGER_SECS_MAX } else { LINGER_SECS_MAX };
            let mut client = served(&overseer, Long(bytes), None, shares).await;
            client.write_all(last).await.expect("it is read");
            if bytes == BYTES {
                // It reads nothing, and what the kernel keeps for it is watched over meanwhile.
                rests_until(&overseer, IDLE_SECS_MAX + 1).await;
            }
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.expect("the end comes without a reset");
            assert!(answer.ends_with(&vec![b'x'; bytes]) && answer.starts_with(b"HTTP/1.1 200"), "all of it");
            // It does not close. What it says now was not asked for, and ends nothing.
            client.write_all(b"more").await.expect("it is read past");
            rests_until(&overseer, linger_secs + 1).await;
            clock.store(linger_secs, Ordering::SeqCst);
            overseer.sweep();
            tokio::task::yield_now().await;
            assert_eq!(overseer.count(), 1, "it has its time");
            clock.store(linger_secs + 1, Ordering::SeqCst);
            overseer.sweep();
            let ended = async {
                while overseer.count() > 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), ended).await.expect("it ends");
        }
    }

    /// Of a connection that is to close, or that its client has closed for its part: what waits for him is in sight until he
    /// has taken it, and once nothing is to go out of sight, until he has confirmed it.
    #[tokio::test]
    async fn what_waits_for_a_client_is_in_sight_and_goes_with_its_connection_once_it_is_watched() {
        const BYTES: usize = 256 << 10;
        let (last, not_last) =
            (&b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"[..], &b"GET / HTTP/1.1\r\nHost: f\r\n\r\n"[..]);
        for (request, closes, is_watched) in
            [(last, false, true), (last, true, true), (not_last, true, true), (not_last, true, false)]
        {
            let (overseer, clock) = told_the_time();
            let shares = Shares { is_watched: Arc::new(is_watched.into()), ..Shares::new() };
            let mut client = served(&overseer, Long(BYTES), None, shares).await;
            client.write_all(request).await.expect("it is read");
            if closes {
                client.shutdown().await.expect("it is open");
            }
            // It takes what its own side has room for, and the answer is whole in the kernel, but has not left.
            rests_until(&overseer, IDLE_SECS_MAX + 1).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert_eq!(overseer.count(), 1, "it is in sight");
            clock.store(IDLE_SECS_MAX + 1, Ordering::SeqCst);
            overseer.sweep();
            let ended = async {
                while overseer.count() > 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), ended).await.expect("it had its time");
            let end = client.read_to_end(&mut Vec::new()).await;
            assert_eq!(end.is_err(), is_watched, "{end:?}: the system goes on sending only where it may");
        }
    }

    #[tokio::test]
    async fn whoever_has_confirmed_all_has_his_end_at_once_though_all_are_watched() {
        for closes_first in [true, false] {
            let (overseer, _) = told_the_time();
            let shares = Shares { is_watched: Arc::new(true.into()), ..Shares::new() };
            let mut client = served(&overseer, Long(10_000), None, shares).await;
            client.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await.expect("it is read");
            if closes_first {
                client.shutdown().await.expect("it is open");
            }
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.expect("the end comes without a reset");
            assert!(answer.ends_with(&[b'x'; 10_000]), "all of it");
            drop(client);
            let ended = async {
                while overseer.count() > 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), ended).await.expect("nothing is waited for");
        }
    }

    #[tokio::test]
    async fn a_short_answer_that_is_the_last_is_left_to_the_system() {
        for last in ["GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
            let (overseer, _) = told_the_time();
            let mut client = served(&overseer, Long(10_000), None, Shares::new()).await;
            client.write_all(last.as_bytes()).await.expect("it is read");
            let ended = async {
                while overseer.count() > 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            // The client has neither taken it nor closed.
            tokio::time::timeout(Duration::from_secs(60), ended).await.expect("nothing is waited for");
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.expect("the end comes without a reset");
            assert!(answer.ends_with(&[b'x'; 10_000]) && answer.starts_with(b"HTTP/1.1 200"), "all of it");
        }
    }

    #[tokio::test]
    async fn who_is_named_and_has_taken_nothing_is_hung_up_on() {
        let (overseer, clock) = told_the_time();
        held(&overseer, |lease| lease.limits(STALL_SECS_MAX));
        held(&overseer, Lease::rests);
        held(&overseer, Lease::waits);
        tokio::task::yield_now().await;
        let others = HashSet::from([SocketAddr::new(PEER.ip(), 2)]);
        clock.store(UNREAD_SECS_MAX - 1, Ordering::SeqCst);
        overseer.sweep();
        assert_eq!(overseer.hang_up(&others), 0);
        assert_eq!(overseer.hang_up(&HashSet::from([PEER])), 2, "the answer of one has gone on a moment ago");
        tokio::task::yield_now().await;
        assert_eq!(overseer.count(), 1);
        clock.store(UNREAD_SECS_MAX, Ordering::SeqCst);
        overseer.sweep();
        assert_eq!((overseer.hang_up(&others), overseer.hang_up(&HashSet::from([PEER]))), (0, 1));
        tokio::task::yield_now().await;
        assert_eq!(overseer.count(), 0);
    }

    #[tokio::test]
    async fn leases_are_looked_at_while_connections_are_served() {
        let (overseer, clock) = told_the_time();
        held(&overseer, Lease::reads);
        held(&overseer, Lease::waits);
        tokio::task::yield_now().await;
        clock.store(REQUEST_SECS_MAX + 1, Ordering::SeqCst);
        let (said, stop) = watch::channel(false);
        let run = overseer.run(stop);
        let ended = async {
            while overseer.count() > 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            () = run => panic!("nobody said the word to stop"),
            ended = tokio::time::timeout(Duration::from_secs(60), ended) => ended.expect("the lease ran out"),
        }
        drop(said);
    }

    #[tokio::test]
    async fn with_the_word_to_stop_those_at_rest_end_and_the_others_may_finish() {
        let overseer = Overseer::new();
        held(&overseer, Lease::rests);
        let (done, mut is_done) = tokio::sync::oneshot::channel();
        overseer.watch(PEER, |lease| {
            let busy = async move {
                lease.waits();
                while !lease.stops() {
                    tokio::time::sleep(STOPPING).await;
                }
                let _ = done.send(());
            };
            tokio::spawn(busy).abort_handle()
        });
        let (_said, stop) = watch::channel(true);
        tokio::task::yield_now().await;
        overseer.run(stop).await;
        assert_eq!(is_done.try_recv(), Ok(()));
        assert_eq!(overseer.count(), 0);
    }
}
