//! A roll: a bundle of graph files, node files and packages from one vendor.

use serde::{Deserialize, Serialize};

/// A roll and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roll {
    /// Its name.
    pub name: String,
    /// Whether its `<eval>` scripts may run on the frontend.
    pub trusted: bool,
}
