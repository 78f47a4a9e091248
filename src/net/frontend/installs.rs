//! The board of installations: what machines say of themselves, in memory; only transitions go to the store, by way of
//! [`Pending`], so that ten thousand machines cost a few writes.

pub(super) use super::install_key::InstallKey;
use super::pending::{HOSTS_MAX, Pending};
use crate::cluster::{Boot, HostName, InstallState, natural_order};
use crate::net::log::{Log, is_shown};
use crate::net::report::{Phase, Report};
use crate::store::{BootChange, Reader, Renamed, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A machine that was not heard of for this long has died.
pub const SILENCE: Duration = Duration::from_secs(45);
/// A frontend that has not looked for machines that died for this long, which it does every few seconds, was stopped.
const STOOD_STILL: Duration = Duration::from_secs(15);
/// Reports that all machines together send in a second, as far as the longest pause lets them. Each costs the frontend's
/// link some three hundred bytes: a hundredth of 10 Mbit.
const REPORTS_PER_SEC: u64 = 40;
/// The shortest and the longest pause between two reports of a machine; several of the longest fit into [`SILENCE`].
const PACE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// A machine that is silent for longer than this is shown so, and no longer as fast as it was.
const QUIET: Duration = Duration::from_secs(12);
/// The time over which a machine's speed is averaged: pieces come in bursts, and the time left is to be believed.
const SPEED_SECS: f64 = 5.0;
/// The longest message of a machine that is kept.
const MESSAGE_CHARS_MAX: usize = 300;

/// What is known of one installation.
#[derive(Debug, Clone)]
struct Install {
    report: Report,
    address: Option<IpAddr>,
    key: InstallKey,
    /// The name that its row had before its host was renamed.
    formerly: Option<HostName>,
    started: Instant,
    heard: Instant,
    bytes_per_sec: f64,
    /// Counts changes of the whole board: which rows a viewer has not seen.
    change: u64,
    /// The number of the change that brought it where it is.
    transition: Option<u64>,
}

/// One row of the board, as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MachineStatus {
    /// The machine.
    pub host: HostName,
    /// What it was called before, where that is no other machine's row now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formerly: Option<HostName>,
    /// What it says.
    #[serde(flatten)]
    pub report: Report,
    /// How fast it fetches.
    pub bytes_per_sec: u64,
    /// The share of its bytes that came from other machines.
    pub peer_share: f64,
    /// What is left at this speed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secs_left: Option<u64>,
    /// When it was last heard of.
    pub silent_secs: u64,
    /// Whether that is longer ago than it should be; at last it counts as failed.
    #[serde(default)]
    pub is_silent: bool,
    /// How long it has been installing.
    pub secs: u64,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reported {
    /// No installation of this machine is known.
    Unknown,
    /// It is on the board.
    Taken,
    /// It is on the board, and in the store once change number so many is: see [`Board::is_written`]; none where
    /// it could not even be queued.
    Waits(Option<u64>),
}

#[derive(Debug, Default)]
struct Rows {
    installs: BTreeMap<HostName, Install>,
    by_address: HashMap<IpAddr, HostName>,
    changes: u64,
    /// How often machines were taken from the board.
    removals: u64,
    /// When machines that died were last looked for.
    swept: Option<Instant>,
}

/// The board.
#[derive(Debug)]
pub(super) struct Board {
    rows: Mutex<Rows>,
    pending: Arc<Pending>,
    /// The store's generation whose names the rows have.
    followed: Mutex<u64>,
    log: Log,
}

impl Board {
    /// An empty board, that tells the store by way of this.
    pub(super) fn new(log: Log, pending: Arc<Pending>) -> Self {
        Self { rows: Mutex::default(), pending, followed: Mutex::default(), log }
    }

    /// Waits, not for long, until a change is in the store; false where it is not yet.
    pub(super) async fn is_written(&self, number: Option<u64>) -> bool {
        match number {
            Some(number) => self.pending.is_written(number).await,
            None => false,
        }
    }

    /// How many hosts the store is still to be told of.
    pub(super) fn hosts_pending(&self) -> usize {
        self.pending.hosts()
    }

    /// What the store will say of a host that it says this of now.
    pub(super) fn overlay(&self, host: &HostName, boot: Boot) -> Boot {
        self.pending.overlay(host, boot)
    }

    /// A host comes that was never told anything: it is to install.
    pub(super) fn begins(&self, host: &HostName, boot: &Boot) {
        self.tell(boot.installs_as(host), BootChange::First);
    }

    /// A machine starts anew in the middle of its installation, which its record is the last word of.
    pub(super) fn begins_again(&self, host: &HostName, boot: &Boot) {
        if let Some(change) = BootChange::again(boot) {
            self.tell(boot.installs_as(host), change);
            self.forget(host);
        }
    }

    /// Queues a change for the store; its number.
    fn tell(&self, host: &HostName, change: BootChange) -> Option<u64> {
        let number = self.pending.push(host, change);
        if number.is_none() {
            self.log.warning("transitions-full", &[("limit", &HOSTS_MAX), ("host", host)]);
        }
        number
    }

    /// An installation has failed, which the store knows already: it is shown until it begins anew.
    pub(super) fn has_failed(&self, host: &HostName, boot: &Boot) {
        let mut install = Install::new(None, InstallKey::of(host, boot), Instant::now());
        install.report = Report { phase: Phase::Failed, message: boot.note.clone(), ..Report::default() };
        let mut rows = self.rows.lock().expect("nobody panics while holding the board");
        rows.changes += 1;
        install.change = rows.changes;
        rows.installs.insert(host.clone(), install);
    }

    /// A machine that had begun to install starts anew without a goodbye: what it said before is over.
    fn forget(&self, host: &HostName) {
        let mut rows = self.rows.lock().expect("nobody panics while holding the board");
        if let Some(address) = rows.installs.remove(host).and_then(|install| install.address) {
            rows.by_address.remove(&address);
        }
    }

    /// Takes over what the store knows to be installing, as after a restart: the machines have time to be heard of. Who has
    /// failed is shown as before.
    pub(super) fn take_over(&self, store: &Store) -> Result<(), StoreError> {
        let boots = store.read(|reader| reader.boots())?;
        for (host, boot) in boots {
            match boot.state {
                Some(InstallState::Installing) => self.start(&host, None, InstallKey::of(&host, &boot), false),
                Some(InstallState::Failed) => self.has_failed(&host, &boot),
                _ => {}
            }
        }
        Ok(())
    }

    /// Follows the store, where this generation of it is news: who was renamed is on the board by its new name, and who was
    /// removed is there no longer.
    pub(super) fn follow(&self, store: &Store, generation: u64) -> Result<(), StoreError> {
        let mut followed = self.followed.lock().expect("nobody panics while holding the generation");
        if *followed < generation {
            let look = |reader: &Reader| Ok((reader.renamed()?, reader.host_names()?, reader.facts_generation()?));
            let (renamed, there, now) = store.read(look)?;
            self.rename(&renamed);
            self.keep(&there.into_iter().collect());
            *followed = now;
        }
        Ok(())
    }

    fn rename(&self, renamed: &Renamed) {
        let mut rows = self.rows.lock().expect("nobody panics while holding the board");
        let rows = &mut *rows;
        let moves = rows.installs.iter().filter_map(|(host, install)| {
            let now = renamed.get(&(install.key.name.clone(), install.key.id))?;
            (now != host).then(|| (host.clone(), now.clone()))
        });
        let moves: Vec<(HostName, HostName)> = moves.collect();
        // First all go, then all come: two hosts may have swapped their names.
        let gone =
            moves.into_iter().filter_map(|(old, new)| rows.installs.remove(&old).map(|install| (old, new, install)));
        for (old, new, mut install) in gone.collect::<Vec<_>>() {
            rows.changes += 1;
            install.change = rows.changes;
            if let Some(address) = install.address {
                rows.by_address.insert(address, new.clone());
            }
            self.log.info("host-renamed", &[("host", &new), ("formerly", &old)]);
            install.formerly = Some(old);
            rows.installs.insert(new, install);
        }
    }

    /// Keeps the machines of these hosts alone. One that is added just now comes back with its next word.
    fn keep(&self, hosts: &HashSet<HostName>) {
        let mut rows = self.rows.lock().expect("nobody panics while holding the board");
        let rows = &mut *rows;
        let before = rows.installs.len();
        rows.installs.retain(|host, _| hosts.contains(host));
        rows.removals += u64::from(rows.installs.len() < before);
        rows.by_address.retain(|_, host| hosts.contains(host));
    }

    /// A machine asks for its profile, or reports for the first time; from there on, what comes from this address is its
    /// own.
    pub(super) fn started(&self, host: &HostName, address: Option<IpAddr>, key: InstallKey) {
        self.start(host, address, key, true);
    }

    fn start(&self, host: &HostName, address: Option<IpAddr>, key: InstallKey, tell: bool) {
        let now = Instant::now();
        let mut rows = self.rows.lock().expect("nobody panics while holding the board");
        rows.changes += 1;
        let change = rows.changes;
        if let Some(address) = address {
            rows.by_address.insert(address, host.clone());
        }
        let known = rows.installs.get_mut(host).filter(|known| known.key == key);
        if let Some(known) = known.filter(|known| known.report.phase.is_active()) {
            (known.heard, known.change) = (now, change);
            known.address = address.or(known.address);
            return;
        }
        let mut install = Install::new(address, key, now);
        install.change = change;
        if tell {
            self.transition(&mut install, InstallState::Installing, None);
        }
        rows.installs.insert(host.clone(), install);
    }

    /// The machine at this address, where one is installing there, and its installation.
    pub(super) fn host_at(&self, address: IpAddr) -> Option<(HostName, InstallKey)> {
        let rows = self.rows.lock().expect("nobody panics while holding the board");
        let host = rows.by_address.get(&address)?;
        Some((host.clone(), rows.installs.get(host)?.key.clone()))
    }

    /// Whether a machine is installing at this address.
    pub(super) fn is_installing_at(&self, address: IpAddr) -> bool {
        let rows = self.rows.lock().expect("nobody panics while holding the board");
        let install = rows.by_address.get(&address).and_then(|host| rows.installs.get(host));
        install.is_some_and(|install| install.report.phase.is_active())
    }

    /// Whether this installation of the host has said goodbye, which the store may be told of only later.
    pub(super) fn is_over(&self, host: &HostName, key: &InstallKey) -> bool {
        let rows = self.rows.lock().expect("nobody panics while holding the board");
        let install = rows.installs.get(host).filter(|install| install.key == *key);
        install.is_some_and(|install| install.report.phase == Phase::Installed)
    }

    /// A machine says how far this installation is. Its last word is to be acknowledged only when it is in the store.
    pub(super) fn report(&self, host: &HostName, key: &InstallKey, mut report: Report) -> Reported {
        let now = Instant::now();
        if let Some(message) = &mut report.message {
            *message = message.chars().filter(|c| is_shown(*c)).take(MESSAGE_CHARS_MAX).collect();
        }
        let mut rows = self.rows.lock().expect("nobody panics while holding the board");
        rows.changes += 1;
        let change = rows.changes;
        let install = rows.installs.get_mut(host).filter(|install| install.key == *key);
        let Some(install) = install else { return Reported::Unknown };
        let before = install.report.phase;
        // Goodbye is the last word of an installation. One that could not be queued is taken again.
        if before == Phase::Installed && install.transition.is_some() {
            return Reported::Waits(install.transition);
        }
        let secs = now.duration_since(install.heard).as_secs_f64();
        if secs > 0.05 {
            let rate = report.bytes.saturating_sub(install.report.bytes) as f64 / secs;
            install.bytes_per_sec = averaged(install.bytes_per_sec, rate, secs);
        }
        let phase = report.phase;
        let note = report.message.clone();
        (install.report, install.heard, install.change) = (report, now, change);
        let last = install.transition;
        let state = match phase {
            Phase::Installed => InstallState::Installed,
            Phase::Failed => InstallState::Failed,
            _ => InstallState::Installing,
        };
        let is_news =
            (phase != before && (!phase.is_active() || !before.is_active())) || (!phase.is_active() && last.is_none());
        let mut number = last;
        if is_news {
            number = self.transition(install, state, note);
        }
        drop(rows);
        if is_news {
            self.log.info("install", &[("host", host), ("phase", &phase.as_str())]);
        }
        if phase.is_active() { Reported::Taken } else { Reported::Waits(number) }
    }

    /// Flags machines that were not heard of for [`SILENCE`]. Time in which this frontend stood still does not count: their
    /// words wait in its sockets.
    pub(super) fn sweep(&self, now: Instant) {
        let mut rows = self.rows.lock().expect("nobody panics while holding the board");
        let since = rows.swept.replace(now).map_or(Duration::ZERO, |swept| now.saturating_duration_since(swept));
        if since > STOOD_STILL {
            self.log.warning("stood-still", &[("secs", &since.as_secs())]);
            for install in rows.installs.values_mut() {
                install.heard = (install.heard + since).min(now);
            }
        }
        rows.changes += 1;
        let change = rows.changes;
        for (host, install) in &mut rows.installs {
            let silent = now.saturating_duration_since(install.heard);
            if install.report.phase.is_active() && silent > SILENCE {
                install.report.phase = Phase::Failed;
                install.report.message = Some(format!("not heard of for {} s", silent.as_secs()));
                install.change = change;
                self.log.warning("machine-silent", &[("host", host), ("secs", &SILENCE.as_secs())]);
                let note = install.report.message.clone();
                self.transition(install, InstallState::Failed, note);
            }
        }
    }

    /// Queues how an installation is for the store; the number of that. The board is held meanwhile, so that numbers
    /// are in order.
    fn transition(&self, install: &mut Install, state: InstallState, note: Option<String>) -> Option<u64> {
        let install_id = install.key.id;
        install.transition = self.tell(&install.key.name, BootChange::Goes { install_id, state, note });
        install.transition
    }

    /// The rows that changed after this count, failures first, then who is silent, and the count now.
    pub(super) fn rows_since(&self, change: u64) -> (Vec<MachineStatus>, u64) {
        let rows = self.rows.lock().expect("nobody panics while holding the board");
        let now = Instant::now();
        let changed = rows.installs.iter().filter(|(_, install)| install.change > change || install.is_quiet(now));
        let mut shown: Vec<MachineStatus> = changed.map(|(host, install)| row(host, install, now)).collect();
        for row in &mut shown {
            row.formerly.take_if(|name| rows.installs.contains_key(name));
        }
        // Who follows puts each row where it belongs.
        if change == 0 {
            let rank = |row: &MachineStatus| {
                (row.report.phase != Phase::Failed, !row.is_silent, !row.report.phase.is_active())
            };
            shown.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| natural_order(a.host.as_str(), b.host.as_str())));
        }
        (shown, rows.changes)
    }

    /// Rises when machines are taken from the board, of which [`Self::rows_since`] tells nothing.
    pub(super) fn removals(&self) -> u64 {
        self.rows.lock().expect("nobody panics while holding the board").removals
    }

    /// How long a machine is to wait before it reports again, so that all of them together report
    /// [`REPORTS_PER_SEC`] times a second.
    pub(super) fn pace(&self) -> Duration {
        let machines = self.rows.lock().expect("nobody panics while holding the board").installs.len() as u64;
        Duration::from_millis(machines * 1000 / REPORTS_PER_SEC).clamp(PACE.0, PACE.1)
    }

    /// How many machines are in each phase.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        const PHASES: [Phase; 5] = [Phase::Starting, Phase::Fetching, Phase::Serving, Phase::Installed, Phase::Failed];
        let mut counts = [0_u64; PHASES.len()];
        for install in self.rows.lock().expect("nobody panics while holding the board").installs.values() {
            if let Some(at) = PHASES.iter().position(|phase| *phase == install.report.phase) {
                counts[at] += 1;
            }
        }
        PHASES.iter().zip(counts).map(|(phase, count)| (phase.as_str().to_owned(), count)).collect()
    }
}

/// A speed that was so much, after it was so much for so many seconds more.
fn averaged(before: f64, now: f64, secs: f64) -> f64 {
    let weight = if before == 0.0 { 1.0 } else { 1.0 - (-secs / SPEED_SECS).exp() };
    before + (now - before) * weight
}

impl Install {
    fn new(address: Option<IpAddr>, key: InstallKey, now: Instant) -> Self {
        Self {
            report: Report::default(),
            address,
            key,
            formerly: None,
            started: now,
            heard: now,
            bytes_per_sec: 0.0,
            change: 0,
            transition: None,
        }
    }

    /// Whether it should have been heard of since.
    fn is_quiet(&self, now: Instant) -> bool {
        self.report.phase.is_active() && now.saturating_duration_since(self.heard) > QUIET
    }
}

fn row(host: &HostName, install: &Install, now: Instant) -> MachineStatus {
    let report = install.report.clone();
    let came = report.peer_bytes.saturating_add(report.frontend_bytes);
    let left = report.total_bytes.saturating_sub(report.bytes);
    let is_silent = install.is_quiet(now);
    let fetches = report.phase == Phase::Fetching && install.bytes_per_sec >= 1.0 && !is_silent;
    MachineStatus {
        host: host.clone(),
        formerly: install.formerly.clone(),
        bytes_per_sec: if fetches { install.bytes_per_sec as u64 } else { 0 },
        peer_share: if came == 0 { 0.0 } else { report.peer_bytes as f64 / came as f64 },
        secs_left: fetches.then(|| (left as f64 / install.bytes_per_sec).ceil() as u64),
        silent_secs: now.saturating_duration_since(install.heard).as_secs(),
        is_silent,
        secs: now.saturating_duration_since(install.started).as_secs(),
        report,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SWEEP, pending};
    use super::*;
    use crate::cluster::BootAction;

    fn board() -> Board {
        Board::new(Log::silent(), Pending::new())
    }

    /// The first installation of a host.
    fn first(host: &HostName) -> InstallKey {
        InstallKey { name: host.clone(), id: 1 }
    }

    #[test]
    fn a_machine_that_died_is_flagged_within_a_minute_and_one_that_reports_is_not() {
        assert!(
            SILENCE + SWEEP * 2 + pending::GATHER + pending::PATIENCE < Duration::from_secs(60),
            "with a store that is held once"
        );
        let board = board();
        let host = |name: &str| HostName::parse(name).expect("a name");
        for (name, address) in [("compute-0-0", "127.1.0.1"), ("compute-0-1", "127.1.0.2")] {
            board.started(&host(name), Some(address.parse().expect("an address")), first(&host(name)));
        }
        let begun = Instant::now();
        for looks in 0..SILENCE.as_secs() / SWEEP.as_secs() {
            board.sweep(begun + SWEEP * looks as u32);
            assert_eq!(board.counts()["failed"], 0);
        }
        board.report(
            &host("compute-0-1"),
            &first(&host("compute-0-1")),
            Report { phase: Phase::Installed, ..Report::default() },
        );
        board.sweep(begun + SILENCE + Duration::from_secs(1));
        assert_eq!((board.counts()["failed"], board.counts()["installed"]), (1, 1));
        let changed = jiff::Timestamp::now();
        let installs = Boot { action: BootAction::Install, install_id: 1, changed, ..Boot::default() };
        let state = |name: &str| board.overlay(&host(name), installs.clone()).state;
        let (dead, done) = (state("compute-0-0"), state("compute-0-1"));
        assert_eq!((dead, done), (Some(InstallState::Failed), Some(InstallState::Installed)));
        // It was only slow: its next word is believed.
        board.report(
            &host("compute-0-0"),
            &first(&host("compute-0-0")),
            Report { phase: Phase::Fetching, ..Report::default() },
        );
        assert_eq!(board.counts()["failed"], 0);
    }

    #[test]
    fn the_time_in_which_the_frontend_stood_still_makes_no_machine_dead() {
        let board = board();
        let host = HostName::parse("compute-0-0").expect("a name");
        board.started(&host, Some(IpAddr::from([127, 1, 0, 1])), first(&host));
        let begun = Instant::now();
        board.sweep(begun);
        let back = begun + SILENCE * 3;
        let failed = |at| {
            board.sweep(at);
            board.counts()["failed"]
        };
        assert_eq!(failed(back), 0, "its words wait in the sockets");
        let looks = SILENCE.as_secs() / SWEEP.as_secs();
        assert!((1..looks as u32).all(|looks| failed(back + SWEEP * looks) == 0));
        assert_eq!(failed(back + SILENCE + SWEEP), 1, "it says nothing now either");
    }

    #[test]
    fn rows_are_shown_failures_first_and_in_natural_order() {
        let board = board();
        for (n, phase) in [(2, Phase::Fetching), (10, Phase::Fetching), (1, Phase::Installed), (11, Phase::Failed)] {
            let host = HostName::parse(&format!("compute-0-{n}")).expect("a name");
            board.started(&host, Some(IpAddr::from([127, 1, 0, n])), first(&host));
            board.report(&host, &first(&host), Report { phase, ..Report::default() });
        }
        let names: Vec<String> = board.rows_since(0).0.iter().map(|row| row.host.to_string()).collect();
        assert_eq!(names, ["compute-0-11", "compute-0-2", "compute-0-10", "compute-0-1"]);
    }

    #[test]
    fn a_silent_machine_stands_behind_the_failures_and_is_no_longer_shown_as_fast_as_it_was() {
        let board = board();
        let host = |n: u8| HostName::parse(&format!("compute-0-{n}")).expect("a name");
        let report = |phase, bytes| Report { phase, bytes, total_bytes: 9000, peer_bytes: bytes, ..Report::default() };
        for n in 1..=4 {
            board.started(&host(n), Some(IpAddr::from([127, 1, 0, n])), first(&host(n)));
        }
        let ago = |n: u8, secs: u64| {
            let mut rows = board.rows.lock().expect("no panic");
            let install = rows.installs.get_mut(&host(n)).expect("it installs");
            install.heard = install.heard.checked_sub(Duration::from_secs(secs)).expect("the clock began long ago");
        };
        for (n, phase) in [(1, Phase::Installed), (2, Phase::Fetching), (3, Phase::Fetching), (4, Phase::Failed)] {
            ago(n, 1);
            board.report(&host(n), &first(&host(n)), report(phase, 1000));
        }
        ago(3, QUIET.as_secs() + 1);
        let (rows, change) = board.rows_since(0);
        let shown = rows.iter().map(|row| (row.host.as_str(), row.is_silent, row.secs_left.is_some()));
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                ("compute-0-4", false, false),
                ("compute-0-3", true, false),
                ("compute-0-2", false, true),
                ("compute-0-1", false, false)
            ]
        );
        assert_eq!((rows[1].bytes_per_sec, rows[1].silent_secs), (0, QUIET.as_secs() + 1));
        let told: Vec<HostName> = board.rows_since(change).0.into_iter().map(|row| row.host).collect();
        assert_eq!(told, [host(3)], "who follows hears of it though it says nothing");
    }

    #[test]
    fn the_speed_is_that_of_some_seconds() {
        let bursts = [4.0, 0.0, 0.0, 0.0].repeat(40);
        let mut speeds = Vec::new();
        let end = bursts.iter().fold(0.0, |before, now| {
            speeds.push(averaged(before, *now, 0.2));
            *speeds.last().expect("one was pushed")
        });
        assert!((0.85..1.25).contains(&end) && speeds[80..].iter().all(|speed| (0.85..1.25).contains(speed)));
        assert!(averaged(1.0, 3.0, 10.0) > 2.5, "who reports seldom is believed");
    }

    #[test]
    fn the_more_machines_install_the_less_often_each_reports_and_never_so_seldom_that_it_looks_dead() {
        let board = board();
        assert_eq!(board.pace(), PACE.0);
        let mut paces = Vec::new();
        for n in 0..12_000_u32 {
            let host = HostName::parse(&format!("compute-{}-{}", n / 100, n % 100)).expect("a name");
            board.started(&host, Some(IpAddr::from((0x0a01_0000 + n).to_be_bytes())), first(&host));
            paces.extend([8, 120, 12_000].contains(&(n + 1)).then(|| board.pace()));
        }
        assert_eq!(paces, [PACE.0, Duration::from_secs(3), PACE.1]);
        assert!(PACE.1 * 3 < SILENCE, "two lost reports are no death");
    }
}
