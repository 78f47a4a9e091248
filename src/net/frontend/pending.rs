//! What the store is still to be told of installations. Nothing that a machine asks for waits for the store's writers:
//! changes are queued here, written many in one transaction, and applied to whatever is read meanwhile.
//!
//! Invariant: a change is either in the store or here, until it is in the store; so [`Pending::overlay`] of what the
//! store says is what it will say.

use crate::cluster::{Boot, HostName, InstallState};
use crate::net::log::Log;
use crate::net::seldom::Trouble;
use crate::store::{BootChange, Store, StoreError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// Hosts that wait for the store (somebody else may hold it).
pub(super) const HOSTS_MAX: usize = 65_536;
/// Changes of one host that wait; beyond, those in the middle are forgotten: the latest says how it is.
const CHANGES_MAX: usize = 8;
/// How long changes are gathered before they are written.
pub(super) const GATHER: Duration = Duration::from_millis(300);
/// How long one try to write may wait for other writers.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// How long a machine's last word waits for the store before the machine is told to say it again.
const ACKNOWLEDGE: Duration = Duration::from_secs(4);

/// By the name that the host's installation goes under.
type Changes = BTreeMap<HostName, Vec<BootChange>>;

/// What waits for the store.
#[derive(Debug)]
pub(super) struct Pending {
    queue: Mutex<Queue>,
    news: Notify,
    /// The number of the latest change that is in the store.
    written: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Changes,
    /// What is being written just now.
    leaving: Changes,
    /// Changes so far.
    number: u64,
    /// Nothing comes any more.
    is_closed: bool,
}

impl Pending {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default(), news: Notify::new(), written: watch::Sender::new(0) })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nobody panics while holding the queue")
    }

    /// Queues a change of the installation that goes under this name; its number. None where too many hosts wait.
    pub(super) fn push(&self, host: &HostName, change: BootChange) -> Option<u64> {
        let mut queue = self.queue();
        if queue.waiting.len() >= HOSTS_MAX && !queue.waiting.contains_key(host) {
            return None;
        }
        queue.number += 1;
        add(queue.waiting.entry(host.clone()).or_default(), change);
        let number = queue.number;
        drop(queue);
        self.news.notify_one();
        Some(number)
    }

    /// What the store will say of a host that it says this of now.
    pub(super) fn overlay(&self, host: &HostName, boot: Boot) -> Boot {
        let queue = self.queue();
        let name = boot.installs_as(host).clone();
        let changes = [&queue.leaving, &queue.waiting].into_iter().filter_map(|changes| changes.get(&name)).flatten();
        changes.fold(boot, |boot, change| change.apply(boot))
    }

    /// How many hosts wait for the store.
    pub(super) fn hosts(&self) -> usize {
        let queue = self.queue();
        let only_leaving = queue.leaving.keys().filter(|host| !queue.waiting.contains_key(*host)).count();
        queue.waiting.len() + only_leaving
    }

    /// Waits, not for long, until a change is in the store; false where it is not yet.
    pub(super) async fn is_written(&self, number: u64) -> bool {
        let mut written = self.written.subscribe();
        timeout(ACKNOWLEDGE, written.wait_for(|written| *written >= number)).await.is_ok_and(|waited| waited.is_ok())
    }

    /// Nothing comes any more: what is there is written once more, then [`Pending::write`] ends.
    pub(super) fn close(&self) {
        self.queue().is_closed = true;
        self.news.notify_one();
    }

    /// Writes into the store what comes, until it is closed. A store that others hold is asked again: nothing is lost
    /// but by the end of the process.
    pub(super) async fn write(self: Arc<Self>, store: Arc<Store>, log: Log) {
        let mut trouble = Trouble::default();
        loop {
            let (is_empty, is_closed) = {
                let queue = self.queue();
                (queue.waiting.is_empty(), queue.is_closed)
            };
            match (is_empty, is_closed) {
                (true, true) => return,
                (true, false) => {
                    self.news.notified().await;
                    continue;
                }
                (false, false) => drop(timeout(GATHER, self.closed()).await),
                (false, true) => {}
            }
            let (pending, store) = (Arc::clone(&self), Arc::clone(&store));
            let Ok((count, result)) = tokio::task::spawn_blocking(move || pending.write_now(&store)).await else {
                return;
            };
            match result {
                Ok(()) => {
                    if let Some(waited) = trouble.over(Instant::now()) {
                        log.info("store-written", &[("hosts", &count), ("waited_secs", &waited.as_secs())]);
                    }
                }
                Err(error) => {
                    if trouble.is_due(Instant::now()) {
                        log.warning("store-waits", &[("hosts", &count), ("reason", &error)]);
                    }
                    tokio::time::sleep(GATHER).await;
                }
            }
        }
    }

    async fn closed(&self) {
        while !self.queue().is_closed {
            self.news.notified().await;
        }
    }

    /// Writes what waits now; of how many hosts.
    fn write_now(&self, store: &Store) -> (usize, Result<(), StoreError>) {
        let (batch, number) = {
            let mut queue = self.queue();
            queue.leaving = std::mem::take(&mut queue.waiting);
            (queue.leaving.clone(), queue.number)
        };
        let result = store.write_within(PATIENCE, &sentence(&batch), |writer| writer.change_installations(&batch));
        let mut queue = self.queue();
        let leaving = std::mem::take(&mut queue.leaving);
        if result.is_ok() {
            drop(queue);
            self.written.send_replace(number);
        } else {
            let newer = std::mem::replace(&mut queue.waiting, leaving);
            for (host, changes) in newer {
                let before = queue.waiting.entry(host).or_default();
                changes.into_iter().for_each(|change| add(before, change));
            }
        }
        (batch.len(), result)
    }
}

/// Puts a change behind those that a host has. What says how an installation is replaces what said so before.
fn add(changes: &mut Vec<BootChange>, change: BootChange) {
    match (changes.last_mut(), &change) {
        (Some(last), _) if *last == change => return,
        (Some(BootChange::Goes { install_id: before, state, .. }), BootChange::Goes { install_id, .. })
            if before == install_id && *state != InstallState::Installed =>
        {
            changes.pop();
        }
        _ => {}
    }
    if changes.len() >= CHANGES_MAX {
        // The first one may be a beginning that all others build on.
        changes.remove(1);
    }
    changes.push(change);
}

fn word(changes: &[BootChange]) -> &'static str {
    match changes.last() {
        Some(BootChange::Goes { state, .. }) => state.as_str(),
        Some(BootChange::Again { .. }) => "starting anew in the middle of its installation",
        Some(BootChange::First) | None => "there for the first time and installs",
    }
}

fn sentence(batch: &Changes) -> String {
    if batch.len() == 1 {
        return batch.iter().map(|(host, changes)| format!("{host} is {}", word(changes))).collect();
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for changes in batch.values() {
        *counts.entry(word(changes)).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    format!("{} installations: {}", batch.len(), counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{BootAction, Host};

    fn goes(state: InstallState) -> BootChange {
        BootChange::Goes { install_id: 1, state, note: None }
    }

    fn never_told() -> Boot {
        let changed = jiff::Timestamp::UNIX_EPOCH;
        Boot { changed, ..Boot::default() }
    }

    #[test]
    fn what_waits_is_what_the_store_will_say_and_no_more_waits_than_fits() {
        let pending = Pending::new();
        let host = HostName::parse("compute-0-0").expect("a name");
        pending.push(&host, BootChange::First);
        for begun in 0..100 {
            pending.push(&host, goes(InstallState::Installing));
            pending.push(&host, BootChange::Again { begun });
        }
        pending.push(&host, goes(InstallState::Failed));
        let last = pending.push(&host, goes(InstallState::Installed));
        assert_eq!(last, Some(203));
        let boot = pending.overlay(&host, never_told());
        assert_eq!((boot.install_id, boot.state, boot.action), (1, Some(InstallState::Installed), BootAction::Os));
        assert!(pending.queue().waiting[&host].len() <= CHANGES_MAX);
        for n in 1..HOSTS_MAX {
            let host = HostName::parse(&format!("compute-{}-{}", n / 1000, n % 1000)).expect("a name");
            assert!(pending.push(&host, BootChange::First).is_some());
        }
        let late = HostName::parse("late").expect("a name");
        assert_eq!(pending.push(&late, BootChange::First), None);
        assert!(pending.push(&host, goes(InstallState::Installing)).is_some(), "who waits already has room");
    }

    /// The administrator's word comes between a host's first visit and the moment at which the store hears of that.
    #[test]
    fn what_is_ordered_before_the_store_has_heard_of_a_first_visit_is_another_installation() {
        for words in [&[BootAction::Install][..], &[BootAction::Os, BootAction::Install]] {
            let store = Store::in_memory().expect("a store");
            let host = HostName::parse("compute-0-0").expect("a name");
            store.write("add", |writer| writer.add_host(&Host::new(host.clone(), "compute"))).expect("written");
            let boot = || store.read(|reader| reader.boot(&host)).expect("it is there");
            let pending = Pending::new();
            pending.push(&host, BootChange::First);
            let first = pending.overlay(&host, boot()).install_id;
            for word in words {
                store.write("an order", |writer| writer.set_boot(&host, *word).map(drop)).expect("written");
            }
            let ordered = pending.overlay(&host, boot());
            assert_ne!(ordered.install_id, first, "after {words:?}: the token of the first is good for the second");
            // The machine that came first ends what it came for, and nothing else.
            let over = BootChange::Goes { install_id: first, state: InstallState::Installed, note: None };
            pending.push(&host, over);
            assert!(pending.write_now(&store).1.is_ok());
            assert_eq!(boot(), ordered, "the order is not lost");
        }
    }
}
