//! `rocks status`.

use crate::context::Context;
use crate::error::{self, Failure, Kind};
use crate::ui::{self, Format};
use rocks::cluster::{InstallState, Service};
use rocks::net::frontend::{MachineStatus, StatusDocument};
use rocks::net::look::Look;
use std::io::IsTerminal;
use std::time::Duration;

/// How often --watch looks.
const LOOK: Duration = Duration::from_secs(1);
/// What is told of a machine.
const HEADINGS: [&str; 10] =
    ["HOST", "PHASE", "PACKAGES", "OF", "SPEED", "PEERS", "FROM PEERS", "LEFT", "SILENT", "MESSAGE"];

/// Show how installations go, failures first
///
/// Asks the frontend that runs (rocks serve). Where none runs, shows what the cluster database knows: which machines
/// wait, install, are installed or failed.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks status
  rocks status --watch
  rocks status --format json | jq .counts")]
pub(crate) struct Args {
    /// Go on showing, once a second, until Ctrl-C; once it has answered, a frontend may be away for a while
    #[arg(long)]
    watch: bool,
    /// With --watch on a terminal: show no more machines than this
    #[arg(long, value_name = "N", default_value_t = 20)]
    rows: usize,
    /// The frontend to ask [default: where rocks serve said it listens]
    #[arg(long, value_name = "URL")]
    frontend: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let look = Look::default();
    let (mut has_answered, mut said) = (false, String::new());
    loop {
        match ask(context, &look, args.frontend.as_deref()) {
            Ok(status) => {
                show(&status, &args)?;
                (has_answered, said) = (true, String::new());
            }
            Err(error) if has_answered => {
                // As long as it is away for the same reason, that is said once.
                let why = error::in_a_line(&error);
                if said != why {
                    ui::note(&why);
                    said = why;
                }
            }
            Err(error) if args.watch || args.frontend.is_some() => return Err(error),
            Err(_) => return from_store(context, args.format),
        }
        if !args.watch {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
}

/// What the frontend says.
fn ask(context: &Context, look: &Look, frontend: Option<&str>) -> anyhow::Result<StatusDocument> {
    let urls: Vec<String> = match frontend {
        Some(url) => vec![url.trim_end_matches('/').to_owned()],
        None => {
            let endpoint = context.store()?.read(|r| r.endpoint(Service::Http))?;
            endpoint.map(|e| e.addresses.iter().map(|at| format!("http://{at}")).collect()).unwrap_or_default()
        }
    };
    let mut last = Failure::new(Kind::NotFound, "no frontend ever ran in this cluster")
        .hint("start one with: rocks serve")
        .into();
    for url in urls {
        let url = format!("{url}/status.json");
        match look.get(&url).map(|body| serde_json::from_slice(&body)) {
            Ok(Ok(status)) => return Ok(status),
            Ok(Err(error)) => last = anyhow::anyhow!("GET {url}: this is not what a frontend answers: {error}"),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

fn show(status: &StatusDocument, args: &Args) -> anyhow::Result<()> {
    if args.format == Format::Json {
        return ui::json(status);
    }
    let is_over = args.watch && std::io::stdout().is_terminal();
    if is_over {
        // Home, and clear what was there.
        ui::print("\x1b[H\x1b[2J")?;
    }
    let counts = status.counts.iter().filter(|(_, count)| **count > 0).map(|(phase, count)| format!("{count} {phase}"));
    let counts: Vec<String> = counts.collect();
    let counts = if counts.is_empty() { "no machine installs".to_owned() } else { counts.join(", ") };
    ui::note(&format!("{counts}; {} out of the frontend", ui::bytes(status.package_bytes_sent)));
    let shown = if is_over { args.rows } else { usize::MAX };
    ui::table(&HEADINGS, &status.machines.iter().take(shown).map(|machine| row(machine).to_vec()).collect::<Vec<_>>())?;
    if let Some(more @ 1..) = status.machines.len().checked_sub(shown) {
        ui::note(&format!("{more} more: rocks status shows them all"));
    }
    Ok(())
}

fn row(machine: &MachineStatus) -> [String; HEADINGS.len()] {
    let report = &machine.report;
    let speed = (machine.bytes_per_sec > 0).then(|| format!("{}/s", ui::bytes(machine.bytes_per_sec)));
    [
        machine.host.to_string(),
        report.phase.as_str().to_owned(),
        ui::bytes(report.bytes),
        ui::bytes(report.total_bytes),
        ui::cell(speed),
        report.peers.to_string(),
        format!("{:.0} %", machine.peer_share * 100.0),
        ui::cell(machine.secs_left.map(|secs| format!("{secs} s"))),
        format!("{} s", machine.silent_secs),
        report.message.clone().unwrap_or_default(),
    ]
}

/// What the cluster database knows, failures first.
fn from_store(context: &Context, format: Format) -> anyhow::Result<()> {
    ui::note("no frontend answers: this is what the cluster database knows");
    let boots = context.store()?.read(|r| r.boots())?;
    let mut rows: Vec<_> = boots.into_iter().filter(|(_, boot)| boot.state.is_some()).collect();
    rows.sort_by_key(|(_, boot)| (boot.state != Some(InstallState::Failed), boot.state == Some(InstallState::Installed)));
    if format == Format::Json {
        let machines = rows.iter().map(|(host, boot)| serde_json::json!({"host": host, "boot": boot}));
        return ui::json(&serde_json::json!({ "machines": machines.collect::<Vec<_>>() }));
    }
    let shown = rows.iter().map(|(host, boot)| {
        let changed = boot.changed.strftime("%Y-%m-%d %H:%M:%S").to_string();
        vec![host.to_string(), boot.action.to_string(), ui::cell(boot.state), changed, boot.note.clone().unwrap_or_default()]
    });
    ui::table(&["HOST", "BOOT", "INSTALLATION", "SINCE (UTC)", "MESSAGE"], &shown.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_phase_speed_peers_their_share_and_the_time_left() {
        let machine: MachineStatus = serde_json::from_value(serde_json::json!({
            "host": "compute-0-7", "phase": "fetching", "bytes": 12_000_000, "total_bytes": 32_000_000,
            "peers": 11, "bytes_per_sec": 2_000_000, "peer_share": 0.914, "secs_left": 10, "silent_secs": 3, "secs": 8,
            "message": "slow",
        }))
        .expect("a row of the status document");
        let row = row(&machine);
        let of = |heading: &str| row[HEADINGS.iter().position(|at| *at == heading).expect("a heading")].as_str();
        let told = ["HOST", "PHASE", "PACKAGES", "OF", "SPEED", "PEERS", "FROM PEERS", "LEFT", "SILENT", "MESSAGE"];
        assert_eq!(
            told.map(of),
            ["compute-0-7", "fetching", "12 MB", "32 MB", "2 MB/s", "11", "91 %", "10 s", "3 s", "slow"]
        );
    }
}
