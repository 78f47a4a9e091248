//! Which elements of a profile count: condition and phase, judged once for each distinct condition.

use super::KickstartError;
use crate::profile::{Element, Profile, cond};
use std::cell::RefCell;
use std::collections::HashMap;

/// Judges the elements of one profile.
#[derive(Debug)]
pub(super) struct Judge<'p> {
    profile: &'p Profile,
    judged: RefCell<HashMap<String, bool>>,
}

impl<'p> Judge<'p> {
    /// Judges with this profile's attributes.
    pub(super) fn new(profile: &'p Profile) -> Self {
        Self { profile, judged: RefCell::default() }
    }

    /// Whether an element's condition holds and its phase is an installation's.
    pub(super) fn holds(&self, element: &Element) -> Result<bool, KickstartError> {
        let installs = |phases: &str| phases.split(',').any(|phase| matches!(phase.trim(), "pre" | "post"));
        if !element.attribute("phase").is_none_or(installs) {
            return Ok(false);
        }
        if !element.attributes.iter().any(|(name, _)| matches!(&**name, "arch" | "os" | "release" | "cond")) {
            return Ok(true);
        }
        let condition = element.condition();
        if let Some(holds) = self.judged.borrow().get(&condition) {
            return Ok(*holds);
        }
        let holds = cond::judge(&condition, |name| self.profile.attribute(name)).map_err(|error| {
            KickstartError::Condition {
                file: element.origin.file.to_string(),
                condition: error.condition,
                problem: error.what,
            }
        })?;
        self.judged.borrow_mut().insert(condition, holds);
        Ok(holds)
    }

    /// Whether a `<clearpart partition=...>` counts: none named, none wanted, or the one wanted.
    pub(super) fn clears(&self, partition: Option<&str>) -> bool {
        let wanted = self.profile.attribute("partition").unwrap_or_default();
        partition.is_none_or(|partition| partition.is_empty() || wanted.is_empty() || partition == wanted)
    }
}
