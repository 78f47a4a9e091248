//! `rocks list-graph`.

use crate::compile_graph::{Subject, configuration};
use crate::context::Context;
use crate::ui;
use rocks::cluster::HostName;
use rocks::draw::{Diagram, DiagramEdge, DiagramNode, colour};
use rocks::graph::Picture;
use std::path::PathBuf;

/// List or draw the configuration graph, all of it or as it counts for a host
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks list-graph
  rocks list-graph compute-0-0 --format svg > graph.svg
  rocks list-graph --format dot | dot -Tpdf > graph.pdf

A node has the colour of its roll; what does not count for the host is grey.")]
pub(crate) struct Args {
    /// The host whose part of the graph is shown
    host: Option<HostName>,
    /// How it is shown
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: GraphFormat,
    /// The graph's name [default: the host's attribute 'graph', else default]
    #[arg(long, value_name = "NAME")]
    graph: Option<String>,
    /// The folder with graphs/ and nodes/ [default: the cluster's own graphs/ over those we ship]
    #[arg(long, value_name = "DIR")]
    graphs: Option<PathBuf>,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum GraphFormat {
    /// A line for each edge
    #[default]
    Table,
    /// JSON for programs
    Json,
    /// The language of Graphviz
    Dot,
    /// A picture
    Svg,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let configuration = configuration(context, args.graphs.as_deref())?;
    let subject = args.host.as_ref().map(|host| Subject::of_host(context, host)).transpose()?;
    let host = subject.as_ref().map(|subject| (subject.root.as_str(), &subject.attributes));
    let named = host.and_then(|(_, attributes)| attributes.get("graph").map(String::as_str));
    let graph = args.graph.as_deref().or(named).unwrap_or("default");
    let picture = configuration.picture(graph, host)?;
    match args.format {
        GraphFormat::Json => ui::json(&serde_json::json!({ "nodes": picture.nodes, "edges": picture.edges })),
        GraphFormat::Dot => ui::print(&picture.to_dot(colour)),
        GraphFormat::Svg => ui::print(&diagram(&picture).to_svg()),
        GraphFormat::Table => {
            let counts = |kept| if kept { "yes" } else { "no" }.to_owned();
            let row = |edge: &rocks::graph::PictureEdge| {
                vec![
                    edge.from.to_string(),
                    edge.to.to_string(),
                    counts(edge.is_kept),
                    edge.roll.to_string(),
                    edge.place.clone(),
                    edge.condition.clone(),
                ]
            };
            let rows: Vec<Vec<String>> = picture.edges.iter().map(row).collect();
            ui::table(&["FROM", "TO", "COUNTS", "ROLL", "PLACE", "CONDITION"], &rows)
        }
    }
}

fn diagram(picture: &Picture) -> Diagram {
    let rolls = picture.rolls();
    let nodes = picture.nodes.iter().map(|node| DiagramNode {
        name: node.name.to_string(),
        tip: node.roll.as_ref().map_or_else(|| "no file".to_owned(), |roll| format!("roll {roll}")),
        colour: node.roll.as_ref().filter(|_| node.is_kept).and_then(|roll| rolls.iter().position(|r| r == roll)),
    });
    let edges = picture.edges.iter().map(|edge| DiagramEdge {
        from: edge.from.to_string(),
        to: edge.to.to_string(),
        label: edge.condition.clone(),
        is_pale: !edge.is_kept,
    });
    Diagram { nodes: nodes.collect(), edges: edges.collect(), legend: rolls.iter().map(ToString::to_string).collect() }
}
