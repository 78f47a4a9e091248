//! `rocks add-distribution`.

use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::ui;
use anyhow::Context as _;
use indicatif::ProgressBar;
use rocks::cluster::{Arch, ByteSize, DistributionName, Release};
use rocks::distribution::{self, INDEX_BLOB, KEYS_BLOB, PackageKeys, Previous, Publication, RECORDS_BLOB, Snapshot};
use rocks::store::{Reader, Store, StoreError};
use rocks::trust::{Keys, SnapshotClaim};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// Add a distribution: publish a tree of packages, or publish it again after it has changed
///
/// The tree has repodata/ as createrepo_c makes it. Every file is checked against it; where one is wrong, all that are
/// wrong are named and nothing is published. The cluster's first distribution is every appliance's default. Files that
/// have not changed since the last time are not read again.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rocks add-distribution el9 /srv/el9 --release rhel9
  rocks add-distribution el9 /srv/el9 --release rhel9 --gpg-key /etc/pki/rpm-gpg/RPM-GPG-KEY-redhat-release")]
pub(crate) struct Args {
    /// Its name: letters, digits, '.', '_' and '-'
    name: DistributionName,
    /// The folder that holds repodata/
    path: PathBuf,
    /// The release its Kickstart files are for: rocks7, rhel7, rhel8, rhel9, rhel10 or fedora [default: as before]
    #[arg(long)]
    release: Option<Release>,
    /// The architecture of its machines: x86_64 or aarch64 [default: as before, else x86_64]
    #[arg(long)]
    arch: Option<Arch>,
    /// Every package must be signed with one of the OpenPGP keys in these files [default: the keys given before]
    #[arg(long, value_name = "FILE")]
    gpg_key: Vec<PathBuf>,
}

pub(crate) fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let Args { name, path, release, arch, gpg_key } = args;
    let before = match Store::open(context.cluster()) {
        Err(StoreError::Missing { .. }) => (None, None),
        store => store?.read(|r| last_publication(r, &name))?,
    };
    let (previous, kept_keys) = before;
    let last = previous.as_ref().map(|previous| &previous.distribution);
    let Some(release) = release.or(last.map(|last| last.release)) else {
        return Err(Failure::new(Kind::Usage, format!("distribution '{name}' is new: its release is missing"))
            .hint("add --release rhel9, or the like")
            .into());
    };
    let keys = package_keys(&gpg_key, kept_keys)?;
    let snapshot = distribution::publish(&Publication {
        name: name.clone(),
        path: &path,
        release,
        arch: arch.or(last.map(|last| last.arch)).unwrap_or_default(),
        keys: &keys,
        observer: &Progress::default(),
        previous: previous.clone(),
    })?;
    keep(context, snapshot, &keys, previous.as_ref())
}

/// What the store has of the publication before, and the keys of its packages.
fn last_publication(r: &Reader, name: &DistributionName) -> Result<(Option<Previous>, Option<Vec<u8>>), StoreError> {
    let Some(distribution) = r.distributions()?.into_iter().find(|distribution| distribution.name == *name) else {
        return Ok((None, None));
    };
    let metainfo = r.metainfo(name)?.unwrap_or_default();
    let records = r.blob(name, RECORDS_BLOB)?.unwrap_or_default();
    Ok((Some(Previous { distribution, metainfo, records }), r.blob(name, KEYS_BLOB)?))
}

/// The keys in these files, else those given before.
fn package_keys(files: &[PathBuf], kept: Option<Vec<u8>>) -> anyhow::Result<PackageKeys> {
    let mut keys = PackageKeys::default();
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read '{}'", file.display()))?;
        keys.add(file, &text)?;
    }
    if let (true, Some(kept)) = (files.is_empty(), kept.filter(|kept| !kept.is_empty())) {
        keys.add(Path::new("the keys given before"), &String::from_utf8_lossy(&kept))?;
    }
    Ok(keys)
}

/// Signs the snapshot and writes it to the store.
fn keep(context: &Context, mut snapshot: Snapshot, keys: &PackageKeys, previous: Option<&Previous>) -> anyhow::Result<()> {
    let store = context.store_to_write()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let signing = Keys::open_or_create(context.cluster(), now)?.signing;
    let distribution = snapshot.distribution.clone();
    let (name, serial) = (&distribution.name, distribution.serial);
    let claim = SnapshotClaim { distribution: name.as_str(), serial, info_hash: distribution.info_hash.0 };
    snapshot.sign(&signing.sign(&claim));
    store.write(&format!("add distribution {name}, serial {serial}"), |w| {
        let there = w.distributions()?.into_iter().find(|there| there.name == *name);
        if there.as_ref() != previous.map(|previous| &previous.distribution) {
            // Somebody else has published it meanwhile.
            return Err(StoreError::Exists { noun: "distribution", name: format!("{name} of another serial") });
        }
        w.put_distribution(&distribution)?;
        w.put_metainfo(name, &snapshot.metainfo.to_bytes())?;
        w.put_blob(name, INDEX_BLOB, &snapshot.index)?;
        w.put_blob(name, RECORDS_BLOB, &snapshot.records)?;
        w.put_blob(name, KEYS_BLOB, keys.as_text().as_bytes())
    })?;
    let (files, read) = (snapshot.files, snapshot.files_read);
    let size = ByteSize::from_bytes(distribution.bytes);
    let what = if snapshot.changed { "published" } else { "nothing has changed in" };
    ui::note(&format!(
        "{what} distribution {name}: serial {serial}, {} packages, {size}, {read} of {files} files read",
        distribution.packages
    ));
    if keys.is_empty() {
        ui::note("the packages' signatures were not verified: no key was given with --gpg-key");
    }
    Ok(())
}

/// A progress bar over the bytes that are read.
#[derive(Default)]
struct Progress(OnceLock<ProgressBar>);

impl distribution::Observer for Progress {
    fn begin(&self, bytes: u64) {
        self.0.get_or_init(|| ui::byte_progress(bytes, "checking packages"));
    }

    fn read(&self, bytes: u64) {
        if let Some(bar) = self.0.get() {
            bar.inc(bytes);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.0.get() {
            bar.finish_and_clear();
        }
    }
}
