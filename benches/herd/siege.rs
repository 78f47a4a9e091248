//! Strangers that try to stop or slow the frontend, and a machine beside them that installs. Each attack is a process of
//! its own (this one again, nice 19, so that what is measured is the server's work for it and not its own), from
//! addresses of no host.

use crate::client::Connection;
use crate::servers::{Cluster, FILES, host_address};
use rocks::net::tls::Believer;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Tells a process of this bench that it is to attack: the attack, where the frontend is, where its seed is.
const ATTACK: &str = "ROCKS_BENCH_ATTACK";
/// How long each attack goes on, after it has begun.
const TIME: Duration = Duration::from_secs(6);
/// What it is given to begin.
const BEGIN: Duration = Duration::from_secs(2);
/// How often the machine asks for its profile and a file.
const EVERY: Duration = Duration::from_millis(20);
/// Connections of an attack that asks again and again.
const MANY: u32 = 500;
/// Connections of an attack that only holds them.
const HELD: u32 = 10_000;
/// Requests that are sent together.
const PIPELINED: usize = 100;
/// What the machine asks for.
const FILE: &str = "/install/distributions/herd/images/1m.img";

const ATTACKS: [&str; 10] = [
    "nobody",
    "heads that drip",
    "TLS handshakes left",
    "profiles of others",
    "metainfo without end",
    "requests in heaps",
    "reports of nonsense",
    "files left unread",
    "heads full of ranges",
    "peers at the seed",
];

/// What the machine waited, in milliseconds: the median and the 99th percentile.
#[derive(Debug, Default)]
struct Waits(Vec<f64>);

impl Waits {
    fn at(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
    }
}

/// Attacks where this process is one that is to, and says so.
pub(crate) async fn attacks() -> bool {
    let Ok(told) = std::env::var(ATTACK) else { return false };
    let mut words = told.split(',');
    let mut word = || words.next().expect("three words").to_owned();
    let (what, frontend, seed) = (word(), word(), word());
    let _ = rustix::process::nice(19);
    let (frontend, seed) = (frontend.parse().expect("an address"), seed.parse().expect("an address"));
    attack(&what, frontend, seed).await;
    true
}

/// Prints what each attack costs the machine beside it.
pub(crate) async fn run(cluster: &Cluster) {
    let server = cluster.serve(&[]);
    let seed = cluster.seed_address();
    println!(
        "{:<22} {:>16} {:>16} {:>16} {:>16} {:>7} {:>12} {:>9}",
        "siege", "profile, median", "p99", "1 MB, median", "p99", "failed", "server CPU", "peak MB"
    );
    for what in ATTACKS {
        let attacker = start(what, server.address, seed);
        tokio::time::sleep(BEGIN).await;
        let cpu = server.cpu_secs();
        let (profiles, files, failed) = install(server.address).await;
        let cores = (server.cpu_secs() - cpu) / TIME.as_secs_f64();
        println!(
            "{what:<22} {:>13.1} ms {:>13.1} ms {:>13.1} ms {:>13.1} ms {failed:>7} {cores:>6.2} cores {:>9.1}",
            profiles.at(0.5),
            profiles.at(0.99),
            files.at(0.5),
            files.at(0.99),
            server.peak_mb(),
        );
        drop(attacker);
        // Its connections end, and what it had asked for is over.
        tokio::time::sleep(BEGIN).await;
    }
}

/// Ends an attack with its value.
struct Attacker(Child);

impl Drop for Attacker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(what: &str, frontend: SocketAddr, seed: SocketAddr) -> Attacker {
    let own = std::env::current_exe().expect("this program is a file");
    let mut command = Command::new(own);
    command.env(ATTACK, format!("{what},{frontend},{seed}")).stdin(Stdio::null());
    Attacker(command.spawn().expect("this program starts"))
}

/// A machine asks for its profile and for a file, again and again, on new connections.
async fn install(frontend: SocketAddr) -> (Waits, Waits, u32) {
    let (begin, mut failed) = (Instant::now(), 0);
    let (mut profiles, mut files) = (Waits::default(), Waits::default());
    for n in 0.. {
        let from = Some(IpAddr::V4(host_address(n % 64)));
        let asked = Instant::now();
        let got = async {
            let mut connection = Connection::open(from, frontend).await?;
            let profile = connection.get("/install/profile", "").await?;
            profiles.0.push(asked.elapsed().as_secs_f64() * 1e3);
            let asked = Instant::now();
            let file = connection.get(FILE, "").await?;
            files.0.push(asked.elapsed().as_secs_f64() * 1e3);
            Ok::<_, std::io::Error>(profile.status == 200 && file.body_bytes == FILES[1].1 as u64)
        };
        let limit = tokio::time::timeout(Duration::from_secs(20), got).await;
        failed += u32::from(!matches!(limit, Ok(Ok(true))));
        if begin.elapsed() >= TIME {
            break;
        }
        tokio::time::sleep(EVERY).await;
    }
    (profiles, files, failed)
}

async fn attack(what: &str, frontend: SocketAddr, seed: SocketAddr) {
    let requests = |text: &str, count| Arc::new(text.repeat(count).into_bytes());
    let get = |path: &str, fields: &str| format!("GET {path} HTTP/1.1\r\nHost: herd\r\n{fields}\r\n");
    let gzip = "Accept-Encoding: gzip\r\n";
    match what {
        "heads that drip" => hold(frontend, b"GET / HTTP/1.1\r\n", Some(b"x")).await,
        "TLS handshakes left" => again(frontend, Arc::new(client_hello()), true).await,
        "profiles of others" => again(frontend, requests(&get("/install/profile", ""), 1), false).await,
        "metainfo without end" => {
            again(frontend, requests(&get("/install/metainfo/herd.torrent", gzip), 1), false).await
        }
        "requests in heaps" => {
            let heap = get("/status.json", gzip) + &get("/metrics", "") + &get("/nothing/../../etc/passwd", "");
            again(frontend, requests(&heap, PIPELINED), false).await;
        }
        "reports of nonsense" => {
            let body = "[".repeat(60_000);
            let whole = format!("POST /install/events HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let endless = "POST /install/events HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
            again(frontend, requests(&(whole + endless), 1), false).await;
        }
        "files left unread" => {
            let file = get("/install/distributions/herd/images/100m.img", "");
            hold(frontend, file.as_bytes(), None).await;
        }
        "heads full of ranges" => {
            let ranges = (0..1500).map(|n| format!("{n}-{n}")).collect::<Vec<_>>().join(",");
            again(frontend, requests(&get(FILE, &format!("Range: bytes={ranges}\r\n")), 1), false).await;
        }
        "peers at the seed" => again(seed, Arc::new(b"\x13BitTorrent protocol".to_vec()), true).await,
        _ => {}
    }
    std::future::pending::<()>().await;
}

/// A connection of a stranger.
async fn connect(n: u32, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let from = u32::from(Ipv4Addr::new(127, 9, 0, 1)) + n / HELD;
    // What a stranger keeps is kept on its own machine, not on this one.
    socket.set_recv_buffer_size(4096)?;
    socket.bind(SocketAddr::new(Ipv4Addr::from(from).into(), 0))?;
    socket.connect(to).await
}

/// Opens connections, says something on each and then no more, or a little again and again; reads nothing.
async fn hold(to: SocketAddr, first: &[u8], more: Option<&[u8]>) {
    let mut held = Vec::new();
    for n in 0..HELD {
        let Ok(mut stream) = connect(n, to).await else { continue };
        let _ = stream.write_all(first).await;
        held.push(stream);
    }
    loop {
        for stream in &held {
            let _ = more.map(|more| stream.try_write(more));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// On each of many connections says the same again and again, reading what is answered; on a new one each time where
/// told so, and where the other side hangs up.
async fn again(to: SocketAddr, words: Arc<Vec<u8>>, always_anew: bool) {
    for n in 0..MANY {
        let words = Arc::clone(&words);
        tokio::spawn(async move {
            loop {
                let Ok(stream) = connect(n, to).await else {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                let _ = converse(stream, &words, always_anew).await;
            }
        });
    }
}

async fn converse(stream: TcpStream, words: &[u8], once: bool) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    if once {
        // Unread answers and a hard end: nothing of it stays.
        let mut stream = stream;
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        stream.write_all(words).await?;
        return stream.read(&mut buffer[..1]).await.map(|_| ());
    }
    let (mut reading, mut writing) = stream.into_split();
    let says = async {
        loop {
            writing.write_all(words).await?;
        }
    };
    let hears = async {
        while reading.read(&mut buffer).await? > 0 {}
        Ok(())
    };
    tokio::select! {
        said = says => said,
        heard = hears => heard,
    }
}

/// The first words of a TLS handshake, which the other end has to answer with all that costs it most.
fn client_hello() -> Vec<u8> {
    let config = Believer::new(None).config().expect("a configuration");
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    let mut client = ClientConnection::new(config, name).expect("a client");
    let mut hello = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut hello).expect("memory takes it");
    }
    hello
}
