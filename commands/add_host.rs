//! `rocks add-host`.

use crate::args::{assignment, count, folded, sets};
use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::ui;
use rocks::cluster::{
    Attribute, AttributeName, BootAction, Host, HostList, HostName, Interface, MacAddress, NetworkName, NodeSet, Scope,
    fill_from_name,
};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Add hosts to the cluster database
///
/// A new host is told to install itself when it next starts from the network.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks add-host compute-0-0 --mac 52:54:00:12:34:56 --ip 10.1.255.254
  rocks add-host 'compute-1-[0-39]' --ip 10.1.1.1 --attr gpu=yes
  rocks add-host --from hosts.csv

The list for --from is CSV; its first line names the columns: name, appliance, rack, rank,
mac, ip, interface, network, and any attribute. A line is an interface: a name that comes
again with another interface adds that interface. Either all lines are taken or none.")]
pub(crate) struct Args {
    /// Names of the new hosts, as node sets
    #[arg(value_name = "NAME", required_unless_present = "from")]
    names: Vec<NodeSet>,
    /// Read the hosts from this CSV file, or from standard input where it is '-'
    #[arg(long, value_name = "FILE", conflicts_with_all = ["names", "mac", "ip", "rack", "rank", "interface", "network"])]
    from: Option<String>,
    /// What they are [default: what the name tells, such as compute for compute-0-0]
    #[arg(long)]
    appliance: Option<String>,
    /// Hardware address of the interface they install over
    #[arg(long)]
    mac: Option<MacAddress>,
    /// Address; with several hosts that of the first, the others follow it
    #[arg(long)]
    ip: Option<IpAddr>,
    /// Name of that interface
    #[arg(long, default_value = rocks::cluster::DEFAULT_INTERFACE)]
    interface: String,
    /// Network of that interface [default: the one the address is in]
    #[arg(long)]
    network: Option<NetworkName>,
    /// Rack they stand in [default: what the name tells]
    #[arg(long)]
    rack: Option<u32>,
    /// Place in the rack [default: what the name tells]
    #[arg(long)]
    rank: Option<u32>,
    /// Set an attribute of these hosts
    #[arg(long, value_name = "NAME=VALUE")]
    attr: Vec<String>,
    /// What they do when they next start
    #[arg(long, value_name = "ACTION", default_value = "install", value_parser = super::set_boot::action)]
    boot: BootAction,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let attributes = args.attr.iter().map(|text| assignment(text)).collect::<anyhow::Result<Vec<_>>>()?;
    match &args.from {
        Some(file) => add_list(context, &args, file, &attributes),
        None => add_named(context, &args, &attributes),
    }
}

fn add_named(context: &Context, args: &Args, attributes: &[(AttributeName, String)]) -> anyhow::Result<()> {
    let names = names(&args.names)?;
    let hosts =
        names.iter().enumerate().map(|(i, name)| host(args, name, i, names.len())).collect::<Result<Vec<_>, _>>()?;
    let store = context.store_to_write()?;
    store.write(&format!("add host {}", sets(&args.names)), |w| {
        for host in &hosts {
            w.add_host(host)?;
            for (name, value) in attributes {
                let scope = Scope::Host(host.name.clone());
                w.set_attribute(&Attribute { scope, name: name.clone(), value: value.clone() })?;
            }
            w.set_first_boot(&host.name, args.boot)?;
        }
        Ok(())
    })?;
    ui::note(&format!("added {}", folded(&names)));
    Ok(())
}

/// The names in the sets. None exists yet, so a group has nothing to say.
fn names(sets: &[NodeSet]) -> anyhow::Result<Vec<HostName>> {
    let mut names = Vec::new();
    for set in sets {
        if let Some(group) = set.groups().next() {
            let problem = format!("'@{group}' means hosts that are there already");
            return Err(Failure::new(Kind::Usage, problem).hint("name the new hosts, as in: compute-1-[0-39]").into());
        }
        names.extend(set.expand(&BTreeMap::new())?);
    }
    Ok(names)
}

/// The host of the i-th name.
fn host(args: &Args, name: &HostName, i: usize, count: usize) -> anyhow::Result<Host> {
    if count > 1 && args.mac.is_some() {
        let problem = format!("one MAC address for {count} hosts");
        return Err(Failure::new(Kind::Usage, problem).hint("give each its own with: rocks add-host --from FILE").into());
    }
    let mut host = Host::new(name.clone(), args.appliance.as_deref().unwrap_or(""));
    (host.rack, host.rank) = (args.rack, args.rank);
    fill_from_name(&mut host, None)
        .map_err(|why| Failure::new(Kind::Invalid, why).hint("name it with: --appliance compute"))?;
    let ip = args.ip.map(|ip| following(ip, i)).transpose()?;
    if args.mac.is_some() || ip.is_some() || args.network.is_some() {
        let (name, network) = (args.interface.clone(), args.network.clone());
        host.interfaces.push(Interface { name, mac: args.mac, ip, network });
    }
    Ok(host)
}

/// The address `i` after `ip`.
fn following(ip: IpAddr, i: usize) -> anyhow::Result<IpAddr> {
    let next = match ip {
        IpAddr::V4(ip) => u32::from(ip).checked_add(u32::try_from(i)?).map(|n| IpAddr::V4(n.into())),
        IpAddr::V6(ip) => u128::from(ip).checked_add(i as u128).map(|n| IpAddr::V6(n.into())),
    };
    next.ok_or_else(|| Failure::new(Kind::Invalid, format!("no {i} addresses after '{ip}'")).into())
}

fn add_list(
    context: &Context,
    args: &Args,
    file: &str,
    attributes: &[(AttributeName, String)],
) -> anyhow::Result<()> {
    let mut list = HostList::parse(&ui::read_input(file)?, args.appliance.as_deref());
    for listed in &mut list.hosts {
        for (name, value) in attributes {
            if !listed.attributes.iter().any(|(other, _)| other == name) {
                listed.attributes.push((name.clone(), value.clone()));
            }
        }
    }
    let store = context.store_to_write()?;
    let added = count(list.hosts.len(), "host");
    store.write(&format!("add {added} from {file}"), |w| w.add_hosts(&list, args.boot, file))?;
    ui::note(&format!("added {added}"));
    Ok(())
}
