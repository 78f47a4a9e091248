//! The servers under load: `rocks serve` over a cluster made for the occasion, and nginx over the same tree.

use rocks::cluster::DistributionName;
use rocks::demo::packages::{DistributionSpec, make_distribution};
use rocks::store::Store;
use rocks::torrent::Metainfo;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program under test.
const ROCKS: &str = env!("CARGO_BIN_EXE_rocks");
/// Files beside the packages, for the file rows: name and size in bytes.
pub(crate) const FILES: [(&str, usize); 3] =
    [("images/10k.img", 10_000), ("images/1m.img", 1_000_000), ("images/100m.img", 100_000_000)];

/// A cluster of hosts on loopback addresses, with one small distribution.
pub(crate) struct Cluster {
    folder: PathBuf,
}

/// A server that runs until this is dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// The loopback address of host number `n`.
pub(crate) fn host_address(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 2, 0, 0)) + n + 1)
}

impl Cluster {
    /// Makes the cluster with so many hosts, all told to install.
    pub(crate) fn make(folder: &Path, hosts: u32) -> Self {
        let cluster = Self { folder: folder.to_owned() };
        let tree = cluster.tree();
        let spec = DistributionSpec { bytes: 1 << 20, packages: 12, ..DistributionSpec::default() };
        make_distribution(&tree, &spec).expect("the distribution can be made");
        for (name, bytes) in FILES {
            let file = tree.join(name);
            std::fs::create_dir_all(file.parent().expect("the name has a folder")).expect("the folder can be made");
            let content: Vec<u8> = (0..bytes).map(|i| ((i * 2_654_435_761) >> 11) as u8).collect();
            std::fs::write(file, content).expect("the file can be written");
        }
        let mut csv = String::from("name,appliance,mac,ip\n");
        for n in 0..hosts {
            let [_, b, c, d] = host_address(n).octets();
            writeln!(csv, "compute-{}-{},compute,52:54:00:{b:02x}:{c:02x}:{d:02x},{}", n / 40, n % 40, host_address(n))
                .expect("a String takes all");
        }
        cluster.rocks(&["add-network", "loopback", "127.0.0.0/8"], "");
        cluster.rocks(&["add-host", "--from", "-"], &csv);
        let tree = tree.to_str().expect("the folder's name is text").to_owned();
        cluster.rocks(&["add-distribution", "herd", &tree, "--release", "rhel9"], "");
        cluster.rocks(&["set-boot", "@compute", "install"], "");
        cluster
    }

    /// The distribution's folder.
    pub(crate) fn tree(&self) -> PathBuf {
        self.folder.join("tree")
    }

    /// The distribution's metainfo.
    pub(crate) fn metainfo(&self) -> Metainfo {
        let store = Store::open(&self.folder.join("cluster")).expect("the cluster was made");
        let name = DistributionName::parse("herd").expect("a name");
        let bytes = store.read(|reader| reader.metainfo(&name)).expect("the store can be read");
        Metainfo::parse(&bytes.expect("it was published")).expect("rocks wrote it")
    }

    /// Where the seed of the server that was started last listens, as its log says.
    pub(crate) fn seed_address(&self) -> SocketAddr {
        let begin = Instant::now();
        loop {
            let log = std::fs::read_to_string(self.folder.join("serve.log")).expect("the server has a log");
            let line = log.lines().find(|line| line.contains("event=serving"));
            if let Some(at) = line.and_then(|line| line.split_whitespace().find_map(|word| word.strip_prefix("peers=")))
            {
                return at.parse().expect("an address");
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "the server does not say where its seed listens");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn rocks(&self, words: &[&str], input: &str) {
        let mut child = Command::new(ROCKS)
            .args(words)
            .env("ROCKS_CLUSTER", self.folder.join("cluster"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("rocks starts");
        child.stdin.take().expect("stdin is a pipe").write_all(input.as_bytes()).expect("rocks reads its input");
        assert!(child.wait().expect("rocks ends").success(), "rocks {} failed", words.join(" "));
    }

    /// Starts `rocks serve`.
    pub(crate) fn serve(&self, more: &[&str]) -> Server {
        let address = free_address();
        let mut command = Command::new(ROCKS);
        command.args(["serve", "--listen", &address.to_string(), "--peer-port", "0"]).args(more);
        command.env("ROCKS_CLUSTER", self.folder.join("cluster"));
        command.stderr(std::fs::File::create(self.folder.join("serve.log")).expect("the log can be made"));
        Server::start(command, address)
    }

    /// Starts nginx over the same tree, `sendfile` on; none where it is not installed.
    pub(crate) fn nginx(&self) -> Option<Server> {
        let address = free_address();
        let folder = self.folder.join(format!("nginx-{}", address.port()));
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        let conf = folder.join("nginx.conf");
        let text = format!(
            "daemon off; worker_processes 2; pid {0}/pid; error_log {0}/error.log; {1}\n\
             events {{ worker_connections 16384; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; \
             client_body_temp_path {0}/b; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s; \
             server {{ listen {address} backlog=4096; root {2}; }} }}\n",
            folder.display(),
            if rustix::process::getuid().is_root() { "user root;" } else { "" },
            self.tree().display(),
        );
        std::fs::write(&conf, text).expect("the file can be written");
        let version = Command::new("nginx").arg("-v").stderr(Stdio::null()).status();
        if !version.is_ok_and(|status| status.success()) {
            return None;
        }
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&conf).stderr(Stdio::null());
        Some(Server::start(command, address))
    }
}

impl Server {
    fn start(mut command: Command, address: SocketAddr) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the server starts");
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(child.try_wait().expect("the server is ours").is_none(), "the server ended at once");
            assert!(begin.elapsed() < Duration::from_secs(20), "the server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, address }
    }

    /// CPU seconds that the server and its children have used.
    pub(crate) fn cpu_secs(&self) -> f64 {
        let ticks: u64 = self.processes().iter().filter_map(|pid| ticks_of(*pid)).sum();
        ticks as f64 / rustix::param::clock_ticks_per_second() as f64
    }

    /// The largest resident memory of the server's own process so far, in MB.
    pub(crate) fn peak_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(0.0) * 1024.0 / 1e6
    }

    fn processes(&self) -> Vec<u32> {
        let own = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        std::iter::once(own).chain(children.split_whitespace().filter_map(|pid| pid.parse().ok())).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

/// User and system time of a process in clock ticks (fields 14 and 15 of proc(5)'s stat).
fn ticks_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("loopback has a free port")
}
