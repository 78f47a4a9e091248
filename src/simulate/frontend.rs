//! What only the frontend has: the account of its web seed, and one of what left it.

use super::agenda::Time;
use crate::draw::Sample;
use crate::swarm::WebSeedShare;

/// The web seed's share, and what left the frontend over time.
#[derive(Debug)]
pub(super) struct Frontend {
    pub(super) web_seed: WebSeedShare,
    sample_every: Time,
    /// Payload that left.
    pub(super) bytes: u64,
    /// The same over time.
    pub(super) traffic: Vec<Sample>,
}

impl Frontend {
    pub(super) fn new(sample_every: Time) -> Self {
        Self {
            web_seed: WebSeedShare::default(),
            sample_every,
            bytes: 0,
            traffic: vec![Sample { at_secs: 0.0, bytes: 0 }],
        }
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
