//! The second document of an installation: everything a machine needs beside its profile.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the frontend tells an installing machine beside the profile, as JSON. Plain values only: this room knows no
/// other noun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The host's name.
    pub host: String,
    /// The release its Kickstart is for (`rhel9`).
    pub release: String,
    /// The rack it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rack: Option<u32>,
    /// The distribution it installs; none where the cluster has none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<ManifestDistribution>,
    /// Templates the site overrides, by file name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub templates: BTreeMap<String, String>,
    /// Renewed while progress is reported; sent back as `Authorization: Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The key that has signed the distribution, 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The subnets that other machines are in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
}

/// The distribution of an installation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestDistribution {
    /// Its name.
    pub name: String,
    /// The info-hash of its snapshot, 40 hexadecimal digits.
    pub info_hash: String,
    /// Where its metainfo is, relative to the frontend's URL.
    pub metainfo_path: String,
    /// Where its files are, relative to the frontend's URL.
    pub tree_path: String,
    /// The files of the host's install set, relative to the tree.
    pub install_set: Vec<String>,
}
