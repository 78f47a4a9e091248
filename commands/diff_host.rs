//! `rocks diff-host`.

use crate::args::{FormatArgs, assignment};
use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::kickstart_of::{Guest, Kitchen};
use crate::ui::{self, Format};
use rayon::prelude::*;
use rocks::cluster::{AttributeName, HostName, NodeSet, Release, fold};
use rocks::kickstart::Difference;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Show what a change does to the Kickstart of hosts, before it is made
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks diff-host compute-0-0 --attr timezone=Europe/Berlin
  rocks diff-host @compute --graphs ./graphs --templates ./templates
  rocks diff-host compute-0-0 --against /root/ks.cfg.last

Hosts whose lines change in the same way are shown once, as a node set. The comparison is with the cluster as it is
now, or, with --against, of the cluster as it is now with a Kickstart file kept from before.")]
pub(crate) struct Args {
    /// Which hosts, as node sets
    #[arg(value_name = "HOSTS", required = true)]
    hosts: Vec<NodeSet>,
    /// With this attribute instead of the one that holds today
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    attr: Vec<(AttributeName, String)>,
    /// Without this attribute
    #[arg(long, value_name = "NAME")]
    without_attr: Vec<AttributeName>,
    /// With the configuration in this folder (graphs/, nodes/) instead of the cluster's
    #[arg(long, value_name = "DIR")]
    graphs: Option<PathBuf>,
    /// With the templates in this folder instead of the cluster's
    #[arg(long, value_name = "DIR")]
    templates: Option<PathBuf>,
    /// For this release of the installer instead of the host's own
    #[arg(long)]
    release: Option<Release>,
    /// Begin at this Kickstart file instead of what the cluster makes now; '-' is standard input
    #[arg(long, value_name = "FILE")]
    against: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let same = args.attr.is_empty() && args.without_attr.is_empty() && args.graphs.is_none() && args.templates.is_none();
    if same && args.release.is_none() && args.against.is_none() {
        let failure = Failure::new(Kind::Usage, "nothing is changed");
        return Err(failure.hint("say what changes with --attr, --graphs, --templates, --release or --against").into());
    }
    let before = args.against.as_deref().map(ui::read_input).transpose()?;
    let now = Kitchen::of_cluster(context)?;
    let then = Kitchen::in_place(context, args.graphs.as_deref(), args.templates.as_deref())?;
    let hosts = now.hosts(context, &args.hosts)?;
    let differences = hosts.par_iter().map(|host| {
        let old = match &before {
            Some(text) => text.clone(),
            None => now.cook(host, None)?.0.text,
        };
        let mut attributes = host.attributes.to_map();
        attributes.extend(args.attr.iter().map(|(name, value)| (name.to_string(), value.clone())));
        for name in &args.without_attr {
            attributes.remove(name.as_str());
        }
        let changed = Guest { attributes: attributes.into(), ..host.clone() };
        Ok((host.name.clone(), Difference::between(&old, &then.cook(&changed, args.release)?.0.text)))
    });
    let mut groups: BTreeMap<String, (Vec<HostName>, String)> = BTreeMap::new();
    for (host, difference) in differences.collect::<anyhow::Result<Vec<_>>>()? {
        groups.entry(difference.changes).or_insert_with(|| (Vec::new(), difference.text)).0.push(host);
    }
    print(args.format.format, &groups)
}

fn print(format: Format, groups: &BTreeMap<String, (Vec<HostName>, String)>) -> anyhow::Result<()> {
    if format == Format::Json {
        let records: Vec<_> = groups
            .values()
            .map(|(hosts, text)| serde_json::json!({"hosts": hosts, "nodeset": fold(hosts), "difference": text}))
            .collect();
        return ui::json(&records);
    }
    for (hosts, text) in groups.values() {
        match text.is_empty() {
            true => ui::note(&format!("{}: no difference", fold(hosts))),
            false => ui::print(&format!("{}:\n{text}", fold(hosts)))?,
        }
    }
    Ok(())
}
