//! Which peers to point at. Soft state: a plain struct that takes `now`.
//!
//! A [`Tracker`] knows of hosts only what it is told ([`Tracker::set_hosts`], [`Tracker::set_installing`]) and of peers
//! only what they announce. Invariants: nobody is ever pointed at a machine that is not installing; a peer's address
//! is that of its connection, never one it names; a host is at most once in a swarm; every count has a named limit.

mod host;
mod member;
mod random;
mod rhythm;
mod swarm;

pub use host::TrackedHost;
pub use rhythm::Rhythm;

use crate::torrent::InfoHash;
use crate::wire::{Announce, AnnounceReply, Event, NamedPeer, ScrapeEntry};
use host::Hosts;
use random::Random;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use swarm::Swarm;

/// How many peers of its own rack a peer is pointed at.
pub const RACK_PEERS_MAX: usize = 16;
/// How many peers of other racks a peer is pointed at.
pub const OTHER_PEERS_MAX: usize = 8;
/// How many peers of its own appliance a peer is pointed at, at least, where others are in the swarm too: what only they want
/// comes from nobody else, and of a few among many hardly two would meet.
pub const APPLIANCE_PEERS_MIN: usize = 6;
/// No more peers are pointed at one peer.
pub const IN_DEGREE_MAX: u16 = 32;
/// The most swarms there are.
pub const SWARMS_MAX: usize = 256;
/// The most swarms one host is in.
pub const SWARMS_PER_HOST_MAX: usize = 8;
/// A peer that so many hosts report as bad is no longer named to others.
pub const REPORTERS_TO_DROP: usize = 2;
/// A host that reports more peers than this is not believed any more.
pub const REPORTS_PER_HOST_MAX: u8 = 8;
/// How often the silent are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Why a client is not served; the words reach whoever runs it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No host has this address.
    #[error(
        "no host has the address '{ip}': type 'rocks add-host NAME --appliance A --mac M --ip {ip}' on the frontend"
    )]
    UnknownHost {
        /// The connection's address.
        ip: IpAddr,
    },
    /// The host is not to be installed.
    #[error("host '{host}' is not installing: type 'rocks set-boot {host} install' on the frontend")]
    NotInstalling {
        /// Its name.
        host: String,
    },
    /// There are too many swarms already, in all or of this host.
    #[error("too many swarms: host '{host}' may join {SWARMS_PER_HOST_MAX} of at most {SWARMS_MAX}")]
    TooManySwarms {
        /// Its name.
        host: String,
    },
}

/// How much a tracker holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Hosts it was told of.
    pub hosts: usize,
    /// Those of them that install.
    pub installing: usize,
    /// Swarms that have a peer.
    pub swarms: usize,
    /// Peers in all swarms.
    pub peers: usize,
}

/// Knows who is in which swarm, and decides who is pointed at whom.
#[derive(Debug)]
pub struct Tracker {
    hosts: Hosts,
    swarms: BTreeMap<InfoHash, Swarm>,
    random: Random,
    next_sweep: Duration,
}

impl Tracker {
    /// A tracker that knows nobody. The same seed value and calls give the same answers.
    pub fn new(seed_value: u64) -> Self {
        Self {
            hosts: Hosts::default(),
            swarms: BTreeMap::new(),
            random: Random::new(seed_value),
            next_sweep: Duration::ZERO,
        }
    }

    /// Replaces all that is known of hosts. Whoever is gone, or no longer installing, leaves its swarms at once.
    pub fn set_hosts(&mut self, hosts: impl IntoIterator<Item = TrackedHost>) {
        let dropped = self.hosts.replace_all(hosts);
        self.drop_hosts(dropped);
    }

    /// What is known of one host has changed, or it is new.
    pub fn host_changed(&mut self, host: TrackedHost) {
        let dropped = self.hosts.replace(host);
        self.drop_hosts(dropped);
    }

    /// Tells of each host, by its name, whether it installs now. Whoever no longer does leaves its swarms at once.
    pub fn set_installing(&mut self, is_installing: impl Fn(&str) -> bool) {
        let dropped = self.hosts.set_installing(is_installing);
        self.drop_hosts(dropped);
    }

    /// Whether a host, installing or not, has this address.
    pub fn knows(&self, ip: IpAddr) -> bool {
        self.hosts.at(ip).is_some()
    }

    /// Takes in an announce that came from this address at `now`, and answers it.
    pub fn announce(&mut self, now: Duration, from: IpAddr, announce: &Announce) -> Result<AnnounceReply, Refusal> {
        self.sweep(now);
        let from = from.to_canonical();
        let host = self.hosts.at(from).ok_or(Refusal::UnknownHost { ip: from })?;
        if announce.event == Event::Stopped {
            self.leave(host, &announce.info_hash);
            return Ok(self.reply(announce, Vec::new()));
        }
        let entry = self.hosts.get(host);
        if !entry.installing {
            return Err(Refusal::NotInstalling { host: entry.name.to_string() });
        }
        let (rack, appliance, seed) = (entry.rack, entry.appliance, entry.seed);
        self.make_room(host, &announce.info_hash)?;
        let swarm = self.swarms.entry(announce.info_hash).or_default();
        let slot = swarm.enter(now, host, (rack, appliance), from, announce);
        for bad in &announce.bad_peers {
            let target = self.hosts.at(bad.ip().to_canonical()).filter(|target| *target != host);
            if let Some(target) = target.filter(|_| self.hosts.is_believed(host))
                && swarm.report(target, host, bad.port())
            {
                self.hosts.count_report(host);
            }
        }
        let mut peers: Vec<NamedPeer> = Vec::with_capacity(1 + APPLIANCE_PEERS_MIN + RACK_PEERS_MAX + OTHER_PEERS_MAX);
        // The frontend's seed comes first, so that it is there however few peers are wanted.
        peers.extend(seed.filter(|_| announce.left_bytes > 0).map(NamedPeer::from));
        let limit = announce.peers_wanted.map_or(usize::MAX, |wanted| wanted as usize);
        peers.truncate(limit);
        swarm.point(slot, from.is_ipv6(), limit - peers.len(), &mut self.random, &mut peers);
        Ok(self.reply(announce, peers))
    }

    /// The numbers of these swarms, or of all where none is named.
    pub fn scrape(&mut self, now: Duration, hashes: &[InfoHash]) -> Vec<(InfoHash, ScrapeEntry)> {
        self.sweep(now);
        match hashes {
            [] => self.swarms.iter().map(|(hash, swarm)| (*hash, swarm.numbers())).collect(),
            _ => hashes
                .iter()
                .map(|hash| (*hash, self.swarms.get(hash).map(Swarm::numbers).unwrap_or_default()))
                .collect(),
        }
    }

    /// Drops the silent; announces and scrapes do so too.
    pub fn sweep(&mut self, now: Duration) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP_INTERVAL;
        for (hash, swarm) in &mut self.swarms {
            let hosts = &mut self.hosts;
            swarm.drop_silent(now, |host| hosts.left(host, hash));
        }
    }

    /// How much there is.
    pub fn totals(&self) -> Totals {
        Totals {
            hosts: self.hosts.len(),
            installing: self.hosts.installing(),
            swarms: self.swarms.values().filter(|swarm| swarm.len() > 0).count(),
            peers: self.swarms.values().map(Swarm::len).sum(),
        }
    }

    fn reply(&mut self, announce: &Announce, peers: Vec<NamedPeer>) -> AnnounceReply {
        let rhythm = Rhythm::of(&announce.peer_id);
        let numbers = self.swarms.get(&announce.info_hash).map(Swarm::numbers).unwrap_or_default();
        AnnounceReply {
            interval_secs: rhythm.draw_interval_secs(&mut self.random),
            min_interval_secs: Some(rhythm.min_interval_secs),
            complete: numbers.complete,
            incomplete: numbers.incomplete,
            peers,
        }
    }

    /// Sees to it that the host may be in this swarm.
    fn make_room(&mut self, host: u32, hash: &InfoHash) -> Result<(), Refusal> {
        if self.hosts.get(host).swarms.contains(hash) {
            return Ok(());
        }
        let entry = self.hosts.get(host);
        let refusal = Refusal::TooManySwarms { host: entry.name.to_string() };
        if entry.swarms.len() == SWARMS_PER_HOST_MAX {
            return Err(refusal);
        }
        if !self.swarms.contains_key(hash) && self.swarms.len() == SWARMS_MAX {
            // Swarms without peers keep only what was downloaded.
            self.swarms.retain(|_, swarm| swarm.len() > 0);
            if self.swarms.len() == SWARMS_MAX {
                return Err(refusal);
            }
        }
        self.hosts.entered(host, *hash);
        Ok(())
    }

    fn leave(&mut self, host: u32, hash: &InfoHash) {
        if let Some(swarm) = self.swarms.get_mut(hash) {
            swarm.leave(host);
        }
        self.hosts.left(host, hash);
    }

    fn drop_hosts(&mut self, dropped: Vec<(u32, Vec<InfoHash>)>) {
        for (host, hashes) in dropped {
            hashes.iter().for_each(|hash| self.leave(host, hash));
        }
    }
}

#[cfg(test)]
impl Tracker {
    fn check(&self) {
        self.swarms.values().for_each(Swarm::check);
        for swarm in self.hosts.all_swarms() {
            assert!(self.swarms.contains_key(swarm));
        }
    }
}

#[cfg(test)]
mod tests;
