//! The open files of a cache: each is opened once and kept while it is in use, at most [`OPEN_FILES_MAX`] of them.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Files kept open; one more sends another away (whoever still reads it keeps it open).
const OPEN_FILES_MAX: usize = 128;

/// Files below a folder, opened for reading and writing, made where they are missing.
#[derive(Debug)]
pub(super) struct OpenFiles {
    folder: PathBuf,
    files: Mutex<HashMap<String, Arc<File>>>,
}

impl OpenFiles {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, files: Mutex::default() }
    }

    /// The file of this path, which comes from a metainfo and so cannot leave the folder.
    pub(super) fn open(&self, path: &str) -> io::Result<Arc<File>> {
        let mut files = self.files.lock().expect("nobody panics while holding the files");
        if let Some(file) = files.get(path) {
            return Ok(Arc::clone(file));
        }
        let full = self.folder.join(path);
        if let Some(parent) = full.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let file = Arc::new(OpenOptions::new().read(true).write(true).create(true).truncate(false).open(full)?);
        if files.len() >= OPEN_FILES_MAX {
            let other = files.keys().next().cloned();
            other.and_then(|other| files.remove(&other));
        }
        files.insert(path.to_owned(), Arc::clone(&file));
        Ok(file)
    }
}
