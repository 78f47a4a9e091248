//! `rocks check`.

use crate::context::Context;
use crate::found::{Found, KICKSTART};
use crate::kickstart_of::{Guest, Kitchen};
use crate::{args::FormatArgs, shelves::Shelves, ui};
use rayon::prelude::*;
use rocks::cluster::{NodeSet, Release};
use rocks::graph::GraphError;
use rocks::kickstart::{Check, Memo, Scripts};
use rocks::profile::{Finding, Severity};
use std::path::PathBuf;

/// Find what would fail at install time: in graph and node files, in the Kickstart of hosts, in any Kickstart file
///
/// For hosts, the graph and node files are checked first, then each host is compiled and its Kickstart checked for
/// its release: commands and options, addresses, time zones, locales, hashes, partitioning, packages and groups of its
/// distribution, and every script by `bash -n`. Nothing is changed and no script runs that is not trusted.
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
    /// For hosts: with the configuration in this folder (graphs/, nodes/) instead of the cluster's
    #[arg(long, value_name = "DIR")]
    graphs: Option<PathBuf>,
    /// For hosts: with the templates in this folder instead of the cluster's
    #[arg(long, value_name = "DIR")]
    templates: Option<PathBuf>,
    /// Do not let bash read the scripts
    #[arg(long)]
    no_scripts: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// Hosts whose findings are in memory at once.
const HOSTS_AT_ONCE: usize = 256;

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let (files, hosts): (Vec<String>, Vec<String>) = args.targets.iter().cloned().partition(|target| is_file(target));
    let scripts = (!args.no_scripts).then(Scripts::new);
    let mut found = Found::default();
    if !files.is_empty() {
        check_files(context, &args, &files, scripts.as_ref(), &mut found)?;
    }
    let mut checked = files.len();
    if files.is_empty() || !hosts.is_empty() {
        let sets = hosts.iter().map(|set| NodeSet::parse(set)).collect::<Result<Vec<_>, _>>()?;
        checked += check_hosts(context, &args, &sets, scripts.as_ref(), &mut found)?;
    }
    found.report(args.format.format, checked)
}

/// What names a file and not hosts.
fn is_file(target: &str) -> bool {
    target == "-" || target.contains('/') || target.ends_with(".ks") || target.ends_with(".cfg")
}

fn check_files(context: &Context, args: &Args, files: &[String], scripts: Option<&Scripts>, found: &mut Found) -> anyhow::Result<()> {
    let release = args.release.unwrap_or(Release::Rhel9);
    let shelves = Shelves::for_file(context, args.distribution.as_deref(), release)?;
    let memo = Memo::default();
    let check = Check { release, shelf: shelves.first(), scripts, memo: &memo };
    if check.shelf.is_none() {
        ui::note(&format!("packages are not looked up, since no distribution of {release} is known: name one with --distribution"));
    }
    let texts = files.iter().map(|file| Ok((file, ui::read_input(file)?))).collect::<anyhow::Result<Vec<_>>>()?;
    let each = texts.par_iter().flat_map(|(name, text)| check.run(if *name == "-" { "standard input" } else { name }, text));
    each.collect::<Vec<_>>().into_iter().for_each(|finding| found.add(finding));
    Ok(())
}

/// Checks the configuration by itself, then compiles and checks hosts in parallel; how many.
fn check_hosts(context: &Context, args: &Args, sets: &[NodeSet], scripts: Option<&Scripts>, found: &mut Found) -> anyhow::Result<usize> {
    let kitchen = Kitchen::with(context, args.graphs.as_deref(), args.templates.as_deref())?;
    // The files are judged by what all hosts make of them, whichever hosts were asked for.
    let mut hosts = kitchen.hosts(context, &[])?;
    kitchen.lint(context, &hosts)?.into_iter().for_each(|finding| found.add(finding));
    if !sets.is_empty() {
        hosts = kitchen.hosts(context, sets)?;
    }
    let shelves = Shelves::of_cluster(context, args.distribution.as_deref())?;
    if !hosts.is_empty() && shelves.first().is_none() {
        ui::note("packages are not looked up, since the cluster has no distribution: add one, or name one with --distribution");
    }
    let memo = Memo::default();
    let check = |host: &Guest| {
        let (kickstart, mut findings) = match kitchen.cook(host, args.release) {
            Ok(cooked) => cooked,
            Err(error) => return vec![failure(&error)],
        };
        let (release, shelf) = (kickstart.release, shelves.of(&host.attributes));
        findings.extend(Check { release, shelf, scripts, memo: &memo }.run(KICKSTART, &kickstart.text));
        findings
    };
    for hosts in hosts.chunks(HOSTS_AT_ONCE) {
        let each: Vec<Vec<Finding>> = hosts.par_iter().map(check).collect();
        for (host, findings) in hosts.iter().zip(each) {
            findings.into_iter().for_each(|finding| found.add_of(host, finding));
        }
    }
    Ok(hosts.len())
}

/// Why a host has no Kickstart, at its place where it has one.
fn failure(error: &anyhow::Error) -> Finding {
    let text = format!("{error:#}");
    match error.downcast_ref::<GraphError>().and_then(GraphError::place) {
        Some(place) => {
            let what = text.strip_prefix(&format!("{place}: ")).unwrap_or(&text);
            Finding::new(Severity::Error, "compile", what).at(place.file.as_ref(), place.line, place.column)
        }
        None => Finding::new(Severity::Error, "compile", text),
    }
}
