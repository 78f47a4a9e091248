//! `rocks remove-distribution`.

use crate::context::Context;
use crate::ui;
use rocks::cluster::DistributionName;

/// Remove distributions that no appliance names; their trees stay as they are
#[derive(clap::Args)]
#[command(after_help = "Example:\n  rocks remove-distribution el8")]
pub(crate) struct Args {
    /// Their names
    #[arg(value_name = "NAME", required = true)]
    names: Vec<DistributionName>,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let names: Vec<&str> = args.names.iter().map(DistributionName::as_str).collect();
    let names = names.join(" ");
    context.store_to_write()?.write(&format!("remove distribution {names}"), |w| {
        args.names.iter().try_for_each(|name| w.remove_distribution(name))
    })?;
    ui::note(&format!("removed distribution {names}"));
    Ok(())
}
