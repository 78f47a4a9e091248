//! Boot actions and how installations go: the one part of the store that the daemons write day by day.

use super::table::BOOTS;
use super::{Reader, StoreError, Writer};
use crate::cluster::{Boot, BootAction, HostName, InstallState};
use std::collections::{BTreeMap, HashSet};

/// How often in a row a machine may begin the same installation without a goodbye; then it starts the system on its
/// disk until it is told to install again.
pub const INSTALLS_IN_A_ROW_MAX: u32 = 3;

impl Reader {
    /// What a host does when it next starts.
    pub fn boot(&self, host: &HostName) -> Result<Boot, StoreError> {
        Ok(self.transaction.get(BOOTS, host.as_str().as_bytes())?.unwrap_or(Boot {
            action: BootAction::Os,
            state: None,
            install_id: 0,
            changed: jiff::Timestamp::UNIX_EPOCH,
            note: None,
            begun: 0,
        }))
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
            BootAction::Install => Boot {
                action,
                state: Some(InstallState::Waiting),
                install_id: old.install_id + 1,
                changed: jiff::Timestamp::now(),
                note: None,
                begun: 0,
            },
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

    /// A machine starts again whose installation had begun and not ended. It waits for the next try, or, after
    /// [`INSTALLS_IN_A_ROW_MAX`], starts the system on its disk: an installation never loops for ever.
    pub fn begin_again(&mut self, host: &HostName) -> Result<Boot, StoreError> {
        let old = self.boot(host)?;
        let has_begun = matches!(old.state, Some(InstallState::Installing | InstallState::Failed));
        if old.action != BootAction::Install || !has_begun {
            return Ok(old);
        }
        let begun = old.begun + 1;
        let changed = jiff::Timestamp::now();
        let boot = if begun < INSTALLS_IN_A_ROW_MAX {
            Boot { state: Some(InstallState::Waiting), begun, changed, ..old }
        } else {
            let note = format!("began {begun} times and never said goodbye: starts the system on its disk now");
            let note = old.note.map_or_else(|| note.clone(), |last| format!("{note}; its last word: {last}"));
            let (action, state) = (BootAction::Os, Some(InstallState::Failed));
            Boot { action, state, begun, changed, note: Some(note), install_id: old.install_id }
        };
        self.put(BOOTS, host.as_str().as_bytes(), &boot)?;
        Ok(boot)
    }

    /// Writes how the installation `install_id` of a host goes. An installation that is complete turns the boot
    /// action back to the system on disk. News of any other installation than the latest changes nothing and
    /// returns false.
    pub fn report_install(
        &mut self,
        host: &HostName,
        install_id: u64,
        state: InstallState,
        note: Option<&str>,
    ) -> Result<bool, StoreError> {
        let old = self.boot(host)?;
        if old.install_id != install_id || old.install_id == 0 {
            return Ok(false);
        }
        let action = if state == InstallState::Installed { BootAction::Os } else { old.action };
        if (old.state, old.action, old.note.as_deref()) == (Some(state), action, note) {
            return Ok(true);
        }
        let boot = Boot {
            action,
            state: Some(state),
            install_id,
            changed: jiff::Timestamp::now(),
            note: note.map(str::to_owned),
            begun: old.begun,
        };
        self.put(BOOTS, host.as_str().as_bytes(), &boot)?;
        Ok(true)
    }

    pub(super) fn put_boot(&mut self, host: &HostName, boot: &Boot) -> Result<(), StoreError> {
        self.put(BOOTS, host.as_str().as_bytes(), boot)
    }
}
