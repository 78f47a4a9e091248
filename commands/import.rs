//! `rocks import`.

use crate::args::count;
use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::ui;
use anyhow::Context as _;
use rocks::store::{Export, Store, StoreError};

/// Read a cluster database that 'rocks export' wrote
///
/// Either all of it is taken or nothing. Where there is no cluster yet, the result is exactly
/// the exported one, with its journal.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks import cluster.json
  rocks --cluster /tmp/try import cluster.json
  ssh old-frontend rocks export | rocks import - --replace")]
pub(crate) struct Args {
    /// The file to read; standard input where it is '-'
    file: String,
    /// Replace everything in the cluster database that is there
    #[arg(long)]
    replace: bool,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let named = || format!("'{}'", args.file);
    let export = Export::parse(&ui::read_input(&args.file)?).with_context(named)?;
    match Store::open(context.cluster()) {
        Err(StoreError::Missing { .. }) => Store::restore(context.cluster(), &export).with_context(named)?,
        Ok(store) if args.replace => {
            drop(store);
            context.store_to_write()?.replace(&format!("import {}", args.file), &export).with_context(named)?;
        }
        Ok(store) => {
            let problem = format!("there is a cluster in '{}' already", store.path().display());
            return Err(Failure::new(Kind::Conflict, problem).hint("--replace puts the document in its place").into());
        }
        Err(error) => return Err(error.into()),
    }
    ui::note(&format!("imported {}", count(export.host_count(), "host")));
    Ok(())
}
