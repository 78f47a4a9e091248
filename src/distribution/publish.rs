//! Publishing: every file of the tree that machines need is read once, checked against the metadata, and laid out as one
//! swarm. All that is wrong is told at once, and then nothing is published.

use super::hashing::{self, Expected};
use super::{DistributionError, Fault, PackageKeys, Repository, Tree};
use crate::cluster::{Arch, Distribution, DistributionName, Release};
use crate::torrent::{Envelope, Metainfo, MetainfoBuilder, fitting_piece_length_bytes};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The name of the blob that keeps a snapshot's [`super::Index`].
pub const INDEX_BLOB: &str = "index";
/// The name of the blob that keeps a snapshot's file records.
pub const RECORDS_BLOB: &str = "records";
/// The name of the blob that keeps the keys of a distribution's packages.
pub const KEYS_BLOB: &str = "package-keys";
/// The file that describes a tree of Red Hat's installer.
const TREE_INFO: &str = ".treeinfo";
/// A `.treeinfo` has at most this many bytes.
const TREE_INFO_BYTES_MAX: u64 = 1 << 20;

/// Is told how far the hashing is; called from several threads.
pub trait Observer: Sync {
    /// So many bytes have to be read.
    fn begin(&self, bytes: u64);
    /// So many more have been read.
    fn read(&self, bytes: u64);
}

/// Nobody wants to know.
impl Observer for () {
    fn begin(&self, _: u64) {}
    fn read(&self, _: u64) {}
}

/// The key of the envelope that holds the serial, in decimal digits.
pub const SERIAL_KEY: &str = "serial";
/// The key of the envelope that holds the signature.
pub const SIGNATURE_KEY: &str = "signature";

/// What is to be published.
pub struct Publication<'a> {
    /// The name of the distribution.
    pub name: DistributionName,
    /// The folder that holds `repodata/`.
    pub path: &'a Path,
    /// The release its Kickstart files are for.
    pub release: Release,
    /// The architecture of its machines.
    pub arch: Arch,
    /// The publication before this one.
    pub previous: Option<Previous>,
    /// The keys that every package must be signed with; none: signatures are not looked at.
    pub keys: &'a PackageKeys,
    /// Is told how far the hashing is.
    pub observer: &'a dyn Observer,
}

/// What the store keeps of the publication before.
#[derive(Debug, Clone)]
pub struct Previous {
    /// The distribution.
    pub distribution: Distribution,
    /// Its metainfo.
    pub metainfo: Vec<u8>,
    /// Its file records.
    pub records: Vec<u8>,
}

/// A publication, complete: what the store is to keep.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The distribution.
    pub distribution: Distribution,
    /// Its metainfo, not signed yet.
    pub metainfo: Metainfo,
    /// Its index, for [`super::Index::from_bytes`].
    pub index: Vec<u8>,
    /// Its file records, for the next publication.
    pub records: Vec<u8>,
    /// How many files of the swarm it has.
    pub files: u64,
    /// How many of them were read; the others had not changed since the publication before.
    pub files_read: u64,
    /// Whether it differs from the publication before.
    pub changed: bool,
}

impl Snapshot {
    /// Puts a signature beside the metainfo; the swarm stays the same.
    pub fn sign(&mut self, signature: &[u8]) {
        self.metainfo.envelope.own.insert(SIGNATURE_KEY.to_owned(), signature.to_vec());
    }
}

/// What is remembered of a file, so that it is not read again while it stays the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its size.
    pub size_bytes: u64,
    /// When its content was last changed, in nanoseconds since 1970.
    pub modified_nanos: i64,
    /// When anything about it was last changed: a content put back under an old date shows here.
    pub changed_nanos: i64,
    /// The checksum that it was found to have.
    pub checksum: String,
    /// The keys it was found to be signed with; empty where nobody looked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub keys: String,
}

/// A file of the snapshot, before it is read.
struct Member {
    href: String,
    expected: Option<Expected>,
    is_package: bool,
}

/// A file of the snapshot, read or recognised.
struct Hashed {
    href: String,
    record: FileRecord,
    pieces: Vec<[u8; 20]>,
    read: bool,
}

/// Reads, checks and lays out a tree.
pub fn publish(publication: &Publication<'_>) -> Result<Snapshot, DistributionError> {
    let repository = Repository::open(publication.path)?;
    let members = members(&repository)?;
    let (found, mut faults) = stat(&repository.tree, &members);
    let total_bytes = found.iter().map(|(_, _, record)| record.size_bytes).sum();
    let piece_bytes = fitting_piece_length_bytes(total_bytes);
    let known = Known::new(publication, piece_bytes);
    publication.observer.begin(
        found.iter().filter(|(member, _, record)| known.find(member, record).is_none()).map(|f| f.2.size_bytes).sum(),
    );
    let (keys, observer) = (publication.keys, publication.observer);
    let results: Vec<Result<Hashed, Fault>> = found
        .into_par_iter()
        .map(|(member, path, record)| match known.find(member, &record) {
            Some((record, pieces)) => Ok(Hashed { href: member.href.clone(), record, pieces, read: false }),
            None => hash(member, &path, record, piece_bytes, keys, observer),
        })
        .collect();
    let mut hashed = Vec::with_capacity(results.len());
    for result in results {
        match result {
            Ok(file) => hashed.push(file),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        faults.sort_by(|one, two| one.href.cmp(&two.href));
        return Err(DistributionError::Faults { faults });
    }
    assemble(publication, &repository, hashed, piece_bytes)
}

/// The files of the snapshot, sorted by name: packages, metadata, install images.
fn members(repository: &Repository) -> Result<Vec<Member>, DistributionError> {
    let tree = &repository.tree;
    let mut members: BTreeMap<String, Member> = BTreeMap::new();
    let mut add = |href: &str, expected, is_package| {
        let member = Member { href: href.to_owned(), expected, is_package };
        members.entry(href.to_owned()).or_insert(member);
    };
    for entry in &repository.packages {
        let expected = Expected {
            size_bytes: Some(entry.package.size_bytes),
            kind: entry.checksum_kind.clone(),
            checksum: entry.checksum.clone(),
        };
        add(&entry.package.href, Some(expected), true);
    }
    for file in &repository.repomd.files {
        let expected = Expected { size_bytes: None, kind: file.checksum_kind.clone(), checksum: file.checksum.clone() };
        add(&file.href, Some(expected), false);
    }
    let told = tree_info_checksums(tree)?;
    let images = ["images", "LiveOS"].into_iter().map(|folder| tree.walk(folder)).collect::<Result<Vec<_>, _>>()?;
    let single = ["repodata/repomd.xml", "repodata/repomd.xml.asc", "repodata/repomd.xml.key", TREE_INFO, ".discinfo"];
    let single = single.into_iter().filter(|href| tree.file(href).is_ok()).map(str::to_owned);
    // An image of a whole disc is for people to download, not for machines that install.
    for href in images.into_iter().flatten().filter(|href| !href.ends_with(".iso")).chain(single) {
        let expected = told.get(&href).map(|(kind, checksum)| Expected {
            size_bytes: None,
            kind: kind.clone(),
            checksum: checksum.clone(),
        });
        add(&href, expected, false);
    }
    Ok(members.into_values().collect())
}

/// The `[checksums]` of `.treeinfo`: lines `images/install.img = sha256:...`.
fn tree_info_checksums(tree: &Tree) -> Result<HashMap<String, (String, String)>, DistributionError> {
    if tree.file(TREE_INFO).is_err() {
        return Ok(HashMap::new());
    }
    let bytes = tree.read(TREE_INFO, TREE_INFO_BYTES_MAX)?;
    let text = String::from_utf8_lossy(&bytes);
    let section = text.lines().map(str::trim).skip_while(|line| *line != "[checksums]").skip(1);
    Ok(section
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| {
            let (href, value) = line.split_once('=')?;
            let (kind, checksum) = value.trim().split_once(':')?;
            Some((href.trim().to_owned(), (kind.to_owned(), checksum.to_ascii_lowercase())))
        })
        .collect())
}

/// Looks at every file without reading it: where it is, and its size and times; and what is wrong already.
fn stat<'m>(tree: &Tree, members: &'m [Member]) -> (Vec<(&'m Member, PathBuf, FileRecord)>, Vec<Fault>) {
    let mut found = Vec::with_capacity(members.len());
    let mut faults = Vec::new();
    for member in members {
        let mut fault = |why: String| faults.push(Fault { href: member.href.clone(), why });
        match tree.file(&member.href) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => fault("is missing".into()),
            Err(error) => fault(error.to_string()),
            Ok((path, metadata)) => {
                let told = member.expected.as_ref().and_then(|expected| expected.size_bytes);
                if let Some(told) = told.filter(|told| *told != metadata.len()) {
                    fault(format!("has {} bytes, not {told}", metadata.len()));
                    continue;
                }
                let nanos = |secs: i64, nanos: i64| secs.saturating_mul(1_000_000_000).saturating_add(nanos);
                let record = FileRecord {
                    size_bytes: metadata.len(),
                    modified_nanos: nanos(metadata.mtime(), metadata.mtime_nsec()),
                    changed_nanos: nanos(metadata.ctime(), metadata.ctime_nsec()),
                    checksum: String::new(),
                    keys: String::new(),
                };
                found.push((member, path, record));
            }
        }
    }
    (found, faults)
}

/// What is known from the publication before.
struct Known {
    records: HashMap<String, FileRecord>,
    metainfo: Option<Metainfo>,
    keys: String,
}

impl Known {
    fn new(publication: &Publication<'_>, piece_bytes: u32) -> Self {
        let keys = publication.keys.fingerprint();
        let before = publication.previous.as_ref().and_then(|previous| {
            let metainfo = Metainfo::parse(&previous.metainfo).ok()?;
            let records = serde_json::from_slice(&previous.records).ok()?;
            (metainfo.layout().piece_length_bytes() == piece_bytes).then_some((records, metainfo))
        });
        match before {
            Some((records, metainfo)) => Self { records, metainfo: Some(metainfo), keys },
            None => Self { records: HashMap::new(), metainfo: None, keys },
        }
    }

    /// The record and piece hashes of a file that is as it was and as it should be.
    fn find(&self, member: &Member, now: &FileRecord) -> Option<(FileRecord, Vec<[u8; 20]>)> {
        let record = self.records.get(&member.href)?;
        let same = (record.size_bytes, record.modified_nanos, record.changed_nanos)
            == (now.size_bytes, now.modified_nanos, now.changed_nanos);
        let right = member.expected.as_ref().is_none_or(|expected| expected.checksum == record.checksum);
        let signed = !member.is_package || self.keys.is_empty() || self.keys == record.keys;
        let metainfo = self.metainfo.as_ref().filter(|_| same && right && signed)?;
        let file = metainfo.layout().file(&member.href).filter(|file| file.length_bytes == now.size_bytes)?;
        let pieces = metainfo.layout().pieces_of(file).map(|piece| *metainfo.piece_hash(piece)).collect();
        Some((record.clone(), pieces))
    }
}

/// Reads one file, checks it and hashes its pieces.
fn hash(
    member: &Member,
    path: &Path,
    mut record: FileRecord,
    piece_bytes: u32,
    keys: &PackageKeys,
    observer: &dyn Observer,
) -> Result<Hashed, Fault> {
    let fault = |why: String| Fault { href: member.href.clone(), why };
    let sums = hashing::read(path, piece_bytes, member.expected.as_ref(), observer).map_err(fault)?;
    if sums.length_bytes != record.size_bytes {
        return Err(fault("changed while it was read".into()));
    }
    if member.is_package && !keys.is_empty() {
        keys.verify(path).map_err(fault)?;
        record.keys = keys.fingerprint();
    }
    record.checksum = sums.checksum;
    Ok(Hashed { href: member.href.clone(), record, pieces: sums.pieces, read: true })
}

/// Lays the files out and puts together what the store keeps.
fn assemble(
    publication: &Publication<'_>,
    repository: &Repository,
    hashed: Vec<Hashed>,
    piece_bytes: u32,
) -> Result<Snapshot, DistributionError> {
    let mut builder = MetainfoBuilder::new(publication.name.as_str(), piece_bytes)?;
    let files = hashed.len() as u64;
    let files_read = hashed.iter().filter(|file| file.read).count() as u64;
    let mut records = BTreeMap::new();
    for file in hashed {
        builder.file(&file.href, file.record.size_bytes, file.pieces)?;
        records.insert(file.href, file.record);
    }
    let mut metainfo = builder.finish()?;
    let info_hash = metainfo.info_hash();
    let before = publication.previous.as_ref().map(|previous| &previous.distribution);
    let changed = before.is_none_or(|before| before.info_hash != info_hash);
    let serial = before.map_or(1, |before| before.serial + u64::from(changed));
    metainfo.envelope = Envelope {
        created_by: Some(concat!("rocks ", env!("CARGO_PKG_VERSION")).to_owned()),
        own: [(SERIAL_KEY.to_owned(), serial.to_string().into_bytes())].into(),
        ..Envelope::default()
    };
    let distribution = Distribution {
        name: publication.name.clone(),
        path: repository.tree.root().to_owned(),
        release: publication.release,
        arch: publication.arch,
        info_hash,
        serial,
        packages: repository.packages.len() as u64,
        bytes: repository.packages.iter().map(|entry| entry.package.size_bytes).sum(),
    };
    Ok(Snapshot {
        distribution,
        metainfo,
        index: repository.index(publication.arch).to_bytes(),
        records: serde_json::to_vec(&records).expect("plain values are JSON"),
        files,
        files_read,
        changed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::packages::{DistributionSpec, make_distribution};
    use crate::demo::repodata;
    use proptest::prelude::*;

    const SIGNER: &str = include_str!("../../testdata/distribution/keys/signer.secret.asc");
    const SIGNER_PUBLIC: &str = include_str!("../../testdata/distribution/keys/signer.public.asc");
    const STRANGER_PUBLIC: &str = include_str!("../../testdata/distribution/keys/stranger.public.asc");

    struct Made {
        folder: tempfile::TempDir,
        hrefs: Vec<String>,
    }

    fn made(signing_key: Option<&str>) -> Made {
        let folder = tempfile::tempdir().expect("tempdir");
        let spec = DistributionSpec { bytes: 1 << 20, packages: 12, ..DistributionSpec::default() };
        let hrefs = make_distribution(folder.path(), &spec).expect("made").hrefs;
        let made = Made { folder, hrefs };
        if let Some(key) = signing_key {
            made.sign(key);
        }
        made
    }

    impl Made {
        fn path(&self, n: usize) -> PathBuf {
            self.folder.path().join(&self.hrefs[n])
        }

        fn publish(&self, previous: Option<&Snapshot>, keys: &[&str]) -> Result<Snapshot, DistributionError> {
            let mut package_keys = PackageKeys::default();
            for key in keys {
                package_keys.add(Path::new("key"), key).expect("a key");
            }
            publish(&Publication {
                name: DistributionName::parse("el9").expect("a name"),
                path: self.folder.path(),
                release: Release::Rhel9,
                arch: Arch::X86_64,
                previous: previous.map(|snapshot| Previous {
                    distribution: snapshot.distribution.clone(),
                    metainfo: snapshot.metainfo.to_bytes(),
                    records: snapshot.records.clone(),
                }),
                keys: &package_keys,
                observer: &(),
            })
        }

        /// Signs every package; the program itself never does.
        fn sign(&self, key: &str) {
            let signer = rpm::signature::pgp::Signer::from_asc(key).expect("a secret key");
            for n in 0..self.hrefs.len() {
                let mut package = rpm::Package::open(self.path(n)).expect("a package");
                package.sign_with_timestamp(&signer, 1_700_000_000).expect("signed");
                package.write_file(self.path(n)).expect("written");
            }
            self.write_repodata();
        }

        /// Makes the metadata anew for what is there.
        fn write_repodata(&self) {
            std::fs::remove_dir_all(self.folder.path().join("repodata")).expect("removed");
            repodata::write(self.folder.path(), &self.hrefs, &[], 1).expect("written");
        }

        fn spoil(&self, n: usize) {
            let mut bytes = std::fs::read(self.path(n)).expect("readable");
            let last = bytes.len() - 100;
            bytes[last] ^= 1;
            std::fs::write(self.path(n), bytes).expect("written");
        }
    }

    fn faults(result: Result<Snapshot, DistributionError>) -> Vec<String> {
        match result {
            Err(DistributionError::Faults { faults }) => faults.iter().map(ToString::to_string).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_snapshot_has_every_file_sorted_and_at_the_beginning_of_a_piece() {
        let made = made(None);
        let image = made.folder.path().join("images/pxeboot/vmlinuz");
        std::fs::create_dir_all(image.parent().expect("a folder")).expect("made");
        std::fs::write(&image, "kernel").expect("written");
        std::fs::write(made.folder.path().join("images/boot.iso"), "for people").expect("written");
        let snapshot = made.publish(None, &[]).expect("published");
        let metainfo = Metainfo::parse(&snapshot.metainfo.to_bytes()).expect("what we made");
        let layout = metainfo.layout();
        assert_eq!(layout.piece_length_bytes(), 128 << 10);
        let real: Vec<_> = layout.files().iter().filter(|file| !file.is_pad).collect();
        let names: Vec<String> = real.iter().map(|file| file.path.to_string()).collect();
        assert!(names.is_sorted(), "{names:?}");
        assert_eq!(names.len() as u64, snapshot.files);
        for name in made.hrefs.iter().map(String::as_str).chain(["repodata/repomd.xml", "images/pxeboot/vmlinuz"]) {
            assert!(names.iter().any(|there| there == name), "{name} is missing");
        }
        assert!(!names.iter().any(|name| name.ends_with(".iso")));
        for file in real {
            assert_eq!(file.offset_bytes % u64::from(layout.piece_length_bytes()), 0, "{}", file.path);
            let bytes = std::fs::read(made.folder.path().join(file.path.as_str())).expect("readable");
            for (piece, payload) in layout.pieces_of(file).zip(bytes.chunks(layout.piece_length_bytes() as usize)) {
                assert!(metainfo.verify_piece(piece, payload), "{}", file.path);
            }
        }
        assert_eq!((snapshot.distribution.serial, snapshot.distribution.packages), (1, 12));
        assert_eq!(metainfo.envelope.own[SERIAL_KEY], b"1");
    }

    #[test]
    fn only_what_has_changed_is_read_again_and_only_a_change_counts() {
        let made = made(None);
        let first = made.publish(None, &[]).expect("published");
        assert_eq!(first.files_read, first.files);
        let again = made.publish(Some(&first), &[]).expect("published");
        assert_eq!((again.files_read, again.changed, again.distribution.serial), (0, false, 1));
        assert_eq!(again.metainfo.to_bytes(), first.metainfo.to_bytes());
        let time = std::time::SystemTime::now();
        std::fs::File::options()
            .append(true)
            .open(made.path(3))
            .and_then(|file| file.set_modified(time))
            .expect("touched");
        let touched = made.publish(Some(&first), &[]).expect("published");
        assert_eq!((touched.files_read, touched.changed), (1, false));
        std::fs::remove_file(made.path(0)).expect("removed");
        let fewer = Made { hrefs: made.hrefs[1..].to_vec(), folder: made.folder };
        fewer.write_repodata();
        let changed = fewer.publish(Some(&touched), &[]).expect("published");
        assert_eq!((changed.changed, changed.distribution.serial, changed.distribution.packages), (true, 2, 11));
        assert!(changed.files_read <= 6, "{} files read", changed.files_read);
    }

    #[test]
    fn every_faulty_file_is_named() {
        let made = made(None);
        std::fs::remove_file(made.path(1)).expect("removed");
        std::fs::File::options().write(true).open(made.path(4)).and_then(|file| file.set_len(100)).expect("cut");
        made.spoil(7);
        std::fs::remove_file(made.path(9)).expect("removed");
        std::os::unix::fs::symlink("/etc/hostname", made.path(9)).expect("linked");
        let found = faults(made.publish(None, &[]));
        assert_eq!(found.len(), 4, "{found:?}");
        for (n, why) in [(1, "is missing"), (4, "has 100 bytes"), (7, "another sha256"), (9, "leads out of the tree")] {
            let named = found.iter().any(|fault| fault.contains(&made.hrefs[n]) && fault.contains(why));
            assert!(named, "{} {why}: {found:?}", made.hrefs[n]);
        }
    }

    #[test]
    fn with_keys_every_package_must_be_signed_by_one_of_them() {
        let signed = made(Some(SIGNER));
        let snapshot = signed.publish(None, &[STRANGER_PUBLIC, SIGNER_PUBLIC]).expect("published");
        assert_eq!(snapshot.files_read, snapshot.files);
        let found = faults(signed.publish(Some(&snapshot), &[STRANGER_PUBLIC]));
        assert_eq!(found.len(), 12, "{found:?}");
        assert!(found.iter().all(|fault| fault.contains("signed with another key")), "{found:?}");

        let unsigned = made(None);
        let quiet = unsigned.publish(None, &[]).expect("without keys nobody looks");
        let found = faults(unsigned.publish(Some(&quiet), &[SIGNER_PUBLIC]));
        assert_eq!(found.len(), 12, "{found:?}");
        assert!(found.iter().all(|fault| fault.contains("is not signed")), "{found:?}");
    }

    #[test]
    fn a_signed_package_with_another_payload_or_header_is_named() {
        let signed = made(Some(SIGNER));
        signed.spoil(5);
        let mut bytes = std::fs::read(signed.path(6)).expect("readable");
        let at = bytes.windows(5).position(|window| window == b"Made ").expect("the description is in the header");
        bytes[at] ^= 1;
        std::fs::write(signed.path(6), bytes).expect("written");
        // Whoever changes a package can change the metadata too.
        signed.write_repodata();
        let found = faults(signed.publish(None, &[SIGNER_PUBLIC]));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains(&signed.hrefs[5]) && found[0].contains("does not vouch for"), "{found:?}");
        assert!(found[1].contains(&signed.hrefs[6]) && found[1].contains("wrong signature"), "{found:?}");
    }

    #[test]
    fn the_checksums_of_an_installer_tree_are_checked() {
        let made = made(None);
        std::fs::create_dir(made.folder.path().join("images")).expect("made");
        std::fs::write(made.folder.path().join("images/install.img"), "image").expect("written");
        let info = "[general]\nfamily = x\n[checksums]\nimages/install.img = sha256:00\n[stage2]\n";
        std::fs::write(made.folder.path().join(TREE_INFO), info).expect("written");
        let found = faults(made.publish(None, &[]));
        assert!(found.len() == 1 && found[0].contains("images/install.img"), "{found:?}");
    }

    proptest! {
        #[test]
        fn spoiled_records_are_as_good_as_none(records in prop::collection::vec(any::<u8>(), 0..50)) {
            let metainfo = records.clone();
            let distribution = Distribution {
                name: DistributionName::parse("a").expect("a name"),
                path: PathBuf::new(),
                release: Release::Rhel9,
                arch: Arch::X86_64,
                info_hash: crate::torrent::InfoHash([0; 20]),
                serial: 1,
                packages: 0,
                bytes: 0,
            };
            let publication = Publication {
                name: distribution.name.clone(),
                path: Path::new("/"),
                release: Release::Rhel9,
                arch: Arch::X86_64,
                previous: Some(Previous { distribution, metainfo, records }),
                keys: &PackageKeys::default(),
                observer: &(),
            };
            prop_assert!(Known::new(&publication, 1 << 18).records.is_empty());
        }
    }
}
