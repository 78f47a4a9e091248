//! Rolls: whether their scripts may run on the frontend.

use super::table::ROLLS;
use super::{Reader, StoreError, Writer};
use crate::cluster::Roll;

impl Reader {
    /// Every roll that was told of, by name.
    pub fn rolls(&self) -> Result<Vec<Roll>, StoreError> {
        self.transaction.scan(ROLLS, b"")
    }

    /// Whether a roll's scripts may run on the frontend.
    pub fn roll_is_trusted(&self, name: &str) -> Result<bool, StoreError> {
        Ok(self.transaction.get::<Roll>(ROLLS, name.as_bytes())?.is_some_and(|roll| roll.trusted))
    }
}

impl Writer {
    /// Writes what a roll may do.
    pub fn set_roll(&mut self, roll: &Roll) -> Result<(), StoreError> {
        self.put(ROLLS, roll.name.as_bytes(), roll)
    }

    /// Forgets a roll; true where it was known.
    pub fn remove_roll(&mut self, name: &str) -> Result<bool, StoreError> {
        self.remove(ROLLS, name.as_bytes())
    }
}
