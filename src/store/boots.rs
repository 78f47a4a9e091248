//! Boot actions and how installations go: the one part of the store that the daemons write day by day.

use super::boot_change::told_to_install;
use super::table::{BOOTS, HOSTS, META};
use super::{BootChange, Reader, StoreError, Writer};
use crate::cluster::{Boot, BootAction, HostName, InstallState};
use std::collections::{BTreeMap, HashSet};

/// Whose each installation is that goes under a name its host has no longer, by that name and its install id.
pub type Renamed = BTreeMap<(HostName, u64), HostName>;

/// Where [`Reader::installs_removed`] is.
const INSTALLS_REMOVED: &str = "installs-removed";

impl Reader {
    /// What a host does when it next starts.
    pub fn boot(&self, host: &HostName) -> Result<Boot, StoreError> {
        match self.transaction.get(BOOTS, host.as_str().as_bytes())? {
            Some(boot) => Ok(boot),
            None => Ok(Boot { install_id: self.installs_removed()?, ..Boot::default() }),
        }
    }

    /// The highest install id of all hosts that are no more: whoever gets such a host's name begins above it, so that a
    /// machine that is still at work in that name ends nothing of the new one.
    pub(super) fn installs_removed(&self) -> Result<u64, StoreError> {
        Ok(self.meta(INSTALLS_REMOVED)?.unwrap_or(0))
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

    /// Whose the installations are that go under another name than their host's.
    pub fn renamed(&self) -> Result<Renamed, StoreError> {
        let mut renamed = Renamed::new();
        for (host, boot) in self.boots()? {
            let install_id = latest(&boot);
            renamed.extend(boot.ordered_as.map(|name| ((name, install_id), host)));
        }
        Ok(renamed)
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
        let old = self.boot(host)?;
        let old = Boot { install_id: latest(&old), ..old };
        self.tell(host, old, action)
    }

    /// The same for a host that is being added: it cannot have come yet.
    pub fn set_first_boot(&mut self, host: &HostName, action: BootAction) -> Result<Boot, StoreError> {
        let old = self.boot(host)?;
        self.tell(host, old, action)
    }

    fn tell(&mut self, host: &HostName, old: Boot, action: BootAction) -> Result<Boot, StoreError> {
        self.host(host)?;
        let boot = match action {
            BootAction::Install => {
                // From here on it goes under its own name, above all that an earlier host of that name had.
                let least = if old.ordered_as.is_some() { self.installs_removed()? } else { 0 };
                told_to_install(&Boot { install_id: old.install_id.max(least), ordered_as: None, ..old })
            }
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

    /// Tells what became of installations, each under the name it goes under: the record of its host is changed, whatever
    /// that is called now. Of a host that is no more nothing is.
    pub fn change_installations(&mut self, news: &BTreeMap<HostName, Vec<BootChange>>) -> Result<(), StoreError> {
        let mut renamed = None;
        for (name, change) in news.iter().flat_map(|(name, changes)| changes.iter().map(move |change| (name, change))) {
            if let Some(host) = self.host_of(name, change, &mut renamed)? {
                self.change_boot(&host, change)?;
            }
        }
        Ok(())
    }

    /// Whose the installation is that this is news of. Who was renamed is looked up once, and only if that is needed.
    fn host_of(
        &self,
        name: &HostName,
        change: &BootChange,
        renamed: &mut Option<Renamed>,
    ) -> Result<Option<HostName>, StoreError> {
        if self.transaction.bytes(HOSTS, name.as_str().as_bytes())?.is_some() {
            let boot = self.boot(name)?;
            if boot.ordered_as.is_none() && change.install_id().is_none_or(|id| id == latest(&boot)) {
                return Ok(Some(name.clone()));
            }
        }
        let renamed = match renamed {
            Some(renamed) => renamed,
            None => renamed.insert(self.renamed()?),
        };
        let ids = match change.install_id() {
            Some(id) => id..=id,
            None => 0..=u64::MAX,
        };
        let found = renamed.range((name.clone(), *ids.start())..=(name.clone(), *ids.end())).next_back();
        Ok(found.map(|(_, host)| host.clone()))
    }

    /// Forgets the record of a host that is to be no more, but for its install ids.
    pub(super) fn remove_boot(&mut self, host: &HostName) -> Result<(), StoreError> {
        self.raise_installs_removed(latest(&self.boot(host)?))?;
        self.remove(BOOTS, host.as_str().as_bytes()).map(drop)
    }

    pub(super) fn raise_installs_removed(&mut self, to: u64) -> Result<(), StoreError> {
        if to > self.installs_removed()? { self.put(META, INSTALLS_REMOVED.as_bytes(), &to) } else { Ok(()) }
    }

    pub(super) fn put_boot(&mut self, host: &HostName, boot: &Boot) -> Result<(), StoreError> {
        self.put(BOOTS, host.as_str().as_bytes(), boot)
    }
}

/// The latest install id of a host. Who was never told anything may have come by itself a moment ago, of which the frontend
/// has yet to write: that installation has the next one, and must not pass for another.
fn latest(boot: &Boot) -> u64 {
    boot.install_id + u64::from(boot.was_never_told())
}
