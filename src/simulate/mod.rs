//! A virtual clock and virtual links that run the real tracker and thousands of real sessions in one process.
//!
//! A [`Scenario`] says what is simulated, [`run`] gives the [`Outcome`]. The same scenario gives the same outcome to the
//! byte, on however many processors: ordered maps, and generators that the scenario's seed value feeds.
//!
//! * `content`: the files of a distribution, and which appliance wants which.
//! * `agenda`: what happens when at a node.
//! * `network`: links as first-come first-served servers, frontend, machines and rack uplinks.
//! * `installer`: what the Red Hat installer on a machine asks for, and how long it waits.
//! * `node`: a machine or the frontend (`frontend` has what only that has), with its session.
//! * `world`: all of them, window by window; `directory` is the tracker they ask.

mod agenda;
mod content;
mod directory;
mod frontend;
mod installer;
mod network;
mod node;
mod outcome;
mod scenario;
mod world;

#[cfg(test)]
mod tests;

pub use outcome::{Outcome, Progress, SimulationError};
pub use scenario::{Faults, Racks, Scenario};

/// Simulates all machines of a scenario, and one of them alone. Told of progress now and then.
pub fn run(scenario: &Scenario, progress: &mut dyn FnMut(Progress)) -> Result<Outcome, SimulationError> {
    scenario.check()?;
    let content = content::Content::make(scenario)?;
    let one = world::World::new(&scenario.alone(), &content).run(&mut |_| {})?;
    let all = world::World::new(scenario, &content).run(progress)?;
    Ok(Outcome::new(scenario, &content, &one, &all))
}
