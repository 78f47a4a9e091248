//! All machines of one simulation, joined by links: performs what sessions say, tells them what happens.
//!
//! Node 0 is the frontend with its seed and web seed, machine `n` of the scenario is node `n + 1`. Control messages take
//! one latency and no bytes; blocks go over the [`Network`]. A machine that dies falls silent; one that leaves says
//! goodbye.

use super::clock::{Clock, Time, nanos};
use super::content::Content;
use super::directory::Directory;
use super::installer::Installer;
use super::network::{GOODPUT, Network};
use super::node::{Node, Outgoing, State};
use super::outcome::{Progress, SimulationError};
use super::scenario::Scenario;
use crate::draw::Sample;
use crate::swarm::{
    Action, AnnounceEvent, Direction, Event, Generator, Message, PeerKey, Session, SessionConfig, Source,
    WebSeedOutcome,
};
use crate::torrent::{Block, PeerId, PieceIndex};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Bytes of payload a machine hashes in a nanosecond.
const HASH_BYTES_PER_NANO: f64 = 1.5;
/// An attempt to connect to a dead machine is given up after this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Pieces that the frontend's web seed serves at once; more are told to come back later.
const HTTP_AT_ONCE: usize = 8;
/// The same, while its seed has pieces to offer that nobody has.
const HTTP_BESIDE_OFFERS: usize = 1;
/// When.
const HTTP_RETRY_AFTER: Duration = Duration::from_millis(250);
/// Samples of the frontend's traffic.
const SAMPLES: u64 = 500;
/// Progress is told, and time checked, after so many things that happened.
const EVENTS_PER_PROGRESS: u64 = 200_000;
/// In a checked run, the invariants of the session in hand are looked at after so many things that happened.
const EVENTS_PER_CHECK: u64 = 61;
const PORT: u16 = 6881;

/// The frontend's node.
pub(super) const FRONTEND: u32 = 0;

/// What happens.
enum What {
    Start(u32),
    Die(u32),
    Timer(u32),
    Installer(u32),
    Shake { from: u32, to: u32 },
    ConnectFailed { node: u32, address: SocketAddr },
    Message { to: u32, key: PeerKey, message: Message },
    Lost { to: u32, key: PeerKey },
    Out { node: u32, what: Outgoing },
    BlockIn { to: u32, key: PeerKey, block: Block, is_bad: bool },
    Verified { node: u32, piece: PieceIndex, source: Source },
    Peers { node: u32, peers: Vec<SocketAddr>, interval: Duration },
    AnnounceFailed(u32),
    HttpAsk { node: u32, piece: PieceIndex },
    Http { node: u32, piece: PieceIndex, outcome: WebSeedOutcome },
}

/// How one run of a world came out.
pub(super) struct Ran {
    /// Of each machine that lived: its time in seconds, sorted.
    pub(super) secs: Vec<f64>,
    pub(super) longest_wait_secs: f64,
    pub(super) frontend_bytes: u64,
    pub(super) received_bytes: u64,
    pub(super) wasted_bytes: u64,
    pub(super) died: u32,
    pub(super) events: u64,
    pub(super) traffic: Vec<Sample>,
}

impl Ran {
    pub(super) fn longest_secs(&self) -> f64 {
        self.secs.last().copied().unwrap_or(0.0)
    }
    pub(super) fn median_secs(&self) -> f64 {
        self.secs.get(self.secs.len() / 2).copied().unwrap_or(0.0)
    }
}

/// All machines of one simulation.
pub(super) struct World<'a> {
    scenario: &'a Scenario,
    content: &'a Content,
    clock: Clock<What>,
    network: Network,
    directory: Directory,
    nodes: Vec<Node>,
    random: Generator,
    http_active: usize,
    frontend_bytes: u64,
    traffic: Vec<Sample>,
    sample_every: Time,
    done: u32,
    died: u32,
    /// Machines that lie: nobody waits for them.
    poisoning: u32,
    is_checked: bool,
    broken: Option<SimulationError>,
}

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

impl<'a> World<'a> {
    pub(super) fn new(scenario: &'a Scenario, content: &'a Content) -> Self {
        let mut random = Generator::new(scenario.seed_value);
        let faults = &scenario.faults;
        let mut order: Vec<u32> = (0..scenario.machines).collect();
        random.shuffle(&mut order);
        let share = |share: f64| (share * f64::from(scenario.machines)).round() as usize;
        let mut rest = order.into_iter();
        let mut take = |count: usize| rest.by_ref().take(count).collect::<Vec<u32>>();
        let (slow, dying) = (take(share(faults.slow)), take(share(faults.dying)));
        let (late, poisoning) = (take(share(faults.late)), take(share(faults.poisoning)));
        let network = Network::new(scenario, |machine| if slow.contains(&machine) { 0.1 } else { 1.0 });
        let ideal = scenario.size.bytes() as f64 / (scenario.link.bytes_per_sec() as f64 * GOODPUT) * 1e9;
        let nanos_per_byte = nanos(scenario.unpack) as f64 / scenario.size.bytes() as f64;
        let mut world = Self {
            clock: Clock::new(scenario.latency),
            directory: Directory::new(scenario, &network),
            nodes: Vec::new(),
            http_active: 0,
            frontend_bytes: 0,
            traffic: vec![Sample { at_secs: 0.0, bytes: 0 }],
            sample_every: (ideal * 1.5) as Time / SAMPLES + 1,
            done: 0,
            died: 0,
            poisoning: poisoning.len() as u32,
            is_checked: false,
            broken: None,
            network,
            scenario,
            content,
            random,
        };
        for node in 0..=scenario.machines {
            let session = world.session(node);
            let installer = node.checked_sub(1).map(|machine| {
                let files = &content.sets[(machine % scenario.appliances) as usize];
                Installer::new(files, scenario.installer_connections, nanos_per_byte, scenario.unpack_in_turn)
            });
            world.nodes.push(Node::new(session, installer));
        }
        world.nodes[0].state = State::Running;
        for machine in 0..scenario.machines {
            let mut at = (world.random.unit() * nanos(scenario.start_spread) as f64) as Time;
            if late.contains(&machine) {
                at += ideal as Time;
            }
            world.clock.plan(at, What::Start(machine + 1));
            if dying.contains(&machine) {
                at += (ideal * (0.1 + 0.8 * world.random.unit())) as Time;
                world.clock.plan(at, What::Die(machine + 1));
            }
            world.nodes[machine as usize + 1].poisons = poisoning.contains(&machine);
        }
        if let Some(at) = faults.frontend_dies {
            world.clock.plan(nanos(at), What::Die(FRONTEND));
        }
        world
    }

    /// The same, with the invariants of sessions looked at while it runs.
    #[cfg(test)]
    pub(super) fn checked(mut self) -> Self {
        self.is_checked = true;
        self
    }

    fn session(&mut self, node: u32) -> Session {
        let mut unique = [0; 12];
        unique[..8].copy_from_slice(&self.random.next_u64().to_be_bytes());
        unique[8..].copy_from_slice(&node.to_be_bytes());
        let id = PeerId::new(unique);
        let links = self.scenario.frontend_link.bytes_per_sec().div_ceil(self.scenario.link.bytes_per_sec());
        let config = match node {
            FRONTEND => SessionConfig {
                address: Some(address(node)),
                tracker: false,
                serve_at_once: links.clamp(1, 64) as usize,
                ..SessionConfig::seed(id)
            },
            _ => SessionConfig {
                address: Some(address(node)),
                frontend: Some(address(FRONTEND)),
                rack: self.network.rack(node),
                ..SessionConfig::machine(id)
            },
        };
        Session::new(config, self.content.layout.clone(), self.random.next_u64())
    }

    /// Runs until every machine that lives is done.
    pub(super) fn run(mut self, progress: &mut dyn FnMut(Progress)) -> Result<Ran, SimulationError> {
        let machines = self.scenario.machines;
        let alone = self.scenario.size.bytes() / self.scenario.link.bytes_per_sec() + 1;
        let patience = Duration::from_secs(600 + 200 * alone) + self.scenario.start_spread + self.scenario.unpack * 2;
        let mut events = 0;
        while self.done + self.died + self.poisoning < machines {
            let Some((now, what)) = self.clock.next() else { break };
            self.happen(now, what);
            events += 1;
            if let Some(broken) = self.broken.take() {
                return Err(broken);
            }
            if events % EVENTS_PER_PROGRESS == 0 {
                progress(Progress {
                    secs: now as f64 / 1e9,
                    done: self.done,
                    machines: machines - self.died - self.poisoning,
                });
                if now > nanos(patience) {
                    break;
                }
            }
        }
        self.finish(events)
    }

    fn finish(mut self, events: u64) -> Result<Ran, SimulationError> {
        let now = self.clock.now();
        let living =
            || self.nodes.iter().zip(0_u32..).skip(1).filter(|(node, _)| node.state != State::Dead && !node.poisons);
        let stuck: Vec<u32> = living().filter(|(node, _)| node.done_at.is_none()).map(|(_, n)| n - 1).collect();
        if let Some(&first) = stuck.first() {
            return Err(SimulationError::Stuck { machines: stuck.len(), first, secs: now / 1_000_000_000 });
        }
        for (node, n) in living() {
            let set = self.content.set((n - 1) % self.scenario.appliances);
            let held = node.session.held();
            if held.count() as usize != set.len() || !set.iter().all(|piece| held.has(*piece)) {
                let what = format!("holds {} pieces, its set has {}", held.count(), set.len());
                return Err(SimulationError::Broken { machine: n - 1, what });
            }
        }
        let mut secs: Vec<f64> =
            living().filter_map(|(node, _)| Some((node.done_at? - node.started_at) as f64 / 1e9)).collect();
        secs.sort_by(f64::total_cmp);
        let waits = living().filter_map(|(node, _)| Some(node.installer.as_ref()?.longest_wait));
        let longest_wait_secs = waits.max().unwrap_or(0) as f64 / 1e9;
        let totals = || living().map(|(node, _)| node.session.totals());
        let received_bytes = totals().map(|totals| totals.from_frontend_bytes + totals.from_peers_bytes).sum();
        let wasted_bytes = totals().map(|totals| totals.wasted_bytes).sum();
        self.traffic.push(Sample { at_secs: now as f64 / 1e9, bytes: self.frontend_bytes });
        Ok(Ran {
            secs,
            longest_wait_secs,
            frontend_bytes: self.frontend_bytes,
            received_bytes,
            wasted_bytes,
            died: self.died,
            events,
            traffic: self.traffic,
        })
    }

    fn happen(&mut self, now: Time, what: What) {
        match what {
            What::Start(node) => self.start(now, node),
            What::Die(node) => self.die(node),
            What::Timer(node) => {
                if self.nodes[node as usize].timer_at == Some(now) {
                    self.nodes[node as usize].timer_at = None;
                    self.tell(node, Event::Tick);
                }
            }
            What::Installer(node) => self.step_installer(now, node),
            What::Shake { from, to } => self.shake(from, to),
            What::ConnectFailed { node, address } => self.tell(node, Event::ConnectFailed { address }),
            What::Message { to, key, message } => {
                if self.nodes[to as usize].link(key).is_some() {
                    self.tell(to, Event::Message { peer: key, message });
                }
            }
            What::Lost { to, key } => {
                if self.nodes[to as usize].links[key.0 as usize].take().is_some() {
                    self.tell(to, Event::PeerLost { peer: key });
                }
            }
            What::Out { node, what } => self.out(now, node, what),
            What::BlockIn { to, key, block, is_bad } => {
                let node = &mut self.nodes[to as usize];
                if node.link(key).is_some() {
                    if is_bad && node.session.expects(key, block) {
                        node.bad.insert((block.piece, Source::Peer(key)));
                    }
                    self.tell(to, Event::BlockReceived { peer: key, block });
                }
            }
            What::Verified { node, piece, source } => {
                let ok = !self.nodes[node as usize].bad.remove(&(piece, source));
                self.tell(node, Event::Verified { piece, source, ok });
            }
            What::Peers { node, peers, interval } => self.tell(node, Event::Peers { peers, interval }),
            What::AnnounceFailed(node) => self.tell(node, Event::AnnounceFailed),
            What::HttpAsk { node, piece } => self.serve_http(node, piece),
            What::Http { node, piece, outcome } => {
                if outcome == WebSeedOutcome::Received {
                    self.http_active -= 1;
                }
                self.tell(node, Event::WebSeed { piece, outcome });
            }
        }
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.clock.now())
    }

    /// Tells a session of an event, and does what it says.
    fn tell(&mut self, node: u32, event: Event) {
        let now = self.now();
        let at = node as usize;
        if self.nodes[at].state != State::Running {
            return;
        }
        self.nodes[at].session.handle(now, event);
        while let Some(action) = self.nodes[at].session.poll(now) {
            self.perform(node, action);
        }
        if self.is_checked && self.clock.count().is_multiple_of(EVENTS_PER_CHECK) {
            self.nodes[at].session.check();
        }
        let Some(due) = self.nodes[at].session.next_timeout().map(nanos) else { return };
        if self.nodes[at].timer_at.is_none_or(|planned| due < planned) {
            let due = due.max(self.clock.now());
            self.nodes[at].timer_at = Some(due);
            self.clock.plan(due, What::Timer(node));
        }
    }

    fn perform(&mut self, node: u32, action: Action) {
        let now = self.clock.now();
        let latency = nanos(self.scenario.latency);
        match action {
            Action::Connect { address } => match node_at(address).filter(|to| *to <= self.scenario.machines) {
                Some(to) => self.clock.plan(now + 2 * latency, What::Shake { from: node, to }),
                None => self.clock.plan(now + latency, What::ConnectFailed { node, address }),
            },
            Action::Disconnect { peer, .. } => {
                if let Some((to, key)) = self.nodes[node as usize].links[peer.0 as usize].take() {
                    self.nodes[node as usize].drop_outgoing(peer);
                    self.clock.plan_message(What::Lost { to, key });
                }
            }
            Action::Send { peer, message } => {
                if let Some((to, key)) = self.nodes[node as usize].link(peer) {
                    self.clock.plan_message(What::Message { to, key, message });
                }
            }
            Action::SendBlock { peer, block } => {
                self.nodes[node as usize].outgoing.push_back(Outgoing::Block { peer, block });
                self.pump(now, node);
            }
            Action::Verify { piece, source } => {
                let bytes = f64::from(self.content.layout.payload_len(piece));
                let at = now + (bytes / HASH_BYTES_PER_NANO) as Time;
                self.clock.plan(at, What::Verified { node, piece, source });
            }
            Action::PieceDone { piece } => {
                let installer = self.nodes[node as usize].installer.as_ref();
                if installer.is_some_and(|installer| installer.waits_for(piece)) {
                    self.clock.plan(now, What::Installer(node));
                }
            }
            Action::Announce { event, left_bytes } => self.announce(node, event, left_bytes),
            Action::FetchHttp { piece } => self.clock.plan_message(What::HttpAsk { node, piece }),
            Action::SetDone | Action::CancelHttp { .. } | Action::Forget { .. } | Action::Report { .. } => {}
        }
    }

    fn start(&mut self, now: Time, node: u32) {
        let at = node as usize;
        if self.nodes[at].state != State::Waiting {
            return;
        }
        self.nodes[at].state = State::Running;
        self.nodes[at].started_at = now;
        let pieces = self.content.set((node - 1) % self.scenario.appliances);
        self.tell(node, Event::Want { pieces });
        self.step_installer(now, node);
    }

    fn die(&mut self, node: u32) {
        let at = node as usize;
        if matches!(self.nodes[at].state, State::Dead | State::Left) {
            return;
        }
        self.nodes[at].state = State::Dead;
        self.nodes[at].outgoing.clear();
        if node != FRONTEND {
            self.done -= u32::from(self.nodes[at].done_at.is_some());
            self.died += 1;
        }
    }

    fn step_installer(&mut self, now: Time, node: u32) {
        let at = node as usize;
        if self.nodes[at].state != State::Running {
            return;
        }
        let layout = &self.content.layout;
        let Node { installer: Some(installer), session, done_at, .. } = &mut self.nodes[at] else { return };
        if done_at.is_some() {
            return;
        }
        let step = installer.step(now, session.held(), |piece| u64::from(layout.payload_len(piece)));
        if let Some(done_at) = step.done_at.filter(|_| session.is_complete()) {
            if done_at <= now {
                return self.finished(now, node);
            }
            self.clock.plan(done_at, What::Installer(node));
        } else if let Some(again_at) = step.again_at {
            self.clock.plan(again_at, What::Installer(node));
        }
        if !step.demand.is_empty() {
            self.tell(node, Event::Demand { pieces: step.demand });
        }
    }

    fn finished(&mut self, now: Time, node: u32) {
        let at = node as usize;
        self.nodes[at].done_at = Some(now);
        self.done += u32::from(!self.nodes[at].poisons);
        if self.scenario.faults.leave {
            self.tell(node, Event::Stop);
            self.nodes[at].state = State::Left;
            self.directory.left(node);
            let links: Vec<(u32, PeerKey)> = self.nodes[at].links.iter_mut().filter_map(Option::take).collect();
            for (to, key) in links {
                self.clock.plan_message(What::Lost { to, key });
            }
        }
    }

    fn shake(&mut self, from: u32, to: u32) {
        let now = self.clock.now();
        match self.nodes[to as usize].state {
            State::Running => {}
            State::Waiting | State::Left => {
                return self.clock.plan_message(What::ConnectFailed { node: from, address: address(to) });
            }
            State::Dead => {
                let at = now + nanos(CONNECT_TIMEOUT);
                return self.clock.plan(at, What::ConnectFailed { node: from, address: address(to) });
            }
        }
        if self.nodes[from as usize].state != State::Running {
            return;
        }
        let ours = self.nodes[from as usize].new_key();
        let theirs = self.nodes[to as usize].new_key();
        self.nodes[from as usize].links.push(Some((to, theirs)));
        self.nodes[to as usize].links.push(Some((from, ours)));
        let ids = [from, to].map(|node| self.nodes[node as usize].session.config().peer_id);
        let caller = SocketAddr::new(address(from).ip(), 40_000);
        for (node, peer, id, address, direction) in
            [(to, theirs, ids[0], caller, Direction::Incoming), (from, ours, ids[1], address(to), Direction::Outgoing)]
        {
            self.tell(node, Event::PeerConnected { peer, id, address, direction, fast: true, extended: true });
        }
    }

    fn announce(&mut self, node: u32, event: AnnounceEvent, left_bytes: u64) {
        let round_trip = 2 * nanos(self.scenario.latency);
        let at = self.clock.now() + round_trip;
        if self.scenario.faults.tracker_dies.is_some_and(|dies| nanos(dies) <= self.clock.now()) {
            return self.clock.plan(at, What::AnnounceFailed(node));
        }
        let id = self.nodes[node as usize].session.config().peer_id;
        match self.directory.announce(self.now(), node, id, event, left_bytes) {
            Ok(Some((peers, interval))) => self.clock.plan(at, What::Peers { node, peers, interval }),
            Ok(None) => {}
            Err(what) => self.broken = Some(SimulationError::Broken { machine: node.saturating_sub(1), what }),
        }
    }

    fn serve_http(&mut self, node: u32, piece: PieceIndex) {
        let now = self.clock.now();
        if self.nodes[0].state != State::Running {
            let at = now + nanos(CONNECT_TIMEOUT);
            return self.clock.plan(at, What::Http { node, piece, outcome: WebSeedOutcome::Failed });
        }
        let at_once = if self.nodes[0].session.is_offering() { HTTP_BESIDE_OFFERS } else { HTTP_AT_ONCE };
        if self.http_active >= at_once {
            let outcome = WebSeedOutcome::Busy(self.random.around(HTTP_RETRY_AFTER));
            return self.clock.plan_message(What::Http { node, piece, outcome });
        }
        self.http_active += 1;
        self.nodes[0].outgoing.push_back(Outgoing::Http { node, piece });
        self.pump(now, FRONTEND);
    }

    /// Sends the next block of a node if its way out is free.
    fn pump(&mut self, now: Time, node: u32) {
        if self.nodes[node as usize].is_sending {
            return;
        }
        while let Some(what) = self.nodes[node as usize].outgoing.pop_front() {
            let (to, bytes) = match what {
                Outgoing::Block { peer, block } => {
                    let Some((to, _)) = self.nodes[node as usize].link(peer) else { continue };
                    (to, u64::from(block.length_bytes))
                }
                Outgoing::Http { node, piece } => (node, u64::from(self.content.layout.payload_len(piece))),
            };
            if self.nodes[to as usize].state == State::Dead {
                // Nothing acknowledges: the block hangs in the sender's buffer for ever.
                if let Outgoing::Http { .. } = what {
                    self.http_active -= 1;
                }
                continue;
            }
            let random = &mut self.random;
            let (out, into) = self.network.send(now, node, to, bytes, || random.unit());
            self.nodes[node as usize].is_sending = true;
            self.clock.plan(out, What::Out { node, what });
            self.plan_arrival(node, to, into, what);
            return;
        }
    }

    fn plan_arrival(&mut self, from: u32, to: u32, at: Time, what: Outgoing) {
        match what {
            Outgoing::Block { peer, block } => {
                let Some((_, key)) = self.nodes[from as usize].link(peer) else { return };
                let is_bad = self.nodes[from as usize].poisons;
                self.clock.plan(at, What::BlockIn { to, key, block, is_bad });
            }
            Outgoing::Http { node, piece } => {
                self.clock.plan(at, What::Http { node, piece, outcome: WebSeedOutcome::Received });
            }
        }
    }

    fn out(&mut self, now: Time, node: u32, what: Outgoing) {
        self.nodes[node as usize].is_sending = false;
        if self.nodes[node as usize].state != State::Running {
            return;
        }
        if node == FRONTEND {
            self.frontend_bytes += match what {
                Outgoing::Block { block, .. } => u64::from(block.length_bytes),
                Outgoing::Http { piece, .. } => u64::from(self.content.layout.payload_len(piece)),
            };
            let last = self.traffic.last().map_or(0.0, |sample| sample.at_secs);
            if now as f64 / 1e9 - last >= self.sample_every as f64 / 1e9 {
                self.traffic.push(Sample { at_secs: now as f64 / 1e9, bytes: self.frontend_bytes });
            }
        }
        if let Outgoing::Block { peer, block } = what {
            self.tell(node, Event::BlockSent { peer, block });
        }
        self.pump(now, node);
    }
}
