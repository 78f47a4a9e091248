//! Makes a throw-away cluster and its packages, starts the real processes and measures them.
//!
//! * [`packages`] and [`repodata`] make a distribution of real RPM packages out of random bytes.
//! * `site` makes the cluster with the real commands, `race` runs it once, `process` ends what was started.
//! * [`Demo`] is the whole: one machine alone, all over HTTP, all as a swarm; [`Outcome`] what came out of it.
//!
//! The room starts processes and reads what they say; sockets, and the terminal, belong to whoever gives it a [`World`].

mod outcome;
pub mod packages;
pub mod process;
mod race;
pub mod repodata;
mod site;

pub use outcome::Outcome;
pub use process::LIFELINE;
pub use race::Race;

use crate::cluster::{ByteSize, Rate};
use process::Scratch;
use race::{Daemons, Way};
use site::{Machine, Site};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Machines at most: each is a process.
pub const MACHINES_MAX: usize = 500;
/// Where the frontend and the tracker listen.
const FRONTEND: Ipv4Addr = Ipv4Addr::new(127, 1, 255, 254);

/// A demonstration to be run.
#[derive(Debug, Clone)]
pub struct Demo {
    /// The program whose commands are run: this one.
    pub program: PathBuf,
    /// How many machines install, 1 to [`MACHINES_MAX`].
    pub machines: usize,
    /// What each link carries in each direction, the frontend's and the machines'.
    pub rate: Rate,
    /// How large the distribution is.
    pub size: ByteSize,
}

/// How far a demonstration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It prepares something.
    Step(&'static str),
    /// A run begins.
    Run {
        /// What runs.
        name: &'static str,
        /// What all its machines want together, at most.
        bytes: u64,
    },
    /// The machines of the run hold so many bytes.
    Held {
        /// The bytes.
        bytes: u64,
    },
}

/// A frontend at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrontendView {
    /// Package bytes that it has sent since it started, over HTTP and from its seed.
    pub package_bytes_sent: u64,
    /// Bytes that its machines hold, as they told it.
    pub held_bytes: u64,
}

/// What a demonstration needs from outside this room.
pub trait World {
    /// Whether somebody pressed Ctrl-C.
    fn is_interrupted(&self) -> bool;
    /// Hears how far the demonstration is.
    fn tell(&self, event: Event);
    /// A port of this address that nobody listens at.
    fn free_port(&self, address: IpAddr) -> std::io::Result<u16>;
    /// Whether a frontend sends the machines that install a distribution to this tracker.
    fn names_tracker(&self, frontend: &str, distribution: &str, tracker: SocketAddr) -> bool;
    /// How a frontend is now; none while it does not answer.
    fn frontend(&self, url: &str) -> Option<FrontendView>;
    /// The files, relative to the distribution's tree, that the machine of this address is told to install.
    fn install_set(&self, frontend: &str, machine: IpAddr) -> Result<Vec<String>, String>;

    /// Fails once somebody pressed Ctrl-C.
    fn check(&self) -> Result<(), DemoError> {
        if self.is_interrupted() { Err(DemoError::Interrupted) } else { Ok(()) }
    }
}

/// Why a demonstration ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// A number of machines that cannot be.
    #[error("a demonstration has 1 to {MACHINES_MAX} machines, not {0}")]
    Machines(usize),
    /// The packages cannot be made.
    #[error(transparent)]
    Packages(#[from] packages::PackagesError),
    /// A file or folder cannot be written or removed.
    #[error("'{}': {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// No port is free.
    #[error("no free port: {0}")]
    Port(#[from] std::io::Error),
    /// A process cannot be started.
    #[error("cannot start {name}: {error}")]
    Start {
        /// The process.
        name: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// A process ended that should not have.
    #[error("{name} ended with {status}: {words}")]
    Died {
        /// The process.
        name: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last it said.
        words: String,
    },
    /// The frontend does not tell a machine's set, or tells one that is not there.
    #[error("install set of '{machine}': {why}")]
    Set {
        /// The machine.
        machine: String,
        /// What is wrong.
        why: String,
    },
    /// Something did not happen in its time.
    #[error("{what} took longer than {secs} s")]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        secs: u64,
    },
}

/// What the machines want, in bytes.
struct Wanted {
    /// The machine with the largest set.
    largest: Machine,
    largest_bytes: u64,
    union_bytes: u64,
}

impl Demo {
    /// Makes the cluster, runs it three times and gives what came out. Everything started is gone afterwards.
    pub fn run(&self, world: &dyn World) -> Result<Outcome, DemoError> {
        if !(1..=MACHINES_MAX).contains(&self.machines) {
            return Err(DemoError::Machines(self.machines));
        }
        let scratch = Scratch::make()?;
        let site = Site::make(self, scratch.path(), world)?;
        let daemons = |name: &str| Daemons::start(&site, scratch.path().join(name), self.rate, world);

        let first = daemons("one")?;
        let wanted = wanted(&site, &first)?;
        let (one_machine, bytes) = (std::slice::from_ref(&wanted.largest), wanted.largest_bytes);
        let one = first.race(one_machine, Way::Swarm, "one machine", bytes)?;
        let http = daemons("http")?.race(&site.machines, Way::Http, "all over HTTP", bytes)?;
        let swarm = daemons("swarm")?.race(&site.machines, Way::Swarm, "all as a swarm", bytes)?;
        Ok(Outcome {
            machines: self.machines,
            rate: self.rate,
            largest_bytes: wanted.largest_bytes,
            union_bytes: wanted.union_bytes,
            one,
            http,
            swarm,
        })
    }
}

/// Asks the frontend for the set of one machine of each appliance; sizes are those of the files themselves.
fn wanted(site: &Site, daemons: &Daemons<'_>) -> Result<Wanted, DemoError> {
    let mut union: BTreeMap<String, u64> = BTreeMap::new();
    let mut largest: Option<(u64, Machine)> = None;
    let mut seen = Vec::new();
    for machine in &site.machines {
        if seen.contains(&machine.appliance) {
            continue;
        }
        seen.push(machine.appliance);
        let mut bytes = 0;
        for href in daemons.install_set(machine)? {
            let fail = |error| DemoError::Set { machine: machine.name.clone(), why: format!("'{href}': {error}") };
            let size = std::fs::metadata(site.tree.join(&href)).map_err(fail)?.len();
            bytes += size;
            union.insert(href, size);
        }
        if largest.as_ref().is_none_or(|(most, _)| bytes > *most) {
            largest = Some((bytes, machine.clone()));
        }
    }
    let (largest_bytes, largest) = largest.expect("a demonstration has machines");
    if largest_bytes == 0 {
        return Err(DemoError::Set { machine: largest.name, why: "it is empty".into() });
    }
    Ok(Wanted { largest, largest_bytes, union_bytes: union.values().sum() })
}
