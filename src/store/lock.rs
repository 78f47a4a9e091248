//! Who is writing: a small file beside the store that says which process holds the write lock and for what.
//!
//! The lock itself is the database's and dies with its process; this file only explains it. It is written after the
//! lock is taken and removed after it is given back, so it may be stale (its process was killed) or briefly absent,
//! and nothing is decided by it. The kernel knows better who holds the lock, and tells it of processes that this one may
//! look at.

use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The byte that the database locks for as long as a process writes.
const WRITER_BYTE: u64 = 1 << 62;

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
    holder: Holder,
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
        Self { path, holder }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // The next one may have the lock by now.
        if told(&self.path).as_ref() == Some(&self.holder) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn told(sidecar: &Path) -> Option<Holder> {
    serde_json::from_slice(&std::fs::read(sidecar).ok()?).ok()
}

/// Who holds the write lock, as far as can be told.
pub(super) fn holder(store: &Path) -> Holder {
    let told = told(&sidecar(store));
    let mut holder = match (locks(store), told) {
        (Some(pid), Some(told)) if told.pid == Some(pid) => told,
        (Some(pid), _) => Holder { pid: Some(pid), sentence: command(pid), ..Holder::default() },
        (None, Some(told)) => told,
        (None, None) => return Holder::default(),
    };
    match holder.pid.map(state) {
        Some(Some(state)) => holder.stopped = matches!(state, 'T' | 't'),
        _ => return Holder::default(),
    }
    holder
}

/// The process that the kernel says has the write lock (`proc_pid_fdinfo(5)`); none where it is not ours to look at.
fn locks(store: &Path) -> Option<u32> {
    let inode = format!(":{} ", std::fs::metadata(store).ok()?.ino());
    let byte = format!("{WRITER_BYTE} {WRITER_BYTE}");
    let is_it = |line: &str| {
        line.starts_with("lock:") && line.contains("WRITE") && line.contains(&inode) && line.trim_end().ends_with(&byte)
    };
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let mut files = std::fs::read_dir(process.path().join("fdinfo")).ok()?.flatten();
        let has_it = files.any(|file| std::fs::read_to_string(file.path()).is_ok_and(|info| info.lines().any(is_it)));
        has_it.then_some(pid)
    })
}

/// What a process was called with, as far as it holds no secret: the program and its first word.
fn command(pid: u32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = line.split(|byte| *byte == 0).take(2).map(String::from_utf8_lossy).collect();
    let program = words.first().map(|word| word.rsplit('/').next().unwrap_or_default().to_owned());
    [program.unwrap_or_default(), words.get(1).map(ToString::to_string).unwrap_or_default()].join(" ").trim().to_owned()
}

/// The state of a process (`proc_pid_stat(5)`); none where there is no such process.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}
