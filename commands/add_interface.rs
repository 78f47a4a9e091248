//! `rocks add-interface`.

use crate::context::Context;
use crate::ui;
use rocks::cluster::{HostName, Interface, MacAddress, NetworkName};
use std::net::IpAddr;

/// Add a network interface to a host
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks add-interface compute-0-0 ib0 --ip 10.2.0.1
  rocks add-interface login-0-0 eth1 --mac 52:54:00:12:34:57 --ip 192.0.2.10")]
pub(crate) struct Args {
    /// The host
    host: HostName,
    /// The kernel's name of the interface, such as eth1 or ib0
    interface: String,
    /// Its hardware address
    #[arg(long)]
    mac: Option<MacAddress>,
    /// Its address
    #[arg(long)]
    ip: Option<IpAddr>,
    /// Its network [default: the one the address is in]
    #[arg(long)]
    network: Option<NetworkName>,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let Args { host, interface: name, mac, ip, network } = args;
    let added = format!("interface {host} {name}");
    context.store_to_write()?.write(&format!("add {added}"), |w| {
        let mut host = w.host(&host)?;
        host.interfaces.push(Interface { name, mac, ip, network });
        w.set_host(&host)
    })?;
    ui::note(&format!("added {added}"));
    Ok(())
}
