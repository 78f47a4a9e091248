//! Which of several packages dnf takes: the best architecture, then the highest version of each name, not one that
//! another of them replaces, one that is recommended or suggested before one that is not, one that is the highest of its
//! name, one that brings a higher version of something common; and last the first by name.

use super::dependency::Range;
use super::pool::{ArchRank, PackageId, Pool};
use std::cmp::Reverse;

/// What the packages chosen so far say about others.
pub(super) trait Opinion {
    /// Whether something chosen recommends the package, or it supplements something chosen.
    fn recommended(&self, package: PackageId) -> bool;
    /// Whether something chosen suggests the package, or it enhances something chosen.
    fn suggested(&self, package: PackageId) -> bool;
}

/// Leaves the best architecture, the highest version of each name, and nothing that another of them replaces.
pub(super) fn best(pool: &Pool, candidates: &mut Vec<PackageId>) {
    if candidates.len() < 2 {
        return;
    }
    let arch = |id: &PackageId| pool.package(*id).arch;
    if let Some(finest) = candidates.iter().map(arch).filter(|rank| *rank != ArchRank::NoArch).min() {
        candidates.retain(|id| arch(id) == ArchRank::NoArch || arch(id) == finest);
    }
    candidates.sort_by(|one, other| {
        let (one, other) = (pool.package(*one), pool.package(*other));
        one.name.cmp(&other.name).then_with(|| other.evr.compare(&one.evr)).then(one.entry.cmp(&other.entry))
    });
    candidates.dedup_by(|later, first| pool.package(*later).name == pool.package(*first).name);
    if candidates.len() > 1 {
        let all = candidates.clone();
        let replaced = |id: PackageId| {
            all.iter().any(|other| *other != id && pool.obsoletes(*other, id) && !pool.obsoletes(id, *other))
        };
        candidates.retain(|id| !replaced(*id));
    }
}

/// Leaves what [`best`] leaves and, of that, what is recommended, if anything is; the one to take first.
pub(super) fn choose(pool: &Pool, opinion: &impl Opinion, candidates: &mut Vec<PackageId>) {
    best(pool, candidates);
    if candidates.len() < 2 {
        return;
    }
    if candidates.iter().any(|id| opinion.recommended(*id)) {
        candidates.retain(|id| opinion.recommended(*id));
    }
    candidates.sort_by_key(|id| (Reverse(opinion.suggested(*id)), is_outdated(pool, *id), &pool.package(*id).name));
    let first = (1..candidates.len()).fold(0, |first, other| {
        let same_rank = opinion.suggested(candidates[first]) == opinion.suggested(candidates[other])
            && is_outdated(pool, candidates[first]) == is_outdated(pool, candidates[other]);
        if same_rank && brings_newer(pool, candidates[other], candidates[first]) { other } else { first }
    });
    candidates[..=first].rotate_right(1);
}

/// Whether there is a higher version of the package's name.
fn is_outdated(pool: &Pool, id: PackageId) -> bool {
    let package = pool.package(id);
    pool.named(&package.name).iter().any(|other| pool.package(*other).evr.compare(&package.evr).is_gt())
}

/// Whether one package brings a higher version of something that both bring (`java-headless = 17` before 11).
fn brings_newer(pool: &Pool, one: PackageId, other: PackageId) -> bool {
    let (one, other) = (pool.package(one), pool.package(other));
    let common = one.provides.iter().flat_map(|brought| {
        other.provides.iter().filter(|there| there.name == brought.name).map(move |there| (brought, there))
    });
    common
        .filter_map(|(brought, there)| match (&brought.range, &there.range) {
            (Range::To { evr: new, .. }, Range::To { evr: old, .. }) => Some(new.compare(old)),
            _ => None,
        })
        .find(|order| order.is_ne())
        .is_some_and(std::cmp::Ordering::is_gt)
}
