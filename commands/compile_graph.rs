//! `rocks compile-graph`.

use crate::attributes_file;
use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::ui;
use anyhow::Context as _;
use rocks::cluster::HostName;
use rocks::graph::{CompileRequest, Configuration, Evals, Recorded};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Compile the configuration graph of a host into its profile (XML)
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks compile-graph compute-0-0 | rocks kickstart > ks.cfg
  rocks compile-graph compute-0-0 --nodes
  rocks compile-graph --root compute --graphs BUILD_DIR --attributes attributes.json --evals replay:evals.json")]
pub(crate) struct Args {
    /// The host, whose appliance says where to begin and whose attributes are taken
    #[arg(required_unless_present = "root", conflicts_with_all = ["root", "attributes"])]
    host: Option<HostName>,
    /// Without a host: the node of the graph to begin at
    #[arg(long, value_name = "NODE")]
    root: Option<String>,
    /// The folder with graphs/ and nodes/ [default: the cluster's own graphs/ over those we ship]
    #[arg(long, value_name = "DIR")]
    graphs: Option<PathBuf>,
    /// Without a host: its attributes as a JSON object of texts
    #[arg(long, value_name = "FILE")]
    attributes: Option<String>,
    /// Print the nodes in order instead of the profile: name, roll and file, separated by tabs
    #[arg(long)]
    nodes: bool,
    /// Only what nodes of these rolls say
    #[arg(long, value_name = "ROLLS", value_delimiter = ',')]
    rolls: Option<Vec<String>>,
    /// What the profile is for: nodes ordered for another generator alone are left out
    #[arg(long, value_name = "NAME", default_value = "kgen")]
    generator: String,
    #[command(flatten)]
    evals: EvalArgs,
}

/// What is done with the scripts of `<eval>`.
#[derive(clap::Args)]
struct EvalArgs {
    /// The scripts of rolls: off, run, replay:FILE or record:FILE (runs them)
    /// [default: those of trusted rolls run for a host, else off]
    #[arg(long, value_name = "WHAT", value_parser = EvalMode::parse)]
    evals: Option<EvalMode>,
    /// Attributes that may go into a script whatever their value means to a shell
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    evals_allow: Vec<String>,
}

/// Where the results of scripts come from.
#[derive(Clone)]
enum EvalMode {
    Off,
    Run,
    Replay(PathBuf),
    Record(PathBuf),
}

impl EvalMode {
    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "off" => Ok(Self::Off),
            None if text == "run" => Ok(Self::Run),
            Some(("replay", file)) if !file.is_empty() => Ok(Self::Replay(file.into())),
            Some(("record", file)) if !file.is_empty() => Ok(Self::Record(file.into())),
            _ => Err("is none of off, run, replay:FILE, record:FILE".to_owned()),
        }
    }
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let configuration = configuration(context, args.graphs.as_deref())?;
    let subject = match &args.host {
        Some(host) => Subject::of_host(context, host)?,
        None => Subject::by_hand(args.root.unwrap_or_default(), args.attributes.as_deref())?,
    };
    let evals = evals(&args.evals, &configuration, subject.trusted)?;
    let rolls: Option<BTreeSet<String>> = args.rolls.map(|rolls| rolls.into_iter().collect());
    let compiled = configuration.compile(&CompileRequest {
        root: &subject.root,
        attributes: &subject.attributes,
        generator: &args.generator,
        rolls: rolls.as_ref(),
        evals: &evals,
    })?;
    for warning in &compiled.warnings {
        ui::complain(&format!("rocks: {warning}"));
    }
    if let Some(EvalMode::Record(file)) = &args.evals.evals {
        let text = serde_json::to_string_pretty(&evals.recorded())? + "\n";
        std::fs::write(file, text).with_context(|| format!("write '{}'", file.display()))?;
    }
    match args.nodes {
        true => ui::print(&compiled.visited.iter().map(|v| format!("{}\t{}\t{}\n", v.name, v.roll, v.file)).collect::<String>()),
        false => ui::print(&compiled.profile.to_xml()),
    }
}

/// The configuration in a folder, or that of the cluster.
pub(crate) fn configuration(context: &Context, graphs: Option<&Path>) -> anyhow::Result<Configuration> {
    Ok(match graphs {
        Some(folder) => Configuration::open(&[folder])?,
        None => Configuration::of_cluster(context.cluster())?,
    })
}

/// Whose profile it is.
pub(crate) struct Subject {
    /// The node to begin at.
    pub(crate) root: String,
    /// Its attributes.
    pub(crate) attributes: BTreeMap<String, String>,
    /// The rolls whose scripts may run; none where no store was asked.
    pub(crate) trusted: Option<BTreeSet<String>>,
}

impl Subject {
    /// A host of the cluster.
    pub(crate) fn of_host(context: &Context, host: &HostName) -> anyhow::Result<Self> {
        Ok(context.store()?.read(|r| {
            let host = r.host(host)?;
            let root = r.appliance(&host.appliance)?.root;
            let trusted = r.rolls()?.into_iter().filter(|roll| roll.trusted).map(|roll| roll.name).collect();
            Ok(Self { root, attributes: r.attributes_for(&host)?, trusted: Some(trusted) })
        })?)
    }

    /// No host: attributes out of a file, with what every compile needs.
    fn by_hand(root: String, file: Option<&str>) -> anyhow::Result<Self> {
        let mut attributes = file.map(attributes_file::read).transpose()?.unwrap_or_default();
        for (name, value) in [("os", "linux"), ("arch", "x86_64"), ("graph", "default"), ("root", root.as_str())] {
            attributes.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
        Ok(Self { root, attributes, trusted: None })
    }
}

fn evals(args: &EvalArgs, configuration: &Configuration, trusted: Option<BTreeSet<String>>) -> anyhow::Result<Evals> {
    let folder = configuration.tree().working_folder().unwrap_or(Path::new("/"));
    let evals = match (&args.evals, trusted) {
        (Some(EvalMode::Off), _) | (None, None) => Evals::off(),
        (Some(EvalMode::Run), _) => Evals::run(folder),
        (Some(EvalMode::Record(_)), _) => Evals::run(folder).recording(),
        (Some(EvalMode::Replay(file)), _) => Evals::replay(read_recording(file)?),
        (None, Some(rolls)) => Evals::trusting(folder, rolls),
    };
    Ok(evals.allowing(args.evals_allow.iter().cloned().collect()))
}

fn read_recording(file: &Path) -> anyhow::Result<Vec<Recorded>> {
    let (name, text) = super::kickstart::read(&file.to_string_lossy())?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::new(Kind::Invalid, format!("{name}: is no recording of scripts: {error}")).into())
}
