//! `rocks remove-network`.

use crate::context::Context;
use crate::ui;
use rocks::cluster::NetworkName;

/// Remove networks that no interface is in
#[derive(clap::Args)]
#[command(after_help = "Example:\n  rocks remove-network ipoib")]
pub(crate) struct Args {
    /// Their names
    #[arg(value_name = "NAME", required = true)]
    names: Vec<NetworkName>,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let names = args.names.iter().map(NetworkName::as_str).collect::<Vec<_>>().join(" ");
    context
        .store_to_write()?
        .write(&format!("remove network {names}"), |w| args.names.iter().try_for_each(|n| w.remove_network(n)))?;
    ui::note(&format!("removed network {names}"));
    Ok(())
}
