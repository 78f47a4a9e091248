//! Where a service of the cluster can be reached.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// A service of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// `rocks serve` over HTTP.
    Http,
    /// `rocks serve` over TLS.
    Https,
    /// The permanent seed's peer port.
    Seed,
    /// `rocks track`: announces over HTTP.
    Track,
    /// `rocks track`: announces over UDP.
    TrackUdp,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 5] = [Self::Http, Self::Https, Self::Seed, Self::Track, Self::TrackUdp];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Seed => "seed",
            Self::Track => "track",
            Self::TrackUdp => "trackudp",
        }
    }
}
impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a service can be reached. A service that listens on every address of its machine lists them all, so that
/// the nearest can be told to a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Which service.
    pub service: Service,
    /// Its addresses, the preferred one first.
    pub addresses: Vec<SocketAddr>,
    /// Since when.
    pub since: jiff::Timestamp,
}

impl Endpoint {
    /// The address that a host at `host` should use: one in the same network where there is one, a loopback address
    /// only for a loopback host, else the preferred one.
    pub fn address_for(&self, host: IpAddr, networks: &[super::Network]) -> Option<SocketAddr> {
        let network = networks.iter().filter(|n| n.subnet.contains(&host)).max_by_key(|n| n.subnet.prefix_len());
        let near = |a: &&SocketAddr| network.is_some_and(|n| n.subnet.contains(&a.ip()));
        let reachable = |a: &&SocketAddr| a.ip().is_loopback() == host.is_loopback() && a.is_ipv4() == host.is_ipv4();
        self.addresses
            .iter()
            .find(near)
            .or_else(|| self.addresses.iter().find(reachable))
            .or(self.addresses.first())
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Network, NetworkName};

    #[test]
    fn a_host_is_told_the_address_in_its_own_network() {
        let network = |name: &str, subnet: &str| Network {
            name: NetworkName::parse(name).unwrap(),
            subnet: subnet.parse().unwrap(),
            mtu_bytes: 1500,
            zone: None,
        };
        let networks = [network("public", "192.0.2.0/24"), network("private", "10.1.0.0/16")];
        let endpoint = Endpoint {
            service: Service::Http,
            addresses: ["127.0.0.1:80", "192.0.2.1:80", "10.1.1.1:80"].map(|a| a.parse().unwrap()).into(),
            since: jiff::Timestamp::UNIX_EPOCH,
        };
        let told = |host: &str| endpoint.address_for(host.parse().unwrap(), &networks).map(|a| a.to_string());
        assert_eq!(told("10.1.255.254").as_deref(), Some("10.1.1.1:80"));
        assert_eq!(told("192.0.2.9").as_deref(), Some("192.0.2.1:80"));
        assert_eq!(told("127.1.0.3").as_deref(), Some("127.0.0.1:80"));
        assert_eq!(told("172.16.0.1").as_deref(), Some("192.0.2.1:80"), "never loopback for another machine");
    }
}
