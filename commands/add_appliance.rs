//! `rocks add-appliance`.

use crate::context::Context;
use crate::ui;
use rocks::cluster::{Appliance, DistributionName};

/// Add an appliance: a kind of machine
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks add-appliance gpu --root compute
  rocks add-appliance login10 --root login --distribution el10")]
pub(crate) struct Args {
    /// Its name
    name: String,
    /// The node of the graph that its hosts' configuration begins at [default: its name]
    #[arg(long, value_name = "NODE")]
    root: Option<String>,
    /// The distribution it installs [default: the cluster's first]
    #[arg(long)]
    distribution: Option<DistributionName>,
    /// The operating system of its hosts
    #[arg(long, default_value = "linux")]
    os: String,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let Args { name, root, distribution, os } = args;
    let root = root.unwrap_or_else(|| name.clone());
    Appliance::check_name(&name)?;
    Appliance::check_os(&os)?;
    let appliance = Appliance { name, root, os, distribution };
    let name = &appliance.name;
    context.store_to_write()?.write(&format!("add appliance {name}"), |w| w.add_appliance(&appliance))?;
    ui::note(&format!("added appliance {name}"));
    Ok(())
}
