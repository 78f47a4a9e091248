//! What a machine does when it next starts, and how far its installation is.

use super::HostName;
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

/// What a host does when it next starts, and how its latest installation went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// What it does when it next starts.
    pub action: BootAction,
    /// How far its latest installation is; none where it was never told to install.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<InstallState>,
    /// Rises each time it is told to install; 0 where it never was. A token is good for one of these.
    #[serde(default)]
    pub install_id: u64,
    /// When any of this last changed.
    pub changed: jiff::Timestamp,
    /// What the machine said last, such as why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How often this installation began and did not end.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub begun: u32,
    /// The name under which its latest installation was ordered, where the host was given another since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered_as: Option<HostName>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Of a host that nobody has told anything: it starts its disk.
impl Default for Boot {
    fn default() -> Self {
        Self {
            action: BootAction::Os,
            state: None,
            install_id: 0,
            changed: jiff::Timestamp::UNIX_EPOCH,
            note: None,
            begun: 0,
            ordered_as: None,
        }
    }
}

impl Boot {
    /// The name under which this host's latest installation goes, with its install id: its tokens say this one, whatever
    /// the host is called meanwhile. No other installation ever has both.
    pub fn installs_as<'a>(&'a self, host: &'a HostName) -> &'a HostName {
        self.ordered_as.as_ref().unwrap_or(host)
    }

    /// Whether nobody has ever said what the host does: it was added, and is to install once it comes.
    pub fn was_never_told(&self) -> bool {
        self.changed == jiff::Timestamp::UNIX_EPOCH
    }
}

impl BootAction {
    /// The word a user types.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Os => "os",
        }
    }
}
impl std::fmt::Display for BootAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl InstallState {
    /// The word a user reads.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Installing => "installing",
            Self::Installed => "installed",
            Self::Failed => "failed",
        }
    }
}
impl std::fmt::Display for InstallState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
