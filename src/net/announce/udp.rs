//! Announces and scrapes over UDP (BEP 15).
//!
//! A connection id is a keyed hash of the client's address and the minute: it proves that the client hears what is sent
//! to its address, and costs no memory. What does not carry one is answered with less than it brought, or not at all.

use super::Shared;
use super::metrics::Counters;
use crate::net::NetError;
use crate::net::addresses::reachable_at;
use crate::tracker::Refusal;
use crate::wire::udp::{DATAGRAM_BYTES_MAX, Request, Response};
use socket2::{Domain, Protocol, Socket, Type};
use std::hash::BuildHasher;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A connection id is good until the end of the window after the one it was given in.
const WINDOW_SECS: u64 = 60;
/// How often a thread sees whether to stop.
const STOP_LOOK: Duration = Duration::from_millis(200);
/// What the system keeps of datagrams that were not read yet: a herd of ten thousand.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// How long nothing is read after the system refused to.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// Listens at this address; where it is every address, also at each of the machine's own, so that an answer leaves
/// from the address that was asked.
pub(super) fn bind_all(address: SocketAddr) -> Result<Vec<UdpSocket>, NetError> {
    let mut sockets = vec![bind(address)?];
    if address.ip().is_unspecified() {
        // One that has just gone away is no reason not to start.
        sockets.extend(reachable_at(address).into_iter().filter_map(|own| bind(own).ok()));
    }
    Ok(sockets)
}

fn bind(address: SocketAddr) -> Result<UdpSocket, NetError> {
    let open = || -> std::io::Result<UdpSocket> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        // TCP on the same port was had first, so that no other tracker listens here.
        socket.set_reuse_address(true)?;
        // A smaller one is only slower.
        let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
        socket.set_read_timeout(Some(STOP_LOOK))?;
        // A client that takes no answers holds up nobody.
        socket.set_write_timeout(Some(ERROR_PAUSE))?;
        socket.bind(&address.into())?;
        Ok(UdpSocket::from(socket))
    };
    open().map_err(|source| NetError::Listen { address, source })
}

/// Answers one socket's datagrams, on a thread of its own that waits for nothing else: what wakes it is read at once.
pub(super) struct Answering {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Answering {
    /// Starts it.
    pub(super) fn start(shared: Arc<Shared>, socket: UdpSocket) -> Result<Self, NetError> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let work = move || answer(&shared, &socket, &stopped);
        let thread = std::thread::Builder::new().name("announce-udp".to_owned()).spawn(work);
        let thread = thread.map_err(|error| NetError::Said(format!("cannot start a thread: {error}")))?;
        Ok(Self { stop, thread })
    }

    /// Has it end soon.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits for its end.
    pub(super) fn join(self) {
        // It panics in no case we know of; if it did, there is nothing left to wait for.
        let _ = self.thread.join();
    }
}

fn answer(shared: &Shared, socket: &UdpSocket, stop: &AtomicBool) {
    let mut buffer = [0; DATAGRAM_BYTES_MAX];
    let mut out = Vec::with_capacity(DATAGRAM_BYTES_MAX);
    while !stop.load(Ordering::Relaxed) {
        match socket.recv_from(&mut buffer) {
            Ok((count, from)) => {
                out.clear();
                answer_one(shared, from.ip().to_canonical(), &buffer[..count], &mut out);
                if !out.is_empty() {
                    // Where the answer cannot leave, the client asks again.
                    let _ = socket.send_to(&out, from);
                }
            }
            // It is time to see whether to stop; or an unreachable client's complaint comes in place of a datagram.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable) => {}
            Err(error) => {
                shared.log.warning("receive-failed", &[("why", &error)]);
                std::thread::sleep(ERROR_PAUSE);
            }
        }
    }
}

fn answer_one(shared: &Shared, from: IpAddr, datagram: &[u8], out: &mut Vec<u8>) {
    let response = match Request::decode(datagram) {
        Ok(Request::Connect { transaction }) => {
            Response::Connect { transaction, connection: connection_id(shared, from, window(shared)) }
        }
        Ok(Request::Announce { connection, transaction, announce }) => {
            if !is_connected(shared, from, connection) {
                return put_stale(transaction, out);
            }
            Counters::count(&shared.counters.udp_announces);
            let outcome = shared.announce(from, &announce);
            shared.note(from, &announce, &outcome);
            match outcome {
                Ok(reply) => Response::Announce { transaction, reply },
                Err(refusal) => Response::Error { transaction, reason: refusal.to_string() },
            }
        }
        Ok(Request::Scrape { connection, transaction, hashes }) => {
            if !is_connected(shared, from, connection) {
                return put_stale(transaction, out);
            }
            Counters::count(&shared.counters.scrapes);
            match shared.scrape(from, None, &hashes) {
                Some(entries) => {
                    Response::Scrape { transaction, entries: entries.into_iter().map(|(_, entry)| entry).collect() }
                }
                None => Response::Error { transaction, reason: Refusal::UnknownHost { ip: from }.to_string() },
            }
        }
        Err(_) => return Counters::count(&shared.counters.malformed),
    };
    response.encode(out, from.is_ipv6());
}

/// The answer to a connection id that is too old or was never given: shorter than any request that carries one.
fn put_stale(transaction: u32, out: &mut Vec<u8>) {
    Response::Error { transaction, reason: "connect".to_owned() }.encode(out, false);
}

fn window(shared: &Shared) -> u64 {
    shared.now().as_secs() / WINDOW_SECS
}

fn connection_id(shared: &Shared, from: IpAddr, window: u64) -> u64 {
    shared.secret.hash_one((from, window))
}

fn is_connected(shared: &Shared, from: IpAddr, connection: u64) -> bool {
    let now = window(shared);
    (now.saturating_sub(1)..=now).any(|window| connection == connection_id(shared, from, window))
}
