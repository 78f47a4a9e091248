//! From the words of a package list to the packages they name.

use super::comps::GroupPackageKind;
use super::dependency::{Dependency, Range, Relation};
use super::pool::{ArchRank, PackageId, Pool, PoolPackage};
use super::{Index, PackageRequest};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Something that the package list wants installed; left out where it cannot be.
pub(super) enum Want {
    /// One of these packages.
    OneOf(Vec<PackageId>),
    /// This dependency.
    Rule(Dependency),
}

/// A package list, understood.
pub(super) struct Selection {
    pub(super) jobs: Vec<Want>,
    pub(super) excluded: HashSet<PackageId>,
    /// Words that name nothing in the distribution.
    pub(super) unknown: BTreeSet<String>,
}

/// How much of a group is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Its mandatory packages.
    Mandatory,
    /// Its mandatory and default ones.
    Default,
    /// All.
    Optional,
}

impl Extent {
    fn of(request: &PackageRequest, group: &str) -> Self {
        let named = |list: &[String]| list.iter().any(|there| there == group);
        match (named(&request.optional_groups), named(&request.mandatory_groups)) {
            (true, _) => Self::Optional,
            (false, true) => Self::Mandatory,
            (false, false) => Self::Default,
        }
    }
}

/// Understands a package list.
pub(super) fn select(index: &Index, pool: &Pool, request: &PackageRequest) -> Selection {
    let mut excluded = HashSet::new();
    for word in &request.excluded {
        excluded.extend(matching(pool, word).into_values().flatten());
    }
    let mut selection = Selection { jobs: Vec::new(), excluded, unknown: BTreeSet::new() };
    for word in &request.names {
        if !selection.add_word(pool, word) {
            selection.unknown.insert(word.clone());
        }
    }
    let mut groups: Vec<&str> = Vec::new();
    for name in &request.environments {
        match index.comps().environment(name) {
            Some(environment) => groups.extend(environment.groups.iter().map(String::as_str)),
            None => drop(selection.unknown.insert(format!("@^{name}"))),
        }
    }
    groups.extend(request.groups.iter().map(String::as_str));
    let mut seen = HashSet::new();
    groups.retain(|group| seen.insert(*group) && !request.excluded_groups.iter().any(|there| there == group));
    for name in groups {
        let Some(group) = index.comps().group(name) else {
            // A group may be named like an environment: the installer takes either.
            match index.comps().environment(name) {
                Some(environment) => {
                    for group in environment.groups.iter().filter_map(|id| index.comps().group(id)) {
                        selection.add_group(pool, group, Extent::Default);
                    }
                }
                None => drop(selection.unknown.insert(format!("@{name}"))),
            }
            continue;
        };
        selection.add_group(pool, group, Extent::of(request, name));
    }
    for word in &request.implicit {
        selection.add_word(pool, word);
    }
    selection
}

impl Selection {
    /// Adds what a word of the list names; false where it names nothing.
    fn add_word(&mut self, pool: &Pool, word: &str) -> bool {
        let mut found = matching(pool, word);
        if found.is_empty() {
            let providers = pool.providers(&Relation::parse(word)).to_vec();
            if !providers.is_empty() {
                found.insert(word.to_owned(), providers);
            }
        }
        let any = !found.is_empty();
        for mut candidates in found.into_values() {
            let replacing: Vec<PackageId> = candidates.iter().flat_map(|id| replacing(pool, *id)).collect();
            candidates.extend(replacing);
            candidates.retain(|id| !self.excluded.contains(id));
            candidates.sort_unstable();
            candidates.dedup();
            if !candidates.is_empty() {
                self.jobs.push(Want::OneOf(candidates));
            }
        }
        any
    }

    /// Adds the packages of a group; a missing one is not missed.
    fn add_group(&mut self, pool: &Pool, group: &super::Group, extent: Extent) {
        for package in &group.packages {
            match &package.kind {
                GroupPackageKind::Default if extent == Extent::Mandatory => {}
                GroupPackageKind::Optional if extent == Extent::Optional => {
                    self.add_word(pool, &package.name);
                }
                GroupPackageKind::Mandatory | GroupPackageKind::Default => {
                    self.add_word(pool, &package.name);
                }
                GroupPackageKind::Conditional(other) => {
                    let name = |name: &str| Box::new(Dependency::Name(Relation::new(name, Range::Any)));
                    let rule = Dependency::If(name(&package.name), name(other), None);
                    self.jobs.push(Want::Rule(rule));
                }
                GroupPackageKind::Optional => {}
            }
        }
    }
}

/// Packages that replace this one.
fn replacing(pool: &Pool, id: PackageId) -> Vec<PackageId> {
    let package = pool.package(id);
    let own = Range::exactly(package.evr.clone());
    let others = pool.obsoleted_by.get(&package.name).into_iter().flatten();
    others
        .filter(|(other, range)| range.meets(&own) && pool.package(*other).name != package.name)
        .map(|(other, _)| *other)
        .collect()
}

/// A way to write a package in a list.
type Form = fn(&PoolPackage, &str) -> String;

/// The ways to write a package, in the order in which they are tried.
const FORMS: [Form; 5] = [
    |package, arch| format!("{}-{}.{arch}", package.name, full(package)),
    |package, arch| format!("{}.{arch}", package.name),
    |package, _| package.name.to_string(),
    |package, _| format!("{}-{}", package.name, full(package)),
    |package, _| format!("{}-{}", package.name, package.evr.version),
];

fn full(package: &PoolPackage) -> String {
    let release = package.evr.release.as_deref().unwrap_or_default();
    match package.evr.epoch {
        0 => format!("{}-{release}", package.evr.version),
        epoch => format!("{epoch}:{}-{release}", package.evr.version),
    }
}

/// The packages that a word names, by their names.
fn matching(pool: &Pool, word: &str) -> BTreeMap<String, Vec<PackageId>> {
    let by_name = |ids: &mut dyn Iterator<Item = PackageId>| {
        let mut found: BTreeMap<String, Vec<PackageId>> = BTreeMap::new();
        for id in ids {
            found.entry(pool.package(id).name.to_string()).or_default().push(id);
        }
        found
    };
    let named = pool.named(word);
    if !named.is_empty() {
        return by_name(&mut named.iter().copied());
    }
    for form in FORMS {
        let found = by_name(&mut (0..pool.packages.len() as PackageId).filter(|id| {
            let package = pool.package(*id);
            let arch = &*package.arch_name;
            // A pattern means packages of the machine's own kind unless it names another.
            glob(word, &form(package, arch)) && (package.arch != ArchRank::Older || word.ends_with(arch))
        }));
        if !found.is_empty() {
            return found;
        }
    }
    BTreeMap::new()
}

/// Whether a shell pattern (`*`, `?`, `[a-z]`, `[!a]`) is the whole of a text.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut place) = (0, 0);
    // Where to go on when what follows the last `*` does not fit: that star, and one character further.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at) == Some(&'*') {
            retry = Some((at, place));
            at += 1;
            continue;
        }
        if place == text.len() && at == pattern.len() {
            return true;
        }
        let step = text.get(place).and_then(|character| one(&pattern[at..], *character));
        match (step, retry) {
            (Some(length), _) => (at, place) = (at + length, place + 1),
            (None, Some((star, from))) if from < text.len() => {
                retry = Some((star, from + 1));
                (at, place) = (star + 1, from + 1);
            }
            _ => return false,
        }
    }
}

/// How much of a pattern fits one character.
fn one(pattern: &[char], character: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => {
            let end = 2 + pattern.get(2..)?.iter().position(|c| *c == ']')?;
            let inside = &pattern[1..end];
            let (negated, inside) = match inside.split_first() {
                Some(('!' | '^', rest)) => (true, rest),
                _ => (false, inside),
            };
            let mut at = 0;
            let mut fits = false;
            while at < inside.len() {
                if inside.get(at + 1) == Some(&'-') && at + 2 < inside.len() {
                    fits |= (inside[at]..=inside[at + 2]).contains(&character);
                    at += 3;
                } else {
                    fits |= inside[at] == character;
                    at += 1;
                }
            }
            (fits != negated).then_some(end + 1)
        }
        literal => (*literal == character).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_are_those_of_the_shell() {
        for (pattern, text) in [
            ("a", "a"),
            ("*", ""),
            ("a*c", "abbc"),
            ("a*b*c", "axbxbc"),
            ("?b", "ab"),
            ("[a-c]x", "bx"),
            ("[!a]x", "bx"),
            ("lib*.so[12]", "libx.so2"),
        ] {
            assert!(glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("a", "ab"), ("a*c", "abb"), ("?", ""), ("[a-c]x", "dx"), ("[!a]x", "ax"), ("[", "["), ("", "a")]
        {
            assert!(!glob(pattern, text), "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn every_pattern_ends(pattern in "[ab*?\\[\\]!-]{0,20}", text in "[ab]{0,30}") {
            glob(&pattern, &text);
        }
    }
}
