//! The real tracker, asked by simulated machines. Whoever it points at must be installing.

use super::network::Network;
use super::node::{FRONTEND, address, node_at};
use super::scenario::Scenario;
use crate::swarm::AnnounceEvent;
use crate::torrent::{InfoHash, PeerId};
use crate::tracker::{TrackedHost, Tracker};
use crate::wire::{Announce, Event};
use std::net::SocketAddr;
use std::time::Duration;

/// The only swarm of a simulation.
const SWARM: InfoHash = InfoHash([0x5e; 20]);

/// The tracker, and who is really installing.
pub(super) struct Directory {
    tracker: Tracker,
    installing: Vec<bool>,
    racks: Vec<Option<u32>>,
    appliances: u32,
}

impl Directory {
    pub(super) fn new(scenario: &Scenario, network: &Network) -> Self {
        let mut tracker = Tracker::new(scenario.seed_value);
        let racks: Vec<Option<u32>> = (0..=scenario.machines).map(|node| network.rack(node)).collect();
        tracker
            .set_hosts((1..=scenario.machines).map(|node| host(node, racks[node as usize], scenario.appliances, true)));
        let installing = (0..=scenario.machines).map(|node| node != FRONTEND).collect();
        Self { tracker, installing, racks, appliances: scenario.appliances }
    }

    /// Announces for a machine. What comes back is whom it may connect to and when to announce again, nothing where
    /// the machine says goodbye.
    pub(super) fn announce(
        &mut self,
        now: Duration,
        node: u32,
        peer_id: PeerId,
        event: AnnounceEvent,
        left_bytes: u64,
    ) -> Result<Option<(Vec<SocketAddr>, Duration)>, String> {
        let from = address(node);
        let event = match event {
            AnnounceEvent::Started => Event::Started,
            AnnounceEvent::Completed => Event::Completed,
            AnnounceEvent::Interval => Event::Periodic,
            AnnounceEvent::Stopped => Event::Stopped,
        };
        let announce = Announce { left_bytes, event, ..Announce::new(SWARM, peer_id, from.port()) };
        let reply = self.tracker.announce(now, from.ip(), &announce).map_err(|refusal| refusal.to_string())?;
        if event == Event::Stopped {
            return Ok(None);
        }
        let peers: Vec<SocketAddr> = reply.peers.iter().map(|peer| peer.address).collect();
        let is_wrong = |peer: &&SocketAddr| {
            let at = node_at(**peer);
            at != Some(FRONTEND) && !at.is_some_and(|at| self.installing[at as usize] && at != node)
        };
        match peers.iter().find(is_wrong) {
            Some(peer) => Err(format!("pointed at '{peer}', which is not installing")),
            None => Ok(Some((peers, Duration::from_secs(u64::from(reply.interval_secs))))),
        }
    }

    /// A machine is installed and no longer in any swarm.
    pub(super) fn left(&mut self, node: u32) {
        self.installing[node as usize] = false;
        self.tracker.host_changed(host(node, self.racks[node as usize], self.appliances, false));
    }
}

fn host(node: u32, rack: Option<u32>, appliances: u32, installing: bool) -> TrackedHost {
    let (name, seed) = (format!("compute-{node}"), Some(address(FRONTEND)));
    let appliance = format!("appliance-{}", (node - 1) % appliances);
    TrackedHost { name, addresses: vec![address(node).ip()], rack, appliance, installing, seed }
}
