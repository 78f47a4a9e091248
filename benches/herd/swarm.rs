//! A thousand machines at the frontend's seed, each with a connection of the real peer wire (BEP 3, 6, 10, and our
//! extensions): they take what they are offered and ask for what they miss, as fast as it comes.

use crate::servers::{Cluster, Server, host_address};
use rocks::torrent::{InfoHash, Layout, PeerId};
use rocks::wire::{BlockRequest, Extensions, HANDSHAKE_BYTES, Handshake, Message, PIECE_HEAD_BYTES};
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// How many machines there are.
const MACHINES: u32 = 1_000;
/// How long they download.
const TIME: Duration = Duration::from_secs(20);
/// A machine that gets nothing for so long asks for a piece (rk_ask).
const ASK_AFTER: Duration = Duration::from_millis(250);
/// Our extensions, each under the number that we want it under.
const EXTENSIONS: [(&str, u8); 5] = [("rk_want", 1), ("rk_ask", 2), ("rk_cross", 3), ("rk_ready", 4), ("rk_bad", 5)];

/// What all machines came to.
#[derive(Debug, Default)]
struct Took {
    joined: AtomicU64,
    pieces: AtomicU64,
    bytes: AtomicU64,
    is_over: AtomicBool,
}

/// Prints what they got, and what it cost the server.
pub(crate) async fn run(cluster: &Cluster) {
    let metainfo = cluster.metainfo();
    let server = cluster.serve(&[]);
    let seed = cluster.seed_address();
    let resting = server.peak_mb();
    let (layout, took) = (Arc::new(metainfo.layout().clone()), Arc::new(Took::default()));
    let before = server.cpu_secs();
    let machines: Vec<_> = (0..MACHINES)
        .map(|n| {
            let (layout, took, info_hash) = (Arc::clone(&layout), Arc::clone(&took), metainfo.info_hash());
            tokio::spawn(async move {
                let mut machine = Machine::join(n, seed, info_hash, layout).await?;
                took.joined.fetch_add(1, Ordering::Relaxed);
                machine.download(&took).await
            })
        })
        .collect();
    tokio::time::sleep(TIME).await;
    tell(&server, &took, resting, before);
    took.is_over.store(true, Ordering::Relaxed);
    let mut lost = Vec::new();
    for machine in machines {
        if let Err(why) = machine.await.expect("a load task does not panic") {
            lost.push(why.to_string());
        }
    }
    if let Some(why) = lost.first() {
        println!("swarm: {} machines were lost, the first one: {why}", lost.len());
    }
}

fn tell(server: &Server, took: &Took, resting_mb: f64, cpu_before: f64) {
    let gb = took.bytes.load(Ordering::Relaxed) as f64 / 1e9;
    println!(
        "swarm: {} of {MACHINES} machines at the seed took {} pieces, {gb:.2} GB in {} s ({:.0} MB/s, {:.2} s of CPU a GB): server at {:.1} MB at most, {resting_mb:.1} MB before",
        took.joined.load(Ordering::Relaxed),
        took.pieces.load(Ordering::Relaxed),
        TIME.as_secs(),
        gb * 1e3 / TIME.as_secs_f64(),
        (server.cpu_secs() - cpu_before) / gb,
        server.peak_mb()
    );
}

/// One machine's end of its connection.
struct Machine {
    tcp: TcpStream,
    layout: Arc<Layout>,
    buffer: Vec<u8>,
    have: Vec<bool>,
    /// The number under which the seed wants to be asked.
    ask: u8,
    /// Of its random choices.
    state: u64,
}

impl Machine {
    async fn join(n: u32, seed: SocketAddr, info_hash: InfoHash, layout: Arc<Layout>) -> std::io::Result<Self> {
        // They come within a second or two, as machines do that were switched on together.
        tokio::time::sleep(Duration::from_millis(u64::from(n))).await;
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(IpAddr::V4(host_address(n)), 0))?;
        let mut tcp = socket.connect(seed).await?;
        let mut hello = Vec::new();
        let mut id = [b'm'; 12];
        id[..4].copy_from_slice(&n.to_be_bytes());
        Handshake::ours(info_hash, PeerId::new(id)).encode(&mut hello);
        let extensions = Extensions {
            ids: EXTENSIONS.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect(),
            ..Extensions::default()
        };
        Message::HaveNone.encode(&mut hello);
        Message::Extended { id: 0, payload: &extensions.encode() }.encode(&mut hello);
        Message::Unchoke.encode(&mut hello);
        Message::Interested.encode(&mut hello);
        tcp.write_all(&hello).await?;
        tcp.read_exact(&mut [0; HANDSHAKE_BYTES]).await?;
        let have = vec![false; layout.piece_count() as usize];
        Ok(Self { tcp, layout, buffer: Vec::new(), have, ask: 0, state: u64::from(n) + 1 })
    }

    async fn download(&mut self, took: &Took) -> std::io::Result<()> {
        while !took.is_over.load(Ordering::Relaxed) {
            let mut out = Vec::new();
            while let Some(length) = self.take_one(took, &mut out)? {
                self.buffer.drain(..length);
            }
            self.tcp.write_all(&out).await?;
            match tokio::time::timeout(ASK_AFTER, self.tcp.read_buf(&mut self.buffer)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(_)) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(Err(error)) => return Err(error),
                Err(_) => self.ask_for_one().await?,
            }
        }
        Ok(())
    }

    /// Reads one message of the buffer; how long it was.
    fn take_one(&mut self, took: &Took, out: &mut Vec<u8>) -> std::io::Result<Option<usize>> {
        // A piece is whole pieces long: it is only taken apart once all of it is there.
        let Some((message, length)) = decode(&self.buffer)? else { return Ok(None) };
        match message {
            Message::Have(piece) => {
                if let Some(piece) = self.layout.index(piece).filter(|piece| !self.have[piece.get() as usize]) {
                    let length_bytes = self.layout.payload_len(piece);
                    let request = BlockRequest { piece: piece.get(), offset_bytes: 0, length_bytes };
                    Message::Request(request).encode(out);
                }
            }
            Message::Piece { piece, data, .. } => {
                took.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
                took.pieces.fetch_add(1, Ordering::Relaxed);
                self.have[piece as usize] = true;
                Message::Have(piece).encode(out);
            }
            Message::Extended { id: 0, payload } => {
                let theirs = Extensions::decode(payload).map_err(Error::other)?;
                self.ask = theirs.ids.get("rk_ask").copied().unwrap_or(0);
            }
            _ => {}
        }
        Ok(Some(length))
    }

    async fn ask_for_one(&mut self) -> std::io::Result<()> {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let start = (self.state >> 33) as usize % self.have.len();
        let missing = (start..self.have.len()).chain(0..start).find(|piece| !self.have[*piece]);
        let (Some(piece), true) = (missing, self.ask != 0) else { return Ok(()) };
        let mut out = Vec::new();
        Message::Extended { id: self.ask, payload: &(piece as u32).to_be_bytes() }.encode(&mut out);
        self.tcp.write_all(&out).await
    }
}

/// The first message, once all of it is there.
fn decode(buffer: &[u8]) -> std::io::Result<Option<(Message<'_>, usize)>> {
    let is_whole = |head: &[u8; PIECE_HEAD_BYTES]| {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        buffer.len() >= 4 + length
    };
    match buffer.first_chunk::<PIECE_HEAD_BYTES>() {
        Some(head) if head[4] == 7 && !is_whole(head) => Ok(None),
        _ => Message::decode(buffer).map_err(Error::other),
    }
}
