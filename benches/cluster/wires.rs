//! A switched cluster out of network namespaces: one is the switch, one the frontend, one each machine. Every link is a
//! veth pair with a token bucket at both ends, so that it carries its rate in each direction at the same time. Dropping
//! it ends what runs inside and removes the namespaces.

use anyhow::{Context, Result, ensure};
use rocks::cluster::Rate;
use std::net::Ipv4Addr;
use std::process::Command;

/// Machines at most: their addresses are 10.1.2.1 and up.
pub(crate) const MACHINES_MAX: usize = 500;
/// What our namespaces' names begin with.
const PREFIX: &str = "rocks-";
/// The switch's namespace.
const SWITCH: &str = "rocks-switch";
/// The frontend's namespace.
pub(crate) const FRONTEND: &str = "rocks-frontend";
/// Where the frontend is.
pub(crate) const FRONTEND_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 1);
/// The longest that a packet waits in a port's queue.
const QUEUE: &str = "50ms";

/// The net; there can be one at a time.
pub(crate) struct Wires {
    /// Those that race; others have the numbers behind them.
    pub(crate) machines: usize,
    pub(crate) others: usize,
    pub(crate) rate: Rate,
}

/// A machine's namespace.
pub(crate) fn namespace(machine: usize) -> String {
    format!("{PREFIX}{machine}")
}

/// A machine's address.
pub(crate) fn address(machine: usize) -> Ipv4Addr {
    let [high, low] =
        [2 + machine / 250, 1 + machine % 250].map(|part| u8::try_from(part).expect("machines are limited"));
    Ipv4Addr::new(10, 1, high, low)
}

/// Runs a command to its end; its error is ours.
fn run(words: &[&str]) -> Result<String> {
    let output =
        Command::new(words[0]).args(&words[1..]).output().with_context(|| format!("cannot start {}", words[0]))?;
    ensure!(output.status.success(), "{}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Wires {
    /// Builds the net, in the place of one that an earlier run may have left.
    pub(crate) fn up(machines: usize, others: usize, rate: Rate) -> Result<Self> {
        let wires = Self { machines, others, rate };
        clear();
        // The kernel counts the neighbours of all namespaces together: a mesh of 128 has more than 16,000.
        for (threshold, entries) in [(1, 65_536), (2, 131_072), (3, 262_144)] {
            run(&["sysctl", "-qw", &format!("net.ipv4.neigh.default.gc_thresh{threshold}={entries}")])?;
        }
        run(&["ip", "netns", "add", SWITCH])?;
        run(&["ip", "-n", SWITCH, "link", "set", "lo", "up"])?;
        run(&["ip", "-n", SWITCH, "link", "add", "br0", "type", "bridge"])?;
        run(&["ip", "-n", SWITCH, "link", "set", "br0", "up"])?;
        wires.host(FRONTEND, "frontend", FRONTEND_ADDRESS)?;
        for machine in 0..machines + others {
            wires.host(&namespace(machine), &format!("port{machine}"), address(machine))?;
        }
        Ok(wires)
    }

    fn host(&self, namespace: &str, port: &str, address: Ipv4Addr) -> Result<()> {
        run(&["ip", "netns", "add", namespace])?;
        run(&["ip", "-n", SWITCH, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace])?;
        run(&["ip", "-n", SWITCH, "link", "set", port, "addrgenmode", "none", "master", "br0", "up"])?;
        for device in ["lo", "eth0"] {
            run(&["ip", "-n", namespace, "link", "set", device, "addrgenmode", "none"])?;
            run(&["ip", "-n", namespace, "link", "set", device, "up"])?;
        }
        run(&["ip", "-n", namespace, "addr", "add", &format!("{address}/16"), "dev", "eth0"])?;
        self.limit(namespace, "eth0")?;
        self.limit(SWITCH, port)
    }

    fn limit(&self, namespace: &str, device: &str) -> Result<()> {
        let rate = format!("{}bit", self.rate.bytes_per_sec() * 8);
        // Two milliseconds of the rate, and at least two of the largest segments, so that none is dropped for its size.
        let burst = (self.rate.bytes_per_sec() / 500).max(128 << 10).to_string();
        let words =
            ["tc", "-n", namespace, "qdisc", "replace", "dev", device, "root", "tbf", "rate", &rate, "burst", &burst];
        run(&[&words[..], &["latency", QUEUE]].concat()).map(drop)
    }

    /// Bytes that the frontend has put on its link, headers and all.
    pub(crate) fn frontend_bytes(&self) -> Result<u64> {
        let file = "/sys/class/net/eth0/statistics/tx_bytes";
        Ok(run(&["ip", "netns", "exec", FRONTEND, "cat", file])?.trim().parse()?)
    }

    /// Bytes that went through the machines' links, both ways together.
    pub(crate) fn machine_bytes(&self) -> Result<u64> {
        let read = "cat /sys/class/net/port*/statistics/?x_bytes";
        let text = run(&["ip", "netns", "exec", SWITCH, "sh", "-c", read])?;
        Ok(text.split_whitespace().filter_map(|word| word.parse::<u64>().ok()).sum())
    }
}

/// Ends what runs in our namespaces and removes them, whoever made them.
pub(crate) fn clear() {
    let list = run(&["ip", "netns", "list"]).unwrap_or_default();
    for name in list.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| name.starts_with(PREFIX)) {
        for pid in run(&["ip", "netns", "pids", name]).unwrap_or_default().split_whitespace() {
            let pid = pid.parse().ok().and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid.filter(|pid| *pid != rustix::process::getpid()) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        let _ = run(&["ip", "netns", "del", name]);
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        clear();
    }
}
