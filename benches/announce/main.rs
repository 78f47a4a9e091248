//! Announces per second: `cargo bench --bench announce [-- udp|http|keep-alive|public]`.
//!
//! Fills one swarm with ten thousand peers, each at an address of its own on loopback, in the real `rocks track` over a
//! cluster of ten thousand hosts, in opentracker where that is installed (and we are root, which its Debian build
//! needs), and in `aquatic_udp` and `aquatic_http` where those are on the `PATH`. Then loads ours and each of the others
//! in turn, in pairs, from the same connections with the same announces, and prints the median of the pairs' ratios.
//! Processor time is that of the tracker alone: it does not depend on what else the machine does. Then the same by
//! aquatic's own generators, where those are on the `PATH` (`-- public` for these alone).

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod load;
mod public;
mod trackers;

use load::{Load, Measured};
use trackers::Tracker;

/// Peers in the swarm.
const PEERS: u32 = 10_000;
/// Pairs of measurements.
const PAIRS: usize = 5;
/// How long each is.
const SECS: u64 = 3;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    load::raise_descriptors();
    let ours = Tracker::rocks(folder.path(), PEERS);
    let others: Vec<Tracker> = [
        Tracker::opentracker(folder.path()),
        Tracker::aquatic(folder.path(), "aquatic_udp", &[Load::Udp]),
        Tracker::aquatic(folder.path(), "aquatic_http", &[Load::Http, Load::KeepAlive]),
    ]
    .into_iter()
    .flatten()
    .collect();
    if others.is_empty() {
        println!("no other tracker is installed, or we are not root: only our own numbers");
    }
    let before = ours.resident_bytes();
    for tracker in std::iter::once(&ours).chain(&others) {
        load::fill(tracker, PEERS);
    }
    println!(
        "{PEERS} peers in one swarm; {} bytes of memory a peer",
        ours.resident_bytes().saturating_sub(before) / u64::from(PEERS)
    );
    println!("load        tracker      announces/s  CPU us/announce");
    for load in [Load::Udp, Load::Http, Load::KeepAlive].into_iter().filter(|load| is_wanted(load.name())) {
        let others: Vec<&Tracker> = others.iter().filter(|other| other.takes.contains(&load)).collect();
        if others.is_empty() {
            let alone: Vec<Measured> = (0..PAIRS).map(|_| load::measure(&ours, load, SECS)).collect();
            print(load.name(), ours.name, &alone);
        }
        for other in others {
            compare(load.name(), &ours, other, |tracker| load::measure(tracker, load, SECS));
        }
    }
    for load in [Load::Udp, Load::KeepAlive].into_iter().filter(|_| is_wanted("public")) {
        let Some(program) = public::generator(load) else { continue };
        println!("by {program}");
        // One that closes each connection, or takes no swarm but one that it was told, is not measured so.
        for other in others.iter().filter(|other| other.takes.contains(&load)) {
            compare(load.name(), &ours, other, |tracker| public::measure(tracker, program));
        }
    }
}

/// Measures ours and another tracker in turn, and prints medians.
fn compare(what: &str, ours: &Tracker, other: &Tracker, measure: impl Fn(&Tracker) -> Measured) {
    let pairs: Vec<(Measured, Measured)> = (0..PAIRS).map(|_| (measure(ours), measure(other))).collect();
    print(what, ours.name, &pairs.iter().map(|pair| pair.0).collect::<Vec<_>>());
    print(what, other.name, &pairs.iter().map(|pair| pair.1).collect::<Vec<_>>());
    let ratio = |of: fn(&Measured) -> f64| median(pairs.iter().map(|(our, their)| of(our) / of(their)).collect());
    let (per_sec, cpu) = (ratio(|m| m.per_sec), ratio(|m| m.cpu_micros));
    println!("{what:<11} ratio        {per_sec:11.2}  {cpu:15.2}");
}

fn print(what: &str, name: &str, found: &[Measured]) {
    let per_sec = median(found.iter().map(|measured| measured.per_sec).collect());
    let cpu = median(found.iter().map(|measured| measured.cpu_micros).collect());
    println!("{what:<11} {name:<12} {per_sec:11.0}  {cpu:15.1}");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
