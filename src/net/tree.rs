//! A tree of files that is served: open files with what HTTP says of them, kept for a moment.
//!
//! Invariant: nothing outside the tree is ever opened. A path is refused by its text first (`..`, empty parts), then by
//! where it ends: a symbolic link may lead to another place of the tree, as a mirror may bring it along, and nowhere else.

use super::http::http_date;
use bytes::Bytes;
use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Files kept open in one tree.
const OPEN_FILES_MAX: usize = 512;
/// A file up to this length is read once and kept in memory as long as it is kept open.
const SMALL_FILE_BYTES: u64 = 32 << 10;
/// Files that are opened at one time.
const OPENING_MAX: usize = 64;
/// How long an open file is served without a look whether the tree has another one now.
const FRESH: Duration = Duration::from_secs(1);

/// An open file and what HTTP says of it.
#[derive(Debug)]
pub struct TreeFile {
    /// The file.
    pub file: Arc<File>,
    /// Its content, where that is short.
    pub content: Option<Bytes>,
    /// Its length.
    pub length_bytes: u64,
    /// Changes whenever the file does.
    pub etag: String,
    /// When it was last changed, as HTTP writes it.
    pub last_modified: String,
    /// The fields of every answer that has some of it: type, validators.
    pub fields: Arc<str>,
    identity: Identity,
}

/// Tells whether a path still leads to the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    length_bytes: u64,
    changed: (i64, i64),
}

impl Identity {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length_bytes: metadata.len(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// What is known of a path.
enum Seen {
    /// Its file is open, and was the tree's a moment ago.
    Now(Arc<TreeFile>),
    /// Its file is open; it is time to look whether it is still the tree's.
    Before,
    Never,
}

/// A folder that is served.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    open: Mutex<HashMap<String, (Instant, Arc<TreeFile>)>>,
    /// Of a herd that asks for the same file, the first opens it for all: who opens, by a hash of the path.
    opening: [tokio::sync::Mutex<()>; OPENING_MAX],
    dice: RandomState,
}

impl Tree {
    /// The tree below this folder.
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            open: Mutex::default(),
            opening: [const { tokio::sync::Mutex::const_new(()) }; OPENING_MAX],
            dice: RandomState::new(),
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file of this path relative to the tree, none where there is no such file.
    pub async fn file(self: &Arc<Self>, path: &str) -> Option<Arc<TreeFile>> {
        let mut seen = self.seen(path);
        let mut _opens = None;
        if matches!(seen, Seen::Never) {
            _opens = Some(self.opening[self.dice.hash_one(path) as usize % OPENING_MAX].lock().await);
            seen = self.seen(path);
        }
        if let Seen::Now(file) = seen {
            return Some(file);
        }
        let (tree, path) = (Arc::clone(self), path.to_owned());
        let load = move || {
            let found = tree.load(&path);
            if found.is_none() {
                tree.open.lock().expect("nobody panics while holding the files").remove(&path);
            }
            found
        };
        tokio::task::spawn_blocking(load).await.ok().flatten()
    }

    /// The open file. When it is time to look at the tree again, one does, and whoever comes meanwhile goes on with
    /// what is there.
    fn seen(&self, path: &str) -> Seen {
        let mut open = self.open.lock().expect("nobody panics while holding the files");
        match open.get_mut(path) {
            None => Seen::Never,
            Some((seen, file)) if seen.elapsed() < FRESH => Seen::Now(Arc::clone(file)),
            Some((seen, _)) => {
                *seen = Instant::now();
                Seen::Before
            }
        }
    }

    /// Opens a file, or sees that the open one is still the tree's.
    fn load(&self, path: &str) -> Option<Arc<TreeFile>> {
        let full = self.root.join(stays_inside(path)?);
        let known =
            self.open.lock().expect("nobody panics while holding the files").get(path).map(|k| Arc::clone(&k.1));
        if let Some(file) = known
            && std::fs::metadata(&full).is_ok_and(|metadata| Identity::of(&metadata) == file.identity)
        {
            self.remember(path, &file);
            return Some(file);
        }
        let file = File::open(self.ends_inside(&full)?).ok()?;
        let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let identity = Identity::of(&metadata);
        let etag = format!("\"{:x}.{:x}-{:x}\"", identity.changed.0, identity.changed.1, metadata.len());
        let last_modified = metadata.modified().map(http_date).unwrap_or_default();
        let fields = format!(
            "Content-Type: {}\r\nETag: {etag}\r\nLast-Modified: {last_modified}\r\nAccept-Ranges: bytes\r\n",
            content_type(path)
        );
        let file = Arc::new(TreeFile {
            content: small_content(&file, metadata.len()),
            file: Arc::new(file),
            length_bytes: metadata.len(),
            etag,
            last_modified,
            fields: fields.into(),
            identity,
        });
        self.remember(path, &file);
        Some(file)
    }

    /// Where this path ends when its symbolic links are followed; none where that is not in the tree.
    fn ends_inside(&self, full: &Path) -> Option<PathBuf> {
        // The tree itself may stand behind a link, which may lead to another one by now.
        let (root, end) = (self.root.canonicalize().ok()?, full.canonicalize().ok()?);
        end.starts_with(root).then_some(end)
    }

    fn remember(&self, path: &str, file: &Arc<TreeFile>) {
        let mut open = self.open.lock().expect("nobody panics while holding the files");
        if open.len() >= OPEN_FILES_MAX && !open.contains_key(path) {
            let oldest = open.iter().min_by_key(|(_, (seen, _))| *seen).map(|(path, _)| path.clone());
            oldest.and_then(|oldest| open.remove(&oldest));
        }
        open.insert(path.to_owned(), (Instant::now(), Arc::clone(file)));
    }
}

/// All of a short file. One that has another length by now is served as it is then.
fn small_content(file: &File, length_bytes: u64) -> Option<Bytes> {
    let mut content = vec![0; usize::try_from(length_bytes).ok().filter(|_| length_bytes <= SMALL_FILE_BYTES)?];
    file.read_exact_at(&mut content, 0).ok()?;
    Some(content.into())
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, end)| end) {
        Some("rpm") => "application/x-rpm",
        Some("xml") => "text/xml",
        Some("gz") => "application/gzip",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

/// A relative path that stays below where it begins; none for any other.
pub(super) fn stays_inside(path: &str) -> Option<&str> {
    let good = !path.is_empty()
        && !path.contains('\0')
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    good.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_of_the_tree_and_no_others_are_opened_and_changes_are_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("tree/sub")).expect("folders");
        std::fs::write(folder.path().join("secret"), "s").expect("written");
        std::fs::write(folder.path().join("tree/sub/a.rpm"), "one").expect("written");
        let tree = Arc::new(Tree::new(folder.path().join("tree")));
        let first = tree.file("sub/a.rpm").await.expect("the file");
        assert_eq!(first.length_bytes, 3);
        for path in ["../secret", "sub/../../secret", "/etc/passwd", "sub//a.rpm", "sub/./a.rpm", "sub", "", "none"] {
            assert!(tree.file(path).await.is_none(), "{path}");
        }
        std::fs::write(folder.path().join("tree/sub/b"), "three").expect("written");
        std::fs::rename(folder.path().join("tree/sub/b"), folder.path().join("tree/sub/a.rpm")).expect("renamed");
        let second = tree.load("sub/a.rpm").expect("the file");
        assert_eq!(second.length_bytes, 5);
        assert_ne!(first.etag, second.etag);
    }

    #[tokio::test]
    async fn a_link_may_lead_to_another_place_of_the_tree_and_nowhere_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let (real, served) = (folder.path().join("real"), folder.path().join("served"));
        std::fs::create_dir_all(real.join("sub")).expect("folders");
        std::fs::create_dir_all(folder.path().join("real-too")).expect("a folder");
        for (name, text) in [("real/sub/a.rpm", "one"), ("real-too/secret", "s"), ("secret", "s")] {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, folder.path().join(name)).expect("linked");
        // The tree itself may be reached by a link.
        link("real", "served");
        link("sub/a.rpm", "real/inner");
        link("sub", "real/folder");
        link("../secret", "real/out");
        link("/etc/passwd", "real/absolute");
        link("../real-too", "real/beside");
        link("..", "real/up");
        link("loop", "real/loop");
        let tree = Arc::new(Tree::new(served.clone()));
        for path in ["inner", "folder/a.rpm"] {
            assert_eq!(tree.file(path).await.expect("the file").content.as_deref(), Some(&b"one"[..]), "{path}");
        }
        for path in ["out", "absolute", "beside/secret", "up/secret", "loop", "folder"] {
            assert!(tree.file(path).await.is_none(), "{path}");
        }
        // What is open already is looked at again, too.
        std::fs::remove_file(real.join("inner")).expect("it was there");
        link("../secret", "real/inner");
        assert!(tree.load("inner").is_none(), "it leads elsewhere now");
        std::fs::remove_file(&served).expect("it was there");
        link("real-too", "served");
        assert!(tree.load("secret").is_some(), "the tree is another one now");
    }
}
