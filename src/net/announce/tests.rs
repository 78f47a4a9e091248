use super::*;
use crate::cluster::{BootAction, Host, HostName, Interface, Network, NetworkName, Service};
use crate::net::fixture::assert_open_metrics;
use crate::torrent::PeerId;
use crate::tracker::REPORTERS_TO_DROP;
use crate::wire::http::{Reply, announce_query, read_announce_reply};
use crate::wire::udp::{Request, Response};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use tokio::sync::oneshot;

const SWARM: InfoHash = InfoHash([7; 20]);

/// A tracker in a thread of its own; ends with the value.
struct Running {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Running {
    fn start(store: Store) -> Self {
        let (end, ended) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let log_lines = Arc::clone(&lines);
        let log = Log::new(move |_, line| log_lines.lock().expect("nobody panics here").push(line.to_owned()));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let ready = move |address| {
                let _ = tell.send(address);
            };
            let ended = async { drop(ended.await) };
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            runtime.expect("threads").block_on(run(any, store, log, ready, ended)).expect("a free port");
        });
        Self { address: told.recv().expect("it listens"), end: Some(end), thread: Some(thread), lines }
    }

    /// A keep-alive connection from this host's address.
    fn connect(&self, n: u8) -> TcpStream {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from(([127, 1, 0, n], 0)).into()).expect("loopback has the address");
        socket.connect(&self.address.into()).expect("it listens");
        socket.into()
    }

    fn ask(&self, n: u8) -> Reply {
        self.ask_over(&mut self.connect(n), n)
    }

    fn ask_over(&self, stream: &mut TcpStream, n: u8) -> Reply {
        let query = announce_query(&announce(n));
        write!(stream, "GET /announce?{query} HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
        read_announce_reply(&body(stream)).expect("an answer")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.end.take());
        self.thread.take().expect("joined once").join().expect("it ends in order");
    }
}

fn announce(n: u8) -> Announce {
    Announce { left_bytes: 1, ..Announce::new(SWARM, PeerId::new([n; 12]), 6000 + u16::from(n)) }
}

/// Reads one answer's body.
fn body(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("text");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a length");
    let mut body = vec![0; length.parse().expect("a number")];
    stream.read_exact(&mut body).expect("a body");
    body
}

fn name(n: u8) -> HostName {
    HostName::parse(&format!("compute-0-{n}")).expect("a name")
}

/// A cluster of hosts at 127.1.0.1 and on, all told to install.
fn cluster(folder: &Path, hosts: u8) -> Store {
    let store = Store::create(folder).expect("a store");
    let network = Network {
        name: NetworkName::parse("loop").expect("a name"),
        subnet: "127.1.0.0/24".parse().expect("a subnet"),
        mtu_bytes: 1500,
        zone: None,
    };
    let filled = store.write("fill", |w| {
        w.add_network(&network)?;
        for n in 1..=hosts {
            let ip = Some(IpAddr::from([127, 1, 0, n]));
            let interfaces =
                vec![Interface { name: "eth0".into(), mac: None, ip, network: Some(network.name.clone()) }];
            let host = Host { name: name(n), appliance: "compute".into(), rack: None, rank: None, interfaces };
            w.add_host(&host)?;
            w.set_boot(&host.name, BootAction::Install)?;
        }
        Ok(())
    });
    filled.expect("a cluster");
    store
}

fn addresses(reply: Reply) -> Vec<String> {
    match reply {
        Reply::Peers(reply) => reply.peers.iter().map(|peer| peer.address.to_string()).collect(),
        Reply::Failure { reason, .. } => panic!("{reason}"),
    }
}

fn reason(reply: Reply) -> String {
    match reply {
        Reply::Peers(reply) => panic!("{reply:?}"),
        Reply::Failure { reason, .. } => reason,
    }
}

#[test]
fn hosts_are_pointed_at_each_other_as_the_store_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = cluster(folder.path(), 3);
    let running = Running::start(Store::open(folder.path()).expect("opened twice"));
    let (mut one, mut two) = (running.connect(1), running.connect(2));
    assert_eq!(addresses(running.ask_over(&mut one, 1)), [""; 0]);
    assert_eq!(addresses(running.ask_over(&mut two, 2)), ["127.1.0.1:6001"]);
    assert_eq!(addresses(running.ask_over(&mut one, 1)), ["127.1.0.2:6002"]);

    assert!(reason(running.ask(9)).contains("no host has the address '127.1.0.9'"));
    let told: Vec<String> = running.lines.lock().expect("nobody panics here").clone();
    assert!(told.iter().any(|line| line.starts_with("event=refused address=127.1.0.9 ")), "{told:?}");

    store.write("set boot", |w| w.set_boot(&name(1), BootAction::Os)).expect("written");
    while !addresses(running.ask_over(&mut two, 2)).is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(reason(running.ask_over(&mut one, 1)).contains("rocks set-boot compute-0-1 install"));

    // Told to install, a host is answered at once, not after the next look at the store.
    store.write("set boot", |w| w.set_boot(&name(1), BootAction::Install)).expect("written");
    assert_eq!(addresses(running.ask_over(&mut one, 1)), ["127.1.0.2:6002"]);
}

#[test]
fn the_service_writes_where_it_is_and_outlives_a_held_lock() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = cluster(folder.path(), 2);
    let other = Store::open(folder.path()).expect("opened twice");
    let held = store.write("hold the lock", |w| {
        let running = Running::start(other);
        assert_eq!(addresses(running.ask(1)), [""; 0]);
        assert_eq!(addresses(running.ask(2)), ["127.1.0.1:6001"]);
        assert_eq!(w.endpoint(Service::Track)?, None);
        Ok(running)
    });
    let running = held.expect("written");
    loop {
        let found = store.read(|r| Ok((r.endpoint(Service::Track)?, r.endpoint(Service::TrackUdp)?))).expect("read");
        if let (Some(http), Some(udp)) = found {
            assert_eq!((http.addresses, udp.addresses), (vec![running.address], vec![running.address]));
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(running);
    let left = store.read(|r| Ok((r.endpoint(Service::Track)?, r.endpoint(Service::TrackUdp)?))).expect("read");
    assert_eq!(left, (None, None), "nobody is sent to a tracker that has ended");
}

#[test]
fn announces_over_udp_need_a_connection_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(cluster(folder.path(), 2));
    let socket = |n: u8| {
        let socket = UdpSocket::bind(SocketAddr::from(([127, 1, 0, n], 0))).expect("loopback has the address");
        socket.connect(running.address).expect("it listens");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        socket
    };
    let exchange = |socket: &UdpSocket, request: Request| {
        let (mut out, mut buffer) = (Vec::new(), [0; 2000]);
        request.encode(&mut out);
        socket.send(&out).expect("sent");
        let count = socket.recv(&mut buffer).expect("an answer");
        // Whoever has no connection id of his own may be somebody else's victim: his answer is no longer than his request.
        let is_proven =
            matches!(Request::decode(&out), Ok(Request::Announce { transaction: 6, .. } | Request::Scrape { .. }));
        assert!(is_proven || count <= out.len(), "an answer to {} bytes has {count}", out.len());
        Response::decode(&buffer[..count], false).expect("an answer")
    };
    let connect = |socket: &UdpSocket| match exchange(socket, Request::Connect { transaction: 5 }) {
        Response::Connect { transaction: 5, connection } => connection,
        other => panic!("{other:?}"),
    };
    let (one, two) = (socket(1), socket(2));
    let asks = |n, connection| Request::Announce { connection, transaction: 6, announce: announce(n) };
    let forged = Request::Announce { connection: 1, transaction: 7, announce: announce(1) };
    assert!(matches!(exchange(&one, forged), Response::Error { transaction: 7, .. }));
    let (id_one, id_two) = (connect(&one), connect(&two));
    assert!(matches!(exchange(&one, asks(1, id_one)), Response::Announce { transaction: 6, .. }));
    let Response::Announce { reply, .. } = exchange(&two, asks(2, id_two)) else { panic!("an answer") };
    assert_eq!(addresses(Reply::Peers(reply)), ["127.1.0.1:6001"]);
    assert!(matches!(exchange(&two, asks(2, id_one)), Response::Error { transaction: 6, .. }), "another's id");
    let Response::Scrape { entries, .. } =
        exchange(&two, Request::Scrape { connection: id_two, transaction: 1, hashes: vec![SWARM] })
    else {
        panic!("numbers")
    };
    assert_eq!(entries, [ScrapeEntry { complete: 0, downloaded: 0, incomplete: 2 }]);
    let stranger = socket(9);
    let id = connect(&stranger);
    assert!(matches!(exchange(&stranger, asks(9, id)), Response::Error { reason, .. } if reason.contains("add-host")));
}

#[test]
fn nobody_announces_an_address_but_his_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(cluster(folder.path(), 4));
    let ask_with = |n: u8, query: &str, field: &str| {
        let mut stream = running.connect(n);
        let own = announce_query(&announce(n));
        write!(stream, "GET /announce?{query}{own}{query} HTTP/1.1\r\nHost: x\r\n{field}\r\n").expect("sent");
        read_announce_reply(&body(&mut stream)).expect("an answer")
    };
    let ways = [
        ("&ip=127.1.0.4&", ""),
        ("&ipv4=127.1.0.4%3A6004&", ""),
        ("&ipv6=%5B%3A%3Affff%3A127.1.0.4%5D%3A6004&", ""),
        ("", "X-Forwarded-For: 127.1.0.4\r\n"),
        ("", "Forwarded: for=127.1.0.4\r\n"),
        ("", "X-Real-IP: 127.1.0.4\r\n"),
    ];
    for (query, field) in ways {
        addresses(ask_with(1, query, field));
        assert!(reason(ask_with(9, query, field)).contains("no host has the address '127.1.0.9'"), "{query}{field}");
        assert_eq!(addresses(running.ask(2)), ["127.1.0.1:6001"], "{query}{field}");
    }
    // A datagram has a place for an address, behind what it counts, event included.
    let socket = UdpSocket::bind("127.1.0.3:0").expect("loopback has the address");
    socket.connect(running.address).expect("it listens");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let exchange = |request: &[u8]| {
        let mut buffer = [0; 2000];
        socket.send(request).expect("sent");
        let count = socket.recv(&mut buffer).expect("an answer");
        Response::decode(&buffer[..count], false).expect("an answer")
    };
    let mut connect = Vec::new();
    Request::Connect { transaction: 5 }.encode(&mut connect);
    let Response::Connect { connection, .. } = exchange(&connect) else { panic!("an id") };
    let mut asks = Vec::new();
    Request::Announce { connection, transaction: 6, announce: announce(3) }.encode(&mut asks);
    asks[84..88].copy_from_slice(&[127, 1, 0, 4]);
    assert!(matches!(exchange(&asks), Response::Announce { .. }));
    let mut named = addresses(running.ask(2));
    named.sort();
    assert_eq!(named, ["127.1.0.1:6001", "127.1.0.3:6003"], "the fourth has never announced itself");
}

#[test]
fn announces_change_nothing_in_the_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = cluster(folder.path(), 2);
    let running = Running::start(Store::open(folder.path()).expect("opened twice"));
    let endpoint = || store.read(|r| r.endpoint(Service::Track)).expect("read");
    while endpoint().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let generation = || store.read(|r| r.generation()).expect("read");
    let before = generation();
    addresses(running.ask(1));
    addresses(running.ask(2));
    reason(running.ask(9));
    assert_eq!(generation(), before, "it answers from what it has read, and writes nothing of what it hears");
}

#[test]
fn what_is_no_announce_is_answered_and_does_no_harm() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(cluster(folder.path(), 1));
    let answer = |text: &[u8]| {
        let mut stream = running.connect(1);
        stream.write_all(text).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer and an end");
        String::from_utf8_lossy(&answer).into_owned()
    };
    let metrics = answer(b"GET /metrics HTTP/1.0\r\n\r\n");
    assert!(metrics.contains("rocks_track_hosts 1\n"));
    assert_open_metrics(metrics.split_once("\r\n\r\n").expect("head and body").1);
    assert!(answer(b"GET /else HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 404"));
    assert!(
        answer(b"GET /announce?info_hash=x HTTP/1.0\r\n\r\n").ends_with("d14:failure reason19:malformed info_hashe")
    );
    assert!(answer(b"POST /announce HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400"));
    assert!(answer(&[b'G'; 9000]).starts_with("HTTP/1.1 400"));
    // Two requests in one write are two answers.
    let both = answer(b"GET /scrape HTTP/1.1\r\n\r\nGET /scrape HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert_eq!(both.matches("d5:filesdee").count(), 2);
}

#[test]
fn reports_of_strangers_do_not_reach_the_log_and_those_of_a_host_once_a_while() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(cluster(folder.path(), 2));
    let report = |n: u8| {
        let bad_peers = (1..=8).map(|port| SocketAddr::from(([127, 1, 0, 2], port))).collect();
        let query = announce_query(&Announce { bad_peers, ..announce(n) });
        let mut stream = running.connect(n);
        write!(stream, "GET /announce?{query} HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
        read_announce_reply(&body(&mut stream)).expect("an answer")
    };
    let told = || {
        let lines = running.lines.lock().expect("nobody panics here");
        lines.iter().filter(|line| line.starts_with("event=reported-bad")).count()
    };
    for _ in 0..3 {
        assert!(reason(report(9)).contains("no host"));
    }
    assert_eq!(told(), 0);
    // As many as would drop a host's peer, were they hosts.
    addresses(running.ask(2));
    let query = |n: u8| {
        let bad_peers = vec![SocketAddr::from(([127, 1, 0, 2], 6002))];
        announce_query(&Announce { bad_peers, ..announce(n) })
    };
    for n in 9..9 + REPORTERS_TO_DROP as u8 {
        let mut stream = running.connect(n);
        write!(stream, "GET /announce?{} HTTP/1.1\r\nHost: x\r\n\r\n", query(n)).expect("sent");
        reason(read_announce_reply(&body(&mut stream)).expect("an answer"));
    }
    assert_eq!(addresses(running.ask(1)), ["127.1.0.2:6002"], "it is named still");
    for _ in 0..3 {
        addresses(report(1));
    }
    assert_eq!(told(), 8);
}
