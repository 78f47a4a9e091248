//! A session against peers that behave, misbehave, and do anything at all in any order.

use super::*;
use crate::torrent::{Bitfield, Block, Layout, MetainfoBuilder, PeerId, PieceIndex};
use proptest::prelude::*;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

const PIECE_BYTES: u32 = 256 * 1024;
/// Three whole pieces and a short one, then nine files of a short piece each.
const PIECES: u32 = 13;

fn layout() -> Arc<Layout> {
    let mut builder = MetainfoBuilder::new("test", PIECE_BYTES).expect("a plain name");
    builder.file("a", 3 * u64::from(PIECE_BYTES) + 100, vec![[0; 20]; 4]).expect("four pieces");
    for n in 1..PIECES - 3 {
        builder.file(&format!("b{n}"), 40_000 + u64::from(n), vec![[0; 20]]).expect("one piece");
    }
    Arc::new(builder.finish().expect("well-formed").layout().clone())
}

fn address(n: u32) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::new(10, 0, 0, n as u8).into(), 6881)
}

fn id(n: u32) -> PeerId {
    PeerId::new([n as u8; 12])
}

/// A session with what it said that waits for an answer.
struct Bench {
    session: Session,
    now: Duration,
    asked: Vec<(PeerKey, Block)>,
    verifying: Vec<(PieceIndex, Source)>,
    sending: Vec<(PeerKey, Block)>,
    connecting: Vec<SocketAddr>,
    fetching: Vec<PieceIndex>,
    said: Vec<(PeerKey, Message)>,
    closed: Vec<(PeerKey, Reason)>,
    done: Vec<PieceIndex>,
    set_done: usize,
    next_key: u32,
}

impl Bench {
    fn new(config: SessionConfig) -> Self {
        let session = Session::new(config, layout(), 7);
        Self {
            session,
            now: Duration::ZERO,
            asked: Vec::new(),
            verifying: Vec::new(),
            sending: Vec::new(),
            connecting: Vec::new(),
            fetching: Vec::new(),
            said: Vec::new(),
            closed: Vec::new(),
            done: Vec::new(),
            set_done: 0,
            next_key: 0,
        }
    }

    /// A machine that wants everything.
    fn machine() -> Self {
        let config = SessionConfig { frontend: Some(address(200)), ..SessionConfig::machine(id(1)) };
        let mut bench = Self::new(config);
        bench.tell(Event::Want { pieces: layout().pieces().collect() });
        bench
    }

    fn tell(&mut self, event: Event) {
        self.session.handle(self.now, event);
        let layout = self.session.layout().clone();
        while let Some(action) = self.session.poll(self.now) {
            match action {
                Action::Connect { address } => self.connecting.push(address),
                Action::Disconnect { peer, reason } => {
                    self.closed.push((peer, reason));
                    self.asked.retain(|(key, _)| *key != peer);
                    self.sending.retain(|(key, _)| *key != peer);
                }
                Action::Send { peer, message } => {
                    match &message {
                        Message::Request(raw) => {
                            let block = layout.block(raw.piece, raw.offset_bytes, raw.length_bytes);
                            self.asked.push((peer, block.expect("only what exists is asked for")));
                        }
                        Message::Cancel(raw) => self.asked.retain(|(key, b)| (*key, RawBlock::of(*b)) != (peer, *raw)),
                        _ => {}
                    }
                    self.said.push((peer, message));
                }
                Action::SendBlock { peer, block } => self.sending.push((peer, block)),
                Action::Verify { piece, source } => self.verifying.push((piece, source)),
                Action::PieceDone { piece } => self.done.push(piece),
                Action::SetDone => self.set_done += 1,
                Action::FetchHttp { piece } => self.fetching.push(piece),
                Action::CancelHttp { piece } => self.fetching.retain(|fetching| *fetching != piece),
                Action::Announce { .. } | Action::Forget { .. } | Action::Report { .. } => {}
            }
        }
        self.session.check();
    }

    fn say(&mut self, peer: PeerKey, message: Message) {
        self.tell(Event::Message { peer, message });
    }

    fn connect(&mut self, n: u32, fast: bool) -> PeerKey {
        let peer = PeerKey(self.next_key);
        self.next_key += 1;
        let (id, direction) = (id(n), Direction::Outgoing);
        self.tell(Event::PeerConnected { peer, id, address: address(n), direction, fast, extended: fast });
        peer
    }

    /// A machine of ours that has everything and answers.
    fn connect_ours(&mut self, n: u32) -> PeerKey {
        let peer = self.connect(n, true);
        self.say(peer, Message::HaveAll);
        self.say(peer, Message::Extended { id: 0, payload: ours() });
        self.say(peer, Message::Unchoke);
        peer
    }

    /// Lets time pass, tick by tick.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.session.next_timeout().filter(|at| *at <= until) {
            assert!(at >= self.now || self.now == Duration::ZERO, "a timeout in the past");
            self.now = self.now.max(at) + Duration::from_micros(10);
            self.tell(Event::Tick);
        }
        self.now = until;
    }

    /// Answers everything this peer was asked for, with right or wrong bytes.
    fn answer(&mut self, peer: PeerKey, ok: bool) {
        while let Some(at) = self.asked.iter().position(|(key, _)| *key == peer) {
            let (_, block) = self.asked.remove(at);
            self.now += Duration::from_millis(2);
            assert!(self.session.expects(peer, block));
            self.tell(Event::BlockReceived { peer, block });
            while let Some((piece, source)) = self.verifying.pop() {
                self.tell(Event::Verified { piece, source, ok });
            }
        }
    }
}

fn ours() -> Vec<u8> {
    b"d1:md6:rk_aski2e6:rk_badi5e8:rk_crossi3e8:rk_readyi4e7:rk_wanti1ee1:pi6881ee".to_vec()
}

#[test]
fn a_machine_takes_everything_from_one_peer_and_tells_of_it() {
    let mut bench = Bench::machine();
    let peer = bench.connect_ours(2);
    bench.answer(peer, true);
    assert!(bench.session.is_complete() && bench.set_done == 1);
    assert_eq!(bench.done.len() as u32, PIECES);
    assert!(bench.said.iter().all(|(_, message)| !matches!(message, Message::Have(_))), "it has them already");
    let asked = bench.said.iter().filter_map(|(_, message)| match message {
        Message::Request(block) => Some(block.length_bytes),
        _ => None,
    });
    assert_eq!(asked.map(u64::from).sum::<u64>(), bench.session.totals().from_peers_bytes, "no pad, nothing twice");
    assert_eq!(bench.session.totals().wasted_bytes, 0);
}

#[test]
fn who_has_everything_goes_to_those_the_tracker_names_then() {
    let mut bench = Bench::machine();
    let told = |peers: &[u32]| Event::Peers {
        peers: peers.iter().map(|n| address(*n)).collect(),
        interval: Duration::from_secs(30),
    };
    let peer = bench.connect_ours(2);
    bench.tell(told(&(10..100).collect::<Vec<_>>()));
    bench.answer(peer, true);
    assert!(bench.session.is_complete());
    bench.connecting.clear();
    bench.tell(Event::ConnectFailed { address: address(10) });
    assert!(bench.connecting.is_empty(), "those it was told of before may come by themselves");
    bench.tell(told(&[150]));
    assert_eq!(bench.connecting, [address(150)]);
    let stock = bench.connect(150, false);
    bench.say(stock, Message::Interested);
    bench.say(stock, Message::Request(RawBlock { piece: 0, offset_bytes: 0, length_bytes: 16 << 10 }));
    assert_eq!(bench.sending.len(), 1);
}

#[test]
fn a_seed_offers_to_a_stock_client_that_has_nothing_and_sends_no_bit_field() {
    let mut bench = Bench::new(SessionConfig::seed(id(200)));
    let peer = bench.connect(2, false);
    let offered = |bench: &Bench| bench.said.iter().any(|(_, message)| matches!(message, Message::Have(_)));
    assert!(!offered(&bench), "its bit field may yet come");
    bench.say(peer, Message::Interested);
    assert!(offered(&bench));
}

#[test]
fn a_seed_that_shows_no_pieces_does_not_say_that_it_only_uploads() {
    let mut bench = Bench::new(SessionConfig::seed(id(200)));
    bench.connect(2, true);
    let said = bench.said.iter().find_map(|(_, message)| match message {
        Message::Extended { id: 0, payload } => Some(String::from_utf8_lossy(payload).into_owned()),
        _ => None,
    });
    let said = said.expect("its extension handshake");
    assert!(
        bench.said.iter().any(|(_, message)| *message == Message::HaveNone) && !said.contains("upload_only"),
        "{said}"
    );
}

#[test]
fn a_stock_client_is_asked_for_blocks_of_16_kib_once_it_unchokes() {
    let mut bench = Bench::machine();
    let peer = bench.connect(2, false);
    bench.say(peer, Message::Bitfield(Bitfield::all(PIECES).to_bytes()));
    assert!(bench.asked.is_empty());
    assert!(bench.said.contains(&(peer, Message::Interested)) && bench.said.contains(&(peer, Message::Unchoke)));
    bench.say(peer, Message::Unchoke);
    assert!(bench.asked.iter().all(|(_, block)| block.length_bytes <= 16 * 1024) && bench.asked.len() > 2);
    // It chokes in the middle: what it did not send is asked of somebody else.
    let (_, block) = bench.asked.remove(0);
    bench.tell(Event::BlockReceived { peer, block });
    bench.say(peer, Message::Choke);
    let other = bench.connect_ours(3);
    bench.answer(other, true);
    assert!(bench.session.is_complete());
}

#[test]
fn a_liar_is_banned_and_costs_no_more_than_what_was_in_flight_from_it() {
    let mut bench = Bench::machine();
    let liar = bench.connect_ours(2);
    bench.answer(liar, false);
    assert_eq!(bench.closed, [(liar, Reason::WrongPiece)]);
    assert!(bench.session.totals().wasted_bytes <= 2 * u64::from(PIECE_BYTES));
    let again = bench.connect(2, true);
    assert_eq!(bench.closed[1..], [(again, Reason::Banned)]);
    let good = bench.connect_ours(3);
    bench.answer(good, true);
    assert!(bench.session.is_complete());
}

#[test]
fn nonsense_is_answered_with_a_reason() {
    let block = |piece, offset_bytes, length_bytes| RawBlock { piece, offset_bytes, length_bytes };
    let cases: [(Message, Reason); 8] = [
        (Message::Bitfield(vec![0xff; 2]), Reason::WrongBitfield),
        (Message::Bitfield(vec![0; 4000]), Reason::WrongBitfield),
        (Message::Have(PIECES), Reason::OutOfRange),
        (Message::Request(block(u32::MAX, 0, 16)), Reason::OutOfRange),
        (Message::Request(block(0, 0, 0)), Reason::OutOfRange),
        (Message::Request(block(0, PIECE_BYTES - 1, 16)), Reason::OutOfRange),
        (Message::Request(block(0, 0, PIECE_BYTES)), Reason::OutOfRange),
        (Message::Extended { id: 0, payload: b"d1:".to_vec() }, Reason::WrongExtension),
    ];
    for (message, reason) in cases {
        let mut bench = Bench::machine();
        let peer = bench.connect(2, true);
        bench.say(peer, message.clone());
        assert_eq!(bench.closed, [(peer, reason)], "{message:?}");
    }
    let endless: [Message; 4] = [
        Message::HaveNone,
        Message::Have(1),
        Message::Request(block(1, 0, 16)),
        Message::Extended { id: 77, payload: Vec::new() },
    ];
    for message in endless {
        let mut bench = Bench::machine();
        let peer = bench.connect(2, true);
        (0..200).for_each(|_| bench.say(peer, message.clone()));
        assert_eq!(bench.closed, [(peer, Reason::Nonsense)], "{message:?}");
    }
}

#[test]
fn a_peer_that_never_answers_delays_nothing_by_more_than_a_second() {
    let mut bench = Bench::machine();
    let mute = bench.connect_ours(2);
    assert!(!bench.asked.is_empty());
    let good = bench.connect_ours(3);
    bench.answer(good, true);
    bench.pass(Duration::from_millis(1100));
    bench.answer(good, true);
    assert!(bench.session.is_complete(), "{:?} missing", bench.session.missing_bytes());
    // It had its chance: with something to ask of it, it would be closed in the end.
    let mut bench = Bench::machine();
    let mute_alone = bench.connect_ours(2);
    bench.pass(Duration::from_secs(120));
    assert_eq!(bench.closed, [(mute_alone, Reason::Silent)]);
    assert_eq!(mute, mute_alone);
}

#[test]
fn nobody_there_means_http_and_a_busy_frontend_is_left_alone() {
    let mut bench = Bench::machine();
    assert_eq!(bench.connecting, [address(200)]);
    bench.tell(Event::ConnectFailed { address: address(200) });
    bench.pass(Duration::from_millis(400));
    assert!(!bench.fetching.is_empty() && bench.fetching.len() <= HTTP_ALONE);
    let piece = bench.fetching.remove(0);
    bench.tell(Event::WebSeed { piece, outcome: WebSeedOutcome::Busy(Duration::from_secs(2)) });
    let before = bench.fetching.len();
    bench.pass(Duration::from_millis(1500));
    assert_eq!(bench.fetching.len(), before, "it was told to wait");
    bench.pass(Duration::from_secs(1));
    while let Some(piece) = bench.fetching.pop() {
        bench.now += Duration::from_millis(2);
        bench.tell(Event::WebSeed { piece, outcome: WebSeedOutcome::Received });
        while let Some((piece, source)) = bench.verifying.pop() {
            bench.tell(Event::Verified { piece, source, ok: true });
        }
    }
    assert!(bench.session.is_complete());
}

#[test]
fn a_seed_offers_each_piece_once_and_nothing_that_nobody_wants() {
    let mut bench = Bench::new(SessionConfig::seed(id(200)));
    let peers: Vec<PeerKey> = (2..5).map(|n| bench.connect(n, true)).collect();
    let mut want = Bitfield::all(PIECES);
    want.remove(layout().index(0).expect("there are thirteen"));
    for &peer in &peers {
        bench.say(peer, Message::HaveNone);
        bench.say(peer, Message::Extended { id: 0, payload: ours() });
        bench.say(peer, Message::Extended { id: 1, payload: want.to_bytes() });
    }
    // The first peer was offered piece 0 before it told what it wants.
    let mut offered: Vec<u32> = Vec::new();
    for _ in 0..100 {
        let offers: Vec<(PeerKey, Message)> = std::mem::take(&mut bench.said);
        for (peer, message) in offers {
            let Message::Have(piece) = message else { continue };
            offered.push(piece);
            let length_bytes = layout().payload_len(layout().index(piece).expect("it exists"));
            bench.say(peer, Message::Request(RawBlock { piece, offset_bytes: 0, length_bytes }));
        }
        while let Some((peer, block)) = bench.sending.pop() {
            bench.tell(Event::BlockSent { peer, block });
            bench.say(peer, Message::Have(block.piece.get()));
        }
    }
    offered.sort_unstable();
    let wanted: Vec<u32> = (1..PIECES).collect();
    assert_eq!(offered.iter().filter(|piece| **piece > 0).copied().collect::<Vec<_>>(), wanted);
    assert!(offered.iter().filter(|piece| **piece == 0).count() <= 1);
    assert!(bench.closed.is_empty(), "{:?}", bench.closed);
}

/// Anything that can happen, with numbers that are mostly in range.
#[derive(Debug, Clone)]
enum Step {
    Connect(u32, bool),
    Lost(u32),
    Message(u32, Message),
    Answer(usize, bool),
    Stray(u32, u32),
    Sent(usize),
    Http(usize, u8),
    Peers(Vec<u32>),
    ConnectFailed(usize),
    Want(u32, u32),
    Demand(u32, u32),
    DemandEnd(u32),
    Have(u32),
    Pass(u32),
}

fn message() -> impl Strategy<Value = Message> {
    let piece = 0..PIECES + 1;
    let block =
        (0..PIECES + 1, prop_oneof![Just(0_u32), 0..PIECE_BYTES], prop_oneof![Just(16_384_u32), 0..PIECE_BYTES])
            .prop_map(|(piece, offset_bytes, length_bytes)| RawBlock { piece, offset_bytes, length_bytes });
    let whole = (0..PIECES).prop_map(|n| {
        let length_bytes = layout().payload_len(layout().index(n).expect("in range"));
        RawBlock { piece: n, offset_bytes: 0, length_bytes }
    });
    let block = prop_oneof![whole, block];
    prop_oneof![
        3 => Just(Message::Unchoke),
        1 => Just(Message::Choke),
        1 => Just(Message::Interested),
        4 => piece.prop_map(Message::Have),
        1 => proptest::collection::vec(any::<u8>(), 2).prop_map(Message::Bitfield),
        2 => Just(Message::HaveAll),
        1 => Just(Message::HaveNone),
        4 => block.clone().prop_map(Message::Request),
        1 => block.clone().prop_map(Message::Cancel),
        2 => block.prop_map(Message::Reject),
        2 => Just(Message::Extended { id: 0, payload: ours() }),
        2 => (1_u8..6, proptest::collection::vec(prop_oneof![Just(0_u8), 0_u8..20], 0..12))
            .prop_map(|(id, payload)| Message::Extended { id, payload }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (2_u32..60, any::<bool>()).prop_map(|(n, fast)| Step::Connect(n, fast)),
        1 => (0_u32..20).prop_map(Step::Lost),
        12 => (0_u32..12, message()).prop_map(|(peer, message)| Step::Message(peer, message)),
        8 => (any::<usize>(), proptest::bool::weighted(0.9)).prop_map(|(at, ok)| Step::Answer(at, ok)),
        1 => (0_u32..12, 0..PIECES).prop_map(|(peer, piece)| Step::Stray(peer, piece)),
        4 => any::<usize>().prop_map(Step::Sent),
        3 => (any::<usize>(), 0_u8..3).prop_map(|(at, how)| Step::Http(at, how)),
        1 => proptest::collection::vec(0_u32..255, 0..40).prop_map(Step::Peers),
        1 => any::<usize>().prop_map(Step::ConnectFailed),
        1 => (0..PIECES, 1_u32..6).prop_map(|(from, count)| Step::Want(from, count)),
        2 => (0..PIECES, 1_u32..6).prop_map(|(from, count)| Step::Demand(from, count)),
        1 => (0..PIECES).prop_map(Step::DemandEnd),
        1 => (0..PIECES).prop_map(Step::Have),
        5 => (0_u32..3000).prop_map(Step::Pass),
    ]
}

impl Bench {
    fn take(&mut self, step: Step) {
        let pieces = |from: u32, count: u32| -> Vec<PieceIndex> {
            layout().pieces().skip(from as usize).take(count as usize).collect()
        };
        match step {
            Step::Connect(n, fast) => _ = self.connect(n, fast),
            Step::Lost(peer) => self.tell(Event::PeerLost { peer: PeerKey(peer) }),
            Step::Message(peer, message) => self.say(PeerKey(peer), message),
            Step::Answer(at, ok) => {
                if !self.asked.is_empty() {
                    let (peer, block) = self.asked.remove(at % self.asked.len());
                    self.tell(Event::BlockReceived { peer, block });
                }
                if !self.verifying.is_empty() {
                    let (piece, source) = self.verifying.remove(at % self.verifying.len());
                    self.tell(Event::Verified { piece, source, ok });
                }
            }
            Step::Stray(peer, piece) => {
                let piece = pieces(piece, 1)[0];
                let block = Block { piece, offset_bytes: 0, length_bytes: layout().payload_len(piece) };
                self.tell(Event::BlockReceived { peer: PeerKey(peer), block });
            }
            Step::Sent(at) => {
                if !self.sending.is_empty() {
                    let (peer, block) = self.sending.remove(at % self.sending.len());
                    self.tell(Event::BlockSent { peer, block });
                }
            }
            Step::Http(at, how) => {
                if !self.fetching.is_empty() {
                    let piece = self.fetching.remove(at % self.fetching.len());
                    let outcome = match how {
                        0 => WebSeedOutcome::Received,
                        1 => WebSeedOutcome::Busy(Duration::from_millis(300)),
                        _ => WebSeedOutcome::Failed,
                    };
                    self.tell(Event::WebSeed { piece, outcome });
                }
            }
            Step::Peers(peers) => {
                let peers = peers.into_iter().map(address).collect();
                self.tell(Event::Peers { peers, interval: Duration::from_secs(30) });
            }
            Step::ConnectFailed(at) => {
                if !self.connecting.is_empty() {
                    let address = self.connecting.remove(at % self.connecting.len());
                    self.tell(Event::ConnectFailed { address });
                }
            }
            Step::Want(from, count) => self.tell(Event::Want { pieces: pieces(from, count) }),
            Step::Demand(from, count) => self.tell(Event::Demand { pieces: pieces(from, count) }),
            Step::DemandEnd(from) => self.tell(Event::DemandEnd { pieces: pieces(from, 3) }),
            Step::Have(piece) => self.tell(Event::Have { pieces: pieces(piece, 1) }),
            Step::Pass(millis) => self.pass(Duration::from_millis(u64::from(millis))),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_machine_keeps_its_invariants_in_any_order_of_events(steps in proptest::collection::vec(step(), 1..150)) {
        let mut bench = Bench::machine();
        steps.into_iter().for_each(|step| bench.take(step));
        // Whatever happened, an honest peer ends it.
        bench.pass(Duration::from_secs(10));
        let good = bench.connect_ours(199);
        for _ in 0..100 {
            bench.answer(good, true);
            while let Some((piece, source)) = bench.verifying.pop() {
                bench.tell(Event::Verified { piece, source, ok: true });
            }
            bench.pass(Duration::from_secs(1));
            if bench.session.is_complete() {
                break;
            }
        }
        let was_refused = bench.closed.iter().any(|(peer, _)| *peer == good);
        prop_assert!(bench.session.is_complete() || was_refused, "{} bytes missing", bench.session.missing_bytes());
    }

    #[test]
    fn a_seed_keeps_its_invariants_in_any_order_of_events(steps in proptest::collection::vec(step(), 1..150)) {
        let mut bench = Bench::new(SessionConfig::seed(id(200)));
        steps.into_iter().for_each(|step| bench.take(step));
    }
}
