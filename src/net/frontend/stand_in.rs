//! In the tracker's place: machines that no tracker answers announce here, and find each other all the same.
//!
//! Invariant: whom it names, and to whom, follows the tracker's own rules, and is a host that the store says installs now. It
//! knows who announced here and who is connected with the seed: among these are those whom the tracker still answers, so
//! that the swarm stays one.

use super::Shared;
use crate::net::http::{Request, Response};
use crate::net::links::Door;
use crate::net::roster;
use crate::net::seldom::Seldom;
use crate::net::turns::Turns;
use crate::store::Store;
use crate::swarm::Listener;
use crate::torrent::InfoHash;
use crate::tracker::{Refusal, Tracker};
use crate::wire::http::{put_announce_reply, put_failure, read_announce};
use crate::wire::{Announce, AnnounceReply};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often a seed is asked who is connected with it, while machines announce here.
const LOOK: Duration = Duration::from_secs(1);
/// How long a machine waits that installs as it says here, but not yet in the store; and how often that is looked at.
const FRESH: (Duration, Duration) = (Duration::from_millis(1000), Duration::from_millis(100));

/// Who is in which swarm, as far as it is known here.
pub(super) struct StandIn {
    known: Mutex<Known>,
    /// The clock that the tracker sees begins here.
    epoch: Instant,
    told: Seldom<()>,
}

struct Known {
    tracker: Tracker,
    hosts: Option<roster::Known>,
    /// Seeds that were asked a moment ago.
    asked: HashMap<InfoHash, Instant>,
}

impl StandIn {
    /// Knows nobody; the seed value feeds its random ties.
    pub(super) fn new(seed_value: u64) -> Self {
        let known = Known { tracker: Tracker::new(seed_value), hosts: None, asked: HashMap::new() };
        Self { known: Mutex::new(known), epoch: Instant::now(), told: Seldom::default() }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("nobody panics while holding the swarms")
    }

    /// Who is connected with the seed of this swarm, where it was not asked just now.
    async fn listeners(&self, seeds: &Door, swarm: InfoHash) -> Vec<Listener> {
        let Some(seed) = seeds.member(swarm) else { return Vec::new() };
        let now = Instant::now();
        let is_due = {
            let asked = &mut self.known().asked;
            asked.retain(|_, when| now.saturating_duration_since(*when) < LOOK);
            let is_due = !asked.contains_key(&swarm);
            asked.entry(swarm).or_insert(now);
            is_due
        };
        if is_due { seed.listeners().await } else { Vec::new() }
    }

    /// Takes in an announce, and before it who is connected with the seed, as if they had announced as well.
    fn announce(
        &self,
        store: &Store,
        from: IpAddr,
        announce: &Announce,
        listeners: &[Listener],
    ) -> Result<AnnounceReply, Refusal> {
        let mut known = self.known();
        // A store that cannot be read tells nothing new.
        if let Ok(Some((hosts, news))) = roster::look(store, known.hosts) {
            news.tell(&mut known.tracker);
            known.hosts = Some(hosts);
        }
        let now = self.epoch.elapsed();
        for listener in listeners.iter().filter(|listener| listener.address.ip().to_canonical() != from) {
            let is_there = Announce {
                left_bytes: u64::from(!listener.is_complete),
                peers_wanted: Some(0),
                ..Announce::new(announce.info_hash, listener.id, listener.address.port())
            };
            // Whoever is refused does not install, and is named to nobody.
            let _ = known.tracker.announce(now, listener.address.ip(), &is_there);
        }
        known.tracker.announce(now, from, announce)
    }
}

/// `/install/announce`: as a tracker's `/announce`.
pub(super) async fn answer(shared: &Arc<Shared>, turns: &Arc<Turns>, request: &Request) -> Response {
    let from = request.peer.ip().to_canonical();
    let mut body = Vec::with_capacity(512);
    match read_announce(request.head.target.query.as_deref().unwrap_or_default().as_bytes()) {
        Ok(announce) => match take_in(shared, turns, from, &announce).await {
            Ok(reply) => put_announce_reply(&mut body, &reply, announce.compact),
            Err(refusal) => {
                shared.counters.refused.fetch_add(1, Ordering::Relaxed);
                if shared.refused.is_due((from, "announce-refused")) {
                    shared.log.warning("announce-refused", &[("address", &from), ("reason", &refusal)]);
                }
                put_failure(&mut body, &refusal.to_string());
            }
        },
        Err(error) => put_failure(&mut body, &error.to_string()),
    }
    Response::new(200, "text/plain", body).with("Cache-Control", "no-store")
}

async fn take_in(
    shared: &Arc<Shared>,
    turns: &Arc<Turns>,
    from: IpAddr,
    announce: &Announce,
) -> Result<AnnounceReply, Refusal> {
    let begun = Instant::now();
    loop {
        let listeners = shared.stand_in.listeners(&shared.seeds.door(), announce.info_hash).await;
        let turn = turns.take(from).await;
        let (shared_too, announce_too) = (Arc::clone(shared), announce.clone());
        let work = move || {
            let Shared { stand_in, store, .. } = &*shared_too;
            (stand_in.announce(store, from, &announce_too, &listeners), turn).0
        };
        let outcome = tokio::task::spawn_blocking(work).await;
        let outcome = outcome.unwrap_or(Err(Refusal::UnknownHost { ip: from }));
        // The store is told in its turn that a machine has begun.
        let is_late = matches!(outcome, Err(Refusal::NotInstalling { .. }))
            && shared.board.is_installing_at(from)
            && begun.elapsed() < FRESH.0;
        if is_late {
            tokio::time::sleep(FRESH.1).await;
            continue;
        }
        if outcome.is_ok() {
            shared.counters.announces.fetch_add(1, Ordering::Relaxed);
            if shared.stand_in.told.is_due(()) {
                let hint =
                    "machines find each other through this frontend meanwhile; is rocks track running, and reached?";
                shared.log.warning("tracker-silent", &[("says", &from), ("hint", &hint)]);
            }
        }
        return outcome;
    }
}
