//! The cluster of a bad day: real processes on loopback addresses, and what is known to be true of them.

use super::plan::{MACHINES, WRITERS, Whom};
use rocks::demo::packages::{DistributionSpec, make_distribution};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The program under test.
const ROCKS: &str = env!("CARGO_BIN_EXE_rocks");
/// Where frontend and tracker are.
const FRONTEND: Ipv4Addr = Ipv4Addr::new(127, 3, 255, 254);
/// Each link's rate: a set of 8 MB then takes long enough for faults to fall into it.
const RATE: &str = "2MB";

/// A process that ought to run.
pub(super) struct Role {
    words: Vec<String>,
    pub(super) log: PathBuf,
    pub(super) child: Option<Child>,
    /// When to start it again.
    due: Option<Instant>,
    /// When to let it go on.
    frozen_until: Option<Instant>,
}

/// What the writing shells have been told is done: of an attribute its last value, of a host how often it was told to
/// install.
#[derive(Default)]
pub(super) struct Acknowledged(pub(super) Mutex<BTreeMap<String, u64>>);

pub(super) struct World {
    folder: tempfile::TempDir,
    pub(super) ports: Ports,
    serve: Role,
    track: Role,
    pub(super) machines: Vec<Role>,
    /// The process of each writer's command, 0 in between.
    writing: Arc<[AtomicU32; WRITERS]>,
    pub(super) acknowledged: Arc<Acknowledged>,
    writers: Vec<std::thread::JoinHandle<()>>,
    over: Arc<AtomicBool>,
    thaws: Vec<(Pid, Instant)>,
}

#[derive(Clone, Copy)]
pub(super) struct Ports {
    http: u16,
    seed: u16,
    announce: u16,
    peer: u16,
    pub(super) proxy: u16,
}

pub(super) fn machine_address(n: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 3, 0, n as u8 + 1)
}

fn free_port(address: Ipv4Addr) -> u16 {
    let listener = TcpListener::bind((address, 0)).expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}

impl World {
    pub(super) fn make() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let ports = Ports {
            http: free_port(FRONTEND),
            seed: free_port(FRONTEND),
            announce: free_port(FRONTEND),
            peer: free_port(machine_address(0)),
            proxy: free_port(machine_address(0)),
        };
        let role = |name: &str, words: Vec<String>| Role {
            words,
            log: folder.path().join(format!("{name}.log")),
            child: None,
            due: None,
            frozen_until: None,
        };
        let words = |text: String| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
        let serve = role(
            "serve",
            words(format!("serve --listen {FRONTEND}:{} --peer-port {} --rate {RATE}", ports.http, ports.seed)),
        );
        let track = role("track", words(format!("track --listen {FRONTEND}:{}", ports.announce)));
        let machines = (0..MACHINES)
            .map(|n| {
                let place = folder.path().join(format!("machine-{n}"));
                std::fs::create_dir(&place).expect("the folder can be made");
                let (address, place) = (machine_address(n), place.display());
                let text = format!(
                    "fetch --everything --patience 60 --frontend http://{FRONTEND}:{} --bind {address} --peer-port {} --proxy {address}:{} --rate {RATE} \
                     --cache {place}/cache --kickstart {place}/ks.cfg --summary {place}/summary.json",
                    ports.http, ports.peer, ports.proxy
                );
                role(&format!("machine-{n}"), words(text))
            })
            .collect();
        let world = Self {
            ports,
            serve,
            track,
            machines,
            writing: Arc::default(),
            acknowledged: Arc::default(),
            writers: Vec::new(),
            over: Arc::default(),
            thaws: Vec::new(),
            folder,
        };
        let spec = DistributionSpec { bytes: 8 << 20, packages: 40, ..DistributionSpec::default() };
        make_distribution(&world.tree(), &spec).expect("the distribution can be made");
        let mut csv = "name,appliance,mac,ip\n".to_owned();
        for n in 0..MACHINES {
            csv += &format!("compute-0-{n},compute,02:00:7f:03:00:{n:02x},{}\n", machine_address(n));
        }
        for w in 0..WRITERS {
            csv += &format!("compute-1-{w},compute,02:00:7f:03:01:{w:02x},127.3.1.{}\n", w + 1);
        }
        world.rocks("add-network loopback 127.0.0.0/8", "");
        world.rocks("add-host --from -", &csv);
        world.rocks(&format!("add-distribution day {} --release rhel9", world.tree().display()), "");
        world.rocks(&format!("set-boot compute-0-[0-{}] install", MACHINES - 1), "");
        world
    }

    pub(super) fn tree(&self) -> PathBuf {
        self.folder.path().join("tree")
    }

    fn cluster(&self) -> PathBuf {
        self.folder.path().join("cluster")
    }

    /// Runs one command to its good end.
    pub(super) fn rocks(&self, text: &str, input: &str) -> String {
        let mut child = Command::new(ROCKS)
            .args(text.split(' '))
            .env("ROCKS_CLUSTER", self.cluster())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("rocks starts");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("rocks reads its input");
        let output = child.wait_with_output().expect("rocks ends");
        assert!(output.status.success(), "rocks {text}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("rocks prints text")
    }

    pub(super) fn start_daemons(&mut self) {
        let cluster = self.cluster();
        self.track.start(&cluster);
        self.serve.start(&cluster);
        for port in [self.ports.http, self.ports.announce] {
            let begin = Instant::now();
            while TcpStream::connect((FRONTEND, port)).is_err() {
                assert!(begin.elapsed() < Duration::from_secs(20), "a daemon does not listen: {}", self.report());
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    pub(super) fn start_machines(&mut self) {
        let cluster = self.cluster();
        self.machines.iter_mut().for_each(|machine| machine.start(&cluster));
    }

    /// Shells that set one attribute after the other, each remembering what was acknowledged.
    pub(super) fn start_writers(&mut self) {
        for w in 0..WRITERS {
            let (writing, acknowledged, over) =
                (Arc::clone(&self.writing), Arc::clone(&self.acknowledged), Arc::clone(&self.over));
            let cluster = self.cluster();
            self.writers.push(std::thread::spawn(move || {
                for n in 1.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    // Attributes of a machine that installs, and boot actions of a host that does not.
                    let name = if n % 2 == 0 { format!("day_{w}") } else { format!("compute-1-{w}") };
                    let line = match n % 2 {
                        0 => format!("set-attribute {name} {n} --host compute-0-{w}"),
                        _ => format!("set-boot {name} install"),
                    };
                    let mut child = Command::new(ROCKS)
                        .args(line.split(' '))
                        .env("ROCKS_CLUSTER", &cluster)
                        .stdout(Stdio::null())
                        .stderr(Stdio::null())
                        .spawn()
                        .expect("rocks starts");
                    writing[w].store(child.id(), Ordering::SeqCst);
                    if child.wait().expect("rocks ends").success() {
                        let mut acknowledged = acknowledged.0.lock().expect("no writer panics");
                        let last = acknowledged.entry(name).or_default();
                        *last = if n % 2 == 0 { n } else { *last + 1 };
                    }
                    writing[w].store(0, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(30));
                }
            }));
        }
    }

    pub(super) fn stop_writers(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.thaw_all();
        for writer in self.writers.drain(..) {
            writer.join().expect("no writer panics");
        }
    }

    fn role(&mut self, whom: Whom) -> Option<&mut Role> {
        match whom {
            Whom::Serve => Some(&mut self.serve),
            Whom::Track => Some(&mut self.track),
            Whom::Machine(n) => Some(&mut self.machines[n]),
            Whom::Writer(_) => None,
        }
    }

    pub(super) fn kill(&mut self, whom: Whom, down: Duration) {
        if let Whom::Writer(w) = whom {
            self.signal_writer(w, Signal::KILL);
        } else if let Some(role) = self.role(whom)
            && let Some(mut child) = role.child.take()
        {
            let _ = child.kill();
            let _ = child.wait();
            role.frozen_until = None;
            role.due = Some(Instant::now() + down);
        }
    }

    pub(super) fn freeze(&mut self, whom: Whom, length: Duration) {
        if let Whom::Writer(w) = whom {
            if let Some(pid) = self.signal_writer(w, Signal::STOP) {
                self.thaws.push((pid, Instant::now() + length));
            }
        } else if let Some(role) = self.role(whom)
            && let Some(child) = &role.child
        {
            let _ = kill_process(Pid::from_child(child), Signal::STOP);
            role.frozen_until = Some(Instant::now() + length);
        }
    }

    fn signal_writer(&self, w: usize, signal: Signal) -> Option<Pid> {
        let pid = Pid::from_raw(self.writing[w].load(Ordering::SeqCst) as i32)?;
        kill_process(pid, signal).ok().map(|()| pid)
    }

    /// Starts and continues whoever is due.
    pub(super) fn heal(&mut self) {
        let (now, cluster) = (Instant::now(), self.cluster());
        for role in [&mut self.serve, &mut self.track].into_iter().chain(&mut self.machines) {
            if role.due.is_some_and(|due| due <= now) {
                role.start(&cluster);
            }
            if role.frozen_until.is_some_and(|until| until <= now) {
                role.thaw();
            }
        }
        self.thaws.retain(|(pid, until)| {
            let is_due = *until <= now;
            if is_due {
                let _ = kill_process(*pid, Signal::CONT);
            }
            !is_due
        });
    }

    pub(super) fn thaw_all(&mut self) {
        for (pid, _) in self.thaws.drain(..) {
            let _ = kill_process(pid, Signal::CONT);
        }
        for role in [&mut self.serve, &mut self.track].into_iter().chain(&mut self.machines) {
            role.thaw();
        }
    }

    fn summary(&self, n: usize) -> PathBuf {
        self.folder.path().join(format!("machine-{n}/summary.json"))
    }

    pub(super) fn all_installed(&mut self) -> bool {
        for n in 0..MACHINES {
            let role = &mut self.machines[n];
            if let Some(child) = &mut role.child
                && let Some(status) = child.try_wait().expect("it is our child")
            {
                panic!("machine {n} ended with {status}: {}", self.report());
            }
        }
        // A killed machine starts again from nothing, so its old summary says nothing.
        (0..MACHINES).all(|n| self.machines[n].child.is_some() && self.summary(n).exists())
    }

    /// What a person would look at: who is where, and last words.
    pub(super) fn report(&self) -> String {
        let mut text = String::new();
        for role in [&self.serve, &self.track].into_iter().chain(&self.machines) {
            let log = std::fs::read_to_string(&role.log).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(3).collect();
            text += &format!("\n{}: {}", role.log.display(), last.into_iter().rev().collect::<Vec<_>>().join(" | "));
        }
        text
    }
}

impl Role {
    fn start(&mut self, cluster: &std::path::Path) {
        if let Some(at) = self.words.iter().position(|word| word == "--summary") {
            let _ = std::fs::remove_file(&self.words[at + 1]);
        }
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log).expect("the log can be opened");
        let child = Command::new(ROCKS)
            .args(&self.words)
            .env("ROCKS_CLUSTER", cluster)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("rocks starts");
        (self.child, self.due) = (Some(child), None);
    }

    fn thaw(&mut self) {
        if self.frozen_until.take().is_some()
            && let Some(child) = &self.child
        {
            let _ = kill_process(Pid::from_child(child), Signal::CONT);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.thaw_all();
        for role in [&mut self.serve, &mut self.track].into_iter().chain(&mut self.machines) {
            if let Some(mut child) = role.child.take() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}
