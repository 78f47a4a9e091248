//! `rocks remove-appliance`.

use crate::context::Context;
use crate::ui;

/// Remove appliances that no host is
#[derive(clap::Args)]
#[command(after_help = "Example:\n  rocks remove-appliance web-server")]
pub(crate) struct Args {
    /// Their names
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let names = args.names.join(" ");
    context
        .store_to_write()?
        .write(&format!("remove appliance {names}"), |w| args.names.iter().try_for_each(|n| w.remove_appliance(n)))?;
    ui::note(&format!("removed appliance {names}"));
    Ok(())
}
