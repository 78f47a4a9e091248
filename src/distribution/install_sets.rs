//! Install sets that have been worked out, kept while their snapshots live: ten thousand hosts of one appliance ask
//! for one closure.

use super::{DistributionError, Index, PackageRequest};
use crate::cluster::InstallSet;
use crate::torrent::InfoHash;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// So many snapshots' indexes are kept.
const INDEXES_MAX: usize = 8;
/// So many install sets are kept.
const SETS_MAX: usize = 1024;

/// A cache of install sets by snapshot and package list; threads share it.
#[derive(Debug, Default)]
pub struct InstallSets {
    kept: Mutex<Kept>,
}

/// An index that is loaded by the first who needs it, while the others wait.
type Slot = Arc<Mutex<Option<Arc<Index>>>>;

/// A snapshot, and the fingerprint of a package list.
type Key = (InfoHash, [u8; 32]);
/// An install set that is worked out by the first who asks, while the others wait.
type Cell = Arc<OnceLock<Arc<InstallSet>>>;

#[derive(Debug, Default)]
struct Kept {
    indexes: VecDeque<(InfoHash, Slot)>,
    sets: HashMap<Key, Cell>,
    order: VecDeque<Key>,
}

impl InstallSets {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// The install set of a package list in a snapshot. `load` gives the bytes of the snapshot's index
    /// ([`super::INDEX_BLOB`]) where they are not in memory yet.
    pub fn get<E: From<DistributionError>>(
        &self,
        snapshot: InfoHash,
        request: &PackageRequest,
        load: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Arc<InstallSet>, E> {
        let key = (snapshot, request.fingerprint());
        let cell = self.cell(key);
        if let Some(set) = cell.get() {
            return Ok(Arc::clone(set));
        }
        let index = self.index(snapshot, load)?;
        Ok(Arc::clone(cell.get_or_init(|| Arc::new(index.closure(request)))))
    }

    /// The index of a snapshot.
    pub fn index<E: From<DistributionError>>(
        &self,
        snapshot: InfoHash,
        load: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Arc<Index>, E> {
        let slot = self.slot(snapshot);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = &*slot {
            return Ok(Arc::clone(index));
        }
        let index = Arc::new(Index::from_bytes(&load()?)?);
        *slot = Some(Arc::clone(&index));
        Ok(index)
    }

    fn cell(&self, key: Key) -> Cell {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = kept.sets.get(&key) {
            return Arc::clone(cell);
        }
        if kept.order.len() == SETS_MAX
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.sets.remove(&oldest);
        }
        kept.order.push_back(key);
        Arc::clone(kept.sets.entry(key).or_default())
    }

    fn slot(&self, snapshot: InfoHash) -> Slot {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, slot)) = kept.indexes.iter().find(|(there, _)| *there == snapshot) {
            return Arc::clone(slot);
        }
        if kept.indexes.len() == INDEXES_MAX {
            kept.indexes.pop_front();
        }
        let slot = Slot::default();
        kept.indexes.push_back((snapshot, Arc::clone(&slot)));
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Arch, Package};
    use crate::distribution::{Comps, Entry};

    fn bytes() -> Result<Vec<u8>, DistributionError> {
        let package = Package { name: "a".into(), arch: "noarch".into(), href: "a.rpm".into(), ..Package::default() };
        Ok(Index::new(Arch::X86_64, vec![Entry { package, ..Entry::default() }], Comps::default()).to_bytes())
    }

    #[test]
    fn a_set_is_worked_out_once_for_a_list_and_a_snapshot() {
        let sets = InstallSets::new();
        let request = PackageRequest::from_lines(["a"]);
        let first = sets.get(InfoHash([1; 20]), &request, bytes).expect("a set");
        assert_eq!(first.hrefs, ["a.rpm"]);
        let again =
            sets.get(InfoHash([1; 20]), &request, || -> Result<_, DistributionError> { panic!("loaded again") });
        assert!(Arc::ptr_eq(&first, &again.expect("a set")));
        let other = sets.get(InfoHash([2; 20]), &request, bytes).expect("a set");
        assert!(!Arc::ptr_eq(&first, &other));
    }

    #[test]
    fn many_lists_and_snapshots_do_not_fill_the_memory() {
        let sets = InstallSets::new();
        for n in 0..SETS_MAX + 10 {
            let request = PackageRequest::from_lines([format!("p{n}").as_str()]);
            sets.get(InfoHash([(n % 20) as u8; 20]), &request, bytes).expect("a set");
        }
        let kept = sets.kept.lock().expect("not poisoned");
        assert_eq!((kept.sets.len(), kept.order.len(), kept.indexes.len()), (SETS_MAX, SETS_MAX, INDEXES_MAX));
    }
}
