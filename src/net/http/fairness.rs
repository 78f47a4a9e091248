//! What one client does at the cost of others, and does not.

use super::overseer::Overseer;
use super::server::{LONG_ANSWER_BYTES, Options, Shares};
use super::{Request, Response, Service, conversation};
use crate::net::log::Log;
use crate::net::turns::Turns;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

/// Far longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than the kernel takes for a connection whose client reads nothing.
const FILE_BYTES: usize = 16 << 20;

/// Answers `/long` with a long body and all else with its path, and remembers the order.
#[derive(Default)]
struct Asked(Mutex<Vec<String>>);

impl Service for Asked {
    async fn call(&self, request: Request) -> Response {
        let path = request.head.target.path;
        self.0.lock().expect("no panic").push(path.clone());
        match path.as_str() {
            "/long" => Response::new(200, "text/plain", vec![b'x'; FILE_BYTES]),
            _ => Response::text(200, path),
        }
    }
}

struct Bed {
    listener: TcpListener,
    asked: Arc<Asked>,
    overseer: Arc<Overseer>,
    shares: Shares,
    tls: Option<tokio_rustls::TlsAcceptor>,
}

impl Bed {
    async fn new(shares: Shares, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self { listener, asked: Arc::default(), overseer: Overseer::new(), shares, tls }
    }

    /// A client at this address that has said this, as it is served.
    async fn client(&self, from: &str, words: &[u8]) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(format!("{from}:0").parse().expect("an address")).expect("loopback");
        let mut client = socket.connect(self.listener.local_addr().expect("bound")).await.expect("it listens");
        client.write_all(words).await.expect("the kernel takes it");
        let (tcp, peer) = self.listener.accept().await.expect("it has come");
        let (tcp, asked, shares, tls) =
            (tcp.into_std(), Arc::clone(&self.asked), self.shares.clone(), self.tls.clone());
        self.overseer.watch(peer, |lease| {
            let held = async move {
                let (_said, stop) = watch::channel(false);
                let options = Options { upload: None, has_threads: false, tls, log: Log::silent(), stop };
                let _ = conversation::hold(tcp.expect("open"), peer, &*asked, &options, &shares, &lease).await;
            };
            tokio::spawn(held).abort_handle()
        });
        client
    }
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: f\r\n\r\n").into_bytes()
}

/// Whether an answer begins within this time.
async fn is_answered(client: &mut TcpStream, time: Duration) -> bool {
    matches!(tokio::time::timeout(time, client.read(&mut [0; 64])).await, Ok(Ok(1..)))
}

#[tokio::test]
async fn of_a_heap_of_requests_one_is_answered_then_others_have_their_turn() {
    let bed = Bed::new(Shares::new(), None).await;
    let _greedy = bed.client("127.0.0.1", &get("/heap").repeat(1000)).await;
    let mut other = bed.client("127.0.0.1", &get("/other")).await;
    assert!(is_answered(&mut other, PATIENCE).await);
    let asked = bed.asked.0.lock().expect("no panic").clone();
    let before = asked.iter().position(|path| path == "/other").expect("it was asked");
    assert!(before < 20, "behind {before} of a thousand");
}

#[tokio::test]
async fn one_address_has_so_many_long_answers_and_others_are_not_behind_them() {
    let shares = Shares { long_answers: Turns::new(usize::MAX, 2), ..Shares::new() };
    let bed = Bed::new(shares, None).await;
    let mut unread = [bed.client("127.0.0.1", &get("/long")).await, bed.client("127.0.0.1", &get("/long")).await];
    for client in &mut unread {
        assert!(is_answered(client, PATIENCE).await);
    }
    let mut third = bed.client("127.0.0.1", &get("/long")).await;
    let mut short = bed.client("127.0.0.1", &get("/short")).await;
    let mut other = bed.client("127.0.0.2", &get("/long")).await;
    assert!(is_answered(&mut short, PATIENCE).await && is_answered(&mut other, PATIENCE).await);
    assert_eq!(bed.asked.0.lock().expect("no panic").iter().filter(|path| *path == "/long").count(), 4);
    assert!(!is_answered(&mut third, Duration::from_millis(50)).await, "it waits behind its own");
    drop(unread);
    assert!(is_answered(&mut third, PATIENCE).await, "then it has its turn");
    const { assert!(FILE_BYTES as u64 >= LONG_ANSWER_BYTES) };
}

/// What waits for somebody who is hung up on for reading nothing is gone, and not sent by the system for minutes more.
#[tokio::test]
async fn who_is_hung_up_on_for_reading_nothing_leaves_nothing_behind() {
    let bed = Bed::new(Shares::new(), None).await;
    let mut unread = bed.client("127.0.0.1", &get("/long")).await;
    let mut other = bed.client("127.0.0.2", &get("/long")).await;
    assert!(is_answered(&mut unread, PATIENCE).await && is_answered(&mut other, PATIENCE).await);
    let peer = unread.local_addr().expect("connected");
    let hung_up = async {
        // Its answer has gone on a moment ago.
        while bed.overseer.hang_up(&HashSet::from([peer])) == 0 {
            bed.overseer.sweep();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, hung_up).await.expect("it takes nothing");
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, unread.read_to_end(&mut rest)).await.expect("it ends");
    assert_eq!(end.expect_err("it breaks off").kind(), std::io::ErrorKind::ConnectionReset);
    assert!(is_answered(&mut other, PATIENCE).await, "who is not named goes on");
}

#[tokio::test]
async fn one_address_has_so_many_handshakes_and_others_are_not_behind_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = crate::trust::Keys::open_or_create(folder.path(), crate::net::since_1970()).expect("keys");
    let tls = crate::net::tls::acceptor(&keys, "127.0.0.1:0".parse().expect("an address")).expect("TLS");
    let shares = Shares { handshakes: Turns::new(usize::MAX, 1), ..Shares::new() };
    let bed = Bed::new(shares, Some(tls)).await;
    let half = &[0x16, 0x03, 0x01, 0x00, 0xff, 0x01][..];
    let config = crate::net::tls::Believer::new(None).config().expect("a configuration");
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").expect("an address");
    let (mut client, mut hello) = (rustls::ClientConnection::new(config, name).expect("a client"), Vec::new());
    client.write_tls(&mut hello).expect("memory takes it");
    let first = bed.client("127.0.0.1", half).await;
    tokio::task::yield_now().await;
    let mut second = bed.client("127.0.0.1", &hello).await;
    let mut clear = bed.client("127.0.0.1", &get("/clear")).await;
    let mut other = bed.client("127.0.0.2", &hello).await;
    assert!(is_answered(&mut clear, PATIENCE).await && is_answered(&mut other, PATIENCE).await);
    assert!(!is_answered(&mut second, Duration::from_millis(50)).await, "it waits behind its own");
    drop(first);
    assert!(is_answered(&mut second, PATIENCE).await, "then it has its turn");
}
