//! `rocks check`.

use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::ui::{self, Format};
use crate::{args::FormatArgs, kickstart_of::Kitchen, shelves::Shelves};
use rayon::prelude::*;
use rocks::cluster::{HostName, NodeSet, Release, fold};
use rocks::kickstart::{Check, Scripts};
use rocks::profile::{Finding, Severity};
use std::collections::BTreeMap;

/// Find what would fail at install time, in graph and node files, the Kickstart of hosts or any Kickstart file
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks check
  rocks check 'compute-[0-3]-[0-39]' --release rhel10
  rocks check ./ks.cfg --release rhel9 --distribution ./el9

Ends with status 4 where something would fail; what may be meant so is a warning, and does not count.")]
pub(crate) struct Args {
    /// Hosts, as node sets, or files: what has a '/', ends in '.ks' or '.cfg', or is '-' [default: all hosts]
    #[arg(value_name = "HOSTS|FILE")]
    targets: Vec<String>,
    /// The release of the installer [default: each host's own; rhel9 for a file]
    #[arg(long)]
    release: Option<Release>,
    /// Where packages and groups of a file must be: a distribution's name, or a folder with repodata/
    /// [default: the cluster's, where it has one for the release]
    #[arg(long, value_name = "NAME|DIR")]
    distribution: Option<String>,
    /// Do not let bash read the scripts
    #[arg(long)]
    no_scripts: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// A finding and the hosts that have it; none for a file.
type Found = BTreeMap<Finding, Vec<HostName>>;

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let (files, hosts): (Vec<String>, Vec<String>) = args.targets.iter().cloned().partition(|target| is_file(target));
    let scripts = (!args.no_scripts).then(Scripts::new);
    let mut found = Found::new();
    if !files.is_empty() {
        let release = args.release.unwrap_or(Release::Rhel9);
        let shelves = Shelves::for_file(context, args.distribution.as_deref(), release)?;
        let check = Check { release, shelf: shelves.first(), scripts: scripts.as_ref() };
        if check.shelf.is_none() {
            ui::note(&format!("packages are not looked up, since no distribution of {release} is known (--distribution)"));
        }
        let texts = files.iter().map(|file| Ok((file, ui::read_input(file)?))).collect::<anyhow::Result<Vec<_>>>()?;
        let each = texts.par_iter().flat_map(|(name, text)| check.run(if *name == "-" { "standard input" } else { name }, text));
        found.extend(each.collect::<Vec<_>>().into_iter().map(|finding| (finding, Vec::new())));
    }
    let mut checked = files.len();
    if files.is_empty() || !hosts.is_empty() {
        let sets = hosts.iter().map(|set| NodeSet::parse(set)).collect::<Result<Vec<_>, _>>()?;
        checked += check_hosts(context, &args, &sets, scripts.as_ref(), &mut found)?;
    }
    report(args.format.format, found, checked)
}

/// What names a file and not hosts.
fn is_file(target: &str) -> bool {
    target == "-" || target.contains('/') || target.ends_with(".ks") || target.ends_with(".cfg")
}

/// Compiles and checks hosts in parallel; how many.
fn check_hosts(context: &Context, args: &Args, sets: &[NodeSet], scripts: Option<&Scripts>, found: &mut Found) -> anyhow::Result<usize> {
    let kitchen = Kitchen::of_cluster(context)?;
    let hosts = kitchen.hosts(context, sets)?;
    let shelves = Shelves::of_cluster(context, args.distribution.as_deref())?;
    found.extend(kitchen.lint(context)?.into_iter().map(|finding| (finding, Vec::new())));
    let each = hosts.par_iter().map(|host| {
        let (kickstart, mut findings) = match kitchen.cook(host, args.release) {
            Ok(cooked) => cooked,
            Err(error) => return (&host.name, vec![Finding::new(Severity::Error, "compile", format!("{error:#}"))]),
        };
        let release = kickstart.release;
        let check = Check { release, shelf: shelves.of(&host.attributes), scripts };
        findings.extend(check.run("ks.cfg", &kickstart.text));
        (&host.name, findings)
    });
    for (host, findings) in each.collect::<Vec<_>>() {
        for finding in findings {
            let hosts = found.entry(finding).or_default();
            if hosts.last() != Some(host) {
                hosts.push(host.clone());
            }
        }
    }
    Ok(hosts.len())
}

fn report(format: Format, found: Found, checked: usize) -> anyhow::Result<()> {
    let count = |severity| found.keys().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    match format {
        Format::Json => ui::json(&found.iter().map(|(finding, hosts)| record(finding, hosts)).collect::<Vec<_>>())?,
        Format::Table => {
            for (finding, hosts) in &found {
                let whose = if hosts.is_empty() { String::new() } else { format!("{}: ", fold(hosts)) };
                ui::print(&format!("{whose}{finding}\n"))?;
            }
        }
    }
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let summary = format!("{} checked: {}, {}", checked, plural(errors, "error"), plural(warnings, "warning"));
    if errors > 0 {
        return Err(Failure::new(Kind::Invalid, summary).into());
    }
    ui::note(&summary);
    Ok(())
}

fn record(finding: &Finding, hosts: &[HostName]) -> serde_json::Value {
    let Finding { file, line, column, severity, code, message, shown, hint } = finding;
    serde_json::json!({
        "file": file, "line": line, "column": column, "severity": severity.as_str(), "code": code,
        "message": message, "shown": shown, "hint": hint, "hosts": hosts,
    })
}
