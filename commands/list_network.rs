//! `rocks list-network`.

use crate::args::FormatArgs;
use crate::context::Context;
use crate::ui::{self, cell};

/// List networks
#[derive(clap::Args)]
#[command(after_help = "Example:\n  rocks list-network --format json")]
pub(crate) struct Args {
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let networks = context.store()?.read(|r| r.networks())?;
    ui::list(args.format.format, &networks, &["NAME", "SUBNET", "MTU", "ZONE"], || {
        networks
            .iter()
            .map(|n| vec![n.name.to_string(), n.subnet.to_string(), n.mtu_bytes.to_string(), cell(n.zone.as_ref())])
            .collect()
    })
}
