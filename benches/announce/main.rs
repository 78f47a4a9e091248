//! Announces per second: `cargo bench --bench announce [-- udp|http|keep-alive]`.
//!
//! Fills one swarm with ten thousand peers, each at an address of its own on loopback, in the real `rocks track` over a
//! cluster of ten thousand hosts, and in opentracker where that is installed (and we are root, which its Debian build
//! needs). Then loads them in turn, in pairs, from the same connections with the same announces, and prints the median
//! of the pairs' ratios. Processor time is that of the tracker alone: it does not depend on what else the machine does.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod load;
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
    let runs = |load: Load| wanted.is_empty() || wanted.iter().any(|word| word == load.name());
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    load::raise_descriptors();
    let ours = Tracker::rocks(folder.path(), PEERS);
    let theirs = Tracker::opentracker(folder.path());
    if theirs.is_none() {
        println!("opentracker is not installed, or we are not root: only our own numbers");
    }
    let before = ours.resident_bytes();
    for tracker in [Some(&ours), theirs.as_ref()].into_iter().flatten() {
        load::fill(tracker.address, PEERS);
    }
    println!(
        "{PEERS} peers in one swarm; {} bytes of memory a peer",
        ours.resident_bytes().saturating_sub(before) / u64::from(PEERS)
    );
    println!("load        tracker      announces/s  CPU us/announce");
    for load in [Load::Udp, Load::Http, Load::KeepAlive].into_iter().filter(|load| runs(*load)) {
        // opentracker closes each connection behind its answer.
        let theirs = theirs.as_ref().filter(|_| load != Load::KeepAlive);
        let mut pairs: Vec<(Measured, Option<Measured>)> = Vec::new();
        for _ in 0..PAIRS {
            let our = load::measure(&ours, load, SECS);
            pairs.push((our, theirs.map(|theirs| load::measure(theirs, load, SECS))));
        }
        print(load, "rocks track", &pairs.iter().map(|pair| pair.0).collect::<Vec<_>>());
        let others: Vec<Measured> = pairs.iter().filter_map(|pair| pair.1).collect();
        if others.is_empty() {
            continue;
        }
        print(load, "opentracker", &others);
        let ratio = |of: fn(&Measured) -> f64| {
            median(pairs.iter().filter_map(|(our, their)| Some(of(our) / of(their.as_ref()?))).collect())
        };
        let (per_sec, cpu) = (ratio(|m| m.per_sec), ratio(|m| m.cpu_micros));
        println!("{:<11} ratio        {per_sec:11.2}  {cpu:15.2}", load.name());
    }
}

fn print(load: Load, name: &str, found: &[Measured]) {
    let per_sec = median(found.iter().map(|measured| measured.per_sec).collect());
    let cpu = median(found.iter().map(|measured| measured.cpu_micros).collect());
    println!("{:<11} {name:<12} {per_sec:11.0}  {cpu:15.1}", load.name());
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
