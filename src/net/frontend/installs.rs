//! The board of installations: what machines say of themselves, in memory; only transitions go to the store, in
//! batches, so that ten thousand machines cost a few writes.

use crate::cluster::{Boot, BootAction, HostName, InstallState, natural_order};
use crate::net::log::Log;
use crate::net::report::{Phase, Report};
use crate::store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// A machine that was not heard of for this long has died.
pub const SILENCE: Duration = Duration::from_secs(45);
/// Transitions that wait for the store (somebody else may hold it); beyond, the oldest of the same host is replaced
/// by the board's own state at the next sweep.
const TRANSITIONS_MAX: usize = 65_536;
/// How long transitions are gathered before they are written.
const GATHER: Duration = Duration::from_millis(300);
/// How long a machine's last word waits for the store before the machine is told to say it again.
const ACKNOWLEDGE: Duration = Duration::from_secs(4);
/// How long one try to write may wait for other writers.
const PATIENCE: Duration = Duration::from_secs(2);
/// Reports that all machines together send in a second.
const REPORTS_PER_SEC: u64 = 1000;
/// The shortest and the longest pause between two reports of a machine; several of the longest fit into [`SILENCE`].
const PACE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// The longest message of a machine that is kept.
const MESSAGE_CHARS_MAX: usize = 300;

/// What is known of one installation.
#[derive(Debug, Clone)]
struct Install {
    report: Report,
    address: Option<IpAddr>,
    install_id: u64,
    started: Instant,
    heard: Instant,
    bytes_per_sec: f64,
    /// Counts changes of the whole board: which rows a viewer has not seen.
    change: u64,
    /// The number of its latest transition.
    transition: u64,
}

/// One row of the board, as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MachineStatus {
    /// The machine.
    pub host: HostName,
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
    /// How long it has been installing.
    pub secs: u64,
}

/// A change that the store is to remember.
#[derive(Debug)]
pub(super) struct Transition {
    host: HostName,
    install_id: u64,
    state: InstallState,
    note: Option<String>,
    /// Counts transitions, in the order of the queue.
    number: u64,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reported {
    /// No installation of this machine is known.
    Unknown,
    /// It is on the board.
    Taken,
    /// It is on the board, and in the store once transition number so many is: see [`Board::is_written`].
    Waits(u64),
}

#[derive(Debug, Default)]
struct Rows {
    installs: BTreeMap<HostName, Install>,
    by_address: HashMap<IpAddr, HostName>,
    changes: u64,
    /// Transitions so far.
    transitions: u64,
}

/// The board.
#[derive(Debug)]
pub(super) struct Board {
    rows: Mutex<Rows>,
    transitions: mpsc::Sender<Transition>,
    /// The number of the latest transition that is in the store.
    written: watch::Sender<u64>,
    log: Log,
}

impl Board {
    /// An empty board; the receiver is for [`write_transitions`].
    pub(super) fn new(log: Log) -> (Self, mpsc::Receiver<Transition>) {
        let (transitions, receiver) = mpsc::channel(TRANSITIONS_MAX);
        (Self { rows: Mutex::default(), transitions, written: watch::Sender::new(0), log }, receiver)
    }

    /// Says which transitions are in the store: for [`write_transitions`].
    pub(super) fn written(&self) -> watch::Sender<u64> {
        self.written.clone()
    }

    /// Waits, not for long, until a transition is in the store; false where it is not yet.
    pub(super) async fn is_written(&self, number: u64) -> bool {
        let mut written = self.written.subscribe();
        timeout(ACKNOWLEDGE, written.wait_for(|written| *written >= number)).await.is_ok_and(|waited| waited.is_ok())
    }

    /// A machine that had begun to install starts anew without a goodbye: what it said before is over.
    pub(super) fn forget(&self, host: &HostName) {
        let mut rows = self.rows.lock().expect("nobody panics while holding the board");
        if let Some(address) = rows.installs.remove(host).and_then(|install| install.address) {
            rows.by_address.remove(&address);
        }
    }

    /// Takes over what the store knows to be installing, as after a restart: the machines have time to be heard of.
    pub(super) fn take_over(&self, store: &Store) -> Result<(), StoreError> {
        let boots = store.read(|reader| reader.boots())?;
        for (host, boot) in boots.into_iter().filter(|(_, boot)| boot.state == Some(InstallState::Installing)) {
            self.start(&host, None, boot.install_id, false);
        }
        Ok(())
    }

    /// A machine asks for its profile.
    pub(super) fn started(&self, host: &HostName, address: IpAddr, install_id: u64) {
        self.start(host, Some(address), install_id, true);
    }

    fn start(&self, host: &HostName, address: Option<IpAddr>, install_id: u64, tell: bool) {
        let now = Instant::now();
        let mut rows = self.rows.lock().expect("nobody panics while holding the board");
        rows.changes += 1;
        let change = rows.changes;
        if let Some(address) = address {
            rows.by_address.insert(address, host.clone());
        }
        let known = rows.installs.get_mut(host).filter(|known| known.install_id == install_id);
        if let Some(known) = known.filter(|known| known.report.phase.is_active()) {
            (known.heard, known.change) = (now, change);
            known.address = address.or(known.address);
            return;
        }
        let install = Install {
            report: Report::default(),
            address,
            install_id,
            started: now,
            heard: now,
            bytes_per_sec: 0.0,
            change,
            transition: 0,
        };
        rows.installs.insert(host.clone(), install);
        if tell {
            self.transition(&mut rows, host, install_id, InstallState::Installing, None);
        }
    }

    /// The machine at this address, where one is installing there, and its install id.
    pub(super) fn host_at(&self, address: IpAddr) -> Option<(HostName, u64)> {
        let rows = self.rows.lock().expect("nobody panics while holding the board");
        let host = rows.by_address.get(&address)?;
        Some((host.clone(), rows.installs.get(host)?.install_id))
    }

    /// Whether this installation of the host has said goodbye, which the store may be told of only later.
    pub(super) fn is_over(&self, host: &HostName, install_id: u64) -> bool {
        let rows = self.rows.lock().expect("nobody panics while holding the board");
        let install = rows.installs.get(host).filter(|install| install.install_id == install_id);
        install.is_some_and(|install| install.report.phase == Phase::Installed)
    }

    /// A machine says how far it is. Its last word is to be acknowledged only when it is in the store.
    pub(super) fn report(&self, host: &HostName, mut report: Report) -> Reported {
        let now = Instant::now();
        if let Some(message) = &mut report.message {
            *message = message.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS_MAX).collect();
        }
        let mut rows = self.rows.lock().expect("nobody panics while holding the board");
        rows.changes += 1;
        let change = rows.changes;
        let Some(install) = rows.installs.get_mut(host) else { return Reported::Unknown };
        let before = install.report.phase;
        // Goodbye is the last word of an installation.
        if before == Phase::Installed {
            return Reported::Waits(install.transition);
        }
        let secs = now.duration_since(install.heard).as_secs_f64();
        if secs > 0.05 {
            let rate = report.bytes.saturating_sub(install.report.bytes) as f64 / secs;
            install.bytes_per_sec =
                if install.bytes_per_sec == 0.0 { rate } else { install.bytes_per_sec.midpoint(rate) };
        }
        let (phase, install_id) = (report.phase, install.install_id);
        let note = report.message.clone();
        (install.report, install.heard, install.change) = (report, now, change);
        let last = install.transition;
        let state = match phase {
            Phase::Installed => InstallState::Installed,
            Phase::Failed => InstallState::Failed,
            _ => InstallState::Installing,
        };
        let is_news = phase != before && (!phase.is_active() || !before.is_active());
        let mut number = last;
        if is_news {
            number = self.transition(&mut rows, host, install_id, state, note);
        }
        drop(rows);
        if is_news {
            self.log.info("install", &[("host", host), ("phase", &phase.as_str())]);
        }
        if phase.is_active() { Reported::Taken } else { Reported::Waits(number) }
    }

    /// Flags machines that were not heard of for [`SILENCE`].
    pub(super) fn sweep(&self, now: Instant) {
        let mut dead = Vec::new();
        let mut rows = self.rows.lock().expect("nobody panics while holding the board");
        rows.changes += 1;
        let change = rows.changes;
        for (host, install) in &mut rows.installs {
            let silent = now.saturating_duration_since(install.heard);
            if install.report.phase.is_active() && silent > SILENCE {
                install.report.phase = Phase::Failed;
                install.report.message = Some(format!("not heard of for {} s", silent.as_secs()));
                install.change = change;
                dead.push((host.clone(), install.install_id, install.report.message.clone()));
            }
        }
        for (host, install_id, note) in dead {
            self.log.warning("machine-silent", &[("host", &host), ("secs", &SILENCE.as_secs())]);
            self.transition(&mut rows, &host, install_id, InstallState::Failed, note);
        }
    }

    /// Queues a transition for the store; its number. The board is held meanwhile, so that numbers are in order.
    fn transition(
        &self,
        rows: &mut Rows,
        host: &HostName,
        install_id: u64,
        state: InstallState,
        note: Option<String>,
    ) -> u64 {
        rows.transitions += 1;
        let number = rows.transitions;
        let transition = Transition { host: host.clone(), install_id, state, note, number };
        if self.transitions.try_send(transition).is_err() {
            self.log.warning("transitions-full", &[("limit", &TRANSITIONS_MAX), ("host", host)]);
            return u64::MAX;
        }
        if let Some(install) = rows.installs.get_mut(host) {
            install.transition = number;
        }
        number
    }

    /// The rows that changed after this count, failures first, and the count now.
    pub(super) fn rows_since(&self, change: u64) -> (Vec<MachineStatus>, u64) {
        let rows = self.rows.lock().expect("nobody panics while holding the board");
        let changed = rows.installs.iter().filter(|(_, install)| install.change > change);
        let mut shown: Vec<MachineStatus> = changed.map(|(host, install)| row(host, install)).collect();
        // Who follows puts each row where it belongs.
        if change == 0 {
            let rank = |row: &MachineStatus| (row.report.phase != Phase::Failed, !row.report.phase.is_active());
            shown.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| natural_order(a.host.as_str(), b.host.as_str())));
        }
        (shown, rows.changes)
    }

    /// How long a machine is to wait before it reports again, so that all of them together report
    /// [`REPORTS_PER_SEC`] times a second.
    pub(super) fn pace(&self) -> Duration {
        let machines = self.rows.lock().expect("nobody panics while holding the board").installs.len() as u64;
        Duration::from_millis(machines * 1000 / REPORTS_PER_SEC).clamp(PACE.0, PACE.1)
    }

    /// How many machines are in each phase.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts: BTreeMap<_, _> =
            [Phase::Starting, Phase::Fetching, Phase::Serving, Phase::Installed, Phase::Failed]
                .into_iter()
                .map(|phase| (phase.as_str().to_owned(), 0))
                .collect();
        let rows = self.rows.lock().expect("nobody panics while holding the board");
        for install in rows.installs.values() {
            *counts.entry(install.report.phase.as_str().to_owned()).or_default() += 1;
        }
        counts
    }
}

fn row(host: &HostName, install: &Install) -> MachineStatus {
    let report = install.report.clone();
    let came = report.peer_bytes + report.frontend_bytes;
    let left = report.total_bytes.saturating_sub(report.bytes);
    let fetches = report.phase == Phase::Fetching && install.bytes_per_sec >= 1.0;
    MachineStatus {
        host: host.clone(),
        bytes_per_sec: if fetches { install.bytes_per_sec as u64 } else { 0 },
        peer_share: if came == 0 { 0.0 } else { report.peer_bytes as f64 / came as f64 },
        secs_left: fetches.then(|| (left as f64 / install.bytes_per_sec).ceil() as u64),
        silent_secs: install.heard.elapsed().as_secs(),
        secs: install.started.elapsed().as_secs(),
        report,
    }
}

/// Writes transitions into the store, many in one transaction, for as long as the board lives. A store that others
/// hold is asked again: nothing is lost but by the end of the process.
pub(super) async fn write_transitions(
    store: Arc<Store>,
    mut transitions: mpsc::Receiver<Transition>,
    written_to: watch::Sender<u64>,
    log: Log,
) {
    let mut waiting: Vec<Transition> = Vec::new();
    loop {
        if waiting.is_empty() {
            let Some(first) = transitions.recv().await else { return };
            waiting.push(first);
            tokio::time::sleep(GATHER).await;
        }
        while waiting.len() < TRANSITIONS_MAX
            && let Ok(next) = transitions.try_recv()
        {
            waiting.push(next);
        }
        let (store, batch) = (Arc::clone(&store), std::mem::take(&mut waiting));
        let written = tokio::task::spawn_blocking(move || {
            let result = write(&store, &batch);
            (batch, result)
        });
        match written.await {
            Ok((batch, Ok(()))) => {
                if let Some(last) = batch.last() {
                    written_to.send_replace(last.number);
                }
            }
            Ok((batch, Err(error))) => {
                log.warning("store-waits", &[("transitions", &batch.len()), ("reason", &error)]);
                waiting = batch;
                tokio::time::sleep(GATHER).await;
            }
            Err(_) => return,
        }
    }
}

fn write(store: &Store, batch: &[Transition]) -> Result<(), StoreError> {
    store.write_within(PATIENCE, &sentence(batch), |writer| {
        for transition in batch {
            match writer.report_install(
                &transition.host,
                transition.install_id,
                transition.state,
                transition.note.as_deref(),
            ) {
                // Removed in the meantime.
                Ok(_) | Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    })
}

fn sentence(batch: &[Transition]) -> String {
    match batch {
        [one] => format!("{} is {}", one.host, one.state),
        many => {
            let mut counts = BTreeMap::new();
            for transition in many {
                *counts.entry(transition.state.as_str()).or_insert(0) += 1;
            }
            let counts: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
            format!("{} installations: {}", many.len(), counts.join(", "))
        }
    }
}

/// A machine starts again that had begun to install and never said goodbye.
pub(super) fn begin_again(store: &Store, host: &HostName) -> Result<Boot, StoreError> {
    let sentence = format!("{host} starts anew in the middle of its installation");
    store.write_within(PATIENCE, &sentence, |writer| writer.begin_again(host))
}

/// Tells a host that was never told anything to install: it was added, and it has come. Its install id.
pub(super) fn begin_first(store: &Store, host: &HostName) -> Result<u64, StoreError> {
    let sentence = format!("{host} comes for the first time and installs");
    store.write_within(PATIENCE, &sentence, |writer| {
        let boot = writer.boot(host)?;
        match boot.install_id {
            0 => Ok(writer.set_boot(host, BootAction::Install)?.install_id),
            id => Ok(id),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::SWEEP;
    use super::*;

    #[test]
    fn a_machine_that_died_is_flagged_within_a_minute_and_one_that_reports_is_not() {
        assert!(SILENCE + SWEEP * 2 + GATHER + PATIENCE < Duration::from_secs(60), "with a store that is held once");
        let (board, mut transitions) = Board::new(Log::silent());
        let host = |name: &str| HostName::parse(name).expect("a name");
        for (name, address) in [("compute-0-0", "127.1.0.1"), ("compute-0-1", "127.1.0.2")] {
            board.started(&host(name), address.parse().expect("an address"), 1);
        }
        let begun = Instant::now();
        board.sweep(begun + SILENCE - Duration::from_secs(1));
        assert_eq!(board.counts()["failed"], 0);
        board.report(&host("compute-0-1"), Report { phase: Phase::Installed, ..Report::default() });
        board.sweep(begun + SILENCE + Duration::from_secs(1));
        assert_eq!((board.counts()["failed"], board.counts()["installed"]), (1, 1));
        let mut flagged = Vec::new();
        while let Ok(transition) = transitions.try_recv() {
            flagged.extend((transition.state == InstallState::Failed).then_some(transition.host));
        }
        assert_eq!(flagged, [host("compute-0-0")]);
        // It was only slow: its next word is believed.
        board.report(&host("compute-0-0"), Report { phase: Phase::Fetching, ..Report::default() });
        assert_eq!(board.counts()["failed"], 0);
    }

    #[test]
    fn rows_are_shown_failures_first_and_in_natural_order() {
        let (board, _transitions) = Board::new(Log::silent());
        for (n, phase) in [(2, Phase::Fetching), (10, Phase::Fetching), (1, Phase::Installed), (11, Phase::Failed)] {
            let host = HostName::parse(&format!("compute-0-{n}")).expect("a name");
            board.started(&host, IpAddr::from([127, 1, 0, n]), 1);
            board.report(&host, Report { phase, ..Report::default() });
        }
        let names: Vec<String> = board.rows_since(0).0.iter().map(|row| row.host.to_string()).collect();
        assert_eq!(names, ["compute-0-11", "compute-0-2", "compute-0-10", "compute-0-1"]);
    }

    #[test]
    fn the_more_machines_install_the_less_often_each_reports_and_never_so_seldom_that_it_looks_dead() {
        let (board, _transitions) = Board::new(Log::silent());
        assert_eq!(board.pace(), PACE.0);
        let mut paces = Vec::new();
        for n in 0..12_000_u32 {
            let host = HostName::parse(&format!("compute-{}-{}", n / 100, n % 100)).expect("a name");
            board.started(&host, IpAddr::from((0x0a01_0000 + n).to_be_bytes()), 1);
            paces.extend([16, 3000, 12_000].contains(&(n + 1)).then(|| board.pace()));
        }
        assert_eq!(paces, [PACE.0, Duration::from_secs(3), PACE.1]);
        assert!(PACE.1 * 3 < SILENCE, "two lost reports are no death");
    }
}
