//! A kind of machine: where its traversal of the graph begins and which distribution it installs.

use super::DistributionName;
use serde::{Deserialize, Serialize};

/// A kind of machine (compute, login, nas, ...).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appliance {
    /// Its name.
    pub name: String,
    /// The node of the graph its traversal begins at.
    pub root: String,
    /// The operating system its hosts run (`linux`).
    #[serde(default = "linux")]
    pub os: String,
    /// The distribution it installs; none means the cluster's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<DistributionName>,
}

fn linux() -> String {
    "linux".to_owned()
}
