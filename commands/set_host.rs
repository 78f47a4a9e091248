//! `rocks set-host`.

use crate::args::{folded, sets};
use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::ui;
use rocks::cluster::{DEFAULT_INTERFACE, Host, HostName, Interface, MacAddress, NetworkName, NodeSet};
use rocks::store::StoreError;
use std::net::IpAddr;

/// Change hosts: a new MAC address for a replaced card, a new name, another appliance
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks set-host compute-0-0 --mac 52:54:00:65:43:21
  rocks set-host compute-0-0 --interface ib0 --ip 10.2.0.1
  rocks set-host compute-0-0 --name compute-1-0 --rack 1
  rocks set-host 'compute-0-[0-7]' --appliance login")]
pub(crate) struct Args {
    /// Which hosts, as node sets; one host where a name, an address or an interface is changed
    #[arg(value_name = "HOSTS", required = true)]
    hosts: Vec<NodeSet>,
    /// Give the host this name
    #[arg(long, value_name = "NAME")]
    name: Option<HostName>,
    /// Make them this
    #[arg(long)]
    appliance: Option<String>,
    /// Rack they stand in
    #[arg(long)]
    rack: Option<u32>,
    /// Place in the rack
    #[arg(long)]
    rank: Option<u32>,
    /// Hardware address of the interface
    #[arg(long)]
    mac: Option<MacAddress>,
    /// Address of the interface
    #[arg(long)]
    ip: Option<IpAddr>,
    /// Network of the interface [default: the one the address is in]
    #[arg(long)]
    network: Option<NetworkName>,
    /// Which interface [default: the one the host installs over]
    #[arg(long)]
    interface: Option<String>,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let words = changes(&args);
    if words.is_empty() {
        let failure = Failure::new(Kind::Usage, "nothing to change");
        return Err(failure.hint("say what, as in: rocks set-host compute-0-0 --mac 52:54:00:65:43:21").into());
    }
    let of_one = args.name.is_some() || args.mac.is_some() || args.ip.is_some();
    if of_one && !(args.hosts.len() == 1 && args.hosts[0].as_host().is_some()) {
        return Err(Failure::new(Kind::Usage, "a name or an address is changed for one host at a time").into());
    }
    let changed = context.store_to_write()?.write(&format!("set host {} {words}", sets(&args.hosts)), |w| {
        let mut changed = Vec::new();
        for mut host in w.hosts_in(&args.hosts)? {
            change(&mut host, &args)?;
            w.set_host(&host)?;
            if let Some(name) = &args.name {
                w.rename_host(&host.name, name)?;
            }
            changed.push(host.name);
        }
        Ok(changed)
    })?;
    ui::note(&format!("changed {}", folded(&changed)));
    Ok(())
}

fn change(host: &mut Host, args: &Args) -> Result<(), StoreError> {
    if let Some(appliance) = &args.appliance {
        host.appliance.clone_from(appliance);
    }
    host.rack = args.rack.or(host.rack);
    host.rank = args.rank.or(host.rank);
    if args.mac.is_none() && args.ip.is_none() && args.network.is_none() {
        return Ok(());
    }
    if let Some(name) = args.interface.as_ref().filter(|name| host.interfaces.iter().all(|there| there.name != **name)) {
        return Err(StoreError::NotFound { noun: "interface", name: format!("{} {name}", host.name), similar: None });
    }
    let installs_over = host.install_interface().map(|interface| interface.name.clone());
    let name = args.interface.clone().or(installs_over).unwrap_or_else(|| DEFAULT_INTERFACE.to_owned());
    if !host.interfaces.iter().any(|interface| interface.name == name) {
        host.interfaces.push(Interface { name: name.clone(), mac: None, ip: None, network: None });
    }
    for interface in host.interfaces.iter_mut().filter(|interface| interface.name == name) {
        interface.mac = args.mac.or(interface.mac);
        if args.ip.is_some() {
            // The network follows the address unless it is told.
            (interface.ip, interface.network) = (args.ip, None);
        }
        interface.network = args.network.clone().or(interface.network.take());
    }
    Ok(())
}

/// What is changed, for the journal.
fn changes(args: &Args) -> String {
    let mut words = Vec::new();
    let mut word = |name: &str, value: Option<String>| words.extend(value.map(|value| format!("{name} {value}")));
    word("name", args.name.as_ref().map(ToString::to_string));
    word("appliance", args.appliance.clone());
    word("rack", args.rack.map(|rack| rack.to_string()));
    word("rank", args.rank.map(|rank| rank.to_string()));
    if args.mac.is_some() || args.ip.is_some() || args.network.is_some() {
        word("interface", args.interface.clone());
    }
    word("mac", args.mac.map(|mac| mac.to_string()));
    word("ip", args.ip.map(|ip| ip.to_string()));
    word("network", args.network.as_ref().map(ToString::to_string));
    words.join(" ")
}
