//! `rocks explain`.

use crate::compile_graph::{Subject, configuration};
use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::kickstart_of::Kitchen;
use crate::ui;
use rocks::cluster::{HostName, NodeSet, Release, ResolvedAttribute};
use rocks::graph::{
    CompileRequest, Compiled, Evals, JudgedCondition, Link, NodeReason, find_elements, node_of_file,
};
use rocks::profile::Element;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

/// Say why an attribute, a node, a package or a line is in the installation of a host
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks explain compute-0-0 Kickstart_Timezone
  rocks explain compute-0-0 time
  rocks explain compute-0-0 chrony
  rocks explain compute-0-0 'systemctl enable'
  rocks explain compute-0-0 120

A number is a line of what 'rocks compile-graph HOST | rocks kickstart' prints.")]
pub(crate) struct Args {
    /// The host
    host: HostName,
    /// An attribute's name, a node of the graph, a package, or a line of the Kickstart file: its number or a part of it
    #[arg(value_name = "KEY|NODE|PACKAGE|LINE")]
    what: String,
    /// The folder with graphs/ and nodes/ [default: the cluster's own graphs/ over those we ship]
    #[arg(long, value_name = "DIR")]
    graphs: Option<PathBuf>,
    /// For a line's number: the release of the Kickstart file [default: the host's own]
    #[arg(long)]
    release: Option<Release>,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    if let Ok(number) = args.what.parse() {
        return explain_line(context, &args, number);
    }
    let configuration = configuration(context, args.graphs.as_deref())?;
    let subject = Subject::of_host(context, &args.host)?;
    let (what, evals) = (args.what.as_str(), Evals::off());
    let request = CompileRequest {
        root: &subject.root,
        attributes: &subject.attributes,
        generator: "kgen",
        rolls: None,
        evals: &evals,
    };
    let mut out = String::new();
    let resolved = context.store()?.read(|r| r.resolve(&r.host(&args.host)?))?;
    if let Some(attribute) = resolved.iter().find(|attribute| attribute.name.as_str() == what) {
        tell_attribute(attribute, &mut out);
    }
    let reason = configuration.explain_node(&request, what)?;
    if reason != NodeReason::Unknown {
        tell_node(what, &reason, &mut out);
    }
    let compiled = configuration.compile(&request)?;
    for element in elements(&compiled, what, out.is_empty()) {
        tell_element(&element, &subject.attributes, &mut out);
        let node = node_of_file(&element.origin.file);
        let reason = configuration.explain_node(&request, node)?;
        if !matches!(reason, NodeReason::Unknown | NodeReason::NotReached(_)) {
            tell_node(node, &reason, &mut out);
        }
    }
    if out.is_empty() {
        let message = format!("host '{}' has no attribute, node, package or line '{what}'", args.host);
        let names = resolved.iter().map(|attribute| attribute.name.as_str());
        let nodes = compiled.visited.iter().map(|node| node.name.as_ref());
        let failure = Failure::new(Kind::NotFound, message);
        return Err(match rocks::cluster::similar(what, names.chain(nodes)) {
            Some(similar) => failure.hint(format!("did you mean '{similar}'?")).into(),
            None => failure.into(),
        });
    }
    ui::print(&out)
}

/// Why a line of the Kickstart file is there, by its number from 1.
fn explain_line(context: &Context, args: &Args, number: usize) -> anyhow::Result<()> {
    let kitchen = Kitchen::with(context, args.graphs.as_deref(), None)?;
    let guests = kitchen.hosts(context, &[NodeSet::parse(args.host.as_str())?])?;
    let guest = guests.first().ok_or_else(|| Failure::new(Kind::NotFound, format!("no host '{}'", args.host)))?;
    let compiled = kitchen.compile(guest)?;
    let lines = kitchen.trace(&compiled.profile, args.release)?;
    let Some(line) = number.checked_sub(1).and_then(|place| lines.get(place)) else {
        let message = format!("the Kickstart file of host '{}' has no line {number}: it has {}", args.host, lines.len());
        return Err(Failure::new(Kind::NotFound, message).into());
    };
    let mut out = format!("line {number} of the Kickstart file\n  {}\n", line.text);
    if line.makers.is_empty() {
        out.push_str("no node makes it: it is in the template\n");
    }
    let attributes = guest.attributes.to_map();
    let evals = Evals::off();
    let request =
        CompileRequest { root: &guest.root, attributes: &attributes, generator: "kgen", rolls: None, evals: &evals };
    for chain in &line.makers {
        for element in chain {
            tell_element(element, &attributes, &mut out);
        }
        let Some(innermost) = chain.last() else { continue };
        let made = lines.iter().filter(|other| other.makers == line.makers).map(|other| other.text.as_str());
        let made: Vec<&str> = made.collect();
        let origin = &innermost.origin;
        if let Some(source) = kitchen.configuration().source_line(origin, &innermost.name, &made, line.number) {
            let _ = writeln!(out, "this line is written in {}:{source}", origin.file);
        }
        let node = node_of_file(&origin.file);
        tell_node(node, &kitchen.configuration().explain_node(&request, node)?, &mut out);
    }
    ui::print(&out)
}

/// Packages of this name; where there are none, and lines are wanted, whatever has the text in a line.
fn elements(compiled: &Compiled, what: &str, lines: bool) -> Vec<std::sync::Arc<Element>> {
    let is_package = |element: &Element, text: &str| {
        let name = what.trim_start_matches('@');
        element.name.as_ref() == "package" && text.split_whitespace().any(|word| word == name)
    };
    let packages = find_elements(&compiled.profile, is_package);
    if !packages.is_empty() || !lines {
        return packages;
    }
    find_elements(&compiled.profile, |element, text| {
        let line = format!("{} {}", element.name, text.trim());
        !what.trim().is_empty() && (text.contains(what.trim()) || line.contains(what.trim()))
    })
}

fn tell_attribute(attribute: &ResolvedAttribute, out: &mut String) {
    let _ = writeln!(out, "attribute {} is {:?}, from {}", attribute.name, attribute.value, attribute.source);
    for (source, value) in &attribute.hidden {
        let _ = writeln!(out, "  hides {value:?} from {source}");
    }
}

fn tell_node(node: &str, reason: &NodeReason, out: &mut String) {
    let (what, links) = match reason {
        NodeReason::Root => ("is where the appliance begins", &[][..]),
        NodeReason::Included(links) => ("is compiled: these edges lead to it", links.as_slice()),
        NodeReason::Dropped(links) => ("is left out: the first edges that lead to it end in a condition that does not hold", links.as_slice()),
        NodeReason::NotReached(links) => ("is not reached; these edges would lead to it", links.as_slice()),
        NodeReason::Unknown => return,
    };
    let _ = writeln!(out, "node {node} {what}");
    for Link { from, to, place, condition } in links {
        let _ = writeln!(out, "  {from} -> {to} ({place}){}", judged(condition));
    }
}

fn tell_element(element: &Element, attributes: &BTreeMap<String, String>, out: &mut String) {
    let line = element.origin.line.map(|line| format!(":{line}")).unwrap_or_default();
    let condition = JudgedCondition::new(&element.condition(), attributes);
    let stays = if condition.holds { "" } else { ": left out" };
    let disabled = if element.attribute("disable").is_some() { " (taken away)" } else { "" };
    let text = element.text();
    let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let name = element.attribute("name").map(|name| format!(" {name}")).unwrap_or_default();
    let _ = writeln!(
        out,
        "{}{name}{disabled} is written in {}{line} (roll {}){}{stays}\n  {first}",
        element.name,
        element.origin.file,
        element.origin.roll,
        judged(&condition)
    );
}

fn judged(condition: &JudgedCondition) -> String {
    if condition.text.is_empty() {
        return String::new();
    }
    let value = |(name, value): &(String, Option<String>)| match value {
        Some(value) => format!("{name} is {value:?}"),
        None => format!("{name} is not defined"),
    };
    let values: Vec<String> = condition.values.iter().map(value).collect();
    let verdict = if condition.holds { "holds" } else { "does not hold" };
    format!(" if {} [{verdict}: {}]", condition.text, values.join(", "))
}
