//! `rocks track`.

use crate::context::Context;
use crate::ui;
use rocks::net::announce::track;
use rocks::net::log::Log;
use std::net::SocketAddr;

/// Tell installing machines of each other: the BitTorrent tracker of the cluster
///
/// Answers announces and scrapes over HTTP and UDP on one port, until it is ended. Only hosts that are installing are
/// answered and named; who is who is read from the cluster database, while other commands change it.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks track
  rocks track --listen 10.1.1.1:6969
  curl http://10.1.1.1:6969/scrape")]
pub(crate) struct Args {
    /// Where to listen, for TCP and UDP
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:6969")]
    listen: SocketAddr,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let log = Log::new(ui::log);
    let store = context.store_of("rocks track", &log)?;
    track(args.listen, store, log, |_| {})?;
    Ok(())
}
