//! What can happen to a host's boot action and installation, as a value: it can be queued, applied to what is known, and
//! written later.
//!
//! Invariant: applied twice, one after the other, a change is as good as applied once. So who does not know whether it
//! is in the store yet may look at the store's record and apply it again.

use crate::cluster::{Boot, BootAction, InstallState};

/// How often in a row a machine may begin the same installation without a goodbye; then it starts the system on its
/// disk until it is told to install again.
pub const INSTALLS_IN_A_ROW_MAX: u32 = 3;

/// A change of a host's boot record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootChange {
    /// A host comes that was never told anything: it installs.
    First,
    /// A machine starts again whose installation had begun so many times before, and did not end. It waits for the next
    /// try, or, after [`INSTALLS_IN_A_ROW_MAX`], starts the system on its disk: an installation never loops for ever.
    Again {
        /// [`Boot::begun`] before.
        begun: u32,
    },
    /// An installation goes on or ends. Complete, it turns the boot action back to the system on disk. News of any
    /// other installation than the latest changes nothing, nor does one go on whose host is to start its disk: who has
    /// ended it has the last word.
    Goes {
        /// Which installation.
        install_id: u64,
        /// How it is now.
        state: InstallState,
        /// What the machine said last.
        note: Option<String>,
    },
}

impl BootChange {
    /// The installation that this is news of, where it says which.
    pub(super) fn install_id(&self) -> Option<u64> {
        match self {
            Self::Goes { install_id, .. } => Some(*install_id),
            Self::First | Self::Again { .. } => None,
        }
    }

    /// What starting again means for a host, where it means anything.
    pub fn again(boot: &Boot) -> Option<Self> {
        let has_begun = matches!(boot.state, Some(InstallState::Installing | InstallState::Failed));
        (boot.action == BootAction::Install && has_begun).then_some(Self::Again { begun: boot.begun })
    }

    /// The record after this change.
    pub fn apply(&self, old: Boot) -> Boot {
        match self {
            Self::First if old.was_never_told() => told_to_install(&old),
            Self::Again { begun } if old.begun == *begun && Self::again(&old).is_some() => begun_again(old),
            // It came by itself, and that it did was told to a record of another name.
            Self::Goes { install_id, .. } if old.was_never_told() && *install_id == old.install_id + 1 => {
                self.apply(told_to_install(&old))
            }
            Self::Goes { .. } if old.was_never_told() => old,
            Self::Goes { state: InstallState::Installing, .. } if old.action == BootAction::Os => old,
            Self::Goes { install_id, state, note } if old.install_id == *install_id && old.install_id != 0 => {
                let action = if *state == InstallState::Installed { BootAction::Os } else { old.action };
                if (old.state, old.action, &old.note) == (Some(*state), action, note) {
                    return old;
                }
                let changed = jiff::Timestamp::now();
                Boot { action, state: Some(*state), note: note.clone(), changed, ..old }
            }
            _ => old,
        }
    }
}

/// A new installation, with the next install id.
pub(super) fn told_to_install(old: &Boot) -> Boot {
    Boot {
        action: BootAction::Install,
        state: Some(InstallState::Waiting),
        install_id: old.install_id + 1,
        changed: jiff::Timestamp::now(),
        note: None,
        begun: 0,
        ordered_as: old.ordered_as.clone(),
    }
}

fn begun_again(old: Boot) -> Boot {
    let begun = old.begun + 1;
    let changed = jiff::Timestamp::now();
    if begun < INSTALLS_IN_A_ROW_MAX {
        return Boot { state: Some(InstallState::Waiting), begun, changed, ..old };
    }
    let note = format!("began {begun} times and never said goodbye: starts the system on its disk now");
    let note = match &old.note {
        Some(last) => format!("{note}; its last word: {last}"),
        None => note,
    };
    Boot { action: BootAction::Os, state: Some(InstallState::Failed), begun, changed, note: Some(note), ..old }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applied_again_a_change_changes_nothing() {
        let goes = |state| BootChange::Goes { install_id: 1, state, note: None };
        let changes = [
            BootChange::First,
            goes(InstallState::Installing),
            goes(InstallState::Failed),
            BootChange::Again { begun: 0 },
            goes(InstallState::Installing),
        ];
        let apply = |boot: Boot| changes.iter().fold(boot, |boot, change| change.apply(boot));
        let once = apply(Boot::default());
        assert_eq!((once.install_id, once.begun, once.state), (1, 1, Some(InstallState::Installing)));
        let twice = apply(once.clone());
        assert_eq!(Boot { changed: once.changed, ..twice }, once);
    }

    #[test]
    fn what_an_administrator_said_meanwhile_stands() {
        let told = Boot { changed: jiff::Timestamp::now(), ..Boot::default() };
        assert_eq!(BootChange::First.apply(told.clone()), told, "told to start its disk");
        let anew = Boot { action: BootAction::Install, install_id: 2, ..told };
        let old_news = BootChange::Goes { install_id: 1, state: InstallState::Installed, note: None };
        assert_eq!(old_news.apply(anew.clone()), anew);
        assert_eq!(BootChange::Again { begun: 1 }.apply(anew.clone()), anew);
        // Ended by hand, while the machine goes on.
        let ended = Boot { action: BootAction::Os, state: None, ..anew };
        let goes = |state| BootChange::Goes { install_id: 2, state, note: None }.apply(ended.clone());
        assert_eq!(goes(InstallState::Installing), ended);
        for state in [InstallState::Failed, InstallState::Installed] {
            assert_eq!((goes(state).action, goes(state).state), (BootAction::Os, Some(state)), "its end is noted");
        }
    }
}
