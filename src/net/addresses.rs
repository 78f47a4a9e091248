//! This machine's own addresses, as the kernel tells them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where a listener can be reached: its own address, or, where it listens at every address, each of the machine's
/// addresses of that family, loopback last.
pub fn reachable_at(listener: SocketAddr) -> Vec<SocketAddr> {
    if !listener.ip().is_unspecified() {
        return vec![listener];
    }
    let mut addresses: Vec<IpAddr> = local_v4().into_iter().map(IpAddr::V4).collect();
    if listener.is_ipv6() {
        addresses.extend(local_v6().into_iter().map(IpAddr::V6));
    }
    addresses.sort_by_key(|address| (address.is_loopback(), address.is_ipv6()));
    if addresses.is_empty() {
        addresses.push(Ipv4Addr::LOCALHOST.into());
    }
    addresses.into_iter().map(|address| SocketAddr::new(address, listener.port())).collect()
}

/// The IPv4 addresses of this machine (`/proc/net/fib_trie` names each under its network, as a local host).
fn local_v4() -> BTreeSet<Ipv4Addr> {
    parse_fib_trie(&std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default())
}

fn parse_fib_trie(text: &str) -> BTreeSet<Ipv4Addr> {
    let mut last: Option<Ipv4Addr> = None;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        match line.trim_start().strip_prefix("|-- ") {
            Some(address) => last = address.trim().parse().ok(),
            None if line.contains("/32 host LOCAL") => found.extend(last),
            None => {}
        }
    }
    found
}

/// The IPv6 addresses of this machine that need no interface beside them.
fn local_v6() -> BTreeSet<Ipv6Addr> {
    let text = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let address = |line: &str| u128::from_str_radix(line.split(' ').next()?, 16).ok().map(Ipv6Addr::from);
    text.lines().filter_map(address).filter(|address| !address.is_unicast_link_local()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses_are_read_from_the_kernels_table() {
        let table = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.1.0.0\n        /16 link UNICAST\n     |-- 10.1.1.1\n        \
                     /32 host LOCAL\n     |-- 10.1.255.255\n        /32 link BROADCAST\n     |-- 127.0.0.1\n        \
                     /32 host LOCAL\n";
        let found: Vec<String> = parse_fib_trie(table).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.1.1.1", "127.0.0.1"]);
    }

    #[test]
    fn a_listener_at_one_address_is_reached_there() {
        let one = SocketAddr::from(([10, 1, 1, 1], 80));
        assert_eq!(reachable_at(one), [one]);
        let every = reachable_at(SocketAddr::from(([0, 0, 0, 0], 80)));
        assert!(every.iter().all(|address| !address.ip().is_unspecified() && address.port() == 80));
        assert!(!every.is_empty());
    }
}
