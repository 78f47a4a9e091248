//! Why the store did not do what it was asked.

use super::lock::Holder;
use crate::cluster::{HostName, InvalidNoun, NetworkName};
use std::net::IpAddr;
use std::path::PathBuf;

/// Why the store did not do what it was asked. Nothing of a failed write is kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no store in the cluster's folder.
    #[error("no cluster database '{}'", path.display())]
    Missing {
        /// Where it would be.
        path: PathBuf,
    },
    /// The file is not a store, or is damaged.
    #[error("'{}' is no cluster database: {why}", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The store was written by a newer `rocks`.
    #[error("'{}' has format {found}, made by a newer rocks; this one knows formats up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest format this program knows.
        known: u64,
    },
    /// A document that was to be imported was written by a newer `rocks`.
    #[error("has format {found}, made by a newer rocks; this one knows formats up to {known}")]
    NewerDocument {
        /// Its format.
        found: u64,
        /// The newest format this program knows.
        known: u64,
    },
    /// Another process has been writing for too long.
    #[error("the cluster database is being written by {holder}")]
    Busy {
        /// Who is writing.
        holder: Holder,
    },
    /// What was named is not there.
    #[error("no {noun} '{name}'")]
    NotFound {
        /// What was meant ("host").
        noun: &'static str,
        /// Its name as given.
        name: String,
        /// The name that is most like it.
        similar: Option<String>,
    },
    /// A name is there already.
    #[error("{noun} '{name}' exists already")]
    Exists {
        /// What it is ("host").
        noun: &'static str,
        /// Its name.
        name: String,
    },
    /// A MAC or IP address belongs to another interface.
    #[error("{noun} '{value}' of host '{host}' belongs to {owner} already")]
    Taken {
        /// "MAC address" or "address".
        noun: &'static str,
        /// The address.
        value: String,
        /// The host that was to get it.
        host: HostName,
        /// The interface that has it, as `compute-0-0 eth0`.
        owner: String,
    },
    /// An address is in no network of the cluster.
    #[error("address '{ip}' of host '{host}' is outside every network")]
    OutsideNetworks {
        /// The address.
        ip: IpAddr,
        /// The host that was to get it.
        host: HostName,
        /// The networks there are, as `private 10.1.0.0/16`.
        networks: Vec<String>,
    },
    /// An address is not in the network it was said to be in.
    #[error("address '{ip}' of host '{host}' is not in network '{network}' ({subnet})")]
    WrongNetwork {
        /// The address.
        ip: IpAddr,
        /// The host that was to get it.
        host: HostName,
        /// The network.
        network: NetworkName,
        /// Its addresses.
        subnet: ipnet::IpNet,
    },
    /// An address means the network itself, or all of its machines.
    #[error("address '{ip}' of host '{host}' is the {what} address of network '{network}'")]
    ReservedAddress {
        /// The address.
        ip: IpAddr,
        /// The host that was to get it.
        host: HostName,
        /// "network" or "broadcast".
        what: &'static str,
        /// The network.
        network: NetworkName,
    },
    /// Two networks share addresses.
    #[error("network '{name}' ({subnet}) has the same addresses as network '{other}'")]
    Overlap {
        /// The new network.
        name: NetworkName,
        /// Its addresses.
        subnet: ipnet::IpNet,
        /// The network that is there.
        other: NetworkName,
    },
    /// Something cannot go while others need it.
    #[error("{noun} '{name}' is used by {users}")]
    InUse {
        /// What it is ("appliance").
        noun: &'static str,
        /// Its name.
        name: String,
        /// Who needs it, as `3 hosts (compute-0-0, ...)`.
        users: String,
    },
    /// A value cannot be what it was given as.
    #[error(transparent)]
    Invalid(#[from] InvalidNoun),
    /// Lines of a list are wrong; nothing of the list was taken.
    #[error("{} of '{name}' {} wrong, nothing was changed", counted(errors.len(), "line"), if errors.len() == 1 { "is" } else { "are" })]
    Lines {
        /// The list's file, `-` for standard input.
        name: String,
        /// Each wrong line by its number, from 1, in order.
        errors: Vec<(u64, String)>,
    },
    /// A record is not what it should be.
    #[error("record '{key}' of table '{table}' cannot be read: {why}")]
    Record {
        /// The table.
        table: String,
        /// The record's key.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// A document that was to be imported is wrong.
    #[error("{why}")]
    Import {
        /// What is wrong, with line and column where the document is not JSON.
        why: String,
    },
    /// The store's file or folder cannot be read or written.
    #[error("cannot {doing} '{}': {cause}", path.display())]
    Io {
        /// What was tried ("open").
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The database itself failed.
    #[error("cluster database '{}': {why}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What it said.
        why: String,
    },
}

impl StoreError {
    /// `no NOUN 'NAME'`, with the most similar of the names there are.
    pub fn not_found<'a>(noun: &'static str, name: &str, there: impl IntoIterator<Item = &'a str>) -> Self {
        Self::NotFound { noun, name: name.to_owned(), similar: crate::cluster::similar(name, there) }
    }
}

/// `1 line`, `2 lines`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
