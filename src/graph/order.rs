//! The order of nodes: the original's algorithm in its deterministic form, where every map keeps its insertion order.
//!
//! It depends on the graph alone, never on a host, so it runs once for each graph.

use super::edges::Order;
use std::collections::HashMap;
use std::sync::Arc;

/// A node's place in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    /// The node; may be `HEAD`, `TAIL` or a name that no edge knows.
    pub name: Arc<str>,
    /// The generator of the order that led here; none means all.
    pub generator: Option<Arc<str>>,
}

/// Orders that cannot be followed: they go round in a circle and an end is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circle {
    /// A node whose order leads into the circle.
    pub node: Arc<str>,
    /// `HEAD` or `TAIL`.
    pub missing: &'static str,
}

/// Puts the nodes of all orders in sequence. Nodes in a circle without an entry are left out.
pub(super) fn sequence(orders: &[Order]) -> Result<Vec<Ordered>, Circle> {
    let mut graph = OrderGraph::default();
    for order in orders {
        let (head, tail) = (graph.node(&order.head), graph.node(&order.tail));
        graph.add(head, tail, order.generator.clone());
    }
    graph.tie_to_head()?;
    graph.tie_to_tail()?;
    let finished = graph.visit_all();
    let ordered = |(node, edge): (usize, Option<usize>)| Ordered {
        name: graph.names[node].clone(),
        generator: edge.and_then(|edge| graph.edges[edge].generator.clone()),
    };
    Ok(finished.into_iter().rev().map(ordered).collect())
}

/// Nodes of orders that go round in a circle, each circle as the names along it.
pub(super) fn circles(orders: &[Order]) -> Vec<Vec<Arc<str>>> {
    let mut graph = OrderGraph::default();
    for order in orders {
        let (head, tail) = (graph.node(&order.head), graph.node(&order.tail));
        graph.add(head, tail, None);
    }
    let next: Vec<Vec<usize>> = (0..graph.names.len())
        .map(|node| graph.leaving[node].iter().map(|edge| graph.edges[*edge].tail).collect())
        .collect();
    let named = |circle: Vec<usize>| circle.into_iter().map(|node| graph.names[node].clone()).collect();
    super::circle::circles(&next).into_iter().map(named).collect()
}

struct OrderEdge {
    head: usize,
    tail: usize,
    generator: Option<Arc<str>>,
}

#[derive(Default)]
struct OrderGraph {
    names: Vec<Arc<str>>,
    index: HashMap<Arc<str>, usize>,
    edges: Vec<OrderEdge>,
    /// Edges leaving a node, in order.
    leaving: Vec<Vec<usize>>,
    /// Nodes with leaving edges in the order in which they got their first.
    first_left: Vec<usize>,
    degree_in: Vec<usize>,
    degree_out: Vec<usize>,
}

impl OrderGraph {
    fn node(&mut self, name: &Arc<str>) -> usize {
        if let Some(known) = self.index.get(name) {
            return *known;
        }
        let new = self.names.len();
        self.index.insert(name.clone(), new);
        self.names.push(name.clone());
        self.leaving.push(Vec::new());
        self.degree_in.push(0);
        self.degree_out.push(0);
        new
    }

    fn add(&mut self, head: usize, tail: usize, generator: Option<Arc<str>>) {
        self.degree_out[head] += 1;
        self.degree_in[tail] += 1;
        self.edges.push(OrderEdge { head, tail, generator });
        self.leave(head, self.edges.len() - 1);
    }

    fn leave(&mut self, node: usize, edge: usize) {
        if self.leaving[node].is_empty() {
            self.first_left.push(node);
        }
        self.leaving[node].push(edge);
    }

    /// Turns every edge round. Doing it twice restores the edges, not their order: that is part of the result.
    fn reverse(&mut self) {
        let first_left = std::mem::take(&mut self.first_left);
        let leaving = std::mem::replace(&mut self.leaving, vec![Vec::new(); self.names.len()]);
        std::mem::swap(&mut self.degree_in, &mut self.degree_out);
        for edge in first_left.into_iter().flat_map(|node| leaving[node].clone()) {
            let OrderEdge { head, tail, .. } = &mut self.edges[edge];
            std::mem::swap(head, tail);
            let head = *head;
            self.leave(head, edge);
        }
    }

    /// Brings `HEAD` to the front: whatever does not come before it and has no predecessor comes after it.
    fn tie_to_head(&mut self) -> Result<(), Circle> {
        self.reverse();
        let head = self.index.get("HEAD").copied();
        let marked = self.reached(head);
        self.reverse();
        for (node, marked) in marked.into_iter().enumerate() {
            if !marked && self.degree_in[node] == 0 {
                let Some(head) = head else {
                    return Err(Circle { node: self.names[node].clone(), missing: "HEAD" });
                };
                self.add(head, node, None);
            }
        }
        Ok(())
    }

    /// Brings `TAIL` to the end: whatever does not come after it and has no successor comes before it.
    fn tie_to_tail(&mut self) -> Result<(), Circle> {
        let tail = self.index.get("TAIL").copied();
        let marked = self.reached(tail);
        for (node, marked) in marked.into_iter().enumerate() {
            if !marked && self.degree_out[node] == 0 {
                let Some(tail) = tail else {
                    return Err(Circle { node: self.names[node].clone(), missing: "TAIL" });
                };
                self.add(node, tail, None);
            }
        }
        Ok(())
    }

    /// Which nodes are reached from one, or from all without a predecessor.
    fn reached(&self, from: Option<usize>) -> Vec<bool> {
        let mut visited = vec![false; self.names.len()];
        let mut finished = Vec::new();
        match from {
            Some(node) => self.visit(node, &mut visited, &mut finished),
            None => self.visit_entries(&mut visited, &mut finished),
        }
        visited
    }

    /// All nodes in the order in which their visit ends, each with the edge that led to it.
    fn visit_all(&self) -> Vec<(usize, Option<usize>)> {
        let mut finished = Vec::new();
        self.visit_entries(&mut vec![false; self.names.len()], &mut finished);
        finished
    }

    fn visit_entries(&self, visited: &mut [bool], finished: &mut Vec<(usize, Option<usize>)>) {
        for node in 0..self.names.len() {
            if !visited[node] && self.degree_in[node] == 0 {
                self.visit(node, visited, finished);
            }
        }
    }

    /// Depth first, with a stack of its own so that a long chain cannot overflow the program's.
    fn visit(&self, start: usize, visited: &mut [bool], finished: &mut Vec<(usize, Option<usize>)>) {
        visited[start] = true;
        let mut stack = vec![(start, None, 0)];
        while let Some((node, via, next)) = stack.last_mut() {
            let Some(edge) = self.leaving[*node].get(*next).copied() else {
                finished.push((*node, *via));
                stack.pop();
                continue;
            };
            *next += 1;
            let tail = self.edges[edge].tail;
            if !visited[tail] {
                visited[tail] = true;
                stack.push((tail, Some(edge), 0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::error::Place;

    fn orders(pairs: &[(&str, &str)]) -> Vec<Order> {
        let place = Place { file: "g.xml".into(), line: 1, column: 1 };
        let order = |(head, tail): &(&str, &str)| Order {
            head: (*head).into(),
            tail: (*tail).into(),
            generator: None,
            place: place.clone(),
        };
        pairs.iter().map(order).collect()
    }

    fn names(pairs: &[(&str, &str)]) -> Result<String, Circle> {
        let ordered = sequence(&orders(pairs))?;
        Ok(ordered.iter().map(|o| o.name.as_ref()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn nodes_come_between_head_and_tail_unless_told() {
        assert_eq!(names(&[]).as_deref(), Ok(""));
        assert_eq!(names(&[("HEAD", "TAIL")]).as_deref(), Ok("HEAD TAIL"));
        assert_eq!(
            names(&[("HEAD", "TAIL"), ("b", "a"), ("HEAD", "c"), ("TAIL", "d")]).as_deref(),
            Ok("HEAD b a c TAIL d")
        );
        assert_eq!(names(&[("HEAD", "TAIL"), ("x", "HEAD")]).as_deref(), Ok("x HEAD TAIL"));
    }

    #[test]
    fn every_order_is_kept_where_there_is_no_circle() {
        let pairs = [
            ("HEAD", "TAIL"),
            ("d", "b"),
            ("d", "c"),
            ("b", "e"),
            ("c", "e"),
            ("f", "c"),
            ("e", "HEAD"),
            ("TAIL", "z"),
            ("z", "y"),
        ];
        let sequence = names(&pairs).expect("no circle");
        let position = |name: &str| sequence.split(' ').position(|n| n == name);
        for (head, tail) in pairs {
            assert!(position(head) < position(tail), "{head} {tail}: {sequence}");
        }
    }

    #[test]
    fn circles_are_survived_or_told() {
        assert_eq!(names(&[("HEAD", "TAIL"), ("b", "c"), ("c", "b")]).as_deref(), Ok("HEAD TAIL"));
        assert_eq!(names(&[("HEAD", "TAIL"), ("d", "b"), ("b", "c"), ("c", "b")]).as_deref(), Ok("HEAD d b c TAIL"));
        assert_eq!(names(&[("HEAD", "TAIL"), ("HEAD", "b"), ("b", "b"), ("c", "c")]).as_deref(), Ok("HEAD b TAIL"));
        let no_head = Circle { node: "d".into(), missing: "HEAD" };
        assert_eq!(names(&[("d", "b"), ("b", "c"), ("c", "b")]), Err(no_head));
        assert_eq!(circles(&orders(&[("a", "b"), ("b", "c"), ("c", "b")])), [["b".into(), "c".into()]]);
    }

    #[test]
    fn a_long_chain_does_not_overflow() {
        let names: Vec<String> = (0..200_000).map(|i| i.to_string()).collect();
        let pairs: Vec<(&str, &str)> = names.windows(2).map(|w| (w[0].as_str(), w[1].as_str())).collect();
        assert_eq!(sequence(&orders(&pairs)).map(|o| o.len()), Ok(200_000));
    }
}
