//! A package of a distribution, and the set of them that one appliance installs.

use super::InvalidNoun;
use serde::{Deserialize, Serialize};

/// A package as its distribution's metadata lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its epoch, 0 where none is told.
    pub epoch: u32,
    /// Its version.
    pub version: String,
    /// Its release.
    pub release: String,
    /// Its architecture (`x86_64`, `noarch`, ...).
    pub arch: String,
    /// Its file, relative to the folder that holds `repodata/`.
    pub href: String,
    /// The size of its file.
    pub size_bytes: u64,
    /// The SHA-256 of its file, 64 hexadecimal digits; empty where the metadata has another kind of checksum.
    pub sha256: String,
}

/// The packages that one appliance installs: what a machine fetches ahead, as file names of the distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallSet {
    /// File names relative to the folder that holds `repodata/`, sorted.
    pub hrefs: Vec<String>,
    /// Their bytes together.
    pub bytes: u64,
    /// Requested packages and groups that the distribution does not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

impl Package {
    /// `name-version-release.arch`, with `epoch:` before the version where it is not 0.
    pub fn nevra(&self) -> String {
        let Self { name, version, release, arch, .. } = self;
        match self.epoch {
            0 => format!("{name}-{version}-{release}.{arch}"),
            epoch => format!("{name}-{epoch}:{version}-{release}.{arch}"),
        }
    }

    /// Fails where the file's name would leave the tree.
    pub fn check_href(&self) -> Result<(), InvalidNoun> {
        let leaves = self.href.starts_with('/') || self.href.split('/').any(|part| part == ".." || part.is_empty());
        if leaves || self.href.contains('\0') {
            return Err(InvalidNoun::new("package file", &self.href, "leaves the tree of its distribution"));
        }
        Ok(())
    }
}
