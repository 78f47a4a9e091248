//! `rocks simulate`.

use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::ui;
use anyhow::Context as _;
use rocks::cluster::{ByteSize, Rate};
use rocks::simulate::{Faults, Outcome, Progress, Racks, Scenario, SimulationError, run as simulate};
use std::path::PathBuf;
use std::time::Duration;

/// Simulate an installation of many machines with the very code that runs on them
///
/// Sessions and tracker are the real ones; clock and links are virtual. The same arguments give the same result to the
/// byte.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  rocks simulate --machines 128 --size 325MB --link 1gbit\n  \
    rocks simulate --machines 1000 --size 325MB --link 1gbit --rack-size 40 --uplink 10gbit --format json")]
pub(crate) struct Args {
    /// A known case: the two rows of the Avalanche paper's Table 1; sets machines, size, links and unpacking
    #[arg(long, value_enum, conflicts_with_all = ["machines", "size", "link"])]
    scenario: Option<Known>,
    /// How many machines install
    #[arg(long, default_value_t = 128)]
    machines: u32,
    /// What an appliance's install set weighs
    #[arg(long, default_value = "325MB", value_parser = ByteSize::parse)]
    size: ByteSize,
    /// The length of a piece [default: what fits the distribution]
    #[arg(long, value_name = "SIZE", value_parser = ByteSize::parse)]
    piece_length: Option<ByteSize>,
    /// A machine's link, each way
    #[arg(long, default_value = "1gbit", value_parser = Rate::parse)]
    link: Rate,
    /// The frontend's link, each way [default: as a machine's]
    #[arg(long, value_name = "RATE", value_parser = Rate::parse)]
    frontend_link: Option<Rate>,
    /// Machines in a rack, where racks have uplinks of their own
    #[arg(long, value_name = "MACHINES", requires = "uplink")]
    rack_size: Option<u32>,
    /// A rack's link to the rest, each way
    #[arg(long, value_name = "RATE", requires = "rack_size", value_parser = Rate::parse)]
    uplink: Option<Rate>,
    /// Time for a message from one machine to another, in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0.15)]
    latency: f64,
    /// Machines start spread over this time [default: 0.002]
    #[arg(long, value_name = "SECS")]
    start_spread: Option<f64>,
    /// How many appliances there are; machines take them in turn
    #[arg(long, default_value_t = 1)]
    appliances: u32,
    /// The share of a set that all appliances have in common
    #[arg(long, value_name = "SHARE", default_value_t = 0.9)]
    overlap: f64,
    /// The time to unpack a whole set [default: 0, the network's part alone]
    #[arg(long, value_name = "SECS")]
    unpack: Option<f64>,
    /// Share of packets lost
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    loss: f64,
    /// Share of machines whose links have a tenth of the rate
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    slow: f64,
    /// Share of machines that lose power in mid-install
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    dying: f64,
    /// Share of machines that start when the others should be done
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    late: f64,
    /// Share of machines that send wrong bytes
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    poisoning: f64,
    /// The tracker is gone after this time
    #[arg(long, value_name = "SECS")]
    tracker_dies: Option<f64>,
    /// The frontend is gone after this time
    #[arg(long, value_name = "SECS")]
    frontend_dies: Option<f64>,
    /// Machines reboot as soon as they are done, instead of serving on
    #[arg(long)]
    leave: bool,
    /// Feeds every random choice
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Draw what left the frontend over time into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t)]
    format: ui::Format,
}

/// A case of the Avalanche paper's Table 1.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Known {
    /// 44 machines, 100 Mbit.
    Meteor,
    /// 128 machines, 1 Gbit.
    Rockstar,
}

pub(crate) fn run(_context: &Context, args: Args) -> anyhow::Result<()> {
    let scenario = scenario(&args)?;
    let bar = ui::count_progress(u64::from(scenario.machines), "simulating");
    let mut told = |progress: Progress| bar.set_position(u64::from(progress.done));
    let outcome = simulate(&scenario, &mut told).map_err(|error| {
        let kind = match error {
            SimulationError::Scenario { .. } => Kind::Invalid,
            _ => Kind::Failed,
        };
        Failure::new(kind, error.to_string())
    })?;
    bar.finish_and_clear();
    if let Some(path) = &args.svg {
        std::fs::write(path, outcome.draw(&scenario)).with_context(|| format!("writing '{}'", path.display()))?;
    }
    print(&outcome, args.format)
}

fn scenario(args: &Args) -> anyhow::Result<Scenario> {
    let secs = |name: &str, secs: f64| {
        Duration::try_from_secs_f64(secs)
            .map_err(|_| Failure::new(Kind::Usage, format!("--{name} {secs} is not a number of seconds")))
    };
    let mut scenario = match args.scenario {
        Some(Known::Meteor) => Scenario::meteor(),
        Some(Known::Rockstar) => Scenario::rockstar(),
        None => Scenario::new(args.machines, args.size, args.link),
    };
    scenario.piece_length_bytes =
        args.piece_length.map(|length| u32::try_from(length.bytes()).unwrap_or(u32::MAX));
    if let Some(link) = args.frontend_link {
        scenario.frontend_link = link;
    }
    if let (Some(size), Some(uplink)) = (args.rack_size, args.uplink) {
        scenario.racks = Some(Racks { size, uplink });
    }
    if let Some(spread) = args.start_spread {
        scenario.start_spread = secs("start-spread", spread)?;
    }
    if let Some(unpack) = args.unpack {
        scenario.unpack = secs("unpack", unpack)?;
    }
    scenario.latency = secs("latency", args.latency / 1000.0)?;
    scenario.appliances = args.appliances;
    scenario.overlap = args.overlap;
    scenario.faults = Faults {
        loss: args.loss,
        slow: args.slow,
        dying: args.dying,
        late: args.late,
        poisoning: args.poisoning,
        tracker_dies: args.tracker_dies.map(|at| secs("tracker-dies", at)).transpose()?,
        frontend_dies: args.frontend_dies.map(|at| secs("frontend-dies", at)).transpose()?,
        leave: args.leave,
    };
    scenario.seed_value = args.seed;
    Ok(scenario)
}

fn print(outcome: &Outcome, format: ui::Format) -> anyhow::Result<()> {
    if format == ui::Format::Json {
        return ui::print(&format!("{}\n", serde_json::to_string(outcome)?));
    }
    let row = |what: &str, number: String| vec![what.to_owned(), number];
    ui::table(
        &["WHAT", "VALUE"],
        &[
            row("machines", outcome.machines.to_string()),
            row("one machine alone", format!("{:.3} s", outcome.one_secs)),
            row("one machine over plain HTTP", format!("{:.3} s", outcome.http_one_secs)),
            row("all machines", format!("{:.3} s", outcome.all_secs)),
            row("ratio all/one", format!("{:.4}", outcome.ratio)),
            row("copies leaving the frontend", format!("{:.3}", outcome.copies)),
            row("longest wait of an installer", format!("{:.3} s", outcome.longest_wait_secs)),
            row("received twice or wrong", format!("{:.3} %", outcome.wasted * 100.0)),
            row("machines that died", outcome.died.to_string()),
        ],
    )
}
