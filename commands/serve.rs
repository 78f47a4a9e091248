//! `rocks serve`.

use crate::context::Context;
use crate::ui;
use rocks::cluster::Rate;
use rocks::net::frontend::{self, Options, Security};
use rocks::net::log::Log;
use std::net::SocketAddr;

/// Serve profiles and packages to machines that install, and seed their swarm
///
/// Runs until SIGTERM or Ctrl-C. A change of the cluster database, of a node file or of a template is in the next
/// profile served: nothing needs a restart. The log goes to stderr, one event a line.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  rocks serve --listen 10.1.1.1:8080
  A machine then boots from http://10.1.1.1:8080/install/boot/MAC; http://10.1.1.1:8080/ shows how it goes.")]
pub(crate) struct Args {
    /// Where to listen for HTTP
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// The port to listen at for BitTorrent peers, at the same address
    #[arg(long, value_name = "PORT", default_value_t = 6881)]
    peer_port: u16,
    /// Send no more than this, such as 1gbit or 100MB/s [default: no limit]
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// What a machine must show for its profile; this machine itself (loopback) is exempt unless strict
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    security: Proof,
}

/// What a machine must show.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Proof {
    /// Nothing: its address or a card it names is enough, over plain HTTP
    Open,
    /// The token of its installation, over TLS with the cluster's own authority
    #[default]
    Guarded,
    /// The same over loopback too, and the token from its boot script alone
    Strict,
}

impl From<Proof> for Security {
    fn from(proof: Proof) -> Self {
        match proof {
            Proof::Open => Self::Open,
            Proof::Guarded => Self::Guarded,
            Proof::Strict => Self::Strict,
        }
    }
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let options = Options {
        listen: args.listen,
        peer_port: args.peer_port,
        rate: args.rate,
        cluster: context.cluster().to_owned(),
        security: args.security.into(),
    };
    let log = Log::new(ui::log);
    let store = context.store_of("rocks serve", &log)?;
    Ok(frontend::serve(&options, store, log)?)
}
