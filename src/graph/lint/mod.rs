//! What is wrong with graph and node files, found before a machine dies of it.
//!
//! `words` looks at each file by itself: unknown elements and attributes, conditions that cannot be read. Here stands
//! what takes them all together: edges and orders that lead nowhere, nodes that nothing names, circles, conditions
//! that hold for no host, attributes that no host has.

mod words;

use super::circle::circles;
use super::compile::undefined;
use super::configuration::Configuration;
use super::edges::{Edge, GraphFile};
use super::error::{GraphError, Place};
use super::network::Network;
use super::order;
use super::template::{Part, Slot, Step, Template};
use super::tree::Source;
use crate::cluster::HostAttributes;
use crate::profile::cond::Condition;
use crate::profile::{Finding, Severity};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use words::{Judged, NodeWords};

/// The most findings of one file.
pub const FINDINGS_PER_FILE_MAX: usize = 1000;

/// What a configuration is checked against.
#[derive(Debug, Clone, Copy, Default)]
pub struct LintRequest<'a> {
    /// The nodes that appliances begin at.
    pub roots: &'a [String],
    /// The attributes of every host; without hosts, nothing is said about values.
    pub hosts: &'a [&'a HostAttributes],
}

impl Configuration {
    /// What is wrong with the graph and node files, by file and line.
    pub fn lint(&self, request: &LintRequest<'_>) -> Vec<Finding> {
        let mut lint = Lint {
            configuration: self,
            request,
            texts: BTreeMap::new(),
            shipped: BTreeSet::new(),
            found: BTreeSet::new(),
            counted: HashMap::new(),
            judged: HashMap::new(),
            defined: HashMap::new(),
            unread: Vec::new(),
        };
        let mut networks = Vec::new();
        for graph in self.tree().graphs().unwrap_or_else(|error| lint.error(&error)) {
            networks.extend(lint.graph(&graph));
        }
        lint.nodes(&networks);
        lint.found.into_iter().collect()
    }
}

struct Lint<'c> {
    configuration: &'c Configuration,
    request: &'c LintRequest<'c>,
    /// The text of files, to show lines of.
    texts: BTreeMap<Arc<str>, Arc<str>>,
    /// Files that we ship.
    shipped: BTreeSet<Arc<str>>,
    found: BTreeSet<Finding>,
    /// How many findings each file has.
    counted: HashMap<String, usize>,
    /// What is wrong with a condition, by its text: many edges and elements stand under the same one.
    judged: HashMap<String, Option<Doubt>>,
    /// Whether a host has an attribute of this name.
    defined: HashMap<String, bool>,
    /// Graph files that could not be read: what they mention is not called an orphan.
    unread: Vec<Arc<str>>,
}

/// What is wrong with a condition.
#[derive(Debug, Clone)]
enum Doubt {
    /// It cannot be judged for some host.
    Error(String),
    /// It holds for none: why, as the end of a sentence.
    Never(String),
}

impl Lint<'_> {
    fn error<T: Default>(&mut self, error: &GraphError) -> T {
        let text = error.to_string();
        match error.place() {
            Some(place) => {
                let what = text.strip_prefix(&format!("{place}: ")).unwrap_or(&text);
                self.say(Severity::Error, "malformed", place, what.to_owned());
            }
            None => {
                self.found.insert(Finding::new(Severity::Error, "malformed", text));
            }
        }
        T::default()
    }

    fn say(&mut self, severity: Severity, code: &'static str, place: &Place, message: String) {
        self.add(Finding::new(severity, code, message).at(place.file.as_ref(), place.line, place.column));
    }

    fn add(&mut self, finding: Finding) {
        if !self.is_full(&finding.file) {
            let text = self.texts.get(finding.file.as_str()).cloned().unwrap_or_else(|| "".into());
            self.tell(finding.show(&text));
        }
    }

    fn is_full(&self, file: &str) -> bool {
        self.counted.get(file).is_some_and(|counted| *counted > FINDINGS_PER_FILE_MAX)
    }

    /// Takes a finding with its line; the one that is too many for its file says that there are more.
    fn tell(&mut self, finding: Finding) {
        if self.is_full(&finding.file) || self.found.contains(&finding) {
            return;
        }
        let counted = self.counted.entry(finding.file.clone()).or_default();
        *counted += 1;
        if *counted <= FINDINGS_PER_FILE_MAX {
            self.found.insert(finding);
            return;
        }
        let message = format!("more is wrong in this file than the {FINDINGS_PER_FILE_MAX} findings that are told");
        self.found.insert(Finding::new(Severity::Error, "more", message).at(finding.file, 1, 1));
    }

    /// One graph by itself: a file that is not well formed does not hide what is wrong with the others.
    fn graph(&mut self, graph: &str) -> Option<Arc<Network>> {
        let sources = match self.configuration.tree().graph(graph) {
            Ok(sources) => sources.unwrap_or_default(),
            Err(error) => return self.error(&error),
        };
        let mut files = Vec::with_capacity(sources.len());
        for source in sources {
            self.note_shipped(&source);
            let read = source.read().and_then(|text| {
                self.texts.insert(source.shown.clone(), text.clone());
                for finding in words::graph(&source.shown, &text) {
                    self.add(finding);
                }
                GraphFile::parse(&source.shown, &text)
            });
            match read {
                Ok(file) => files.push(file),
                Err(error) => {
                    self.unread.extend(self.texts.get(&source.shown).cloned());
                    self.error(&error)
                }
            }
        }
        let network = Network::new(graph, files);
        self.edges(&network);
        self.orders(&network);
        Some(Arc::new(network))
    }

    fn note_shipped(&mut self, source: &Source) {
        if source.is_built_in() {
            self.shipped.insert(source.shown.clone());
        }
    }

    fn has_file(&self, node: &Arc<str>) -> bool {
        self.configuration.files_of(node, false).is_some()
    }

    fn similar_node(&self, name: &str) -> Option<String> {
        let nodes = self.configuration.node_files().filter_map(|(file, _)| file.strip_suffix(".xml"));
        crate::cluster::similar(name.trim(), nodes).map(|name| format!("did you mean '{name}'?"))
    }

    fn unknown_node(&mut self, severity: Severity, place: &Place, what: &str, node: &Arc<str>) {
        if self.is_full(&place.file) {
            return;
        }
        let mut finding = Finding::new(severity, "unknown-node", format!("{what} unknown node '{node}'"));
        finding.hint = self.similar_node(node);
        self.add(finding.at(place.file.as_ref(), place.line, place.column));
    }

    fn edges(&mut self, network: &Network) {
        for edge in &network.edges {
            let Edge { from, to, condition, gate, place, .. } = edge;
            if !self.has_file(to) {
                self.unknown_node(Severity::Error, place, "edge to", to);
            }
            // An edge from nowhere is never walked.
            if !self.has_file(from) {
                self.unknown_node(Severity::Warning, place, "edge from", from);
            }
            match gate.as_ref().unwrap_or(condition) {
                Ok(condition) => self.condition(condition, place),
                Err(error) => self.say(Severity::Error, "condition", place, error.to_string()),
            }
        }
        let names = |circle: Vec<usize>| -> Vec<Arc<str>> {
            circle.into_iter().map(|node| network.names()[node].clone()).collect()
        };
        for circle in circles(&network.includes()).into_iter().map(names) {
            let inside = |edge: &&Edge| circle.contains(&edge.from) && circle.contains(&edge.to);
            let Some(place) = network.edges.iter().find(inside).map(|edge| edge.place.clone()) else { continue };
            let message = format!("edges go round in a circle: {}", circle.join(", "));
            self.say(Severity::Warning, "cycle", &place, message);
        }
    }

    fn orders(&mut self, network: &Network) {
        for order in &network.orders {
            for side in [&order.head, &order.tail] {
                if !matches!(side.as_ref(), "HEAD" | "TAIL" | super::edges::NAMELESS) && !self.has_file(side) {
                    self.unknown_node(Severity::Warning, &order.place, "order of", side);
                }
            }
        }
        for circle in order::circles(&network.orders) {
            let inside = |order: &&super::Order| circle.contains(&order.head) && circle.contains(&order.tail);
            let Some(place) = network.orders.iter().find(inside).map(|order| order.place.clone()) else { continue };
            let message = format!("orders go round in a circle: {}", circle.join(", "));
            self.say(Severity::Error, "order-cycle", &place, message);
        }
    }

    /// A condition that holds for no host, or cannot be judged for one.
    fn condition(&mut self, condition: &Condition, place: &Place) {
        let doubt = match self.judged.get(condition.as_str()) {
            Some(known) => known.clone(),
            None => {
                let doubt = self.doubt(condition);
                self.judged.insert(condition.as_str().to_owned(), doubt.clone());
                doubt
            }
        };
        match doubt {
            None => {}
            Some(Doubt::Error(what)) => self.say(Severity::Error, "condition", place, what),
            // What we ship asks for attributes that a site may set and need not.
            Some(Doubt::Never(_)) if self.shipped.contains(&place.file) => {}
            Some(Doubt::Never(why)) => {
                let message = format!("condition '{}' never holds{why}", condition.as_str());
                self.say(Severity::Warning, "never-holds", place, message);
            }
        }
    }

    fn doubt(&mut self, condition: &Condition) -> Option<Doubt> {
        let names = condition.names();
        // Hosts that agree in what it asks for are one.
        let mut seen = HashSet::new();
        for host in self.request.hosts {
            if !seen.insert(names.iter().map(|name| host.get(name)).collect::<Vec<_>>()) {
                continue;
            }
            match condition.judge(|name| host.get(name)) {
                Ok(true) => return None,
                Ok(false) => {}
                Err(error) => return Some(Doubt::Error(error.to_string())),
            }
        }
        // Without hosts only what no attribute can change is sure.
        if self.request.hosts.is_empty() && (!names.is_empty() || condition.judge(|_| None).unwrap_or(true)) {
            return None;
        }
        let undefined: Vec<&str> = names.into_iter().filter(|name| !self.is_defined(name)).collect();
        Some(Doubt::Never(match undefined.as_slice() {
            [] => String::new(),
            [name] => format!(": no host has attribute '{name}'"),
            names => format!(": no host has attributes '{}'", names.join("', '")),
        }))
    }

    /// Whether a host has an attribute of this name.
    fn is_defined(&mut self, name: &str) -> bool {
        if let Some(known) = self.defined.get(name) {
            return *known;
        }
        let defined = self.request.hosts.iter().any(|host| host.get(name).is_some());
        self.defined.insert(name.to_owned(), defined);
        defined
    }

    /// All node files.
    fn nodes(&mut self, networks: &[Arc<Network>]) {
        let configuration = self.configuration;
        let named = |node: &str| {
            networks.iter().any(|network| network.number(node).is_some())
                || self.request.roots.iter().any(|r| r == node)
        };
        let mut lost = Vec::new();
        for (file_name, file) in configuration.node_files() {
            let stem = file_name.strip_suffix(".xml").unwrap_or(file_name);
            let node = stem.strip_prefix("extend-").or_else(|| stem.strip_prefix("replace-")).unwrap_or(stem);
            let node = node.strip_prefix("sol_").filter(|node| named(node)).unwrap_or(node);
            let place = Place { file: file.source.shown.clone(), line: 1, column: 1 };
            let extends_nothing =
                stem.starts_with("extend-") && configuration.tree().node(&format!("{node}.xml")).is_none();
            if extends_nothing {
                lost.push((Severity::Error, "extends-nothing", place, format!("there is no node '{node}' to extend")));
            } else if !named(node) && !named(stem) && !self.is_mentioned(node) {
                lost.push((
                    Severity::Warning,
                    "orphan-node",
                    place,
                    format!("node '{node}' is in no edge: nothing includes it"),
                ));
            }
        }
        for (_, file) in configuration.node_files() {
            self.node(file);
        }
        for (severity, code, place, message) in lost {
            self.say(severity, code, &place, message);
        }
        self.twice();
    }

    /// Whether a graph file that could not be read says a name, as an attribute or as text.
    fn is_mentioned(&self, node: &str) -> bool {
        let says = |text: &Arc<str>| {
            let ends = |at: usize| {
                let before = text[..at].chars().next_back();
                let after = text[at + node.len()..].chars().next();
                matches!((before, after), (Some('"'), Some('"')) | (Some('\''), Some('\'')) | (Some('>'), Some('<')))
            };
            text.match_indices(node).any(|(at, _)| ends(at))
        };
        !node.is_empty() && self.unread.iter().any(says)
    }

    fn node(&mut self, file: &super::configuration::NodeFile) {
        self.note_shipped(&file.source);
        let text = match file.source.read() {
            Ok(text) => text,
            Err(error) => return self.error(&error),
        };
        self.texts.insert(file.source.shown.clone(), text.clone());
        match file.template(true) {
            Ok(template) => self.includes(template),
            Err(error) => return self.error(&error),
        }
        let NodeWords { findings, conditions, slots } = words::node(&file.source.shown, &text);
        for finding in findings {
            self.add(finding);
        }
        for Judged { condition, place } in conditions {
            self.condition(&condition, &place);
        }
        for Slot { name, place } in slots {
            // As with conditions: the edge that leads to a file of ours may ask for the attribute.
            let asked = !self.request.hosts.is_empty() && !file.source.is_built_in();
            if asked && !self.is_defined(&name) {
                self.tell(undefined(&name, &place, &text));
            }
        }
    }

    /// Files that are included whatever the host: each must be there, inside of `include/`.
    fn includes(&mut self, template: &Template) {
        for step in &template.steps {
            let Step::Include { file, may_miss, place, .. } = step else { continue };
            let [Part::Literal(path)] = file.as_slice() else { continue };
            let wrong = match self.configuration.tree().include(path) {
                Ok(None) if !may_miss => format!("include file '{path}' does not exist"),
                Ok(_) => continue,
                Err(why) => why,
            };
            self.say(Severity::Error, "include", place, wrong);
        }
    }

    /// One node name in files of two rolls.
    fn twice(&mut self) {
        let mut found = Vec::new();
        for (_, sources) in self.configuration.tree().nodes() {
            let [first, hidden @ ..] = sources else { continue };
            let Some(roll) = words::roll_of(first) else { continue };
            for other in hidden {
                let Some(other_roll) = words::roll_of(other).filter(|other| *other != roll) else { continue };
                let message = format!("roll '{roll}' hides {}, which is of roll '{other_roll}'", other.shown);
                found.push((Place { file: first.shown.clone(), line: 1, column: 1 }, message));
            }
        }
        for (place, message) in found {
            self.say(Severity::Warning, "node-twice", &place, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_file_has_so_many_findings_at_most() {
        let folder = tempfile::tempdir().expect("a folder");
        let graphs = folder.path().join("graphs/default");
        std::fs::create_dir_all(&graphs).expect("made");
        let edges: String = (0..3000).map(|i| format!("<edge from='a' to='n{i}'/>")).collect();
        std::fs::write(graphs.join("g.xml"), format!("<graph>{edges}</graph>")).expect("written");
        let configuration = Configuration::open(&[folder.path()]).expect("opened");
        let found = configuration.lint(&LintRequest::default());
        assert_eq!(found.len(), FINDINGS_PER_FILE_MAX + 1);
        assert_eq!(found.iter().filter(|finding| finding.code == "more").count(), 1);
    }

    /// A case is a folder of `testdata/graph/lint`: a configuration and, in `expected.txt`, what is found in it.
    #[test]
    fn planted_defects_are_found() {
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/graph/lint");
        let mut seen = 0;
        for case in std::fs::read_dir(&cases).expect("cases").flatten() {
            let configuration = Configuration::open(&[&case.path()]).expect("opened");
            let host: BTreeMap<String, String> = [("os", "linux"), ("arch", "x86_64"), ("rack", "0"), ("t", "true")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into();
            let host = HostAttributes::from(host);
            let found = configuration.lint(&LintRequest { roots: &["compute".to_owned()], hosts: &[&host] });
            let found: String = found.iter().map(|finding| format!("{finding}\n")).collect();
            let expected = case.path().join("expected.txt");
            if std::env::var_os("ROCKS_BLESS").is_some() {
                std::fs::write(&expected, &found).expect("written");
            }
            assert_eq!(found, std::fs::read_to_string(&expected).expect("expected.txt"), "{}", case.path().display());
            seen += 1;
        }
        assert!(seen > 0);
    }

    #[test]
    fn what_we_ship_is_clean() {
        let nowhere = tempfile::tempdir().expect("a folder");
        let configuration = Configuration::of_cluster(nowhere.path()).expect("loaded");
        let roots = ["compute", "login", "nas", "web-server", "frontend-service"].map(str::to_owned);
        let found = configuration.lint(&LintRequest { roots: &roots, hosts: &[] });
        assert!(found.is_empty(), "{}", found.iter().map(|finding| format!("{finding}\n")).collect::<String>());
    }
}
