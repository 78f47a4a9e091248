//! Who of this machine's own users stands at the other end of a connection over loopback: the kernel's table of TCP
//! connections tells the owner of each socket.

use std::net::{IpAddr, SocketAddr};

/// Whether the socket at `peer`, connected to us at `local`, belongs to root or to the user that we run as. False
/// where that cannot be told, and for anybody who does not come over loopback.
pub(super) fn is_own_user(peer: SocketAddr, local: SocketAddr) -> bool {
    if !peer.ip().to_canonical().is_loopback() {
        return false;
    }
    let own = rustix::process::geteuid().as_raw();
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        owner(&text, peer, local).is_some_and(|owner| owner == 0 || owner == own)
    })
}

/// The owner of the socket at `here` that is connected to `there`, in a table of proc_net_tcp(5): its second and third
/// words are addresses, its eighth is the owner.
fn owner(table: &str, here: SocketAddr, there: SocketAddr) -> Option<u32> {
    table.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_it = same(address(words.get(1)?)?, here) && same(address(words.get(2)?)?, there);
        is_it.then(|| words.get(7)?.parse().ok())?
    })
}

fn same(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && a.ip().to_canonical() == b.ip().to_canonical()
}

/// `0100007F:1F90`: words of four bytes, each in this machine's own order.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |at: usize| Some(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match address.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let bytes: Vec<u8> = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_the_owner_of_a_connection() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
        let client = std::net::TcpStream::connect(server.local_addr().expect("bound")).expect("connected");
        let (ours, theirs) = (client.local_addr().expect("bound"), client.peer_addr().expect("connected"));
        assert!(is_own_user(ours, theirs), "the test's own connection is its user's");
        let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
        assert_eq!(owner(&table, ours, theirs), Some(rustix::process::geteuid().as_raw()));
        assert!(!is_own_user(ours, SocketAddr::new(theirs.ip(), 1)), "no such connection");
        assert!(!is_own_user("10.1.1.1:5".parse().expect("an address"), theirs), "not over loopback");
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn another_user_is_told_apart_and_nonsense_is_nobody() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \x20  0: 0100007F:1F90 0200017F:C350 01 00000000:00000000 00:00000000 00000000  1001        0 1 1 0 20 4 0 10 -1\n\
            \x20  1: 0000000000000000FFFF00000100007F:1F91 0000000000000000FFFF00000200017F:C350 01 0:0 0:0 0 7 0 1\n\
            \x20  2: nonsense";
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        assert_eq!(owner(table, at("127.0.0.1:8080"), at("127.1.0.2:50000")), Some(1001));
        assert_eq!(owner(table, at("[::ffff:127.0.0.1]:8081"), at("127.1.0.2:50000")), Some(7));
        assert_eq!(owner(table, at("127.0.0.1:8082"), at("127.1.0.2:50000")), None);
    }
}
