//! The door before a frontend that fails in every way it can.

use super::super::fixture::{Fixture, client};
use super::super::http::client::{Client, Origin};
use super::super::http::{Body, Request, Response, Segment, Service, server};
use super::super::links::{Member, Setup, Supply, WEB_SEED_HEADER, WebSeed, encode_path};
use super::super::log::Log;
use super::*;
use crate::swarm::{Event, SessionConfig, WebSeedOutcome};
use crate::torrent::{Metainfo, PeerId};
use bytes::Bytes;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

const TREE: &str = "/install/distributions/el9/";

/// How the next answers go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Status(u16),
    Stall,
    Truncate,
    Corrupt,
    Reset,
}

const FAULTS: [Fault; 7] = [
    Fault::Status(503),
    Fault::Status(404),
    Fault::Status(500),
    Fault::Stall,
    Fault::Truncate,
    Fault::Corrupt,
    Fault::Reset,
];

/// What a repository says that wants a password.
const PASSWORD: &str = "Basic realm=\"vendor\"";

/// What goes wrong with a file that is asked for the so-manieth time.
type Faults = dyn Fn(&str, u32) -> Option<Fault> + Send + Sync;

/// Serves the fixture's files, and goes wrong the first so many times that each path is asked for.
struct Faulty {
    files: HashMap<String, Bytes>,
    asked: Mutex<HashMap<String, u32>>,
    fault: Box<Faults>,
}

impl Service for Faulty {
    async fn call(&self, request: Request) -> Response {
        let path = request.head.target.decoded_path().unwrap_or_default();
        let name = path.strip_prefix(TREE).unwrap_or(&path).to_owned();
        if request.head.headers.get(WEB_SEED_HEADER).is_some() {
            // What a busy frontend says to all that is asked for the swarm.
            return Response::text(503, "the seed is at work").with("Retry-After", "1");
        }
        let Some(content) = self.files.get(&name) else { return Response::text(404, "no such file") };
        let times = {
            let mut asked = self.asked.lock().expect("one test");
            let times = asked.entry(name.clone()).or_insert(0);
            *times += 1;
            *times - 1
        };
        let range = request.head.headers.get("range");
        let part = match super::super::http::ByteRange::parse(range, content.len() as u64) {
            super::super::http::ByteRange::Part(part) => part,
            _ => 0..content.len() as u64,
        };
        let body = content.slice(part.start as usize..part.end as usize);
        let status = if range.is_some() { 206 } else { 200 };
        let head = |response: Response| {
            let shown = format!("bytes {}-{}/{}", part.start, part.end - 1, content.len());
            response.with("Content-Range", shown).with("ETag", "\"one\"")
        };
        let stream = |keeps_open: bool| {
            let (sender, segments) = mpsc::channel(2);
            let half = Segment::Bytes(body.slice(..body.len() / 2));
            tokio::spawn(async move {
                let _ = sender.send(half).await;
                if keeps_open {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
            });
            let mut response = head(Response::new(status, "x", Bytes::new()));
            response.body = Body::Stream { length_bytes: Some(body.len() as u64), segments };
            response
        };
        match (self.fault)(&name, times) {
            None => head(Response::new(status, "x", body)),
            Some(Fault::Status(status)) => Response::text(status, "not now").with("WWW-Authenticate", PASSWORD),
            Some(Fault::Stall) => stream(true),
            Some(Fault::Truncate) => stream(false),
            Some(Fault::Corrupt) => {
                let mut wrong = body.to_vec();
                wrong[0] ^= 0xff;
                head(Response::new(status, "x", wrong))
            }
            Some(Fault::Reset) => {
                let mut response = Response::new(status, "x", Bytes::new());
                response.body = Body::Stream { length_bytes: Some(body.len() as u64), segments: mpsc::channel(1).1 };
                response
            }
        }
    }
}

/// Makes a cache in this folder, or in memory.
type Keeping = fn(&Path, Metainfo) -> Cache;

const IN_MEMORY: Keeping = |_, metainfo| Cache::in_memory(metainfo);

/// A door before a faulty frontend, and what keeps both alive.
struct Bed {
    fixture: Fixture,
    door: Arc<Door>,
    at: SocketAddr,
    _stop: watch::Sender<bool>,
    words: mpsc::Receiver<Said>,
}

impl Bed {
    fn new(is_loaded: bool, fault: impl Fn(&str, u32) -> Option<Fault> + Send + Sync + 'static) -> Self {
        Self::make(is_loaded.then_some(IN_MEMORY), false, None, fault)
    }

    /// A door whose cache keeps nothing: where its folder was, there is none any more and cannot be.
    fn without_room(fault: impl Fn(&str, u32) -> Option<Fault> + Send + Sync + 'static) -> Self {
        let full: Keeping = |folder, metainfo| {
            let place = folder.join("cache");
            let cache = Cache::on_disk(&place, metainfo).expect("a folder");
            std::fs::remove_dir_all(&place).and_then(|()| std::fs::write(&place, "")).expect("it was made just now");
            cache
        };
        Self::make(Some(full), false, None, fault)
    }

    /// A door that is told another digest of this package than it has.
    fn doubting(package: &str) -> Self {
        Self::make(Some(IN_MEMORY), false, Some(package), |_, _| None)
    }

    /// A door whose swarm's engine panics as soon as it announces itself.
    fn with_engine(fault: impl Fn(&str, u32) -> Option<Fault> + Send + Sync + 'static) -> Self {
        Self::make(Some(IN_MEMORY), true, None, fault)
    }

    fn make(
        cache: Option<Keeping>,
        has_engine: bool,
        doubted: Option<&str>,
        fault: impl Fn(&str, u32) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        let fixture = Fixture::new();
        let (stop, stopped) = watch::channel(false);
        let serve = || {
            let listener = server::listen("127.0.0.1:0".parse().expect("an address")).expect("a port");
            let at = listener.local_addr().expect("bound");
            (
                listener,
                at,
                server::Options {
                    upload: None,
                    has_threads: false,
                    tls: None,
                    log: Log::silent(),
                    stop: stopped.clone(),
                },
            )
        };
        let (listener, at, options) = serve();
        let mut files: HashMap<String, Bytes> =
            fixture.files.iter().map(|(name, bytes)| (name.clone(), bytes.clone().into())).collect();
        files.insert("/other/big".to_owned(), vec![7; 6 << 20].into());
        let faulty = Faulty { files, asked: Mutex::default(), fault: Box::new(fault) };
        tokio::spawn(server::serve(listener, Arc::new(faulty), options));
        let (origin, _) = Origin::parse(&format!("http://{at}")).expect("a URL");
        let frontend = Arc::new(Client::new(origin, None).with_stall(Duration::from_millis(300)));
        let (listener, at, options) = serve();
        let (say, words) = mpsc::channel(4);
        let door = Arc::new(Door::new(Arc::clone(&frontend), at, None, say, Log::silent()));
        if let Some(make) = cache {
            let cache = Arc::new(make(fixture.folder.path(), fixture.metainfo.clone()));
            let web_seed = WebSeed { client: frontend, tree_path: TREE.to_owned(), headers: Vec::new() };
            let setup = Setup {
                config: SessionConfig::machine(PeerId::new(*b"rocks-bad-da")),
                seed_value: 1,
                supply: Supply::Cache(Arc::clone(&cache)),
                web_seed: Some(web_seed.clone()),
                announcer: Some(Arc::new(|_, _, _| panic!("a defect of the engine, as this test wants it"))),
                bind: None,
                upload: None,
                download: None,
                log: Log::silent(),
            };
            let member = has_engine.then(|| Member::join(setup));
            let loaded = Loaded::new(cache, member, web_seed);
            let mut checksums = fixture.checksums();
            doubted.map(|package| checksums.insert(package.to_owned(), [0; 32]));
            loaded.checksums.set(checksums).expect("once");
            door.load(Arc::new(loaded));
        }
        tokio::spawn(server::serve(listener, Arc::clone(&door), options));
        Self { fixture, door, at, _stop: stop, words }
    }

    async fn get(&self, path: &str) -> Bytes {
        let patient = client(self.at, "127.0.0.1").with_stall(Duration::from_secs(60));
        patient.get_whole(path, &[]).await.expect("the door never fails")
    }

    /// Asks for every package in the installer's way: three at a time, in the order of names.
    async fn install(&self) {
        let names: Vec<String> = self.fixture.files.iter().map(|(name, _)| name.clone()).collect();
        for three in names.chunks(3) {
            let path = |name: &String| format!("{TREE}{}", encode_path(name));
            let paths: Vec<String> = three.iter().map(path).collect();
            let mut answers = tokio::task::JoinSet::new();
            for (place, path) in paths.into_iter().enumerate() {
                let at = self.at;
                answers.spawn(async move {
                    let patient = client(at, "127.0.0.1").with_stall(Duration::from_secs(60));
                    (place, patient.get_whole(&path, &[]).await.expect("the door never fails"))
                });
            }
            while let Some(answered) = answers.join_next().await {
                let (place, answer) = answered.expect("no panic");
                let name = &three[place];
                assert!(answer == self.fixture.content(name), "{name} came out wrong");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_fault_is_outlived_and_every_byte_is_right() {
    for fault in FAULTS {
        let bed = Bed::new(true, move |_, times| (times == 0).then_some(fault));
        bed.install().await;
    }
}

/// Every piece of it is right; asked for again, all of it is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_is_not_what_its_repository_says_never_comes_to_its_end() {
    let name = "p05+1~a.rpm";
    let bed = Bed::doubting(name);
    let patient = client(bed.at, "127.0.0.1").with_stall(Duration::from_secs(60));
    for _ in 0..2 {
        patient.get_whole(&format!("{TREE}{name}"), &[]).await.expect_err("its end is kept back");
    }
    let other = "p06+1~a.rpm";
    assert_eq!(bed.get(&format!("{TREE}{other}")).await, bed.fixture.content(other));
}

/// Then the digests of its pieces are all that is looked at.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_cache_has_no_room_for_passes_and_every_byte_is_right() {
    for fault in [None, Some(Fault::Corrupt), Some(Fault::Truncate)] {
        let bed = Bed::without_room(move |_, times| fault.filter(|_| times == 0));
        bed.install().await;
        let cache = bed.door.loaded().expect("loaded").cache.clone();
        let layout = bed.fixture.metainfo.layout();
        assert!(!layout.pieces().any(|piece| cache.has(piece)), "so much for the test itself");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_mixes_of_faults_are_outlived() {
    for seed_value in 0..3_u32 {
        let bed = Bed::new(true, move |name, times| {
            let mixed = name.bytes().fold(seed_value.wrapping_mul(2_654_435_761) ^ times, |mix, byte| {
                (mix ^ u32::from(byte)).wrapping_mul(16_777_619)
            });
            (mixed % 3 == 0 && times < 6).then(|| FAULTS[(mixed >> 8) as usize % FAULTS.len()])
        });
        bed.install().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_metainfo_faults_are_outlived_too() {
    for fault in [Fault::Status(503), Fault::Status(404), Fault::Truncate, Fault::Stall, Fault::Reset] {
        let bed = Bed::new(false, move |_, times| (times < 2).then_some(fault));
        let name = "p11+1~a.rpm";
        assert_eq!(bed.get(&format!("{TREE}{name}")).await, bed.fixture.content(name), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_file_that_breaks_off_is_resumed_where_it_broke() {
    let bed = Bed::new(true, |_, times| (times < 3).then_some(Fault::Truncate));
    let body = bed.get("/other/big").await;
    assert!(body.len() == 6 << 20 && body.iter().all(|byte| *byte == 7));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_is_a_proxy_and_honours_ranges_and_takes_words() {
    let mut bed = Bed::new(true, |_, _| None);
    let name = "p05+1~a.rpm";
    for origin in ["http://localhost", "HTTP://LOCALHOST"] {
        let absolute = format!("{origin}:{}{TREE}{name}", bed.at.port());
        assert_eq!(bed.get(&absolute).await, bed.fixture.content(name));
    }
    let through = client(bed.at, "127.0.0.1");
    let answer = through.get(&format!("{TREE}{name}"), &[("Range", "bytes=20000-20099")]).await.expect("an answer");
    assert_eq!(answer.status, 206);
    assert_eq!(answer.whole().await.expect("a part"), bed.fixture.content(name)[20_000..20_100]);
    for headers in [&[][..], &[("Range", "bytes=0-9")]] {
        let head = through.send("HEAD", &format!("{TREE}{name}"), headers, None).await.expect("a head");
        let length = head.headers.number("content-length");
        assert_eq!((head.status, length), (200, Some(bed.fixture.content(name).len() as u64)), "{headers:?}");
    }
    // A repository's address ends in a slash, and something puts another one behind it.
    assert_eq!(bed.get(&format!("{TREE}/{name}")).await, bed.fixture.content(name));
    let installer = tokio::spawn(async move {
        let said = through.post("/rocks/failed", &[], Bytes::from_static(b"reason=no disk")).await.expect("an answer");
        said.status
    });
    let said = bed.words.recv().await.expect("a word");
    assert_eq!(said.word, Word::Failed("no disk".to_owned()));
    assert!(!installer.is_finished(), "the installer waits until the frontend knows");
    said.heard.send(()).expect("it is waited for");
    assert_eq!(installer.await.expect("no panic"), 200);
    assert!(bed.door.passed_bytes().load(Ordering::Relaxed) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_fetched_for_the_swarm_can_wait_and_what_the_installer_asks_for_cannot() {
    let bed = Bed::new(true, |_, _| None);
    let loaded = bed.door.loaded().expect("it was told").clone();
    let metainfo = &bed.fixture.metainfo;
    let piece = metainfo.layout().pieces().next().expect("there are some");
    let for_the_swarm = loaded.web_seed.piece(metainfo, piece).await;
    assert_eq!(for_the_swarm, Err(WebSeedOutcome::Busy(Duration::from_secs(1))));
    let for_the_installer = loaded.web_seed.piece_within(Duration::from_secs(60), metainfo, piece).await;
    assert!(for_the_installer.is_ok());
    bed.install().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_lost_takes_nothing_with_it() {
    let bed = Bed::with_engine(|_, times| (times == 0).then_some(Fault::Truncate));
    let member = bed.door.loaded().expect("loaded").member.clone().expect("a swarm was joined");
    member.event(Event::Want { pieces: bed.fixture.metainfo.layout().pieces().collect() }).await;
    while member.is_alive() {
        tokio::task::yield_now().await;
    }
    bed.install().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_no_metainfo_is_asked_for_again_before_upstreams_own_status_passes() {
    let bed = Bed::new(true, |_, times| (times < 3).then_some(Fault::Status(503)));
    assert_eq!(bed.get("/other/big").await.len(), 6 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_wants_a_password_says_so_through_the_door() {
    let bed = Bed::new(true, |_, _| Some(Fault::Status(401)));
    let through = client(bed.at, "127.0.0.1");
    let answer = through.get("/other/big", &[]).await.expect("an answer");
    assert_eq!((answer.status, answer.headers.get("www-authenticate")), (401, Some(PASSWORD)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_goes_through_the_door_even_to_what_begins_to_listen_only_later() {
    let bed = Bed::new(true, |_, _| None);
    let reserved = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = reserved.local_addr().expect("bound");
    drop(reserved);
    let mut installer = tokio::net::TcpStream::connect(bed.at).await.expect("the door listens");
    // What comes behind the request at once is for the other end already.
    let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\nhello");
    installer.write_all(request.as_bytes()).await.expect("sent");
    tokio::task::yield_now().await;
    let server = tokio::net::TcpListener::bind(to).await.expect("the port is still free");
    let (mut there, _) = server.accept().await.expect("the door comes");
    let mut word = [0; 5];
    there.read_exact(&mut word).await.expect("a word");
    assert_eq!(&word, b"hello");
    there.write_all(b"and back").await.expect("sent");
    drop(there);
    let mut answer = String::new();
    installer.read_to_string(&mut answer).await.expect("an answer and an end");
    assert_eq!(answer, "HTTP/1.1 200 Connection established\r\n\r\nand back");
    let mut bad = tokio::net::TcpStream::connect(bed.at).await.expect("the door listens");
    bad.write_all(b"CONNECT nowhere HTTP/1.1\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    bad.read_to_string(&mut answer).await.expect("an answer and an end");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_the_other_end_passes_and_what_is_for_the_door_does_not() {
    let upstream = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = upstream.local_addr().expect("bound");
    let answering = tokio::spawn(async move {
        let (mut tcp, _) = upstream.accept().await.expect("the door comes");
        let mut asked = Vec::new();
        while !asked.ends_with(b"a=1&b=2") {
            assert!(tcp.read_buf(&mut asked).await.expect("read") > 0);
        }
        // Of two lengths that of the chunks counts.
        let head = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\"\r\nContent-Length: 3\r\n";
        let body = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        tcp.write_all([head, body].concat().as_bytes()).await.expect("written");
        String::from_utf8_lossy(&asked).to_ascii_lowercase()
    });
    let bed = Bed::new(true, |_, _| None);
    let through = client(bed.at, "127.0.0.1");
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("X-Own", "1"),
        ("Connection", "x-hop"),
        ("X-Hop", "1"),
        ("Expect", "100-continue"),
        ("Proxy-Authorization", "Basic x"),
    ];
    let form = Bytes::from_static(b"a=1&b=2");
    let answer = through.send("POST", &format!("http://{at}/form"), &headers, Some(form)).await.expect("an answer");
    assert_eq!((answer.status, answer.headers.get("www-authenticate")), (401, Some("Digest realm=\"r\"")));
    assert_eq!(answer.whole().await.expect("its words"), "hello");
    let asked = answering.await.expect("no panic");
    for (field, count) in [
        ("\r\ncontent-type: application/x-www-form-urlencoded\r\n", 1),
        ("\r\nx-own: 1\r\n", 1),
        ("content-type", 1),
        ("x-hop", 0),
        ("expect", 0),
        ("proxy-authorization", 0),
    ] {
        assert_eq!(asked.matches(field).count(), count, "{field}: {asked}");
    }
}

#[tokio::test]
async fn what_passes_through_leaves_its_keys_in_no_log() {
    let (log, lines) = crate::net::fixture::logged();
    // One that hangs up on all who ask, so that errors name what was asked for.
    let rude = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = rude.local_addr().expect("bound").port();
    std::thread::spawn(move || rude.incoming().for_each(drop));
    let origin = |port: u16| Origin::parse(&format!("http://127.0.0.1:{port}")).expect("a URL").0;
    let (stop, stopped) = watch::channel(false);
    let listener = server::listen("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let at = listener.local_addr().expect("bound");
    let frontend = Arc::new(Client::new(origin(nobody), None));
    frontend.set_token(Some("S3CRET.token".to_owned()));
    let door = Arc::new(Door::new(frontend, at, None, mpsc::channel(1).0, log.clone()));
    let options = server::Options { upload: None, has_threads: false, tls: None, log, stop: stopped };
    tokio::spawn(server::serve(listener, door, options));
    let asking = client(at, "127.0.0.1");
    for url in [
        format!("http://127.0.0.1:{nobody}/repo/x.rpm?X-Amz-Signature=S3CRET"),
        format!("http://S3CRET:S3CRET@127.0.0.1:{nobody}/x.rpm"),
        "/images/x?token=S3CRET".to_owned(),
    ] {
        // What is posted is asked for once.
        let keys = [("Authorization", "Basic S3CRET"), ("Proxy-Authorization", "Basic S3CRET"), ("Cookie", "S3CRET")];
        let answer = asking.send("POST", &url, &keys, Some(Bytes::new())).await.expect("the door answers");
        assert!(answer.status >= 400, "{url}: {}", answer.status);
        let text = answer.whole().await.expect("its words");
        assert!(!String::from_utf8_lossy(&text).contains("S3CRET"), "{url}: {text:?}");
    }
    let lines = lines.lock().expect("no panic").join("\n");
    assert!(lines.matches("event=upstream-lost").count() == 2 && lines.contains("/repo/x.rpm"), "{lines}");
    assert!(!lines.contains("S3CRET"), "{lines}");
    stop.send_replace(true);
}

/// An end that takes in what it is sent over a connection that was kept, and then goes, as it does when it is started anew.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_posted_is_sent_once_even_where_a_kept_connection_dies() {
    let upstream = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (at, posted) = (upstream.local_addr().expect("bound"), Arc::new(AtomicU64::new(0)));
    let came = Arc::clone(&posted);
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = upstream.accept().await {
            let came = Arc::clone(&came);
            tokio::spawn(async move {
                let mut asked = Vec::new();
                // The first question of a connection is answered; behind the second it ends.
                for number in 0..2 {
                    asked.clear();
                    while !asked.ends_with(b"\r\n\r\n") {
                        assert!(tcp.read_buf(&mut asked).await.expect("read") > 0);
                    }
                    came.fetch_add(u64::from(asked.starts_with(b"POST")), Ordering::Relaxed);
                    if number == 0 {
                        tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.expect("written");
                    }
                }
            });
        }
    });
    let bed = Bed::new(true, |_, _| None);
    let through = client(bed.at, "127.0.0.1");
    for turn in 1..=3 {
        // A connection is kept from here.
        through.get_whole(&format!("http://{at}/form"), &[]).await.expect("an answer");
        let answer = through.send("POST", &format!("http://{at}/form"), &[], Some(Bytes::new())).await;
        assert_eq!(answer.expect("an answer").whole().await.expect("its words"), "ok");
        assert_eq!(posted.load(Ordering::Relaxed), turn);
    }
}
