//! What answers take of the memory that the system has for TCP, and who loses his connection when that runs short.
//!
//! What nobody reads of an answer waits in the kernel, in memory that all connections of the system share; once it is
//! gone, nobody's answers leave any more. Nothing is asked of anybody while there is enough. Once half of it is taken, the
//! connections end from which nobody has taken a byte for a while; once two thirds are, an address gets only a few new ones.
//!
//! What a closed connection still has to send is out of sight, and stays for minutes where nobody confirms it. Once a quarter
//! of that memory is taken, or there are a quarter as many of these as the system allows, none is closed before its client
//! has confirmed all.
//!
//! Invariant: whoever reads, however slowly, keeps its connection.

use super::workers::Workers;
use crate::net::log::Log;
use crate::net::places::Places;
use crate::net::seldom::Seldom;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often it is seen how much memory is taken.
const LOOK: Duration = Duration::from_millis(250);
/// How often, while it is short, it is seen what waits for whom.
const LOOK_AT_ALL: Duration = Duration::from_secs(1);
/// While memory is short a client may take no byte for this long.
pub(super) const UNREAD_SECS_MAX: u64 = 3;
/// The part of what is enough (of memory), and of what the system allows (of connections that were closed before their
/// clients confirmed all), up to which answers go out of sight: at the second limit it resets whatever is closed.
const LEFT_PART: (u64, u64) = (2, 4);

/// Watches until told to stop, or for ever where the system does not tell.
pub(super) async fn keep_watch(
    port: u16,
    workers: Arc<Workers>,
    places: Arc<Places>,
    is_watched: Arc<AtomicBool>,
    log: Log,
    mut stop: watch::Receiver<bool>,
) {
    let (mut waiting, told) = (Waiting::default(), Seldom::default());
    let mut looked = Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let Some(memory) = Memory::now() else { return };
        places.shorten(memory.taken > memory.much);
        is_watched.store(memory.is_much_left(), Ordering::Relaxed);
        if memory.is_much_left() && told.is_due("left") {
            let (pages, connections) = (memory.taken, memory.left);
            log.warning(
                "answers-watched",
                &[("pages", &pages), ("closed", &connections), ("limit", &memory.left_max())],
            );
        }
        if !memory.is_short() {
            waiting = Waiting::default();
            continue;
        }
        if told.is_due("short") {
            log.warning("tcp-memory-short", &[("pages", &memory.taken), ("limit", &memory.enough)]);
        }
        if looked.elapsed() < LOOK_AT_ALL {
            continue;
        }
        looked = Instant::now();
        // Of many connections these are long.
        let tables =
            || ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
        let Ok(tables) = tokio::task::spawn_blocking(tables).await else { return };
        let unread = waiting.look(tables.iter().flat_map(|table| queues(table, port)));
        let ended = workers.hang_up(&unread);
        if ended > 0 && told.is_due("unread") {
            log.warning("unread-answers", &[("connections", &ended), ("secs", &UNREAD_SECS_MAX)]);
        }
    }
}

/// How much of its memory for TCP the system has given away, in pages.
#[derive(Debug, PartialEq, Eq)]
struct Memory {
    taken: u64,
    /// From here on the system sees to it: half of all, where nobody has set it.
    enough: u64,
    /// From here on it lets queues become no longer: two thirds.
    much: u64,
    /// Connections that nobody holds any more, and whose clients have not confirmed all.
    left: u64,
    /// At so many it resets whatever is closed.
    left_most: u64,
}

impl Memory {
    fn now() -> Option<Self> {
        let read = |path| std::fs::read_to_string(path).ok();
        let left_most = read("/proc/sys/net/ipv4/tcp_max_orphans").unwrap_or_default();
        Self::told(&read("/proc/net/sockstat")?, &read("/proc/sys/net/ipv4/tcp_mem")?, &left_most)
    }

    /// By the words of `sockstat`, `tcp_mem` and `tcp_max_orphans`.
    fn told(sockstat: &str, limits: &str, left_most: &str) -> Option<Self> {
        let line = sockstat.lines().find_map(|line| line.strip_prefix("TCP:"))?;
        let number = |name: &str| {
            let mut words = line.split_ascii_whitespace().skip_while(|word| *word != name).skip(1);
            words.next()?.parse().ok()
        };
        let mut limits = limits.split_ascii_whitespace().map_while(|limit| limit.parse().ok());
        Some(Self {
            taken: number("mem")?,
            enough: limits.next()?,
            much: limits.next()?,
            left: number("orphan").unwrap_or(0),
            left_most: left_most.trim().parse().unwrap_or(u64::MAX),
        })
    }

    fn left_max(&self) -> u64 {
        self.left_most / LEFT_PART.1
    }

    /// Whether what was left to the system is all that may be.
    fn is_much_left(&self) -> bool {
        self.taken > self.enough / LEFT_PART.0 || self.left > self.left_max()
    }

    fn is_short(&self) -> bool {
        self.taken > self.enough
    }
}

/// What waits for each client of this port of ours, as a table of the system says.
fn queues(table: &str, port: u16) -> impl Iterator<Item = (SocketAddr, u64)> {
    table.lines().skip(1).filter_map(move |line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (own, peer, _state, queues) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let bytes = u64::from_str_radix(queues.split(':').next()?, 16).ok()?;
        (end(own)?.port() == port).then_some((end(peer)?, bytes))
    })
}

/// An address and a port as these tables have them: words of four bytes, each in the order of the machine.
fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |at: usize| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    let address = match address.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        _ => {
            IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from([word(0)?, word(1)?, word(2)?, word(3)?].concat()).ok()?))
        }
    };
    Some(SocketAddr::new(address.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

/// What has waited for each client, and since when the same.
#[derive(Debug, Default)]
struct Waiting(HashMap<SocketAddr, (u64, u64)>);

impl Waiting {
    /// Takes in what waits now: for whom the same has waited at so many looks. More may have come to it than went, so
    /// that who is among them may have taken some all the same.
    fn look(&mut self, now: impl Iterator<Item = (SocketAddr, u64)>) -> HashSet<SocketAddr> {
        let before = std::mem::take(&mut self.0);
        for (peer, bytes) in now.filter(|(_, bytes)| *bytes > 0) {
            let looks = before.get(&peer).filter(|(there, _)| *there == bytes).map_or(0, |(_, looks)| looks + 1);
            self.0.insert(peer, (bytes, looks));
        }
        self.0.iter().filter(|(_, (_, looks))| *looks >= UNREAD_SECS_MAX).map(|(peer, _)| *peer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_short_from_where_the_system_sees_to_it() {
        let told = |pages: u64| {
            let sockstat = format!(
                "sockets: used 24\nTCP: inuse 1 orphan 0 tw 0 alloc 133 mem {pages}\nUDP: inuse 0 mem 9999999\n"
            );
            Memory::told(&sockstat, "287901\t383869\t575802\n", "131072\n").expect("all is told")
        };
        assert!(!told(287_901).is_short() && told(287_902).is_short());
        assert_eq!(told(1).much, 383_869);
        assert_eq!(Memory::told("UDP: inuse 0 mem 1", "1 2 3", "9"), None);
        assert_eq!(Memory::told("TCP: mem 1", "", "9"), None);
        if cfg!(target_os = "linux") {
            assert!(
                std::fs::read_to_string("/proc/net/sockstat")
                    .is_ok_and(|text| Memory::told(&text, "1 2 3", "9").is_some())
            );
        }
    }

    #[test]
    fn much_is_left_from_a_part_of_either_limit_on() {
        let told = |pages: u64, closed: u64, most: &str| {
            let sockstat = format!("TCP: inuse 1 orphan {closed} tw 7000000 alloc 133 mem {pages}\n");
            Memory::told(&sockstat, "1000 2000 4000", most).expect("all is told").is_much_left()
        };
        assert!(!told(500, 100, "400") && told(501, 0, "400") && told(0, 101, "400"));
        assert!(!told(0, 1_000_000, ""), "where the system names no limit, memory alone decides");
    }

    #[test]
    fn who_has_taken_nothing_at_so_many_looks_is_named_and_nobody_else() {
        let peer = |n: u8| SocketAddr::from(([10, 1, 1, n], 40_000));
        let mut waiting = Waiting::default();
        for look in 0..=UNREAD_SECS_MAX {
            let now = [(peer(1), 5), (peer(2), 5 + look), (peer(3), 0)];
            let named = waiting.look(now.into_iter());
            let expected = if look < UNREAD_SECS_MAX { HashSet::new() } else { HashSet::from([peer(1)]) };
            assert_eq!(named, expected, "at look {look}");
        }
        // A look at which it was not there begins anew.
        assert!(waiting.look(std::iter::empty()).is_empty());
        assert!(waiting.look([(peer(1), 5)].into_iter()).is_empty());
    }

    #[test]
    fn ends_are_read_as_the_system_writes_them() {
        let written = |bytes: &[u8]| {
            let words = bytes.chunks(4).map(|word| u32::from_ne_bytes(word.try_into().expect("four bytes")));
            words.map(|word| format!("{word:08X}")).collect::<String>()
        };
        for (text, expected) in [
            (written(&[10, 1, 1, 7]) + ":1F90", "10.1.1.7:8080"),
            (written(&Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, 7).octets()) + ":0050", "[fd00:0:0:1::7]:80"),
            (written(&Ipv4Addr::new(10, 1, 1, 7).to_ipv6_mapped().octets()) + ":0050", "10.1.1.7:80"),
        ] {
            assert_eq!(end(&text).map(|end| end.to_string()).as_deref(), Some(expected));
        }
        for bad in ["", ":", "0100007F", "0100007F:", "0100:0050", "GGGGGGGG:0050", "\u{e4}\u{e4}\u{e4}\u{e4}:0050"] {
            assert_eq!(end(bad), None, "{bad}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_waits_for_a_client_is_in_the_tables_of_the_system() {
        use std::io::Write;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("bound");
        let client = std::net::TcpStream::connect(at).expect("it listens");
        let (mut tcp, peer) = listener.accept().expect("it has come");
        tcp.set_nonblocking(true).expect("a socket");
        let some = [0; 64 << 10];
        while tcp.write(&some).is_ok() {}
        let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux has it");
        let waits: HashMap<SocketAddr, u64> = queues(&table, at.port()).collect();
        assert!(waits.get(&peer).is_some_and(|bytes| *bytes > 0), "{waits:?}");
        assert_eq!(queues(&table, at.port()).filter(|(there, _)| *there == peer).count(), 1);
        drop(client);
    }
}
