//! What every command is given: where the cluster lives.

use std::path::{Path, PathBuf};

/// What every command is given.
pub(crate) struct Context {
    cluster: PathBuf,
}

impl Context {
    /// The cluster in this folder, or in the user's default one.
    pub(crate) fn new(cluster: Option<PathBuf>) -> Self {
        Self { cluster: cluster.unwrap_or_else(|| PathBuf::from("/var/lib/rocks")) }
    }

    /// The cluster's folder.
    pub(crate) fn cluster(&self) -> &Path {
        &self.cluster
    }
}
