//! The database file as this process has it open.
//!
//! To open it for writing waits for whoever is writing; to open it for reading does not. So a process that reads
//! opens it for reading, and for writing only when it first writes. A file whose last writer was killed must be
//! opened for writing once, to be put in order.

use super::shared_file::{Moved, SharedFile};
use super::table::{database_error, lower};
use super::{Holder, StoreError, lock};
use redb::{ConcurrencyMode, Database, DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase};
use redb::{StorageError, TransactionError, WriteTransaction};
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a writer waits in silence before it says who holds the lock.
const SILENT_WAIT: Duration = Duration::from_secs(1);
/// The longest pause between two looks at the lock.
const POLL_MAX: Duration = Duration::from_millis(10);
/// Bytes of pages that one handle keeps in memory.
const PAGE_CACHE_BYTES: usize = 64 << 20;

/// What an opening for writing ends with: the database, and what tells whether its header changed meanwhile.
type Opening = Result<(Database, Moved), StoreError>;

/// The database as this process has it open. A database that is not a file is open for writing from the start.
pub(super) struct Handle {
    path: Arc<Path>,
    open: Mutex<Open>,
    /// An opening for writing that waits for another process, begun by a write that lost its patience.
    opening: Mutex<Option<Receiver<Opening>>>,
}

#[derive(Default)]
struct Open {
    for_reading: Option<(Arc<ReadOnlyDatabase>, Moved)>,
    for_writing: Option<(Arc<Database>, Moved)>,
}

/// How long a write waits for others, and whom it tells.
pub(super) struct Waiting<'a> {
    begun: Instant,
    patience: Option<Duration>,
    tell: Option<&'a (dyn Fn(&Holder) + Send + Sync)>,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(patience: Option<Duration>, tell: &'a (dyn Fn(&Holder) + Send + Sync)) -> Self {
        Self { begun: Instant::now(), patience, tell: Some(tell) }
    }

    /// Says who holds the lock, once and after a moment; fails when patience is at its end. Else how long to wait
    /// before the next call.
    fn look(&mut self, path: &Path) -> Result<Duration, StoreError> {
        let waited = self.begun.elapsed();
        let left = self.patience.map(|patience| patience.saturating_sub(waited));
        if left == Some(Duration::ZERO) {
            return Err(StoreError::Busy { holder: lock::holder(path) });
        }
        if waited >= SILENT_WAIT
            && let Some(tell) = self.tell.take()
        {
            tell(&lock::holder(path));
        }
        let next = if self.tell.is_some() { SILENT_WAIT.saturating_sub(waited) } else { Duration::MAX };
        Ok(next.min(left.unwrap_or(Duration::MAX)).max(Duration::from_micros(500)))
    }
}

impl Handle {
    /// Opens a file for reading, so that what is wrong with it is known at once.
    pub(super) fn open(path: Arc<Path>) -> Result<Self, StoreError> {
        let handle = Self { path, open: Mutex::default(), opening: Mutex::default() };
        handle.begin_read()?;
        Ok(handle)
    }

    /// A database that is open already.
    pub(super) fn over(database: Database, path: Arc<Path>) -> Self {
        let open = Open { for_reading: None, for_writing: Some((Arc::new(database), Moved::default())) };
        Self { path, open: Mutex::new(open), opening: Mutex::default() }
    }

    fn locked(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what is open: the system refused a read or a write, and the database refuses all further work on it,
    /// though the disk may have room again.
    pub(super) fn forget(&self) {
        *self.locked() = Open::default();
    }

    pub(super) fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        let failed = |error: TransactionError| database_error(&self.path, error.into());
        let mut open = self.locked();
        if open.for_writing.is_none() && open.for_reading.is_none() {
            match open_for_reading(&self.path)? {
                Some((database, moved)) => open.for_reading = Some((Arc::new(database), moved)),
                None => {
                    let (database, moved) = open_for_writing(&self.path)?;
                    open.for_writing = Some((Arc::new(database), moved));
                }
            }
        }
        if let Some((database, moved)) = open.for_writing.clone() {
            drop(open);
            return settled(&moved, || database.begin_read()).map_err(failed);
        }
        let (database, moved) = open.for_reading.clone().expect("what is not open for writing is open for reading");
        drop(open);
        settled(&moved, || database.begin_read()).map_err(failed)
    }

    pub(super) fn begin_write(&self, mut waiting: Waiting<'_>) -> Result<WriteTransaction, StoreError> {
        let database = self.for_writing(&mut waiting)?;
        let mut pause = Duration::from_micros(500);
        loop {
            match database.try_begin_write() {
                Err(TransactionError::WouldBlock) => {}
                result => return result.map_err(|error| database_error(&self.path, error.into())),
            }
            let longest = waiting.look(&self.path)?;
            std::thread::sleep(pause.min(longest));
            pause = (pause * 2).min(POLL_MAX);
        }
    }

    fn for_writing(&self, waiting: &mut Waiting<'_>) -> Result<Arc<Database>, StoreError> {
        if let Some((database, _)) = &self.locked().for_writing {
            return Ok(database.clone());
        }
        let mut opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((database, _)) = &self.locked().for_writing {
            return Ok(database.clone());
        }
        // The database has no opening that gives up, so a thread does the waiting.
        let receiver = opening.take().unwrap_or_else(|| {
            let (sender, receiver) = sync_channel(1);
            let path = self.path.clone();
            std::thread::spawn(move || sender.send(open_for_writing(&path)));
            receiver
        });
        let mut pause = POLL_MAX;
        loop {
            match receiver.recv_timeout(pause) {
                Ok(database) => {
                    let (database, moved) = database?;
                    let database = Arc::new(database);
                    *self.locked() = Open { for_reading: None, for_writing: Some((database.clone(), moved)) };
                    return Ok(database);
                }
                Err(RecvTimeoutError::Timeout) => match waiting.look(&self.path) {
                    Ok(next) => pause = next,
                    Err(error) => {
                        *opening = Some(receiver);
                        return Err(error);
                    }
                },
                Err(RecvTimeoutError::Disconnected) => {
                    let why = "it could not be opened for writing".to_owned();
                    return Err(StoreError::Database { path: self.path.to_path_buf(), why });
                }
            }
        }
    }
}

/// Begins a transaction, again where the header changed while it began without the header's lock.
fn settled(
    moved: &Moved,
    begin: impl Fn() -> Result<ReadTransaction, TransactionError>,
) -> Result<ReadTransaction, TransactionError> {
    loop {
        let before = moved.times();
        let begun = begin();
        if moved.times() == before {
            return begun;
        }
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_concurrency_mode(ConcurrencyMode::MultiWriter).set_cache_size(PAGE_CACHE_BYTES);
    builder
}

/// None where the last writer was killed and nobody has put the file in order since.
fn open_for_reading(path: &Path) -> Result<Option<(ReadOnlyDatabase, Moved)>, StoreError> {
    let (file, moved) = shared(path, OpenOptions::new().read(true))?;
    match builder().open_read_only_with_backend(file) {
        Ok(database) => Ok(Some((database, moved))),
        Err(DatabaseError::RepairAborted) => Ok(None),
        Err(error) => Err(open_error(path, error)),
    }
}

/// Waits for whoever is writing.
fn open_for_writing(path: &Path) -> Opening {
    let (file, moved) = shared(path, OpenOptions::new().read(true).write(true))?;
    let database = builder().create_with_backend(file).map_err(|error| open_error(path, error))?;
    Ok((database, moved))
}

fn shared(path: &Path, how: &OpenOptions) -> Result<(SharedFile, Moved), StoreError> {
    let file = how.open(path).map_err(|cause| unopened(path, cause))?;
    check_file(path, &file)?;
    SharedFile::new(file).map_err(|error| open_error(path, error))
}

fn unopened(path: &Path, cause: std::io::Error) -> StoreError {
    match cause.kind() {
        std::io::ErrorKind::NotFound => StoreError::Missing { path: path.to_owned() },
        _ => StoreError::Io { doing: "open", path: path.to_owned(), cause },
    }
}

/// An empty file would be made a database of.
fn check_file(path: &Path, file: &File) -> Result<(), StoreError> {
    match file.metadata() {
        Err(cause) => Err(unopened(path, cause)),
        Ok(about) if about.len() == 0 => {
            Err(StoreError::NotAStore { path: path.to_owned(), why: "it is empty".to_owned() })
        }
        Ok(_) => Ok(()),
    }
}

fn open_error(path: &Path, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::Storage(StorageError::Io(cause)) => match cause.kind() {
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => {
                StoreError::NotAStore { path: path.to_owned(), why: lower(&cause.to_string()) }
            }
            _ => StoreError::Io { doing: "open", path: path.to_owned(), cause },
        },
        other => database_error(path, other.into()),
    }
}
