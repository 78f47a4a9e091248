//! `rocks remove-interface`.

use crate::context::Context;
use crate::ui;
use rocks::cluster::HostName;
use rocks::store::StoreError;

/// Remove network interfaces of a host
#[derive(clap::Args)]
#[command(after_help = "Example:\n  rocks remove-interface compute-0-0 ib0")]
pub(crate) struct Args {
    /// The host
    host: HostName,
    /// Names of the interfaces
    #[arg(value_name = "INTERFACE", required = true)]
    interfaces: Vec<String>,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let removed = format!("interface {} {}", args.host, args.interfaces.join(" "));
    context.store_to_write()?.write(&format!("remove {removed}"), |w| {
        let mut host = w.host(&args.host)?;
        for name in &args.interfaces {
            let Some(at) = host.interfaces.iter().position(|interface| interface.name == *name) else {
                let there = host.interfaces.iter().map(|interface| interface.name.as_str());
                return Err(StoreError::not_found("interface", name, there));
            };
            host.interfaces.remove(at);
        }
        w.set_host(&host)
    })?;
    ui::note(&format!("removed {removed}"));
    Ok(())
}
