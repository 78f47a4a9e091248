//! The tables of the database, and one transaction over them as bytes and as JSON records.
//!
//! Every key and value is a byte string, every record JSON: a newer version reads what an older one wrote.

use super::StoreError;
use redb::{ReadableTable, TableDefinition, TableError, TableHandle};
use serde::{Serialize, de::DeserializeOwned};
use std::path::Path;
use std::sync::Arc;

/// A table by its name.
pub(super) type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Format, generation, the first distribution.
pub(super) const META: Table = Table::new("meta");
/// Host by name.
pub(super) const HOSTS: Table = Table::new("hosts");
/// Host name by MAC address, as text.
pub(super) const HOSTS_BY_MAC: Table = Table::new("hosts-by-mac");
/// Host name by IP address, as text.
pub(super) const HOSTS_BY_IP: Table = Table::new("hosts-by-ip");
/// Appliance by name.
pub(super) const APPLIANCES: Table = Table::new("appliances");
/// Network by name.
pub(super) const NETWORKS: Table = Table::new("networks");
/// Attribute by scope and name.
pub(super) const ATTRIBUTES: Table = Table::new("attributes");
/// Boot by host name.
pub(super) const BOOTS: Table = Table::new("boots");
/// Distribution by name.
pub(super) const DISTRIBUTIONS: Table = Table::new("distributions");
/// Bytes by distribution and their name.
pub(super) const BLOBS: Table = Table::new("blobs");
/// Roll by name.
pub(super) const ROLLS: Table = Table::new("rolls");
/// Endpoint by service.
pub(super) const ENDPOINTS: Table = Table::new("endpoints");
/// Journal line by number, eight bytes, big endian.
pub(super) const JOURNAL: Table = Table::new("journal");

/// What two parts of a key are joined by; no name may hold it.
pub(super) const SEPARATOR: u8 = 0;

/// A read or write transaction.
pub(super) struct Transaction {
    pub(super) inner: Inner,
    pub(super) path: Arc<Path>,
}

pub(super) enum Inner {
    Read(redb::ReadTransaction),
    Write(Box<redb::WriteTransaction>),
}

impl Transaction {
    /// The bytes of a record.
    pub(super) fn bytes(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let copy = |guard: Option<redb::AccessGuard<'_, &'static [u8]>>| guard.map(|g| g.value().to_vec());
        match &self.inner {
            Inner::Read(read) => match read.open_table(table) {
                Err(TableError::TableDoesNotExist(_)) => Ok(None),
                Err(error) => Err(self.failed(error)),
                Ok(open) => open.get(key).map(copy).map_err(|error| self.failed(error)),
            },
            Inner::Write(write) => {
                let open = write.open_table(table).map_err(|error| self.failed(error))?;
                let found = open.get(key).map(copy).map_err(|error| self.failed(error))?;
                Ok(found)
            }
        }
    }

    /// A record.
    pub(super) fn get<T: DeserializeOwned>(&self, table: Table, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.bytes(table, key)?.map(|value| record(table, key, &value)).transpose()
    }

    /// All records whose keys begin with `prefix`, in the order of their keys.
    pub(super) fn scan<T: DeserializeOwned>(&self, table: Table, prefix: &[u8]) -> Result<Vec<T>, StoreError> {
        let mut records = Vec::new();
        self.each(table, prefix, |key, value| {
            records.push(record(table, key, value)?);
            Ok(true)
        })?;
        Ok(records)
    }

    /// All keys that begin with `prefix`, in order.
    pub(super) fn keys(&self, table: Table, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut keys = Vec::new();
        self.each(table, prefix, |key, _| {
            keys.push(key.to_vec());
            Ok(true)
        })?;
        Ok(keys)
    }

    /// Calls `visit` for each key that begins with `prefix`, in order, while it returns true.
    pub(super) fn each(
        &self,
        table: Table,
        prefix: &[u8],
        visit: impl FnMut(&[u8], &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        match &self.inner {
            Inner::Read(read) => match read.open_table(table) {
                Err(TableError::TableDoesNotExist(_)) => Ok(()),
                Err(error) => Err(self.failed(error)),
                Ok(open) => self.walk(&open, prefix, visit),
            },
            Inner::Write(write) => {
                let open = write.open_table(table).map_err(|error| self.failed(error))?;
                self.walk(&open, prefix, visit)
            }
        }
    }

    fn walk(
        &self,
        open: &impl ReadableTable<&'static [u8], &'static [u8]>,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        for entry in open.range(prefix..).map_err(|error| self.failed(error))? {
            let (key, value) = entry.map_err(|error| self.failed(error))?;
            if !key.value().starts_with(prefix) || !visit(key.value(), value.value())? {
                break;
            }
        }
        Ok(())
    }

    /// The last key of a table.
    pub(super) fn last_key(&self, table: Table) -> Result<Option<Vec<u8>>, StoreError> {
        let copy = |entry: (redb::AccessGuard<'_, &'static [u8]>, redb::AccessGuard<'_, &'static [u8]>)| {
            entry.0.value().to_vec()
        };
        match &self.inner {
            Inner::Read(read) => match read.open_table(table) {
                Err(TableError::TableDoesNotExist(_)) => Ok(None),
                Err(error) => Err(self.failed(error)),
                Ok(open) => open.last().map(|e| e.map(copy)).map_err(|error| self.failed(error)),
            },
            Inner::Write(write) => {
                let open = write.open_table(table).map_err(|error| self.failed(error))?;
                let last = open.last().map(|e| e.map(copy)).map_err(|error| self.failed(error))?;
                Ok(last)
            }
        }
    }

    /// Writes bytes; true where they differ from what was there.
    pub(super) fn put_bytes(&self, table: Table, key: &[u8], value: &[u8]) -> Result<bool, StoreError> {
        let mut open = self.writing().open_table(table).map_err(|error| self.failed(error))?;
        let old = open.insert(key, value).map_err(|error| self.failed(error))?;
        Ok(old.is_none_or(|old| old.value() != value))
    }

    /// Writes a record; true where it differs from what was there.
    pub(super) fn put(&self, table: Table, key: &[u8], value: &impl Serialize) -> Result<bool, StoreError> {
        let text = serde_json::to_vec(value).expect("records have text keys and no failing part");
        self.put_bytes(table, key, &text)
    }

    /// Removes a record; true where there was one.
    pub(super) fn remove(&self, table: Table, key: &[u8]) -> Result<bool, StoreError> {
        let mut open = self.writing().open_table(table).map_err(|error| self.failed(error))?;
        let old = open.remove(key).map_err(|error| self.failed(error))?;
        Ok(old.is_some())
    }

    fn writing(&self) -> &redb::WriteTransaction {
        match &self.inner {
            Inner::Write(write) => write,
            Inner::Read(_) => unreachable!("only a Writer writes, and it holds a write transaction"),
        }
    }

    pub(super) fn failed(&self, error: impl Into<redb::Error>) -> StoreError {
        database_error(&self.path, error.into())
    }
}

/// What an error of the database is to the user.
pub(super) fn database_error(path: &Path, error: redb::Error) -> StoreError {
    match error {
        redb::Error::Io(source) => {
            let doing = if source.kind() == std::io::ErrorKind::StorageFull { "write" } else { "use" };
            StoreError::Io { doing, path: path.to_owned(), cause: source }
        }
        redb::Error::Corrupted(why) => StoreError::NotAStore { path: path.to_owned(), why: lower(&why) },
        other => StoreError::Database { path: path.to_owned(), why: lower(&other.to_string()) },
    }
}

/// The words of others in the form of ours: no capital, no full stop.
pub(super) fn lower(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn record<T: DeserializeOwned>(table: Table, key: &[u8], value: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(value).map_err(|error| StoreError::Record {
        table: table.name().to_owned(),
        key: String::from_utf8_lossy(key).replace('\0', "/"),
        why: error.to_string(),
    })
}
