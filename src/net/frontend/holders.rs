//! Which machine takes the info dictionary of a metainfo from which: a tree in the order in which they asked, so that it
//! leaves the frontend a few times, each machine gives it to a few, and it comes to a thousand of them through five.
//!
//! Invariant: nobody is referred to a machine that is not installing, or asked long ago.

use crate::torrent::InfoHash;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Machines that get it from the frontend.
const ROOTS: u64 = 4;
/// Machines that each gives it to.
const BRANCHES: u64 = 4;
/// Machines that one is referred to.
const NAMED_MAX: usize = 3;
/// Who asked longer ago gives it to nobody new: it may have started anew, or have as many peers as it takes.
const AGE_MAX: Duration = Duration::from_secs(90);
/// Machines of one distribution that are remembered.
const MACHINES_MAX: usize = 16_384;
/// Distributions whose machines are remembered.
const LINES_MAX: usize = 16;

/// The machines of all distributions.
#[derive(Debug, Default)]
pub(super) struct Holders(Mutex<HashMap<InfoHash, Line>>);

/// The machines of a distribution, in the order in which they asked.
#[derive(Debug, Default)]
struct Line {
    machines: VecDeque<Machine>,
    /// The number of the first of them, and the number of each.
    first: u64,
    numbers: HashMap<IpAddr, u64>,
}

#[derive(Debug)]
struct Machine {
    at: SocketAddr,
    asked: Instant,
}

impl Holders {
    /// Whom a machine is referred to that asks and will give it to others at this address, and through how many machines
    /// it comes then; nobody where it gets it from the frontend.
    pub(super) fn refer(
        &self,
        now: Instant,
        info_hash: InfoHash,
        machine: SocketAddr,
        is_installing: impl Fn(IpAddr) -> bool,
    ) -> Option<(Vec<SocketAddr>, u32)> {
        let mut lines = self.0.lock().expect("nobody panics while holding the machines");
        if lines.len() >= LINES_MAX && !lines.contains_key(&info_hash) {
            lines.clear();
        }
        let line = lines.entry(info_hash).or_default();
        line.forget(now);
        let place = line.place(now, machine);
        let above = above(place);
        let depth = above.len() as u32;
        // A root has nobody above it; the last resort is another root.
        let spare = above.last().map(|root| (root + 1) % ROOTS);
        let named = above.into_iter().chain(spare).filter_map(|place| line.at(place));
        let named: Vec<SocketAddr> = named.filter(|at| is_installing(at.ip())).take(NAMED_MAX).collect();
        (!named.is_empty()).then_some((named, depth))
    }
}

impl Line {
    /// Forgets who asked long ago.
    fn forget(&mut self, now: Instant) {
        while let Some(machine) = self.machines.front() {
            let is_old = now.saturating_duration_since(machine.asked) > AGE_MAX;
            if !is_old && self.machines.len() < MACHINES_MAX {
                return;
            }
            let ip = machine.at.ip();
            if self.numbers.get(&ip) == Some(&self.first) {
                self.numbers.remove(&ip);
            }
            self.machines.pop_front();
            self.first += 1;
        }
    }

    /// The place of this machine; who has one keeps it.
    fn place(&mut self, now: Instant, machine: SocketAddr) -> u64 {
        let next = self.first + self.machines.len() as u64;
        let number = *self.numbers.entry(machine.ip()).or_insert(next);
        let place = number - self.first;
        match self.machines.get_mut(place as usize) {
            Some(there) => there.at = machine,
            None => self.machines.push_back(Machine { at: machine, asked: now }),
        }
        place
    }

    fn at(&self, place: u64) -> Option<SocketAddr> {
        self.machines.get(place as usize).map(|machine| machine.at)
    }
}

/// The places above this one in the tree, the nearest first.
fn above(place: u64) -> Vec<u64> {
    let up = |place: &u64| place.checked_sub(ROOTS).map(|below| below / BRANCHES);
    std::iter::successors(up(&place), up).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(number: u64) -> SocketAddr {
        SocketAddr::new(IpAddr::from([10, 1, (number >> 8) as u8, number as u8]), 7000)
    }

    const SWARM: InfoHash = InfoHash([1; 20]);

    #[test]
    fn each_gives_it_to_a_few_and_it_comes_to_all_through_a_few() {
        let (holders, now) = (Holders::default(), Instant::now());
        let mut given = HashMap::<SocketAddr, u32>::new();
        let mut depths = Vec::new();
        for number in 0..1000 {
            let referred = holders.refer(now, SWARM, machine(number), |_| true);
            assert_eq!(referred.is_none(), number < ROOTS, "{number}");
            let Some((named, depth)) = referred else { continue };
            assert!((2..=NAMED_MAX).contains(&named.len()) && !named.contains(&machine(number)), "{number}: {named:?}");
            *given.entry(named[0]).or_default() += 1;
            depths.push(depth);
        }
        assert!(given.values().all(|&given| given <= BRANCHES as u32));
        assert_eq!(depths.iter().max(), Some(&4));
        let named = |number| holders.refer(now, SWARM, machine(number), |_| true);
        assert_eq!(named(4), Some((vec![machine(0), machine(1)], 1)));
        assert_eq!(named(19), Some((vec![machine(3), machine(0)], 1)));
        assert_eq!(named(20), Some((vec![machine(4), machine(0), machine(1)], 2)));
        assert_eq!(named(999).map(|named| named.0[0]), Some(machine(248)), "who asks again keeps its place");
        assert_eq!(named(3), None);
        let another = SocketAddr::new(machine(0).ip(), 8000);
        assert_eq!(holders.refer(now, SWARM, another, |_| true), None);
        assert_eq!(named(4), Some((vec![another, machine(1)], 1)), "and is named where it is now");
        assert_eq!(holders.refer(now, InfoHash([2; 20]), machine(7), |_| true), None, "another swarm");
    }

    #[test]
    fn nobody_is_referred_to_who_is_not_installing_or_asked_long_ago() {
        let (holders, begun) = (Holders::default(), Instant::now());
        for number in 0..20 {
            holders.refer(begun, SWARM, machine(number), |_| true);
        }
        let without = |ip: &[u64]| {
            let gone: Vec<IpAddr> = ip.iter().map(|number| machine(*number).ip()).collect();
            holders.refer(begun, SWARM, machine(20), |ip| !gone.contains(&ip)).map(|referred| referred.0)
        };
        assert_eq!(without(&[4]), Some(vec![machine(0), machine(1)]));
        assert_eq!(without(&[4, 0]), Some(vec![machine(1)]));
        assert_eq!(without(&[4, 0, 1]), None, "the frontend is left");
        let late = begun + AGE_MAX + Duration::from_secs(1);
        for number in 30..34 {
            assert_eq!(holders.refer(late, SWARM, machine(number), |_| true), None, "the first again");
        }
        let named = holders.refer(late, SWARM, machine(2), |_| true);
        assert_eq!(named, Some((vec![machine(30), machine(31)], 1)), "its old place is forgotten");
    }

    #[test]
    fn what_is_remembered_has_its_limits() {
        let (holders, now) = (Holders::default(), Instant::now());
        for number in 0..2 * MACHINES_MAX as u64 {
            holders.refer(now, SWARM, machine(number), |_| true);
        }
        for number in 0..2 * LINES_MAX as u8 {
            holders.refer(now, InfoHash([number; 20]), machine(1), |_| true);
            let lines = holders.0.lock().expect("no panic");
            assert!(lines.len() <= LINES_MAX);
            let is_bound = |line: &Line| line.machines.len() <= MACHINES_MAX && line.numbers.len() <= MACHINES_MAX;
            assert!(lines.values().all(is_bound));
        }
    }
}
