//! What was found in sections that many Kickstart files have in common, so that it is looked for once.

use crate::profile::Finding;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

/// How many sections are remembered.
const SECTIONS_MAX: usize = 10_000;

/// Findings by what they were found in. Shared by threads; two that come at once may both look.
#[derive(Debug, Default)]
pub struct Memo {
    sections: Mutex<HashMap<u128, Arc<Vec<Finding>>>>,
}

impl Memo {
    /// What is known of this key, or else what `look` finds.
    pub(super) fn findings(&self, key: u128, look: impl FnOnce() -> Vec<Finding>) -> Arc<Vec<Finding>> {
        if let Some(known) = self.sections.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        let found = Arc::new(look());
        let mut sections = self.sections.lock().unwrap_or_else(PoisonError::into_inner);
        if sections.len() < SECTIONS_MAX {
            sections.insert(key, found.clone());
        }
        found
    }
}

/// Stands for a value among those of one run: two hashes, so that none meets another by chance.
pub(super) fn fingerprint(value: &(impl Hash + ?Sized)) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        value.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Severity;

    #[test]
    fn what_is_known_is_not_looked_for_again() {
        let memo = Memo::default();
        let finding = || vec![Finding::new(Severity::Error, "x", "y")];
        assert_eq!(*memo.findings(fingerprint("a"), finding), finding());
        assert_eq!(*memo.findings(fingerprint("a"), || panic!("it is known")), finding());
        assert_eq!(*memo.findings(fingerprint("b"), Vec::new), []);
    }
}
