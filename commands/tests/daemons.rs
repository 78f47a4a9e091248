//! The daemons as processes: what strangers do to them, and how they end.

use crate::Cluster;
use rocks::demo::packages::{DistributionSpec, make_distribution};
use rocks::store::Store;
use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Far longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// The host that is to install, and somebody else.
const HOST: [u8; 4] = [127, 1, 0, 1];
const STRANGER: [u8; 4] = [127, 1, 0, 9];

/// A daemon and what it has said; ended with the test.
struct Daemon {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reading: Option<std::thread::JoinHandle<()>>,
}

impl Daemon {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&lines);
        let reading = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                heard.lock().unwrap().push(line);
            }
        });
        Self { child, lines, reading: Some(reading) }
    }

    fn serve(cluster: &Cluster) -> Self {
        Self::start(cluster.command(&["serve", "--listen", "127.0.0.1:0", "--peer-port", "0"]))
    }

    fn track(cluster: &Cluster) -> Self {
        Self::start(cluster.command(&["track", "--listen", "127.0.0.1:0"]))
    }

    /// Waits for a line with all these words.
    fn says(&self, words: &[&str]) -> String {
        let begun = Instant::now();
        loop {
            if let Some(line) = self.has_said(words) {
                return line;
            }
            assert!(begun.elapsed() < PATIENCE, "no line with {words:?} in {:#?}", self.lines.lock().unwrap());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its first line with all these words.
    fn has_said(&self, words: &[&str]) -> Option<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().find(|line| words.iter().all(|word| line.contains(word))).cloned()
    }

    /// The address that it says it listens at, by the key of that.
    fn at(&self, key: &str) -> SocketAddr {
        let line = self.says(&["event=", &format!(" {key}=")]);
        line.split_once(&format!(" {key}=")).unwrap().1.split(' ').next().unwrap().parse().unwrap()
    }

    /// Ends it with SIGTERM: how, and all that it said.
    fn end(mut self) -> (ExitStatus, Vec<String>) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        self.reading.take().unwrap().join().unwrap();
        let lines = self.lines.lock().unwrap().clone();
        (status, lines)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connect(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let tcp = TcpStream::from(socket);
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp
}

/// Says this, and hears all that comes back.
fn say(from: [u8; 4], to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut tcp = connect(from, to);
    // It may have heard enough before the end.
    let _ = tcp.write_all(bytes);
    let _ = tcp.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = tcp.read_to_end(&mut answer);
    answer
}

fn get(from: [u8; 4], to: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    String::from_utf8_lossy(&say(from, to, request.as_bytes())).into_owned()
}

/// A cluster with a host that is to install, and a distribution with one long file beside its packages.
fn cluster() -> Cluster {
    let cluster = Cluster::new();
    let tree = cluster.scratch().join("tree");
    let spec = DistributionSpec { bytes: 1 << 20, packages: 2, ..DistributionSpec::default() };
    make_distribution(&tree, &spec).unwrap();
    let long = std::fs::File::create(tree.join("long")).unwrap();
    long.set_len(256 << 20).unwrap();
    cluster.rocks(&format!("add-distribution base {} --release rhel9", tree.display())).ok();
    cluster.rocks("add-network loop 127.1.0.0/16").ok();
    cluster.rocks("add-host compute-0-0 --appliance compute --ip 127.1.0.1 --mac 52:54:00:00:00:01").ok();
    cluster.rocks("set-boot compute-0-0 install").ok();
    cluster
}

/// Whether a line is made of `key=value`, a value bare or in quotes.
fn is_key_value(line: &str) -> bool {
    let mut rest = line;
    loop {
        let Some((key, after)) = rest.split_once('=') else { return false };
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
            return false;
        }
        let end = match after.strip_prefix('"') {
            None => after.find(' ').unwrap_or(after.len()),
            Some(quoted) => {
                let mut is_escaped = false;
                let end = quoted.find(|c| {
                    let ends = c == '"' && !is_escaped;
                    is_escaped = c == '\\' && !is_escaped;
                    ends
                });
                let Some(end) = end else { return false };
                end + 2
            }
        };
        match after[end..].strip_prefix(' ') {
            Some(next) => rest = next,
            None => return after.len() == end,
        }
    }
}

#[test]
fn daemons_write_keys_and_values_and_end_cleanly_on_sigterm_whatever_their_clients_do() {
    assert!(is_key_value(r#"level=info event=x reason="a \"b\" c" n=1"#));
    for wrong in ["thread 'main' panicked", "event=x and more", "event=x reason=\"open", "=x"] {
        assert!(!is_key_value(wrong), "{wrong}");
    }
    let cluster = cluster();
    let (serve, track) = (Daemon::serve(&cluster), Daemon::track(&cluster));
    let (http, peers, tracker) = (serve.at("http"), serve.at("peers"), track.at("listen"));
    let mut held = Vec::new();
    for (to, begin) in [
        (http, &b""[..]),
        (http, b"GET / HT"),
        (http, b"POST /install/events HTTP/1.1\r\nContent-Length: 50\r\n\r\n{"),
        (http, b"\x16\x03\x01\x00\xff\x01"),
        (http, b"GET /status/events HTTP/1.1\r\n\r\n"),
        // Nobody reads of these answers more than their first bytes.
        (http, b"GET /install/distributions/base/long HTTP/1.1\r\n\r\n"),
        (http, b"GET /install/distributions/base/long HTTP/1.1\r\n\r\n"),
        (peers, b"\x13BitTorrent pro"),
        (tracker, b""),
        (tracker, b"GET /announce?info_hash="),
    ] {
        let mut tcp = connect(HOST, to);
        tcp.write_all(begin).unwrap();
        if begin.ends_with(b"1.1\r\n\r\n") {
            tcp.read_exact(&mut [0; 15]).unwrap();
        }
        held.push(tcp);
    }
    assert!(get(STRANGER, http, "/install/profile").contains("403"));
    serve.says(&["event=host-unknown", "address=127.1.0.9", "rocks add-host"]);
    // The store's lock is held: who is waited for is in the log as well.
    let store = Store::open(&cluster.path()).unwrap();
    let locked = store.write("a long piece of work", |_| {
        assert!(get(HOST, http, "/install/profile").contains("200"));
        let holder = format!("process {}", std::process::id());
        for event in ["event=store-held", "event=store-waits"] {
            serve.says(&[event, &holder]);
        }
        Ok(())
    });
    locked.unwrap();
    for daemon in [track, serve] {
        let (status, lines) = daemon.end();
        assert!(status.success(), "{status}: {lines:#?}");
        // What it still writes comes behind that.
        let last = lines.iter().rfind(|line| !line.contains("event=store-written")).expect("it said something");
        assert!(last.contains("event=stopping"), "{lines:#?}");
        let wrong: Vec<_> = lines.iter().filter(|line| !is_key_value(line) || !line.starts_with("level=")).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
    drop(held);
}

#[test]
fn strangers_stop_nothing_and_change_nothing() {
    let cluster = cluster();
    let (serve, track) = (Daemon::serve(&cluster), Daemon::track(&cluster));
    let (http, peers, tracker) = (serve.at("http"), serve.at("peers"), track.at("listen"));
    let known = || {
        let export = cluster.rocks("export").json();
        ["hosts", "boots", "attributes", "networks", "appliances", "distributions"].map(|part| export[part].to_string())
    };
    let before = known();
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(10_000));
    let deep = "[".repeat(60_000);
    let post = |path: &str, body: &str| {
        format!("POST {path} HTTP/1.1\r\nContent-Length: {}\r\nX-Forwarded-For: 127.1.0.1\r\n\r\n{body}", body.len())
    };
    let requests = [
        long,
        many,
        post("/install/events", &deep),
        post("/install/events", r#"{"phase":"installed"}"#),
        post("/install/events", r#"{"phase":"installed","bytes":1e400}"#),
        post("/install/events", r#"{"phase":"failed","message":"\ud800"}"#),
        post("/install/token", ""),
        post("/rocks/installed", ""),
        "DELETE /install/profile HTTP/1.1\r\n\r\n".to_owned(),
        "PUT /install/distributions/base/long HTTP/1.1\r\nContent-Length: 1\r\n\r\nx".to_owned(),
        "CONNECT 127.0.0.1:22 HTTP/1.1\r\n\r\n".to_owned(),
        "PROXY TCP4 127.1.0.1 127.0.0.1 1 2\r\nGET /install/profile HTTP/1.1\r\n\r\n".to_owned(),
        "GET /install/boot/52:54:00:00:00:01 HTTP/1.1\r\n\r\n".to_owned(),
        "GET /install/distributions/base/long HTTP/1.1\r\nRange: bytes=18446744073709551615-\r\n\r\n".to_owned(),
        "GET /install/distributions/base/long HTTP/1.1\r\nRange: bytes=-0,1-,0-0\r\n\r\n".to_owned(),
        "GET /announce?info_hash=%00&peer_id=&port=99999&ip=127.1.0.1 HTTP/1.1\r\n\r\n".to_owned(),
        "GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1&ip=127.1.0.1 HTTP/1.1\r\n\r\n"
            .to_owned(),
        "GET /scrape HTTP/1.1\r\n\r\n".to_owned(),
    ];
    let others: [&[u8]; 5] = [
        b"\x16\x03\x01\xff\xff\xff\xff\xff\xff",
        b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb",
        &[0xff; 4096],
        &[0; 4096],
        b"\n\n\n\n",
    ];
    for to in [http, peers, tracker] {
        for bytes in requests.iter().map(String::as_bytes).chain(others) {
            let answer = String::from_utf8_lossy(&say(STRANGER, to, bytes)).into_owned();
            assert!(!answer.contains("<kickstart") && !answer.contains("token="), "{answer}");
        }
    }
    for to in [peers, tracker] {
        let udp = UdpSocket::bind(SocketAddr::from((STRANGER, 0))).unwrap();
        for bytes in others.into_iter().chain([&b""[..], &[0; 16], &[1; 98]]) {
            udp.send_to(&bytes[..bytes.len().min(1400)], to).unwrap();
        }
    }
    let script = get(HOST, http, "/install/boot/52:54:00:00:00:01");
    assert!(script.contains("token="), "the host itself is served still: {script}");
    let announce = "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1&left=1";
    assert!(get(HOST, tracker, announce).contains("8:interval"), "and so it is by the tracker");
    for daemon in [track, serve] {
        let (status, lines) = daemon.end();
        assert!(status.success(), "{status}");
        let wrong: Vec<_> = lines.iter().filter(|line| !is_key_value(line)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
    // What was to be written is written now.
    assert!(known() == before, "a word of theirs is in the store: {}", cluster.rocks("log").ok());
}

#[test]
fn a_machine_hangs_up_on_peers_that_are_not_in_the_clusters_networks() {
    let cluster = cluster();
    let info_hash = cluster.rocks("export").json()["distributions"][0]["info_hash"].as_str().unwrap().to_owned();
    let byte = |at: usize| u8::from_str_radix(&info_hash[at..at + 2], 16).unwrap();
    let mut hello = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0".to_vec();
    hello.extend((0..40).step_by(2).map(byte));
    hello.extend(b"-XX0000-abcdefghijkl");
    let serve = Daemon::serve(&cluster);
    let free = || TcpListener::bind(SocketAddr::from((HOST, 0))).unwrap().local_addr().unwrap();
    let (peers, door) = (free(), free().to_string());
    let (frontend, port) = (format!("http://{}", serve.at("http")), peers.port().to_string());
    let words = ["fetch", "--frontend", &frontend, "--bind", "127.1.0.1", "--peer-port", &port, "--proxy", &door];
    let mut machine = cluster.command(&words);
    machine.arg("--cache").arg(cluster.scratch().join("cache"));
    let machine = Daemon::start(machine);
    machine.says(&["event=set-complete"]);
    let greet = |from: [u8; 4]| {
        let mut tcp = connect(from, peers);
        let _ = tcp.write_all(&hello);
        tcp.read_exact(&mut [0; 68]).is_ok()
    };
    assert!(greet([127, 1, 0, 7]), "a neighbour");
    assert!(!greet([127, 9, 0, 7]), "somebody from elsewhere");
    machine.says(&["event=peer-refused", "address=127.9.0.7:"]);
    machine.end();
}

#[test]
fn where_all_places_are_taken_a_newcomer_waits_and_one_address_has_not_taken_them_all() {
    let cluster = cluster();
    // With so few descriptors there are 128 places.
    for words in [&["serve", "--listen", "127.0.0.1:0", "--peer-port", "0"][..], &["track", "--listen", "127.0.0.1:0"]]
    {
        let program = cluster.command(words);
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -n 640 && exec \"$0\" \"$@\""]).arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        let daemon = Daemon::start(limited);
        let at = daemon.at(if words[0] == "serve" { "http" } else { "listen" });
        let mut held = Vec::new();
        let mut crowd = |words: &[&str], from: fn(u8) -> [u8; 4]| {
            let begun = Instant::now();
            for n in (1..=200).cycle() {
                if daemon.has_said(words).is_some() {
                    return;
                }
                assert!(begun.elapsed() < PATIENCE, "no line with {words:?}");
                // More than these would fill the backlog too, where nobody is told that he waits.
                if held.len() < 1000 {
                    held.push(connect(from(n), at));
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        };
        crowd(&["event=address-crowds", "address=127.1.0.9"], |_| STRANGER);
        assert!(get(HOST, at, "/metrics").ends_with("# EOF\n"), "others have places");
        crowd(&["event=connections-full", "limit=128"], |n| [127, 1, 1, n]);
        let newcomer = std::thread::spawn(move || get(HOST, at, "/metrics"));
        drop(held);
        assert!(newcomer.join().unwrap().ends_with("# EOF\n"), "it waited, and was not turned away");
        let (status, _) = daemon.end();
        assert!(status.success());
    }
}
