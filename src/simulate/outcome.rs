//! How a simulation came out.

use super::content::Content;
use super::scenario::Scenario;
use super::world::Ran;
use crate::draw::{Run, Sample, Traffic};
use serde::Serialize;

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimulationError {
    /// The scenario makes no sense.
    #[error("{what}: {why}")]
    Scenario {
        /// Which part of it.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// The files cannot be laid out.
    #[error("simulated files: {why}")]
    Content {
        /// Why.
        why: String,
    },
    /// Machines that live never got their set.
    #[error("{machines} machines are not done after {secs} simulated seconds, the first is machine {first}")]
    Stuck {
        /// How many.
        machines: usize,
        /// The first of them.
        first: u32,
        /// How long was waited.
        secs: u64,
    },
    /// Something happened that must never happen.
    #[error("machine {machine}: {what}")]
    Broken {
        /// Whose.
        machine: u32,
        /// What happened.
        what: String,
    },
}

/// How far a simulation is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Simulated seconds.
    pub secs: f64,
    /// Machines that are done.
    pub done: u32,
    /// Machines that will be.
    pub machines: u32,
}

/// How a simulation came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Machines simulated.
    pub machines: u32,
    /// One machine alone, from its start to its end.
    pub one_secs: f64,
    /// All machines: the longest time of one that lived, from its own start to its end.
    pub all_secs: f64,
    /// `all_secs` divided by `one_secs`.
    pub ratio: f64,
    /// Payload that left the frontend, divided by the union of the sets wanted.
    pub copies: f64,
    /// The longest time an installer waited for the next byte of a file it had asked for.
    pub longest_wait_secs: f64,
    /// One machine alone over plain HTTP on the same link.
    pub http_one_secs: f64,
    /// The middle one of the machines' times.
    pub median_secs: f64,
    /// Payload received twice or wrong, divided by payload received.
    pub wasted: f64,
    /// Machines that died.
    pub died: u32,
    /// Things that happened in the simulation.
    pub events: u64,
    /// What left the frontend over time.
    #[serde(skip)]
    pub traffic: Vec<Sample>,
}

impl Outcome {
    pub(super) fn new(scenario: &Scenario, content: &Content, one: &Ran, all: &Ran) -> Self {
        let one_secs = one.longest_secs();
        let all_secs = all.longest_secs();
        let slower = scenario.link.bytes_per_sec().min(scenario.frontend_link.bytes_per_sec()) as f64;
        let unpack_secs = scenario.unpack.as_secs_f64();
        Self {
            machines: scenario.machines,
            one_secs,
            all_secs,
            ratio: all_secs / one_secs,
            copies: all.frontend_bytes as f64 / content.union_bytes as f64,
            longest_wait_secs: all.longest_wait_secs,
            http_one_secs: scenario.size.bytes() as f64 / (slower * super::network::GOODPUT) + unpack_secs,
            median_secs: all.median_secs(),
            wasted: all.wasted_bytes as f64 / (all.received_bytes.max(1)) as f64,
            died: all.died,
            events: all.events,
            traffic: all.traffic.clone(),
        }
    }

    /// The picture of what left the frontend.
    pub fn draw(&self, scenario: &Scenario) -> String {
        let run = Run {
            name: "as a swarm".to_owned(),
            note: format!("{} machines in {:.2} s, {:.2} copies", self.machines, self.all_secs, self.copies),
            end_secs: Some(self.all_secs),
            samples: self.traffic.clone(),
            taken: Vec::new(),
        };
        let subtitle =
            format!("{} machines, {:.0} MB each, simulated", self.machines, scenario.size.bytes() as f64 / 1e6);
        Traffic {
            title: "What left the frontend".to_owned(),
            subtitle,
            link_bits_per_sec: Some(scenario.frontend_link.bits_per_sec()),
            runs: vec![run],
        }
        .to_svg()
    }
}
