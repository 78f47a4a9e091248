//! What a machine does when it next starts, and how far its installation is.

use serde::{Deserialize, Serialize};

/// What a machine does when it next starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BootAction {
    /// Install itself.
    Install,
    /// Start the system on its disk.
    Os,
}

/// How far an installation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstallState {
    /// Told to install, not heard of yet.
    Waiting,
    /// It has asked for its profile and is installing.
    Installing,
    /// It said goodbye after a complete installation.
    Installed,
    /// It reported a failure, or was not heard of for too long.
    Failed,
}
