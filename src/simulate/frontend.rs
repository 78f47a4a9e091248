//! What only the frontend has: its web seed, and an account of what left it.

use super::agenda::Time;
use crate::draw::Sample;
use crate::swarm::Generator;
use std::time::Duration;

/// Pieces that the frontend's web seed serves at once; more are told to come back later.
const HTTP_AT_ONCE: usize = 8;
/// The same, while its seed has pieces to offer that nobody has.
const HTTP_BESIDE_OFFERS: usize = 1;
/// When.
const HTTP_RETRY_AFTER: Duration = Duration::from_millis(250);

/// The web seed, and what left the frontend over time.
#[derive(Debug)]
pub(super) struct Frontend {
    random: Generator,
    http_active: usize,
    sample_every: Time,
    /// Payload that left.
    pub(super) bytes: u64,
    /// The same over time.
    pub(super) traffic: Vec<Sample>,
}

impl Frontend {
    pub(super) fn new(random: Generator, sample_every: Time) -> Self {
        Self { random, http_active: 0, sample_every, bytes: 0, traffic: vec![Sample { at_secs: 0.0, bytes: 0 }] }
    }

    /// Takes on a piece, or says how long to stay away.
    pub(super) fn take_on(&mut self, is_offering: bool) -> Result<(), Duration> {
        if self.http_active >= if is_offering { HTTP_BESIDE_OFFERS } else { HTTP_AT_ONCE } {
            return Err(self.random.around(HTTP_RETRY_AFTER));
        }
        self.http_active += 1;
        Ok(())
    }

    /// A piece that was taken on is out, or given up.
    pub(super) fn served(&mut self) {
        self.http_active -= 1;
    }

    /// Payload is out.
    pub(super) fn sent(&mut self, now: Time, bytes: u64) {
        self.bytes += bytes;
        let at_secs = now as f64 / 1e9;
        let last = self.traffic.last().map_or(0.0, |sample| sample.at_secs);
        if at_secs - last >= self.sample_every as f64 / 1e9 {
            self.traffic.push(Sample { at_secs, bytes: self.bytes });
        }
    }
}
