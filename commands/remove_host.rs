//! `rocks remove-host`.

use crate::args::{folded, sets};
use crate::context::Context;
use crate::ui;
use rocks::cluster::NodeSet;

/// Remove hosts with their interfaces and attributes
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks remove-host compute-0-0
  rocks remove-host 'compute-3-[0-39]'")]
pub(crate) struct Args {
    /// Which hosts, as node sets
    #[arg(value_name = "HOSTS", required = true)]
    hosts: Vec<NodeSet>,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let removed = context.store_to_write()?.write(&format!("remove host {}", sets(&args.hosts)), |w| {
        let hosts = w.hosts_in(&args.hosts)?;
        for host in &hosts {
            w.remove_host(&host.name)?;
        }
        Ok(hosts)
    })?;
    ui::note(&format!("removed {}", folded(removed.iter().map(|host| &host.name))));
    Ok(())
}
