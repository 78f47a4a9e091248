//! The load: announces of the same ten thousand peers, over UDP, over a connection each, over connections that stay.

use super::trackers::Tracker;
use rocks::torrent::{InfoHash, PeerId};
use rocks::wire::Announce;
use rocks::wire::http::announce_query;
use rocks::wire::udp::{Request, Response};
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// The swarm that is announced: the one that `aquatic_udp_load_test` announces where it has only one.
pub(crate) const SWARM: InfoHash = InfoHash([
    0x9b, 0x2c, 0x89, 0x02, 0x11, 0x27, 0xd2, 0x1d, 0x52, 0x98, 0x38, 0x27, 0xff, 0x49, 0xff, 0xb3, 0xf7, 0x83, 0xd5,
    0xaf,
]);
/// Peers that announce at one time, in each thread.
const AT_ONCE: u32 = 32;
/// Threads of the load.
const THREADS: u32 = 2;

/// How announces come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// Datagrams.
    Udp,
    /// HTTP, a connection each.
    Http,
    /// HTTP over connections that stay.
    KeepAlive,
}

impl Load {
    /// The word that asks for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Http => "http",
            Self::KeepAlive => "keep-alive",
        }
    }
}

/// What one measurement found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// Announces answered in a second.
    pub(crate) per_sec: f64,
    /// Processor time of the tracker for each, in microseconds.
    pub(crate) cpu_micros: f64,
}

/// The address of peer `n`; that of the first one is where other generators announce from.
pub(crate) fn peer_ip(n: u32) -> Ipv4Addr {
    let [high, low] = [n / 250, n % 250 + 1].map(|part| part as u8);
    Ipv4Addr::new(127, 0, high, low)
}

/// Allows as many sockets as the system does.
pub(crate) fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

fn announce(n: u32) -> Announce {
    let mut id = [b'b'; 12];
    id[..4].copy_from_slice(&n.to_be_bytes());
    // What a client that is downloading says most of the time.
    Announce { left_bytes: 1 << 30, peers_wanted: Some(25), ..Announce::new(SWARM, PeerId::new(id), 6881) }
}

/// Has every peer announce once, over UDP or else over HTTP.
pub(crate) fn fill(tracker: &Tracker, peers: u32) {
    for first in (0..peers).step_by(AT_ONCE as usize) {
        let some = first..(first + AT_ONCE).min(peers);
        if tracker.takes.contains(&Load::Udp) {
            Udp::new(tracker.address, some).round();
        } else {
            http_round(&mut connect_all(tracker.address, some.clone()), some, "close");
        }
    }
}

/// Loads a tracker for so long.
pub(crate) fn measure(tracker: &Tracker, load: Load, secs: u64) -> Measured {
    let address = tracker.address;
    let (begun, cpu) = (Instant::now(), tracker.cpu_micros());
    let until = begun + Duration::from_secs(secs);
    let threads = (0..THREADS).map(|thread| {
        let peers = thread * AT_ONCE..(thread + 1) * AT_ONCE;
        std::thread::spawn(move || {
            let mut answered = 0_u64;
            match load {
                Load::Udp => {
                    let mut udp = Udp::new(address, peers);
                    while Instant::now() < until {
                        answered += udp.round();
                    }
                }
                Load::Http => {
                    while Instant::now() < until {
                        answered += http_round(&mut connect_all(address, peers.clone()), peers.clone(), "close");
                    }
                }
                Load::KeepAlive => {
                    let mut streams = connect_all(address, peers.clone());
                    while Instant::now() < until {
                        answered += http_round(&mut streams, peers.clone(), "keep-alive");
                    }
                }
            }
            answered
        })
    });
    let answered: u64 = threads.collect::<Vec<_>>().into_iter().map(|thread| thread.join().expect("no panic")).sum();
    let secs = begun.elapsed().as_secs_f64();
    Measured { per_sec: answered as f64 / secs, cpu_micros: (tracker.cpu_micros() - cpu) / answered.max(1) as f64 }
}

/// A row of peers, each with its socket and connection id.
struct Udp {
    peers: Vec<(UdpSocket, Vec<u8>)>,
}

impl Udp {
    fn new(tracker: SocketAddr, peers: std::ops::Range<u32>) -> Self {
        let connect = |n: u32| {
            let socket = UdpSocket::bind((peer_ip(n), 0)).expect("loopback has the address");
            socket.connect(tracker).expect("a route");
            socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout");
            let mut datagram = Vec::new();
            Request::Connect { transaction: n }.encode(&mut datagram);
            let mut buffer = [0; 2048];
            let connection = (0..10).find_map(|_| {
                socket.send(&datagram).ok()?;
                let count = socket.recv(&mut buffer).ok()?;
                match Response::decode(&buffer[..count], false) {
                    Ok(Response::Connect { connection, .. }) => Some(connection),
                    other => panic!("no connection id but {other:?}"),
                }
            });
            datagram.clear();
            let connection = connection.expect("the tracker answers");
            Request::Announce { connection, transaction: n, announce: announce(n) }.encode(&mut datagram);
            (socket, datagram)
        };
        Self { peers: peers.map(connect).collect() }
    }

    /// Has all announce, then reads all answers; counts these.
    fn round(&mut self) -> u64 {
        for (socket, datagram) in &self.peers {
            let _ = socket.send(datagram);
        }
        let mut buffer = [0; 2048];
        let mut answered = 0;
        for (socket, _) in &self.peers {
            let Ok(count) = socket.recv(&mut buffer) else { continue };
            // Action 1 is the answer to an announce; anything else would not be work done.
            assert!(count >= 20 && buffer[..4] == [0, 0, 0, 1], "refused: {}", buffer[8..count].escape_ascii());
            answered += 1;
        }
        answered
    }
}

fn connect_all(tracker: SocketAddr, peers: std::ops::Range<u32>) -> Vec<TcpStream> {
    let connect = |n: u32| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("an option");
        socket.bind(&SocketAddr::from((peer_ip(n), 0)).into()).expect("loopback has the address");
        socket.connect(&tracker.into()).expect("the tracker listens");
        TcpStream::from(socket)
    };
    peers.map(connect).collect()
}

/// Has all announce, then reads all answers; counts these.
fn http_round(streams: &mut [TcpStream], peers: std::ops::Range<u32>, connection: &str) -> u64 {
    for (stream, n) in streams.iter_mut().zip(peers) {
        let query = announce_query(&announce(n));
        let request = format!("GET /announce?{query} HTTP/1.1\r\nHost: tracker\r\nConnection: {connection}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
    }
    let mut answered = 0;
    for stream in streams {
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while !is_whole(&answer) {
            let count = stream.read(&mut buffer).expect("an answer");
            answer.extend_from_slice(&buffer[..count]);
            assert!(count > 0, "cut off: {}", answer.escape_ascii());
        }
        assert!(answer.windows(8).any(|window| window == b"interval"), "refused: {}", answer.escape_ascii());
        answered += 1;
    }
    answered
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    answer.len() >= end + 4 + length.unwrap_or(0)
}
