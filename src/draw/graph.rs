//! A directed graph in columns: every node stands right of one that leads to it, edges are curves with their label.

use super::escape;
use std::collections::HashMap;
use std::fmt::Write;

/// A node to draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiagramNode {
    /// Its name, which edges use.
    pub name: String,
    /// What is told when pointed at.
    pub tip: String,
    /// Its colour, by number; none is grey.
    pub colour: Option<usize>,
}

/// An edge to draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiagramEdge {
    /// Where it begins.
    pub from: String,
    /// Where it ends.
    pub to: String,
    /// What is written on it.
    pub label: String,
    /// Whether it is pale.
    pub is_pale: bool,
}

/// A directed graph to draw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagram {
    /// The nodes.
    pub nodes: Vec<DiagramNode>,
    /// The edges; those whose ends are no nodes are left out.
    pub edges: Vec<DiagramEdge>,
    /// What each colour means, by number.
    pub legend: Vec<String>,
}

const ROW: usize = 30;
const BOX_HEIGHT: usize = 20;
const LETTER: usize = 7;
const GAP: usize = 150;
const MARGIN: usize = 20;

/// The colour of a number: eight hues in three tones, neighbours far apart, all light enough for black letters.
pub fn colour(number: usize) -> String {
    const HUES: [usize; 8] = [208, 30, 130, 330, 265, 60, 175, 0];
    const TONES: [(f64, f64); 3] = [(0.30, 0.66), (0.16, 0.82), (0.42, 0.48)];
    let hue = HUES[number % HUES.len()];
    let (chroma, light) = TONES[number / HUES.len() % TONES.len()];
    let sector = hue as f64 / 60.0;
    let second = chroma * (1.0 - (sector % 2.0 - 1.0).abs());
    let (red, green, blue) = match hue / 60 {
        0 => (chroma, second, 0.0),
        1 => (second, chroma, 0.0),
        2 => (0.0, chroma, second),
        3 => (0.0, second, chroma),
        4 => (second, 0.0, chroma),
        _ => (chroma, 0.0, second),
    };
    let byte = |part: f64| ((part + light) * 255.0).round().clamp(0.0, 255.0) as u8;
    format!("#{:02x}{:02x}{:02x}", byte(red), byte(green), byte(blue))
}

/// The width of a small letter of a label.
const LABEL_LETTER: usize = 5;
/// The longest label that is drawn, in characters; the whole is told when pointed at.
const LABEL_CHARACTERS_MAX: usize = 44;

/// A label in the room it has.
fn shortened(label: &str) -> String {
    match label.char_indices().nth(LABEL_CHARACTERS_MAX - 1) {
        Some((at, _)) if label.chars().count() > LABEL_CHARACTERS_MAX => format!("{}\u{2026}", &label[..at]),
        _ => label.to_owned(),
    }
}

impl Diagram {
    /// The graph as an SVG document.
    pub fn to_svg(&self) -> String {
        let index: HashMap<&str, usize> =
            self.nodes.iter().enumerate().map(|(i, node)| (node.name.as_str(), i)).collect();
        let end = |name: &str| index.get(name).copied();
        let mut edges: Vec<(usize, usize, &DiagramEdge)> =
            self.edges.iter().filter_map(|edge| Some((end(&edge.from)?, end(&edge.to)?, edge))).collect();
        let places = self.places(&edges);
        let width_of = |node: usize| self.nodes[node].name.chars().count() * LETTER + 16;
        let legend_height = self.legend.len() * ROW + MARGIN;
        let right = (0..places.len()).map(|node| places[node].0 + width_of(node)).max().unwrap_or(0) + MARGIN + GAP;
        let bottom = places.iter().map(|(_, y)| y + ROW).max().unwrap_or(0).max(legend_height) + MARGIN;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{right}\" height=\"{bottom}\" viewBox=\"0 0 {right} {bottom}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" \
             markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0,0 L8,4 L0,8 z\" fill=\"context-stroke\"/></marker></defs>\n\
             <rect width=\"{right}\" height=\"{bottom}\" fill=\"#ffffff\"/>\n"
        );
        // What counts lies over what does not.
        edges.sort_by_key(|(_, _, edge)| !edge.is_pale);
        let mut labels = String::new();
        let mut labelled: HashMap<usize, usize> = HashMap::new();
        for (from, to, edge) in &edges {
            let (x1, y1) = (places[*from].0 + width_of(*from), places[*from].1 + BOX_HEIGHT / 2);
            let (x2, y2) = (places[*to].0, places[*to].1 + BOX_HEIGHT / 2);
            let bend = x2.abs_diff(x1).max(GAP) / 2;
            let stroke = if edge.is_pale { "#dcdcdc" } else { "#777777" };
            let _ = writeln!(
                out,
                "<path d=\"M{x1},{y1} C{},{y1} {},{y2} {x2},{y2}\" fill=\"none\" stroke=\"{stroke}\" marker-end=\"url(#arrow)\"/>",
                x1 + bend,
                x2 as i64 - bend as i64
            );
            if !edge.label.is_empty() {
                // At the arrow's point, where edges have parted; those of one node above each other.
                let earlier = labelled.entry(*to).or_default();
                let (x, y) = (x2 - 10, (y2 + 9 * *earlier).saturating_sub(3));
                *earlier += 1;
                let fill = if edge.is_pale { "#b4b4b4" } else { "#a03000" };
                let _ = writeln!(
                    labels,
                    "<text x=\"{x}\" y=\"{y}\" font-size=\"9\" text-anchor=\"end\" fill=\"{fill}\" stroke=\"#ffffff\" \
                     stroke-width=\"3\" paint-order=\"stroke\"><title>{}</title>{}</text>",
                    escape(&edge.label),
                    escape(&shortened(&edge.label))
                );
            }
        }
        out.push_str(&labels);
        for (node, (x, y)) in self.nodes.iter().zip(&places) {
            let number = end(&node.name).unwrap_or(0);
            let (fill, ink) = match node.colour {
                Some(number) => (colour(number), "#000000"),
                None => ("#eeeeee".to_owned(), "#999999"),
            };
            let _ = writeln!(
                out,
                "<g><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{BOX_HEIGHT}\" rx=\"5\" fill=\"{fill}\" \
                 stroke=\"#888888\"/><text x=\"{}\" y=\"{}\" fill=\"{ink}\">{}</text></g>",
                escape(&node.tip),
                width_of(number),
                x + 8,
                y + 14,
                escape(&node.name)
            );
        }
        for (number, name) in self.legend.iter().enumerate() {
            let y = MARGIN + number * ROW;
            let x = right - GAP;
            let _ = writeln!(
                out,
                "<rect x=\"{x}\" y=\"{y}\" width=\"14\" height=\"14\" rx=\"3\" fill=\"{}\"/><text x=\"{}\" y=\"{}\">{}</text>",
                colour(number),
                x + 20,
                y + 12,
                escape(name)
            );
        }
        out.push_str("</svg>\n");
        out
    }

    /// Where each node's box begins: columns by distance from where nothing leads to, rows near those that lead to it.
    fn places(&self, edges: &[(usize, usize, &DiagramEdge)]) -> Vec<(usize, usize)> {
        let columns = self.columns(edges);
        let mut rows = vec![0.0; self.nodes.len()];
        let mut places = vec![(0, 0); self.nodes.len()];
        let mut x = MARGIN;
        for column in 0..=columns.iter().copied().max().unwrap_or(0) {
            let mut members: Vec<usize> = (0..columns.len()).filter(|node| columns[*node] == column).collect();
            let middle = |node: usize| {
                let leading = edges.iter().filter(|(from, to, _)| *to == node && columns[*from] < column);
                let (sum, count) =
                    leading.fold((0.0, 0.0), |(sum, count), (from, ..)| (sum + rows[*from], count + 1.0));
                if count == 0.0 { 0.0 } else { sum / count }
            };
            let middles: Vec<f64> =
                (0..columns.len()).map(|node| if columns[node] == column { middle(node) } else { 0.0 }).collect();
            // What is grey stands below what counts.
            let grey = |node: usize| self.nodes[node].colour.is_none();
            members.sort_by(|a, b| {
                let by_name = || self.nodes[*a].name.cmp(&self.nodes[*b].name);
                grey(*a).cmp(&grey(*b)).then_with(|| middles[*a].total_cmp(&middles[*b])).then_with(by_name)
            });
            // The room before a column is as wide as what is written there.
            let here = edges.iter().filter(|(_, to, _)| columns[*to] == column);
            let longest = here.map(|(.., edge)| shortened(&edge.label).chars().count()).max().unwrap_or(0);
            x += match column {
                0 => longest * LABEL_LETTER,
                _ => GAP.max(longest * LABEL_LETTER + GAP / 2),
            };
            let mut widest = 0;
            for (row, node) in members.into_iter().enumerate() {
                rows[node] = row as f64;
                places[node] = (x, MARGIN + row * ROW);
                widest = widest.max(self.nodes[node].name.chars().count() * LETTER + 16);
            }
            x += widest;
        }
        places
    }

    /// Each node's column: the fewest edges from a node that nothing leads to; nodes in circles begin where the walk
    /// meets them.
    fn columns(&self, edges: &[(usize, usize, &DiagramEdge)]) -> Vec<usize> {
        let mut next = vec![Vec::new(); self.nodes.len()];
        let mut is_led_to = vec![false; self.nodes.len()];
        for (from, to, _) in edges.iter().filter(|(from, to, _)| from != to) {
            next[*from].push(*to);
            is_led_to[*to] = true;
        }
        let mut columns = vec![usize::MAX; self.nodes.len()];
        let starts = (0..self.nodes.len()).filter(|node| !is_led_to[*node]).chain(0..self.nodes.len());
        let mut first_pass: Vec<usize> = starts.collect();
        first_pass.dedup();
        for (i, start) in first_pass.into_iter().enumerate() {
            let entries = is_led_to.iter().filter(|led| !**led).count();
            if columns[start] != usize::MAX && i >= entries {
                continue;
            }
            columns[start] = 0;
            let mut queue = std::collections::VecDeque::from([start]);
            while let Some(node) = queue.pop_front() {
                for to in &next[node] {
                    if columns[*to] > columns[node] + 1 {
                        columns[*to] = columns[node] + 1;
                        queue.push_back(*to);
                    }
                }
            }
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagram(edges: &[(&str, &str)]) -> Diagram {
        let mut names: Vec<&str> = edges.iter().flat_map(|(from, to)| [*from, *to]).collect();
        names.sort_unstable();
        names.dedup();
        let node = |name: &&str| DiagramNode { name: (*name).to_owned(), tip: String::new(), colour: Some(0) };
        let edge = |(from, to): &(&str, &str)| DiagramEdge {
            from: (*from).to_owned(),
            to: (*to).to_owned(),
            label: "a < b".to_owned(),
            is_pale: false,
        };
        Diagram {
            nodes: names.iter().map(node).collect(),
            edges: edges.iter().map(edge).collect(),
            legend: vec!["r".into()],
        }
    }

    #[test]
    fn nodes_stand_right_of_what_leads_to_them() {
        let diagram = diagram(&[("a", "b"), ("b", "c"), ("a", "c"), ("x", "y"), ("y", "x")]);
        let svg = diagram.to_svg();
        let x_of = |name: &str| {
            let at = svg.find(&format!(">{name}</text></g>")).expect("drawn");
            let from = svg[..at].rfind("<text x=\"").expect("text") + 9;
            svg[from..].split('"').next().and_then(|x| x.parse::<usize>().ok()).expect("a number")
        };
        assert!(x_of("a") < x_of("b") && x_of("b") == x_of("c"));
        assert_eq!(svg.matches("<path d=\"M").count(), 6);
        assert!(svg.contains("a &lt; b"));
    }

    #[test]
    fn an_empty_graph_is_a_picture_too() {
        assert!(Diagram::default().to_svg().ends_with("</svg>\n"));
    }

    #[test]
    fn colours_differ() {
        let colours: std::collections::BTreeSet<String> = (0..20).map(colour).collect();
        assert_eq!(colours.len(), 20);
    }
}
