//! A network of the cluster.

use super::{InvalidNoun, text_noun};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The name of a network (`private`, `public`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NetworkName(String);

impl NetworkName {
    /// Checks a text and makes it a network's name.
    pub fn parse(text: &str) -> Result<Self, InvalidNoun> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
            return Err(InvalidNoun::new("network name", text, "must be letters, digits, '_' and '-'"));
        }
        Ok(Self(text.to_owned()))
    }
}
text_noun!(NetworkName);

/// A network of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name.
    pub name: NetworkName,
    /// Its addresses.
    pub subnet: IpNet,
    /// The largest packet on it, in bytes.
    #[serde(default = "ethernet_mtu")]
    pub mtu_bytes: u32,
    /// The domain of its hosts' names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

fn ethernet_mtu() -> u32 {
    1500
}

impl Network {
    /// What an address stands for instead of a machine: `network` or `broadcast`.
    pub fn reserved(&self, ip: std::net::IpAddr) -> Option<&'static str> {
        let IpNet::V4(subnet) = self.subnet else { return None };
        if subnet.prefix_len() > 30 {
            None
        } else if ip == subnet.network() {
            Some("network")
        } else if ip == subnet.broadcast() {
            Some("broadcast")
        } else {
            None
        }
    }
}
