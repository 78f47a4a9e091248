//! What is simulated.

use super::outcome::SimulationError;
use crate::cluster::{ByteSize, Rate};
use std::time::Duration;

/// Machines of one simulation at most.
const MACHINES_MAX: u32 = 65_000;
/// Bytes of a set at most, so that its pieces can be counted in memory.
const SET_BYTES_MAX: u64 = 1 << 40;
/// A message takes no longer than this, and machines start and unpack for no longer: a simulation lives through all of it.
const LATENCY_MAX: Duration = Duration::from_secs(1);
const TIME_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Racks, and how they are joined.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Racks {
    /// Machines in a rack.
    pub size: u32,
    /// The link of a rack to the rest, in each direction.
    pub uplink: Rate,
}

/// What goes wrong. Shares are between 0 and 1 and pick different machines.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// Share of the packets that are lost and sent again by TCP.
    pub loss: f64,
    /// Share of the machines whose links have a tenth of the rate.
    pub slow: f64,
    /// Share of the machines that lose power while they download.
    pub dying: f64,
    /// Share of the machines that start when the others should be done.
    pub late: f64,
    /// Share of the machines that send wrong bytes.
    pub poisoning: f64,
    /// The tracker answers nobody after this time.
    pub tracker_dies: Option<Duration>,
    /// The frontend, its seed and its web seed are gone after this time.
    pub frontend_dies: Option<Duration>,
    /// Machines reboot as soon as they are done, instead of serving until the last one is.
    pub leave: bool,
}

/// A message takes no less than this.
const LATENCY_MIN: Duration = Duration::from_micros(1);

/// What is simulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// How many machines install.
    pub machines: u32,
    /// The bytes of an appliance's install set.
    pub size: ByteSize,
    /// The length of a piece; without, what fits the distribution.
    pub piece_length_bytes: Option<u32>,
    /// A machine's link, in each direction.
    pub link: Rate,
    /// The frontend's link, in each direction.
    pub frontend_link: Rate,
    /// Racks with uplinks of their own; without, one switch that blocks nothing.
    pub racks: Option<Racks>,
    /// Time for a message from one machine to another; less than a microsecond counts as one.
    pub latency: Duration,
    /// Machines start spread evenly over this time.
    pub start_spread: Duration,
    /// How many appliances there are; machines take them in turn.
    pub appliances: u32,
    /// The share of a set that all appliances have in common.
    pub overlap: f64,
    /// The time to unpack a whole set; 0 asks for the network's part alone.
    pub unpack: Duration,
    /// Files an installer asks for at once.
    pub installer_connections: usize,
    /// The installer fetches a file, unpacks it, then fetches the next (2005), instead of fetching all first (dnf).
    pub unpack_in_turn: bool,
    /// What goes wrong.
    pub faults: Faults,
    /// Feeds every random choice.
    pub seed_value: u64,
}

impl Scenario {
    /// So many machines with sets of this size on equal links, and nothing out of the ordinary.
    pub fn new(machines: u32, size: ByteSize, link: Rate) -> Self {
        Self {
            machines,
            size,
            piece_length_bytes: None,
            link,
            frontend_link: link,
            racks: None,
            latency: Duration::from_micros(150),
            start_spread: Duration::from_millis(2),
            appliances: 1,
            overlap: 1.0,
            unpack: Duration::ZERO,
            installer_connections: 3,
            unpack_in_turn: false,
            faults: Faults::default(),
            seed_value: 1,
        }
    }

    /// Table 1 of the Avalanche paper, first row: 44 machines on 100 Mbit, all of them unpacking for most of the time.
    pub fn meteor() -> Self {
        Self::avalanche(44, 12_500_000)
    }

    /// Table 1 of the Avalanche paper, second row: 128 machines on 1 Gbit.
    pub fn rockstar() -> Self {
        Self::avalanche(128, 125_000_000)
    }

    fn avalanche(machines: u32, bytes_per_sec: u64) -> Self {
        Self {
            unpack: Duration::from_secs(if machines == 44 { 870 } else { 600 }),
            installer_connections: 1,
            unpack_in_turn: true,
            start_spread: Duration::from_secs(2),
            ..Self::new(machines, ByteSize::from_bytes(325_000_000), Rate::from_bytes_per_sec(bytes_per_sec))
        }
    }

    /// Time for a message, which is also how far a simulation goes at once: never nothing.
    pub(super) fn message_time(&self) -> Duration {
        self.latency.max(LATENCY_MIN)
    }

    /// One machine of it alone, with nothing going wrong.
    pub(super) fn alone(&self) -> Self {
        Self { machines: 1, racks: None, start_spread: Duration::ZERO, faults: Faults::default(), ..self.clone() }
    }

    /// Refuses what cannot be simulated.
    pub(super) fn check(&self) -> Result<(), SimulationError> {
        let no = |what: &'static str, why: String| Err(SimulationError::Scenario { what, why });
        if !(1..=MACHINES_MAX).contains(&self.machines) {
            return no("machines", format!("{} is not between 1 and {MACHINES_MAX}", self.machines));
        }
        if !(1..=SET_BYTES_MAX).contains(&self.size.bytes()) {
            return no("size", format!("{} bytes is not between 1 byte and 1 TiB", self.size.bytes()));
        }
        let piece_lengths = 16 * 1024..=16 * 1024 * 1024;
        if let Some(length) = self.piece_length_bytes.filter(|length| !piece_lengths.contains(length)) {
            return no("piece length", format!("{length} bytes is not between 16 KiB and 16 MiB"));
        }
        if !(1..=64).contains(&self.appliances) {
            return no("appliances", format!("{} is not between 1 and 64", self.appliances));
        }
        if self.racks.is_some_and(|racks| racks.size == 0) {
            return no("rack size", "0 machines are no rack".to_owned());
        }
        if !(1..=16).contains(&self.installer_connections) {
            return no("installer connections", format!("{} is not between 1 and 16", self.installer_connections));
        }
        let faults = &self.faults;
        let times = [
            ("latency", self.latency, LATENCY_MAX),
            ("start spread", self.start_spread, TIME_MAX),
            ("unpacking", self.unpack, TIME_MAX),
        ];
        if let Some((what, time, most)) = times.into_iter().find(|(_, time, most)| time > most) {
            return no(what, format!("{} s is more than {} s", time.as_secs_f64(), most.as_secs()));
        }
        if faults.loss == 1.0 {
            return no("loss", "a net that loses every packet carries nothing".to_owned());
        }
        let shares = [
            ("overlap", self.overlap),
            ("loss", faults.loss),
            ("slow machines", faults.slow),
            ("dying machines", faults.dying),
            ("late machines", faults.late),
            ("poisoning machines", faults.poisoning),
        ];
        if let Some((what, share)) = shares.into_iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
            return no(what, format!("{share} is not a share between 0 and 1"));
        }
        if faults.slow + faults.dying + faults.late + faults.poisoning >= 1.0 {
            return no("faults", "no machine is left without one".to_owned());
        }
        Ok(())
    }
}
