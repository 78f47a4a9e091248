//! Hosts and the two indexes by which a machine is recognised: its MAC addresses and its IP addresses.
//!
//! Each MAC address and each IP address belongs to one interface of one host, and every IP address is in a network.

use super::table::{BOOTS, HOSTS, HOSTS_BY_IP, HOSTS_BY_MAC};
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
        self.put_host(host)
    }

    /// Writes a host over the one of its name.
    pub fn set_host(&mut self, host: &Host) -> Result<(), StoreError> {
        let old = self.host(&host.name)?;
        self.forget_addresses(&old)?;
        self.put_host(host)
    }

    /// Gives a host another name, with its attributes and its boot action.
    pub fn rename_host(&mut self, old: &HostName, new: &HostName) -> Result<(), StoreError> {
        let mut host = self.host(old)?;
        if self.transaction.bytes(HOSTS, new.as_str().as_bytes())?.is_some() {
            return Err(StoreError::Exists { noun: "host", name: new.to_string() });
        }
        let attributes = self.attributes_of(&Scope::Host(old.clone()))?;
        let boot = self.transaction.get(BOOTS, old.as_str().as_bytes())?;
        self.remove_host(old)?;
        host.name = new.clone();
        self.put_host(&host)?;
        for mut attribute in attributes {
            attribute.scope = Scope::Host(new.clone());
            self.set_attribute(&attribute)?;
        }
        boot.map_or(Ok(()), |boot| self.put_boot(new, &boot))
    }

    /// Removes a host with its attributes and its boot action.
    pub fn remove_host(&mut self, name: &HostName) -> Result<(), StoreError> {
        let host = self.host(name)?;
        self.forget_addresses(&host)?;
        self.remove_attributes_of(&Scope::Host(name.clone()))?;
        self.remove(BOOTS, name.as_str().as_bytes())?;
        self.remove(HOSTS, name.as_str().as_bytes())?;
        Ok(())
    }

    fn put_host(&mut self, host: &Host) -> Result<(), StoreError> {
        self.appliance(&host.appliance)?;
        let mut host = host.clone();
        for i in 0..host.interfaces.len() {
            if host.interfaces[..i].iter().any(|other| other.name == host.interfaces[i].name) {
                let name = format!("{} {}", host.name, host.interfaces[i].name);
                return Err(StoreError::Exists { noun: "interface", name });
            }
            let (earlier, later) = host.interfaces.split_at_mut(i);
            let interface = &mut later[0];
            Interface::check_name(&interface.name)?;
            for other in earlier {
                let taken = |noun, value: String| StoreError::Taken {
                    noun,
                    value,
                    host: host.name.clone(),
                    owner: format!("{} {}", host.name, other.name),
                };
                if let Some(mac) = interface.mac.filter(|mac| other.mac == Some(*mac)) {
                    return Err(taken("MAC address", mac.to_string()));
                }
                if let Some(ip) = interface.ip.filter(|ip| other.ip == Some(*ip)) {
                    return Err(taken("address", ip.to_string()));
                }
            }
            self.take_mac(&host.name, interface)?;
            self.take_ip(&host.name, interface)?;
        }
        self.put(HOSTS, host.name.as_str().as_bytes(), &host)
    }

    fn take_mac(&mut self, host: &HostName, interface: &Interface) -> Result<(), StoreError> {
        let Some(mac) = interface.mac else { return Ok(()) };
        if let Some(other) = self.host_by_mac(mac)? {
            let has = other.interfaces.iter().find(|i| i.mac == Some(mac)).map_or("", |i| i.name.as_str());
            let owner = format!("{} {has}", other.name);
            return Err(StoreError::Taken { noun: "MAC address", value: mac.to_string(), host: host.clone(), owner });
        }
        self.put(HOSTS_BY_MAC, mac.to_string().as_bytes(), host)
    }

    fn take_ip(&mut self, host: &HostName, interface: &mut Interface) -> Result<(), StoreError> {
        interface.ip = interface.ip.map(|ip| ip.to_canonical());
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
        let host = host.clone();
        if !network.subnet.contains(&ip) {
            return Err(StoreError::WrongNetwork { ip, host, network: network.name, subnet: network.subnet });
        }
        if let Some(what) = network.reserved(ip) {
            return Err(StoreError::ReservedAddress { ip, host, what, network: network.name });
        }
        if let Some(other) = self.host_by_ip(ip)? {
            let has = other.interfaces.iter().find(|i| i.ip == Some(ip)).map_or("", |i| i.name.as_str());
            let owner = format!("{} {has}", other.name);
            return Err(StoreError::Taken { noun: "address", value: ip.to_string(), host, owner });
        }
        interface.network = Some(network.name);
        self.put(HOSTS_BY_IP, ip.to_string().as_bytes(), &host)
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
