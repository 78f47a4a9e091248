//! A machine, or the frontend: performs what its session says and tells it what happens.
//!
//! Within a window a node touches nothing but itself and what never changes ([`Around`]): what it does to others goes
//! into [`Node::effects`], which the world deals out when the window is over. So it does not matter in which order, or
//! on how many processors, the nodes of a window are gone through.

use super::agenda::{Agenda, Next, Time, nanos};
use super::content::Content;
use super::frontend::Frontend;
use super::installer::Installer;
use super::network::Link;
use super::scenario::Scenario;
use crate::swarm::{
    Action, AnnounceEvent, Direction, Event, Message, PeerKey, Session, Source, WEB_SEED_RETRY, WebSeedOutcome,
};
use crate::torrent::{Block, PeerId, PieceIndex};
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The frontend's node.
pub(super) const FRONTEND: u32 = 0;
/// Bytes of payload a machine hashes in a nanosecond.
const HASH_BYTES_PER_NANO: f64 = 1.5;
/// An attempt to connect to a dead machine is given up after this time.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// In a checked run, the invariants of the session in hand are looked at after so many things that happened.
const EVENTS_PER_CHECK: u64 = 61;
const PORT: u16 = 6881;
/// Where connections come from.
const PORT_OUTGOING: u16 = 40_000;

/// The address of a node.
pub(super) fn address(node: u32) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from(0x0a00_0001 + node)), PORT)
}

/// The node at an address.
pub(super) fn node_at(address: SocketAddr) -> Option<u32> {
    match address.ip() {
        IpAddr::V4(ip) => u32::from(ip).checked_sub(0x0a00_0001),
        IpAddr::V6(_) => None,
    }
}

/// Where a machine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is not switched on yet.
    Waiting,
    /// It installs, or serves after that.
    Running,
    /// It lost power.
    Dead,
    /// It rebooted into its new system.
    Left,
}

/// What happens at a node.
#[derive(Debug)]
pub(super) enum What {
    Start,
    Die,
    Installer,
    /// A node knocks; its own key is reserved.
    Knock {
        from: u32,
        key: PeerKey,
        id: PeerId,
    },
    /// It was let in.
    Welcome {
        by: u32,
        key: PeerKey,
        id: PeerId,
        ours: PeerKey,
    },
    ConnectFailed {
        to: u32,
    },
    Message {
        key: PeerKey,
        message: Message,
    },
    Lost {
        key: PeerKey,
    },
    Out {
        what: Outgoing,
    },
    BlockIn {
        key: PeerKey,
        block: Block,
        is_bad: bool,
    },
    Verified {
        piece: PieceIndex,
        source: Source,
    },
    Peers {
        peers: Vec<SocketAddr>,
        interval: Duration,
    },
    AnnounceFailed,
    HttpAsk {
        node: u32,
        piece: PieceIndex,
    },
    /// A machine closes the connection on which it asked.
    HttpGivenUp {
        node: u32,
        piece: PieceIndex,
    },
    Http {
        piece: PieceIndex,
        outcome: WebSeedOutcome,
    },
}

/// Something that waits for the way out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outgoing {
    /// A block of a session.
    Block { peer: PeerKey, block: Block },
    /// A piece over HTTP, from the frontend.
    Http { node: u32, piece: PieceIndex },
}

/// What a node does to others.
#[derive(Debug)]
pub(super) enum Effect {
    /// This happens at another node, one latency from when it was done or later.
    Tell { to: u32, at: Time, what: What },
    /// Payload leaves between these times; `what` happens when it is there.
    Send { to: u32, begins: Time, out: Time, bytes: u64, what: What },
    /// The tracker is asked.
    Announce { at: Time, event: AnnounceEvent, left_bytes: u64 },
    /// The machine is installed and no longer in any swarm.
    Left { at: Time },
    /// The machine is dead.
    Died,
    /// The machine is done.
    Done,
}

/// What all nodes may look at, and none may change.
pub(super) struct Around<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) content: &'a Content,
    /// Time for a message from one node to another, which is also the length of a window.
    pub(super) latency: Time,
    /// Nodes that were dead when the window began.
    pub(super) dead: Vec<bool>,
    pub(super) is_checked: bool,
}

/// A machine, or the frontend.
pub(super) struct Node {
    number: u32,
    pub(super) session: Session,
    pub(super) installer: Option<Installer>,
    pub(super) frontend: Option<Box<Frontend>>,
    pub(super) state: State,
    pub(super) agenda: Agenda<What>,
    pub(super) effects: Vec<Effect>,
    pub(super) events: u64,
    /// By key: the node and key at the other end.
    links: Vec<Option<(u32, PeerKey)>>,
    way_out: Link,
    outgoing: VecDeque<Outgoing>,
    is_sending: bool,
    pub(super) started_at: Time,
    pub(super) done_at: Option<Time>,
    /// It sends wrong bytes.
    pub(super) poisons: bool,
    /// Pieces it received wrong bytes of, and from whom.
    bad: BTreeSet<(PieceIndex, Source)>,
}

impl Node {
    pub(super) fn new(number: u32, session: Session, installer: Option<Installer>, way_out: Link) -> Self {
        Self {
            number,
            session,
            installer,
            frontend: None,
            state: State::Waiting,
            agenda: Agenda::new(),
            effects: Vec::new(),
            events: 0,
            links: Vec::new(),
            way_out,
            outgoing: VecDeque::new(),
            is_sending: false,
            started_at: 0,
            done_at: None,
            poisons: false,
            bad: BTreeSet::new(),
        }
    }

    /// Lives through a window.
    pub(super) fn run(&mut self, around: &Around, until: Time) {
        self.agenda.sort();
        while let Some(next) = self.agenda.next(until) {
            self.events += 1;
            match next {
                Next::Wake(now) => self.tell(around, now, Event::Tick),
                Next::Planned(now, what) => self.happen(around, now, what),
            }
        }
    }

    fn happen(&mut self, around: &Around, now: Time, what: What) {
        match what {
            What::Start => self.start(around, now),
            What::Die => self.die(),
            What::Installer => self.step_installer(around, now),
            What::Knock { from, key, id } => self.knock(around, now, from, key, id),
            What::Welcome { by, key, id, ours } => self.welcome(around, now, (by, key), id, ours),
            What::ConnectFailed { to } => self.tell(around, now, Event::ConnectFailed { address: address(to) }),
            What::Message { key, message } => {
                if self.link(key).is_some() {
                    self.tell(around, now, Event::Message { peer: key, message });
                }
            }
            What::Lost { key } => {
                if self.links[key.0 as usize].take().is_some() {
                    self.drop_outgoing(key);
                    self.tell(around, now, Event::PeerLost { peer: key });
                }
            }
            What::Out { what } => self.out(around, now, what),
            What::BlockIn { key, block, is_bad } => {
                if self.link(key).is_some() {
                    if is_bad && self.session.expects(key, block) {
                        self.bad.insert((block.piece, Source::Peer(key)));
                    }
                    self.tell(around, now, Event::BlockReceived { peer: key, block });
                }
            }
            What::Verified { piece, source } => {
                let ok = !self.bad.remove(&(piece, source));
                self.tell(around, now, Event::Verified { piece, source, ok });
            }
            What::Peers { peers, interval } => self.tell(around, now, Event::Peers { peers, interval }),
            What::AnnounceFailed => self.tell(around, now, Event::AnnounceFailed),
            What::HttpAsk { node, piece } => self.serve_http(around, now, node, piece),
            What::HttpGivenUp { node: of, piece: given_up } => {
                let is_it = |what: &Outgoing| matches!(*what, Outgoing::Http { node, piece } if (node, piece) == (of, given_up));
                self.outgoing.retain(|what| !is_it(what));
            }
            What::Http { piece, outcome } => self.tell(around, now, Event::WebSeed { piece, outcome }),
        }
    }

    /// The other end of a connection that is open.
    fn link(&self, key: PeerKey) -> Option<(u32, PeerKey)> {
        self.links.get(key.0 as usize).copied().flatten()
    }

    /// The key of the next connection.
    fn new_key(&mut self, other_end: Option<(u32, PeerKey)>) -> PeerKey {
        self.links.push(other_end);
        PeerKey(self.links.len() as u32 - 1)
    }

    /// Drops what waits for a connection that is closed.
    fn drop_outgoing(&mut self, closed: PeerKey) {
        self.outgoing.retain(|what| !matches!(what, Outgoing::Block { peer, .. } if *peer == closed));
    }

    /// A message, to be there after one latency.
    fn send(&mut self, around: &Around, now: Time, to: u32, what: What) {
        self.effects.push(Effect::Tell { to, at: now + around.latency, what });
    }

    /// Tells the session of an event, and does what it says.
    fn tell(&mut self, around: &Around, now: Time, event: Event) {
        if self.state != State::Running {
            return;
        }
        let moment = Duration::from_nanos(now);
        self.session.handle(moment, event);
        while let Some(action) = self.session.poll(moment) {
            self.perform(around, now, action);
        }
        if around.is_checked && self.events.is_multiple_of(EVENTS_PER_CHECK) {
            self.session.check();
        }
        self.agenda.wake_at = self.session.next_timeout().map(|due| nanos(due).max(now));
    }

    fn perform(&mut self, around: &Around, now: Time, action: Action) {
        match action {
            Action::Connect { address } => match node_at(address).filter(|to| *to <= around.scenario.machines) {
                Some(to) => {
                    let (from, id) = (self.number, self.session.config().peer_id);
                    let key = self.new_key(None);
                    self.send(around, now, to, What::Knock { from, key, id });
                }
                None => {
                    self.agenda.plan(now + around.latency, What::ConnectFailed { to: around.scenario.machines + 1 })
                }
            },
            Action::Disconnect { peer, .. } => {
                if let Some((to, key)) = self.links[peer.0 as usize].take() {
                    self.drop_outgoing(peer);
                    self.send(around, now, to, What::Lost { key });
                }
            }
            Action::Send { peer, message } => {
                if let Some((to, key)) = self.link(peer) {
                    self.send(around, now, to, What::Message { key, message });
                }
            }
            Action::SendBlock { peer, block } => {
                self.outgoing.push_back(Outgoing::Block { peer, block });
                self.pump(around, now);
            }
            Action::Verify { piece, source } => {
                let bytes = f64::from(around.content.layout.payload_len(piece));
                self.agenda.plan(now + (bytes / HASH_BYTES_PER_NANO) as Time, What::Verified { piece, source });
            }
            Action::PieceDone { piece } => {
                if self.installer.as_ref().is_some_and(|installer| installer.waits_for(piece)) {
                    self.agenda.plan(now, What::Installer);
                }
            }
            Action::Announce { event, left_bytes } => {
                self.effects.push(Effect::Announce { at: now, event, left_bytes });
            }
            Action::FetchHttp { piece } => {
                self.send(around, now, FRONTEND, What::HttpAsk { node: self.number, piece });
            }
            Action::CancelHttp { piece } => {
                self.send(around, now, FRONTEND, What::HttpGivenUp { node: self.number, piece });
            }
            // The machines of the model have the metainfo: nobody is told of an info dictionary.
            Action::SendMetadata { .. } => {}
            Action::SetDone | Action::Forget { .. } | Action::Report { .. } => {}
        }
    }

    fn start(&mut self, around: &Around, now: Time) {
        if self.state != State::Waiting {
            return;
        }
        self.state = State::Running;
        self.started_at = now;
        let pieces = around.content.set((self.number - 1) % around.scenario.appliances);
        self.tell(around, now, Event::Want { pieces });
        self.step_installer(around, now);
    }

    fn die(&mut self) {
        if matches!(self.state, State::Dead | State::Left) {
            return;
        }
        self.state = State::Dead;
        self.outgoing.clear();
        self.effects.push(Effect::Died);
    }

    fn step_installer(&mut self, around: &Around, now: Time) {
        if self.state != State::Running || self.done_at.is_some() {
            return;
        }
        let Some(installer) = &mut self.installer else { return };
        let length = |piece| u64::from(around.content.layout.payload_len(piece));
        let step = installer.step(now, self.session.held(), length);
        if let Some(done_at) = step.done_at.filter(|_| self.session.is_complete()) {
            if done_at <= now {
                return self.finished(around, now);
            }
            self.agenda.plan(done_at, What::Installer);
        } else if let Some(again_at) = step.again_at {
            self.agenda.plan(again_at, What::Installer);
        }
        if !step.demand.is_empty() {
            self.tell(around, now, Event::Demand { pieces: step.demand });
        }
    }

    fn finished(&mut self, around: &Around, now: Time) {
        self.done_at = Some(now);
        self.effects.push(Effect::Done);
        if around.scenario.faults.leave {
            self.tell(around, now, Event::Stop);
            self.state = State::Left;
            self.effects.push(Effect::Left { at: now });
            let links: Vec<(u32, PeerKey)> = self.links.iter_mut().filter_map(Option::take).collect();
            for (to, key) in links {
                self.send(around, now, to, What::Lost { key });
            }
        }
    }

    fn knock(&mut self, around: &Around, now: Time, from: u32, key: PeerKey, id: PeerId) {
        let failed = What::ConnectFailed { to: self.number };
        match self.state {
            State::Running => {}
            State::Waiting | State::Left => return self.send(around, now, from, failed),
            State::Dead => {
                let at = now + nanos(CONNECT_TIMEOUT).max(around.latency);
                return self.effects.push(Effect::Tell { to: from, at, what: failed });
            }
        }
        let ours = self.new_key(Some((from, key)));
        let own_id = self.session.config().peer_id;
        self.send(around, now, from, What::Welcome { by: self.number, key: ours, id: own_id, ours: key });
        let address = SocketAddr::new(address(from).ip(), PORT_OUTGOING);
        let direction = Direction::Incoming;
        self.tell(around, now, Event::PeerConnected { peer: ours, id, address, direction, fast: true, extended: true });
    }

    fn welcome(&mut self, around: &Around, now: Time, (by, key): (u32, PeerKey), id: PeerId, ours: PeerKey) {
        match self.state {
            State::Running => {}
            State::Left => return self.send(around, now, by, What::Lost { key }),
            State::Waiting | State::Dead => return,
        }
        self.links[ours.0 as usize] = Some((by, key));
        let (address, direction) = (address(by), Direction::Outgoing);
        self.tell(around, now, Event::PeerConnected { peer: ours, id, address, direction, fast: true, extended: true });
    }

    fn serve_http(&mut self, around: &Around, now: Time, node: u32, piece: PieceIndex) {
        if self.state != State::Running {
            let at = now + nanos(CONNECT_TIMEOUT).max(around.latency);
            let what = What::Http { piece, outcome: WebSeedOutcome::Failed };
            return self.effects.push(Effect::Tell { to: node, at, what });
        }
        let bytes = u64::from(around.content.layout.payload_len(piece));
        let (is_offering, sent_bytes) = (self.session.is_offering(), self.session.totals().sent_bytes);
        let Some(frontend) = &mut self.frontend else { return };
        if !frontend.web_seed.admits(bytes, is_offering, sent_bytes) {
            let outcome = WebSeedOutcome::Busy(WEB_SEED_RETRY);
            return self.send(around, now, node, What::Http { piece, outcome });
        }
        self.outgoing.push_back(Outgoing::Http { node, piece });
        self.pump(around, now);
    }

    /// Sends the next block if the way out is free.
    fn pump(&mut self, around: &Around, now: Time) {
        if self.is_sending {
            return;
        }
        while let Some(outgoing) = self.outgoing.pop_front() {
            let (to, bytes, what) = match outgoing {
                Outgoing::Block { peer, block } => {
                    let Some((to, key)) = self.link(peer) else { continue };
                    let is_bad = self.poisons;
                    (to, u64::from(block.length_bytes), What::BlockIn { key, block, is_bad })
                }
                Outgoing::Http { node, piece } => {
                    let what = What::Http { piece, outcome: WebSeedOutcome::Received };
                    (node, u64::from(around.content.layout.payload_len(piece)), what)
                }
            };
            if around.dead[to as usize] {
                // Nothing acknowledges: the block hangs in the sender's buffer for ever.
                continue;
            }
            let (begins, out) = self.way_out.pass(now, now, bytes);
            self.is_sending = true;
            self.agenda.plan(out, What::Out { what: outgoing });
            return self.effects.push(Effect::Send { to, begins, out, bytes, what });
        }
    }

    fn out(&mut self, around: &Around, now: Time, what: Outgoing) {
        self.is_sending = false;
        if self.state != State::Running {
            return;
        }
        if let Some(frontend) = &mut self.frontend {
            let bytes = match what {
                Outgoing::Block { block, .. } => u64::from(block.length_bytes),
                Outgoing::Http { piece, .. } => u64::from(around.content.layout.payload_len(piece)),
            };
            frontend.sent(now, bytes);
        }
        if let Outgoing::Block { peer, block } = what {
            self.tell(around, now, Event::BlockSent { peer, block });
        }
        self.pump(around, now);
    }
}
