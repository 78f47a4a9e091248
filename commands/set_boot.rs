//! `rocks set-boot`.

use crate::args::{folded, sets};
use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::ui;
use rocks::cluster::{BootAction, NodeSet};

/// Tell hosts what to do when they next start: install themselves, or start the system on their disk
///
/// A host that has installed itself falls back to 'os' by itself.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks set-boot compute-0-0 install
  rocks set-boot 'compute-[0-24]-[0-39]' install
  rocks set-boot @compute os")]
pub(crate) struct Args {
    /// Which hosts, as node sets
    #[arg(value_name = "HOSTS", required = true, num_args = 1..)]
    hosts: Vec<NodeSet>,
    /// What they do: install or os
    #[arg(value_parser = action)]
    action: BootAction,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let sentence = format!("set boot {} {}", sets(&args.hosts), args.action);
    let hosts = context.store_to_write()?.write(&sentence, |w| {
        let hosts = w.hosts_in(&args.hosts)?;
        for host in &hosts {
            w.set_boot(&host.name, args.action)?;
        }
        Ok(hosts)
    })?;
    let names = folded(hosts.iter().map(|host| &host.name));
    match args.action {
        BootAction::Install => ui::note(&format!("at its next start each installs itself: {names}")),
        BootAction::Os => ui::note(&format!("at its next start each starts the system on its disk: {names}")),
    }
    Ok(())
}

/// Reads `install` or `os`.
pub(crate) fn action(text: &str) -> Result<BootAction, Failure> {
    match text {
        "install" => Ok(BootAction::Install),
        "os" => Ok(BootAction::Os),
        _ => {
            let failure = Failure::new(Kind::Invalid, format!("boot action '{text}' is neither install nor os"));
            Err(failure.hint("it comes last, as in: rocks set-boot compute-0-0 install"))
        }
    }
}
