//! What a tracker is told of hosts.

use crate::torrent::InfoHash;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

/// A host as a tracker is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedHost {
    /// Its name.
    pub name: String,
    /// All its addresses: an announce from any of them is its own.
    pub addresses: Vec<IpAddr>,
    /// The rack it stands in; hosts without one count as standing in one rack.
    pub rack: Option<u32>,
    /// What it becomes: hosts of one appliance want the same.
    pub appliance: String,
    /// Whether it is installing now.
    pub installing: bool,
    /// Where the frontend's seed listens, as this host reaches it.
    pub seed: Option<SocketAddr>,
}

/// A host as it is kept.
#[derive(Debug)]
pub(super) struct HostEntry {
    pub(super) name: Box<str>,
    pub(super) rack: Option<u32>,
    /// The number of its appliance.
    pub(super) appliance: u32,
    pub(super) installing: bool,
    pub(super) seed: Option<SocketAddr>,
    /// The swarms it is in.
    pub(super) swarms: Vec<InfoHash>,
    addresses: Box<[IpAddr]>,
    /// How many peers it has reported as bad in this installation.
    reports: u8,
}

/// All hosts, numbered. A number is another host's only after the call that returned it as dropped.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    entries: Vec<HostEntry>,
    by_name: HashMap<Box<str>, u32>,
    by_address: HashMap<IpAddr, u32>,
    free: Vec<u32>,
    /// A number for each appliance that any host ever was: an administrator defines few.
    appliances: HashMap<Box<str>, u32>,
}

/// Hosts that leave their swarms, with those swarms.
pub(super) type Dropped = Vec<(u32, Vec<InfoHash>)>;

impl Hosts {
    pub(super) fn at(&self, ip: IpAddr) -> Option<u32> {
        self.by_address.get(&ip).copied()
    }

    pub(super) fn get(&self, host: u32) -> &HostEntry {
        &self.entries[host as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn installing(&self) -> usize {
        self.entries.iter().filter(|entry| entry.installing).count()
    }

    pub(super) fn entered(&mut self, host: u32, hash: InfoHash) {
        self.entries[host as usize].swarms.push(hash);
    }

    pub(super) fn left(&mut self, host: u32, hash: &InfoHash) {
        self.entries[host as usize].swarms.retain(|found| found != hash);
    }

    /// Whether what this host says of others is still believed.
    pub(super) fn is_believed(&self, host: u32) -> bool {
        self.get(host).reports < super::REPORTS_PER_HOST_MAX
    }

    pub(super) fn count_report(&mut self, host: u32) {
        let reports = &mut self.entries[host as usize].reports;
        *reports = reports.saturating_add(1);
    }

    pub(super) fn replace_all(&mut self, hosts: impl IntoIterator<Item = TrackedHost>) -> Dropped {
        let mut dropped = Vec::new();
        let mut gone: BTreeSet<u32> = self.by_name.values().copied().collect();
        // First let go of all addresses, then take them: two hosts may have swapped theirs.
        self.by_address.clear();
        for host in hosts {
            let number = self.put(host, &mut dropped);
            gone.remove(&number);
        }
        for number in gone {
            let entry = &mut self.entries[number as usize];
            entry.installing = false;
            entry.addresses = Box::default();
            dropped.push((number, entry.swarms.clone()));
            self.by_name.remove(&entry.name);
            self.free.push(number);
        }
        dropped
    }

    pub(super) fn set_installing(&mut self, is_installing: impl Fn(&str) -> bool) -> Dropped {
        let mut dropped = Vec::new();
        for &number in self.by_name.values() {
            let entry = &mut self.entries[number as usize];
            entry.installing = is_installing(&entry.name);
            if !entry.installing {
                entry.reports = 0;
                if !entry.swarms.is_empty() {
                    dropped.push((number, entry.swarms.clone()));
                }
            }
        }
        dropped
    }

    pub(super) fn replace(&mut self, host: TrackedHost) -> Dropped {
        let mut dropped = Vec::new();
        if let Some(&number) = self.by_name.get(&*host.name) {
            for ip in &self.entries[number as usize].addresses {
                if self.by_address.get(ip) == Some(&number) {
                    self.by_address.remove(ip);
                }
            }
        }
        self.put(host, &mut dropped);
        dropped
    }

    fn put(&mut self, host: TrackedHost, dropped: &mut Dropped) -> u32 {
        let addresses: Box<[IpAddr]> = host.addresses.iter().map(IpAddr::to_canonical).collect();
        let next = self.appliances.len() as u32;
        let appliance = *self.appliances.entry(host.appliance.into()).or_insert(next);
        let number = match self.by_name.get(&*host.name) {
            Some(&number) => {
                let entry = &mut self.entries[number as usize];
                let moved = (entry.rack, entry.appliance) != (host.rack, appliance)
                    || entry.addresses.iter().any(|ip| !addresses.contains(ip));
                if !entry.swarms.is_empty() && (moved || !host.installing) {
                    dropped.push((number, entry.swarms.clone()));
                }
                if !host.installing {
                    entry.reports = 0;
                }
                (entry.rack, entry.installing, entry.seed) = (host.rack, host.installing, host.seed);
                entry.appliance = appliance;
                entry.addresses = addresses;
                number
            }
            None => {
                let name: Box<str> = host.name.into();
                let TrackedHost { rack, installing, seed, .. } = host;
                let swarms = Vec::new();
                let name_too = name.clone();
                let entry =
                    HostEntry { name: name_too, rack, appliance, installing, seed, swarms, addresses, reports: 0 };
                let number = match self.free.pop() {
                    Some(number) => {
                        self.entries[number as usize] = entry;
                        number
                    }
                    None => {
                        self.entries.push(entry);
                        self.entries.len() as u32 - 1
                    }
                };
                self.by_name.insert(name, number);
                number
            }
        };
        for &ip in &self.entries[number as usize].addresses {
            self.by_address.insert(ip, number);
        }
        number
    }
}

#[cfg(test)]
impl Hosts {
    pub(super) fn all_swarms(&self) -> impl Iterator<Item = &InfoHash> {
        self.entries.iter().flat_map(|entry| &entry.swarms)
    }
}
