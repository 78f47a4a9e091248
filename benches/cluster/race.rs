//! One measured run of one kind of peer: daemons in the frontend's namespace, a client in each machine's, all let go at
//! the same moment, until the last has everything.

use crate::cost::Cost;
use crate::installer::Installer;
use crate::liars::Kind;
use crate::peers::{Bytes, Peer, kickstart};
use crate::wires::{FRONTEND, Wires, namespace};
use anyhow::{Context, Result, bail, ensure};
use rocks::demo::process::{Process, stop};
use rocks::draw::Sample;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// The word that makes this program wait at the gate and then become another.
const WORD: &str = "--gate";
/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How often the frontend's counter is read.
const SAMPLE: Duration = Duration::from_millis(200);

/// How long a machine that is to stand still may take until it has its documents.
const FREEZES: Duration = Duration::from_secs(30);

/// Who is there in a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Those<'a> {
    pub(crate) machines: usize,
    /// Peers that lie.
    pub(crate) liars: &'a [Kind],
    /// Machines that stand still from when they have their documents, before the others begin.
    pub(crate) frozen: usize,
    /// The connections of each machine's installer.
    pub(crate) installer: Option<usize>,
}

impl Those<'_> {
    /// Machines, and nobody else.
    pub(crate) fn alone(machines: usize) -> Self {
        Self { machines, liars: &[], frozen: 0, installer: None }
    }
}

/// How a run ended.
pub(crate) enum Finish {
    /// Everybody had everything.
    Complete,
    /// It was stopped, with so many machines done.
    Stopped { done: usize },
}

/// What a run came to.
pub(crate) struct Outcome {
    /// From the gate's opening until the last machine was done, or until it was stopped.
    pub(crate) secs: f64,
    /// Bytes that the frontend put on its link meanwhile.
    pub(crate) frontend_bytes: u64,
    pub(crate) samples: Vec<Sample>,
    /// How busy this machine's processors were, 0 to 1.
    pub(crate) busy_share: f64,
    /// What the clients' processes used of the processors, over what went through their links both ways.
    pub(crate) cpu_secs_per_gb: f64,
    /// The most memory that a client ever had resident.
    pub(crate) peak_bytes: u64,
    /// Of what clients wanted, the share that came a second time; none of clients that do not tell.
    pub(crate) twice_share: Option<f64>,
    /// When the last machine of ours had its documents and its Kickstart file.
    pub(crate) told_secs: Option<f64>,
    /// The longest that an installer waited for a byte.
    pub(crate) waited_secs: Option<f64>,
    /// What clients said of peers that lie, and how often.
    pub(crate) told: BTreeMap<String, usize>,
    pub(crate) finish: Finish,
}

/// Runs it.
pub(crate) fn run(
    peer: Peer,
    those: Those<'_>,
    bytes: &Bytes,
    wires: &Wires,
    folder: &Path,
    limit: Duration,
    interrupted: &AtomicBool,
) -> Result<Outcome> {
    let Those { machines, liars, frozen, installer } = those;
    let mut daemons = peer.start_daemons(wires.machines + wires.others, bytes, folder)?;
    for number in 0..frozen {
        daemons.push(freeze(peer, wires.machines + liars.len() + number, bytes, folder)?);
    }
    for (number, kind) in liars.iter().enumerate() {
        daemons.push(crate::liars::start(*kind, wires.machines + number, bytes, folder)?);
    }
    let gate_file = folder.join("gate");
    let gate = File::create(&gate_file)?;
    gate.lock()?;
    let (mut clients, mut installers) = (Vec::new(), Vec::new());
    for machine in 0..machines {
        let client = Runner::start(peer, machine, bytes, folder, &gate_file)?;
        if let Some(connections) = installer {
            let kickstart = kickstart(&client.folder);
            installers.push(Installer::start(machine, connections, bytes, &client.folder, &kickstart)?);
        }
        clients.push(client);
    }
    // All of them reach the gate; then it opens for all at once.
    std::thread::sleep(Duration::from_millis(300 + 10 * machines as u64));
    let (before, moved_before) = (wires.frontend_bytes()?, wires.machine_bytes()?);
    let (busy, start, begin) = (Busy::now()?, SystemTime::now(), Instant::now());
    drop(gate);
    let mut samples = vec![Sample { at_secs: 0.0, bytes: 0 }];
    let mut next_sample = begin + SAMPLE;
    let finish = loop {
        ensure!(!interrupted.load(Ordering::Relaxed), "interrupted");
        daemons.iter_mut().try_for_each(Process::check)?;
        let mut done = 0;
        for client in &mut clients {
            done += usize::from(client.look(start)?);
        }
        if done == clients.len() {
            break Finish::Complete;
        }
        if begin.elapsed() > limit {
            break Finish::Stopped { done };
        }
        if Instant::now() >= next_sample {
            samples.push(Sample { at_secs: begin.elapsed().as_secs_f64(), bytes: wires.frontend_bytes()? - before });
            next_sample += SAMPLE;
        }
        std::thread::sleep(LOOK);
    };
    let frontend_bytes = wires.frontend_bytes()? - before;
    let busy_share = busy.share_since()?;
    let costs: Vec<Cost> = clients.iter().filter_map(|client| Cost::of(client.process.id())).collect();
    let moved_gb = (wires.machine_bytes()? - moved_before) as f64 / 1e9;
    let cpu_secs_per_gb = costs.iter().map(|cost| cost.cpu_secs).sum::<f64>() / moved_gb;
    let peak_bytes = costs.iter().map(|cost| cost.peak_bytes).max().unwrap_or(0);
    samples.push(Sample { at_secs: begin.elapsed().as_secs_f64(), bytes: frontend_bytes });
    let secs = match finish {
        Finish::Complete => clients.iter().filter_map(|client| client.done_secs).fold(0.0, f64::max),
        Finish::Stopped { .. } => begin.elapsed().as_secs_f64(),
    };
    if let Finish::Complete = finish {
        clients.iter().try_for_each(|client| peer.check_data(&client.folder, bytes))?;
    }
    let twice_share = match finish {
        Finish::Complete if peer == Peer::Rocks => {
            let came = clients.iter().map(Runner::came_bytes).sum::<Result<u64>>()?;
            Some(came as f64 / (bytes.total * clients.len() as u64) as f64 - 1.0)
        }
        _ => None,
    };
    let told_secs = clients.iter().filter_map(|client| client.told_secs(start)).reduce(f64::max);
    let waited_secs = match finish {
        Finish::Complete => installers.iter_mut().map(Installer::waited).collect::<Result<Vec<_>>>()?,
        Finish::Stopped { .. } => Vec::new(),
    };
    let waited_secs = waited_secs.into_iter().reduce(f64::max);
    let told = crate::liars::told_of(clients.iter().map(|client| client.folder.clone()));
    stop(&mut clients.into_iter().map(|client| client.process).collect());
    stop(&mut daemons);
    Ok(Outcome {
        secs,
        frontend_bytes,
        samples,
        busy_share,
        cpu_secs_per_gb,
        peak_bytes,
        twice_share,
        told_secs,
        waited_secs,
        told,
        finish,
    })
}

/// A machine that has its documents and does nothing any more; its system takes connections all the same.
fn freeze(peer: Peer, machine: usize, bytes: &Bytes, folder: &Path) -> Result<Process> {
    let gate = folder.join("open");
    File::create(&gate)?;
    let client = Runner::start(peer, machine, bytes, folder, &gate)?;
    let begun = Instant::now();
    while !kickstart(&client.folder).exists() {
        ensure!(begun.elapsed() < FREEZES, "machine {machine} does not come to its documents");
        std::thread::sleep(LOOK);
    }
    let pid = i32::try_from(client.process.id()).ok().and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.context("it has a number")?, rustix::process::Signal::STOP)?;
    Ok(client.process)
}

/// One machine's client.
struct Runner {
    process: Process,
    folder: PathBuf,
    machine: usize,
    /// Written when it has everything.
    done_file: PathBuf,
    done_secs: Option<f64>,
}

impl Runner {
    fn start(peer: Peer, machine: usize, bytes: &Bytes, folder: &Path, gate: &Path) -> Result<Self> {
        let home = folder.join(machine.to_string());
        std::fs::create_dir(&home)?;
        let done_file = home.join("done");
        let mut words: Vec<String> = ["netns", "exec", &namespace(machine)].map(str::to_owned).to_vec();
        words.extend([std::env::current_exe()?.display().to_string(), WORD.into(), gate.display().to_string()]);
        words.extend(peer.client(machine, bytes, &home, &done_file)?);
        let process = Process::start("ip".as_ref(), &home, "client", &words)?;
        Ok(Self { process, folder: home, machine, done_file, done_secs: None })
    }

    /// The bytes of packages that came by the time that a machine of ours had everything.
    fn came_bytes(&self) -> Result<u64> {
        let summary: serde_json::Value = serde_json::from_slice(&std::fs::read(&self.done_file)?)?;
        let bytes = |name: &str| summary[name].as_u64().with_context(|| format!("the summary has no '{name}'"));
        Ok(bytes("frontend_bytes")? + bytes("peer_bytes")?)
    }

    /// When a machine of ours had its Kickstart file, and so all its documents.
    fn told_secs(&self, start: SystemTime) -> Option<f64> {
        let written = std::fs::metadata(kickstart(&self.folder)).and_then(|file| file.modified()).ok()?;
        Some(written.duration_since(start).unwrap_or_default().as_secs_f64())
    }

    /// Whether it has everything by now; the moment is that of its file.
    fn look(&mut self, start: SystemTime) -> Result<bool> {
        if self.done_secs.is_none() {
            if let Ok(told) = std::fs::metadata(&self.done_file).and_then(|file| file.modified()) {
                self.done_secs = Some(told.duration_since(start).unwrap_or_default().as_secs_f64());
            } else if let Some(status) = self.process.ended()
                && !self.done_file.exists()
            {
                bail!("machine {}: {}", self.machine, self.process.died(status));
            }
        }
        Ok(self.done_secs.is_some())
    }
}

/// Waits at the gate where the words say so, then becomes the program that they name; its home is its folder.
pub(crate) fn waits_at_the_gate(words: &[String]) -> Result<bool> {
    let [word, gate, program, rest @ ..] = words else { return Ok(false) };
    if word != WORD {
        return Ok(false);
    }
    File::open(gate)?.lock_shared()?;
    Err(std::process::Command::new(program).args(rest).exec().into())
}

/// Starts a daemon in the frontend's namespace.
pub(crate) fn daemon(folder: &Path, name: &str, words: &[&str]) -> Result<Process> {
    let words: Vec<String> = ["netns", "exec", FRONTEND].iter().chain(words).map(|&word| word.to_owned()).collect();
    Ok(Process::start("ip".as_ref(), folder, name, &words)?)
}

/// The processors' counters at a moment, in ticks.
struct Busy {
    busy: u64,
    all: u64,
}

impl Busy {
    fn now() -> Result<Self> {
        let text = std::fs::read_to_string("/proc/stat")?;
        let ticks: Vec<u64> =
            text.lines().next().unwrap_or("").split_whitespace().skip(1).map_while(|word| word.parse().ok()).collect();
        ensure!(ticks.len() >= 8, "/proc/stat has no line for all processors");
        let all = ticks[..8].iter().sum();
        Ok(Self { busy: all - ticks[3] - ticks[4], all })
    }

    fn share_since(&self) -> Result<f64> {
        let now = Self::now()?;
        Ok((now.busy - self.busy) as f64 / ((now.all - self.all) as f64).max(1.0))
    }
}
