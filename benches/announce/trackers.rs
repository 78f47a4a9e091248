//! The trackers that are measured, as processes.

use super::load::{Load, SWARM, peer_ip};
use rocks::cluster::{BootAction, Host, HostName, Interface, Network, NetworkName};
use rocks::store::Store;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A tracker that runs; it ends with the value.
pub(crate) struct Tracker {
    /// What it is called.
    pub(crate) name: &'static str,
    /// How it can be announced to, here.
    pub(crate) takes: &'static [Load],
    pub(crate) address: SocketAddr,
    process: Child,
}

impl Tracker {
    /// Our own, over a cluster of this many hosts that all install.
    pub(crate) fn rocks(folder: &Path, hosts: u32) -> Self {
        let cluster = folder.join("cluster");
        make_cluster(&cluster, hosts);
        let address = free_address();
        let mut command = Command::new(env!("CARGO_BIN_EXE_rocks"));
        command.args(["track", "--listen", &address.to_string()]).env("ROCKS_CLUSTER", &cluster);
        let all = &[Load::Udp, Load::Http, Load::KeepAlive];
        let tracker = Self::start("rocks track", all, command, address).expect("rocks track starts");
        // It answers once it has read the cluster.
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("sent");
        let mut metrics = String::new();
        stream.read_to_string(&mut metrics).expect("an answer");
        assert!(metrics.contains(&format!("rocks_track_installing {hosts}\n")), "{metrics}");
        tracker
    }

    /// opentracker, with the swarm on its list: Debian's serves no other.
    pub(crate) fn opentracker(folder: &Path) -> Option<Self> {
        rustix::process::geteuid().is_root().then_some(())?;
        let (address, root) = (free_address(), folder.join("opentracker"));
        std::fs::create_dir(&root).ok()?;
        // It gives up root and looks for the list inside its folder.
        for folder in [folder, &root] {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).ok()?;
        }
        std::fs::write(root.join("whitelist"), format!("{SWARM}\n")).ok()?;
        let rules = format!(
            "listen.tcp_udp {address}\naccess.whitelist /whitelist\ntracker.rootdir {}\ntracker.user nobody\n",
            root.display()
        );
        std::fs::write(root.join("rules"), rules).ok()?;
        let mut command = Command::new("opentracker");
        command.arg("-f").arg(root.join("rules"));
        // It closes each connection behind its answer.
        Self::start("opentracker", &[Load::Udp, Load::Http], command, address)
    }

    /// aquatic's tracker for datagrams or the one for HTTP, as it is configured by itself, one thread of each kind.
    pub(crate) fn aquatic(folder: &Path, program: &'static str, takes: &'static [Load]) -> Option<Self> {
        let address = free_address();
        let configuration = folder.join(program);
        std::fs::write(&configuration, format!("[network]\naddress = \"{address}\"\n")).ok()?;
        let mut command = Command::new(program);
        command.arg("-c").arg(configuration);
        Self::start(program, takes, command, address)
    }

    fn start(name: &'static str, takes: &'static [Load], mut command: Command, address: SocketAddr) -> Option<Self> {
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let tracker = Self { name, takes, address, process };
        for _ in 0..200 {
            // What listens for datagrams alone has the port when nobody else can.
            let is_there = match takes {
                [Load::Udp] => UdpSocket::bind(address).is_err(),
                _ => TcpStream::connect(address).is_ok(),
            };
            if is_there {
                return Some(tracker);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    }

    /// The processor time that it has used, in microseconds (proc(5): fields 14 and 15, in hundredths of a second).
    pub(crate) fn cpu_micros(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("it runs");
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks: f64 = fields[11..13].iter().filter_map(|field| field.parse::<f64>().ok()).sum();
        ticks * 10_000.0
    }

    /// The memory that it has.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.process.id())).expect("it runs");
        let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
        pages.unwrap_or(0) * rustix::param::page_size() as u64
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn make_cluster(folder: &Path, hosts: u32) {
    let network = Network {
        name: NetworkName::parse("loop").expect("a plain name"),
        subnet: "127.0.0.0/16".parse().expect("a subnet"),
        mtu_bytes: 65_535,
        zone: None,
    };
    let store = Store::create(folder).expect("a new store");
    let filled = store.write("a cluster on loopback", |w| {
        w.add_network(&network)?;
        for n in 0..hosts {
            let name = HostName::parse(&format!("compute-{}-{}", n / 40, n % 40)).expect("a plain name");
            let ip = Some(peer_ip(n).into());
            let interface = Interface { name: "eth0".into(), mac: None, ip, network: Some(network.name.clone()) };
            let host = Host { rack: Some(n / 40), interfaces: vec![interface], ..Host::new(name, "compute") };
            w.add_host(&host)?;
            w.set_boot(&host.name, BootAction::Install)?;
        }
        Ok(())
    });
    filled.expect("a cluster of hosts");
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("loopback has ports")
}
