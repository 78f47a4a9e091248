//! The server: accepts connections and hands them to those who serve them.

use super::conversation;
use super::head::Request;
use super::response::Response;
use super::unread;
use super::workers::Workers;
use crate::net::log::Log;
use crate::net::places::Places;
use crate::net::rate::Bucket;
use crate::net::seldom::Seldom;
use crate::net::turns::Turns;
use crate::net::{CONGESTION_CONTROL, NetError};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

/// Connections that wait to be accepted.
pub const BACKLOG_MAX: u32 = 4096;
/// The longest head.
pub const HEAD_BYTES_MAX: usize = 16 << 10;
/// The longest body of a request: a report is far shorter.
pub const BODY_BYTES_MAX: u64 = 64 << 10;
/// How long the head or body of a request may take from its first byte.
pub const REQUEST_SECS_MAX: u64 = 20;
/// How long a connection may rest between requests.
pub const IDLE_SECS_MAX: u64 = 75;
/// How long a connection that was told to close waits for its client to do so, once it has little to take: what it sends
/// meanwhile is read past.
pub const LINGER_SECS_MAX: u64 = 5;
/// The same while nothing goes out of sight: `unread.rs` says when.
pub const WATCHED_LINGER_SECS_MAX: u64 = 2;
/// The longest answer after which a connection that its client wants closed is closed at once, which saves a wake-up and a
/// call: with its head it fits into what leaves before a client has taken anything (ten segments, RFC 6928).
pub const LEFT_BYTES_MAX: u64 = 12 << 10;
/// TLS handshakes of one address at one time; a further one waits for its turn.
pub const ADDRESS_HANDSHAKES_MAX: usize = 16;
/// Long answers to one address at one time; a further one waits. What nobody reads lies in the kernel, 140 kB for each, and
/// with 16,000 of them all that it has for TCP is gone, for everybody: `unread.rs` has what this does not see.
pub const ADDRESS_LONG_ANSWERS_MAX: usize = 4096;
/// From this length on an answer is a long one.
pub const LONG_ANSWER_BYTES: u64 = 64 << 10;
/// How long a client may take no byte of its answer.
pub const STALL_SECS_MAX: u64 = 90;
/// How long answers may go on after the word to stop.
pub const STOP_SECS_MAX: u64 = 2;

/// What answers requests.
pub trait Service: Send + Sync + 'static {
    /// Answers one request.
    fn call(&self, request: Request) -> impl Future<Output = Response> + Send;
}

/// How a server is run.
#[derive(Clone)]
pub struct Options {
    /// What bodies are sent at, all connections together.
    pub upload: Option<Arc<Bucket>>,
    /// Whether connections are served by threads of their own, one for each core, rather than by the caller's runtime.
    pub has_threads: bool,
    /// Offers TLS beside the clear: a connection that begins with a TLS handshake gets it.
    pub tls: Option<tokio_rustls::TlsAcceptor>,
    /// Where limits that were reached are told.
    pub log: Log,
    /// Turns true when it is time to stop.
    pub stop: watch::Receiver<bool>,
}

/// What one address has only a share of.
#[derive(Debug, Clone)]
pub(super) struct Shares {
    pub(super) handshakes: Arc<Turns>,
    pub(super) long_answers: Arc<Turns>,
    /// Whether nothing that somebody is to take goes out of sight: whoever has not confirmed that it came is waited for.
    pub(super) is_watched: Arc<AtomicBool>,
}

impl Shares {
    pub(super) fn new() -> Self {
        Self {
            handshakes: Turns::new(usize::MAX, ADDRESS_HANDSHAKES_MAX),
            long_answers: Turns::new(usize::MAX, ADDRESS_LONG_ANSWERS_MAX),
            is_watched: Arc::default(),
        }
    }
}

/// Listens, with a long backlog.
pub fn listen(address: SocketAddr) -> Result<TcpListener, NetError> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let bound = socket.and_then(|socket| {
        socket.set_reuseaddr(true)?;
        // Connections inherit both.
        socket.set_nodelay(true)?;
        let _ = socket2::SockRef::from(&socket).set_tcp_congestion(CONGESTION_CONTROL);
        socket.bind(address)?;
        socket.listen(BACKLOG_MAX)
    });
    bound.map_err(|source| NetError::Listen { address, source })
}

/// Serves until told to stop; then connections at rest close at once, the others have [`STOP_SECS_MAX`].
pub async fn serve<S: Service>(listener: TcpListener, service: Arc<S>, options: Options) {
    let workers =
        if options.has_threads { Workers::of_their_own(&options.stop) } else { Workers::of_the_callers(&options.stop) };
    let (workers, places) = (Arc::new(workers), Places::new());
    let shares = Shares::new();
    if let (true, Ok(at)) = (options.has_threads, listener.local_addr()) {
        let (log, stop) = (options.log.clone(), options.stop.clone());
        let is_watched = Arc::clone(&shares.is_watched);
        tokio::spawn(unread::keep_watch(at.port(), Arc::clone(&workers), Arc::clone(&places), is_watched, log, stop));
    }
    let (mut was_full, told) = (false, Seldom::default());
    let mut stop = options.stop.clone();
    let options = Arc::new(options);
    loop {
        if places.is_full() && !was_full {
            was_full = true;
            options.log.warning("connections-full", &[("limit", &places.all())]);
        }
        let Some(free) = places.free().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((tcp, peer)) => {
                was_full = false;
                let Some(place) = places.take(free, peer.ip()) else {
                    if told.is_due(peer.ip()) {
                        let limit = places.share();
                        options.log.warning("address-crowds", &[("address", &peer.ip()), ("limit", &limit)]);
                    }
                    // Nothing of it stays with the system, whatever its client confirms.
                    let _ = socket2::SockRef::from(&tcp).set_linger(Some(Duration::ZERO));
                    continue;
                };
                let (service, options, shares) = (Arc::clone(&service), Arc::clone(&options), shares.clone());
                // Until it is served it belongs to no runtime.
                let Ok(tcp) = tcp.into_std() else { continue };
                workers.serve(peer, |lease| async move {
                    // Whoever goes away in the middle of an exchange harms only himself.
                    let _ = conversation::hold(tcp, peer, &*service, &options, &shares, &lease).await;
                    drop((place, service));
                });
            }
            Err(error) => {
                // Out of descriptors, or a connection that died in the backlog: neither may end the server.
                if told.is_due(Ipv4Addr::UNSPECIFIED.into()) {
                    options.log.warning("accept-failed", &[("reason", &error)]);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    places.empty().await;
}
