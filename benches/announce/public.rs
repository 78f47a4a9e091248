//! A load that others wrote: `aquatic_udp_load_test` and `aquatic_http_load_test`, where they are on the `PATH`.
//!
//! The one for datagrams always makes the same name for the only swarm it is told to have: [`super::load::SWARM`]. The
//! one for HTTP makes another each time, which is then a swarm of its own machine alone.

use super::load::{Load, Measured};
use super::trackers::Tracker;
use std::process::{Command, Stdio};

/// How long each measurement is: both generators report every five seconds.
const SECS: u64 = 5;

/// The generator for this load, if it is there.
pub(crate) fn generator(load: Load) -> Option<&'static str> {
    let program = match load {
        Load::Udp => "aquatic_udp_load_test",
        Load::KeepAlive => "aquatic_http_load_test",
        Load::Http => return None,
    };
    let asked = Command::new(program).arg("-p").stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success()).then_some(program)
}

/// Loads a tracker with it, over one swarm.
pub(crate) fn measure(tracker: &Tracker, program: &str) -> Measured {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let own = Command::new(program).arg("-p").output().expect("it was there").stdout;
    let own = String::from_utf8(own).expect("its configuration is text");
    let told = [
        ("server_address", format!("\"{}\"", tracker.address)),
        ("duration", SECS.to_string()),
        ("enable_tls", "false".to_owned()),
        ("number_of_torrents", "1".to_owned()),
        ("number_of_peers", "10000".to_owned()),
        ("weight_scrape", "0".to_owned()),
    ];
    let line = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        told.iter().find(|(name, _)| *name == key).map_or(line.to_owned(), |(name, value)| format!("{name} = {value}"))
    };
    let configuration = folder.path().join("load.toml");
    std::fs::write(&configuration, own.lines().map(line).collect::<Vec<_>>().join("\n")).expect("written");
    let cpu = tracker.cpu_micros();
    let output = Command::new(program).arg("-c").arg(configuration).output().expect("it was there");
    let cpu = tracker.cpu_micros() - cpu;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = text.lines().rev().find_map(|line| line.trim().strip_prefix("- Announce responses:"));
    let per_sec: f64 =
        last.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("no report: {text}"));
    Measured { per_sec, cpu_micros: cpu / (per_sec * SECS as f64).max(1.0) }
}
