//! The kinds of peer: how each one's daemons and clients are started, and where it puts what it got.

use crate::race::daemon;
use crate::wires::{FRONTEND, FRONTEND_ADDRESS, MACHINES_MAX, address};
use anyhow::{Context, Result, bail, ensure};
use rocks::cluster::{ByteSize, DistributionName};
use rocks::demo::packages::{DistributionSpec, make_distribution};
use rocks::demo::process::Process;
use rocks::store::Store;
use rocks::torrent::{InfoHash, Metainfo};
use std::fmt::Write;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The program under test.
const ROCKS: &str = env!("CARGO_BIN_EXE_rocks");
/// The libtorrent client.
const LIBTORRENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/cluster/lt_peer.py");
/// Where a machine's installer asks, and for what.
pub(crate) const DOOR: &str = "127.0.0.1:8000";
pub(crate) const DISTRIBUTION: &str = "bench";
/// How long a daemon may take to answer.
const READY: Duration = Duration::from_secs(20);
/// How long a stock seeder gets to check its data and find the tracker.
const SEEDER_HEAD_START: Duration = Duration::from_secs(3);

/// A kind of peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Rocks,
    Http,
    Aria2,
    Transmission,
    Libtorrent,
}

/// What everybody gets: the same files for all kinds, as a folder, a torrent and a rocks cluster.
pub(crate) struct Bytes {
    pub(crate) total: u64,
    tree: PathBuf,
    /// All files in the order of their names, with their lengths.
    pub(crate) files: Vec<(String, u64)>,
    torrent: PathBuf,
    cluster: PathBuf,
}

impl Bytes {
    /// Makes them in a new folder.
    pub(crate) fn make(tree: &Path, size: ByteSize, packages: Option<usize>) -> Result<Self> {
        let usual = DistributionSpec::default();
        let packages = packages.unwrap_or(usual.packages);
        make_distribution(tree, &DistributionSpec { bytes: size.bytes(), packages, ..usual })?;
        let mut files = Vec::new();
        walk(tree, tree, &mut files)?;
        let torrent = tree.with_extension("torrent");
        let mut words = vec!["-p".to_owned(), "-l".into(), "18".into(), "-o".into(), torrent.display().to_string()];
        words.extend(["-a".into(), format!("http://{FRONTEND_ADDRESS}:6969/announce"), tree.display().to_string()]);
        if Command::new("mktorrent").args(&words).stdout(Stdio::null()).status().is_err() {
            std::fs::write(&torrent, "")?; // no stock swarm will run
        }
        let cluster = tree.with_extension("cluster");
        Ok(Self { total: files.iter().map(|(_, size)| size).sum(), tree: tree.to_owned(), files, torrent, cluster })
    }

    /// The swarm of the rocks cluster, once that is made.
    pub(crate) fn info_hash(&self) -> Result<InfoHash> {
        let store = Store::open(&self.cluster)?;
        let metainfo = store.read(|reader| reader.metainfo(&DistributionName::parse(DISTRIBUTION).expect("a name")))?;
        Ok(Metainfo::parse(&metainfo.context("it was published")?)?.info_hash())
    }

    fn make_cluster(&self) -> Result<()> {
        let mut csv = "name,appliance,rack,rank,mac,ip\n".to_owned();
        for machine in 0..MACHINES_MAX {
            let address = address(machine);
            let [_, _, high, low] = address.octets();
            writeln!(csv, "compute-0-{machine},compute,0,{machine},02:00:0a:01:{high:02x}:{low:02x},{address}")?;
        }
        self.rocks(&["add-host", "--from", "-"], &csv)?;
        self.rocks(&["add-distribution", DISTRIBUTION, &self.tree.display().to_string(), "--release", "rhel9"], "")
    }

    /// Runs one command on the cluster.
    fn rocks(&self, words: &[&str], input: &str) -> Result<()> {
        let mut command = Command::new(ROCKS);
        command.args(words).env("ROCKS_CLUSTER", &self.cluster).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn()?;
        child.stdin.take().context("stdin is a pipe")?.write_all(input.as_bytes())?;
        ensure!(child.wait()?.success(), "rocks {} failed", words.join(" "));
        Ok(())
    }

    fn parent(&self) -> &Path {
        self.tree.parent().expect("the tree is in our folder")
    }
}

/// Where a machine of ours whose home this is writes its Kickstart file.
pub(crate) fn kickstart(home: &Path) -> PathBuf {
    home.join("ks.cfg")
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<(String, u64)>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(root, &entry.path(), files)?;
        } else {
            files.push((entry.path().strip_prefix(root)?.display().to_string(), entry.metadata()?.len()));
        }
    }
    files.sort();
    Ok(())
}

impl Peer {
    pub(crate) const ALL: [Self; 5] = [Self::Rocks, Self::Http, Self::Aria2, Self::Transmission, Self::Libtorrent];

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rocks => "rocks",
            Self::Http => "http",
            Self::Aria2 => "aria2",
            Self::Transmission => "transmission",
            Self::Libtorrent => "libtorrent",
        }
    }

    /// Its name in the table.
    pub(crate) fn told(self) -> &'static str {
        match self {
            Self::Rocks => "rocks",
            Self::Http => "HTTP only (nginx, curl)",
            Self::Aria2 => "aria2 swarm",
            Self::Transmission => "transmission swarm",
            Self::Libtorrent => "libtorrent swarm",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|peer| peer.name() == text)
            .with_context(|| format!("no kind of peer is called '{text}'"))
    }

    /// A program that it needs and that is not there.
    pub(crate) fn missing(self) -> Option<&'static str> {
        let needs: &[&str] = match self {
            Self::Rocks => &["curl"],
            Self::Http => &["nginx", "curl"],
            Self::Aria2 => &["aria2c", "opentracker", "mktorrent"],
            Self::Transmission => &["transmission-cli", "opentracker", "mktorrent"],
            Self::Libtorrent => &["/usr/bin/python3", "opentracker", "mktorrent"],
        };
        let is_there = |program: &&&str| {
            Command::new("sh")
                .args(["-c", "command -v \"$0\"", program])
                .stdout(Stdio::null())
                .status()
                .is_ok_and(|s| s.success())
        };
        needs.iter().find(|program| !is_there(program)).copied()
    }

    /// Starts what the frontend offers, and waits until it answers.
    pub(crate) fn start_daemons(self, machines: usize, bytes: &Bytes, folder: &Path) -> Result<Vec<Process>> {
        match self {
            Self::Rocks => {
                if !bytes.cluster.exists() {
                    bytes.make_cluster()?;
                }
                bytes.rocks(&["set-boot", &format!("compute-0-[0-{}]", machines - 1), "install"], "")?;
                let cluster = bytes.cluster.display().to_string();
                let track =
                    daemon(folder, "track", &[ROCKS, "track", "--listen", "10.1.1.1:6969", "--cluster", &cluster])?;
                let words = [ROCKS, "serve", "--listen", "10.1.1.1:80", "--peer-port", "6881", "--cluster", &cluster];
                let mut daemons = vec![track, daemon(folder, "serve", &words)?];
                wait_for(&[6969, 80], &mut daemons)?;
                Ok(daemons)
            }
            Self::Http => {
                let conf = folder.join("nginx.conf");
                std::fs::write(&conf, nginx_conf(&bytes.tree, folder))?;
                let mut daemons =
                    vec![daemon(folder, "nginx", &["nginx", "-c", &conf.display().to_string(), "-e", "stderr"])?];
                wait_for(&[80], &mut daemons)?;
                Ok(daemons)
            }
            Self::Aria2 | Self::Transmission | Self::Libtorrent => {
                let mut daemons = vec![open_tracker(bytes, folder)?];
                wait_for(&[6969], &mut daemons)?;
                let home = folder.join("seed");
                std::fs::create_dir(&home)?;
                let words = self.swarm_words(bytes, &home, bytes.parent(), &home.join("done"))?;
                daemons.push(daemon(folder, "seed", &words.iter().map(String::as_str).collect::<Vec<_>>())?);
                std::thread::sleep(SEEDER_HEAD_START);
                Ok(daemons)
            }
        }
    }

    /// The words of one machine's client: it writes `done` when it has everything, and serves on.
    pub(crate) fn client(self, machine: usize, bytes: &Bytes, home: &Path, done: &Path) -> Result<Vec<String>> {
        let path = |path: &Path| path.display().to_string();
        Ok(match self {
            Self::Rocks => {
                let (cache, kickstart, done) = (path(&home.join("cache")), path(&kickstart(home)), path(done));
                let words = [ROCKS, "fetch", "--frontend", "http://10.1.1.1", "--everything", "--cache", &cache];
                let bind = address(machine).to_string();
                let rest = ["--kickstart", &kickstart, "--summary", &done, "--bind", &bind, "--proxy", DOOR];
                words.iter().chain(&rest).map(|&word| word.to_owned()).collect()
            }
            Self::Http => {
                let mut list = String::new();
                for (file, _) in &bytes.files {
                    let target = home.join("data").join(file);
                    writeln!(list, "url = \"http://10.1.1.1/{file}\"\noutput = \"{}\"", target.display())?;
                }
                let conf = home.join("curl.conf");
                std::fs::write(&conf, list)?;
                // Three connections: what dnf opens.
                let script =
                    "curl -sSf --create-dirs --parallel --parallel-max 3 -K \"$0\" && : > \"$1\" && exec sleep 100000";
                ["sh".into(), "-c".into(), script.into(), path(&conf), path(done)].to_vec()
            }
            _ => {
                let data = home.join("data");
                std::fs::create_dir(&data)?;
                self.swarm_words(bytes, home, &data, done)?
            }
        })
    }

    /// The words of a stock client that has its data in `data`.
    fn swarm_words(self, bytes: &Bytes, home: &Path, data: &Path, done: &Path) -> Result<Vec<String>> {
        let path = |path: &Path| path.display().to_string();
        let hook = home.join("hook");
        std::fs::write(&hook, format!("#!/bin/sh\n: > '{}'\n", done.display()))?;
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755))?;
        let (torrent, data, hook) = (path(&bytes.torrent), path(data), path(&hook));
        let words: Vec<String> = match self {
            Self::Aria2 => [
                "aria2c",
                "--quiet",
                "--enable-dht=false",
                "--enable-dht6=false",
                "--bt-enable-lpd=false",
                "--enable-peer-exchange=false",
                "--listen-port=6881",
                "--file-allocation=none",
                "--seed-ratio=0.0",
                "--check-integrity=true",
                "--on-bt-download-complete",
                &hook,
                "--dir",
                &data,
                &torrent,
            ]
            .map(str::to_owned)
            .to_vec(),
            Self::Transmission => {
                let settings =
                    "{\"dht-enabled\":false,\"lpd-enabled\":false,\"pex-enabled\":false,\"utp-enabled\":false}";
                std::fs::write(home.join("settings.json"), settings)?;
                ["transmission-cli", "-M", "-p", "6881", "-g", &path(home), "-f", &hook, "-w", &data, &torrent]
                    .map(str::to_owned)
                    .to_vec()
            }
            Self::Libtorrent => {
                ["/usr/bin/python3", LIBTORRENT, &torrent, &data, &path(done)].map(str::to_owned).to_vec()
            }
            Self::Rocks | Self::Http => bail!("{} is no stock swarm", self.told()),
        };
        // What a client keeps for itself goes to its own folder.
        Ok([vec!["env".into(), format!("HOME={}", home.display())], words].concat())
    }

    /// Fails unless a machine that says it is done has every byte.
    pub(crate) fn check_data(self, home: &Path, bytes: &Bytes) -> Result<()> {
        let root = match self {
            // Each piece and package was verified before the summary was written, which tells how many bytes came.
            Self::Rocks => {
                let summary: serde_json::Value = serde_json::from_slice(&std::fs::read(home.join("done"))?)?;
                let came: u64 = ["frontend_bytes", "peer_bytes"].iter().filter_map(|key| summary[key].as_u64()).sum();
                ensure!(came >= bytes.total, "only {came} of {} bytes came", bytes.total);
                return Ok(());
            }
            Self::Http => home.join("data"),
            _ => home.join("data/tree"),
        };
        for (file, _) in &bytes.files {
            let same = std::fs::read(root.join(file)).with_context(|| format!("'{file}'"))?
                == std::fs::read(bytes.tree.join(file))?;
            ensure!(same, "'{file}' differs");
        }
        Ok(())
    }
}

/// Debian's opentracker serves only the torrents of a list, which it looks up inside its own root.
fn open_tracker(bytes: &Bytes, folder: &Path) -> Result<Process> {
    let root = folder.join("tracker");
    std::fs::create_dir(&root)?;
    let metainfo = Metainfo::parse(&std::fs::read(&bytes.torrent)?)?;
    std::fs::write(root.join("whitelist.txt"), format!("{}\n", metainfo.info_hash()))?;
    let conf = format!(
        "listen.tcp_udp 10.1.1.1:6969\naccess.whitelist /whitelist.txt\ntracker.rootdir {}\ntracker.user nobody\n",
        root.display()
    );
    std::fs::write(root.join("conf"), conf)?;
    daemon(folder, "opentracker", &["opentracker", "-f", &root.join("conf").display().to_string()])
}

fn nginx_conf(tree: &Path, folder: &Path) -> String {
    let (tree, folder) = (tree.display(), folder.display());
    format!(
        "daemon off; pid {folder}/nginx.pid; error_log stderr; worker_processes 2; user root;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000;\n\
         client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fcgi;\n\
         uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n\
         server {{ listen 10.1.1.1:80 backlog=4096; root {tree}; }}\n}}\n"
    )
}

/// Waits until somebody listens at these ports of the frontend.
fn wait_for(ports: &[u16], daemons: &mut [Process]) -> Result<()> {
    let deadline = Instant::now() + READY;
    for port in ports {
        let knock = format!(": < /dev/tcp/{FRONTEND_ADDRESS}/{port}");
        let knocks = || {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", FRONTEND, "bash", "-c", &knock]).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        while !knocks() {
            daemons.iter_mut().try_for_each(Process::check)?;
            ensure!(Instant::now() < deadline, "nobody answers at port {port} of the frontend");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}
