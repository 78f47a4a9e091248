//! Hosts and the two indexes by which a machine is recognised: its MAC addresses and its IP addresses.
//!
//! Each MAC address and each IP address belongs to one interface of one host, and every IP address is in a network.

use super::table::{HOSTS, HOSTS_BY_IP, HOSTS_BY_MAC};
use super::{Reader, StoreError, Writer};
use crate::cluster::{Host, HostName, Interface, InvalidNoun, MacAddress, NodeSet, Scope, natural_order};
use std::net::IpAddr;

impl Reader {
    /// A host by its name.
    pub fn host(&self, name: &HostName) -> Result<Host, StoreError> {
        match self.transaction.get(HOSTS, name.as_str().as_bytes())? {
            Some(host) => Ok(host),
            None => {
                let there = self.host_names()?;
                Err(StoreError::not_found("host", name.as_str(), there.iter().map(HostName::as_str)))
            }
        }
    }

    /// Every host, `compute-0-2` before `compute-0-10`.
    pub fn hosts(&self) -> Result<Vec<Host>, StoreError> {
        let mut hosts: Vec<Host> = self.transaction.scan(HOSTS, b"")?;
        hosts.sort_by(|a, b| natural_order(a.name.as_str(), b.name.as_str()));
        Ok(hosts)
    }

    /// Hands out one host after the other, in no order that matters: all of them need not fit into memory at once.
    pub fn each_host(&self, mut visit: impl FnMut(Host)) -> Result<(), StoreError> {
        self.transaction.each(HOSTS, b"", |key, value| {
            let host = serde_json::from_slice(value).map_err(|error| StoreError::Record {
                table: "hosts".to_owned(),
                key: String::from_utf8_lossy(key).into_owned(),
                why: error.to_string(),
            })?;
            visit(host);
            Ok(true)
        })
    }

    /// The names of every host.
    pub fn host_names(&self) -> Result<Vec<HostName>, StoreError> {
        let keys = self.transaction.keys(HOSTS, b"")?;
        let mut names = keys
            .iter()
            .map(|key| HostName::parse(&String::from_utf8_lossy(key)))
            .collect::<Result<Vec<_>, InvalidNoun>>()?;
        names.sort_by(|a, b| natural_order(a.as_str(), b.as_str()));
        Ok(names)
    }

    /// The host with this MAC address.
    pub fn host_by_mac(&self, mac: MacAddress) -> Result<Option<Host>, StoreError> {
        self.host_by(self.transaction.get(HOSTS_BY_MAC, mac.to_string().as_bytes())?)
    }

    /// The host with this IP address.
    pub fn host_by_ip(&self, ip: IpAddr) -> Result<Option<Host>, StoreError> {
        self.host_by(self.transaction.get(HOSTS_BY_IP, ip.to_canonical().to_string().as_bytes())?)
    }

    fn host_by(&self, name: Option<HostName>) -> Result<Option<Host>, StoreError> {
        name.map(|name| self.host(&name)).transpose()
    }

    /// The hosts that node sets name, each once, in natural order; all hosts where `sets` is empty. A host that does
    /// not exist is an error, as is a group (`@compute`) that is no appliance.
    pub fn hosts_in(&self, sets: &[NodeSet]) -> Result<Vec<Host>, StoreError> {
        if sets.is_empty() {
            return self.hosts();
        }
        let mut hosts = Vec::new();
        for name in self.names_in(sets)? {
            hosts.push(self.host(&name)?);
        }
        Ok(hosts)
    }

    /// The names in node sets, each once, in natural order. Only groups need to exist.
    pub fn names_in(&self, sets: &[NodeSet]) -> Result<Vec<HostName>, StoreError> {
        let mut names = Vec::new();
        for set in sets {
            let mut groups = std::collections::BTreeMap::new();
            for group in set.groups() {
                if group != "all" {
                    self.appliance(group)?;
                }
                let hosts: Vec<Host> = self.transaction.scan(HOSTS, b"")?;
                let members = hosts.into_iter().filter(|h| group == "all" || h.appliance == group).map(|h| h.name);
                groups.insert(group.to_owned(), members.collect::<Vec<_>>());
            }
            names.extend(set.expand(&groups)?);
        }
        names.sort_by(|a, b| natural_order(a.as_str(), b.as_str()));
        names.dedup();
        Ok(names)
    }
}

impl Writer {
    /// Adds a host. Interfaces without a network get the one their address is in.
    pub fn add_host(&mut self, host: &Host) -> Result<(), StoreError> {
        if self.transaction.bytes(HOSTS, host.name.as_str().as_bytes())?.is_some() {
            return Err(StoreError::Exists { noun: "host", name: host.name.to_string() });
        }
        self.put_host(host, None)
    }

    /// Writes a host over the one of its name.
    pub fn set_host(&mut self, host: &Host) -> Result<(), StoreError> {
        let old = self.host(&host.name)?;
        self.put_host(host, Some(&old))
    }

    /// Gives a host another name, with its attributes and its boot action. An installation that goes on does so.
    pub fn rename_host(&mut self, old: &HostName, new: &HostName) -> Result<(), StoreError> {
        let mut host = self.host(old)?;
        if self.transaction.bytes(HOSTS, new.as_str().as_bytes())?.is_some() {
            return Err(StoreError::Exists { noun: "host", name: new.to_string() });
        }
        let attributes = self.attributes_of(&Scope::Host(old.clone()))?;
        let mut boot = self.boot(old)?;
        boot.ordered_as.get_or_insert_with(|| old.clone());
        self.remove_host(old)?;
        host.name = new.clone();
        self.put_host(&host, None)?;
        for mut attribute in attributes {
            attribute.scope = Scope::Host(new.clone());
            self.set_attribute(&attribute)?;
        }
        self.put_boot(new, &boot)
    }

    /// Removes a host with its attributes and its boot action.
    pub fn remove_host(&mut self, name: &HostName) -> Result<(), StoreError> {
        let host = self.host(name)?;
        self.forget_addresses(&host)?;
        self.remove_attributes_of(&Scope::Host(name.clone()))?;
        self.remove_boot(name)?;
        self.remove(HOSTS, name.as_str().as_bytes())?;
        Ok(())
    }

    /// Checks everything first and writes then: where it fails, nothing of the host is there, so that the other lines
    /// of a list can be looked at.
    fn put_host(&mut self, host: &Host, old: Option<&Host>) -> Result<(), StoreError> {
        self.appliance(&host.appliance)?;
        let mut host = host.clone();
        for i in 0..host.interfaces.len() {
            let (earlier, later) = host.interfaces.split_at_mut(i);
            let interface = &mut later[0];
            Interface::check_name(&interface.name)?;
            interface.ip = interface.ip.map(|ip| ip.to_canonical());
            for other in earlier {
                differ(&host.name, interface, &host.name, other)?;
                if other.name == interface.name {
                    let name = format!("{} {}", host.name, interface.name);
                    return Err(StoreError::Exists { noun: "interface", name });
                }
            }
            self.check_addresses(&host.name, interface)?;
        }
        old.map_or(Ok(()), |old| self.forget_addresses(old))?;
        for interface in &host.interfaces {
            if let Some(mac) = interface.mac {
                self.put(HOSTS_BY_MAC, mac.to_string().as_bytes(), &host.name)?;
            }
            if let Some(ip) = interface.ip {
                self.put(HOSTS_BY_IP, ip.to_string().as_bytes(), &host.name)?;
            }
        }
        self.put(HOSTS, host.name.as_str().as_bytes(), &host)
    }

    /// Fails where another host has an address of the interface, or no network has it. Tells the interface its network.
    fn check_addresses(&self, host: &HostName, interface: &mut Interface) -> Result<(), StoreError> {
        let by_mac = interface.mac.map_or(Ok(None), |mac| self.host_by_mac(mac))?;
        let by_ip = interface.ip.map_or(Ok(None), |ip| self.host_by_ip(ip))?;
        for owner in by_mac.iter().chain(&by_ip).filter(|owner| owner.name != *host) {
            for other in &owner.interfaces {
                differ(host, interface, &owner.name, other)?;
            }
        }
        let Some(ip) = interface.ip else {
            return interface.network.as_ref().map_or(Ok(()), |name| self.network(name).map(drop));
        };
        let network = match &interface.network {
            Some(name) => self.network(name)?,
            None => match self.network_of(ip)? {
                Some(network) => network,
                None => {
                    let networks = self.networks()?.iter().map(|n| format!("{} {}", n.name, n.subnet)).collect();
                    return Err(StoreError::OutsideNetworks { ip, host: host.clone(), networks });
                }
            },
        };
        let (host, name) = (host.clone(), network.name.clone());
        if !network.subnet.contains(&ip) {
            return Err(StoreError::WrongNetwork { ip, host, network: name, subnet: network.subnet });
        }
        if let Some(what) = network.reserved(ip) {
            return Err(StoreError::ReservedAddress { ip, host, what, network: name });
        }
        interface.network = Some(name);
        Ok(())
    }

    fn forget_addresses(&mut self, host: &Host) -> Result<(), StoreError> {
        for interface in &host.interfaces {
            if let Some(mac) = interface.mac {
                self.remove(HOSTS_BY_MAC, mac.to_string().as_bytes())?;
            }
            if let Some(ip) = interface.ip {
                self.remove(HOSTS_BY_IP, ip.to_string().as_bytes())?;
            }
        }
        Ok(())
    }
}

/// Fails where two interfaces share an address.
fn differ(host: &HostName, interface: &Interface, owner: &HostName, other: &Interface) -> Result<(), StoreError> {
    let taken = |noun, value: String| {
        let owner = format!("{owner} {}", other.name);
        Err(StoreError::Taken { noun, value, host: host.clone(), owner })
    };
    match (interface.mac.filter(|mac| other.mac == Some(*mac)), interface.ip.filter(|ip| other.ip == Some(*ip))) {
        (Some(mac), _) => taken("MAC address", mac.to_string()),
        (None, Some(ip)) => taken("address", ip.to_string()),
        (None, None) => Ok(()),
    }
}
