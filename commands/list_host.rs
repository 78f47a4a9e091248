//! `rocks list-host`.

use crate::args::FormatArgs;
use crate::context::Context;
use crate::ui::{self, cell};
use rocks::cluster::{Boot, Host, NodeSet};
use serde::Serialize;

/// List hosts with their interfaces and what they do when they next start
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks list-host
  rocks list-host 'compute-[0-3]-[0-39]'
  rocks list-host @login --format json")]
pub(crate) struct Args {
    /// Which hosts, as node sets [default: all]
    #[arg(value_name = "HOSTS")]
    hosts: Vec<NodeSet>,
    #[command(flatten)]
    format: FormatArgs,
}

/// A host as it is listed.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    host: Host,
    boot: Boot,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let listed = context.store()?.read(|r| {
        let mut listed = Vec::new();
        for host in r.hosts_in(&args.hosts)? {
            let boot = r.boot(&host.name)?;
            listed.push(Listed { host, boot });
        }
        Ok(listed)
    })?;
    let headings =
        ["NAME", "APPLIANCE", "RACK", "RANK", "INTERFACE", "MAC", "ADDRESS", "NETWORK", "BOOT", "INSTALLATION"];
    ui::list(args.format.format, &listed, &headings, || listed.iter().flat_map(rows).collect())
}

/// One row for each interface, the host's own cells in the first.
fn rows(listed: &Listed) -> Vec<Vec<String>> {
    let Listed { host, boot } = listed;
    let mut rows: Vec<Vec<String>> = host
        .interfaces
        .iter()
        .map(|i| {
            let blank = String::new;
            let own = [i.name.clone(), cell(i.mac), cell(i.ip), cell(i.network.as_ref())];
            [blank(), blank(), blank(), blank()].into_iter().chain(own).chain([blank(), blank()]).collect()
        })
        .collect();
    if rows.is_empty() {
        let absent = || "-".to_owned();
        rows.push([const { String::new() }; 4].into_iter().chain([absent(), absent(), absent(), absent()]).collect());
        rows[0].resize(10, String::new());
    }
    let first = &mut rows[0];
    first[0] = host.name.to_string();
    first[1].clone_from(&host.appliance);
    first[2] = cell(host.rack);
    first[3] = cell(host.rank);
    first[8] = boot.action.to_string();
    first[9] = cell(boot.state);
    rows
}
