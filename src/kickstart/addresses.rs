//! Addresses: names and numbers of machines, networks, URLs.

use super::arguments::Arguments;
use super::values::Wrong;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host name or an address.
pub(super) fn server(text: &str) -> Option<Wrong> {
    let text = text.trim();
    (!is_host(text)).then(|| ("address", format!("'{text}' is neither a host name nor an address")))
}

pub(super) fn is_host(text: &str) -> bool {
    if text.parse::<IpAddr>().is_ok() {
        return true;
    }
    // What looks like an address and is none, such as 10.1.1.300, is no name either.
    let numeric = text.split('.').all(|part| part.bytes().all(|b| b.is_ascii_digit()));
    !numeric && text.len() <= 253 && text.trim_end_matches('.').split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    !label.is_empty()
        && label.len() <= 63
        && label.bytes().all(plain)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// `HOST` or `HOST:PORT`.
fn is_proxy_place(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "80"));
    is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Whether a machine can have this address on a network.
fn is_of_a_machine(address: Ipv4Addr) -> bool {
    !address.is_unspecified() && !address.is_loopback() && !address.is_multicast() && !address.is_broadcast()
}

/// The name of a network interface as the kernel takes it, or a hardware address in its place.
pub(super) fn is_interface(text: &str) -> bool {
    let mac = text.split(':').count() == 6
        && text.split(':').all(|pair| pair.len() == 2 && u8::from_str_radix(pair, 16).is_ok());
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    mac || (!text.is_empty() && text.len() <= 15 && text.bytes().all(plain))
}

/// A URL that packages or an image can be fetched from.
pub(super) fn url(text: &str, is_proxy: bool) -> Option<Wrong> {
    let problem = |why: &str| Some(("url", format!("'{text}' is no URL: {why}")));
    let Some((scheme, rest)) = text.split_once("://") else {
        // A proxy may leave its scheme out; hd: and cdrom: have no slashes.
        return match text.split_once(':') {
            Some(("hd" | "cdrom" | "nfs", rest)) if !rest.is_empty() => None,
            _ if is_proxy && is_proxy_place(text.rsplit('@').next()?.trim_end_matches('/')) => None,
            _ => problem("it has no scheme such as http://"),
        };
    };
    match scheme {
        "file" | "hd" => return (!rest.starts_with('/')).then(|| problem("its path is not absolute")).flatten(),
        "http" | "https" | "ftp" | "nfs" => {}
        _ => return problem("the installer knows no such scheme"),
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return problem("it has white space");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let place = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
        Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => ("localhost", port.strip_prefix(':')),
        Some(_) => return problem("its address is none"),
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return problem("it names no host");
    }
    if !host.contains('$') && !is_host(host) {
        return problem("its host is neither a name nor an address");
    }
    let fits =
        port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0) || (scheme == "nfs" && port.is_empty()));
    (!fits).then(|| problem("its port is no number from 1 to 65535")).flatten()
}

pub(super) fn network(arguments: &Arguments, wrong: &mut Vec<Wrong>) {
    let value = |option| arguments.value(option).filter(|value| !value.is_empty());
    let mut address = |option, kinds: &[&str]| {
        let text = value(option)?;
        if kinds.contains(&text) {
            return None;
        }
        let parsed = text.parse::<Ipv4Addr>().ok();
        if parsed.is_none() {
            wrong.push(("address", format!("'{option}={text}' is no IPv4 address")));
        } else if option != "--netmask" && parsed.is_some_and(|address| !is_of_a_machine(address)) {
            wrong.push(("address", format!("'{option}={text}' is the address of no machine")));
            return None;
        }
        parsed
    };
    let ip = address("--ip", &["dhcp"]);
    let gateway = address("--gateway", &[]);
    let mask = address("--netmask", &[]);
    if let Some(mask) = mask {
        let bits = u32::from(mask);
        if bits.leading_ones() + bits.trailing_zeros() != 32 || bits == 0 {
            wrong.push(("address", format!("'--netmask={mask}' is no network mask")));
        } else if let (Some(ip), Some(gateway)) = (ip, gateway)
            && u32::from(ip) & bits != u32::from(gateway) & bits
        {
            wrong.push(("address", format!("gateway '{gateway}' is not in the network of '{ip}' with mask '{mask}'")));
        } else {
            for ip in [ip, gateway].into_iter().flatten().filter(|_| bits.leading_ones() < 31) {
                let host = u32::from(ip) & !bits;
                if host == 0 || host == !bits {
                    let kind = if host == 0 { "network" } else { "broadcast" };
                    wrong.push(("address", format!("'{ip}' with mask '{mask}' is a {kind} address, no machine's")));
                }
            }
        }
    }
    if let (Some(ip), Some(gateway)) = (ip, gateway)
        && ip == gateway
    {
        wrong.push(("address", format!("gateway '{gateway}' is the machine itself")));
    }
    if value("--bootproto") == Some("static") {
        let is_v6_only = value("--ipv6").is_some() && value("--ip").is_none();
        for option in ["--ip", "--netmask"] {
            if value(option).is_none() && !is_v6_only {
                wrong.push(("address", format!("'--bootproto=static' needs '{option}'")));
            }
        }
    }
    for text in arguments.values("--nameserver").flat_map(|list| list.split(',')).map(str::trim) {
        if !text.parse::<IpAddr>().is_ok_and(|address| !address.is_unspecified() && !address.is_multicast()) {
            wrong.push(("address", format!("name server '{text}' is no address of a machine")));
        }
    }
    if let Some(text) = value("--ipv6") {
        let (address, prefix) = text.split_once('/').unwrap_or((text, "64"));
        let fits = address.parse::<Ipv6Addr>().is_ok() && prefix.parse::<u8>().is_ok_and(|prefix| prefix <= 128);
        if !fits && !matches!(text, "auto" | "dhcp") {
            wrong.push(("address", format!("'--ipv6={text}' is neither auto, dhcp nor an address with its prefix")));
        }
    }
    if let Some(text) =
        value("--ipv6gateway").filter(|text| text.split('%').next().is_none_or(|a| a.parse::<Ipv6Addr>().is_err()))
    {
        wrong.push(("address", format!("'--ipv6gateway={text}' is no IPv6 address")));
    }
    if let Some(text) = value("--mtu").filter(|text| !text.parse::<u32>().is_ok_and(|mtu| (68..=65536).contains(&mtu)))
    {
        wrong.push(("network", format!("'--mtu={text}' is no packet size")));
    }
    if let Some(text) = value("--vlanid").filter(|text| !text.parse::<u16>().is_ok_and(|id| (1..=4094).contains(&id))) {
        wrong.push(("network", format!("'--vlanid={text}' is no number from 1 to 4094")));
    }
    if let Some(text) = value("--hostname").filter(|text| !is_host(text)) {
        wrong.push(("host-name", format!("'{text}' is no host name")));
    }
    if let Some(text) = value("--device").filter(|text| !is_interface(text)) {
        wrong.push(("network", format!("'--device={text}' is neither an interface's name nor a MAC address")));
    }
    for option in ["--bondslaves", "--bridgeslaves"] {
        let Some(list) = value(option) else { continue };
        for name in list.split(',').map(str::trim).filter(|name| !is_interface(name)) {
            wrong.push(("network", format!("'{name}' of '{option}={list}' is no interface's name")));
        }
    }
    wrong.extend(value("--bondopts").and_then(bond_problem));
}

/// What is wrong with the options of a bond: `mode=active-backup,miimon=100`, or with `;` where values have commas.
fn bond_problem(list: &str) -> Option<Wrong> {
    let modes = ["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"];
    for option in list.split(if list.contains(';') { ';' } else { ',' }).map(str::trim) {
        let Some((name, value)) = option.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty())
        else {
            return Some(("network", format!("'{option}' of '--bondopts' is no option with its value (mode=802.3ad)")));
        };
        if name == "mode" && !modes.contains(&value) && !matches!(value.parse(), Ok(0..=6)) {
            return Some(("network", format!("a bond has no mode '{value}'")));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for good in [
            "http://10.1.1.1/install/x",
            "https://mirror.example:8443/a?b=c",
            "http://127.0.0.1:7180/",
            "ftp://user:pw@h/x",
            "file:///run/install",
            "nfs://server:/x",
            "http://[fd00::1]:80/x",
            "http://mirror/$releasever/$basearch",
            "hd:sda1:/iso",
        ] {
            assert_eq!(url(good, false), None, "{good}");
        }
        for bad in [
            "notaurl",
            "http://",
            "http:///x",
            "htp://x/",
            "http://10.1.1.300/x",
            "http://a b/",
            "http://h:99999/",
            "http://-x/",
            "",
            "http://h:0/",
            "http://[zz]/",
        ] {
            assert!(url(bad, false).is_some(), "{bad}");
        }
        assert_eq!(url("proxy.example:3128", true).or(url("me:pw@proxy:3128/", true)), None);
        assert!(url("proxy:99999", true).is_some());
    }

    #[test]
    fn bonds() {
        for good in ["mode=active-backup,miimon=100", "mode=4", "mode=802.3ad;arp_ip_target=10.1.1.1,10.1.1.2"] {
            assert_eq!(bond_problem(good), None, "{good}");
        }
        for bad in ["mode", "mode=nosuch", "mode=7", "=x", "miimon="] {
            assert!(bond_problem(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn hosts() {
        for good in ["a", "compute-0-0.local", "10.1.1.1", "::1", "1a.b"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "10.1.1.300", "a..b", "-a", "a b", "1.2"] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
