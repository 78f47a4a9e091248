//! What goes wrong on a day, and when: all of it follows from one seed value.

use std::time::Duration;

/// Machines that install.
pub(super) const MACHINES: usize = 16;
/// Shells that write to the store all day.
pub(super) const WRITERS: usize = 4;
/// Faults on a day.
const FAULTS: usize = 14;
/// From the first fault to the last.
const LENGTH: Duration = Duration::from_secs(10);

/// Who is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    Serve,
    Track,
    Machine(usize),
    Writer(usize),
}

/// What happens to them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// Killed with -9, and started again after a while.
    Kill { whom: Whom, down: Duration },
    /// Stopped in whatever it does, and continued after a while.
    Freeze { whom: Whom, length: Duration },
}

/// One day's faults in order.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) faults: Vec<(Duration, Fault)>,
}

impl Plan {
    /// The day of this seed value.
    pub(super) fn of(seed_value: u64) -> Self {
        let mut random = Random(seed_value);
        let mut faults: Vec<(Duration, Fault)> = (0..FAULTS)
            .map(|_| {
                let at = LENGTH.mul_f64(random.share());
                let whom = match random.below(8) {
                    0 | 1 => Whom::Serve,
                    2 => Whom::Track,
                    3..=5 => Whom::Machine(random.below(MACHINES)),
                    _ => Whom::Writer(random.below(WRITERS)),
                };
                let length = Duration::from_millis(100 + random.below(2400) as u64);
                let fault = match random.below(2) {
                    0 => Fault::Kill { whom, down: length },
                    _ => Fault::Freeze { whom, length },
                };
                (at, fault)
            })
            .collect();
        faults.sort_by_key(|(at, _)| *at);
        Self { faults }
    }
}

/// Splitmix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn share(&mut self) -> f64 {
        self.next() as f64 / u64::MAX as f64
    }
}
