//! A tree of files below one folder. Invariant: no name leads out of it: not an absolute one, not `..`, not a symbolic
//! link.

use super::DistributionError;
use std::fs::Metadata;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::{Component, Path, PathBuf};

/// Folders are nested at most this deep.
const DEPTH_MAX: usize = 32;
/// A folder of install images has at most this many files, all levels together.
const WALKED_FILES_MAX: usize = 100_000;

/// A folder and all that is below it.
#[derive(Debug, Clone)]
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// The tree of a folder.
    pub fn open(path: &Path) -> std::result::Result<Self, DistributionError> {
        let root = path.canonicalize().map_err(DistributionError::file(path))?;
        if !root.is_dir() {
            return Err(DistributionError::file(path)(Error::from(ErrorKind::NotADirectory)));
        }
        Ok(Self { root })
    }

    /// The folder, without symbolic links in its name.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the file of this name really is; an error where there is none, or it is outside the tree.
    pub fn resolve(&self, href: &str) -> Result<PathBuf> {
        let outside = || Error::new(ErrorKind::PermissionDenied, "leads out of the tree");
        let plain = Path::new(href).components().all(|part| matches!(part, Component::Normal(_)));
        if href.is_empty() || href.contains('\0') || !plain {
            return Err(outside());
        }
        let path = self.root.join(href).canonicalize()?;
        if !path.starts_with(&self.root) {
            return Err(outside());
        }
        Ok(path)
    }

    /// Where the regular file of this name is, and its size and times.
    pub fn file(&self, href: &str) -> Result<(PathBuf, Metadata)> {
        let path = self.resolve(href)?;
        let metadata = path.metadata()?;
        if !metadata.is_file() {
            return Err(Error::new(ErrorKind::InvalidInput, "is not a regular file"));
        }
        Ok((path, metadata))
    }

    /// The bytes of a file that has no more than `bytes_max`.
    pub(super) fn read(&self, href: &str, bytes_max: u64) -> std::result::Result<Vec<u8>, DistributionError> {
        let failed = |error| DistributionError::File { path: self.root.join(href), error };
        let (path, _) = self.file(href).map_err(failed)?;
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > bytes_max {
            return Err(failed(Error::new(ErrorKind::FileTooLarge, format!("has more than {bytes_max} bytes"))));
        }
        Ok(bytes)
    }

    /// The regular files in a folder of the tree and below it, sorted; none where there is no such folder. Symbolic
    /// links are passed over.
    pub(super) fn walk(&self, folder: &str) -> std::result::Result<Vec<String>, DistributionError> {
        let mut found = Vec::new();
        let mut folders = vec![(folder.to_owned(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            let path = self.root.join(&folder);
            if path.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir()) || !path.exists() {
                continue;
            }
            for entry in std::fs::read_dir(&path).map_err(DistributionError::file(&path))? {
                let entry = entry.map_err(DistributionError::file(&path))?;
                let kind = entry.file_type().map_err(DistributionError::file(&path))?;
                let Ok(name) = entry.file_name().into_string() else { continue };
                let href = format!("{folder}/{name}");
                if kind.is_dir() && depth < DEPTH_MAX {
                    folders.push((href, depth + 1));
                } else if kind.is_file() {
                    found.push(href);
                }
            }
            if found.len() > WALKED_FILES_MAX {
                return Err(DistributionError::metadata(&path, format!("more than {WALKED_FILES_MAX} files")));
            }
        }
        found.sort();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_tree() {
        let folder = tempfile::tempdir().expect("tempdir");
        let root = folder.path().join("tree");
        std::fs::create_dir_all(root.join("a")).expect("folders");
        std::fs::write(root.join("a/in"), "in").expect("written");
        std::fs::write(folder.path().join("out"), "out").expect("written");
        std::os::unix::fs::symlink("../../out", root.join("a/link")).expect("linked");
        std::os::unix::fs::symlink("in", root.join("a/inner")).expect("linked");
        let tree = Tree::open(&root).expect("a tree");
        assert_eq!(tree.read("a/in", 10).expect("read"), b"in");
        assert_eq!(tree.read("a/inner", 10).expect("read"), b"in");
        let outside = folder.path().join("out");
        for href in
            ["../out", "a/../../out", "a/link", "/etc/passwd", "", ".", "a", "a/in\0", &outside.to_string_lossy()]
        {
            assert!(tree.read(href, 10).is_err(), "{href}");
        }
        assert_eq!(tree.walk("a").expect("walked"), ["a/in"]);
        assert!(tree.read("a/in", 1).is_err(), "a limit is passed");
    }
}
