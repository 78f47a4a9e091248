//! `rocks fetch`.

use crate::context::Context;
use crate::ui;
use rocks::cluster::Rate;
use rocks::net::log::Log;
use rocks::net::node::{self, Options, Progress};
use rocks::net::proxy::DEFAULT_DOOR;
use rocks::trust::{Fingerprint, PublicKey};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Fetch this machine's Kickstart file and packages, and share them with the other machines
///
/// What an installing machine runs. It asks the frontend for its profile, writes the Kickstart file, brings its
/// packages in from the frontend and from the machines that install now, and serves its installer at the proxy
/// address until the machine starts anew. What is for this machine alone goes over TLS, unless the frontend is on this
/// very machine; packages go in the clear where the URL says http, since every byte of them is verified.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  rocks fetch --frontend http://10.1.1.1:8080 --kickstart /tmp/ks.cfg
  The installer's repository is then http://127.0.0.1:7180/install/distributions/NAME/.")]
pub(crate) struct Args {
    /// The frontend, as in http://10.1.1.1:8080
    #[arg(long, value_name = "URL")]
    frontend: String,
    /// Write the Kickstart file here
    #[arg(long, value_name = "FILE")]
    kickstart: Option<PathBuf>,
    /// Keep packages here; the folder goes with the program [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Serve the installer here [default: 127.0.0.1:7180; nowhere with --exit-when-complete]
    #[arg(long, value_name = "ADDR:PORT")]
    proxy: Option<SocketAddr>,
    /// Connect from this address, and let peers come to it [default: the system's choice]
    #[arg(long, value_name = "ADDR")]
    bind: Option<IpAddr>,
    /// End when the set is complete, rather than when the machine starts anew
    #[arg(long)]
    exit_when_complete: bool,
    /// With --exit-when-complete: serve other machines for so long before the end
    #[arg(long, value_name = "SECS", default_value_t = 0)]
    linger: u64,
    /// Fetch everything from the frontend over HTTP, without other machines
    #[arg(long)]
    http_only: bool,
    /// Fetch the whole distribution instead of this machine's install set
    #[arg(long)]
    everything: bool,
    /// Send no more than this, and receive no more, such as 100mbit [default: no limit]
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// The port that other machines come to; 0 for any
    #[arg(long, value_name = "PORT", default_value_t = 6881)]
    peer_port: u16,
    /// Write bytes and seconds here as JSON, the moment the set is complete
    #[arg(long, value_name = "FILE.json")]
    summary: Option<PathBuf>,
    /// Ask a frontend that does not answer for so long
    #[arg(long, value_name = "SECS", default_value_t = 15)]
    patience: u64,
    /// Take only a distribution that this key has signed (64 hexadecimal digits) [default: the frontend's, as it says]
    #[arg(long, value_name = "KEY", value_parser = |text: &str| PublicKey::parse(text))]
    key: Option<PublicKey>,
    /// The token of this installation, from the machine's boot script [default: the frontend is asked for it]
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// The certificate of the cluster's authority (PEM): no other frontend is believed
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,
    /// The same by its fingerprint, as rocks serve logs it (64 hexadecimal digits)
    #[arg(long, value_name = "FINGERPRINT", conflicts_with = "authority", value_parser = |text: &str| Fingerprint::parse(text))]
    pin: Option<Fingerprint>,
    /// Speak plain HTTP only, token and profile included: for a frontend that serves with --security open
    #[arg(long, conflicts_with_all = ["authority", "pin"])]
    plain: bool,
}

pub(crate) fn run(_context: &Context, args: Args) -> anyhow::Result<()> {
    let usual = DEFAULT_DOOR.parse().expect("the usual door is an address");
    let options = Options {
        frontend: args.frontend,
        kickstart: args.kickstart,
        cache: args.cache,
        proxy: args.proxy.or((!args.exit_when_complete).then_some(usual)),
        bind: args.bind,
        peer_port: args.peer_port,
        exits_when_complete: args.exit_when_complete,
        linger: Duration::from_secs(args.linger),
        http_only: args.http_only,
        everything: args.everything,
        rate: args.rate,
        summary: args.summary,
        patience: Duration::from_secs(args.patience),
        key: args.key,
        token: args.token,
        authority: args.authority,
        pin: args.pin,
        plain: args.plain,
    };
    let bar = ui::byte_progress(0, "packages");
    let shown = bar.clone();
    let show = move |progress: Progress| {
        shown.set_length(progress.total_bytes);
        shown.set_position(progress.bytes);
    };
    let result = node::fetch(options, Log::new(ui::log), show);
    bar.finish_and_clear();
    let summary = result?;
    let came = summary.frontend_bytes + summary.peer_bytes;
    ui::note(&format!(
        "{} fetched in {:.1} s, {} of it from the frontend; {} given to other machines",
        ui::bytes(came),
        summary.seconds,
        ui::bytes(summary.frontend_bytes),
        ui::bytes(summary.uploaded_bytes),
    ));
    Ok(())
}
