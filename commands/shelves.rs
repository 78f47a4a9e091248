//! What distributions have, as a check of Kickstart files asks for it.

use crate::context::Context;
use crate::error::{Failure, Kind};
use rocks::cluster::{Arch, DistributionName, HostAttributes, Release};
use rocks::distribution::{INDEX_BLOB, Index, PackageRequest, Repository};
use rocks::kickstart::Shelf;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The packages and groups of distributions, by name.
#[derive(Default)]
pub(crate) struct Shelves {
    by_name: BTreeMap<String, Stock>,
}

/// One distribution.
struct Stock {
    index: Index,
    names: HashSet<String>,
    /// What was asked for and is no package's plain name.
    asked: Mutex<HashMap<String, bool>>,
}

impl Shelves {
    /// Every distribution of the cluster, or the one named.
    pub(crate) fn of_cluster(context: &Context, name: Option<&str>) -> anyhow::Result<Self> {
        if let Some(folder) = name.filter(|name| name.contains('/')) {
            return Self::of_folder(folder);
        }
        let store = context.store()?;
        let names = match name {
            Some(name) => vec![store.read(|r| r.distribution(&DistributionName::parse(name)?))?.name],
            None => store.read(|r| r.distributions())?.into_iter().map(|d| d.name).collect(),
        };
        let mut shelves = Self::default();
        for name in names {
            if let Some(bytes) = store.read(|r| r.blob(&name, INDEX_BLOB))? {
                shelves.by_name.insert(name.to_string(), Stock::new(Index::from_bytes(&bytes)?));
            }
        }
        Ok(shelves)
    }

    /// What a file for this release is checked against: the distribution named, else the cluster's for the release.
    pub(crate) fn for_file(context: &Context, name: Option<&str>, release: Release) -> anyhow::Result<Self> {
        if name.is_some() {
            return Self::of_cluster(context, name);
        }
        if !context.cluster().join(rocks::store::FILE_NAME).exists() {
            return Ok(Self::default());
        }
        let all = context.store()?.read(|r| r.distributions())?;
        match all.into_iter().find(|distribution| distribution.release == release) {
            Some(distribution) => Self::of_cluster(context, Some(distribution.name.as_str())),
            None => Ok(Self::default()),
        }
    }

    fn of_folder(folder: &str) -> anyhow::Result<Self> {
        if !Path::new(folder).is_dir() {
            return Err(Failure::new(Kind::NotFound, format!("no folder '{folder}'")).into());
        }
        let index = Repository::open(Path::new(folder))?.index(Arch::default());
        Ok(Self { by_name: BTreeMap::from([(folder.to_owned(), Stock::new(index))]) })
    }

    /// The only one, or the first by name.
    pub(crate) fn first(&self) -> Option<&dyn Shelf> {
        self.by_name.values().next().map(|stock| stock as &dyn Shelf)
    }

    /// That of a host's distribution; the only one where it was named.
    pub(crate) fn of(&self, attributes: &HostAttributes) -> Option<&dyn Shelf> {
        let own = attributes.get("distribution").and_then(|name| self.by_name.get(name));
        match own {
            Some(stock) => Some(stock),
            None if self.by_name.len() == 1 => self.first(),
            None => None,
        }
    }
}

impl Stock {
    fn new(index: Index) -> Self {
        let names = index.packages().iter().map(|entry| entry.package.name.clone()).collect();
        Self { index, names, asked: Mutex::default() }
    }
}

impl Shelf for Stock {
    fn package(&self, name: &str) -> bool {
        if self.names.contains(name) {
            return true;
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = asked.get(name) {
            return *known;
        }
        let request =
            PackageRequest { names: vec![name.to_owned()], weak_dependencies: false, ..PackageRequest::default() };
        let known = self.index.closure(&request).unknown.is_empty();
        asked.insert(name.to_owned(), known);
        known
    }

    fn group(&self, name: &str) -> bool {
        // A tree without any group is one whose groups are elsewhere.
        self.index.comps().groups.is_empty() || self.index.comps().group(name).is_some()
    }

    fn environment(&self, name: &str) -> bool {
        self.index.comps().environments.is_empty() || self.index.comps().environment(name).is_some()
    }
}
