//! Boot actions and how installations go: the one part of the store that the daemons write day by day.

use super::boot_change::told_to_install;
use super::table::BOOTS;
use super::{BootChange, Reader, StoreError, Writer};
use crate::cluster::{Boot, BootAction, HostName, InstallState};
use std::collections::{BTreeMap, HashSet};

impl Reader {
    /// What a host does when it next starts.
    pub fn boot(&self, host: &HostName) -> Result<Boot, StoreError> {
        Ok(self.transaction.get(BOOTS, host.as_str().as_bytes())?.unwrap_or_default())
    }

    /// What each host that was ever told does when it next starts.
    pub fn boots(&self) -> Result<BTreeMap<HostName, Boot>, StoreError> {
        let mut boots = BTreeMap::new();
        self.transaction.each(BOOTS, b"", |key, value| {
            let name = String::from_utf8_lossy(key);
            let record = |why: String| StoreError::Record { table: "boots".to_owned(), key: name.to_string(), why };
            let host = HostName::parse(&name).map_err(|error| record(error.to_string()))?;
            boots.insert(host, serde_json::from_slice(value).map_err(|error| record(error.to_string()))?);
            Ok(true)
        })?;
        Ok(boots)
    }

    /// The names of the hosts whose installation is to begin or goes on.
    pub fn installing(&self) -> Result<HashSet<String>, StoreError> {
        /// All of a record that this is about.
        #[derive(serde::Deserialize)]
        struct State {
            state: Option<InstallState>,
        }
        let mut names = HashSet::new();
        self.transaction.each(BOOTS, b"", |key, value| {
            let name = String::from_utf8_lossy(key);
            let record = |why| StoreError::Record { table: "boots".to_owned(), key: name.to_string(), why };
            let boot: State = serde_json::from_slice(value).map_err(|error| record(error.to_string()))?;
            if matches!(boot.state, Some(InstallState::Waiting | InstallState::Installing)) {
                names.insert(name.into_owned());
            }
            Ok(true)
        })?;
        Ok(names)
    }
}

impl Writer {
    /// Tells a host what to do when it next starts. To install begins a new installation with the next install id;
    /// to start its system ends one that has not ended.
    pub fn set_boot(&mut self, host: &HostName, action: BootAction) -> Result<Boot, StoreError> {
        self.host(host)?;
        let old = self.boot(host)?;
        let boot = match action {
            BootAction::Install => told_to_install(&old),
            BootAction::Os if old.action == BootAction::Os && !old.was_never_told() => return Ok(old),
            BootAction::Os => Boot {
                action,
                state: old.state.filter(|state| *state == InstallState::Installed),
                changed: jiff::Timestamp::now(),
                note: None,
                ..old
            },
        };
        self.put(BOOTS, host.as_str().as_bytes(), &boot)?;
        Ok(boot)
    }

    /// Changes a host's record, and says whether that changed anything.
    pub fn change_boot(&mut self, host: &HostName, change: &BootChange) -> Result<bool, StoreError> {
        self.host(host)?;
        let old = self.boot(host)?;
        let new = change.apply(old.clone());
        if new == old {
            return Ok(false);
        }
        self.put(BOOTS, host.as_str().as_bytes(), &new)?;
        Ok(true)
    }

    pub(super) fn put_boot(&mut self, host: &HostName, boot: &Boot) -> Result<(), StoreError> {
        self.put(BOOTS, host.as_str().as_bytes(), boot)
    }
}
