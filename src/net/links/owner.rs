//! The task that owns a session: tells it what happened, does what it says.

use super::link::{self, Common, Link, Out};
use super::spare::Spare;
use super::supply::{Supply, WebSeed};
use super::way_out::WayOut;
use crate::cache::CacheError;
use crate::net::http;
use crate::net::log::Log;
use crate::net::rate::Bucket;
use crate::net::seldom::Seldom;
use crate::swarm::{
    Action, AnnounceEvent, Direction, Event, Listener, Message, PeerKey, Reason, Role, Session, SessionConfig, Source,
    Totals, WebSeedOutcome,
};
use crate::torrent::{Block, InfoHash, PeerId, PieceIndex};
use crate::wire::Handshake;
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};

/// What waits for the owner; whoever has more to say waits.
const INPUTS_MAX: usize = 256;
/// What the owner takes in before it does what follows from it.
const INPUTS_AT_ONCE: usize = 32;
/// How long a connection to a peer may take to come up.
pub(super) const CONNECT_MILLIS_MAX: u64 = 1500;
/// How long the goodbye to the tracker may take.
const GOODBYE_SECS_MAX: u64 = 3;

/// What the tracker answered: whom it points at, and when to ask again.
pub type Announced = Option<(Vec<SocketAddr>, Duration)>;
/// Announces to the tracker: the event, what is left, what was moved.
pub type Announcer =
    Arc<dyn Fn(AnnounceEvent, u64, Totals) -> Pin<Box<dyn Future<Output = Announced> + Send>> + Send + Sync>;

/// What a swarm is joined with.
pub struct Setup {
    /// What the session is told once.
    pub config: SessionConfig,
    /// Its random ties come from it.
    pub seed_value: u64,
    /// Where blocks come from; a cache also takes them in.
    pub supply: Supply,
    /// Pieces over HTTP, where allowed.
    pub web_seed: Option<WebSeed>,
    /// The way to the tracker.
    pub announcer: Option<Announcer>,
    /// The address that connections go out from.
    pub bind: Option<IpAddr>,
    /// The rate of payload sent.
    pub upload: Option<Arc<Bucket>>,
    /// The rate of payload received.
    pub download: Option<Arc<Bucket>>,
    /// Where it says what happened.
    pub log: Log,
}

/// How far a member of a swarm is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Pieces held.
    pub pieces: u32,
    /// Whether all that is wanted is held; false until something was wanted.
    pub is_complete: bool,
    /// Payload moved.
    pub totals: Totals,
    /// Connections.
    pub peers: usize,
    /// The cache takes no more: what is missing must come by another way.
    pub is_broken: bool,
    /// Whether a seed is sending, and has offers that wait to be sent.
    pub is_offering: bool,
}

/// What happens to a member.
pub(super) enum Input {
    Linked {
        tcp: TcpStream,
        theirs: Handshake,
        rest: BytesMut,
        address: SocketAddr,
        direction: Direction,
    },
    /// A connection ended: by the other, or because of what it sent or did not send.
    Lost(PeerKey, Option<std::io::Error>),
    Block {
        peer: PeerKey,
        block: Block,
        data: Bytes,
    },
    /// A block that was to be sent is not there.
    Gone {
        peer: PeerKey,
        block: Block,
    },
    Http {
        piece: PieceIndex,
        outcome: Result<Vec<Bytes>, WebSeedOutcome>,
    },
    Stored {
        piece: PieceIndex,
        source: Source,
        result: Result<(), CacheError>,
    },
    Event(Event),
    /// Somebody asks at which addresses the peers are.
    Who(oneshot::Sender<HashSet<IpAddr>>),
    /// Somebody asks where the peers listen.
    Listeners(oneshot::Sender<Vec<Listener>>),
    /// Nothing is to be had any more for whoever is at these addresses.
    HangUp(Arc<HashSet<IpAddr>>),
    Stop(oneshot::Sender<()>),
}

/// A swarm that is joined.
#[derive(Clone)]
pub struct Member {
    info_hash: InfoHash,
    peer_id: PeerId,
    to_owner: mpsc::Sender<Input>,
    progress: watch::Receiver<Progress>,
    uploaded: Arc<AtomicU64>,
}

impl Member {
    /// Joins a swarm.
    pub fn join(setup: Setup) -> Self {
        let (to_owner, inputs) = mpsc::channel(INPUTS_MAX);
        let (told, progress) = watch::channel(Progress::default());
        let uploaded = Arc::new(AtomicU64::new(0));
        let info_hash = setup.supply.metainfo().info_hash();
        let peer_id = setup.config.peer_id;
        let layout = Arc::new(setup.supply.metainfo().layout().clone());
        let metadata_bytes = u32::try_from(setup.supply.metainfo().raw_info().len()).ok();
        let config = SessionConfig { metadata_bytes, ..setup.config.clone() };
        let is_seed = config.role == Role::Seed;
        let common = Common {
            supply: setup.supply.clone(),
            is_seed,
            way_out: Arc::new(if is_seed { WayOut::of_seed() } else { WayOut::new() }),
            upload: setup.upload.clone(),
            download: setup.download.clone(),
            uploaded: Arc::clone(&uploaded),
            spare: Spare::default(),
            to_owner: to_owner.clone(),
        };
        let owner = Owner {
            session: Session::new(config, layout, setup.seed_value),
            start: Instant::now(),
            links: HashMap::new(),
            next_key: 0,
            parts: HashMap::new(),
            fetches: HashMap::new(),
            stop: None,
            progress: Progress::default(),
            setup,
            common,
            told,
            told_of: BTreeMap::new(),
            gone_files: Seldom::default(),
        };
        tokio::spawn(owner.run(inputs));
        Self { info_hash, peer_id, to_owner, progress, uploaded }
    }

    /// Which swarm.
    pub fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// Its own name there.
    pub fn peer_id(&self) -> PeerId {
        self.peer_id
    }

    /// Follows how far it is.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Payload sent to peers.
    pub fn uploaded(&self) -> &Arc<AtomicU64> {
        &self.uploaded
    }

    /// Whether its task is alive.
    pub fn is_alive(&self) -> bool {
        !self.to_owner.is_closed()
    }

    /// Tells the session something.
    pub async fn event(&self, event: Event) {
        self.tell(Input::Event(event)).await;
    }

    pub(super) async fn tell(&self, input: Input) {
        let _ = self.to_owner.send(input).await;
    }

    /// The addresses of the peers it is connected with.
    pub(super) async fn linked(&self) -> HashSet<IpAddr> {
        let (asked, answer) = oneshot::channel();
        self.tell(Input::Who(asked)).await;
        answer.await.unwrap_or_default()
    }

    /// The peers it is connected with that say where they listen.
    pub(in crate::net) async fn listeners(&self) -> Vec<Listener> {
        let (asked, answer) = oneshot::channel();
        self.tell(Input::Listeners(asked)).await;
        answer.await.unwrap_or_default()
    }

    /// Says goodbye to the tracker and ends.
    pub async fn stop(&self) {
        let (said, done) = oneshot::channel();
        if self.to_owner.send(Input::Stop(said)).await.is_ok() {
            let _ = timeout(Duration::from_secs(GOODBYE_SECS_MAX + 1), done).await;
        }
    }
}

struct Owner {
    session: Session,
    start: Instant,
    links: HashMap<PeerKey, Link>,
    next_key: u32,
    /// Blocks of pieces that are not whole yet, apart by who sent them, so that a wrong piece has one culprit.
    parts: HashMap<(PieceIndex, Source), BTreeMap<u32, Bytes>>,
    fetches: HashMap<PieceIndex, AbortHandle>,
    stop: Option<oneshot::Sender<()>>,
    progress: Progress,
    setup: Setup,
    common: Common,
    told: watch::Sender<Progress>,
    /// Whom the log was told of lately, by event.
    told_of: BTreeMap<&'static str, Seldom>,
    /// Which files the log was told lately that they are not there.
    gone_files: Seldom<String>,
}

impl Owner {
    async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        loop {
            while let Some(action) = self.session.poll(self.start.elapsed()) {
                self.perform(action);
            }
            self.tell_progress();
            if self.stop.is_some() {
                return self.say_goodbye().await;
            }
            let wake = self.session.next_timeout().map(|at| self.start + at);
            let input = tokio::select! {
                input = inputs.recv() => input,
                () = async { sleep_until(wake.unwrap_or_else(Instant::now)).await }, if wake.is_some() => {
                    Some(Input::Event(Event::Tick))
                }
            };
            let Some(input) = input else { return };
            self.take_in(input);
            for _ in 1..INPUTS_AT_ONCE {
                let Ok(input) = inputs.try_recv() else { break };
                self.take_in(input);
            }
        }
    }

    fn handle(&mut self, event: Event) {
        self.session.handle(self.start.elapsed(), event);
    }

    fn take_in(&mut self, input: Input) {
        match input {
            Input::Event(event) => self.handle(event),
            Input::Linked { tcp, theirs, rest, address, direction } => {
                let peer = PeerKey(self.next_key);
                self.next_key += 1;
                self.links.insert(peer, link::start(tcp, rest, (peer, address), &self.common));
                let (fast, extended) = (theirs.reserved.fast(), theirs.reserved.extended());
                self.handle(Event::PeerConnected { peer, id: theirs.peer_id, address, direction, fast, extended });
            }
            Input::Lost(peer, why) => self.lost(peer, why),
            Input::Block { peer, block, data } if self.links.contains_key(&peer) => {
                if self.session.expects(peer, block) {
                    // It was read past before it was asked for: what was asked for is still to come, and a piece without
                    // it would look like a lie.
                    if data.is_empty() {
                        return;
                    }
                    self.parts.entry((block.piece, Source::Peer(peer))).or_default().insert(block.offset_bytes, data);
                }
                self.handle(Event::BlockReceived { peer, block });
            }
            Input::Block { .. } => {}
            Input::Gone { peer, block } => {
                self.tell_gone(block.piece);
                self.handle(Event::BlockGone { peer, block });
            }
            Input::Http { piece, outcome } => {
                if self.fetches.remove(&piece).is_none() {
                    return;
                }
                let outcome = match outcome {
                    Ok(parts) => {
                        let mut at = 0;
                        let placed = parts.into_iter().map(|part| {
                            let place = at;
                            at += part.len() as u32;
                            (place, part)
                        });
                        self.parts.insert((piece, Source::WebSeed), placed.collect());
                        WebSeedOutcome::Received
                    }
                    Err(outcome) => outcome,
                };
                self.handle(Event::WebSeed { piece, outcome });
            }
            Input::Stored { piece, source, result } => self.stored(piece, source, result),
            Input::Who(asked) => {
                let addresses = self.links.values().map(|link| link.address.ip().to_canonical());
                let _ = asked.send(addresses.collect());
            }
            Input::Listeners(asked) => {
                let _ = asked.send(self.session.listeners());
            }
            Input::HangUp(addresses) => {
                let is_meant = |link: &Link| addresses.contains(&link.address.ip().to_canonical());
                let meant = self.links.iter().filter(|(_, link)| is_meant(link)).map(|(peer, _)| *peer);
                for peer in meant.collect::<Vec<_>>() {
                    self.lost(peer, None);
                }
            }
            Input::Stop(said) => {
                self.stop = Some(said);
                self.handle(Event::Stop);
            }
        }
    }

    fn lost(&mut self, peer: PeerKey, why: Option<std::io::Error>) {
        let Some(link) = self.links.get(&peer) else { return };
        let address = link.address;
        match why {
            Some(why) if why.kind() == ErrorKind::InvalidData => {
                self.tell_of("peer-malformed", address, &why);
                self.handle(Event::PeerMalformed { peer });
            }
            why => {
                if let Some(why) = why.filter(|why| why.kind() == ErrorKind::TimedOut) {
                    self.tell_of("peer-dropped", address, &why);
                }
                self.links.remove(&peer);
                self.handle(Event::PeerLost { peer });
            }
        }
    }

    /// Says in the log what an address did, once in a while for each address and event.
    fn tell_of(&mut self, event: &'static str, address: SocketAddr, reason: &dyn std::fmt::Display) {
        if self.told_of.entry(event).or_default().is_due(address.ip()) {
            self.setup.log.warning(event, &[("address", &address), ("reason", reason)]);
        }
    }

    /// Names the file of a piece that is not there as it was published, once in a while.
    fn tell_gone(&self, piece: PieceIndex) {
        let segments = self.common.supply.metainfo().layout().segments(piece);
        for segment in segments.filter(|segment| !segment.file.is_pad) {
            let file = &segment.file.path;
            if self.gone_files.is_due(file.as_str().to_owned()) {
                let hint = "put it back, or publish the tree as it is now: rocks add-distribution";
                self.setup.log.warning("file-gone", &[("file", &file.as_str()), ("hint", &hint)]);
            }
        }
    }

    fn stored(&mut self, piece: PieceIndex, source: Source, result: Result<(), CacheError>) {
        match result {
            Ok(()) => self.handle(Event::Verified { piece, source, ok: true }),
            Err(CacheError::WrongDigest { .. }) => self.handle(Event::Verified { piece, source, ok: false }),
            Err(error) => {
                // No peer is to blame: the machine cannot keep more, so it takes no more.
                if !self.progress.is_broken {
                    self.setup.log.warning("cache-failed", &[("reason", &error)]);
                    self.progress.is_broken = true;
                }
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Connect { address } => self.connect(address),
            Action::Disconnect { peer, reason } => {
                // A ban is told of by the report that comes with it.
                if let Some(link) = self.links.remove(&peer)
                    && matches!(reason, Reason::Silent | Reason::Crowd)
                {
                    self.tell_of("peer-dropped", link.address, &reason);
                }
            }
            Action::Send { peer, message } => self.send(peer, message),
            Action::SendBlock { peer, block } => self.push(peer, Out::Block(block)),
            Action::SendMetadata { peer, id, part } => self.push(peer, Out::Metadata { id, part }),
            Action::Verify { piece, source } => self.verify(piece, source),
            Action::Forget { piece, source } => {
                self.parts.remove(&(piece, source));
            }
            Action::PieceDone { .. } => self.progress.pieces = self.session.held().count(),
            Action::SetDone => self.progress.is_complete = true,
            Action::Announce { event, left_bytes } => self.announce(event, left_bytes),
            Action::FetchHttp { piece } => self.fetch(piece),
            Action::CancelHttp { piece } => {
                if let Some(fetch) = self.fetches.remove(&piece) {
                    fetch.abort();
                }
            }
            Action::Report { address, reason, .. } => {
                self.tell_of("peer-banned", address, &reason);
            }
        }
    }

    fn connect(&self, address: SocketAddr) {
        let (to_owner, bind) = (self.common.to_owner.clone(), self.setup.bind);
        let (info_hash, us) = (self.common.supply.metainfo().info_hash(), self.setup.config.peer_id);
        tokio::spawn(async move {
            let connecting = timeout(Duration::from_millis(CONNECT_MILLIS_MAX), http::connect(address, bind));
            let linked = async {
                let tcp = connecting.await.ok()?.ok()?;
                let (theirs, rest) = link::in_time(link::greet(&tcp, info_hash, us)).await.ok()?;
                Some(Input::Linked { tcp, theirs, rest, address, direction: Direction::Outgoing })
            };
            let input = linked.await.unwrap_or(Input::Event(Event::ConnectFailed { address }));
            let _ = to_owner.send(input).await;
        });
    }

    fn send(&mut self, peer: PeerKey, message: Message) {
        // What is taken back may come all the same, and is good then.
        if let (Some(link), &Message::Request(block)) = (self.links.get(&peer), &message) {
            link.expected.lock().expect("nobody panics while holding the blocks").insert(block);
        }
        self.push(peer, Out::Message(message));
    }

    fn push(&mut self, peer: PeerKey, out: Out) {
        let Some(link) = self.links.get(&peer) else { return };
        if link.out.try_send(out).is_err() {
            self.links.remove(&peer);
            self.handle(Event::PeerLost { peer });
        }
    }

    fn verify(&mut self, piece: PieceIndex, source: Source) {
        let parts: Vec<Bytes> = self.parts.remove(&(piece, source)).unwrap_or_default().into_values().collect();
        let Supply::Cache(cache) = &self.common.supply else { return };
        let (cache, to_owner, spare) = (Arc::clone(cache), self.common.to_owner.clone(), self.common.spare.clone());
        tokio::task::spawn_blocking(move || {
            let result = cache.store(piece, &parts);
            spare.give(parts);
            let _ = to_owner.blocking_send(Input::Stored { piece, source, result });
        });
    }

    fn announce(&self, event: AnnounceEvent, left_bytes: u64) {
        let Some(announcer) = &self.setup.announcer else { return };
        // The last word is said where the end is waited for.
        if event == AnnounceEvent::Stopped {
            return;
        }
        let (answer, to_owner) = (announcer(event, left_bytes, self.session.totals()), self.common.to_owner.clone());
        tokio::spawn(async move {
            let event = match answer.await {
                Some((peers, interval)) => Event::Peers { peers, interval },
                None => Event::AnnounceFailed,
            };
            let _ = to_owner.send(Input::Event(event)).await;
        });
    }

    async fn say_goodbye(mut self) {
        if let Some(announcer) = &self.setup.announcer {
            let goodbye = announcer(AnnounceEvent::Stopped, 0, self.session.totals());
            let _ = timeout(Duration::from_secs(GOODBYE_SECS_MAX), goodbye).await;
        }
        self.fetches.values().for_each(AbortHandle::abort);
        if let Some(said) = self.stop.take() {
            let _ = said.send(());
        }
    }

    fn fetch(&mut self, piece: PieceIndex) {
        let to_owner = self.common.to_owner.clone();
        let (web_seed, metainfo) = (self.setup.web_seed.clone(), self.common.supply.metainfo().clone());
        let task = tokio::spawn(async move {
            let outcome = match &web_seed {
                Some(web_seed) => web_seed.piece(&metainfo, piece).await,
                None => Err(WebSeedOutcome::Failed),
            };
            let _ = to_owner.send(Input::Http { piece, outcome }).await;
        });
        self.fetches.insert(piece, task.abort_handle());
    }

    fn tell_progress(&mut self) {
        self.progress.totals = self.session.totals();
        self.progress.peers = self.links.len();
        self.progress.is_offering = self.session.is_offering();
        let now = self.progress;
        self.told.send_if_modified(|told| {
            let news = (told.pieces, told.is_complete, told.is_broken) != (now.pieces, now.is_complete, now.is_broken);
            *told = now;
            news
        });
    }
}
