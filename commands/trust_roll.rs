//! `rocks trust-roll`.

use crate::context::Context;
use crate::ui;
use rocks::cluster::Roll;

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
    /// Trust them no longer
    #[arg(long)]
    revoke: bool,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
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
