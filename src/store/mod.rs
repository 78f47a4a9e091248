//! The cluster database; the only room that knows redb.
//!
//! One file, `rocks.redb` in the cluster's folder, that any number of processes read and write at once. It keeps
//! facts: hosts, appliances, networks, attributes, boot actions, distributions, endpoints, and a journal with one
//! sentence for each write. What follows from facts (profiles, install sets, swarms) is not kept.
//!
//! - A read sees one consistent state and is never blocked by a writer.
//! - A write is one transaction: everything and its journal line, or nothing. Writers queue; who waits long is told
//!   who holds the lock.
//! - Every record is JSON, so that a newer `rocks` reads what an older one wrote.
//!
//! ```
//! # fn main() -> Result<(), rocks::store::StoreError> {
//! use rocks::cluster::{Host, HostName};
//! let store = rocks::store::Store::in_memory()?;
//! let name = HostName::parse("compute-0-0")?;
//! store.write("add host compute-0-0", |w| w.add_host(&Host::new(name.clone(), "compute")))?;
//! assert_eq!(store.read(|r| r.host(&name))?.appliance, "compute");
//! # Ok(())
//! # }
//! ```

mod appliances;
mod attributes;
mod batch;
mod boot_change;
mod boots;
mod distributions;
mod endpoints;
mod error;
mod export;
mod fresh;
mod handle;
mod hosts;
mod journal;
mod lock;
mod networks;
mod rolls;
mod shared_file;
mod table;
#[cfg(test)]
mod tests;

pub use boot_change::{BootChange, INSTALLS_IN_A_ROW_MAX};
pub use boots::Renamed;
pub use distributions::METAINFO;
pub use error::StoreError;
pub use export::Export;
pub use journal::{JOURNAL_ENTRIES_MAX, JournalEntry};
pub use lock::Holder;

use handle::{Handle, Waiting};
use redb::Database;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use table::{Inner, META, Table, Transaction, database_error};

/// The file of the store in the cluster's folder.
pub const FILE_NAME: &str = "rocks.redb";
/// The format this program writes. It rises when an older `rocks` would misread or lose something.
pub const FORMAT: u64 = 1;
/// The cluster database, open in this process. Threads share it by reference.
pub struct Store {
    path: Arc<Path>,
    handle: Handle,
    on_disk: bool,
    author: String,
    waiting: Box<dyn Fn(&Holder) + Send + Sync>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store of the cluster in `folder`; [`StoreError::Missing`] where there is none.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let path: Arc<Path> = folder.join(FILE_NAME).into();
        let store = Self::with(Handle::open(path.clone())?, path, true);
        store.check_format()?;
        Ok(store)
    }

    /// Opens the store of the cluster in `folder`, and creates both where they do not exist.
    pub fn create(folder: &Path) -> Result<Self, StoreError> {
        match Self::open(folder) {
            Err(StoreError::Missing { .. }) => {}
            result => return result,
        }
        match fresh::create_file(folder, fresh::new_cluster) {
            // Another process was quicker: it is there.
            Ok(()) | Err(StoreError::Exists { .. }) => Self::open(folder),
            Err(error) => Err(error),
        }
    }

    /// A new cluster in memory that ends with the value: what a cluster that was never written to looks like.
    pub fn in_memory() -> Result<Self, StoreError> {
        let path = PathBuf::from(FILE_NAME);
        let database = Database::builder()
            .create_with_backend(redb::backends::InMemoryBackend::new())
            .map_err(|error| database_error(&path, error.into()))?;
        let store = Self::over(database, path);
        store.write_unjournaled(fresh::new_cluster)?;
        Ok(store)
    }

    /// A store over a database that no other process has open.
    fn over(database: Database, path: PathBuf) -> Self {
        let path: Arc<Path> = path.into();
        Self::with(Handle::over(database, path.clone()), path, false)
    }

    fn with(handle: Handle, path: Arc<Path>, on_disk: bool) -> Self {
        Self { path, handle, on_disk, author: journal::author(), waiting: Box::new(|_| {}) }
    }

    /// Calls `tell` once in each write that has to wait for another process.
    pub fn when_waiting(mut self, tell: impl Fn(&Holder) + Send + Sync + 'static) -> Self {
        self.waiting = Box::new(tell);
        self
    }

    /// Writes this name into the journal instead of the user's.
    pub fn authored_by(mut self, author: &str) -> Self {
        author.clone_into(&mut self.author);
        self
    }

    /// The store's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads one consistent state, as the latest finished write left it. Never waits for a writer.
    pub fn read<T>(&self, look: impl FnOnce(&Reader) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.guarded(|handle| {
            let read = handle.begin_read()?;
            look(&Reader { transaction: Transaction { inner: Inner::Read(read), path: self.path.clone() } })
        })
    }

    /// Changes the store in one transaction: all of it with a line in the journal, or, where `change` fails, nothing.
    /// Waits for other writers. A write that changes nothing leaves no trace.
    pub fn write<T>(
        &self,
        sentence: &str,
        change: impl FnOnce(&mut Writer) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.write_by(None, sentence, change)
    }

    /// As [`Store::write`], but gives up with [`StoreError::Busy`] when others have been writing for `patience`.
    pub fn write_within<T>(
        &self,
        patience: Duration,
        sentence: &str,
        change: impl FnOnce(&mut Writer) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.write_by(Some(patience), sentence, change)
    }

    fn write_by<T>(
        &self,
        patience: Option<Duration>,
        sentence: &str,
        change: impl FnOnce(&mut Writer) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.guarded(|handle| {
            let write = handle.begin_write(Waiting::new(patience, &*self.waiting))?;
            let claim = self.on_disk.then(|| lock::Claim::new(&self.path, sentence));
            let transaction = Transaction { inner: Inner::Write(Box::new(write)), path: self.path.clone() };
            let mut writer = Writer { reader: Reader { transaction }, changed: false, facts_changed: false };
            let value = change(&mut writer)?;
            if writer.changed {
                writer.finish(&self.author, sentence)?;
                writer.commit()?;
            }
            drop(claim);
            Ok(value)
        })
    }

    /// One transaction that writes its own journal and generation.
    fn write_unjournaled(&self, change: impl FnOnce(&mut Writer) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.guarded(|handle| {
            let write = handle.begin_write(Waiting::new(None, &*self.waiting))?;
            let transaction = Transaction { inner: Inner::Write(Box::new(write)), path: self.path.clone() };
            let mut writer = Writer { reader: Reader { transaction }, changed: false, facts_changed: false };
            change(&mut writer)?;
            writer.commit()
        })
    }

    /// Runs `act`; after an error of the system the file is opened anew by the next.
    fn guarded<T>(&self, act: impl FnOnce(&Handle) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let result = act(&self.handle);
        let is_of_the_file =
            matches!(&result, Err(StoreError::Io { .. } | StoreError::Database { .. } | StoreError::NotAStore { .. }));
        if self.on_disk && is_of_the_file {
            self.handle.forget();
        }
        result
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let found = self.read(|r| r.meta("format"))?;
        match found {
            Some(found) if found <= FORMAT => Ok(()),
            Some(found) => Err(StoreError::Newer { path: self.path.to_path_buf(), found, known: FORMAT }),
            None => Err(StoreError::NotAStore { path: self.path.to_path_buf(), why: "it has no format".to_owned() }),
        }
    }
}

/// One consistent state of the store. What can be asked stands in the file of each noun.
pub struct Reader {
    transaction: Transaction,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl Reader {
    /// Rises with every write.
    pub fn generation(&self) -> Result<u64, StoreError> {
        Ok(self.meta("generation")?.unwrap_or(0))
    }

    /// Rises with every write that can change a profile: all but boot actions and the states of installations.
    pub fn facts_generation(&self) -> Result<u64, StoreError> {
        Ok(self.meta("facts-generation")?.unwrap_or(0))
    }

    fn meta(&self, key: &str) -> Result<Option<u64>, StoreError> {
        self.transaction.get(META, key.as_bytes())
    }
}

/// A write under way. It reads its own changes, as a [`Reader`] does.
#[derive(Debug)]
pub struct Writer {
    reader: Reader,
    changed: bool,
    facts_changed: bool,
}

impl std::ops::Deref for Writer {
    type Target = Reader;
    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl Writer {
    fn put(&mut self, table: Table, key: &[u8], record: &impl serde::Serialize) -> Result<(), StoreError> {
        if self.reader.transaction.put(table, key, record)? {
            self.mark(table);
        }
        Ok(())
    }

    fn put_bytes(&mut self, table: Table, key: &[u8], bytes: &[u8]) -> Result<(), StoreError> {
        if self.reader.transaction.put_bytes(table, key, bytes)? {
            self.mark(table);
        }
        Ok(())
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<bool, StoreError> {
        let removed = self.reader.transaction.remove(table, key)?;
        if removed {
            self.mark(table);
        }
        Ok(removed)
    }

    fn mark(&mut self, table: Table) {
        use redb::TableHandle;
        self.changed = true;
        self.facts_changed |= table.name() != table::BOOTS.name();
    }

    fn commit(self) -> Result<(), StoreError> {
        let Transaction { inner, path } = self.reader.transaction;
        match inner {
            Inner::Write(write) => write.commit().map_err(|error| database_error(&path, error.into())),
            Inner::Read(_) => unreachable!("a Writer holds a write transaction"),
        }
    }

    /// The journal's line and the generations.
    fn finish(&mut self, author: &str, sentence: &str) -> Result<(), StoreError> {
        let generation = self.generation()? + 1;
        if self.facts_changed {
            self.put(META, b"facts-generation", &generation)?;
        }
        self.put(META, b"generation", &generation)?;
        self.append_to_journal(author, sentence, generation)
    }
}
