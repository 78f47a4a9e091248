//! One measured run: frontend, tracker and machines as processes of their own, from the first machine's start until the
//! last one holds its verified set.

use super::process::{Process, stop};
use super::site::{DISTRIBUTION, Machine, Site};
use super::{DemoError, Event, FRONTEND, World};
use crate::cluster::Rate;
use crate::draw::Sample;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often machines and the frontend are looked at.
const LOOK: Duration = Duration::from_millis(25);
/// How long a daemon may take to answer.
const READY: Duration = Duration::from_secs(20);
/// A run may take this much beyond what the slowest way would need.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the machines get their packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// All from the frontend, over HTTP.
    Http,
    /// From each other and from the frontend's seed.
    Swarm,
}

/// What a machine says when its set is complete (`fetch --summary`).
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(super) struct Summary {
    /// Bytes that came from the frontend.
    pub(super) frontend_bytes: u64,
    /// Bytes that came from other machines.
    pub(super) peer_bytes: u64,
    /// From the start of its process to the verified set.
    pub(super) seconds: f64,
}

/// The least time between two notes of what the machines had.
const TAKEN_SECS: f64 = 0.4;

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Race {
    /// From the start of the first machine until the last had its set.
    pub secs: f64,
    /// Package bytes that left the frontend, over HTTP and from its seed.
    pub frontend_bytes: u64,
    /// The frontend's counter over time.
    pub samples: Vec<Sample>,
    /// What all machines had together over time, as they told the frontend.
    pub taken: Vec<Sample>,
}

/// The addresses of a run's daemons.
struct Ports {
    http: u16,
    seed: u16,
    announce: u16,
    peer: u16,
    proxy: u16,
}

impl Ports {
    fn pick(world: &dyn World) -> Result<Self, DemoError> {
        let mut taken = Vec::new();
        let mut pick = || -> Result<u16, DemoError> {
            loop {
                let port = world.free_port(FRONTEND.into())?;
                if !taken.contains(&port) {
                    taken.push(port);
                    return Ok(port);
                }
            }
        };
        Ok(Self { http: pick()?, seed: pick()?, announce: pick()?, peer: pick()?, proxy: pick()? })
    }

    fn url(&self) -> String {
        format!("http://{FRONTEND}:{}", self.http)
    }
}

/// A frontend and a tracker that run.
pub(super) struct Daemons<'a> {
    site: &'a Site,
    world: &'a dyn World,
    folder: PathBuf,
    rate: Rate,
    ports: Ports,
    processes: Vec<Process>,
}

impl<'a> Daemons<'a> {
    /// Starts them and waits until the one sends machines to the other. All machines are told to install.
    pub(super) fn start(site: &'a Site, folder: PathBuf, rate: Rate, world: &'a dyn World) -> Result<Self, DemoError> {
        std::fs::create_dir_all(&folder).map_err(|error| DemoError::Write { path: folder.clone(), error })?;
        let everyone: Vec<&str> = site.machines.iter().map(|machine| machine.name.as_str()).collect();
        site.rocks(&["set-boot", &everyone.join(","), "install"], "")?;
        let ports = Ports::pick(world)?;
        let mut daemons = Self { site, world, folder, rate, ports, processes: Vec::new() };
        let (http, seed, announce) = (daemons.ports.http, daemons.ports.seed, daemons.ports.announce);
        let rate = format!("{}B", rate.bytes_per_sec());
        daemons.daemon("track", &["--listen", &format!("{FRONTEND}:{announce}")])?;
        let listen = format!("{FRONTEND}:{http}");
        daemons.daemon("serve", &["--listen", &listen, "--peer-port", &seed.to_string(), "--rate", &rate])?;
        daemons.wait_until_ready()?;
        Ok(daemons)
    }

    fn daemon(&mut self, name: &str, words: &[&str]) -> Result<(), DemoError> {
        let cluster = self.site.cluster.display().to_string();
        let words: Vec<String> =
            [name].iter().chain(words).chain(&["--cluster", &cluster]).map(|&w| w.to_owned()).collect();
        self.processes.push(Process::start(&self.site.program, &self.folder, name, &words)?);
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Result<(), DemoError> {
        let deadline = Instant::now() + READY;
        let (url, announce) = (self.ports.url(), (FRONTEND, self.ports.announce).into());
        while !self.world.names_tracker(&url, DISTRIBUTION, announce) {
            self.check()?;
            if Instant::now() > deadline {
                return Err(DemoError::Late { what: "the frontend".into(), secs: READY.as_secs() });
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), DemoError> {
        self.world.check()?;
        self.processes.iter_mut().try_for_each(Process::check)
    }

    /// The files a machine is told to install, as the frontend tells them.
    pub(super) fn install_set(&self, machine: &Machine) -> Result<Vec<String>, DemoError> {
        let told = self.world.install_set(&self.ports.url(), machine.address.into());
        told.map_err(|why| DemoError::Set { machine: machine.name.clone(), why })
    }

    /// Lets machines install, all at once, and measures until the last is done; then ends everything.
    pub(super) fn race(
        mut self,
        machines: &[Machine],
        way: Way,
        name: &'static str,
        set_bytes: u64,
    ) -> Result<Race, DemoError> {
        self.world.tell(Event::Run { name, bytes: set_bytes * machines.len() as u64 });
        let url = self.ports.url();
        let slowest =
            Duration::from_secs_f64(machines.len() as f64 * set_bytes as f64 / self.rate.bytes_per_sec() as f64);
        let limit = 2 * slowest + PATIENCE;
        let start = Instant::now();
        let mut runners = Vec::new();
        for machine in machines {
            let offset_secs = start.elapsed().as_secs_f64();
            runners.push((self.fetch(machine, way)?, offset_secs));
        }
        let mut samples = vec![Sample { at_secs: 0.0, bytes: 0 }];
        let mut taken = samples.clone();
        let mut done: Vec<Option<(Summary, f64)>> = vec![None; machines.len()];
        loop {
            self.check()?;
            let mut held_bytes = 0;
            if let Some(view) = self.world.frontend(&url) {
                let at_secs = start.elapsed().as_secs_f64();
                samples.push(Sample { at_secs, bytes: view.package_bytes_sent });
                held_bytes = view.held_bytes;
                note_taken(&mut taken, Sample { at_secs, bytes: held_bytes });
            }
            for (slot, ((process, summary), offset_secs)) in done.iter_mut().zip(&mut runners) {
                if slot.is_none() {
                    *slot = finished(process, summary)?.map(|told| (told, *offset_secs + told.seconds));
                }
            }
            let count = done.iter().flatten().count();
            self.world.tell(Event::Held { bytes: held_bytes.max(set_bytes * count as u64) });
            if count == machines.len() {
                break;
            }
            if start.elapsed() > limit {
                return Err(DemoError::Late { what: name.to_owned(), secs: limit.as_secs() });
            }
            std::thread::sleep(LOOK);
        }
        let frontend_bytes =
            self.world.frontend(&url).map_or(samples[samples.len() - 1].bytes, |view| view.package_bytes_sent);
        let secs = done.iter().flatten().map(|(_, at)| *at).fold(0.0, f64::max);
        samples.push(Sample { at_secs: secs.max(start.elapsed().as_secs_f64()), bytes: frontend_bytes });
        let got = done.iter().flatten().map(|(summary, _)| summary.frontend_bytes + summary.peer_bytes).sum();
        taken.retain(|sample| sample.at_secs < secs - TAKEN_SECS / 2.0);
        taken.push(Sample { at_secs: secs, bytes: got });
        stop(&mut runners.into_iter().map(|((process, _), _)| process).collect());
        stop(&mut self.processes);
        std::fs::remove_dir_all(&self.folder).map_err(|error| DemoError::Write { path: self.folder.clone(), error })?;
        Ok(Race { secs, frontend_bytes, samples, taken })
    }

    /// Starts one machine; its summary will be in the file that comes back.
    fn fetch(&self, machine: &Machine, way: Way) -> Result<(Process, PathBuf), DemoError> {
        let folder = self.folder.join(&machine.name);
        std::fs::create_dir(&folder).map_err(|error| DemoError::Write { path: folder.clone(), error })?;
        let summary = folder.join("summary.json");
        let file = |name: &str| folder.join(name).display().to_string();
        let mut words: Vec<String> = vec!["fetch".into(), "--frontend".into(), self.ports.url()];
        for (option, value) in [
            ("--bind", machine.address.to_string()),
            ("--peer-port", self.ports.peer.to_string()),
            ("--proxy", format!("{}:{}", machine.address, self.ports.proxy)),
            ("--rate", format!("{}B", self.rate.bytes_per_sec())),
            ("--kickstart", file("ks.cfg")),
            ("--cache", file("cache")),
            ("--summary", file("summary.json")),
        ] {
            words.extend([option.to_owned(), value]);
        }
        if way == Way::Http {
            words.push("--http-only".into());
        }
        let process = Process::start(&self.site.program, &folder, &format!("fetch of {}", machine.name), &words)?;
        Ok((process, summary))
    }
}

/// Notes what the machines had, unless that was just noted: they tell it a few times a second, each at its own moment.
fn note_taken(taken: &mut Vec<Sample>, sample: Sample) {
    if taken.last().is_none_or(|last| sample.at_secs - last.at_secs >= TAKEN_SECS && sample.bytes > last.bytes) {
        taken.push(sample);
    }
}

/// A machine's summary, once it is there whole; an error if the machine ended without one.
fn finished(process: &mut Process, summary: &Path) -> Result<Option<Summary>, DemoError> {
    let ended = process.ended();
    let told = std::fs::read(summary).ok().and_then(|text| serde_json::from_slice(&text).ok());
    match (told, ended) {
        (Some(told), _) => Ok(Some(told)),
        (None, None) => Ok(None),
        (None, Some(status)) => Err(process.died(status)),
    }
}
