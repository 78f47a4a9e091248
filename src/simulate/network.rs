//! Links as first-come first-served servers: everybody's way out and way in, and those of a rack.
//!
//! A block takes its bytes divided by the rate on every link it passes, and begins on the next one as soon as its first
//! byte is there and the link is free (cut-through). Switches block nothing and lose nothing; rates are what TCP leaves
//! of them.

use super::agenda::{Time, nanos};
use super::scenario::Scenario;
use std::time::Duration;

/// What TCP over Ethernet leaves for payload: 1448 of 1538 bytes.
pub(super) const GOODPUT: f64 = 0.9415;
/// Payload of one packet.
const PACKET_BYTES: u64 = 1448;
/// What the loss of one of the last packets of a block costs: TCP's shortest retransmission timeout.
const TIMEOUT: Duration = Duration::from_millis(200);
/// Losses among so many last packets are not seen before that timeout.
const TAIL_PACKETS: f64 = 3.0;

/// One direction of a link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    bytes_per_nano: f64,
    free_at: Time,
}

impl Link {
    pub(super) fn new(bytes_per_sec: f64) -> Self {
        Self { bytes_per_nano: bytes_per_sec * GOODPUT / 1e9, free_at: 0 }
    }

    fn takes(&self, bytes: u64) -> Time {
        (bytes as f64 / self.bytes_per_nano).ceil() as Time
    }

    /// Takes on a block whose bytes come between these times; gives when its last byte is through.
    pub(super) fn pass(&mut self, begins: Time, ends: Time, bytes: u64) -> (Time, Time) {
        let begins = begins.max(self.free_at);
        self.free_at = begins + self.takes(bytes);
        (begins, ends.max(self.free_at))
    }
}

/// All links but the ways out, which each node has itself. Node 0 is the frontend, in a rack of its own.
pub(super) struct Network {
    into: Vec<Link>,
    racks_out: Vec<Link>,
    racks_in: Vec<Link>,
    rack_size: Option<u32>,
    latency: Time,
    loss: f64,
}

impl Network {
    /// Links for the frontend and every machine: the ways out as they are.
    pub(super) fn new(scenario: &Scenario, ways_out: &[Link]) -> Self {
        let racks = scenario.racks.map_or(Vec::new(), |racks| {
            vec![Link::new(racks.uplink.bytes_per_sec() as f64); scenario.machines.div_ceil(racks.size) as usize]
        });
        Self {
            into: ways_out.to_vec(),
            racks_out: racks.clone(),
            racks_in: racks,
            rack_size: scenario.racks.map(|racks| racks.size),
            latency: nanos(scenario.message_time()),
            loss: scenario.faults.loss,
        }
    }

    /// The rack a node stands in; the frontend stands in none.
    pub(super) fn rack(&self, node: u32) -> Option<u32> {
        Some(node.checked_sub(1)? / self.rack_size?)
    }

    /// Carries a block whose bytes leave a node between these times to another one. Gives when it is in. `draw` gives
    /// numbers in 0..1.
    pub(super) fn carry(
        &mut self,
        (from, to): (u32, u32),
        (begins, out): (Time, Time),
        bytes: u64,
        draw: impl FnMut() -> f64,
    ) -> Time {
        let (mut begins, mut ends) = (begins + self.latency, out + self.latency);
        let (from_rack, to_rack) = (self.rack(from), self.rack(to));
        if from_rack != to_rack {
            if let Some(rack) = from_rack {
                (begins, ends) = self.racks_out[rack as usize].pass(begins, ends, bytes);
            }
            if let Some(rack) = to_rack {
                (begins, ends) = self.racks_in[rack as usize].pass(begins, ends, bytes);
            }
        }
        let (_, ends) = self.into[to as usize].pass(begins, ends, bytes);
        ends + self.resend_delay(bytes, draw)
    }

    /// How much later a block is whole because packets of it were lost.
    fn resend_delay(&self, bytes: u64, mut draw: impl FnMut() -> f64) -> Time {
        if self.loss == 0.0 {
            return 0;
        }
        let packets = bytes.div_ceil(PACKET_BYTES) as f64;
        let round_trip = 2 * self.latency;
        let within = if draw() < 1.0 - (1.0 - self.loss).powf(packets) { round_trip } else { 0 };
        let tail = if draw() < 1.0 - (1.0 - self.loss).powf(packets.min(TAIL_PACKETS)) { nanos(TIMEOUT) } else { 0 };
        within + tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{ByteSize, Rate};

    #[test]
    fn a_block_takes_the_slowest_link_and_waits_its_turn() {
        let rate = Rate::from_bytes_per_sec(125_000_000);
        let scenario = Scenario::new(3, ByteSize::from_bytes(1), rate);
        let mut ways_out = [1.0, 1.0, 1.0, 0.1].map(|share| Link::new(125e6 * share));
        let mut network = Network::new(&scenario, &ways_out);
        let takes = (1e6 / (0.125 * GOODPUT)).ceil() as Time;
        let latency = nanos(scenario.latency);
        let mut send = |from: u32, to: u32| {
            let leaves = ways_out[from as usize].pass(0, 0, 1_000_000);
            (leaves.1, network.carry((from, to), leaves, 1_000_000, || 1.0))
        };
        assert_eq!(send(1, 2), (takes, takes + latency));
        assert_eq!(send(0, 2), (takes, 2 * takes + latency));
        let (out, into) = send(2, 3);
        assert!(out == takes && into > 9 * takes, "{out} {into}");
    }
}
