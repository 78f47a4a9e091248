//! A tree of packages that appliances install from.

use super::{InvalidNoun, text_noun};
use crate::torrent::InfoHash;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The name of a distribution: what stands in a URL path (letters, digits, '.', '_' and '-').
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DistributionName(String);

impl DistributionName {
    /// Checks a text and makes it a distribution's name.
    pub fn parse(text: &str) -> Result<Self, InvalidNoun> {
        if text.is_empty() || text.starts_with(['.', '-']) {
            return Err(InvalidNoun::new("distribution name", text, "must begin with a letter or a digit"));
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
            return Err(InvalidNoun::new("distribution name", text, "may only have letters, digits, '.', '_' and '-'"));
        }
        Ok(Self(text.to_owned()))
    }
}
text_noun!(DistributionName);

/// The release of the installer that a Kickstart file is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Release {
    /// The generation of Rocks 7 (CentOS 7), as the original wrote it.
    Rocks7,
    /// Enterprise Linux 7.
    Rhel7,
    /// Enterprise Linux 8.
    Rhel8,
    /// Enterprise Linux 9.
    Rhel9,
    /// Enterprise Linux 10.
    Rhel10,
    /// A current Fedora.
    Fedora,
}

impl Release {
    /// Every release, oldest first.
    pub const ALL: [Self; 6] = [Self::Rocks7, Self::Rhel7, Self::Rhel8, Self::Rhel9, Self::Rhel10, Self::Fedora];

    /// Reads `rhel9` and its like, in any case.
    pub fn parse(text: &str) -> Result<Self, InvalidNoun> {
        let lower = text.to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|release| release.as_str() == lower)
            .ok_or_else(|| InvalidNoun::new("release", text, "is none of rocks7, rhel7, rhel8, rhel9, rhel10, fedora"))
    }

    /// The name a user types.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rocks7 => "rocks7",
            Self::Rhel7 => "rhel7",
            Self::Rhel8 => "rhel8",
            Self::Rhel9 => "rhel9",
            Self::Rhel10 => "rhel10",
            Self::Fedora => "fedora",
        }
    }
}
impl std::fmt::Display for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
impl std::str::FromStr for Release {
    type Err = InvalidNoun;
    fn from_str(text: &str) -> Result<Self, InvalidNoun> {
        Self::parse(text)
    }
}

/// The architecture of a machine's packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub enum Arch {
    /// 64-bit x86.
    #[default]
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit ARM.
    #[serde(rename = "aarch64")]
    Aarch64,
}

impl Arch {
    /// Reads `x86_64` or `aarch64`.
    pub fn parse(text: &str) -> Result<Self, InvalidNoun> {
        match text {
            "x86_64" => Ok(Self::X86_64),
            "aarch64" => Ok(Self::Aarch64),
            _ => Err(InvalidNoun::new("architecture", text, "is neither x86_64 nor aarch64")),
        }
    }

    /// The name a user types.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}
impl std::fmt::Display for Arch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
impl std::str::FromStr for Arch {
    type Err = InvalidNoun;
    fn from_str(text: &str) -> Result<Self, InvalidNoun> {
        Self::parse(text)
    }
}

/// A tree of packages, as published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// Its name.
    pub name: DistributionName,
    /// The folder that holds `repodata/`.
    pub path: PathBuf,
    /// The release its Kickstart files are for.
    pub release: Release,
    /// The architecture of its packages.
    pub arch: Arch,
    /// Names the published snapshot.
    pub info_hash: InfoHash,
    /// Counts publications of this name, from 1.
    pub serial: u64,
    /// How many packages it has.
    pub packages: u64,
    /// How many bytes they have together.
    pub bytes: u64,
}
