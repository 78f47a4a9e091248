//! Why something is in a host's profile: the edges that lead to a node, what they stand under, and with which values.

use super::compile::CompileRequest;
use super::configuration::Configuration;
use super::error::{GraphError, Place};
use super::network::{Network, Walk};
use crate::profile::cond::Condition;
use crate::profile::{Content, Element, Profile};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A condition, judged for one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedCondition {
    /// The condition; empty where there is none.
    pub text: String,
    /// Whether it holds.
    pub holds: bool,
    /// The attributes it asks for and their values.
    pub values: Vec<(String, Option<String>)>,
}

impl JudgedCondition {
    /// Judges a condition with a host's attributes; one that cannot be judged does not hold.
    pub fn new(text: &str, attributes: &BTreeMap<String, String>) -> Self {
        let lookup = |name: &str| attributes.get(name).map(String::as_str);
        let condition = Condition::parse(text);
        let holds = condition.as_ref().is_ok_and(|condition| condition.judge(lookup).unwrap_or(false));
        let names = condition.as_ref().map(Condition::names).unwrap_or_default();
        let values = names.into_iter().map(|name| (name.to_owned(), attributes.get(name).cloned())).collect();
        Self { text: text.to_owned(), holds, values }
    }
}

/// An edge on the way to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The node that includes.
    pub from: Arc<str>,
    /// The node that is included.
    pub to: Arc<str>,
    /// Where the edge is written.
    pub place: Place,
    /// What it stands under.
    pub condition: JudgedCondition,
}

/// Why a node is compiled, or why it is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeReason {
    /// It is where the appliance begins.
    Root,
    /// These edges lead to it, the first from the root.
    Included(Vec<Link>),
    /// These edges lead to it first, and the last one's condition does not hold.
    Dropped(Vec<Link>),
    /// No edge that counts leads to it; these would.
    NotReached(Vec<Link>),
    /// The graph has no such node.
    Unknown,
}

impl Configuration {
    /// Why a node is compiled for a host, or why it is not.
    pub fn explain_node(&self, request: &CompileRequest<'_>, node: &str) -> Result<NodeReason, GraphError> {
        let network = self.network_of(request.attributes)?;
        let lookup = |name: &str| request.attributes.get(name).map(String::as_str);
        let walk = network.walk(request.root, request.generator, &lookup)?;
        let Some(number) = network.number(node) else { return Ok(NodeReason::Unknown) };
        let link = |edge: usize| {
            let edge = &network.edges[edge];
            let condition = JudgedCondition::new(&edge.shown_condition(), request.attributes);
            Link { from: edge.from.clone(), to: edge.to.clone(), place: edge.place.clone(), condition }
        };
        let Some(reached) = walk.reached[number] else {
            let leading = (0..network.edges.len()).filter(|edge| network.edges[*edge].to.as_ref() == node);
            return Ok(NodeReason::NotReached(leading.map(link).collect()));
        };
        let chain: Vec<Link> = chain(&network, &walk, number).into_iter().map(link).collect();
        Ok(match (chain.is_empty(), reached.kept) {
            (true, _) => NodeReason::Root,
            (false, true) => NodeReason::Included(chain),
            (false, false) => NodeReason::Dropped(chain),
        })
    }
}

/// The edges along which a node was first reached, from the root.
fn chain(network: &Network, walk: &Walk, mut node: usize) -> Vec<usize> {
    let mut edges = Vec::new();
    while let Some(edge) = walk.reached[node].and_then(|reached| reached.via) {
        edges.push(edge);
        let from = network.number(&network.edges[edge].from);
        match from.filter(|_| edges.len() <= network.names().len()) {
            Some(from) => node = from,
            None => break,
        }
    }
    edges.reverse();
    edges
}

/// The elements of a profile that say something, the innermost of each: `says` is asked for an element and its own
/// text.
pub fn find_elements(profile: &Profile, says: impl Fn(&Element, &str) -> bool) -> Vec<Arc<Element>> {
    fn look(element: &Arc<Element>, says: &dyn Fn(&Element, &str) -> bool, found: &mut Vec<Arc<Element>>) {
        let mut own = String::new();
        for child in &element.children {
            match child {
                Content::Text(text) => own.push_str(text),
                Content::Element(inner) => look(inner, says, found),
            }
        }
        if says(element, &own) {
            found.push(element.clone());
        }
    }
    let mut found = Vec::new();
    for element in &profile.elements {
        look(element, &says, &mut found);
    }
    found
}

/// The node that a file belongs to: `base` of `./nodes/extend-base.xml`.
pub fn node_of_file(file: &str) -> &str {
    let name = file.rsplit_once('/').map_or(file, |(_, name)| name);
    let stem = name.strip_suffix(".xml").unwrap_or(name);
    stem.strip_prefix("extend-").or_else(|| stem.strip_prefix("replace-")).unwrap_or(stem)
}
