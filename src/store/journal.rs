//! The journal: who changed the cluster, when, and how, one sentence a write.

use super::table::JOURNAL;
use super::{Reader, StoreError, Writer};
use serde::{Deserialize, Serialize};

/// The journal keeps this many lines; the oldest go first.
pub const JOURNAL_ENTRIES_MAX: u64 = 100_000;

/// One write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// When.
    pub time: jiff::Timestamp,
    /// Who: a user, or the daemon that wrote by itself.
    pub who: String,
    /// What, as it was typed.
    pub sentence: String,
    /// The store's generation after it.
    pub generation: u64,
}

impl Reader {
    /// The newest lines of the journal, at most `limit` of them, the newest last.
    pub fn journal(&self, limit: usize) -> Result<Vec<JournalEntry>, StoreError> {
        let Some(key) = self.transaction.last_key(JOURNAL)? else { return Ok(Vec::new()) };
        let last = number(&key);
        let first = (last + 1).saturating_sub(limit as u64);
        let mut entries = Vec::new();
        for number in first..=last {
            entries.extend(self.transaction.get::<JournalEntry>(JOURNAL, &number.to_be_bytes())?);
        }
        Ok(entries)
    }
}

impl Writer {
    pub(super) fn append_to_journal(&mut self, who: &str, sentence: &str, generation: u64) -> Result<(), StoreError> {
        let entry = JournalEntry {
            time: jiff::Timestamp::now(),
            who: who.to_owned(),
            sentence: sentence.to_owned(),
            generation,
        };
        self.put_journal_entry(&entry)
    }

    pub(super) fn put_journal_entry(&mut self, entry: &JournalEntry) -> Result<(), StoreError> {
        let next = self.transaction.last_key(JOURNAL)?.map_or(0, |key| number(&key) + 1);
        self.put(JOURNAL, &next.to_be_bytes(), entry)?;
        if let Some(old) = next.checked_sub(JOURNAL_ENTRIES_MAX) {
            self.remove(JOURNAL, &old.to_be_bytes())?;
        }
        Ok(())
    }
}

fn number(key: &[u8]) -> u64 {
    key.try_into().map_or(0, u64::from_be_bytes)
}

/// The user of this process, with who became root through sudo.
pub(super) fn author() -> String {
    let uid = rustix::process::getuid().as_raw();
    let name = std::fs::read_to_string("/etc/passwd")
        .ok()
        .and_then(|users| {
            users.lines().find_map(|line| {
                let mut fields = line.split(':');
                let name = fields.next()?;
                (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
            })
        })
        .unwrap_or_else(|| uid.to_string());
    match std::env::var("SUDO_USER") {
        Ok(user) if uid == 0 && !user.is_empty() => format!("{user} as {name}"),
        _ => name,
    }
}
