//! A session on a bench: told anything at all in any order, and watched. The property test and the fuzz target `session`
//! both read their events from bytes here.
//!
//! Beside what [`Session::check`] holds after every event: nothing is done to a peer that is not connected; nothing is
//! asked of a peer, sent to it, fetched or verified twice at once; a piece is done once, and only when it is held; a
//! timeout is never in the past, and time passes in the end. Whatever happened to a machine, an honest peer ends it; and
//! whatever happened to a seed, an honest machine gets everything from it.

mod bytes;

use super::*;
use crate::torrent::{Block, Layout, MetainfoBuilder, PeerId, PieceIndex};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub(super) const PIECE_BYTES: u32 = 256 * 1024;
/// Three whole pieces and a short one, then nine files of a short piece each.
pub(super) const PIECES: u32 = 13;
/// The info dictionary that a session on the bench gives: three parts.
pub(super) const METADATA_BYTES: u32 = 40_000;
/// Events read from one string of bytes.
const EVENTS_MAX: usize = 400;
/// A session says no more than this at one event: a few messages to each peer of each piece.
const ACTIONS_MAX: usize = 64 * config::SEED_PEERS_MAX;
/// Time that the events of one string of bytes take at most: a seed looks around twenty times a second.
const PASS_MAX: Duration = Duration::from_secs(600);
/// The frontend's seed among those that come.
const FRONTEND: u32 = 200;
/// An honest machine that comes last: no tracker's answer and no host before has its number.
const HONEST: u32 = 255;
/// The rack of a machine that stands in one.
const RACK: u32 = 1;
/// An honest machine that comes last gets something from a seed within this time, or so many times what a block takes to be
/// out (an offer that nobody takes waits for some), again and again.
const SERVED_WITHIN: Duration = Duration::from_secs(60);
const SERVED_BLOCK_TIMES: u32 = 16;
/// It asks for what it misses as often.
const ASKS_EVERY: Duration = Duration::from_millis(500);
/// A session that is woken when it wished so often without time passing never lets it pass.
const WAKES_MAX: usize = 8;

pub(super) fn layout() -> Arc<Layout> {
    let mut builder = MetainfoBuilder::new("test", PIECE_BYTES).expect("a plain name");
    builder.file("a", 3 * u64::from(PIECE_BYTES) + 100, vec![[0; 20]; 4]).expect("four pieces");
    for n in 1..PIECES - 3 {
        builder.file(&format!("b{n}"), 40_000 + u64::from(n), vec![[0; 20]]).expect("one piece");
    }
    Arc::new(builder.finish().expect("well-formed").layout().clone())
}

pub(super) fn address(n: u32) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::new(10, 0, 0, n as u8).into(), 6881)
}

pub(super) fn id(n: u32) -> PeerId {
    PeerId::new([n as u8; 12])
}

/// The extension handshake of a machine of ours.
pub(super) fn ours() -> Vec<u8> {
    b"d1:md6:rk_aski2e6:rk_badi5e8:rk_crossi3e8:rk_readyi4e7:rk_wanti1e11:ut_metadatai6ee1:pi6881ee".to_vec()
}

/// A session with what it said that waits for an answer.
pub(super) struct Bench {
    pub(super) session: Session,
    pub(super) now: Duration,
    pub(super) asked: Vec<(PeerKey, Block)>,
    pub(super) verifying: Vec<(PieceIndex, Source)>,
    pub(super) sending: Vec<(PeerKey, Block)>,
    /// Parts of the info dictionary that were to be sent.
    pub(super) parts: Vec<(PeerKey, u32)>,
    pub(super) connecting: Vec<SocketAddr>,
    pub(super) fetching: Vec<PieceIndex>,
    pub(super) said: Vec<(PeerKey, Message)>,
    pub(super) closed: Vec<(PeerKey, Reason)>,
    pub(super) done: Vec<PieceIndex>,
    pub(super) set_done: usize,
    connected: BTreeSet<PeerKey>,
    next_key: u32,
}

impl Bench {
    pub(super) fn new(config: SessionConfig) -> Self {
        Self::of(config, layout())
    }

    /// One whose swarm has other files.
    pub(super) fn of(config: SessionConfig, layout: Arc<Layout>) -> Self {
        let config = SessionConfig { metadata_bytes: Some(METADATA_BYTES), ..config };
        Self {
            session: Session::new(config, layout, 7),
            now: Duration::ZERO,
            asked: Vec::new(),
            verifying: Vec::new(),
            sending: Vec::new(),
            parts: Vec::new(),
            connecting: Vec::new(),
            fetching: Vec::new(),
            said: Vec::new(),
            closed: Vec::new(),
            done: Vec::new(),
            set_done: 0,
            connected: BTreeSet::new(),
            next_key: 0,
        }
    }

    /// A machine that wants everything.
    #[cfg(test)]
    pub(super) fn machine() -> Self {
        let mut bench = Self::new(Self::machine_config());
        bench.tell(Event::Want { pieces: layout().pieces().collect() });
        bench
    }

    fn machine_config() -> SessionConfig {
        SessionConfig { frontend: Some(address(FRONTEND)), ..SessionConfig::machine(id(1)) }
    }

    pub(super) fn tell(&mut self, event: Event) {
        match &event {
            Event::PeerLost { peer } => self.forget(*peer),
            Event::Message { peer, message } => self.hear(*peer, message),
            Event::PeerConnected { peer, .. } => _ = self.connected.insert(*peer),
            _ => {}
        }
        self.session.handle(self.now, event);
        let mut count = 0;
        while let Some(action) = self.session.poll(self.now) {
            count += 1;
            assert!(count <= ACTIONS_MAX, "no end of actions");
            self.perform(action);
        }
        self.session.check();
        let due = self.session.next_timeout().expect("a session always looks around again");
        assert!(due >= self.now, "a timeout in the past");
    }

    /// What a peer says ends what it was asked for.
    fn hear(&mut self, peer: PeerKey, message: &Message) {
        match message {
            Message::Reject(raw) => self.asked.retain(|(key, block)| (*key, RawBlock::of(*block)) != (peer, *raw)),
            Message::Choke => self.asked.retain(|(key, _)| *key != peer),
            _ => {}
        }
    }

    fn forget(&mut self, peer: PeerKey) {
        self.connected.remove(&peer);
        self.asked.retain(|(key, _)| *key != peer);
        self.sending.retain(|(key, _)| *key != peer);
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Connect { address } => self.connecting.push(address),
            Action::Disconnect { peer, reason } => {
                assert!(self.connected.contains(&peer), "{peer:?} closed, which is not connected");
                self.closed.push((peer, reason));
                self.forget(peer);
            }
            Action::Send { peer, message } => {
                assert!(self.connected.contains(&peer), "{message:?} to {peer:?}, which is not connected");
                match &message {
                    Message::Request(raw) => {
                        let block = self.session.layout().block(raw.piece, raw.offset_bytes, raw.length_bytes);
                        let asked = (peer, block.expect("only what exists is asked for"));
                        assert!(!self.asked.contains(&asked), "{asked:?} asked twice");
                        assert!(!self.session.held().has(asked.1.piece), "{asked:?} is held");
                        self.asked.push(asked);
                    }
                    Message::Cancel(raw) => self.asked.retain(|(key, b)| (*key, RawBlock::of(*b)) != (peer, *raw)),
                    _ => {}
                }
                self.said.push((peer, message));
            }
            Action::SendBlock { peer, block } => {
                assert!(self.connected.contains(&peer), "{block:?} to {peer:?}, which is not connected");
                assert!(self.sending.iter().all(|(key, _)| *key != peer), "two blocks at once to {peer:?}");
                assert!(self.session.held().has(block.piece), "{block:?} is not held");
                self.sending.push((peer, block));
            }
            Action::SendMetadata { peer, part, .. } => {
                assert!(self.connected.contains(&peer), "part {part} to {peer:?}, which is not connected");
                self.parts.push((peer, part));
            }
            Action::Verify { piece, source } => {
                assert!(!self.verifying.contains(&(piece, source)), "{piece} of {source:?} verified twice at once");
                self.verifying.push((piece, source));
            }
            Action::PieceDone { piece } => {
                assert!(self.session.held().has(piece) && !self.done.contains(&piece), "{piece} done");
                self.done.push(piece);
            }
            Action::SetDone => {
                assert!(self.session.is_complete(), "done with something missing");
                self.set_done += 1;
            }
            Action::FetchHttp { piece } => {
                assert!(!self.fetching.contains(&piece), "{piece} fetched twice at once");
                self.fetching.push(piece);
            }
            Action::CancelHttp { piece } => self.fetching.retain(|fetching| *fetching != piece),
            Action::Announce { .. } | Action::Forget { .. } | Action::Report { .. } => {}
        }
    }

    pub(super) fn say(&mut self, peer: PeerKey, message: Message) {
        self.tell(Event::Message { peer, message });
    }

    pub(super) fn connect(&mut self, n: u32, fast: bool) -> PeerKey {
        self.connect_as(n, Direction::Outgoing, fast, fast)
    }

    fn connect_as(&mut self, n: u32, direction: Direction, fast: bool, extended: bool) -> PeerKey {
        self.connected((id(n), address(n)), direction, fast, extended)
    }

    /// Somebody comes from this address under this name.
    #[cfg(test)]
    pub(super) fn connect_from(&mut self, address: SocketAddr, id: PeerId) -> PeerKey {
        self.connected((id, address), Direction::Incoming, true, true)
    }

    fn connected(
        &mut self,
        (id, address): (PeerId, SocketAddr),
        direction: Direction,
        fast: bool,
        extended: bool,
    ) -> PeerKey {
        let peer = PeerKey(self.next_key);
        self.next_key += 1;
        self.tell(Event::PeerConnected { peer, id, address, direction, fast, extended });
        peer
    }

    /// A machine of ours that has everything and answers.
    pub(super) fn connect_ours(&mut self, n: u32) -> PeerKey {
        let peer = self.connect(n, true);
        self.say(peer, Message::HaveAll);
        self.say(peer, Message::Extended { id: 0, payload: ours() });
        self.say(peer, Message::Unchoke);
        peer
    }

    /// Lets time pass, tick by tick.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut wakes = 0;
        while let Some(at) = self.session.next_timeout().filter(|at| *at <= until) {
            wakes = if at > self.now { 0 } else { wakes + 1 };
            assert!(wakes <= WAKES_MAX, "woken again and again at {at:?}");
            self.now = at;
            self.tell(Event::Tick);
        }
        self.now = until;
    }

    /// Answers everything this peer was asked for, with right or wrong bytes.
    pub(super) fn answer(&mut self, peer: PeerKey, ok: bool) {
        while let Some(at) = self.asked.iter().position(|(key, _)| *key == peer) {
            let (_, block) = self.asked.remove(at);
            self.now += Duration::from_millis(2);
            assert!(self.session.expects(peer, block));
            self.tell(Event::BlockReceived { peer, block });
            self.verify_all(ok);
        }
    }

    fn verify_all(&mut self, ok: bool) {
        while let Some((piece, source)) = self.verifying.pop() {
            self.tell(Event::Verified { piece, source, ok });
        }
    }

    /// One event, or an answer to something that the session said.
    fn take(&mut self, bytes: &mut Bytes) {
        match bytes.below(32) {
            0..=2 => self.take_connection(bytes),
            3 => self.lose(bytes),
            4..=13 => {
                let (peer, message) = (self.one_connected(bytes), bytes.message());
                self.say(peer, message);
            }
            14 => {
                let place = bytes.below(64) as usize;
                if let Some((peer, block)) = self.asked.get(place).copied() {
                    self.tell(Event::BlockMoves { peer, block });
                }
            }
            15..=19 => {
                let ok = bytes.byte() > 20;
                if let Some((peer, block)) = bytes.one_of(&mut self.asked) {
                    self.tell(Event::BlockReceived { peer, block });
                }
                if let Some((piece, source)) = bytes.one_of(&mut self.verifying) {
                    self.tell(Event::Verified { piece, source, ok });
                }
            }
            20 => {
                let (peer, piece) = (self.one_connected(bytes), bytes.piece());
                let block = Block { piece, offset_bytes: 0, length_bytes: layout().payload_len(piece) };
                self.asked.retain(|asked| *asked != (peer, block));
                self.tell(Event::BlockReceived { peer, block });
            }
            21 | 22 => {
                let is_gone = bytes.byte() > 240;
                if let Some((peer, block)) = bytes.one_of(&mut self.sending) {
                    self.tell(if is_gone {
                        Event::BlockGone { peer, block }
                    } else {
                        Event::BlockSent { peer, block }
                    });
                }
            }
            23 | 24 => self.take_http(bytes),
            25 => {
                let peers = (0..bytes.below(40)).map(|_| address(bytes.below(255))).collect();
                self.tell(Event::Peers { peers, interval: Duration::from_secs(u64::from(bytes.byte())) });
            }
            26 => match bytes.one_of(&mut self.connecting) {
                Some(address) => self.take_answer(address, bytes.byte()),
                None => self.tell(Event::AnnounceFailed),
            },
            27 => self.take_wish(bytes),
            28..=30 => self.pass_some(Duration::from_millis(u64::from(bytes.below(3000)))),
            _ => self.pass_some(Duration::from_secs(u64::from(bytes.byte()))),
        }
    }

    fn pass_some(&mut self, time: Duration) {
        self.pass(time.min(PASS_MAX.saturating_sub(self.now)));
    }

    /// Mostly somebody who is connected.
    fn one_connected(&self, bytes: &mut Bytes) -> PeerKey {
        let at = usize::from(bytes.byte());
        let known = self.connected.iter().nth(at % self.connected.len().max(1)).filter(|_| at < 250);
        known.copied().unwrap_or(PeerKey(at as u32))
    }

    fn take_connection(&mut self, bytes: &mut Bytes) {
        let (n, kind) = (2 + bytes.below(58), bytes.byte());
        let (fast, extended) = (kind & 1 == 0, kind & 2 == 0);
        let direction = if kind & 4 == 0 { Direction::Outgoing } else { Direction::Incoming };
        // Some hosts come under many names, and some under that of the frontend's seed.
        let (n, host) = match kind >> 3 {
            0..=3 => (n, n % 3),
            4 | 5 => (FRONTEND, FRONTEND),
            6 => (n, FRONTEND),
            _ => (n, n),
        };
        self.connected((id(n), address(host)), direction, fast, extended);
    }

    /// A connection that the session wished for comes up, or does not.
    fn take_answer(&mut self, address: SocketAddr, kind: u8) {
        match (address, kind & 3) {
            (SocketAddr::V4(v4), 0..=2) => {
                let n = u32::from(v4.ip().octets()[3]);
                self.connected((id(n), address), Direction::Outgoing, kind & 4 == 0, kind & 8 == 0);
            }
            _ => self.tell(Event::ConnectFailed { address }),
        }
    }

    fn lose(&mut self, bytes: &mut Bytes) {
        let peer = self.one_connected(bytes);
        match bytes.byte() {
            0..=31 => self.tell(Event::PeerMalformed { peer }),
            32..=39 => self.tell(Event::Stop),
            _ => self.tell(Event::PeerLost { peer }),
        }
    }

    fn take_http(&mut self, bytes: &mut Bytes) {
        let outcome = match bytes.below(5) {
            0 | 1 => WebSeedOutcome::Received,
            2 => WebSeedOutcome::Busy(Duration::from_millis(300)),
            3 => WebSeedOutcome::Missing,
            _ => WebSeedOutcome::Failed,
        };
        if let Some(piece) = bytes.one_of(&mut self.fetching) {
            self.tell(Event::WebSeed { piece, outcome });
        }
    }

    fn take_wish(&mut self, bytes: &mut Bytes) {
        let from = bytes.below(PIECES) as usize;
        let pieces = layout().pieces().skip(from).take(1 + bytes.below(6) as usize).collect();
        match bytes.below(5) {
            0 => self.tell(Event::Want { pieces }),
            1 | 2 => self.tell(Event::Demand { pieces }),
            3 => self.tell(Event::DemandEnd { pieces }),
            _ => self.tell(Event::Have { pieces }),
        }
    }

    fn take_all(&mut self, bytes: &[u8]) {
        let mut bytes = Bytes(bytes);
        for _ in 0..EVENTS_MAX {
            if bytes.0.is_empty() {
                return;
            }
            self.take(&mut bytes);
        }
    }
}

/// A session against the events that stand in these bytes: the first says whose.
pub fn session(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0..=63, bytes)) => seed(bytes),
        Some((_, bytes)) => machine(bytes),
        None => {}
    }
}

/// A machine against the events that stand in these bytes, of which the first says how it is set up. Panics if it breaks a
/// promise.
pub(super) fn machine(bytes: &[u8]) {
    let (kind, bytes) = bytes.split_first().unwrap_or((&0, &[]));
    let config = Bench::machine_config();
    let mut bench = Bench::new(SessionConfig {
        frontend: config.frontend.filter(|_| kind & 1 == 0),
        rack: (kind & 2 == 0).then_some(RACK),
        web_seed: kind & 4 == 0,
        tracker: kind & 8 == 0,
        address: (kind & 16 == 0).then(|| address(1)),
        ..config
    });
    if kind & 32 == 0 {
        bench.tell(Event::Want { pieces: layout().pieces().collect() });
    }
    bench.take_all(bytes);
    bench.pass(Duration::from_secs(10));
    let good = bench.connect_ours(HONEST);
    for _ in 0..100 {
        bench.answer(good, true);
        bench.verify_all(true);
        // No question over HTTP stays without an answer, be it that there is none.
        for piece in std::mem::take(&mut bench.fetching) {
            bench.tell(Event::WebSeed { piece, outcome: WebSeedOutcome::Failed });
        }
        bench.pass(Duration::from_secs(1));
        if bench.session.is_complete() {
            break;
        }
    }
    let was_refused = bench.closed.iter().any(|(peer, reason)| *peer == good && *reason == Reason::Full);
    let missing_bytes = bench.session.missing_bytes();
    assert!(missing_bytes == 0 || was_refused, "{missing_bytes} bytes missing, closed {:?}", bench.closed);
}

/// The frontend's seed against the events that stand in these bytes. Panics if it breaks a promise.
pub(super) fn seed(bytes: &[u8]) {
    let mut bench = Bench::new(SessionConfig::seed(id(FRONTEND)));
    bench.take_all(bytes);
    bench.serve_honest();
}

impl Bench {
    /// An honest machine comes to a seed, wants everything and gets it, whoever else is there. It asks for what it is offered,
    /// says what it has got, and asks for what it misses.
    fn serve_honest(&mut self) {
        let good = self.connect_as(HONEST, Direction::Incoming, true, true);
        self.say(good, Message::HaveNone);
        self.say(good, Message::Extended { id: 0, payload: ours() });
        self.say(good, Message::Interested);
        let mut has = BTreeSet::new();
        let (mut moved_at, mut asks_at) = (self.now, self.now + ASKS_EVERY);
        while has.len() < PIECES as usize {
            if self.closed.iter().any(|(peer, reason)| *peer == good && *reason == Reason::Full) {
                return;
            }
            assert!(self.connected.contains(&good), "an honest machine was closed: {:?}", self.closed.last());
            let within = SERVED_WITHIN.max(self.session.uploads.block_time() * SERVED_BLOCK_TIMES);
            assert!(self.now - moved_at < within, "an honest machine has only {has:?}");
            for (_, message) in std::mem::take(&mut self.said).into_iter().filter(|(peer, _)| *peer == good) {
                if let Message::Have(number) = message
                    && let Some(piece) = layout().index(number).filter(|piece| !has.contains(piece))
                {
                    let length_bytes = layout().payload_len(piece);
                    self.say(good, Message::Request(RawBlock { piece: number, offset_bytes: 0, length_bytes }));
                }
            }
            for (peer, block) in std::mem::take(&mut self.sending) {
                self.tell(Event::BlockSent { peer, block });
                if peer == good && has.insert(block.piece) {
                    moved_at = self.now;
                    self.say(good, Message::Have(block.piece.get()));
                }
            }
            if self.now >= asks_at {
                asks_at = self.now + ASKS_EVERY;
                let missing: Vec<PieceIndex> = layout().pieces().filter(|piece| !has.contains(piece)).collect();
                let payload = extension::encode_pieces(&missing);
                self.say(good, Message::Extended { id: extension::ASK, payload });
            }
            self.pass(Duration::from_millis(50));
        }
    }
}
