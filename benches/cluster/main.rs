//! The cluster on emulated links: `cargo bench --bench cluster -- [--machines N] [--rate R] [--size S] [--runs K]
//! [--packages P] [--peers rocks,http,aria2,transmission,libtorrent] [--limit SECS] [--output DIR]`, or `-- --pairs K` for
//! one machine alone beside plain HTTP. While rocks is measured: with `--liars L` so many machines more are peers that lie (or those named: `wrong,silent`);
//! with `--frozen F` so many more stand still from when they have their documents, before the others begin; with
//! `--installer C` each machine has an installer that takes everything through its proxy over C connections (3, as dnf).
//!
//! Builds network namespaces on a bridge, one for the frontend and one a machine, with links limited both ways by tc, and
//! lets all machines install the same bytes: the real `rocks serve`, `track` and N times `fetch --everything`; then, in
//! the same run on the same net, nginx with curl, and swarms of aria2, transmission and libtorrent (an unpadded torrent,
//! opentracker). Prints a table, draws the frontend's traffic over time. A plain ring of transfers stands beside it: a run
//! says something about a swarm only where the net itself gives every machine its link. all/one compares each kind with
//! one machine of its own; all/line with what the link needs for the bytes, so that a slow start does not flatter.
//!
//! Needs root (namespaces) and the peers it is told to run; peers that are not installed are named and left out. What
//! it started is gone when it ends, also after Ctrl-C, and after `kill -9` of this program. Debian's packages for all of it: iproute2 aria2 transmission-cli
//! python3-libtorrent opentracker mktorrent nginx-light curl.

#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]

mod cost;
mod installer;
mod liars;
mod lone;
mod peers;
mod race;
mod ring;
mod watcher;
mod wires;

use anyhow::{Context, Result, bail, ensure};
use liars::Kind;
use peers::{Bytes, Peer};
use race::{Finish, Those};
use rocks::cluster::{ByteSize, Rate};
use rocks::draw::{Page, Run, Traffic};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wires::Wires;

/// What is to be measured.
struct Options {
    machines: usize,
    rate: Rate,
    size: ByteSize,
    runs: usize,
    peers: Vec<Peer>,
    limit: Duration,
    output: PathBuf,
    liars: Vec<Kind>,
    /// Machines that stand still.
    frozen: usize,
    /// Packages, where it is not as many as usual.
    packages: Option<usize>,
    /// Connections of each machine's installer; none without installers.
    installer: Option<usize>,
    /// Pairs of one machine alone, instead of a race of all.
    pairs: Option<usize>,
}

impl Options {
    fn parse(words: &[String]) -> Result<Self> {
        let mut options = Self {
            machines: 16,
            rate: Rate::parse("100mbit")?,
            size: ByteSize::parse("34MB")?,
            runs: 3,
            peers: Peer::ALL.to_vec(),
            limit: Duration::from_secs(300),
            output: ".".into(),
            liars: Vec::new(),
            frozen: 0,
            packages: None,
            installer: None,
            pairs: None,
        };
        let mut words = words.iter().filter(|word| *word != "--bench");
        while let Some(word) = words.next() {
            let value = words.next().with_context(|| format!("'{word}' has no value"))?;
            match word.as_str() {
                "--machines" => options.machines = value.parse()?,
                "--rate" => options.rate = value.parse()?,
                "--size" => options.size = value.parse()?,
                "--runs" => options.runs = value.parse()?,
                "--peers" => options.peers = value.split(',').map(Peer::parse).collect::<Result<_>>()?,
                "--limit" => options.limit = Duration::from_secs(value.parse()?),
                "--output" => options.output = value.into(),
                "--liars" => options.liars = Kind::parse_list(value)?,
                "--frozen" => options.frozen = value.parse()?,
                "--packages" => options.packages = Some(value.parse()?),
                "--installer" => options.installer = Some(value.parse()?),
                "--pairs" => options.pairs = Some(value.parse()?),
                _ => bail!("'{word}' is no option; they stand at the head of benches/cluster/main.rs"),
            }
        }
        let hosts = options.machines + options.liars.len() + options.frozen;
        ensure!(options.machines > 0 && hosts <= wires::MACHINES_MAX, "1 to {} machines", wires::MACHINES_MAX);
        ensure!(options.runs >= 1 && options.pairs != Some(0), "at least one run");
        ensure!(options.installer != Some(0), "an installer has a connection");
        Ok(options)
    }
}

/// A row of the table: the median of the runs, and the picture of the last one.
struct Row {
    peer: Peer,
    one_secs: f64,
    all: Vec<race::Outcome>,
    copy_bytes: f64,
    /// What the link alone needs for one machine's bytes.
    line_secs: f64,
}

impl Row {
    fn all_secs(&self) -> f64 {
        median(self.all.iter().map(|all| all.secs))
    }

    fn copies(&self) -> f64 {
        median(self.all.iter().map(|all| all.frontend_bytes as f64)) / self.copy_bytes
    }

    /// Whether a run was stopped before all had everything.
    fn is_stopped(&self) -> bool {
        self.all.iter().any(|all| matches!(all.finish, Finish::Stopped { .. }))
    }

    /// A client's processor time is told for each GB on its link, both ways together.
    fn cells(&self) -> Vec<String> {
        let least = if self.is_stopped() { ">" } else { "" };
        let each = |all: &race::Outcome| match all.finish {
            Finish::Complete => format!("{:.1}", all.secs),
            Finish::Stopped { done } => format!("stopped at {:.0} with {done} done", all.secs),
        };
        let spread: Vec<String> = self.all.iter().map(each).collect();
        let busy = median(self.all.iter().map(|all| all.busy_share)) * 100.0;
        let peak = median(self.all.iter().map(|all| all.peak_bytes as f64)) / 1e6;
        let twice = self.all.iter().filter_map(|all| all.twice_share).reduce(f64::max);
        vec![
            self.peer.told().into(),
            format!("{:.2}", self.one_secs),
            format!("{least}{:.2}", self.all_secs()),
            format!("{least}{:.3}", self.all_secs() / self.one_secs),
            format!("{least}{:.3}", self.all_secs() / self.line_secs),
            format!("{least}{:.2}", self.copies()),
            spread.join(" "),
            format!("{busy:.0} %"),
            format!("{:.2}", median(self.all.iter().map(|all| all.cpu_secs_per_gb))),
            format!("{peak:.0}"),
            twice.map_or_else(String::new, |twice| format!("{:.2} %", twice * 100.0)),
            most(self.all.iter().map(|all| all.told_secs)),
            most(self.all.iter().map(|all| all.waited_secs)),
        ]
    }
}

/// Seconds at most, of runs that tell.
fn most(secs: impl Iterator<Item = Option<f64>>) -> String {
    secs.flatten().reduce(f64::max).map_or_else(String::new, |secs| format!("{secs:.2}"))
}

/// The table's headings.
const HEADINGS: [&str; 13] = [
    "how",
    "one s",
    "all s",
    "all/one",
    "all/line",
    "copies",
    "each run s",
    "CPU busy",
    "client's CPU s/GB",
    "client's peak MB",
    "came twice",
    "last Kickstart file s",
    "installer's longest wait s",
];

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if race::waits_at_the_gate(&words)?
        || ring::is_a_link_of_it(&words)?
        || liars::is_one_of_them(&words)?
        || installer::is_one_of_them(&words)?
        || watcher::is_it(&words)?
    {
        return Ok(());
    }
    let options = Options::parse(&words)?;
    ensure!(rustix::process::geteuid().is_root(), "network namespaces need root: run this as root or with sudo");
    let interrupted = rocks::net::look::interruption()?;
    let folder = tempfile::Builder::new().prefix("rocks-cluster-").tempdir()?;
    let watcher = watcher::Watcher::start(folder.path())?;
    // Daemons that give up root read what lies here.
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let measured = measure(&options, folder.path(), &interrupted);
    folder.close()?;
    drop(watcher);
    measured
}

fn measure(options: &Options, folder: &Path, interrupted: &AtomicBool) -> Result<()> {
    let Options { machines, rate, size, .. } = options;
    let bytes = Bytes::make(&folder.join("tree"), *size, options.packages)?;
    if let Some(pairs) = options.pairs {
        let wires = Wires::up(1, 0, *rate)?;
        println!("one machine, a link of {rate} both ways, {}", ByteSize::from_bytes(bytes.total));
        let place = Place { options, bytes: &bytes, wires: &wires, folder, interrupted };
        return lone::pairs(pairs, place.line(), |peer, number| place.run(peer, 1, number));
    }
    let wires = Wires::up(*machines, options.liars.len() + options.frozen, *rate)?;
    println!(
        "{machines} machines, links of {rate} both ways, {} each, median of {}",
        ByteSize::from_bytes(bytes.total),
        options.runs
    );
    let ring = ring::check(&wires, folder)?;
    println!("ring of plain transfers: {ring}");
    if !ring.is_good() {
        println!("the net does not carry its rate: what follows says more about this machine than about swarms");
    }
    let mut rows = Vec::new();
    for peer in &options.peers {
        if let Some(missing) = peer.missing() {
            println!("{}: left out, '{missing}' is not installed", peer.told());
            continue;
        }
        rows.push(row(*peer, &Place { options, bytes: &bytes, wires: &wires, folder, interrupted })?);
        let row = &rows[rows.len() - 1];
        for (what, times) in row.all.iter().flat_map(|all| &all.told) {
            println!("{times} times: {what}");
        }
        println!(
            "{}",
            HEADINGS
                .iter()
                .zip(row.cells())
                .map(|(name, cell)| format!("{name} {cell}"))
                .collect::<Vec<_>>()
                .join(" | ")
        );
    }
    print_table(&rows);
    draw(options, &rows, &ring)
}

/// Where runs are run.
struct Place<'a> {
    options: &'a Options,
    bytes: &'a Bytes,
    wires: &'a Wires,
    folder: &'a Path,
    interrupted: &'a AtomicBool,
}

impl Place<'_> {
    fn run(&self, peer: Peer, machines: usize, number: usize) -> Result<race::Outcome> {
        ensure!(!self.interrupted.load(Ordering::Relaxed), "interrupted");
        let folder = self.folder.join(format!("{}-{machines}-{number}", peer.name()));
        std::fs::create_dir(&folder)?;
        let Options { ref liars, frozen, installer, .. } = *self.options;
        let are_there = peer == Peer::Rocks && machines == self.options.machines;
        let those = if are_there { Those { machines, liars, frozen, installer } } else { Those::alone(machines) };
        let outcome = race::run(peer, those, self.bytes, self.wires, &folder, self.options.limit, self.interrupted);
        let removed = std::fs::remove_dir_all(&folder);
        let outcome = outcome.with_context(|| format!("{}, {machines} machines", peer.told()))?;
        removed?;
        Ok(outcome)
    }

    /// What the link alone needs for one machine's bytes.
    fn line(&self) -> Duration {
        let rate = self.options.rate.bytes_per_sec() as f64 * ring::PAYLOAD_SHARE;
        Duration::from_secs_f64(self.bytes.total as f64 / rate)
    }
}

fn row(peer: Peer, place: &Place<'_>) -> Result<Row> {
    let options = place.options;
    let ones = (0..options.runs).map(|number| place.run(peer, 1, number)).collect::<Result<Vec<_>>>()?;
    // Runs over HTTP are all alike, and long.
    let runs = if peer == Peer::Http { 1 } else { options.runs };
    let all = (0..runs).map(|number| place.run(peer, options.machines, number)).collect::<Result<Vec<_>>>()?;
    Ok(Row {
        peer,
        one_secs: median(ones.iter().map(|one| one.secs)),
        all,
        // What one copy is on the wire, headers and all, differs by peer: what one machine alone took.
        copy_bytes: median(ones.iter().map(|one| one.frontend_bytes as f64)),
        line_secs: place.line().as_secs_f64(),
    })
}

fn print_table(rows: &[Row]) {
    let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
    let line = |cells: &[String]| println!("| {} |", cells.join(" | "));
    println!();
    line(&HEADINGS.map(str::to_owned));
    line(&HEADINGS.map(|_| "---".to_owned()));
    cells.iter().for_each(|cells| line(cells));
}

fn draw(options: &Options, rows: &[Row], ring: &ring::Ring) -> Result<()> {
    let runs = rows.iter().map(|row| {
        let last = &row.all[row.all.len() - 1];
        Run {
            name: row.peer.told().into(),
            note: format!("{:.2} x one machine, {:.2} copies", row.all_secs() / row.one_secs, row.copies()),
            end_secs: (!row.is_stopped()).then_some(last.secs),
            samples: last.samples.clone(),
            taken: Vec::new(),
        }
    });
    let traffic = Traffic {
        title: "What left the frontend".into(),
        subtitle: format!(
            "{} machines on emulated links of {} both ways, {} each",
            options.machines, options.rate, options.size
        ),
        link_bits_per_sec: Some(options.rate.bits_per_sec()),
        runs: runs.collect(),
    };
    let page = Page {
        title: traffic.title.clone(),
        paragraphs: vec![format!("{}. Ring of plain transfers: {ring}.", traffic.subtitle)],
        headings: HEADINGS.map(str::to_owned).to_vec(),
        rows: rows.iter().map(Row::cells).collect(),
        svg: traffic.to_svg(),
        foot: "Made by cargo bench --bench cluster: real processes in network namespaces; bytes counted on the frontend's link.".into(),
    };
    let name = format!("cluster-{}-{}", options.machines, options.rate.to_string().replace([' ', '/'], ""));
    std::fs::write(options.output.join(format!("{name}.svg")), &page.svg)?;
    std::fs::write(options.output.join(format!("{name}.html")), page.to_html())?;
    println!("\nwrote {name}.svg and {name}.html to '{}'", options.output.display());
    Ok(())
}
