//! `rocks trust-roll`.

use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::ui;
use rocks::cluster::{Roll, similar};
use std::path::PathBuf;

/// Let the scripts of rolls run on the frontend when profiles are compiled
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks trust-roll base
  rocks trust-roll base --revoke

Scripts are what a roll's node files have in <eval>. They run as the user that compiles: as root, where 'rocks serve'
is run by root. See them first with: rocks compile-graph HOST --evals off")]
pub(crate) struct Args {
    /// The rolls, as their node files name them (roll=\"...\")
    #[arg(value_name = "ROLL", required = true)]
    rolls: Vec<String>,
    /// The folder with their nodes/, where they are not in the cluster's configuration yet
    #[arg(long, value_name = "DIR")]
    graphs: Option<PathBuf>,
    /// Trust them no longer
    #[arg(long)]
    revoke: bool,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    if !args.revoke {
        known(context, &args)?;
    }
    let sentence = format!("trust-roll {}{}", args.rolls.join(" "), if args.revoke { " --revoke" } else { "" });
    context.store_to_write()?.write(&sentence, |w| {
        for name in &args.rolls {
            w.set_roll(&Roll { name: name.clone(), trusted: !args.revoke })?;
        }
        Ok(())
    })?;
    let done = if args.revoke { "no longer trusted" } else { "trusted" };
    ui::note(&format!("{done}: {}", args.rolls.join(", ")));
    Ok(())
}

/// A name that no node file has is a mistake: nothing would be trusted by it, until somebody takes it for a roll.
fn known(context: &Context, args: &Args) -> anyhow::Result<()> {
    let rolls = crate::compile_graph::configuration(context, args.graphs.as_deref())?.rolls();
    let Some(unknown) = args.rolls.iter().find(|name| !rolls.contains(name.as_str())) else { return Ok(()) };
    let hint = match similar(unknown, rolls.iter().map(AsRef::as_ref)) {
        Some(name) => format!("did you mean '{name}'?"),
        None => "add its graphs and nodes first, or say with --graphs where they are".to_owned(),
    };
    Err(Failure::new(Kind::NotFound, format!("no node file names a roll '{unknown}'")).hint(hint).into())
}
