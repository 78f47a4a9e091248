//! A configuration: graphs and node files, read when first needed and shared by all compiles and threads.

use super::edges::GraphFile;
use super::error::GraphError;
use super::network::Network;
use super::template::Template;
use super::tree::{Source, Tree};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A node file, parsed at most once with scripts on and once with scripts off.
#[derive(Debug)]
pub(super) struct NodeFile {
    pub(super) source: Source,
    with_evals: OnceLock<Result<Template, GraphError>>,
    without_evals: OnceLock<Result<Template, GraphError>>,
}

impl NodeFile {
    fn new(source: &Source) -> Self {
        Self { source: source.clone(), with_evals: OnceLock::new(), without_evals: OnceLock::new() }
    }

    pub(super) fn template(&self, evals: bool) -> Result<&Template, GraphError> {
        let parsed = if evals { &self.with_evals } else { &self.without_evals };
        let parsed = parsed.get_or_init(|| Template::parse(&self.source.shown, &self.source.read()?, evals));
        parsed.as_ref().map_err(Clone::clone)
    }
}

/// Graphs and node files.
pub struct Configuration {
    tree: Tree,
    fingerprint: u64,
    networks: Mutex<BTreeMap<String, Result<Arc<Network>, GraphError>>>,
    nodes: BTreeMap<String, NodeFile>,
}

impl Configuration {
    /// The configuration in these folders, the first hiding the later file by file.
    pub fn open(folders: &[&Path]) -> Result<Self, GraphError> {
        Self::load(Tree::open(folders)?)
    }

    /// The configuration in a folder, its files named as those of the cluster whose configuration it may become.
    pub fn open_in_place(folder: &Path) -> Result<Self, GraphError> {
        Self::load(Tree::open_in_place(folder)?)
    }

    /// The configuration of a cluster: the site's own `graphs/` over the one we ship.
    pub fn of_cluster(cluster: &Path) -> Result<Self, GraphError> {
        Self::load(Tree::of_cluster(cluster)?)
    }

    fn load(tree: Tree) -> Result<Self, GraphError> {
        let fingerprint = tree.fingerprint();
        let nodes = tree.nodes().filter_map(|(name, sources)| Some((name.to_owned(), NodeFile::new(sources.first()?))));
        let nodes = nodes.collect();
        Ok(Self { tree, fingerprint, networks: Mutex::default(), nodes })
    }

    /// The files.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Stands for all files as they were when this was loaded.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Whether no file has changed since: a few hundred `stat` calls.
    pub fn is_current(&self) -> bool {
        self.tree.fingerprint() == self.fingerprint
    }

    /// A graph by its name, read when first asked for.
    pub fn network(&self, graph: &str) -> Result<Arc<Network>, GraphError> {
        let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = networks.get(graph) {
            return known.clone();
        }
        let read = self.read_network(graph).map(Arc::new);
        // Names come from attributes: only graphs that are there are kept.
        if !matches!(read, Err(GraphError::NoGraph { .. })) {
            networks.insert(graph.to_owned(), read.clone());
        }
        read
    }

    fn read_network(&self, graph: &str) -> Result<Network, GraphError> {
        let missing = || GraphError::NoGraph { graph: graph.to_owned(), tree: self.tree.shown() };
        let sources = self.tree.graph(graph)?.ok_or_else(missing)?;
        let files = sources.iter().map(|source| GraphFile::parse(&source.shown, &source.read()?));
        Ok(Network::new(graph, files.collect::<Result<_, _>>()?))
    }

    /// The graph that a host's attributes name.
    pub(super) fn network_of(&self, attributes: &BTreeMap<String, String>) -> Result<Arc<Network>, GraphError> {
        self.network(attributes.get("graph").map_or("default", String::as_str))
    }

    /// The files of a node (its own, then what extends it; or what replaces it alone) and the name it goes by:
    /// `sol_NAME` on Solaris where there is such a file. None where it has no file.
    pub(super) fn files_of(&self, node: &Arc<str>, is_sunos: bool) -> Option<(Arc<str>, Vec<&NodeFile>)> {
        let mut name = node.clone();
        if is_sunos && self.nodes.contains_key(&format!("sol_{node}.xml")) {
            name = format!("sol_{node}").into();
        }
        let file = |prefix: &str| self.nodes.get(&format!("{prefix}{name}.xml"));
        let files = match (file(""), file("extend-"), file("replace-")) {
            (_, _, Some(replacing)) => vec![replacing],
            (Some(own), Some(extending), None) => vec![own, extending],
            (Some(own), None, None) => vec![own],
            (None, _, None) => return None,
        };
        Some((name, files))
    }

    /// The rolls that node files name; files that cannot be read are passed over.
    pub fn rolls(&self) -> BTreeSet<Arc<str>> {
        self.nodes.values().filter_map(|file| Some(file.template(false).ok()?.roll.clone())).collect()
    }

    /// All node files by file name.
    pub(super) fn node_files(&self) -> impl Iterator<Item = (&str, &NodeFile)> {
        self.nodes.iter().map(|(name, file)| (name.as_str(), file))
    }
}
