//! Links as first-come first-served servers: everybody's way out and way in, and those of a rack.
//!
//! A block takes its bytes divided by the rate on every link it passes, and begins on the next one as soon as its first
//! byte is there and the link is free (cut-through). Switches block nothing and lose nothing; rates are what TCP leaves
//! of them.

use super::clock::{Time, nanos};
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
struct Link {
    bytes_per_nano: f64,
    free_at: Time,
}

impl Link {
    fn new(bytes_per_sec: f64) -> Self {
        Self { bytes_per_nano: bytes_per_sec * GOODPUT / 1e9, free_at: 0 }
    }

    fn takes(&self, bytes: u64) -> Time {
        (bytes as f64 / self.bytes_per_nano).ceil() as Time
    }

    /// Takes on a block whose bytes come between these times; gives when its last byte is through.
    fn pass(&mut self, begins: Time, ends: Time, bytes: u64) -> (Time, Time) {
        let begins = begins.max(self.free_at);
        self.free_at = begins + self.takes(bytes);
        (begins, ends.max(self.free_at))
    }
}

/// All links. Node 0 is the frontend, in a rack of its own.
pub(super) struct Network {
    out: Vec<Link>,
    into: Vec<Link>,
    racks_out: Vec<Link>,
    racks_in: Vec<Link>,
    rack_size: Option<u32>,
    latency: Time,
    loss: f64,
}

impl Network {
    /// Links for the frontend and every machine; `rate_of` says what share of the link's rate a machine has.
    pub(super) fn new(scenario: &Scenario, rate_of: impl Fn(u32) -> f64) -> Self {
        let frontend = Link::new(scenario.frontend_link.bytes_per_sec() as f64);
        let machine = |n| Link::new(scenario.link.bytes_per_sec() as f64 * rate_of(n));
        let nodes: Vec<Link> = std::iter::once(frontend).chain((0..scenario.machines).map(machine)).collect();
        let racks = scenario.racks.map_or(Vec::new(), |racks| {
            vec![Link::new(racks.uplink.bytes_per_sec() as f64); scenario.machines.div_ceil(racks.size) as usize]
        });
        Self {
            out: nodes.clone(),
            into: nodes,
            racks_out: racks.clone(),
            racks_in: racks,
            rack_size: scenario.racks.map(|racks| racks.size),
            latency: nanos(scenario.latency),
            loss: scenario.faults.loss,
        }
    }

    /// The rack a node stands in; the frontend stands in none.
    pub(super) fn rack(&self, node: u32) -> Option<u32> {
        Some(node.checked_sub(1)? / self.rack_size?)
    }

    /// Sends a block now, over a way out that is free. Gives when it is out and when it is in. `draw` gives numbers in
    /// 0..1.
    pub(super) fn send(
        &mut self,
        now: Time,
        from: u32,
        to: u32,
        bytes: u64,
        draw: impl FnMut() -> f64,
    ) -> (Time, Time) {
        let (begins, out) = self.out[from as usize].pass(now, now, bytes);
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
        (out, ends + self.resend_delay(bytes, draw))
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
        let mut network = Network::new(&scenario, |n| if n == 2 { 0.1 } else { 1.0 });
        let takes = (1e6 / (0.125 * GOODPUT)).ceil() as Time;
        let latency = nanos(scenario.latency);
        assert_eq!(network.send(0, 1, 2, 1_000_000, || 1.0), (takes, takes + latency));
        assert_eq!(network.send(0, 0, 2, 1_000_000, || 1.0), (takes, 2 * takes + latency));
        let (out, into) = network.send(0, 2, 3, 1_000_000, || 1.0);
        assert!(out == takes && into > 9 * takes, "{out} {into}");
    }
}
