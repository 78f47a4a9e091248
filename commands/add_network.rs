//! `rocks add-network`.

use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::ui;
use ipnet::IpNet;
use rocks::cluster::{Network, NetworkName};

/// Add a network
///
/// An interface belongs to the network that its address is in.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks add-network public 192.0.2.0/24 --zone example.org
  rocks add-network ipoib 10.2.0.0/16 --mtu 4092")]
pub(crate) struct Args {
    /// Its name
    name: NetworkName,
    /// Its addresses, as ADDRESS/PREFIX
    #[arg(value_parser = subnet)]
    subnet: IpNet,
    /// The largest packet on it, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1500, value_parser = clap::value_parser!(u32).range(68..=65535))]
    mtu: u32,
    /// The domain of its hosts' names
    #[arg(long, value_name = "DOMAIN")]
    zone: Option<String>,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let Args { name, subnet, mtu, zone } = args;
    let network = Network { name, subnet, mtu_bytes: mtu, zone };
    let sentence = format!("add network {} {subnet}", network.name);
    context.store_to_write()?.write(&sentence, |w| w.add_network(&network))?;
    ui::note(&format!("added network {} {subnet}", network.name));
    Ok(())
}

/// Reads a network's addresses: the first of them and how many bits they share.
fn subnet(text: &str) -> Result<IpNet, Failure> {
    let invalid = |why: &str| Failure::new(Kind::Invalid, format!("network '{text}' {why}"));
    let net: IpNet = text.parse().map_err(|_| invalid("is not ADDRESS/PREFIX").hint("such as 10.2.0.0/16"))?;
    if net.addr() != net.network() {
        return Err(invalid("has bits after its prefix").hint(format!("did you mean {}?", net.trunc())));
    }
    Ok(net)
}
