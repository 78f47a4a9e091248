//! All nodes of one simulation, joined by links: goes through time in windows, and deals out what nodes do to each other.
//!
//! Node 0 is the frontend with its seed and web seed, machine `n` of the scenario is node `n + 1`. Control messages take
//! one latency and no bytes; blocks go over the [`Network`]. A window is as long as that latency, so nothing that a node
//! does in it reaches another one before the next: the nodes live through it side by side. What they did is dealt out
//! in the order of time and nodes, so the outcome depends on neither processors nor luck.

use super::agenda::{Time, nanos};
use super::content::Content;
use super::directory::Directory;
use super::frontend::Frontend;
use super::installer::Installer;
use super::network::{GOODPUT, Link, Network};
use super::node::{Around, Effect, FRONTEND, Node, State, What, address};
use super::outcome::{Progress, SimulationError};
use super::scenario::Scenario;
use crate::draw::Sample;
use crate::swarm::{AnnounceEvent, Generator, Session, SessionConfig};
use crate::torrent::PeerId;
use rayon::prelude::*;
use std::time::Duration;

/// Samples of the frontend's traffic.
const SAMPLES: u64 = 500;
/// Progress is told, and time checked, after so many windows.
const WINDOWS_PER_PROGRESS: u64 = 256;
/// Nodes that one processor goes through at least: fewer are not worth a second one.
const NODES_PER_PROCESSOR: usize = 128;

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

/// Payload on its way.
struct Sent {
    from: u32,
    to: u32,
    begins: Time,
    out: Time,
    bytes: u64,
    what: What,
}

/// What a machine says to the tracker, or that it left.
struct Said {
    at: Time,
    node: u32,
    /// The event and what is missing; without, it left.
    announce: Option<(AnnounceEvent, u64)>,
}

/// All nodes of one simulation.
pub(super) struct World<'a> {
    around: Around<'a>,
    network: Network,
    directory: Directory,
    nodes: Vec<Node>,
    /// When something is to happen at each node.
    due: Vec<Time>,
    random: Generator,
    sent: Vec<Sent>,
    said: Vec<Said>,
    now: Time,
    done: u32,
    died: u32,
    /// Machines that lie: nobody waits for them.
    poisoning: u32,
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
        let rate = |machine: u32| if slow.contains(&machine) { 0.1 } else { 1.0 };
        let machine = |machine: u32| Link::new(scenario.link.bytes_per_sec() as f64 * rate(machine));
        let frontend = Link::new(scenario.frontend_link.bytes_per_sec() as f64);
        let ways_out: Vec<Link> = std::iter::once(frontend).chain((0..scenario.machines).map(machine)).collect();
        let network = Network::new(scenario, &ways_out);
        let ideal = scenario.size.bytes() as f64 / (scenario.link.bytes_per_sec() as f64 * GOODPUT) * 1e9;
        let nanos_per_byte = nanos(scenario.unpack) as f64 / scenario.size.bytes() as f64;
        let mut nodes = Vec::new();
        for (node, way_out) in (0..).zip(ways_out) {
            let session = session(content, node, network.rack(node), &mut random);
            let installer = node.checked_sub(1).map(|machine| {
                let files = &content.sets[(machine % scenario.appliances) as usize];
                Installer::new(files, scenario.installer_connections, nanos_per_byte, scenario.unpack_in_turn)
            });
            nodes.push(Node::new(node, session, installer, way_out));
        }
        nodes[0].state = State::Running;
        let sample_every = (ideal * 1.5) as Time / SAMPLES + 1;
        nodes[0].frontend = Some(Box::new(Frontend::new(sample_every)));
        for machine in 0..scenario.machines {
            let mut at = (random.unit() * nanos(scenario.start_spread) as f64) as Time;
            if late.contains(&machine) {
                at += ideal as Time;
            }
            let node = &mut nodes[machine as usize + 1];
            node.agenda.plan(at, What::Start);
            if dying.contains(&machine) {
                at += (ideal * (0.1 + 0.8 * random.unit())) as Time;
                node.agenda.plan(at, What::Die);
            }
            node.poisons = poisoning.contains(&machine);
        }
        if let Some(at) = faults.frontend_dies {
            nodes[0].agenda.plan(nanos(at), What::Die);
        }
        let around = Around {
            scenario,
            content,
            latency: nanos(scenario.message_time()),
            dead: vec![false; nodes.len()],
            is_checked: false,
        };
        Self {
            around,
            directory: Directory::new(scenario, &network),
            network,
            due: nodes.iter().map(|node| node.agenda.next_at().unwrap_or(Time::MAX)).collect(),
            nodes,
            random,
            sent: Vec::new(),
            said: Vec::new(),
            now: 0,
            done: 0,
            died: 0,
            poisoning: poisoning.len() as u32,
        }
    }

    /// The same, with the invariants of sessions looked at while it runs.
    #[cfg(test)]
    pub(super) fn checked(mut self) -> Self {
        self.around.is_checked = true;
        self
    }

    /// Runs until every machine that lives is done.
    pub(super) fn run(mut self, progress: &mut dyn FnMut(Progress)) -> Result<Ran, SimulationError> {
        let scenario = self.around.scenario;
        let machines = scenario.machines;
        let alone = scenario.size.bytes() / scenario.link.bytes_per_sec() + 1;
        let patience = Duration::from_secs(600 + 200 * alone) + scenario.start_spread + scenario.unpack * 2;
        for windows in 1_u64.. {
            if self.done + self.died + self.poisoning >= machines {
                break;
            }
            let Some(first) = self.due.iter().copied().min().filter(|first| *first < Time::MAX) else { break };
            self.window(first / self.around.latency)?;
            if windows.is_multiple_of(WINDOWS_PER_PROGRESS) {
                let secs = self.now as f64 / 1e9;
                progress(Progress { secs, done: self.done, machines: machines - self.died - self.poisoning });
                if self.now > nanos(patience) {
                    break;
                }
            }
        }
        self.finish()
    }

    /// Lives through the window of this number, and deals out what was done in it.
    fn window(&mut self, number: u64) -> Result<(), SimulationError> {
        let until = (number + 1) * self.around.latency;
        let around = &self.around;
        let live = |(node, due): (&mut Node, &mut Time)| {
            if *due < until {
                node.run(around, until);
                *due = node.agenda.next_at().unwrap_or(Time::MAX);
            }
        };
        if self.nodes.len() < 2 * NODES_PER_PROCESSOR {
            self.nodes.iter_mut().zip(&mut self.due).for_each(live);
        } else {
            let nodes = self.nodes.par_iter_mut().zip(&mut self.due);
            nodes.with_min_len(NODES_PER_PROCESSOR).for_each(live);
        }
        self.now = until;
        for at in 0..self.nodes.len() {
            let mut effects = std::mem::take(&mut self.nodes[at].effects);
            for effect in effects.drain(..) {
                self.deal(at as u32, effect);
            }
            // The room is used again.
            self.nodes[at].effects = effects;
        }
        self.carry();
        self.hear()
    }

    fn deal(&mut self, from: u32, effect: Effect) {
        match effect {
            Effect::Tell { to, at, what } => self.plan(to, at, what),
            Effect::Send { to, begins, out, bytes, what } => {
                self.sent.push(Sent { from, to, begins, out, bytes, what });
            }
            Effect::Announce { at, event, left_bytes } => {
                self.said.push(Said { at, node: from, announce: Some((event, left_bytes)) });
            }
            Effect::Left { at } => self.said.push(Said { at, node: from, announce: None }),
            Effect::Died => {
                let node = &self.nodes[from as usize];
                self.around.dead[from as usize] = true;
                if from != FRONTEND {
                    self.done -= u32::from(node.done_at.is_some() && !node.poisons);
                    self.died += 1;
                }
            }
            Effect::Done => self.done += u32::from(!self.nodes[from as usize].poisons),
        }
    }

    /// Something happens at a node after this window.
    fn plan(&mut self, node: u32, at: Time, what: What) {
        let due = &mut self.due[node as usize];
        *due = at.min(*due);
        let agenda = &mut self.nodes[node as usize].agenda;
        match at < self.now + self.around.latency {
            true => agenda.mail(at, what),
            false => agenda.plan(at, what),
        }
    }

    /// Brings payload to where it is sent.
    fn carry(&mut self) {
        let mut sent = std::mem::take(&mut self.sent);
        sent.sort_by_key(|sent| (sent.begins, sent.from));
        for Sent { from, to, begins, out, bytes, what } in sent.drain(..) {
            let random = &mut self.random;
            let at = self.network.carry((from, to), (begins, out), bytes, || random.unit());
            self.plan(to, at, what);
        }
        self.sent = sent;
    }

    /// Brings to the tracker what machines say, and its answers back.
    fn hear(&mut self) -> Result<(), SimulationError> {
        let mut said = std::mem::take(&mut self.said);
        said.sort_by_key(|said| (said.at, said.node));
        let tracker_dies = self.around.scenario.faults.tracker_dies.map(nanos);
        for Said { at, node, announce } in said.drain(..) {
            let answer_at = at + 2 * self.around.latency;
            let Some((event, left_bytes)) = announce else {
                self.directory.left(node);
                continue;
            };
            if tracker_dies.is_some_and(|dies| dies <= at) {
                self.plan(node, answer_at, What::AnnounceFailed);
                continue;
            }
            let id = self.nodes[node as usize].session.config().peer_id;
            match self.directory.announce(Duration::from_nanos(at), node, id, event, left_bytes) {
                Ok(Some((peers, interval))) => self.plan(node, answer_at, What::Peers { peers, interval }),
                Ok(None) => {}
                Err(what) => return Err(SimulationError::Broken { machine: node.saturating_sub(1), what }),
            }
        }
        self.said = said;
        Ok(())
    }

    fn finish(mut self) -> Result<Ran, SimulationError> {
        let content = self.around.content;
        let living =
            || self.nodes.iter().zip(0_u32..).skip(1).filter(|(node, _)| node.state != State::Dead && !node.poisons);
        let stuck: Vec<u32> = living().filter(|(node, _)| node.done_at.is_none()).map(|(_, n)| n - 1).collect();
        if let Some(&first) = stuck.first() {
            let secs = self.now / 1_000_000_000;
            return Err(SimulationError::Stuck { machines: stuck.len(), first, secs });
        }
        for (node, n) in living() {
            let set = content.set((n - 1) % self.around.scenario.appliances);
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
        let wasted_bytes = totals().map(|totals| totals.twice_bytes + totals.wrong_bytes).sum();
        let events = self.nodes.iter().map(|node| node.events).sum();
        let frontend = self.nodes[0].frontend.take().expect("node 0 is the frontend");
        let mut traffic = frontend.traffic;
        traffic.push(Sample { at_secs: self.now as f64 / 1e9, bytes: frontend.bytes });
        Ok(Ran {
            secs,
            longest_wait_secs,
            frontend_bytes: frontend.bytes,
            received_bytes,
            wasted_bytes,
            died: self.died,
            events,
            traffic,
        })
    }
}

fn session(content: &Content, node: u32, rack: Option<u32>, random: &mut Generator) -> Session {
    let mut unique = [0; 12];
    unique[..8].copy_from_slice(&random.next_u64().to_be_bytes());
    unique[8..].copy_from_slice(&node.to_be_bytes());
    let id = PeerId::new(unique);
    let config = match node {
        FRONTEND => SessionConfig { address: Some(address(node)), tracker: false, ..SessionConfig::seed(id) },
        _ => SessionConfig {
            address: Some(address(node)),
            frontend: Some(address(FRONTEND)),
            rack,
            ..SessionConfig::machine(id)
        },
    };
    Session::new(config, content.layout.clone(), random.next_u64())
}
