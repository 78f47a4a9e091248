//! What remains of a snapshot's metadata: its packages with their dependencies, and its groups.
//!
//! It is kept beside the snapshot (gzip over JSON, so that a newer `rocks` reads what an older one wrote), and whoever
//! loads it can close package lists without reading repodata again.

use super::comps::Comps;
use super::pool::Pool;
use super::{DistributionError, PackageRequest, closure};
use crate::cluster::{Arch, InstallSet, Package};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use std::io::Write;

/// An index has at most this many bytes unpacked.
const INDEX_BYTES_MAX: usize = 4 << 30;

/// A package and what it needs and brings. Dependencies are text: `name`, `name >= 1:2-3`, `(a if b)`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// The package.
    pub package: Package,
    /// What it brings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<String>,
    /// What it needs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// What it cannot be together with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<String>,
    /// What it replaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub obsoletes: Vec<String>,
    /// What is preferred beside it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suggests: Vec<String>,
    /// Beside what it is preferred.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub enhances: Vec<String>,
    /// What comes with it where possible.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recommends: Vec<String>,
    /// With what it comes where possible.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub supplements: Vec<String>,
    /// Files that dependencies may ask for: those in primary.xml, and of the others those that some package needs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// How the checksum of its file is made (`sha256`), and the checksum; for publishing, not kept.
    #[serde(skip)]
    pub checksum_kind: String,
    /// The checksum of its file, hexadecimal.
    #[serde(skip)]
    pub checksum: String,
}

/// What is written.
#[derive(Serialize, Deserialize)]
struct Stored {
    arch: Arch,
    comps: Comps,
    packages: Vec<Entry>,
}

/// The packages and groups of a snapshot, ready to be closed over.
pub struct Index {
    stored: Stored,
    pool: Pool,
}

impl Index {
    /// An index over these packages and groups.
    pub fn new(arch: Arch, packages: Vec<Entry>, comps: Comps) -> Self {
        let stored = Stored { arch, comps, packages };
        Self { pool: Pool::new(arch, &stored.packages), stored }
    }

    /// Reads what [`Index::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DistributionError> {
        let wrong = |error: &dyn std::fmt::Display| DistributionError::Index(error.to_string());
        let reader = super::compression::unpack(bytes, INDEX_BYTES_MAX as u64).map_err(|error| wrong(&error))?;
        let Stored { arch, comps, packages } = serde_json::from_reader(reader).map_err(|error| wrong(&error))?;
        Ok(Self::new(arch, packages, comps))
    }

    /// The bytes to keep beside the snapshot.
    pub fn to_bytes(&self) -> Vec<u8> {
        let json = serde_json::to_vec(&self.stored).expect("plain values are JSON");
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&json).and_then(|()| packed.finish()).expect("memory takes all")
    }

    /// The architecture that the packages are chosen for.
    pub fn arch(&self) -> Arch {
        self.stored.arch
    }

    /// Every package, in the order of the metadata.
    pub fn packages(&self) -> &[Entry] {
        &self.stored.packages
    }

    /// The groups and environments.
    pub fn comps(&self) -> &Comps {
        &self.stored.comps
    }

    /// The packages that a machine with this package list installs, as dnf would choose them for an empty root.
    pub fn closure(&self, request: &PackageRequest) -> InstallSet {
        closure::close(self, &self.pool, request)
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("packages", &self.stored.packages.len()).finish_non_exhaustive()
    }
}
