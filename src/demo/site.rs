//! The throw-away cluster: made with the real commands, as an administrator makes one. Machines have loopback addresses,
//! 127.1.0.1 and up, so that the frontend knows them apart as it does in a machine room.

use super::packages::{APPLIANCES, DistributionSpec, make_distribution};
use super::process::LIFELINE;
use super::{Demo, DemoError, Event, World};
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The name of the distribution.
pub(super) const DISTRIBUTION: &str = "demo";
/// What carries the machines' addresses.
const NETWORK: &str = "127.1.0.0/16";

/// One machine of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) appliance: &'static str,
    pub(super) address: Ipv4Addr,
}

/// A cluster in a folder, ready to serve.
#[derive(Debug)]
pub(super) struct Site {
    /// The program whose commands make and run it.
    pub(super) program: PathBuf,
    /// `--cluster`.
    pub(super) cluster: PathBuf,
    /// The folder that holds `repodata/`.
    pub(super) tree: PathBuf,
    pub(super) machines: Vec<Machine>,
}

impl Site {
    /// Makes packages, graph, appliances, hosts and the distribution.
    pub(super) fn make(demo: &Demo, folder: &Path, world: &dyn World) -> Result<Self, DemoError> {
        let site = Self {
            program: demo.program.clone(),
            cluster: folder.join("cluster"),
            tree: folder.join("distribution"),
            machines: machines(demo.machines),
        };
        world.tell(Event::Step("building packages"));
        let spec = DistributionSpec { bytes: demo.size.bytes(), ..DistributionSpec::default() };
        make_distribution(&site.tree, &spec)?;
        world.check()?;
        world.tell(Event::Step("making the cluster"));
        site.write_graph()?;
        site.rocks(&["add-network", "demo", NETWORK], "")?;
        for appliance in APPLIANCES {
            let name = appliance_name(appliance);
            site.rocks(&["add-appliance", &name, "--root", &name], "")?;
        }
        site.rocks(&["add-host", "--from", "-"], &hosts_csv(&site.machines))?;
        world.check()?;
        let tree = site.tree.display().to_string();
        site.rocks(&["add-distribution", DISTRIBUTION, &tree, "--release", "rhel9"], "")?;
        world.check()?;
        Ok(site)
    }

    /// Runs one command on the cluster to its end and gives what it printed.
    pub(super) fn rocks(&self, words: &[&str], input: &str) -> Result<String, DemoError> {
        let name = || words.join(" ");
        let fail = |error| DemoError::Start { name: name(), error };
        let mut child = Command::new(&self.program)
            .args(words)
            .arg("--cluster")
            .arg(&self.cluster)
            .env(LIFELINE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(fail)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that does not read its input may be gone by now: its status tells what happened.
            let _ = std::io::Write::write_all(&mut stdin, input.as_bytes());
        }
        let output = child.wait_with_output().map_err(fail)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let words = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("it said nothing").to_owned();
        Err(DemoError::Died { name: name(), status: output.status, words })
    }

    /// Writes the site's own graph: a root for each appliance over one node that they share.
    fn write_graph(&self) -> Result<(), DemoError> {
        let nodes = self.cluster.join("graphs/nodes");
        let mut graph = "<graph>\n".to_owned();
        write_file(&nodes.join("demo-base.xml"), BASE_NODE)?;
        for appliance in APPLIANCES {
            let name = appliance_name(appliance);
            let _ = writeln!(graph, "  <edge from=\"{name}\" to=\"demo-base\"/>");
            let node = format!("<kickstart>\n<package>@{appliance}</package>\n</kickstart>\n");
            write_file(&nodes.join(format!("{name}.xml")), &node)?;
        }
        graph.push_str("</graph>\n");
        write_file(&self.cluster.join("graphs/default/demo.xml"), &graph)
    }
}

/// What all demonstration machines share: enough for a whole Kickstart.
const BASE_NODE: &str = "\
<kickstart>
<main>
  <lang>en_US.UTF-8</lang>
  <keyboard>us</keyboard>
  <timezone>UTC</timezone>
  <rootpw>--lock</rootpw>
  <clearpart>--all --initlabel</clearpart>
  <autopart/>
  <bootloader>--location=mbr</bootloader>
  <reboot/>
</main>
<package>@core</package>
<package>@base</package>
</kickstart>
";

/// The demonstration's own appliance for one of the distribution's groups.
fn appliance_name(group: &str) -> String {
    format!("demo-{group}")
}

fn write_file(path: &Path, text: &str) -> Result<(), DemoError> {
    let folder = path.parent().expect("a file of the site is in a folder of it");
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|error| DemoError::Write { path: path.to_owned(), error })
}

/// Of eight machines six compute, one lets users in, one stores.
fn machines(count: usize) -> Vec<Machine> {
    let mut ranks = [0; APPLIANCES.len()];
    (0..count)
        .map(|i| {
            let kind = match i % 8 {
                6 => 1,
                7 => 2,
                _ => 0,
            };
            let rank = ranks[kind];
            ranks[kind] += 1;
            let [low, high] = [i % 250 + 1, i / 250].map(|part| u8::try_from(part).expect("machines are limited"));
            Machine {
                name: format!("{}-0-{rank}", APPLIANCES[kind]),
                appliance: APPLIANCES[kind],
                address: Ipv4Addr::new(127, 1, high, low),
            }
        })
        .collect()
}

/// The machines as `add-host --from` reads them.
fn hosts_csv(machines: &[Machine]) -> String {
    let mut csv = "name,appliance,rack,rank,mac,ip\n".to_owned();
    for machine in machines {
        let [_, _, high, low] = machine.address.octets();
        let rank = machine.name.rsplit('-').next().unwrap_or("0");
        let appliance = appliance_name(machine.appliance);
        let _ =
            writeln!(csv, "{},{appliance},0,{rank},02:00:7f:01:{high:02x}:{low:02x},{}", machine.name, machine.address);
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_of_three_appliances_on_loopback() {
        let sixteen = machines(16);
        assert_eq!(
            sixteen[0],
            Machine { name: "compute-0-0".into(), appliance: "compute", address: Ipv4Addr::new(127, 1, 0, 1) }
        );
        assert_eq!(sixteen[15].name, "nas-0-1");
        assert_eq!(APPLIANCES.map(|a| sixteen.iter().filter(|m| m.appliance == a).count()), [12, 2, 2]);
        assert_eq!(machines(251)[250].address, Ipv4Addr::new(127, 1, 1, 1));
        let csv = hosts_csv(&sixteen);
        assert!(csv.contains("\nnas-0-1,demo-nas,0,1,02:00:7f:01:00:10,127.1.0.16\n"), "{csv}");
    }
}
