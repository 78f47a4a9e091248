//! The name and number of one installation, which stay though its host is renamed.

use crate::cluster::{Boot, HostName};

/// Which installation is meant: a host may be renamed while it installs, and another may have its name then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InstallKey {
    /// The name that it goes under: see [`Boot::installs_as`].
    pub(super) name: HostName,
    /// Its install id.
    pub(super) id: u64,
}

impl InstallKey {
    /// The installation that this record of a host tells of.
    pub(super) fn of(host: &HostName, boot: &Boot) -> Self {
        Self { name: boot.installs_as(host).clone(), id: boot.install_id }
    }
}
