//! Which elements of a profile count: condition and phase, judged once for each distinct condition.

use super::KickstartError;
use super::section::Kind;
use crate::profile::cond::{CondError, Condition};
use crate::profile::{Element, Profile};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Judges the elements of one profile.
#[derive(Debug)]
pub(super) struct Judge<'p> {
    profile: &'p Profile,
    judged: RefCell<Vec<(Arc<Condition>, bool)>>,
    conditions: &'p Conditions,
}

/// What an element says of itself, whatever the host.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// What it is; none where stage 2 has no use for it, or not at an installation.
    pub(super) kind: Option<Kind>,
    /// What it stands under; none where it always counts.
    condition: Option<Arc<Condition>>,
}

/// Conditions that were read, by their text: what a configuration has of them is read once for all profiles.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    read: Mutex<HashMap<String, Arc<Condition>>>,
}

/// How many conditions are kept.
const CONDITIONS_MAX: usize = 10_000;

impl Conditions {
    fn read(&self, text: String) -> Result<Arc<Condition>, CondError> {
        if let Some(known) = self.read.lock().unwrap_or_else(PoisonError::into_inner).get(&text) {
            return Ok(known.clone());
        }
        let condition = Arc::new(Condition::parse(&text)?);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.len() < CONDITIONS_MAX {
            read.insert(text, condition.clone());
        }
        Ok(condition)
    }
}

impl<'p> Judge<'p> {
    /// Judges with this profile's attributes.
    pub(super) fn new(profile: &'p Profile, conditions: &'p Conditions) -> Self {
        Self { profile, judged: RefCell::default(), conditions }
    }

    /// What an element says of itself.
    pub(super) fn facts(&self, element: &Element) -> Result<Facts, KickstartError> {
        let kind = Kind::of(&element.name).filter(|_| installs(element));
        let condition = if kind.is_some() { self.condition(element)? } else { None };
        Ok(Facts { kind, condition })
    }

    /// Whether an element's condition holds and its phase is an installation's.
    pub(super) fn holds(&self, element: &Element) -> Result<bool, KickstartError> {
        Ok(installs(element) && self.judge(self.condition(element)?.as_ref(), element)?)
    }

    /// Whether an element's condition holds, with its facts known.
    pub(super) fn counts(&self, facts: &Facts, element: &Element) -> Result<bool, KickstartError> {
        self.judge(facts.condition.as_ref(), element)
    }

    fn condition(&self, element: &Element) -> Result<Option<Arc<Condition>>, KickstartError> {
        if !element.attributes.iter().any(|(name, _)| matches!(&**name, "arch" | "os" | "release" | "cond")) {
            return Ok(None);
        }
        self.conditions.read(element.condition()).map(Some).map_err(|error| told(error, element))
    }

    fn judge(&self, condition: Option<&Arc<Condition>>, element: &Element) -> Result<bool, KickstartError> {
        let Some(condition) = condition else { return Ok(true) };
        if let Some((_, holds)) = self.judged.borrow().iter().find(|(known, _)| Arc::ptr_eq(known, condition)) {
            return Ok(*holds);
        }
        let holds = condition.judge(|name| self.profile.attribute(name)).map_err(|error| told(error, element))?;
        self.judged.borrow_mut().push((condition.clone(), holds));
        Ok(holds)
    }

    /// Whether a `<clearpart partition=...>` counts: none named, none wanted, or the one wanted.
    pub(super) fn clears(&self, partition: Option<&str>) -> bool {
        let wanted = self.profile.attribute("partition").unwrap_or_default();
        partition.is_none_or(|partition| partition.is_empty() || wanted.is_empty() || partition == wanted)
    }
}

/// Whether an element's phase is an installation's; blanks count, as in the original.
fn installs(element: &Element) -> bool {
    element.attribute("phase").is_none_or(|phases| phases.split(',').any(|phase| matches!(phase, "pre" | "post")))
}

fn told(error: CondError, element: &Element) -> KickstartError {
    let file = if element.origin.file.is_empty() { "profile" } else { &*element.origin.file };
    KickstartError::Condition { file: file.to_owned(), condition: error.condition, problem: error.what }
}
