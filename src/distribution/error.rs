//! What can be wrong with a tree of packages.

use crate::torrent::MetainfoError;
use std::path::{Path, PathBuf};

/// Why a distribution cannot be read or published.
#[derive(Debug, thiserror::Error)]
pub enum DistributionError {
    /// A file cannot be read.
    #[error("'{}': {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The folder has no metadata.
    #[error("'{}' has no repodata/repomd.xml", path.display())]
    NoRepodata {
        /// The folder.
        path: PathBuf,
    },
    /// A metadata file does not say what it must.
    #[error("'{}': {why}", path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A metadata file is not well-formed XML.
    #[error("'{}': byte {offset}: {why}", path.display())]
    Xml {
        /// The file.
        path: PathBuf,
        /// Where in the uncompressed text, in bytes.
        offset: u64,
        /// What is wrong.
        why: String,
    },
    /// Files of the tree are not what the metadata says; every one is listed.
    #[error("{} as the metadata of the distribution says: nothing is published", count(faults.len()))]
    Faults {
        /// The faulty files, by name.
        faults: Vec<Fault>,
    },
    /// An OpenPGP key cannot be read.
    #[error("'{}' has no OpenPGP public key: {why}", path.display())]
    Key {
        /// Where the key was read from.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The stored index of a snapshot cannot be read.
    #[error("the index of the snapshot cannot be read: {0}")]
    Index(String),
    /// The metainfo cannot be made.
    #[error("cannot make the metainfo: {0}")]
    Metainfo(#[from] MetainfoError),
}

/// One file of a tree that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file, relative to the tree.
    pub href: String,
    /// What is wrong with it, as the end of a sentence ("is missing").
    pub why: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "'{}' {}", self.href, self.why)
    }
}

fn count(files: usize) -> String {
    if files == 1 { "1 file is not".into() } else { format!("{files} files are not") }
}

impl DistributionError {
    pub(super) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { path, error }
    }

    pub(super) fn metadata(path: &Path, why: impl Into<String>) -> Self {
        Self::Metadata { path: path.to_owned(), why: why.into() }
    }
}
