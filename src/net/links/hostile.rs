//! Peers that lie, over real connections: each is dropped or banned, the log says why, and the machine it came to gets
//! everything from an honest one all the same.

use super::owner::Progress;
use super::{Door, Member, Setup, Supply};
use crate::cache::Cache;
use crate::net::fixture::{Fixture, PIECE};
use crate::net::log::Log;
use crate::net::tree::Tree;
use crate::swarm::{Event, SessionConfig};
use crate::torrent::PeerId;
use crate::wire::{BlockRequest, Handshake, Message, put_piece_head};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

/// Far longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A member of a swarm behind a door of its own, and what it has written into its log.
pub(super) struct Site {
    pub(super) member: Member,
    pub(super) at: SocketAddr,
    pub(super) lines: Arc<Mutex<Vec<String>>>,
}

impl Site {
    pub(super) async fn open(config: SessionConfig, supply: Supply) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&lines);
        let log = Log::new(move |_, line| written.lock().expect("a list").push(line.to_owned()));
        let member = Member::join(Setup {
            config: SessionConfig { tracker: false, web_seed: false, ..config },
            seed_value: 7,
            supply,
            web_seed: None,
            announcer: None,
            bind: None,
            upload: None,
            download: None,
            log: log.clone(),
        });
        let door = Door::new(|_| true, log);
        door.add(member.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("its address");
        tokio::spawn(door.run(listener));
        Self { member, at, lines }
    }

    /// A machine that wants everything and knows nobody.
    async fn machine(fixture: &Fixture) -> Self {
        let cache = Cache::in_memory(fixture.metainfo.clone());
        let site = Self::open(SessionConfig::machine(PeerId::new([1; 12])), Supply::Cache(Arc::new(cache))).await;
        site.member.event(Event::Want { pieces: fixture.metainfo.layout().pieces().collect() }).await;
        site
    }

    async fn seed(fixture: &Fixture) -> Self {
        let tree = Arc::new(Tree::new(fixture.folder.path().join("tree")));
        let supply = Supply::Tree { metainfo: fixture.metainfo.clone(), tree };
        Self::open(SessionConfig::seed(PeerId::new([2; 12])), supply).await
    }

    /// Waits for a line with all these words.
    async fn says(&self, words: &[&str]) {
        let said =
            || self.lines.lock().expect("a list").iter().any(|line| words.iter().all(|word| line.contains(word)));
        let waiting = async {
            while !said() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "no line with {words:?} in {:#?}", self.lines.lock().expect("a list"));
    }

    /// Is told of an honest seed, again and again as by a tracker, and gets everything from it.
    async fn completes(&self, seed: &Site) {
        let mut progress = self.member.progress();
        let is_complete = |progress: &Progress| progress.is_complete;
        let completing = async {
            loop {
                self.member.event(Event::Peers { peers: vec![seed.at], interval: PATIENCE }).await;
                if timeout(Duration::from_secs(2), progress.wait_for(is_complete)).await.is_ok() {
                    return;
                }
            }
        };
        let complete = timeout(PATIENCE, completing).await;
        let (ours, theirs) = (self.lines.lock().expect("a list"), seed.lines.lock().expect("a list"));
        let pieces = self.member.progress().borrow().pieces;
        assert!(complete.is_ok(), "only {pieces} pieces from an honest seed; {ours:#?} {theirs:#?}");
    }
}

/// A raw connection from an address of its own.
async fn connect(from: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(IpAddr::from([127, 6, 0, from]), 0)).expect("an address of loopback");
    socket.connect(to).await.expect("the door is open")
}

/// A peer that shook hands.
async fn peer(from: u8, site: &Site) -> TcpStream {
    greet(from, site, connect(from, site.at).await).await
}

async fn greet(from: u8, site: &Site, mut tcp: TcpStream) -> TcpStream {
    let mut hello = Vec::new();
    Handshake::ours(site.member.info_hash(), PeerId([from; 20])).encode(&mut hello);
    tcp.write_all(&hello).await.expect("written");
    tcp.read_exact(&mut hello).await.expect("its handshake");
    tcp
}

async fn say(tcp: &mut TcpStream, messages: &[Message<'_>]) {
    let mut bytes = Vec::new();
    messages.iter().for_each(|message| message.encode(&mut bytes));
    // Whoever has closed already has heard enough.
    let _ = tcp.write_all(&bytes).await;
}

/// Reads until the other closes.
async fn is_closed(mut tcp: TcpStream) {
    let mut past = vec![0; 64 * 1024];
    let closed = async { while matches!(tcp.read(&mut past).await, Ok(1..)) {} };
    timeout(PATIENCE, closed).await.expect("closed by the other");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lies_is_banned_with_a_reason_and_the_machine_completes() {
    let nothing = |piece, length_bytes| Message::Request(BlockRequest { piece, offset_bytes: 0, length_bytes });
    let long = vec![0xff; 900_000];
    let fixture = Fixture::new();
    let field = vec![0; fixture.metainfo.layout().piece_count().div_ceil(8) as usize];
    let cases: [(&str, Vec<Message<'_>>); 8] = [
        ("without sense", vec![Message::Bitfield(&field); 10_000]),
        ("bit field does not fit", vec![Message::Bitfield(&[0xff; 2])]),
        ("bit field does not fit", vec![Message::Bitfield(&long)]),
        ("does not exist", vec![nothing(u32::MAX, 16_384)]),
        ("does not exist", vec![nothing(0, 0)]),
        ("without sense", vec![nothing(0, PIECE); 200]),
        ("without sense", vec![Message::Have(1); 200]),
        ("extension handshake", vec![Message::Extended { id: 0, payload: b"d1:m" }]),
    ];
    let (machine, seed) = (Site::machine(&fixture).await, Site::seed(&fixture).await);
    for (number, (reason, messages)) in (1..).zip(&cases) {
        let mut tcp = peer(number, &machine).await;
        say(&mut tcp, messages).await;
        is_closed(tcp).await;
        machine.says(&["event=peer-banned", &format!("address=127.6.0.{number}:"), reason]).await;
    }
    machine.completes(&seed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_that_cannot_be_are_refused_at_sight() {
    let fixture = Fixture::new();
    let (machine, seed) = (Site::machine(&fixture).await, Site::seed(&fixture).await);
    // Four gigabytes of anything, the same as a block, a block longer than any, a have that is too short.
    let cases: [&[u8]; 4] = [
        &[0xff, 0xff, 0xff, 0xff, 20, 0],
        &[0xff, 0xff, 0xff, 0xff, 7, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0x10, 0, 10, 7, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0, 0, 2, 4, 0],
    ];
    for (number, bytes) in (1..).zip(cases) {
        let mut tcp = peer(number, &machine).await;
        tcp.write_all(bytes).await.expect("written");
        is_closed(tcp).await;
        let address = format!("address=127.6.0.{number}:");
        machine.says(&["event=peer-malformed", &address]).await;
        machine.says(&["event=peer-banned", &address, "no message"]).await;
    }
    machine.completes(&seed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_are_kept_by_nobody_and_their_sender_is_banned() {
    let fixture = Fixture::new();
    let (machine, seed) = (Site::machine(&fixture).await, Site::seed(&fixture).await);
    let mut tcp = peer(1, &machine).await;
    say(&mut tcp, &[Message::HaveAll, Message::Unchoke]).await;
    let mut unread = Vec::new();
    // It answers every request with bytes of the right length.
    let mut buffer = vec![0; 4096];
    'open: while let Ok(count @ 1..) = tcp.read(&mut buffer).await {
        unread.extend_from_slice(&buffer[..count]);
        while let Some((message, length)) = Message::decode(&unread).expect("we send messages") {
            if let Message::Request(block) = message {
                let mut answer = Vec::new();
                put_piece_head(&mut answer, block.piece, block.offset_bytes, block.length_bytes);
                answer.resize(answer.len() + block.length_bytes as usize, 0x55);
                if tcp.write_all(&answer).await.is_err() {
                    break 'open;
                }
            }
            unread.drain(..length);
        }
    }
    machine.says(&["event=peer-banned", "address=127.6.0.1:", "wrong piece"]).await;
    let again = peer(1, &machine).await;
    is_closed(again).await;
    machine.completes(&seed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_that_nobody_asked_for_are_read_past_and_end_in_a_ban() {
    let fixture = Fixture::new();
    let (machine, seed) = (Site::machine(&fixture).await, Site::seed(&fixture).await);
    let mut tcp = peer(1, &machine).await;
    let mut block = Vec::new();
    put_piece_head(&mut block, 0, 0, PIECE);
    block.resize(block.len() + PIECE as usize, 0x55);
    for _ in 0..200 {
        if tcp.write_all(&block).await.is_err() {
            break;
        }
    }
    is_closed(tcp).await;
    machine.says(&["event=peer-banned", "address=127.6.0.1:", "without sense"]).await;
    machine.completes(&seed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_promises_everything_and_sends_almost_nothing_holds_nothing_up() {
    let fixture = Fixture::new();
    let (machine, seed) = (Site::machine(&fixture).await, Site::seed(&fixture).await);
    // One says nothing more, one stops in the middle of a block, one in the middle of a length.
    let mut silent = peer(1, &machine).await;
    say(&mut silent, &[Message::HaveAll, Message::Unchoke]).await;
    let mut slow = peer(2, &machine).await;
    say(&mut slow, &[Message::HaveAll, Message::Unchoke]).await;
    let mut begun = Vec::new();
    put_piece_head(&mut begun, 0, 0, PIECE);
    slow.write_all(&begun).await.expect("written");
    let mut halting = peer(3, &machine).await;
    halting.write_all(&[0, 0]).await.expect("written");
    machine.completes(&seed).await;
    machine.says(&["event=peer-dropped", "address=127.6.0.2:", "nothing came for too long"]).await;
    machine.says(&["event=peer-dropped", "address=127.6.0.3:", "nothing came for too long"]).await;
    is_closed(slow).await;
    is_closed(halting).await;
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_do_not_end_keep_nobody_out() {
    let fixture = Fixture::new();
    let (machine, seed) = (Site::machine(&fixture).await, Site::seed(&fixture).await);
    let mut waiting = Vec::new();
    for _ in 0..60 {
        let mut tcp = connect(1, machine.at).await;
        // It may be closed already: one address has so many handshakes and no more.
        let _ = tcp.write_all(b"\x13BitTorrent pro").await;
        waiting.push(tcp);
    }
    machine.says(&["event=peer-refused", "address=127.6.0.1:", "too many handshakes"]).await;
    let mut other = peer(2, &machine).await;
    say(&mut other, &[Message::HaveNone]).await;
    machine.completes(&seed).await;
    for tcp in waiting {
        is_closed(tcp).await;
    }
    for (from, hello, reason) in [
        (3, b"GET / HTTP/1.1\r\n\r\n".to_vec(), "not the BitTorrent protocol"),
        (4, [b"\x13BitTorrent protocol".as_slice(), &[0; 48]].concat(), "no swarm"),
        (5, b"\x13BitTorrent".to_vec(), "does not end"),
    ] {
        let mut tcp = connect(from, machine.at).await;
        tcp.write_all(&hello).await.expect("written");
        is_closed(tcp).await;
        machine.says(&["event=peer-refused", &format!("address=127.6.0.{from}:"), reason]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn short_pieces_of_the_seed_do_not_count_as_sent_while_they_wait_in_its_socket() {
    let fixture = Fixture::new();
    let seed = Site::seed(&fixture).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small one");
    let mut tcp = greet(1, &seed, socket.connect(seed.at).await.expect("the door is open")).await;
    say(&mut tcp, &[Message::HaveNone, Message::Interested]).await;
    let mut heard = Vec::new();
    let mut offered = Vec::new();
    while offered.len() < 4 {
        while let Ok(Some((message, length))) = Message::decode(&heard) {
            offered.extend(if let Message::Have(piece) = message { Some(piece) } else { None });
            heard.drain(..length);
        }
        let read = timeout(PATIENCE, tcp.read_buf(&mut heard)).await.expect("it offers more").expect("read");
        assert!(read > 0, "it is open");
    }
    let layout = fixture.metainfo.layout();
    let blocks: Vec<BlockRequest> = offered
        .iter()
        .map(|&piece| BlockRequest {
            piece,
            offset_bytes: 0,
            length_bytes: layout.payload_len(layout.index(piece).expect("one")),
        })
        .collect();
    let all: u64 = blocks.iter().map(|block| u64::from(block.length_bytes)).sum();
    for block in blocks {
        say(&mut tcp, &[Message::Request(block)]).await;
    }
    let uploaded = || seed.member.uploaded().load(Ordering::Relaxed);
    let first = async {
        while uploaded() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, first).await.expect("some of it fits into the peer's buffer");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(uploaded() <= 2 * u64::from(PIECE), "{} of {all} bytes count as sent, and nobody reads", uploaded());
    let rest = async {
        let mut past = [0; 4096];
        while uploaded() < all {
            assert!(tcp.read(&mut past).await.expect("read") > 0);
        }
    };
    timeout(PATIENCE, rest).await.expect("it goes on when it is read");
}
