use super::*;
use crate::torrent::PeerId;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

const SWARM: InfoHash = InfoHash([1; 20]);
const SEED: &str = "10.0.0.1:7000";

fn ip(n: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0a01_0000 + n))
}

fn port(n: u32) -> u16 {
    6000 + (n % 1000) as u16
}

fn address(n: u32) -> SocketAddr {
    SocketAddr::new(ip(n), port(n))
}

fn host(n: u32, rack: Option<u32>, installing: bool) -> TrackedHost {
    let (name, appliance) = (format!("compute-{n}"), "compute".to_owned());
    TrackedHost { name, addresses: vec![ip(n)], rack, appliance, installing, seed: SEED.parse().ok() }
}

fn announce(n: u32, client: u8) -> Announce {
    let mut id = [client; 12];
    id[..4].copy_from_slice(&n.to_be_bytes());
    Announce { left_bytes: 100, ..Announce::new(SWARM, PeerId::new(id), port(n)) }
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Announces as host `n` and gives the peers it is pointed at, the frontend's seed aside.
fn peers(tracker: &mut Tracker, now: Duration, n: u32) -> Vec<SocketAddr> {
    let reply = tracker.announce(now, ip(n), &announce(n, 0)).expect("an installing host");
    assert_eq!(reply.peers[0].address.to_string(), SEED);
    reply.peers[1..].iter().map(|peer| peer.address).collect()
}

fn tracker(racks: &[Option<u32>]) -> Tracker {
    let mut tracker = Tracker::new(7);
    tracker.set_hosts((0..).zip(racks).map(|(n, &rack)| host(n, rack, true)));
    tracker
}

#[test]
fn strangers_and_idle_hosts_are_told_what_to_type() {
    let mut tracker = tracker(&[None, None]);
    tracker.host_changed(host(1, None, false));
    let unknown = tracker.announce(secs(0), ip(9), &announce(9, 0)).expect_err("a stranger").to_string();
    assert!(unknown.contains("rocks add-host NAME") && unknown.contains("10.1.0.9"), "{unknown}");
    let idle = tracker.announce(secs(0), ip(1), &announce(1, 0)).expect_err("not installing").to_string();
    assert!(idle.contains("rocks set-boot compute-1 install"), "{idle}");
    let goodbye = Announce { event: Event::Stopped, ..announce(1, 0) };
    assert!(tracker.announce(secs(0), ip(1), &goodbye).is_ok(), "a goodbye may come after the installation");
    assert_eq!(peers(&mut tracker, secs(0), 0), []);
}

#[test]
fn the_address_is_that_of_the_connection() {
    let mut tracker = tracker(&[None, None]);
    let mapped = Ipv4Addr::from(0x0a01_0000).to_ipv6_mapped();
    tracker.announce(secs(0), mapped.into(), &announce(0, 0)).expect("host 0 over a mapped address");
    assert_eq!(peers(&mut tracker, secs(1), 1), [address(0)]);
}

/// One way to leave.
type Way = fn(&mut Tracker);

#[test]
fn whoever_leaves_is_forgotten_at_once() {
    let ways: [(&str, Way); 7] = [
        ("said stopped", |t| {
            t.announce(secs(1), ip(0), &Announce { event: Event::Stopped, ..announce(0, 0) }).expect("known");
        }),
        ("installed", |t| t.host_changed(host(0, None, false))),
        ("one of many installed", |t| t.set_installing(|name| name != "compute-0")),
        ("removed", |t| t.set_hosts([host(1, None, true)])),
        ("moved to another address", |t| t.host_changed(TrackedHost { addresses: vec![ip(5)], ..host(0, None, true) })),
        ("silent", |t| t.sweep(Rhythm::OURS.expiry + secs(2))),
        ("takes no connections any more", |t| {
            t.announce(secs(1), ip(0), &Announce { port: 0, ..announce(0, 0) }).expect("known");
        }),
    ];
    for (way, leave) in ways {
        let mut tracker = tracker(&[None, None]);
        peers(&mut tracker, secs(0), 0);
        assert_eq!(peers(&mut tracker, secs(1), 1), [address(0)], "{way}");
        leave(&mut tracker);
        assert_eq!(peers(&mut tracker, secs(2), 1), [], "{way}");
    }
}

#[test]
fn one_missed_announce_is_forgiven() {
    let mut tracker = tracker(&[None, None]);
    peers(&mut tracker, secs(0), 0);
    assert_eq!(peers(&mut tracker, Rhythm::OURS.expiry, 1), [address(0)]);
    assert_eq!(peers(&mut tracker, Rhythm::OURS.expiry + secs(1), 1), []);
}

#[test]
fn a_stock_client_stays_in_the_list_for_as_long_as_it_lives() {
    let mut tracker = tracker(&[None, None, None]);
    let stock = |n: u32| Announce { peer_id: PeerId(*b"-lt0D80-abcdefghijkl"), ..announce(n, 0) };
    let reply = tracker.announce(secs(0), ip(0), &stock(0)).expect("installing");
    assert!(reply.interval_secs >= 300 && reply.min_interval_secs < Some(reply.interval_secs));
    peers(&mut tracker, secs(0), 2);
    // rtorrent announces every ten minutes, and one of its announces is lost.
    assert_eq!(peers(&mut tracker, secs(1200), 1), [address(0)], "ours has died meanwhile");
    assert_eq!(peers(&mut tracker, Rhythm::STOCK.expiry + secs(1), 1), []);
}

#[test]
fn our_complete_machines_are_pointed_at_stock_clients_that_lack_something_and_at_nobody_else() {
    let mut tracker = tracker(&[None; 5]);
    let stock =
        |n: u32, left_bytes| Announce { peer_id: PeerId(*b"-TR3000-abcdefghijkl"), left_bytes, ..announce(n, 0) };
    tracker.announce(secs(0), ip(0), &stock(0, 1)).expect("installing");
    tracker.announce(secs(0), ip(1), &stock(1, 0)).expect("installing");
    peers(&mut tracker, secs(0), 2);
    let complete = Announce { left_bytes: 0, ..announce(3, 0) };
    let named = |reply: AnnounceReply| reply.peers.iter().map(|peer| peer.address).collect::<Vec<_>>();
    assert_eq!(named(tracker.announce(secs(1), ip(3), &complete).expect("installing")), [address(0)]);
    let mut theirs = named(tracker.announce(secs(1), ip(4), &stock(4, 0)).expect("installing"));
    theirs.sort();
    assert_eq!(theirs, [address(0), address(2)], "whom a stock client goes to is its own affair");
}

#[test]
fn a_restarted_client_takes_the_place_of_the_one_before() {
    let mut tracker = tracker(&[None, None]);
    peers(&mut tracker, secs(0), 0);
    peers(&mut tracker, secs(0), 1);
    let restarted = Announce { port: 9, ..announce(0, 1) };
    tracker.announce(secs(1), ip(0), &restarted).expect("installing");
    assert_eq!(peers(&mut tracker, secs(2), 1), [SocketAddr::new(ip(0), 9)]);
    assert_eq!(tracker.totals().peers, 2);
}

#[test]
fn two_hosts_reports_drop_a_peer_until_it_comes_anew() {
    let mut tracker = tracker(&[None; 5]);
    (0..5).for_each(|n| drop(peers(&mut tracker, secs(0), n)));
    let report = |tracker: &mut Tracker, n: u32, bad: SocketAddr| {
        let reports = Announce { bad_peers: vec![bad], ..announce(n, 0) };
        tracker.announce(secs(1), ip(n), &reports).expect("installing");
    };
    report(&mut tracker, 1, address(0));
    report(&mut tracker, 1, address(0));
    report(&mut tracker, 0, address(0));
    assert!(peers(&mut tracker, secs(1), 4).contains(&address(0)), "one host alone cannot drop another, nor itself");
    report(&mut tracker, 2, SocketAddr::new(ip(0), 1));
    assert!(peers(&mut tracker, secs(1), 4).contains(&address(0)), "another port is another peer");
    report(&mut tracker, 2, address(0));
    assert!(!peers(&mut tracker, secs(1), 4).contains(&address(0)));
    tracker.announce(secs(2), ip(0), &announce(0, 1)).expect("it still may download");
    assert!(peers(&mut tracker, secs(2), 4).contains(&address(0)), "a new client begins anew");
}

#[test]
fn who_reports_everybody_is_not_believed() {
    let hosts = u32::from(REPORTS_PER_HOST_MAX) + 2;
    let mut tracker = tracker(&vec![None; hosts as usize]);
    (0..hosts).for_each(|n| drop(peers(&mut tracker, secs(0), n)));
    for liar in [0, 1] {
        for n in 2..hosts {
            let lies = Announce { bad_peers: vec![address(n)], ..announce(liar, 0) };
            tracker.announce(secs(1), ip(liar), &lies).expect("installing");
        }
        let lies = Announce { bad_peers: vec![address(1 - liar)], ..announce(liar, 0) };
        tracker.announce(secs(1), ip(liar), &lies).expect("installing");
    }
    // Both named everybody; each was believed for the first eight only, so neither could drop the other.
    assert!(peers(&mut tracker, secs(1), 0).contains(&address(1)));
}

#[test]
fn few_of_one_appliance_among_many_others_find_each_other() {
    let mut tracker = Tracker::new(7);
    let is_login = |n: u32| n.is_multiple_of(50);
    let appliance = |n| if is_login(n) { "login" } else { "compute" }.to_owned();
    tracker.set_hosts((0..400).map(|n| TrackedHost { appliance: appliance(n), ..host(n, Some(n / 40), true) }));
    // Who comes first is pointed at nobody; the others come to it.
    let mut found: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for n in (0..400).chain(0..400) {
        for peer in peers(&mut tracker, secs(0), n).into_iter().filter(|_| is_login(n)) {
            let other = (0..400).find(|&other| address(other) == peer).expect("one of them");
            if is_login(other) {
                found.entry(n).or_default().insert(other);
            }
        }
    }
    assert_eq!(found.len(), 8);
    assert!(found.values().all(|others| others.len() >= APPLIANCE_PEERS_MIN), "{found:?}");
    tracker.check();
    tracker.host_changed(TrackedHost { appliance: appliance(0), ..host(1, Some(0), true) });
    assert!(!peers(&mut tracker, secs(1), 2).contains(&address(1)), "another appliance is another installation");
    tracker.check();
}

#[test]
fn rack_mates_come_first_and_few_others() {
    let racks: Vec<_> = (0..400).map(|n| Some(n / 40)).collect();
    let mut tracker = tracker(&racks);
    for _ in 0..2 {
        (0..400).for_each(|n| drop(peers(&mut tracker, secs(0), n)));
    }
    let mut pointed_at = vec![0_u16; 400];
    for n in 0..400 {
        let found = peers(&mut tracker, secs(1), n);
        let mates =
            found.iter().filter(|peer| (0..400).any(|m| m / 40 == n / 40 && address(m).ip() == peer.ip())).count();
        assert_eq!((mates, found.len() - mates), (RACK_PEERS_MAX, OTHER_PEERS_MAX), "host {n}");
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len());
        assert!(!found.contains(&address(n)));
        for peer in found {
            pointed_at[(0..400).find(|&m| address(m) == peer).expect("a host of the cluster") as usize] += 1;
        }
    }
    let (fewest, most) = (pointed_at.iter().min(), pointed_at.iter().max());
    assert!(most <= Some(&IN_DEGREE_MAX) && fewest >= Some(&8), "in-degree from {fewest:?} to {most:?}");
}

#[test]
fn pointers_stay_while_those_pointed_at_stay() {
    let mut tracker = tracker(&[None; 100]);
    (0..100).for_each(|n| drop(peers(&mut tracker, secs(0), n)));
    let before = peers(&mut tracker, secs(1), 99);
    assert_eq!(peers(&mut tracker, secs(30), 99), before);
    let leaver = (0..100).find(|&n| address(n) == before[0]).expect("a host");
    tracker.host_changed(host(leaver, None, false));
    let after = peers(&mut tracker, secs(31), 99);
    assert_eq!(after[..before.len() - 1], before[1..]);
    assert_eq!(after.len(), before.len());
}

#[test]
fn as_many_as_wanted_and_the_seed_among_them() {
    let mut tracker = tracker(&[None; 10]);
    (0..10).for_each(|n| drop(peers(&mut tracker, secs(0), n)));
    let ask = |tracker: &mut Tracker, peers_wanted, left_bytes| {
        let asks = Announce { peers_wanted, left_bytes, ..announce(0, 0) };
        tracker.announce(secs(1), ip(0), &asks).expect("installing").peers
    };
    assert_eq!(ask(&mut tracker, Some(0), 100), []);
    let one = ask(&mut tracker, Some(1), 100);
    assert_eq!(one.iter().map(|peer| peer.address.to_string()).collect::<Vec<_>>(), [SEED]);
    assert_eq!(ask(&mut tracker, Some(4), 100).len(), 4);
    assert_eq!(ask(&mut tracker, None, 100).len(), 10);
    assert_eq!(ask(&mut tracker, None, 0).len(), 0, "who needs nothing needs nobody");
}

#[test]
fn the_complete_are_not_pointed_at_each_other() {
    let mut tracker = tracker(&[None; 3]);
    let full = |n| Announce { left_bytes: 0, event: Event::Completed, ..announce(n, 0) };
    for n in [0, 1] {
        assert_eq!(tracker.announce(secs(0), ip(n), &full(n)).expect("installing").peers, []);
    }
    assert_eq!(peers(&mut tracker, secs(1), 2).len(), 2);
    tracker.announce(secs(1), ip(0), &full(0)).expect("installing");
    let numbers = ScrapeEntry { complete: 2, downloaded: 2, incomplete: 1 };
    assert_eq!(tracker.scrape(secs(1), &[SWARM]), [(SWARM, numbers)]);
    assert_eq!(tracker.scrape(secs(1), &[]), [(SWARM, numbers)]);
    assert_eq!(tracker.scrape(secs(1), &[InfoHash([9; 20])]), [(InfoHash([9; 20]), ScrapeEntry::default())]);
}

#[test]
fn one_host_cannot_make_endless_swarms() {
    let hosts = 100_u8;
    let mut tracker = tracker(&vec![None; usize::from(hosts)]);
    for n in 0..hosts {
        for swarm in 0..20 {
            let mut hash = [n; 20];
            hash[0] = swarm;
            let joins = Announce { info_hash: InfoHash(hash), ..announce(u32::from(n), 0) };
            let refused = tracker.announce(secs(0), ip(u32::from(n)), &joins).is_err();
            assert!(refused || usize::from(swarm) < SWARMS_PER_HOST_MAX);
        }
    }
    assert_eq!(tracker.totals().swarms, SWARMS_MAX);
    tracker.sweep(Rhythm::OURS.expiry + secs(1));
    assert_eq!(tracker.totals().swarms, 0);
    assert_eq!(peers(&mut tracker, Rhythm::OURS.expiry + secs(2), 0), [], "empty swarms make room");
}

#[test]
fn intervals_are_spread() {
    let mut tracker = tracker(&[None]);
    let mut intervals = BTreeSet::new();
    for n in 0..500 {
        intervals.insert(tracker.announce(secs(n), ip(0), &announce(0, 0)).expect("installing").interval_secs);
    }
    assert_eq!((intervals.first(), intervals.last()), (Some(&24), Some(&36)));
}

#[derive(Debug, Clone)]
enum Step {
    Announce { n: u32, client: u8, left: u64, event: Event, port: u16 },
    Change { n: u32, rack: Option<u32>, installing: bool },
    ReplaceAll { installing: u16 },
    Report { n: u32, bad: u32 },
    Pass { secs: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let events = [Event::Periodic, Event::Periodic, Event::Started, Event::Completed, Event::Stopped, Event::Paused];
    let rack = proptest::option::of(0_u32..3);
    prop_oneof![
        8 => (0_u32..16, 0_u8..2, 0_u64..2, proptest::sample::select(events.to_vec()), 0_u16..4)
            .prop_map(|(n, client, left, event, port)| Step::Announce { n, client, left, event, port }),
        2 => (0_u32..16, rack, any::<bool>()).prop_map(|(n, rack, installing)| Step::Change { n, rack, installing }),
        1 => any::<u16>().prop_map(|installing| Step::ReplaceAll { installing }),
        1 => (0_u32..16, 0_u32..16).prop_map(|(n, bad)| Step::Report { n, bad }),
        1 => (1_u64..40).prop_map(|secs| Step::Pass { secs }),
    ]
}

proptest! {
    #[test]
    fn nobody_is_ever_pointed_at_a_machine_that_is_not_installing(seed_value: u64, steps in proptest::collection::vec(step(), 1..200)) {
        let mut tracker = Tracker::new(seed_value);
        let mut installing = BTreeSet::new();
        let mut heard = std::collections::BTreeMap::new();
        let mut now = secs(0);
        for step in steps {
            match step {
                Step::Announce { n, client, left, event, port } => {
                    let asks = Announce { left_bytes: left, event, port, ..announce(n, client) };
                    let reply = tracker.announce(now, ip(n), &asks);
                    if event == Event::Stopped {
                        heard.remove(&n);
                        continue;
                    }
                    prop_assert_eq!(reply.is_ok(), installing.contains(&n));
                    let Ok(reply) = reply else { continue };
                    heard.insert(n, (now, port));
                    for peer in &reply.peers {
                        if peer.address.to_string() == SEED {
                            continue;
                        }
                        let found = (0..16).find(|&m| ip(m) == peer.address.ip()).expect("a host");
                        prop_assert!(found != n && installing.contains(&found));
                        let (when, port) = heard.get(&found).copied().expect("it has announced and not left");
                        prop_assert!(now - when <= Rhythm::OURS.expiry && peer.address.port() == port && port != 0);
                    }
                    prop_assert_eq!(left > 0, reply.peers.first().is_some_and(|peer| peer.address.to_string() == SEED));
                }
                Step::Change { n, rack, installing: is } => {
                    let was = installing.contains(&n);
                    if is { installing.insert(n); } else { installing.remove(&n); heard.remove(&n); }
                    // Half of the hosts are told of one by one, the others as all who install.
                    let is_told_alone = n % 2 == 0;
                    tracker.host_changed(host(n, rack, if is_told_alone { is } else { was }));
                    if !is_told_alone {
                        tracker.set_installing(|name| installing.iter().any(|&n| *name == host(n, None, true).name));
                    }
                }
                Step::ReplaceAll { installing: bits } => {
                    installing = (0..16).filter(|n| bits >> n & 1 == 1).collect();
                    heard.retain(|n, _| installing.contains(n));
                    // Every third host is not listed at all rather than listed as idle.
                    let listed = (0..16).filter(|n| installing.contains(n) || n % 3 > 0);
                    tracker.set_hosts(listed.map(|n| host(n, None, installing.contains(&n))));
                }
                Step::Report { n, bad } => {
                    if installing.contains(&n) && heard.contains_key(&n) {
                        let reports = Announce { bad_peers: vec![address(bad)], port: heard[&n].1, ..announce(n, 0) };
                        tracker.announce(now, ip(n), &reports).expect("installing");
                        heard.insert(n, (now, heard[&n].1));
                    }
                }
                Step::Pass { secs: passed } => now += secs(passed),
            }
            tracker.check();
        }
    }
}
