//! Networks. No two of them share an address, so an address has at most one network.

use super::error::counted;
use super::table::NETWORKS;
use super::{Reader, StoreError, Writer};
use crate::cluster::{Network, NetworkName};
use std::net::IpAddr;

impl Reader {
    /// A network by its name.
    pub fn network(&self, name: &NetworkName) -> Result<Network, StoreError> {
        match self.transaction.get(NETWORKS, name.as_str().as_bytes())? {
            Some(network) => Ok(network),
            None => {
                let there = self.networks()?;
                Err(StoreError::not_found("network", name.as_str(), there.iter().map(|n| n.name.as_str())))
            }
        }
    }

    /// Every network by name.
    pub fn networks(&self) -> Result<Vec<Network>, StoreError> {
        self.transaction.scan(NETWORKS, b"")
    }

    /// The network that an address is in.
    pub fn network_of(&self, ip: IpAddr) -> Result<Option<Network>, StoreError> {
        Ok(self.networks()?.into_iter().find(|network| network.subnet.contains(&ip)))
    }
}

impl Writer {
    /// Adds a network.
    pub fn add_network(&mut self, network: &Network) -> Result<(), StoreError> {
        if self.transaction.bytes(NETWORKS, network.name.as_str().as_bytes())?.is_some() {
            return Err(StoreError::Exists { noun: "network", name: network.name.to_string() });
        }
        self.set_network(network)
    }

    /// Writes a network over the one of its name; every address in use must still be in it.
    pub fn set_network(&mut self, network: &Network) -> Result<(), StoreError> {
        for other in self.networks()? {
            let overlaps = other.subnet.contains(&network.subnet) || network.subnet.contains(&other.subnet);
            if other.name != network.name && overlaps {
                return Err(StoreError::Overlap {
                    name: network.name.clone(),
                    subnet: network.subnet,
                    other: other.name,
                });
            }
        }
        for host in self.hosts()? {
            for interface in host.interfaces.iter().filter(|i| i.network.as_ref() == Some(&network.name)) {
                if let Some(ip) = interface.ip.filter(|ip| !network.subnet.contains(ip)) {
                    let (network, subnet) = (network.name.clone(), network.subnet);
                    return Err(StoreError::WrongNetwork { ip, host: host.name, network, subnet });
                }
            }
        }
        self.put(NETWORKS, network.name.as_str().as_bytes(), network)
    }

    /// Removes a network that no interface is in.
    pub fn remove_network(&mut self, name: &NetworkName) -> Result<(), StoreError> {
        self.network(name)?;
        let hosts = self.hosts()?;
        let users: Vec<String> = hosts
            .iter()
            .flat_map(|host| host.interfaces.iter().map(move |interface| (host, interface)))
            .filter(|(_, interface)| interface.network.as_ref() == Some(name))
            .map(|(host, interface)| format!("{} {}", host.name, interface.name))
            .collect();
        if let Some(first) = users.first() {
            let more = if users.len() > 1 { ", ..." } else { "" };
            let users = format!("{} ({first}{more})", counted(users.len(), "interface"));
            return Err(StoreError::InUse { noun: "network", name: name.to_string(), users });
        }
        self.remove(NETWORKS, name.as_str().as_bytes())?;
        Ok(())
    }
}
