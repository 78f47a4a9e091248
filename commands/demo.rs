//! `rocks demo`.

use crate::context::Context;
use crate::ui::{self, Format};
use anyhow::Context as _;
use indicatif::ProgressBar;
use rocks::cluster::{ByteSize, Rate};
use rocks::demo::{Demo, Event, FrontendView, Outcome, World};
use rocks::net::look::{self, Look};
use rocks::profile::Manifest;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::sync::atomic::{AtomicBool, Ordering};

/// Install a throw-away cluster on this machine and measure it
///
/// Makes a cluster of loopback machines and a distribution of real packages, and lets them install three times: one
/// machine alone, all over HTTP only, all as a swarm. Prints how long each took, as a multiple of the machine alone,
/// and how many copies of the packages left the frontend; draws the frontend's traffic. Leaves nothing running.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  rocks demo --machines 32 --rate 50mbit")]
pub(crate) struct Args {
    /// How many machines install
    #[arg(long, value_name = "N", default_value_t = 16)]
    machines: usize,
    /// What each link carries in each direction, the frontend's and the machines'
    #[arg(long, value_name = "RATE", default_value = "100mbit")]
    rate: Rate,
    /// How large the distribution is
    #[arg(long, value_name = "SIZE", default_value = "32MB")]
    size: ByteSize,
    /// Where rocks-demo.svg and rocks-demo.html are written
    #[arg(long, value_name = "DIR", default_value = ".")]
    output: PathBuf,
    /// How the numbers are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(_context: &Context, args: Args) -> anyhow::Result<()> {
    let Args { machines, rate, size, output, format } = args;
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let stage = Stage { interrupted: look::interruption()?, look: Look::default(), bar: Mutex::new(None) };
    let outcome = Demo { program, machines, rate, size }.run(&stage);
    stage.show(None);
    let outcome = outcome?;
    let [picture, page] = ["rocks-demo.svg", "rocks-demo.html"].map(|name| output.join(name));
    let write = |path: &PathBuf, text: String| std::fs::write(path, text).with_context(|| format!("'{}'", path.display()));
    write(&picture, outcome.picture().to_svg())?;
    write(&page, outcome.page().to_html())?;
    match format {
        Format::Json => ui::print(&format!("{}\n", outcome.to_json()))?,
        Format::Table => ui::table(&Outcome::HEADINGS, &outcome.rows())?,
    }
    ui::complain(&format!("wrote '{}' and '{}'", picture.display(), page.display()));
    Ok(())
}

/// The world that the demonstration runs in: this machine's sockets, the terminal, Ctrl-C.
struct Stage {
    interrupted: Arc<AtomicBool>,
    look: Look,
    bar: Mutex<Option<ProgressBar>>,
}

impl Stage {
    /// Puts another bar, or none, in the place of the one shown.
    fn show(&self, bar: Option<ProgressBar>) {
        let mut shown = self.bar.lock().expect("nobody panics while a bar changes");
        if let Some(old) = std::mem::replace(&mut *shown, bar) {
            old.finish_and_clear();
        }
    }
}

impl World for Stage {
    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    fn tell(&self, event: Event) {
        match event {
            Event::Step(name) => self.show(Some(ui::count_progress(1, name))),
            Event::Run { name, bytes } => self.show(Some(ui::byte_progress(bytes, name))),
            Event::Held { bytes } => {
                if let Some(bar) = &*self.bar.lock().expect("nobody panics while a bar changes") {
                    bar.set_position(bytes);
                }
            }
        }
    }

    fn free_port(&self, address: IpAddr) -> std::io::Result<u16> {
        look::free_port(address)
    }

    fn names_tracker(&self, frontend: &str, distribution: &str, tracker: SocketAddr) -> bool {
        let metainfo = self.look.get(&format!("{frontend}/install/metainfo/{distribution}.torrent"));
        let url = format!("http://{tracker}/");
        metainfo.is_ok_and(|bytes| bytes.windows(url.len()).any(|window| window == url.as_bytes()))
    }

    fn frontend(&self, url: &str) -> Option<FrontendView> {
        let status: Value = serde_json::from_slice(&self.look.get(&format!("{url}/status.json")).ok()?).ok()?;
        let held = |machine: &Value| machine.get("bytes").and_then(Value::as_u64);
        Some(FrontendView {
            package_bytes_sent: status.get("package_bytes_sent")?.as_u64()?,
            held_bytes: status.get("machines")?.as_array()?.iter().filter_map(held).sum(),
        })
    }

    fn install_set(&self, frontend: &str, machine: IpAddr) -> Result<Vec<String>, String> {
        let url = format!("{frontend}/install/manifest");
        let manifest = self.look.get_as(&url, machine).map_err(|error| error.to_string())?;
        let manifest: Manifest = serde_json::from_slice(&manifest).map_err(|error| format!("{url}: {error}"))?;
        let distribution = manifest.distribution.ok_or_else(|| "the manifest names no distribution".to_owned())?;
        Ok(distribution.install_set)
    }
}
