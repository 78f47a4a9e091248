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

impl Interface {
    /// Fails where a text cannot be the kernel's name of an interface: 1 to 15 bytes, no space, no slash.
    pub fn check_name(text: &str) -> Result<(), InvalidNoun> {
        let good = |b: u8| b.is_ascii_graphic() && b != b'/' && b != b':';
        if text.is_empty() || text.len() > 15 || !text.bytes().all(good) || matches!(text, "." | "..") {
            return Err(InvalidNoun::new("interface", text, "must be 1 to 15 characters without space, '/' and ':'"));
        }
        Ok(())
    }
}

impl Host {
    /// A host of an appliance, without interfaces, rack and rank.
    pub fn new(name: HostName, appliance: &str) -> Self {
        Self { name, appliance: appliance.to_owned(), rack: None, rank: None, interfaces: Vec::new() }
    }

    /// The interface it installs over: the first with a MAC and an IP address, else the first with one of them.
    pub fn install_interface(&self) -> Option<&Interface> {
        let complete = self.interfaces.iter().find(|i| i.mac.is_some() && i.ip.is_some());
        complete.or_else(|| self.interfaces.iter().find(|i| i.ip.is_some())).or(self.interfaces.first())
    }
}

impl HostName {
    /// Appliance, rack and rank of a name such as `compute-3-17`; none where it has another form.
    pub fn parts(&self) -> Option<(&str, u32, u32)> {
        let number = |text: &str| match text {
            "0" => Some(0),
            _ if text.starts_with('0') || text.starts_with('+') => None,
            _ => text.parse().ok(),
        };
        let (rest, rank) = self.0.rsplit_once('-')?;
        let (appliance, rack) = rest.rsplit_once('-')?;
        Some((appliance, number(rack)?, number(rank)?))
    }
}

/// The order in which people count: numbers inside names by value, so that `compute-0-2` is before `compute-0-10`.
pub fn natural_order(a: &str, b: &str) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    let (mut x, mut y) = (a.as_bytes(), b.as_bytes());
    while let (Some(&p), Some(&q)) = (x.first(), y.first()) {
        if p.is_ascii_digit() && q.is_ascii_digit() {
            let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
            let ((m, rest_x), (n, rest_y)) = (x.split_at(digits(x)), y.split_at(digits(y)));
            let (m, n) = (trim_zeros(m), trim_zeros(n));
            match m.len().cmp(&n.len()).then_with(|| m.cmp(n)) {
                Ordering::Equal => (x, y) = (rest_x, rest_y),
                unequal => return unequal,
            }
        } else if p != q {
            return p.cmp(&q);
        } else {
            (x, y) = (&x[1..], &y[1..]);
        }
    }
    x.len().cmp(&y.len()).then_with(|| a.cmp(b))
}

fn trim_zeros(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().take_while(|b| **b == b'0').count()..]
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

    #[test]
    fn hosts_are_listed_as_people_count() {
        let mut names = ["node10", "compute-10-0", "node2", "compute-2-10", "node02", "compute-2-9", "node"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["compute-2-9", "compute-2-10", "compute-10-0", "node", "node02", "node2", "node10"]);
    }

    #[test]
    fn a_name_may_tell_appliance_rack_and_rank() {
        let parts =
            |text: &str| HostName::parse(text).ok().and_then(|n| n.parts().map(|(a, b, c)| (a.to_owned(), b, c)));
        assert_eq!(parts("compute-3-17"), Some(("compute".to_owned(), 3, 17)));
        assert_eq!(parts("web-server-0-0"), Some(("web-server".to_owned(), 0, 0)));
        for text in ["compute", "compute-1", "compute-a-1", "compute-01-1", "compute-1-99999999999"] {
            assert_eq!(parts(text), None, "{text}");
        }
    }
}
