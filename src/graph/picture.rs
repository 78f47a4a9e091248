//! A graph to look at: its nodes and edges, with what becomes of them for a host.

use super::configuration::Configuration;
use super::error::{GraphError, Place};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// A node to look at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PictureNode {
    /// Its name.
    pub name: Arc<str>,
    /// The roll of its file; none where it has no file that can be read.
    pub roll: Option<Arc<str>>,
    /// Whether it is part of the host's profile; true where no host was given.
    pub is_kept: bool,
}

/// An edge to look at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PictureEdge {
    /// The node that includes.
    pub from: Arc<str>,
    /// The node that is included.
    pub to: Arc<str>,
    /// What it stands under; empty where nothing.
    pub condition: String,
    /// The roll of its file.
    pub roll: Arc<str>,
    /// Where it is written.
    pub place: String,
    /// Whether it counts for the host; true where no host was given.
    pub is_kept: bool,
}

/// A graph to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// Its nodes, by name.
    pub nodes: Vec<PictureNode>,
    /// Its edges, as written.
    pub edges: Vec<PictureEdge>,
}

impl Configuration {
    /// A whole graph; with a root and a host's attributes, what of it counts for that host.
    pub fn picture(&self, graph: &str, host: Option<(&str, &BTreeMap<String, String>)>) -> Result<Picture, GraphError> {
        let network = self.network(graph)?;
        let walk = match host {
            Some((root, attributes)) => {
                Some(network.walk(root, "kgen", &|name| attributes.get(name).map(String::as_str))?)
            }
            None => None,
        };
        let kept = |node: usize| walk.as_ref().is_none_or(|walk| walk.reached[node].is_some_and(|node| node.kept));
        let node = |(number, name): (usize, &Arc<str>)| {
            let files = self.files_of(name, false).map(|(_, files)| files).unwrap_or_default();
            let roll = files.first().and_then(|file| file.template(true).ok()).map(|template| template.roll.clone());
            PictureNode { name: name.clone(), roll, is_kept: kept(number) }
        };
        let nodes = network.names().iter().enumerate().map(node).collect();
        let mut edges = Vec::with_capacity(network.edges.len());
        for (i, edge) in network.edges.iter().enumerate() {
            let number = |name: &str| network.number(name).is_some_and(kept);
            let is_open = walk.as_ref().is_none_or(|walk| walk.open[i]);
            let Place { file, line, column } = &edge.place;
            edges.push(PictureEdge {
                from: edge.from.clone(),
                to: edge.to.clone(),
                condition: edge.shown_condition(),
                roll: edge.roll.clone(),
                place: format!("{file}:{line}:{column}"),
                is_kept: is_open && number(&edge.from) && number(&edge.to),
            });
        }
        Ok(Picture { nodes, edges })
    }
}

impl Picture {
    /// The rolls in it, sorted: a roll's place here is its colour.
    pub fn rolls(&self) -> Vec<Arc<str>> {
        let mut rolls: Vec<Arc<str>> = self.nodes.iter().filter_map(|node| node.roll.clone()).collect();
        rolls.sort();
        rolls.dedup();
        rolls
    }

    /// As Graphviz reads it; `colour` gives the colour of the roll at a place in `rolls`.
    pub fn to_dot(&self, colour: impl Fn(usize) -> String) -> String {
        let rolls = self.rolls();
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " "));
        let mut out = String::from(
            "digraph rocks {\n\trankdir=LR;\n\tnode [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\"];\n",
        );
        for node in &self.nodes {
            let place = node.roll.as_ref().and_then(|roll| rolls.iter().position(|known| known == roll));
            let colour = match place {
                Some(place) if node.is_kept => colour(place),
                _ => "#e8e8e8".to_owned(),
            };
            let tip = node.roll.as_deref().unwrap_or("no file");
            let _ = writeln!(out, "\t{} [fillcolor=\"{colour}\", tooltip={}];", quoted(&node.name), quoted(tip));
        }
        for edge in &self.edges {
            let colour = if edge.is_kept { "#444444" } else { "#c8c8c8" };
            let _ = writeln!(
                out,
                "\t{} -> {} [color=\"{colour}\", fontcolor=\"{colour}\", label={}];",
                quoted(&edge.from),
                quoted(&edge.to),
                quoted(&edge.condition)
            );
        }
        out.push_str("}\n");
        out
    }
}
