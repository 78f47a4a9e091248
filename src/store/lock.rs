//! Who is writing: a small file beside the store that says which process holds the write lock and for what.
//!
//! The lock itself is the database's and dies with its process; this file only explains it. It is written after the
//! lock is taken and removed before it is given back, so it may be stale (its process was killed) or briefly absent,
//! and nothing is decided by it.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The process that holds the write lock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its number; none where it is not known.
    pub pid: Option<u32>,
    /// What it writes: the sentence of its journal line.
    pub sentence: String,
    /// Since when.
    pub since: Option<jiff::Timestamp>,
    /// Whether it is stopped (SIGSTOP, a debugger) and will not go on by itself.
    #[serde(skip)]
    pub stopped: bool,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid} (\"{}\")", self.sentence)?,
            None => return f.write_str("another process"),
        }
        match self.stopped {
            true => f.write_str(", which is stopped"),
            false => Ok(()),
        }
    }
}

/// The file beside the store.
fn sidecar(store: &Path) -> PathBuf {
    store.with_extension("redb.writer")
}

/// Says that this process writes, until the value is dropped. A file that cannot be written is no reason not to
/// write the store.
#[derive(Debug)]
pub(super) struct Claim {
    path: PathBuf,
}

impl Claim {
    pub(super) fn new(store: &Path, sentence: &str) -> Self {
        let path = sidecar(store);
        let sentence = sentence.chars().take(200).collect();
        let holder =
            Holder { pid: Some(std::process::id()), sentence, since: Some(jiff::Timestamp::now()), stopped: false };
        if let Ok(text) = serde_json::to_vec(&holder) {
            let _ = std::fs::write(&path, text);
        }
        Self { path }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Who holds the write lock, as far as can be told.
pub(super) fn holder(store: &Path) -> Holder {
    let Some(mut holder) =
        std::fs::read(sidecar(store)).ok().and_then(|text| serde_json::from_slice::<Holder>(&text).ok())
    else {
        return Holder::default();
    };
    match holder.pid.map(state) {
        Some(Some(state)) => holder.stopped = matches!(state, 'T' | 't'),
        _ => return Holder::default(),
    }
    holder
}

/// The state of a process (`proc_pid_stat(5)`); none where there is no such process.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}
