//! Which elements of a profile count: condition and phase, judged once for each distinct condition.

use super::KickstartError;
use crate::profile::cond::{CondError, Condition};
use crate::profile::{Element, Profile};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Judges the elements of one profile.
#[derive(Debug)]
pub(super) struct Judge<'p> {
    profile: &'p Profile,
    /// By `arch`, `os`, `release` and `cond`.
    judged: RefCell<HashMap<[Option<&'p str>; 4], bool>>,
    conditions: &'p Conditions,
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

    /// Whether an element's condition holds and its phase is an installation's.
    pub(super) fn holds(&self, element: &'p Element) -> Result<bool, KickstartError> {
        let installs = |phases: &str| phases.split(',').any(|phase| matches!(phase.trim(), "pre" | "post"));
        if !element.attribute("phase").is_none_or(installs) {
            return Ok(false);
        }
        if !element.attributes.iter().any(|(name, _)| matches!(&**name, "arch" | "os" | "release" | "cond")) {
            return Ok(true);
        }
        let key = ["arch", "os", "release", "cond"].map(|name| element.attribute(name));
        if let Some(holds) = self.judged.borrow().get(&key) {
            return Ok(*holds);
        }
        let condition = self.conditions.read(element.condition());
        let judged = condition.and_then(|condition| condition.judge(|name| self.profile.attribute(name)));
        let holds = judged.map_err(|error| KickstartError::Condition {
            file: element.origin.file.to_string(),
            condition: error.condition,
            problem: error.what,
        })?;
        self.judged.borrow_mut().insert(key, holds);
        Ok(holds)
    }

    /// Whether a `<clearpart partition=...>` counts: none named, none wanted, or the one wanted.
    pub(super) fn clears(&self, partition: Option<&str>) -> bool {
        let wanted = self.profile.attribute("partition").unwrap_or_default();
        partition.is_none_or(|partition| partition.is_empty() || wanted.is_empty() || partition == wanted)
    }
}
