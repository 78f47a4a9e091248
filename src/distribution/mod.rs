//! A tree of packages: what its metadata says, which of its packages an appliance installs, and how it is published.
//!
//! - `Tree` is the folder; no name leads out of it. `Repository` is the tree with its metadata read and checked
//!   (`repomd`, `primary`, `comps`, `modules`, with `compression` and `xml` below them).
//! - `Index` is what remains of the metadata for as long as a snapshot lives: enough to answer [`Index::closure`]
//!   without reading repodata again. It is kept beside the snapshot as bytes.
//! - `PackageRequest` is a `%packages` section; `closure` closes it over dependencies as dnf does.
//! - `PackageKeys` verifies the packages' own signatures (`keyring` with the keys, `openpgp` below it; `headers` looks at
//!   a package before anything else reads it).
//! - `publish` hashes what changed, checks every file against the metadata and makes the metainfo of the snapshot.
//!
//! Pure of the graph: a distribution is given a package list, never a host.

#[cfg(test)]
mod cases;
mod closure;
mod compression;
mod comps;
mod dependency;
mod error;
mod evr;
mod hashing;
mod headers;
mod index;
mod install_sets;
mod keyring;
mod modules;
mod openpgp;

mod policy;
mod pool;
mod primary;
mod publish;

mod repomd;
mod repository;
mod request;
mod select;
mod signatures;

mod tree;
mod xml;

pub use compression::{METADATA_FILE_BYTES_MAX, METADATA_OPEN_BYTES_MAX};
pub use comps::{Comps, Environment, Group, GroupPackage, GroupPackageKind};
pub use error::{DistributionError, Fault};
pub use evr::{Evr, compare_versions};
pub use index::{Entry, Index};
pub use install_sets::InstallSets;
pub use primary::PACKAGES_MAX;
pub use publish::{
    FileRecord, INDEX_BLOB, KEYS_BLOB, Observer, Previous, Publication, RECORDS_BLOB, SERIAL_KEY, SIGNATURE_KEY,
    Snapshot, publish,
};
pub use repomd::{MetadataFile, Repomd};
pub use repository::Repository;
pub use request::PackageRequest;
pub use signatures::PackageKeys;
pub use tree::Tree;
