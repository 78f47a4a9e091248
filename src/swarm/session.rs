//! The state machine itself: what it consists of, how events are handed out, and its connections.
//!
//! The parts of its behaviour stand in files of their own: what peers say in `incoming`, what they are told of pieces
//! gained in `news`, what is asked of whom in `requests`, what is sent to whom in `uploads`, what a seed offers in `offers`, the ways out when nobody has what is
//! missing in `fallback`, whom to connect to in `contacts`.

use super::config::{NONSENSE_MAX, PEERS_PER_HOST_MAX, Role, SessionConfig};
use super::contacts::Contacts;
use super::demand::Demand;
use super::event::{Action, AnnounceEvent, Direction, Event, PeerKey, Reason, Source};
use super::extension::{self, Handshake};
use super::fallback::Fallback;
use super::flights::Flight;
use super::message::Message;
use super::news::News;
use super::offers::Offers;
use super::pace::Pace;
use super::peers::{Listener, Peer, Peers};
use super::pieces::{Pieces, State};
use super::random::Generator;
use super::uploads::Uploads;
use crate::torrent::{Bitfield, Layout, PeerId, PieceIndex};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A connection on which we said nothing for so long gets a keep-alive.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(100);
/// A peer that said nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(180);
/// How often a session looks around while it waits for nothing in particular.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a session has moved so far, in payload bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Received from the frontend, by its seed or over HTTP.
    pub from_frontend_bytes: u64,
    /// Received from other machines.
    pub from_peers_bytes: u64,
    /// Of what was received: what had come before, or came again from somebody else.
    pub twice_bytes: u64,
    /// Of what was received: pieces with a wrong digest.
    pub wrong_bytes: u64,
    /// Sent.
    pub sent_bytes: u64,
}

/// A downloader or a seed of one swarm.
pub struct Session {
    pub(super) config: SessionConfig,
    pub(super) layout: Arc<Layout>,
    pub(super) random: Generator,
    pub(super) pieces: Pieces,
    pub(super) peers: Peers,
    pub(super) contacts: Contacts,
    pub(super) pace: Pace,
    pub(super) uploads: Uploads,
    pub(super) offers: Offers,
    pub(super) fallback: Fallback,
    /// What the installer waits for.
    pub(super) demand: Demand,
    /// Pieces that rack-mates fetch from outside, and until when to believe it.
    pub(super) crossing: BTreeMap<PieceIndex, Duration>,
    /// Who sent the pieces that are being verified.
    pub(super) senders: BTreeMap<PieceIndex, (PeerId, SocketAddr)>,
    pub(super) totals: Totals,
    pub(super) actions: VecDeque<Action>,
    deadline: Option<Duration>,
    keep_alive_at: Duration,
    /// What peers are to be told by and by.
    pub(super) news: News,
    set_done: bool,
}

impl Session {
    /// A session of this swarm that holds nothing and wants nothing yet (a seed: everything). The seed value feeds its
    /// random ties.
    pub fn new(config: SessionConfig, layout: Arc<Layout>, seed_value: u64) -> Self {
        let mut random = Generator::new(seed_value);
        let is_seed = config.role == Role::Seed;
        Self {
            pieces: Pieces::new(layout.clone(), is_seed, random.next_u64()),
            peers: Peers::new(layout.piece_count(), is_seed),
            contacts: Contacts::new(&config),
            pace: Pace::default(),
            uploads: Uploads::default(),
            offers: Offers::new(if is_seed { layout.piece_count() } else { 0 }),
            fallback: Fallback::new(random.unit()),
            demand: Demand::default(),
            crossing: BTreeMap::new(),
            senders: BTreeMap::new(),
            totals: Totals::default(),
            actions: VecDeque::new(),
            deadline: Some(Duration::ZERO),
            keep_alive_at: Duration::ZERO,
            news: News::default(),
            set_done: is_seed,
            config,
            layout,
            random,
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Duration, event: Event) {
        match event {
            Event::PeerConnected { peer, id, address, direction, fast, extended } => {
                self.on_connected(now, peer, id, address, direction, fast, extended);
            }
            Event::Message { peer, message } => self.on_message(now, peer, message),
            Event::BlockReceived { peer, block } => self.on_block(now, peer, block),
            Event::BlockMoves { peer, block } => self.on_block_moves(now, peer, block),
            Event::BlockSent { peer, block } => self.on_sent(now, peer, block),
            Event::BlockGone { peer, block } => self.on_gone(now, peer, block),
            Event::PeerMalformed { peer } => self.disconnect(now, peer, Reason::Malformed),
            Event::PeerLost { peer } => {
                self.drop_peer(now, peer);
                self.refill(now);
            }
            Event::ConnectFailed { address } => self.contacts.failed(now, address),
            Event::Peers { peers, interval } => self.contacts.told(now, &peers, interval, &mut self.random),
            Event::AnnounceFailed => self.contacts.announce_failed(now, &mut self.random),
            Event::WebSeed { piece, outcome } => self.on_web_seed(now, piece, outcome),
            Event::Verified { piece, source, ok } => self.on_verified(now, piece, source, ok),
            Event::Want { pieces } => self.on_want(now, pieces),
            Event::Demand { pieces } => self.on_demand(now, pieces),
            Event::DemandEnd { pieces } => pieces.into_iter().for_each(|piece| _ = self.demand.remove(piece)),
            Event::Have { pieces } => self.on_had(now, pieces),
            Event::Tick => {}
            Event::Stop => {
                let left_bytes = self.pieces.missing_bytes();
                self.contacts.stop();
                self.act(Action::Announce { event: AnnounceEvent::Stopped, left_bytes });
            }
        }
        if self.contacts.is_due(now) {
            self.make_contacts(now);
        }
        if self.deadline.is_none_or(|deadline| deadline <= now) {
            self.look_around(now);
        }
    }

    /// The next thing to do, if there is one.
    pub fn poll(&mut self, _now: Duration) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Event::Tick`] is due, on the clock of `now`.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.deadline
    }

    /// The verified pieces.
    pub fn held(&self) -> &Bitfield {
        self.pieces.held()
    }

    /// Whether every wanted piece is held.
    pub fn is_complete(&self) -> bool {
        self.pieces.missing() == 0
    }

    /// Payload bytes that are wanted and not held.
    pub fn missing_bytes(&self) -> u64 {
        self.pieces.missing_bytes()
    }

    /// How many peers are connected.
    pub fn peer_count(&self) -> usize {
        self.peers.len()
    }

    /// The peers that say where they listen.
    pub fn listeners(&self) -> Vec<Listener> {
        self.peers.iter().filter_map(Peer::listener).collect()
    }

    /// What has been moved so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// How it was set up.
    pub fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// What it shares.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub(super) fn is_seed(&self) -> bool {
        self.config.role == Role::Seed
    }
    pub(super) fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }
    pub(super) fn say(&mut self, peer: PeerKey, message: Message) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.said_at = Duration::ZERO;
        }
        self.act(Action::Send { peer, message });
    }
    /// Looks around at this time, or earlier.
    pub(super) fn wake_at(&mut self, at: Duration) {
        self.deadline = Some(self.deadline.map_or(at, |deadline| deadline.min(at)));
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one event")]
    fn on_connected(
        &mut self,
        now: Duration,
        key: PeerKey,
        id: PeerId,
        address: SocketAddr,
        direction: Direction,
        fast: bool,
        extended: bool,
    ) {
        let refuse = |session: &mut Self, reason| session.act(Action::Disconnect { peer: key, reason });
        self.contacts.answered(address);
        if id == self.config.peer_id {
            self.contacts.never(address);
            return refuse(self, Reason::Itself);
        }
        if self.contacts.is_banned(id, address) {
            return refuse(self, Reason::Banned);
        }
        if let Some(twin) = self.peers.iter().find(|peer| peer.rest.id == id) {
            // Both sides keep the connection that the smaller id opened.
            let ours_is_smaller = self.config.peer_id < id;
            let opened_right = |direction| (direction == Direction::Outgoing) == ours_is_smaller;
            if opened_right(twin.rest.direction) || !opened_right(direction) {
                return refuse(self, Reason::Twice);
            }
            let twin = twin.key;
            self.disconnect(now, twin, Reason::Twice);
        }
        let is_frontend = direction == Direction::Outgoing && Some(address) == self.config.frontend;
        if let Some(oldest) = self.peers.oldest_beyond(address.ip(), PEERS_PER_HOST_MAX - 1) {
            self.disconnect(now, oldest, Reason::Crowd);
        }
        if self.contacts.was_mute(now, address.ip()) && !is_frontend {
            return refuse(self, Reason::Silent);
        }
        // The frontend's seed always has a place.
        if self.peers.len() >= self.config.peers_max() && (!is_frontend || self.peers.frontend().is_some()) {
            return refuse(self, Reason::Full);
        }
        let mut peer = Peer::new(key, id, address, direction, self.layout.piece_count());
        peer.fast = fast;
        peer.rest.extended = extended;
        if self.is_seed() {
            peer.rest.told = Bitfield::none(self.layout.piece_count());
        }
        peer.is_frontend = is_frontend;
        peer.rest.answered_at = now;
        peer.heard_at = now;
        peer.rest.gained_at = now;
        if !self.peers.insert(peer) {
            return;
        }
        self.contacts.joined(address);
        let held = self.pieces.held();
        let opening = match (fast, self.is_seed() || held.is_none()) {
            (true, true) => Some(Message::HaveNone),
            (true, false) if held.is_all() => Some(Message::HaveAll),
            (false, true) => None,
            (_, false) => Some(Message::Bitfield(held.to_bytes())),
        };
        if let Some(opening) = opening {
            self.say(key, opening);
        }
        if extended {
            self.say_extended_handshake(key);
        }
        self.say(key, Message::Unchoke);
        if self.is_seed() {
            self.offers.joined(key);
            self.offer(now);
        }
    }

    fn say_extended_handshake(&mut self, peer: PeerKey) {
        let mut ids = extension::OUR_IDS;
        if self.config.metadata_bytes.is_none() {
            ids[usize::from(extension::METADATA)] = 0;
        }
        let handshake = Handshake {
            ids,
            metadata_bytes: self.config.metadata_bytes,
            // libtorrent closes a connection to who only uploads and shows no pieces, as a seed does.
            upload_only: (!self.is_seed()).then(|| self.set_done && self.is_complete()),
            requests_max: Some(super::config::STOCK_REQUESTS_MAX as u32),
            port: self.config.address.map(|address| address.port()),
            rack: self.config.rack,
        };
        self.say(peer, Message::Extended { id: 0, payload: handshake.encode() });
    }

    /// Closes a connection, and remembers why if it is never to be opened again.
    pub(super) fn disconnect(&mut self, now: Duration, key: PeerKey, reason: Reason) {
        let Some(peer) = self.peers.get(key) else { return };
        let (id, address) = (peer.rest.id, peer.listens_at());
        if reason.is_ban() {
            self.ban(id, address, reason);
        }
        self.act(Action::Disconnect { peer: key, reason });
        self.drop_peer(now, key);
    }

    /// Keeps a peer out from now on; the tracker and, of a liar, the frontend's seed are to know.
    pub(super) fn ban(&mut self, id: PeerId, address: SocketAddr, reason: Reason) {
        self.contacts.ban(id, address);
        self.act(Action::Report { id, address, reason });
        if let Some(frontend) = self.peers.frontend().filter(|peer| peer.is_ours() && reason == Reason::WrongPiece) {
            let (peer, number) = (frontend.key, frontend.rest.extension.ids[usize::from(extension::BAD)]);
            self.say(peer, Message::Extended { id: number, payload: extension::encode_host(address.ip()) });
        }
    }

    /// Forgets a connection; what was in flight from it is idle again.
    pub(super) fn drop_peer(&mut self, now: Duration, key: PeerKey) {
        let source = Source::Peer(key);
        let lost = self.pieces.flights().from(source);
        let owes = self.owes(key);
        for piece in lost {
            self.give_up(piece, source);
        }
        let Some(peer) = self.peers.remove(key) else { return };
        if owes {
            self.contacts.is_mute(now, peer.rest.address.ip());
        }
        if !peer.is_frontend {
            for piece in peer.have().iter() {
                self.pieces.count(piece, peer.is_mate, false);
            }
        }
        self.contacts.lost(now, &peer);
        self.uploads.lost(&peer);
        if self.is_seed() {
            self.offers.lost(&peer, &self.pieces);
        }
    }

    /// Whether a peer was asked for something, has let it wait for too long and answered nothing since: if it goes and comes
    /// again under another name it would be asked anew each time.
    fn owes(&self, key: PeerKey) -> bool {
        let Some(peer) = self.peers.get(key).filter(|peer| !peer.is_frontend) else { return false };
        let waits = |flight: &Flight| {
            flight.source == Source::Peer(key) && flight.is_overdue && peer.rest.answered_at <= flight.asked_at
        };
        peer.rest.silences > 0 || self.pieces.flights().iter().any(waits)
    }

    /// What has to be done after something was given up: other sources, other receivers.
    pub(super) fn refill(&mut self, now: Duration) {
        self.fill(now);
        self.serve(now);
        self.offer(now);
    }

    /// Something without sense came from a peer; enough of it and it is banned.
    pub(super) fn nonsense(&mut self, now: Duration, key: PeerKey, weight: u32) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.rest.nonsense += weight;
        if peer.rest.nonsense > NONSENSE_MAX {
            self.disconnect(now, key, Reason::Nonsense);
        }
    }

    fn on_want(&mut self, now: Duration, pieces: Vec<PieceIndex>) {
        let mut is_new = false;
        for piece in pieces {
            is_new |= self.want(piece);
        }
        self.contacts.start(now);
        if is_new {
            self.set_done = false;
            let frontends = self.peers.iter().filter(|peer| peer.is_frontend && peer.is_ours());
            for key in frontends.map(|peer| peer.key).collect::<Vec<_>>() {
                self.say_want(key);
            }
            self.show_interest();
        }
        self.check_done(now);
        self.fill(now);
    }

    fn want(&mut self, piece: PieceIndex) -> bool {
        if !self.pieces.want(piece) {
            return false;
        }
        self.peers.count_useful(piece, true);
        if self.layout.payload_len(piece) == 0 {
            self.peers.count_useful(piece, false);
            self.pieces.hold(piece);
            self.act(Action::PieceDone { piece });
        }
        true
    }

    fn on_demand(&mut self, now: Duration, pieces: Vec<PieceIndex>) {
        let missing: Vec<PieceIndex> = pieces
            .into_iter()
            .filter(|piece| self.pieces.state(*piece) != State::Held && !self.demand.contains(*piece))
            .collect();
        if missing.is_empty() {
            return;
        }
        self.demand.add(&missing);
        self.fallback.demanded(now);
        self.on_want(now, missing);
        self.look_around(now);
    }

    fn on_had(&mut self, now: Duration, pieces: Vec<PieceIndex>) {
        for piece in pieces {
            if self.pieces.idle().has(piece) {
                self.peers.count_useful(piece, false);
            }
            if matches!(self.pieces.state(piece), State::Idle | State::Unwanted) {
                self.pieces.hold(piece);
                self.tell(now, piece);
            }
        }
        self.check_done(now);
    }

    pub(super) fn say_want(&mut self, key: PeerKey) {
        let Some(id) = self.peers.get(key).map(|peer| peer.rest.extension.ids[usize::from(extension::WANT)]) else {
            return;
        };
        let wanted = self.pieces.wanted();
        self.say(key, Message::Extended { id, payload: wanted.to_bytes() });
    }

    /// Says so when everything wanted is held, to the driver, the tracker and the peers (BEP 21).
    pub(super) fn check_done(&mut self, now: Duration) {
        if self.set_done || !self.is_complete() || !self.contacts.has_started() {
            return;
        }
        self.set_done = true;
        self.tell_all(now);
        self.act(Action::SetDone);
        self.contacts.complete();
        let interested: Vec<(PeerKey, bool)> =
            self.peers.iter().map(|peer| (peer.key, peer.we_are_interested)).collect();
        for (key, we_are_interested) in interested {
            if self.peers.get(key).is_some_and(|peer| peer.rest.extended) {
                self.say_extended_handshake(key);
            }
            if we_are_interested {
                self.say(key, Message::NotInterested);
                if let Some(peer) = self.peers.get_mut(key) {
                    peer.we_are_interested = false;
                }
            }
        }
    }

    /// Tells peers that have become useful that we want something of them.
    pub(super) fn show_interest(&mut self) {
        for peer in self.peers.iter_mut().filter(|peer| peer.useful > 0 && !peer.we_are_interested) {
            peer.we_are_interested = true;
            self.actions.push_back(Action::Send { peer: peer.key, message: Message::Interested });
        }
    }

    fn make_contacts(&mut self, now: Duration) {
        let left_bytes = self.pieces.missing_bytes();
        let peers = self.peers.len();
        while let Some(action) = self.contacts.next(now, peers, left_bytes) {
            self.actions.push_back(action);
        }
        if let Some(at) = self.contacts.looked(left_bytes) {
            self.wake_at(at);
        }
    }

    /// Does what is due by time alone, and finds out when something will be due again.
    fn look_around(&mut self, now: Duration) {
        self.deadline = None;
        self.tell_what_is_due(now);
        self.check_flights(now);
        self.check_uploads(now);
        self.check_offers(now);
        self.check_fallback(now);
        self.keep_alive(now);
        self.crossing.retain(|_, until| *until > now);
        self.refill(now);
        self.make_contacts(now);
        self.wake_at(now + LOOK_EVERY);
    }

    fn keep_alive(&mut self, now: Duration) {
        if now < self.keep_alive_at {
            return;
        }
        self.keep_alive_at = now + LOOK_EVERY;
        let mut silent = Vec::new();
        for peer in self.peers.iter_mut() {
            if now.saturating_sub(peer.heard_at) > SILENCE_MAX {
                silent.push(peer.key);
            } else if peer.said_at == Duration::ZERO {
                peer.said_at = now;
            } else if now.saturating_sub(peer.said_at) > KEEP_ALIVE_EVERY {
                peer.said_at = now;
                self.actions.push_back(Action::Send { peer: peer.key, message: Message::KeepAlive });
            }
        }
        for key in silent {
            self.disconnect(now, key, Reason::Silent);
        }
    }

    /// Checks every invariant this room promises; for tests and fuzzers. Panics if one is broken.
    pub fn check(&self) {
        self.pieces.check();
        self.peers.check();
        let idle = self.pieces.idle();
        let all_flights = || self.pieces.flights().iter();
        for peer in self.peers.iter() {
            let source = Source::Peer(peer.key);
            assert_eq!(peer.useful as usize, peer.have().iter().filter(|piece| idle.has(*piece)).count(), "useful");
            let flights = || all_flights().filter(|flight| flight.source == source);
            assert_eq!(peer.flights, flights().count(), "flights of {:?}", peer.key);
            assert_eq!(peer.blocks_out, flights().map(|flight| flight.waiting.len()).sum::<usize>(), "blocks out");
            assert!(peer.rest.queue.len() <= super::config::STOCK_REQUESTS_MAX, "upload queue");
            assert!(peer.rest.late.len() <= super::requests::LATE_MAX, "late pieces");
            assert!(peer.rest.nonsense <= NONSENSE_MAX, "nonsense");
        }
        let peer_flights = all_flights().filter(|flight| flight.source != Source::WebSeed).count();
        assert_eq!(peer_flights, self.peers.iter().map(|peer| peer.flights).sum::<usize>(), "flights from nobody");
        // The frontend's seed comes on top.
        assert!(self.peers.len() <= self.config.peers_max() + 1, "peers");
        assert!(
            self.pieces.flights().by_piece().all(|flights| flights.len() <= super::config::ENDGAME_COPIES),
            "copies"
        );
        assert_eq!(self.uploads.active(), self.peers.iter().filter(|peer| peer.counts_as_sending()).count(), "sending");
        let sent_to = self.peers.iter().filter(|peer| peer.rest.sending.is_some()).map(|peer| &peer.key);
        assert!(self.uploads.sent_to().iter().eq(sent_to), "sent to");
        let turned_down = self.peers.iter().filter(|peer| peer.turned_down.is_some()).count();
        assert_eq!(turned_down, self.uploads.turned_down(), "turned down");
        self.contacts.check();
        self.offers.check(&self.peers, &self.pieces);
    }
}
