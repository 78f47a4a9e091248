//! What became of elements that many profiles share, so that the second profile costs a look.
//!
//! An element without anything of a host in it is one allocation in all profiles of a configuration. What it becomes
//! depends on little else: the dialect, the operating system, who owns the files that were written before, and how
//! many temporary files were named. Where that is the same, so is the result.

use super::judge::Facts;
use super::script::{Effect, Files};
use super::section::Piece;
use crate::profile::Element;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// How many elements are kept.
const ELEMENTS_MAX: usize = 20_000;
/// How many results are kept of one element.
const RESULTS_MAX: usize = 8;

/// Elements by where they are in memory. They are held, so that no other comes to be there.
#[derive(Debug, Default)]
pub(super) struct Kept {
    elements: RwLock<Elements>,
}

/// What is kept, for as long as one profile is read.
pub(super) type Elements = HashMap<usize, KeptElement, BuildHasherDefault<AddressHasher>>;

/// One element.
#[derive(Debug)]
pub(super) struct KeptElement {
    element: Arc<Element>,
    /// What it says of itself.
    pub(super) facts: Facts,
    made: Vec<Made>,
}

/// What an element became.
#[derive(Debug, Clone)]
pub(super) struct Made {
    /// What it was made under, and what it changed.
    pub(super) effect: Effect,
    /// What it is.
    pub(super) piece: Piece,
}

/// An element that was not kept, or not with this result.
pub(super) type Fresh = (Arc<Element>, Facts, Option<Made>);

impl Kept {
    /// Everything that is kept.
    pub(super) fn elements(&self) -> RwLockReadGuard<'_, Elements> {
        self.elements.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a profile had that is not here yet.
    pub(super) fn add(&self, fresh: Vec<Fresh>) {
        if fresh.is_empty() {
            return;
        }
        let mut elements = self.elements.write().unwrap_or_else(PoisonError::into_inner);
        for (element, facts, made) in fresh {
            if elements.len() == ELEMENTS_MAX && !elements.contains_key(&address(&element)) {
                continue;
            }
            let known = elements.entry(address(&element)).or_insert(KeptElement { element, facts, made: Vec::new() });
            let is_new = |made: &Made| !known.made.iter().any(|other| other.effect == made.effect);
            if let Some(made) = made.filter(|made| known.made.len() < RESULTS_MAX && is_new(made)) {
                known.made.push(made);
            }
        }
    }
}

/// Whether others may have this element too, so that it is worth keeping.
pub(super) fn is_shared(element: &Arc<Element>) -> bool {
    Arc::strong_count(element) > 1
}

/// What is kept of an element.
pub(super) fn find<'k>(elements: &'k Elements, element: &Arc<Element>) -> Option<&'k KeptElement> {
    elements.get(&address(element)).filter(|known| Arc::ptr_eq(&known.element, element))
}

impl KeptElement {
    /// What it became when all was as it is now.
    pub(super) fn made(&self, files: &Files<'_>) -> Option<&Made> {
        self.made.iter().find(|made| files.fits(&made.effect))
    }

    /// Whether another result of it may be kept.
    pub(super) fn has_room(&self) -> bool {
        self.made.len() < RESULTS_MAX
    }
}

fn address(element: &Arc<Element>) -> usize {
    Arc::as_ptr(element).addr()
}

/// Spreads addresses, which end in zeroes, over a table.
#[derive(Debug, Default)]
pub(super) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_usize(usize::from(*byte)));
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_right(29);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use crate::cluster::Release;
    use crate::kickstart::Renderer;
    use crate::profile::{Element, Profile};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    const ELEMENTS: &str = "<kickstart attrs=\"{}\">\
        <package>x</package><package disable='1'>x</package><package cond='gpu'>y</package>\
        <pre interpreter='/bin/sh'>a</pre><post phase='reconfigure'>never</post>\
        <post>b<file name='/etc/f'>one</file></post>\
        <post>c<file name='/etc/f' owner='a.b'>two</file><file name='/etc/g' rcs='no'/></post>\
        <post cond='gpu'><file name='/etc/f' mode='pipe'> sed s/a/b/ </file></post>\
        <post arg='--nochroot'><file name='/etc/h' os='sunos'>x</file><file name='/etc/g' owner='c'/>%end\n</post>\
        <post><file name='/var/log/rocks-install.log' mode='append'>\n./nodes/a.xml: begin post section\n</file></post>\
        <main><lang>C</lang><timezone cond='not gpu'>UTC</timezone></main><debug>d</debug>\
        </kickstart>";

    proptest! {
        #[test]
        fn what_is_kept_changes_nothing(
            hosts in proptest::collection::vec((proptest::collection::vec(0usize..12, 0..20), any::<bool>(), any::<bool>()), 1..20),
        ) {
            let all = Profile::from_xml(ELEMENTS).expect("well formed").elements;
            prop_assert_eq!(all.len(), 12);
            let keeping = Renderer::new(&BTreeMap::new()).expect("our own templates");
            let fresh = Renderer::new(&BTreeMap::new()).expect("our own templates");
            for (chosen, gpu, is_solaris) in hosts {
                let attributes = [("gpu", if gpu { "yes" } else { "no" }), ("os", if is_solaris { "sunos" } else { "linux" })];
                let attributes = attributes.map(|(name, value)| (name.into(), value.into()));
                let shared: Vec<Arc<Element>> = chosen.iter().map(|number| all[*number].clone()).collect();
                let own = shared.iter().map(|element| Arc::new(Element::clone(element))).collect();
                let profile = |elements| Profile { attributes: attributes.to_vec(), elements, files: Vec::new() };
                let (shared, own) = (profile(shared), profile(own));
                for release in [Release::Rocks7, Release::Rhel9] {
                    let rendered = keeping.render(&shared, release).expect("it renders");
                    prop_assert_eq!(&rendered, &fresh.render(&own, release).expect("it renders"));
                    let traced = keeping.trace(&shared, release).expect("it renders");
                    let traced: Vec<&str> = traced.iter().map(|line| line.text.as_str()).collect();
                    prop_assert_eq!(traced, rendered.lines().collect::<Vec<_>>());
                }
            }
        }
    }
}
