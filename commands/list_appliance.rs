//! `rocks list-appliance`.

use crate::args::FormatArgs;
use crate::context::Context;
use crate::ui;

/// List appliances: kinds of machines
#[derive(clap::Args)]
#[command(after_help = "Example:\n  rocks list-appliance --format json")]
pub(crate) struct Args {
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let (appliances, default) = context.store()?.read(|r| Ok((r.appliances()?, r.default_distribution()?)))?;
    let default = default.map_or_else(|| "-".to_owned(), |d| format!("{} (default)", d.name));
    ui::list(args.format.format, &appliances, &["NAME", "ROOT", "OS", "DISTRIBUTION"], || {
        appliances
            .iter()
            .map(|a| {
                let distribution = a.distribution.as_ref().map_or_else(|| default.clone(), ToString::to_string);
                vec![a.name.clone(), a.root.clone(), a.os.clone(), distribution]
            })
            .collect()
    })
}
