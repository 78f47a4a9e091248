//! Peers that lie, among the machines of a race: each kind of them keeps a machine waiting in its own way, for as long as it
//! is let. This program plays them itself, started inside a namespace of its own.

use crate::peers::Bytes;
use crate::wires::{FRONTEND_ADDRESS, address, namespace};
use anyhow::{Context, Result};
use rocks::demo::process::Process;
use rocks::torrent::{InfoHash, PeerId};
use rocks::wire::http::{self, Reply};
use rocks::wire::{Announce, BlockRequest, HANDSHAKE_BYTES, Handshake, Message, put_piece_head};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// The word that makes this program a liar.
const WORD: &str = "--liar";
/// Where liars listen.
const PORT: u16 = 6881;
/// How often each announces, and goes to everybody that it is pointed at.
const AGAIN: Duration = Duration::from_secs(1);
/// The name that their clients go by.
const CLIENT: &[u8; 8] = b"-LY0001-";

/// What a liar does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Has everything, and sends bytes of the right length that are wrong.
    Wrong,
    /// Has everything, and never answers.
    Silent,
    /// Has everything, and sends a kilobyte a second.
    Trickle,
    /// Asks for everything, and reads nothing.
    Stuffed,
    /// Never ends its handshake.
    Halting,
    /// Says that its next message has four gigabytes.
    Giant,
    /// Asks again and again for what does not exist.
    Nonsense,
}

const KINDS: [Kind; 7] =
    [Kind::Wrong, Kind::Silent, Kind::Trickle, Kind::Stuffed, Kind::Halting, Kind::Giant, Kind::Nonsense];

impl Kind {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// One of each name in this list, or so many in turn.
    pub(crate) fn parse_list(text: &str) -> Result<Vec<Self>> {
        if let Ok(count) = text.parse() {
            return Ok(KINDS.into_iter().cycle().take(count).collect());
        }
        let named = |name: &str| KINDS.into_iter().find(|kind| kind.name() == name);
        let all = || KINDS.map(Self::name).join(", ");
        let unknown = |name: &str| format!("no liar is called '{name}'; there are {}", all());
        text.split(',').map(|name| named(name).with_context(|| unknown(name))).collect()
    }
}

/// Starts one; it plays until it is stopped.
pub(crate) fn start(kind: Kind, machine: usize, bytes: &Bytes, folder: &Path) -> Result<Process> {
    let program = std::env::current_exe()?.display().to_string();
    let info_hash = bytes.info_hash()?.to_string();
    let words =
        ["netns", "exec", &namespace(machine), &program, WORD, &kind.name(), &info_hash, &address(machine).to_string()]
            .map(str::to_owned);
    Ok(Process::start("ip".as_ref(), folder, &format!("liar-{machine}"), &words)?)
}

/// Plays one where the words say so.
pub(crate) fn is_one_of_them(words: &[String]) -> Result<bool> {
    let [word, kind, info_hash, own] = words else { return Ok(false) };
    if word != WORD {
        return Ok(false);
    }
    let kind = Kind::parse_list(kind)?[0];
    let (info_hash, own): (InfoHash, Ipv4Addr) =
        (InfoHash::parse_hex(info_hash).context("an info-hash")?, own.parse()?);
    let listener = TcpListener::bind((own, PORT))?;
    std::thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            std::thread::spawn(move || play(kind, tcp, info_hash));
        }
    });
    let announced = name();
    loop {
        for peer in announce(info_hash, announced).unwrap_or_default() {
            std::thread::spawn(move || {
                let tcp = TcpStream::connect_timeout(&peer, Duration::from_secs(2))?;
                play(kind, tcp, info_hash)
            });
        }
        sleep(AGAIN);
    }
}

/// Whom the tracker points at.
fn announce(info_hash: InfoHash, name: PeerId) -> Result<Vec<SocketAddr>> {
    let announce = Announce::new(info_hash, name, PORT);
    let mut tcp = TcpStream::connect((FRONTEND_ADDRESS, 6969))?;
    write!(tcp, "GET /announce?{} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", http::announce_query(&announce))?;
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer)?;
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n").context("a head")? + 4;
    match http::read_announce_reply(&answer[body..])? {
        Reply::Peers(reply) => Ok(reply.peers.iter().map(|peer| peer.address).collect()),
        Reply::Failure { reason, .. } => anyhow::bail!("{reason}"),
    }
}

/// A name that nobody had before: who is banned comes as somebody else.
fn name() -> PeerId {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut id = [b'0'; 20];
    id[..8].copy_from_slice(CLIENT);
    id[8..12].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    id[12..16].copy_from_slice(&std::process::id().to_be_bytes());
    PeerId(id)
}

fn play(kind: Kind, mut tcp: TcpStream, info_hash: InfoHash) -> std::io::Result<()> {
    let mut hello = Vec::new();
    Handshake::ours(info_hash, name()).encode(&mut hello);
    if let Kind::Halting = kind {
        tcp.write_all(&hello[..30])?;
        forever();
    }
    match kind {
        Kind::Giant => hello.extend([0xff, 0xff, 0xff, 0xff, 20, 0]),
        Kind::Stuffed | Kind::Nonsense => Message::HaveNone.encode(&mut hello),
        _ => Message::HaveAll.encode(&mut hello),
    }
    Message::Unchoke.encode(&mut hello);
    Message::Interested.encode(&mut hello);
    tcp.write_all(&hello)?;
    tcp.read_exact(&mut [0; HANDSHAKE_BYTES])?;
    match kind {
        Kind::Stuffed | Kind::Nonsense => ask(kind, &mut tcp),
        _ => answer(kind, &mut tcp),
    }
}

fn ask(kind: Kind, tcp: &mut TcpStream) -> std::io::Result<()> {
    for n in 0.. {
        let piece = if let Kind::Stuffed = kind { n % 64 } else { u32::MAX };
        let mut out = Vec::new();
        Message::Request(BlockRequest { piece, offset_bytes: 0, length_bytes: 16 << 10 }).encode(&mut out);
        tcp.write_all(&out)?;
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn answer(kind: Kind, tcp: &mut TcpStream) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    let mut room = vec![0; 64 << 10];
    loop {
        let came = tcp.read(&mut room)?;
        if came == 0 {
            return Ok(());
        }
        buffer.extend_from_slice(&room[..came]);
        while let Ok(Some((message, length))) = Message::decode(&buffer) {
            if let (Message::Request(block), false) = (message, matches!(kind, Kind::Silent)) {
                let mut head = Vec::new();
                put_piece_head(&mut head, block.piece, block.offset_bytes, block.length_bytes);
                tcp.write_all(&head)?;
                let data = vec![0x55; block.length_bytes as usize];
                for part in data.chunks(1 << 10) {
                    tcp.write_all(part)?;
                    if let Kind::Trickle = kind {
                        sleep(Duration::from_secs(1));
                    }
                }
            }
            buffer.drain(..length);
        }
    }
}

fn forever() -> ! {
    loop {
        sleep(Duration::from_secs(3600));
    }
}

/// What machines said of such peers, and how often: the reasons in the logs below this folder.
pub(crate) fn told_of(folders: impl Iterator<Item = std::path::PathBuf>) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for folder in folders {
        let log = std::fs::read_to_string(folder.join("client.log")).unwrap_or_default();
        for line in log.lines().filter(|line| line.contains("event=peer-")) {
            let event = line.split("event=").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap_or("");
            let reason = line.split("reason=").nth(1).unwrap_or("").trim_matches('"');
            *told.entry(format!("{event} {reason}")).or_default() += 1;
        }
    }
    told
}
