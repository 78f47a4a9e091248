//! The packages of an index in the form the solver works on: numbers, and who provides what.

use super::dependency::{Dependency, Range, Relation};
use super::evr::Evr;
use super::index::Entry;
use crate::cluster::Arch;
use std::collections::HashMap;

/// A package of the pool.
pub(super) type PackageId = u32;
/// A dependency of the pool; equal ones have the same number.
pub(super) type DependencyId = u32;

/// Packages and dependencies as numbers.
pub(super) struct Pool {
    pub(super) packages: Vec<PoolPackage>,
    dependencies: Vec<Dependency>,
    by_name: HashMap<Box<str>, Vec<PackageId>>,
    provided: HashMap<Box<str>, Vec<(PackageId, Range)>>,
    files: HashMap<Box<str>, Vec<PackageId>>,
    /// Who replaces packages of a name.
    pub(super) obsoleted_by: HashMap<Box<str>, Vec<(PackageId, Range)>>,
    /// Who cannot be together with what is called so.
    pub(super) conflicted_by: HashMap<Box<str>, Vec<(PackageId, Range)>>,
    /// Packages that come by themselves when something is there.
    pub(super) supplementing: Vec<PackageId>,
}

/// A package of the pool.
pub(super) struct PoolPackage {
    /// Its place in the index.
    pub(super) entry: usize,
    pub(super) arch_name: Box<str>,
    pub(super) name: Box<str>,
    pub(super) evr: Evr,
    pub(super) arch: ArchRank,
    pub(super) provides: Vec<Relation>,
    pub(super) requires: Vec<DependencyId>,
    pub(super) conflicts: Vec<DependencyId>,
    pub(super) obsoletes: Vec<Relation>,
    pub(super) suggests: Vec<DependencyId>,
    pub(super) enhances: Vec<DependencyId>,
    pub(super) recommends: Vec<DependencyId>,
    pub(super) supplements: Vec<DependencyId>,
}

/// How well a package fits the machine: the machine's own architecture before older ones; `noarch` beside each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ArchRank {
    NoArch,
    Native,
    /// 32-bit packages on x86_64.
    Older,
}

fn arch_rank(arch: &str, machine: Arch) -> Option<ArchRank> {
    match (arch, machine) {
        ("noarch", _) => Some(ArchRank::NoArch),
        (arch, machine) if arch == machine.as_str() => Some(ArchRank::Native),
        ("x86_64_v2" | "x86_64_v3" | "amd64" | "ia32e", Arch::X86_64) => Some(ArchRank::Native),
        ("i686" | "i586" | "i486" | "i386" | "athlon", Arch::X86_64) => Some(ArchRank::Older),
        _ => None,
    }
}

impl Pool {
    /// The pool of those packages that the machine can run.
    pub(super) fn new(machine: Arch, entries: &[Entry]) -> Self {
        let mut pool = Self {
            packages: Vec::with_capacity(entries.len()),
            dependencies: Vec::new(),
            by_name: HashMap::new(),
            provided: HashMap::new(),
            files: HashMap::new(),
            obsoleted_by: HashMap::new(),
            conflicted_by: HashMap::new(),
            supplementing: Vec::new(),
        };
        let mut known = HashMap::new();
        for (place, entry) in entries.iter().enumerate() {
            if let Some(arch) = arch_rank(&entry.package.arch, machine) {
                pool.add(place, entry, arch, &mut known);
            }
        }
        pool
    }

    fn add<'e>(&mut self, place: usize, entry: &'e Entry, arch: ArchRank, known: &mut HashMap<&'e str, DependencyId>) {
        let id = self.packages.len() as PackageId;
        let mut numbers = |texts: &'e [String]| -> Vec<DependencyId> {
            let number = |text: &'e String| {
                *known.entry(text).or_insert_with(|| {
                    self.dependencies.push(Dependency::parse(text));
                    self.dependencies.len() as DependencyId - 1
                })
            };
            texts.iter().map(number).collect()
        };
        let source = &entry.package;
        let evr = Evr {
            epoch: source.epoch,
            version: source.version.as_str().into(),
            release: Some(source.release.as_str().into()),
        };
        let relations = |texts: &[String]| texts.iter().map(|text| Relation::parse(text)).collect::<Vec<_>>();
        let package = PoolPackage {
            entry: place,
            arch_name: source.arch.as_str().into(),
            name: source.name.as_str().into(),
            evr,
            arch,
            provides: relations(&entry.provides),
            requires: numbers(&entry.requires),
            conflicts: numbers(&entry.conflicts),
            obsoletes: relations(&entry.obsoletes),
            suggests: numbers(&entry.suggests),
            enhances: numbers(&entry.enhances),
            recommends: numbers(&entry.recommends),
            supplements: numbers(&entry.supplements),
        };
        self.by_name.entry(package.name.clone()).or_default().push(id);
        let mut itself = true;
        for Relation { name, range, .. } in &package.provides {
            itself &= **name != *package.name;
            self.provided.entry(name.clone()).or_default().push((id, range.clone()));
        }
        if itself {
            let own = (id, Range::exactly(package.evr.clone()));
            self.provided.entry(package.name.clone()).or_default().push(own);
        }
        for file in &entry.files {
            self.files.entry(file.as_str().into()).or_default().push(id);
        }
        for Relation { name, range, .. } in &package.obsoletes {
            self.obsoleted_by.entry(name.clone()).or_default().push((id, range.clone()));
        }
        for number in &package.conflicts {
            if let Dependency::Name(Relation { name, range, .. }) = &self.dependencies[*number as usize] {
                self.conflicted_by.entry(name.clone()).or_default().push((id, range.clone()));
            }
        }
        if !package.supplements.is_empty() {
            self.supplementing.push(id);
        }
        self.packages.push(package);
    }

    pub(super) fn package(&self, id: PackageId) -> &PoolPackage {
        &self.packages[id as usize]
    }

    pub(super) fn dependency(&self, id: DependencyId) -> &Dependency {
        &self.dependencies[id as usize]
    }

    /// The packages of a name.
    pub(super) fn named(&self, name: &str) -> &[PackageId] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// Who provides a name in a range of versions, each once, in the order of the metadata.
    pub(super) fn providers<'r>(&self, relation: &'r Relation) -> &'r [PackageId] {
        relation.providers.get_or_init(|| {
            let provided = self.provided.get(&relation.name).into_iter().flatten();
            let mut found: Vec<PackageId> =
                provided.filter(|(_, range)| range.meets(&relation.range)).map(|(id, _)| *id).collect();
            if relation.name.starts_with('/') && relation.range == Range::Any {
                found.extend(self.files.get(&relation.name).into_iter().flatten());
            }
            found.sort_unstable();
            found.dedup();
            found.into()
        })
    }

    /// Whether one package replaces another.
    pub(super) fn obsoletes(&self, one: PackageId, other: PackageId) -> bool {
        let (one, other) = (self.package(one), self.package(other));
        let own = Range::exactly(other.evr.clone());
        one.name != other.name
            && one.obsoletes.iter().any(|relation| relation.name == other.name && relation.range.meets(&own))
    }
}
