//! A tree with its metadata read and checked.

use super::compression::unpack;
use super::comps::Comps;
use super::index::{Entry, Index};
use super::modules::Modules;
use super::primary::{parse_filelists, parse_primary};
use super::repomd::{MetadataFile, Repomd};
use super::{DistributionError, Tree};
use crate::cluster::Arch;
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::Path;

/// A tree whose metadata has been read and checked against repomd.xml.
#[derive(Debug)]
pub struct Repository {
    /// The tree.
    pub tree: Tree,
    /// Its list of metadata files.
    pub repomd: Repomd,
    /// Its packages, in the order of the metadata.
    pub packages: Vec<Entry>,
    /// Its groups; none where it has none.
    pub comps: Comps,
    /// Which of its packages a machine sees: those of streams of modules that are no default are hidden.
    seen: Vec<bool>,
}

impl Repository {
    /// Reads a tree that has `repodata/` as createrepo_c makes it.
    pub fn open(path: &Path) -> Result<Self, DistributionError> {
        let tree = Tree::open(path)?;
        let repomd = Repomd::open(&tree)?;
        let primary = repomd.find(&["primary"]).ok_or_else(|| {
            DistributionError::metadata(&tree.root().join(Repomd::HREF), "lists no 'primary' metadata")
        })?;
        let bytes = primary.read(&tree)?;
        let mut packages = parse_primary(&tree.root().join(&primary.href), &bytes, primary)?;
        if packages.is_empty() {
            return Err(DistributionError::metadata(&tree.root().join(&primary.href), "lists no package"));
        }
        add_needed_files(&tree, &repomd, &mut packages)?;
        let comps = match repomd.find(&["group", "group_gz", "group_xz", "group_zst"]) {
            None => Comps::default(),
            Some(file) => read_comps(&tree, file)?,
        };
        let seen = match repomd.find(&["modules"]) {
            None => vec![true; packages.len()],
            Some(file) => read_modules(&tree, file)?.seen(&packages),
        };
        Ok(Self { tree, repomd, packages, comps, seen })
    }

    /// The index of what a machine of this architecture sees of it.
    pub fn index(&self, arch: Arch) -> Index {
        let seen = self.packages.iter().zip(&self.seen).filter(|(_, seen)| **seen);
        Index::new(arch, seen.map(|(entry, _)| entry.clone()).collect(), self.comps.clone())
    }
}

fn read_modules(tree: &Tree, file: &MetadataFile) -> Result<Modules, DistributionError> {
    let path = tree.root().join(&file.href);
    let bytes = file.read(tree)?;
    let mut text = String::new();
    let mut reader = unpack(&bytes, file.open_bytes_max()).map_err(DistributionError::file(&path))?;
    reader.read_to_string(&mut text).map_err(DistributionError::file(&path))?;
    Modules::parse(&text).map_err(|why| DistributionError::metadata(&path, why))
}

fn read_comps(tree: &Tree, file: &MetadataFile) -> Result<Comps, DistributionError> {
    let path = tree.root().join(&file.href);
    let bytes = file.read(tree)?;
    let reader = unpack(&bytes, file.open_bytes_max()).map_err(DistributionError::file(&path))?;
    Comps::parse(&path, reader)
}

/// Files that some package needs and primary.xml does not list are looked up in filelists.xml.
fn add_needed_files(tree: &Tree, repomd: &Repomd, packages: &mut [Entry]) -> Result<(), DistributionError> {
    let listed: HashSet<&str> = packages.iter().flat_map(|entry| &entry.files).map(String::as_str).collect();
    let needed = packages.iter().flat_map(|entry| {
        entry.requires.iter().chain(&entry.recommends).chain(&entry.supplements).flat_map(|text| paths_in(text))
    });
    let wanted: HashSet<String> = needed.filter(|path| !listed.contains(path)).map(str::to_owned).collect();
    let Some(file) = repomd.find(&["filelists"]).filter(|_| !wanted.is_empty()) else { return Ok(()) };
    let bytes = file.read(tree)?;
    let wanted: HashSet<&str> = wanted.iter().map(String::as_str).collect();
    let found = parse_filelists(&tree.root().join(&file.href), &bytes, file, &wanted)?;
    let mut by_checksum: HashMap<String, &mut Entry> =
        packages.iter_mut().map(|entry| (entry.checksum.clone(), entry)).collect();
    for (checksum, path) in found {
        if let Some(entry) = by_checksum.get_mut(&checksum) {
            entry.files.push(path);
        }
    }
    Ok(())
}

/// The file names in a dependency, rich or not.
fn paths_in(dependency: &str) -> impl Iterator<Item = &str> {
    dependency.split([' ', '(', ')']).filter(|word| word.starts_with('/'))
}
