//! The store's file, as several processes share it. The database locks its header while it writes it down, and who reads
//! looks at the header under the same lock. A writer that is stopped (SIGSTOP, a disk that does not answer) in
//! between would stop all readers, so a reader that got no lock in time looks without.
//!
//! Invariant: a transaction that began without the lock is used only if the header was the same before and after. Then
//! nobody has finished a commit in between, so that its pages are registered as in use before the next writer looks for
//! free ones: what the database wants the lock for.

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a reader waits for the header's lock: writers have it for the time of a sync.
const HEADER_PATIENCE: Duration = Duration::from_millis(500);
/// How long it waits while the lock is where it was when patience ended last.
const HEADER_PATIENCE_AGAIN: Duration = Duration::from_millis(10);
/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_millis(5);

/// The file beneath one open database; tests put a disk of their own there.
#[derive(Debug)]
pub(super) struct SharedFile<Below = FileBackend> {
    file: Below,
    /// What the header was when it was looked at without its lock; none while it is not.
    unlocked: Mutex<Option<Vec<u8>>>,
    /// Whether the last wait for the header's lock was in vain.
    in_vain: AtomicBool,
    moved: Arc<AtomicU64>,
}

/// Tells whether the header changed while a transaction began without its lock.
#[derive(Debug, Clone, Default)]
pub(super) struct Moved(Arc<AtomicU64>);

impl Moved {
    /// How often it did, in any thread.
    pub(super) fn times(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl SharedFile {
    /// Over a file that nothing else in this process reads or writes through.
    pub(super) fn new(file: File) -> Result<(Self, Moved), redb::DatabaseError> {
        Ok(Self::over(FileBackend::new(file)?))
    }
}

impl<Below: StorageBackend> SharedFile<Below> {
    /// The same over whatever keeps the bytes.
    pub(super) fn over(file: Below) -> (Self, Moved) {
        let moved = Moved::default();
        let (unlocked, in_vain) = (Mutex::default(), AtomicBool::new(false));
        (Self { file, unlocked, in_vain, moved: Arc::clone(&moved.0) }, moved)
    }

    fn unlocked(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.unlocked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn header(&self, length_bytes: u64) -> Result<Vec<u8>, BackendError> {
        let mut header = vec![0; length_bytes as usize];
        self.file.read(0, &mut header).map_err(BackendError::from)?;
        Ok(header)
    }
}

/// The header's length, where the range is the header; the other locks stand far behind the end of any file.
fn header_bytes(start: Bound<u64>, end: Bound<u64>) -> Option<u64> {
    match (start, end) {
        (Bound::Included(0), Bound::Excluded(end)) => Some(end),
        _ => None,
    }
}

impl<Below: StorageBackend> StorageBackend for SharedFile<Below> {
    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        let Some(length_bytes) = header_bytes(start, end) else { return self.file.lock_shared_range(start, end) };
        let begun = Instant::now();
        let mut pause = Duration::from_micros(100);
        let was_in_vain = self.in_vain.swap(false, Ordering::Relaxed);
        let patience = if was_in_vain { HEADER_PATIENCE_AGAIN } else { HEADER_PATIENCE };
        while !self.file.try_lock_shared_range(start, end)? {
            if begun.elapsed() >= patience {
                self.in_vain.store(true, Ordering::Relaxed);
                *self.unlocked() = Some(self.header(length_bytes)?);
                break;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(())
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        if let Some(length_bytes) = header_bytes(start, end)
            && let Some(before) = self.unlocked().take()
        {
            if self.header(length_bytes)? != before {
                self.moved.fetch_add(1, Ordering::SeqCst);
            }
            return Ok(());
        }
        self.file.unlock_range(start, end)
    }

    fn len(&self) -> Result<u64, io::Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.file.write(offset, data)
    }

    fn close(&self) -> Result<(), io::Error> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    const HEADER: (Bound<u64>, Bound<u64>) = (Bound::Included(0), Bound::Excluded(320));

    fn open(path: &std::path::Path) -> File {
        OpenOptions::new().read(true).write(true).open(path).expect("it is there")
    }

    #[test]
    fn a_reader_looks_at_a_header_that_stays_locked_and_knows_whether_it_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, vec![7; 4096]).expect("it can be written");
        let writer = FileBackend::new(open(&path)).expect("a backend");
        let (reader, moved) = SharedFile::new(open(&path)).expect("a backend");
        // Nobody writes: the reader has the lock, and a writer would wait.
        reader.lock_shared_range(HEADER.0, HEADER.1).expect("locked");
        assert!(!writer.try_lock_range(HEADER.0, HEADER.1).expect("a lock"));
        reader.unlock_range(HEADER.0, HEADER.1).expect("unlocked");
        // A writer has it and does not go on.
        assert!(writer.try_lock_range(HEADER.0, HEADER.1).expect("a lock"));
        reader.lock_shared_range(HEADER.0, HEADER.1).expect("it looks without");
        reader.unlock_range(HEADER.0, HEADER.1).expect("unlocked");
        assert_eq!(moved.times(), 0, "nothing changed");
        // It goes on just now.
        reader.lock_shared_range(HEADER.0, HEADER.1).expect("it looks without");
        StorageBackend::write(&writer, 100, &[8]).expect("written");
        reader.unlock_range(HEADER.0, HEADER.1).expect("unlocked");
        assert_eq!(moved.times(), 1);
    }
}
