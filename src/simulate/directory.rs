//! temporary handout
use super::network::Network;
use super::scenario::Scenario;
use super::world::address;
use crate::swarm::{AnnounceEvent, Generator};
use crate::torrent::PeerId;
use std::net::SocketAddr;
use std::time::Duration;

pub(super) struct Directory { members: Vec<u32>, random: Generator, racks: Vec<Option<u32>> }

impl Directory {
    pub(super) fn new(scenario: &Scenario, network: &Network) -> Self {
        Self { members: Vec::new(), random: Generator::new(scenario.seed_value ^ 77), racks: (0..=scenario.machines).map(|n| network.rack(n)).collect() }
    }
    pub(super) fn announce(&mut self, _now: Duration, node: u32, _id: PeerId, _event: AnnounceEvent, _left: u64) -> Result<Option<(Vec<SocketAddr>, Duration)>, String> {
        let mut near = Vec::new(); let mut far = Vec::new();
        let n = self.members.len();
        for _ in 0..200.min(n*3) {
            let m = self.members[self.random.below(n as u64) as usize];
            if m == node { continue; }
            let list = if self.racks[m as usize] == self.racks[node as usize] { &mut near } else { &mut far };
            if !list.contains(&m) { list.push(m); }
        }
        near.truncate(if self.racks[node as usize].is_some() {16} else {24}); far.truncate(8);
        near.extend(far);
        if !self.members.contains(&node) { self.members.push(node); }
        Ok(Some((near.into_iter().map(address).collect(), Duration::from_secs(30))))
    }
    pub(super) fn left(&mut self, node: u32) { self.members.retain(|m| *m != node); }
}
