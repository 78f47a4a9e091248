//! What an installing machine says of its progress: the body of `POST /install/events`.

use serde::{Deserialize, Serialize};

/// How far a machine is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It has asked for its profile.
    #[default]
    Starting,
    /// It brings its install set in.
    Fetching,
    /// Its install set is complete; its installer works, and it serves others.
    Serving,
    /// It said goodbye after its installation.
    Installed,
    /// It failed, or was not heard of for too long.
    Failed,
}

impl Phase {
    /// The word a user reads.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Fetching => "fetching",
            Self::Serving => "serving",
            Self::Installed => "installed",
            Self::Failed => "failed",
        }
    }

    /// Whether the machine is to be heard of again soon.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Starting | Self::Fetching | Self::Serving)
    }
}

/// What an installing machine says of its progress.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How far it is.
    pub phase: Phase,
    /// Bytes of its install set that it has.
    #[serde(default)]
    pub bytes: u64,
    /// Bytes of its install set.
    #[serde(default)]
    pub total_bytes: u64,
    /// Package bytes that came from the frontend.
    #[serde(default)]
    pub frontend_bytes: u64,
    /// Package bytes that came from other machines.
    #[serde(default)]
    pub peer_bytes: u64,
    /// Package bytes given to other machines.
    #[serde(default)]
    pub uploaded_bytes: u64,
    /// Connections to peers.
    #[serde(default)]
    pub peers: u32,
    /// Why it failed, and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The answer to a report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAnswer {
    /// A token in place of the one that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// When the next report is wanted, in milliseconds: the more machines install, the less often each one reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_millis: Option<u64>,
}
