//! A whole graph: the edges and orders of all its files, ready to be walked for a host.
//!
//! Nodes are numbered in the byte order of their names, since that is how unordered nodes are sorted. Conditions are
//! kept once each and judged at most once for a host.

use super::edges::{Edge, GraphFile, Order, ReadCondition};
use super::error::{GraphError, Place};
use super::order::{self, Circle, Ordered};
use crate::profile::cond::CondError;
use std::collections::HashMap;
use std::sync::Arc;

/// A graph, ready to be walked.
#[derive(Debug)]
pub struct Network {
    /// Its name (`default`).
    pub name: String,
    /// Every edge, in the order of files and lines.
    pub edges: Vec<Edge>,
    /// Every order, in the order of files and lines.
    pub orders: Vec<Order>,
    names: Vec<Arc<str>>,
    /// For each node, its leaving edges in order.
    leaving: Vec<Vec<usize>>,
    /// For each edge: its ends, and the numbers of its gate and condition.
    walked: Vec<Walked>,
    conditions: Vec<(ReadCondition, Place)>,
    sequence: Result<Vec<Sequenced>, Circle>,
}

#[derive(Debug, Clone, Copy)]
struct Walked {
    from: usize,
    to: usize,
    gate: Option<usize>,
    condition: usize,
}

#[derive(Debug)]
struct Sequenced {
    ordered: Ordered,
    node: Option<usize>,
}

/// What became of a node that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// The edge that first led to it; none for the root.
    pub via: Option<usize>,
    /// Whether that edge's condition holds, so that the node is compiled.
    pub kept: bool,
}

/// A walk through a graph for one host.
#[derive(Debug)]
pub struct Walk {
    /// What became of each node, by its number.
    pub reached: Vec<Option<Reached>>,
    /// Whether each edge's gate is open, by the edge's number.
    pub open: Vec<bool>,
    /// The numbers of the nodes to compile, in order.
    pub order: Vec<usize>,
}

impl Network {
    /// Joins the files of a graph.
    pub fn new(name: &str, files: Vec<GraphFile>) -> Self {
        let mut edges = Vec::new();
        let mut orders = Vec::new();
        for file in files {
            edges.extend(file.edges);
            orders.extend(file.orders);
        }
        let mut names: Vec<Arc<str>> = edges.iter().flat_map(|edge| [edge.from.clone(), edge.to.clone()]).collect();
        names.sort();
        names.dedup();
        let number = |name: &str| names.binary_search_by(|known| known.as_ref().cmp(name)).ok();
        let mut conditions = Conditions::default();
        let mut leaving = vec![Vec::new(); names.len()];
        let mut walked = Vec::with_capacity(edges.len());
        for (i, edge) in edges.iter().enumerate() {
            let (Some(from), Some(to)) = (number(&edge.from), number(&edge.to)) else { continue };
            let gate = edge.gate.as_ref().map(|gate| conditions.number(gate, &edge.place));
            walked.push(Walked { from, to, gate, condition: conditions.number(&edge.condition, &edge.place) });
            leaving[from].push(i);
        }
        let sequenced = |ordered: Ordered| Sequenced { node: number(&ordered.name), ordered };
        let sequence = order::sequence(&orders).map(|all| all.into_iter().map(sequenced).collect());
        Self { name: name.to_owned(), edges, orders, leaving, walked, conditions: conditions.all, sequence, names }
    }

    /// All nodes that edges name, in byte order; a node's number is its place here.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// A node's number.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.names.binary_search_by(|known| known.as_ref().cmp(name)).ok()
    }

    /// The numbers of the nodes that a node includes, conditions aside.
    pub fn includes(&self) -> Vec<Vec<usize>> {
        self.leaving.iter().map(|edges| edges.iter().map(|edge| self.walked[*edge].to).collect()).collect()
    }

    /// Walks from a root with a host's attributes.
    pub fn walk<'v>(
        &self,
        root: &str,
        generator: &str,
        lookup: &dyn Fn(&str) -> Option<&'v str>,
    ) -> Result<Walk, GraphError> {
        let mut judged = Judged { network: self, lookup, known: vec![None; self.conditions.len()] };
        let mut open = Vec::with_capacity(self.walked.len());
        for edge in &self.walked {
            open.push(edge.gate.map_or(Ok(true), |gate| judged.holds(gate))?);
        }
        let touches = |(edge, open): (&Walked, &bool), node| *open && (edge.from == node || edge.to == node);
        let root = self
            .number(root)
            .filter(|node| self.walked.iter().zip(&open).any(|edge| touches(edge, *node)))
            .ok_or_else(|| GraphError::RootNotInGraph { root: root.to_owned(), graph: self.name.clone() })?;
        let mut reached = self.reach(root, &open);
        for node in reached.iter_mut().flatten() {
            if let Some(edge) = node.via {
                node.kept = judged.holds(self.walked[edge].condition)?;
            }
        }
        let order = self.arrange(&reached, generator)?;
        Ok(Walk { reached, open, order })
    }

    /// Depth first from the root, conditions aside: cycles are harmless, and the first edge that reaches a node
    /// decides for good.
    fn reach(&self, root: usize, open: &[bool]) -> Vec<Option<Reached>> {
        let mut reached = vec![None; self.names.len()];
        reached[root] = Some(Reached { via: None, kept: true });
        let mut stack = vec![(root, 0)];
        while let Some((node, next)) = stack.last_mut() {
            let Some(edge) = self.leaving[*node].get(*next).copied() else {
                stack.pop();
                continue;
            };
            *next += 1;
            let to = self.walked[edge].to;
            if open[edge] && reached[to].is_none() {
                reached[to] = Some(Reached { via: Some(edge), kept: true });
                stack.push((to, 0));
            }
        }
        reached
    }

    /// Ordered nodes as told, all others by name where `TAIL` stands (or at the end). A node that has an order for
    /// another generator only is left out.
    fn arrange(&self, reached: &[Option<Reached>], generator: &str) -> Result<Vec<usize>, GraphError> {
        let sequence = self.sequence.as_ref().map_err(|circle| GraphError::OrderCycle {
            graph: self.name.clone(),
            node: circle.node.to_string(),
            missing: circle.missing,
        })?;
        let kept = |node: usize| reached[node].is_some_and(|node| node.kept);
        let mut ordered = vec![false; reached.len()];
        for node in sequence.iter().filter_map(|sequenced| sequenced.node) {
            ordered[node] = true;
        }
        let special = |node: usize| matches!(self.names[node].as_ref(), "HEAD" | "TAIL");
        let rest = (0..reached.len()).filter(|node| kept(*node) && !ordered[*node] && !special(*node));
        let mut order = Vec::new();
        let mut rest_done = false;
        for Sequenced { ordered, node } in sequence {
            if ordered.name.as_ref() == "TAIL" {
                order.extend(rest.clone());
                rest_done = true;
            } else if let Some(node) = node.filter(|node| kept(*node) && !special(*node)) {
                let for_all = ordered.generator.as_deref().is_none_or(|wanted| wanted == generator);
                order.extend(for_all.then_some(node));
            }
        }
        if !rest_done {
            order.extend(rest);
        }
        Ok(order)
    }

    /// Whether the condition of an edge (without its gate) holds, for those who explain.
    pub fn condition_holds<'v>(
        &self,
        edge: usize,
        lookup: &dyn Fn(&str) -> Option<&'v str>,
    ) -> Result<bool, CondError> {
        match &self.conditions[self.walked[edge].condition].0 {
            Ok(condition) => condition.judge(lookup),
            Err(error) => Err(error.clone()),
        }
    }
}

/// Conditions by their text, each once.
#[derive(Default)]
struct Conditions {
    all: Vec<(ReadCondition, Place)>,
    by_text: HashMap<String, usize>,
}

impl Conditions {
    fn number(&mut self, condition: &ReadCondition, place: &Place) -> usize {
        let text = match condition {
            Ok(condition) => condition.as_str(),
            Err(error) => &error.condition,
        };
        if let Some(known) = self.by_text.get(text) {
            return *known;
        }
        self.by_text.insert(text.to_owned(), self.all.len());
        self.all.push((condition.clone(), place.clone()));
        self.all.len() - 1
    }
}

struct Judged<'n, 'l, 'v> {
    network: &'n Network,
    lookup: &'l dyn Fn(&str) -> Option<&'v str>,
    known: Vec<Option<bool>>,
}

impl Judged<'_, '_, '_> {
    fn holds(&mut self, number: usize) -> Result<bool, GraphError> {
        if let Some(known) = self.known[number] {
            return Ok(known);
        }
        let (condition, place) = &self.network.conditions[number];
        let judged = match condition {
            Ok(condition) => condition.judge(self.lookup),
            Err(error) => Err(error.clone()),
        };
        let holds = judged.map_err(|source| GraphError::Condition { place: place.clone(), source })?;
        self.known[number] = Some(holds);
        Ok(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(inside: &str) -> Result<String, GraphError> {
        let file = GraphFile::parse(&"g.xml".into(), &format!("<graph>{inside}</graph>"))?;
        let network = Network::new("default", vec![file]);
        let attribute = |name: &str| match name {
            "t" => Some("true"),
            "f" => Some("false"),
            _ => None,
        };
        let walk = network.walk("a", "kgen", &attribute)?;
        Ok(walk.order.iter().map(|node| network.names()[*node].as_ref()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_false_condition_drops_the_node_and_a_closed_gate_the_edge() {
        assert_eq!(walk("<edge from='a' to='b' cond='f'/><edge from='b' to='c'/>").as_deref(), Ok("a c"));
        let gated = "<edge from='a' to='d'/><edge from='a' cond='f'><to>b</to></edge><edge from='b' to='c'/>";
        assert_eq!(walk(gated).as_deref(), Ok("a d"));
    }

    #[test]
    fn the_first_edge_decides_for_good() {
        let text = "<edge from='a' to='c'/><edge from='c' to='b' cond='f'/><edge from='a' to='b'/>";
        assert_eq!(walk(text).as_deref(), Ok("a c"));
    }

    #[test]
    fn the_root_must_be_in_an_edge_that_counts() {
        assert!(matches!(walk("<edge from='x' to='y'/>"), Err(GraphError::RootNotInGraph { .. })));
        let gated = "<edge from='a' cond='f'><to>b</to></edge>";
        assert!(matches!(walk(gated), Err(GraphError::RootNotInGraph { .. })));
        assert_eq!(walk("<edge from='x' to='a'/>").as_deref(), Ok("a"));
    }

    #[test]
    fn circles_are_walked_once() {
        assert_eq!(walk("<edge from='a' to='b'/><edge from='b' to='a'/><edge from='b' to='b'/>").as_deref(), Ok("a b"));
        assert_eq!(walk("<edge from='b' to='b'/><edge from='a' to='b'/>").as_deref(), Ok("a b"));
    }

    #[test]
    fn orders_of_other_generators_take_their_nodes_away() {
        let text = "<order head='HEAD' tail='TAIL'/><order head='b' tail='c' gen='other'/>\
            <order head='TAIL' tail='e'/><edge from='a'><to>b</to><to>c</to><to>d</to><to>e</to></edge>";
        assert_eq!(walk(text).as_deref(), Ok("b a d e"));
    }

    #[test]
    fn a_broken_condition_is_told_with_its_place() {
        let error = walk("<edge from='a' to='b'/>\n<edge from='x'><to cond='t ||'>y</to></edge>").expect_err("broken");
        assert!(error.to_string().starts_with("g.xml:2:16: condition '( t || )'"), "{error}");
    }
}
