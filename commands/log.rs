//! `rocks log`.

use crate::args::FormatArgs;
use crate::context::Context;
use crate::ui;
use jiff::tz::TimeZone;

/// Show who changed the cluster, when and how, the newest last
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks log
  rocks log --limit 1000 --format json")]
pub(crate) struct Args {
    /// Show at most this many changes
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let entries = context.store()?.read(|r| r.journal(args.limit))?;
    let zone = TimeZone::system();
    ui::list(args.format.format, &entries, &["TIME", "WHO", "WHAT"], || {
        entries
            .iter()
            .map(|entry| {
                let time = entry.time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
                vec![time, entry.who.clone(), entry.sentence.clone()]
            })
            .collect()
    })
}
