//! A machine of the cluster and its network interfaces.

use super::{InvalidNoun, NetworkName, text_noun};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A host name without domain: letters, digits and hyphens, at most 63 bytes (RFC 1123 label).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

impl HostName {
    /// Checks a text and makes it a host name, in lower case.
    pub fn parse(text: &str) -> Result<Self, InvalidNoun> {
        let bad = |why| Err(InvalidNoun::new("host name", text, why));
        if text.is_empty() {
            return bad("is empty");
        }
        if text.len() > 63 {
            return bad("is longer than 63 bytes");
        }
        if text.contains('.') {
            return bad("has a dot: give the name without its domain");
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return bad("may only have letters, digits and hyphens");
        }
        if text.starts_with('-') || text.ends_with('-') {
            return bad("begins or ends with a hyphen");
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}
text_noun!(HostName);

/// A 48-bit hardware address, shown as `52:54:00:12:34:56`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// Reads `52:54:00:12:34:56`, `52-54-00-12-34-56` or `525400123456`, in any case.
    pub fn parse(text: &str) -> Result<Self, InvalidNoun> {
        let bad = |why| Err(InvalidNoun::new("MAC address", text, why));
        let digits: String = match text.len() {
            12 => text.to_owned(),
            17 => {
                let separator = text.as_bytes()[2];
                if separator != b':' && separator != b'-' {
                    return bad("is not six pairs of hexadecimal digits");
                }
                if text.bytes().enumerate().any(|(i, b)| (i % 3 == 2) != (b == separator)) {
                    return bad("is not six pairs of hexadecimal digits");
                }
                text.split(char::from(separator)).collect()
            }
            _ => return bad("is not six pairs of hexadecimal digits"),
        };
        let mut bytes = [0; 6];
        for (i, byte) in bytes.iter_mut().enumerate() {
            match digits.get(2 * i..2 * i + 2).map(|pair| u8::from_str_radix(pair, 16)) {
                Some(Ok(value)) if !digits[2 * i..].starts_with('+') => *byte = value,
                _ => return bad("is not six pairs of hexadecimal digits"),
            }
        }
        if bytes[0] & 1 == 1 {
            return bad("is a group address: a card's own address has an even first byte");
        }
        if bytes == [0; 6] {
            return bad("is all zeros");
        }
        Ok(Self(bytes))
    }

    /// The six bytes.
    pub fn bytes(self) -> [u8; 6] {
        self.0
    }
}

impl std::fmt::Display for MacAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        f.pad(&format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"))
    }
}
impl std::str::FromStr for MacAddress {
    type Err = InvalidNoun;
    fn from_str(text: &str) -> Result<Self, InvalidNoun> {
        Self::parse(text)
    }
}
impl TryFrom<String> for MacAddress {
    type Error = InvalidNoun;
    fn try_from(text: String) -> Result<Self, InvalidNoun> {
        Self::parse(&text)
    }
}
impl From<MacAddress> for String {
    fn from(mac: MacAddress) -> String {
        mac.to_string()
    }
}

/// One network card of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The kernel's name of it (`eth0`, `eno1`).
    pub name: String,
    /// Its hardware address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddress>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// The network its address is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
}

/// A machine of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub name: HostName,
    /// The appliance it is installed as.
    pub appliance: String,
    /// The rack it stands in, if told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rack: Option<u32>,
    /// Its place in the rack, if told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<u32>,
    /// Its network cards, the one it installs over first.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_addresses_are_read_in_three_forms_and_shown_in_one() {
        for text in ["52:54:00:AB:cd:01", "52-54-00-ab-cd-01", "525400abcd01"] {
            assert_eq!(MacAddress::parse(text).map(|m| m.to_string()), Ok("52:54:00:ab:cd:01".into()));
        }
        for text in [
            "",
            "52:54:00:ab:cd",
            "52:54:00:ab:cd:0g",
            "52:54-00:ab:cd:01",
            "+1+1+1+1+1+1",
            "ff:ff:ff:ff:ff:ff",
            "00:00:00:00:00:00",
        ] {
            assert!(MacAddress::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn host_names_are_labels_in_lower_case() {
        assert_eq!(HostName::parse("Compute-0-0").map(String::from), Ok("compute-0-0".into()));
        for text in ["", "a b", "a.b", "-a", "a_b", &"x".repeat(64)] {
            assert!(HostName::parse(text).is_err(), "{text}");
        }
    }
}
