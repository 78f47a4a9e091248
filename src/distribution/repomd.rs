//! `repodata/repomd.xml`: which metadata files a tree has, and their checksums.

use super::compression::{METADATA_FILE_BYTES_MAX, METADATA_OPEN_BYTES_MAX};
use super::xml::{self, Node};
use super::{DistributionError, Tree};
use sha2::{Digest, Sha256, Sha512};
use std::fmt::Write as _;

/// The most files a repomd.xml may list.
const FILES_MAX: usize = 256;

/// The files of `repodata/`, as repomd.xml lists them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repomd {
    /// The files, in the order listed.
    pub files: Vec<MetadataFile>,
}

/// A file of `repodata/`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataFile {
    /// What it is (`primary`, `filelists`, `group`, `modules`, ...).
    pub kind: String,
    /// The file, relative to the tree.
    pub href: String,
    /// How its checksum is made (`sha256`).
    pub checksum_kind: String,
    /// Its checksum, hexadecimal.
    pub checksum: String,
    /// Its size unpacked, where told.
    pub open_size_bytes: Option<u64>,
}

impl Repomd {
    /// The name of the file itself, relative to the tree.
    pub const HREF: &str = "repodata/repomd.xml";

    /// Reads it from a tree.
    pub fn open(tree: &Tree) -> Result<Self, DistributionError> {
        if !tree.root().join(Self::HREF).is_file() {
            return Err(DistributionError::NoRepodata { path: tree.root().to_owned() });
        }
        let bytes = tree.read(Self::HREF, METADATA_FILE_BYTES_MAX)?;
        Self::parse(tree, &bytes)
    }

    fn parse(tree: &Tree, bytes: &[u8]) -> Result<Self, DistributionError> {
        let path = tree.root().join(Self::HREF);
        let mut repomd = Self::default();
        let mut file = None;
        xml::read(&path, bytes, &mut |node| {
            match node {
                Node::Open("data", attributes) => {
                    let kind = attributes.get("type").unwrap_or_default().into_owned();
                    file = Some(MetadataFile { kind, ..MetadataFile::default() });
                }
                Node::Open("location", attributes) => {
                    if let (Some(file), Some(href)) = (&mut file, attributes.get("href")) {
                        file.href = href.into_owned();
                    }
                }
                Node::Open("checksum", attributes) => {
                    if let Some(file) = &mut file {
                        file.checksum_kind = attributes.get("type").unwrap_or_default().into_owned();
                    }
                }
                Node::Close("checksum", text) => {
                    if let Some(file) = &mut file {
                        file.checksum = text.trim().to_ascii_lowercase();
                    }
                }
                Node::Close("open-size", text) => {
                    if let Some(file) = &mut file {
                        file.open_size_bytes = text.trim().parse().ok();
                    }
                }
                Node::Close("data", _) => {
                    let file = file.take().ok_or("a stray </data>")?;
                    if file.href.is_empty() {
                        return Err(format!("the '{}' file has no location", file.kind));
                    }
                    if repomd.files.len() == FILES_MAX {
                        return Err(format!("more than {FILES_MAX} files are listed"));
                    }
                    repomd.files.push(file);
                }
                Node::Open(..) | Node::Close(..) => {}
            }
            Ok(())
        })?;
        Ok(repomd)
    }

    /// The file of one of these kinds, the first kind first.
    pub fn find(&self, kinds: &[&str]) -> Option<&MetadataFile> {
        kinds.iter().find_map(|kind| self.files.iter().find(|file| file.kind == *kind))
    }
}

impl MetadataFile {
    /// Reads the file from its tree, packed as it is, and checks its checksum.
    pub fn read(&self, tree: &Tree) -> Result<Vec<u8>, DistributionError> {
        let bytes = tree.read(&self.href, METADATA_FILE_BYTES_MAX)?;
        let path = tree.root().join(&self.href);
        let found = match self.checksum_kind.as_str() {
            "sha256" => hex(&Sha256::digest(&bytes)),
            "sha512" => hex(&Sha512::digest(&bytes)),
            "sha" | "sha1" => hex(&sha1::Sha1::digest(&bytes)),
            kind => {
                return Err(DistributionError::metadata(&path, format!("has an unknown kind of checksum, '{kind}'")));
            }
        };
        if found != self.checksum {
            let why = format!("is not as repomd.xml says: its {} is {found}", self.checksum_kind);
            return Err(DistributionError::metadata(&path, why));
        }
        Ok(bytes)
    }

    /// How many bytes it may unpack into.
    pub(super) fn open_bytes_max(&self) -> u64 {
        self.open_size_bytes.unwrap_or(METADATA_OPEN_BYTES_MAX).min(METADATA_OPEN_BYTES_MAX)
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}
