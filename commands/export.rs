//! `rocks export`.

use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::ui;
use rocks::store::Store;

/// Write the whole cluster database as readable JSON
///
/// It has every host, attribute, distribution record and journal line; not the packages, not
/// the keys and not the site's graph files.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks export > cluster.json
  rocks export cluster.json")]
pub(crate) struct Args {
    /// The file to write; standard output where it is '-'
    #[arg(default_value = "-")]
    file: String,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let export = Store::open(context.cluster())?.read(|r| r.export())?;
    if args.file == "-" {
        return ui::json(&export);
    }
    let text = serde_json::to_string_pretty(&export)? + "\n";
    std::fs::write(&args.file, text).map_err(|error| {
        Failure::new(Kind::Failed, format!("cannot write '{}': {error}", args.file)).into()
    })
}
