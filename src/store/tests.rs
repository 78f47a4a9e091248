//! What the store promises, held over disks that fail: power cuts, full disks; and records that live on.

use super::*;
use crate::cluster::{
    Attribute, AttributeName, BootAction, Distribution, DistributionName, Host, HostName, InstallState, Interface,
    Scope,
};
use redb::{BackendError, ConcurrencyMode, StorageBackend};
use std::collections::BTreeSet;
use std::io;
use std::ops::Bound;
use std::sync::Mutex;

/// A disk that keeps what was synced. What was written since then is kept, lost, torn or reordered when the power is
/// cut.
#[derive(Debug, Default)]
struct Disk {
    synced: Vec<u8>,
    written: Vec<u8>,
    since_sync: Vec<Change>,
    /// Writes and syncs until the power is cut; none where it stays.
    changes_left: Option<u64>,
    /// The disk's size.
    size_bytes: Option<u64>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    Length(usize),
}

impl Disk {
    fn spend(&mut self) -> io::Result<()> {
        match &mut self.changes_left {
            Some(0) => Err(io::Error::other("the power is cut")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// What the disk holds after the power came back.
    fn after_power_cut(&self, dice: &mut Dice) -> Vec<u8> {
        /// Disks write whole sectors.
        const SECTOR: usize = 512;
        let mut image = self.synced.clone();
        let mut changes = self.since_sync.clone();
        for i in (1..changes.len()).rev() {
            changes.swap(i, dice.below(i + 1));
        }
        for change in changes {
            match change {
                Change::Length(length) if dice.below(2) == 0 => image.resize(length, 0),
                Change::Length(_) => {}
                Change::Write { offset, data } => {
                    let sectors = data.len().div_ceil(SECTOR);
                    let kept = match dice.below(3) {
                        0 => 0,
                        1 => dice.below(sectors + 1),
                        _ => sectors,
                    };
                    let kept = &data[..(kept * SECTOR).min(data.len())];
                    if image.len() < offset + kept.len() {
                        image.resize(offset + kept.len(), 0);
                    }
                    image[offset..offset + kept.len()].copy_from_slice(kept);
                }
            }
        }
        image
    }
}

/// A disk as a backend. One process has it, so every lock is free.
#[derive(Debug, Clone, Default)]
struct Backend(Arc<Mutex<Disk>>);

impl Backend {
    fn holding(image: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Disk { synced: image.clone(), written: image, ..Disk::default() })))
    }

    fn disk(&self) -> std::sync::MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    fn store(&self) -> Result<Store, StoreError> {
        let path = PathBuf::from("rocks.redb");
        let database = Database::builder()
            .set_concurrency_mode(ConcurrencyMode::MultiWriter)
            .create_with_backend(shared_file::SharedFile::over(self.clone()).0)
            .map_err(|error| database_error(&path, error.into()))?;
        Ok(Store::over(database, path))
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk().written.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.disk();
        let at = offset as usize;
        let bytes = disk.written.get(at..at + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.disk();
        disk.spend()?;
        if disk.size_bytes.is_some_and(|size| len > size) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.written.resize(len as usize, 0);
        disk.since_sync.push(Change::Length(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk();
        disk.spend()?;
        disk.synced = disk.written.clone();
        disk.since_sync.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut disk = self.disk();
        disk.spend()?;
        let at = offset as usize;
        disk.written[at..at + data.len()].copy_from_slice(data);
        disk.since_sync.push(Change::Write { offset: at, data: data.to_vec() });
        Ok(())
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn query_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(false)
    }
}

/// Numbers that follow from a seed value (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

fn name(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

fn host(text: &str, last: u8) -> Host {
    let mut host = Host::new(name(text), "compute");
    let ip = Some([10, 1, 0, last].into());
    host.interfaces.push(Interface { name: "eth0".to_owned(), mac: None, ip, network: None });
    host
}

/// Adds hosts, three in a transaction, until a write fails. The numbers of the transactions that were acknowledged.
fn add_until_failure(store: &Store, from: usize, to: usize) -> BTreeSet<usize> {
    let mut acknowledged = BTreeSet::new();
    for number in from..to {
        let added = store.write(&format!("add rack {number}"), |w| {
            (0..3).try_for_each(|i| w.add_host(&Host::new(name(&format!("compute-{number}-{i}")), "compute")))
        });
        match added {
            Ok(()) => acknowledged.insert(number),
            Err(_) => break,
        };
    }
    acknowledged
}

/// The transactions whose hosts are there; each is there whole, with its journal line.
fn transactions_there(store: &Store) -> BTreeSet<usize> {
    let (hosts, journal) = store.read(|r| Ok((r.hosts()?, r.journal(usize::MAX)?))).unwrap();
    let racks: BTreeSet<usize> = hosts.iter().filter_map(|host| host.rack_of_name()).collect();
    for rack in &racks {
        assert_eq!(hosts.iter().filter(|host| host.rack_of_name() == Some(*rack)).count(), 3, "rack {rack} is torn");
        assert!(journal.iter().any(|entry| entry.sentence == format!("add rack {rack}")), "rack {rack} is not told");
    }
    assert_eq!(journal.len(), racks.len() + 1, "the journal tells what is not there");
    racks
}

trait RackOfName {
    fn rack_of_name(&self) -> Option<usize>;
}

impl RackOfName for Host {
    fn rack_of_name(&self) -> Option<usize> {
        self.name.parts().map(|(_, rack, _)| rack as usize)
    }
}

/// `ROCKS_POWER_CUT_SEEDS` says how many seed values are tried.
#[test]
fn after_a_power_cut_exactly_the_acknowledged_writes_are_there() {
    let told = std::env::var("ROCKS_POWER_CUT_SEEDS");
    let seeds: u64 = told.map_or(150, |seeds| seeds.parse().expect("ROCKS_POWER_CUT_SEEDS is a number"));
    let mut cuts_within_a_write = 0;
    for seed in 0..seeds {
        let mut dice = Dice(seed);
        let mut backend = Backend::default();
        backend.store().unwrap().write_unjournaled(fresh::new_cluster).unwrap();
        let mut acknowledged = BTreeSet::new();
        // Several cuts, one after the other: what was put in order once must stay in order.
        for round in 0..3 {
            let store = backend.store().unwrap();
            backend.disk().changes_left = Some(dice.below(120) as u64);
            let from = 100 * round;
            let added = add_until_failure(&store, from, from + 20);
            let in_flight = from + added.len();
            acknowledged.extend(added);
            let image = backend.disk().after_power_cut(&mut dice);
            drop(store);
            backend = Backend::holding(image);
            let store = backend.store().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let there = transactions_there(&store);
            // The write that was under way when the power went may have been finished, never in part.
            let unacknowledged: Vec<usize> = there.difference(&acknowledged).copied().collect();
            assert!(there.is_superset(&acknowledged), "seed {seed}: {acknowledged:?} but {there:?}");
            assert!(unacknowledged.iter().all(|number| *number == in_flight), "seed {seed}: {unacknowledged:?}");
            cuts_within_a_write += usize::from(in_flight < from + 20);
            acknowledged = there;
        }
    }
    assert!(cuts_within_a_write > seeds as usize, "the cuts come too late to test anything");
}

#[test]
fn a_full_disk_fails_the_write_and_nothing_else() {
    let backend = Backend::default();
    let store = backend.store().unwrap();
    store.write_unjournaled(fresh::new_cluster).unwrap();
    let room_bytes = StorageBackend::len(&backend).unwrap() + 65_536;
    backend.disk().size_bytes = Some(room_bytes);
    let value = "x".repeat(10_000);
    let name = AttributeName::parse("motd").unwrap();
    let mut written = Vec::new();
    let error = loop {
        let number = written.len();
        let written_now = store.write("grow", |w| {
            let host = host(&format!("compute-0-{number}"), number as u8 + 1);
            w.add_host(&host)?;
            w.set_attribute(&Attribute {
                scope: Scope::Host(host.name.clone()),
                name: name.clone(),
                value: value.clone(),
            })?;
            Ok(host.name)
        });
        match written_now {
            Ok(host) => written.push(host),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, StoreError::Io { cause, .. } if cause.kind() == io::ErrorKind::StorageFull), "{error}");
    drop(store);
    backend.disk().size_bytes = None;
    let store = backend.store().unwrap();
    assert_eq!(store.read(|r| r.host_names()).unwrap(), written);
    store.write("there is room again", |w| w.add_host(&host("compute-1-0", 250))).unwrap();
}

#[test]
fn a_write_that_fails_leaves_nothing_and_one_that_changes_nothing_leaves_no_trace() {
    let store = Store::in_memory().unwrap();
    let before = store.read(|r| r.export()).unwrap();
    let failed: Result<(), StoreError> = store.write("fail", |w| {
        w.add_host(&host("compute-0-0", 1))?;
        w.set_boot(&name("compute-0-0"), BootAction::Install)?;
        w.add_host(&host("compute-0-1", 1))
    });
    assert!(matches!(failed, Err(StoreError::Taken { .. })));
    store.write("nothing", |_| Ok(())).unwrap();
    assert_eq!(store.read(|r| r.export()).unwrap(), before);
}

#[test]
fn the_generation_of_facts_rises_only_with_what_a_profile_may_see() {
    let store = Store::in_memory().unwrap();
    let generations = || store.read(|r| Ok((r.generation()?, r.facts_generation()?))).unwrap();
    store.write("add", |w| w.add_host(&host("compute-0-0", 1))).unwrap();
    let (all, facts) = generations();
    assert_eq!(all, facts);
    store.write("install", |w| w.set_boot(&name("compute-0-0"), BootAction::Install)).unwrap();
    assert_eq!(generations(), (all + 1, facts));
    let global = |value: &str| Attribute {
        scope: Scope::Global,
        name: AttributeName::parse("x").unwrap(),
        value: value.to_owned(),
    };
    store.write("set", |w| w.set_attribute(&global("1"))).unwrap();
    assert_eq!(generations(), (all + 2, all + 2));
    store.write("set", |w| w.set_attribute(&global("1"))).unwrap();
    assert_eq!(generations(), (all + 2, all + 2), "the same value again changes nothing");
}

#[test]
fn news_of_an_older_installation_changes_nothing() {
    let store = Store::in_memory().unwrap();
    let compute = name("compute-0-0");
    store
        .write("install twice", |w| {
            w.add_host(&host("compute-0-0", 1))?;
            w.set_first_boot(&compute, BootAction::Install)?;
            w.set_boot(&compute, BootAction::Install)
        })
        .unwrap();
    let report = |install_id, state| {
        let change = BootChange::Goes { install_id, state, note: None };
        store.write("report", |w| w.change_boot(&compute, &change)).unwrap()
    };
    let boot = || store.read(|r| r.boot(&compute)).unwrap();
    assert!(!report(1, InstallState::Installed));
    assert_eq!((boot().action, boot().state), (BootAction::Install, Some(InstallState::Waiting)));
    assert!(report(2, InstallState::Installing));
    assert!(report(2, InstallState::Installed));
    assert_eq!((boot().action, boot().state, boot().install_id), (BootAction::Os, Some(InstallState::Installed), 2));
    assert!(!report(0, InstallState::Failed), "a host that was never told to install cannot fail");
}

/// A machine goes on in the name of a host that was removed or renamed: its goodbye ends nothing of the next host of that name.
#[test]
fn a_host_of_a_name_that_was_there_before_begins_above_its_installations() {
    let compute = name("compute-0-0");
    for ordered_first in [false, true] {
        let store = Store::in_memory().unwrap();
        let add = |store: &Store| store.write("add", |w| w.add_host(&host("compute-0-0", 1))).unwrap();
        let order = |store: &Store| store.write("install", |w| w.set_boot(&compute, BootAction::Install)).unwrap();
        add(&store);
        // Without an order it comes by itself, and is gone before that is written.
        let first = match ordered_first {
            true => order(&store).install_id,
            false => BootChange::First.apply(store.read(|r| r.boot(&compute)).unwrap()).install_id,
        };
        store.write("gone", |w| w.remove_host(&compute)).unwrap();
        // An export knows it too.
        let folder = tempfile::tempdir().unwrap();
        Store::restore(folder.path(), &store.read(|r| r.export()).unwrap()).unwrap();
        let store = Store::open(folder.path()).unwrap();
        add(&store);
        let ordered = order(&store);
        let goodbye = BootChange::Goes { install_id: first, state: InstallState::Installed, note: None };
        store.write("goodbye", |w| w.change_boot(&compute, &goodbye)).unwrap();
        assert_eq!(store.read(|r| r.boot(&compute)).unwrap(), ordered);
    }
}

#[test]
fn the_first_distribution_is_the_default_and_takes_its_blobs_along_when_it_goes() {
    let store = Store::in_memory().unwrap();
    let distribution = |text: &str| Distribution {
        name: DistributionName::parse(text).unwrap(),
        path: "/srv".into(),
        release: crate::cluster::Release::Rhel9,
        arch: crate::cluster::Arch::X86_64,
        info_hash: crate::torrent::InfoHash([7; 20]),
        serial: 1,
        packages: 1,
        bytes: 1,
    };
    let (b, a) = (distribution("el9"), distribution("el10"));
    store
        .write("add", |w| {
            w.put_distribution(&b)?;
            w.put_distribution(&a)?;
            w.put_metainfo(&b.name, b"\xff\x00")?;
            w.put_blob(&b.name, "packages", b"[]")
        })
        .unwrap();
    let default = || store.read(|r| Ok(r.default_distribution()?.map(|d| d.name.to_string()))).unwrap();
    assert_eq!(default().as_deref(), Some("el9"));
    assert_eq!(store.read(|r| r.blobs(&b.name)).unwrap(), ["metainfo", "packages"]);
    store.write("remove", |w| w.remove_distribution(&b.name)).unwrap();
    assert_eq!(default().as_deref(), Some("el10"));
    assert_eq!(store.read(|r| r.metainfo(&b.name)).unwrap(), None);
}

#[test]
fn the_journal_forgets_its_oldest_lines() {
    let store = Store::in_memory().unwrap();
    store
        .write("many", |w| {
            let entry = JournalEntry {
                time: jiff::Timestamp::UNIX_EPOCH,
                who: "test".to_owned(),
                sentence: "old".to_owned(),
                generation: 0,
            };
            (0..JOURNAL_ENTRIES_MAX + 10).try_for_each(|_| w.put_journal_entry(&entry))
        })
        .unwrap();
    let lines = store.read(|r| r.journal(usize::MAX)).unwrap();
    assert_eq!(lines.len() as u64, JOURNAL_ENTRIES_MAX);
    assert_eq!(lines.last().map(|line| line.sentence.as_str()), Some("many"));
}

/// What a machine says goes under the name and the id with which its installation was ordered.
#[test]
fn an_installation_ends_for_its_host_whatever_that_is_called_meanwhile() {
    let [old, new, third] = ["compute-0-0", "login-0-0", "nas-0-0"].map(name);
    for is_ordered in [true, false] {
        let store = Store::in_memory().unwrap();
        let boot = |host: &HostName| store.read(|r| r.boot(host)).unwrap();
        let rename = |from: &HostName, to: &HostName| store.write("rename", |w| w.rename_host(from, to)).unwrap();
        let add = |host: &Host| store.write("add", |w| w.add_host(host)).unwrap();
        let say = |name: &HostName, changes: Vec<BootChange>| {
            store.write("news", |w| w.change_installations(&[(name.clone(), changes)].into())).unwrap();
        };
        // Somebody had the new name before, and as many installations.
        add(&host(new.as_str(), 1));
        store.write("an order", |w| w.set_boot(&new, BootAction::Install)).unwrap();
        let earlier = boot(&new);
        store.write("gone", |w| w.remove_host(&new)).unwrap();
        add(&host(old.as_str(), 1));
        if is_ordered {
            store.write("an order", |w| w.set_boot(&old, BootAction::Install)).unwrap();
        }
        // It may have come by itself a moment ago, of which the store has yet to hear.
        let id = BootChange::First.apply(boot(&old)).install_id;
        let goes = |id, state| BootChange::Goes { install_id: id, state, note: None };
        rename(&old, &new);
        assert_eq!(boot(&new).installs_as(&new), &old);
        add(&host(old.as_str(), 2));
        let next = boot(&old);
        rename(&new, &third);
        rename(&third, &new);
        say(&old, vec![BootChange::First, goes(id, InstallState::Installing)]);
        assert_eq!((boot(&new).state, boot(&new).install_id), (Some(InstallState::Installing), id));
        say(&new, vec![goes(earlier.install_id, InstallState::Installed)]);
        assert_eq!(boot(&new).state, Some(InstallState::Installing), "that was said of who is no more");
        say(&old, vec![goes(id, InstallState::Installed)]);
        assert_eq!((boot(&new).state, boot(&new).action), (Some(InstallState::Installed), BootAction::Os));
        assert_ne!(boot(&old).state, Some(InstallState::Installed), "nor of who has that name now");
        assert!(BootChange::First.apply(next).install_id > id);
        // Its next installation goes under its own name, and its id was nobody's under that.
        let again = store.write("an order", |w| w.set_boot(&new, BootAction::Install)).unwrap();
        assert_eq!(again.installs_as(&new), &new);
        assert!(again.install_id > id.max(earlier.install_id));
        say(&old, vec![goes(id, InstallState::Failed), BootChange::Again { begun: 0 }]);
        assert_eq!(boot(&new), again);
        // Called by its first name again, it goes on as well.
        store.write("gone", |w| w.remove_host(&old)).unwrap();
        rename(&new, &old);
        rename(&old, &new);
        say(&new, vec![goes(again.install_id, InstallState::Installed)]);
        assert_eq!(boot(&new).state, Some(InstallState::Installed));
    }
}
