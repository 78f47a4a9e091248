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
use rustix::io::Errno;
use rustix::net::{MMsgHdr, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrAny, recvfrom, sendmmsg, sendto};
use socket2::{Domain, Protocol, Socket, Type};
use std::hash::BuildHasher;
use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A connection id is good until the end of the window after the one it was given in.
const WINDOW_SECS: u64 = 60;
/// Answers that leave together.
const ANSWERS_MAX: usize = 32;
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
    let mut answers = Answers::default();
    while !stop.load(Ordering::Relaxed) {
        // Waits for one, then takes what has come behind it.
        let mut how = RecvFlags::empty();
        loop {
            match recvfrom(socket, &mut buffer, how) {
                Ok((count, _, Some(from))) => answers.add(shared, from, &buffer[..count]),
                Ok((_, _, None)) => {}
                // None is there, or it is time to see whether to stop.
                Err(Errno::WOULDBLOCK | Errno::INTR) => break,
                // An unreachable client's complaint comes in place of a datagram.
                Err(Errno::CONNREFUSED | Errno::HOSTUNREACH) => {}
                Err(error) => {
                    shared.log.warning("receive-failed", &[("why", &error)]);
                    std::thread::sleep(ERROR_PAUSE);
                    break;
                }
            }
            if answers.to.len() >= ANSWERS_MAX {
                break;
            }
            how = RecvFlags::DONTWAIT;
        }
        answers.send(socket);
    }
}

/// Answers that leave in one call.
#[derive(Default)]
struct Answers {
    bytes: Vec<u8>,
    /// To whom, and where in the bytes each one ends.
    to: Vec<(SocketAddrAny, usize)>,
}

impl Answers {
    fn add(&mut self, shared: &Shared, from: SocketAddrAny, datagram: &[u8]) {
        let Ok(client) = SocketAddr::try_from(from.clone()) else { return };
        let before = self.bytes.len();
        answer_one(shared, client.ip().to_canonical(), datagram, &mut self.bytes);
        if self.bytes.len() > before {
            self.to.push((from, self.bytes.len()));
        }
    }

    /// Sends them; where one cannot leave, its client asks again.
    fn send(&mut self, socket: &UdpSocket) {
        if let [(to, _)] = &self.to[..] {
            let _ = sendto(socket, &self.bytes, SendFlags::empty(), to);
        } else {
            let begins = std::iter::once(0).chain(self.to.iter().map(|(_, end)| *end));
            let parts: Vec<[IoSlice<'_>; 1]> =
                begins.zip(&self.to).map(|(begin, (_, end))| [IoSlice::new(&self.bytes[begin..*end])]).collect();
            let mut controls: Vec<_> = parts.iter().map(|_| SendAncillaryBuffer::default()).collect();
            let mut messages: Vec<_> = std::iter::zip(&self.to, &parts)
                .zip(&mut controls)
                .map(|(((to, _), part), control)| MMsgHdr::new_with_addr(to, part, control))
                .collect();
            let mut left = &mut messages[..];
            while !left.is_empty() {
                let sent = sendmmsg(socket, left, SendFlags::empty()).unwrap_or(0).clamp(1, left.len());
                left = &mut left[sent..];
            }
        }
        self.bytes.clear();
        self.to.clear();
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
    [now, now.saturating_sub(1)].into_iter().any(|window| connection == connection_id(shared, from, window))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_leave_together_reach_each_its_own_client() {
        let open = || bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("loopback has ports");
        let (tracker, clients) = (open(), [open(), open(), open()]);
        clients.iter().for_each(|client| client.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout"));
        let mut answers = Answers::default();
        for count in 1..=3 {
            for (n, client) in clients.iter().enumerate().take(count) {
                answers.bytes.extend(vec![n as u8; n + count]);
                let to = client.local_addr().expect("bound").into();
                answers.to.push((to, answers.bytes.len()));
            }
            answers.send(&tracker);
            for (n, client) in clients.iter().enumerate().take(count) {
                let mut buffer = [9; 100];
                assert_eq!(client.recv(&mut buffer).expect("an answer"), n + count);
                assert!(buffer[..n + count].iter().all(|byte| usize::from(*byte) == n));
            }
        }
        assert!(answers.to.is_empty() && answers.bytes.is_empty());
    }
}
