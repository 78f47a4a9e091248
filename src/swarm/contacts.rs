//! Whom to connect to and when to ask the tracker: addresses it named, the frontend's seed, those that are banned.
//!
//! A dead tracker costs nothing but new addresses; the frontend's seed is tried again for as long as something is
//! missing.

use super::config::{self, SessionConfig};
use super::event::{Action, AnnounceEvent};
use super::peers::Peer;
use super::random::Generator;
use crate::torrent::PeerId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Announce again no sooner than this, whatever the tracker says, and no later than that.
const ANNOUNCE_EVERY_MIN: Duration = Duration::from_secs(5);
const ANNOUNCE_EVERY_MAX: Duration = Duration::from_secs(1800);
/// A tracker that does not answer is asked again after this time, doubled each time up to that.
const ANNOUNCE_RETRY_MIN: Duration = Duration::from_secs(1);
const ANNOUNCE_RETRY_MAX: Duration = Duration::from_secs(30);
/// An announce whose answer never comes is given up after this time.
const ANNOUNCE_ANSWER_MAX: Duration = Duration::from_secs(20);
/// The frontend's seed is tried again after this time, doubled each time up to that.
const FRONTEND_RETRY_MIN: Duration = Duration::from_secs(1);
const FRONTEND_RETRY_MAX: Duration = Duration::from_secs(30);
/// A host whose peers were banned so often is let in under no name.
const HOST_BANS_MAX: u32 = 3;
/// A host that was closed since it did not answer is left alone for so long, doubled each time up to that: it would be
/// asked again as soon as it comes again.
const MUTE_FOR_MIN: Duration = Duration::from_secs(2);
const MUTE_FOR_MAX: Duration = Duration::from_secs(64);
/// With fewer peers than this the tracker is asked as often as it may be.
const PEERS_FEW: usize = 4;

/// Whom to connect to and when to ask the tracker.
pub(super) struct Contacts {
    own: Option<SocketAddr>,
    frontend: Option<SocketAddr>,
    has_tracker: bool,
    started: bool,
    stopped: bool,
    completed: bool,
    to_announce: Option<AnnounceEvent>,
    announce_at: Option<Duration>,
    announce_retry: Duration,
    candidates: VecDeque<SocketAddr>,
    pending: BTreeSet<SocketAddr>,
    connected: BTreeSet<SocketAddr>,
    banned_ids: BTreeSet<PeerId>,
    banned_addresses: BTreeSet<SocketAddr>,
    /// How often a peer at this address was banned, under whatever name.
    banned_hosts: BTreeMap<IpAddr, u32>,
    /// Hosts that did not answer: until when they are left alone, and for how long that was.
    mute_hosts: BTreeMap<IpAddr, (Duration, Duration)>,
    /// Of a seed: hosts that a machine reported as liars, and the host of that machine.
    accused: BTreeMap<IpAddr, IpAddr>,
    frontend_at: Option<Duration>,
    frontend_retry: Duration,
    /// When [`Self::next`] may have something; zero after every change.
    due_at: Duration,
}

impl Contacts {
    pub(super) fn new(config: &SessionConfig) -> Self {
        Self {
            own: config.address,
            frontend: config.frontend,
            has_tracker: config.tracker,
            started: false,
            stopped: false,
            completed: false,
            to_announce: None,
            announce_at: None,
            announce_retry: ANNOUNCE_RETRY_MIN,
            candidates: VecDeque::new(),
            pending: BTreeSet::new(),
            connected: BTreeSet::new(),
            banned_ids: BTreeSet::new(),
            banned_addresses: BTreeSet::new(),
            banned_hosts: BTreeMap::new(),
            mute_hosts: BTreeMap::new(),
            accused: BTreeMap::new(),
            frontend_at: None,
            frontend_retry: FRONTEND_RETRY_MIN,
            due_at: Duration::ZERO,
        }
    }

    /// Whether [`Self::next`] may have something.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.due_at <= now
    }
    fn changed(&mut self) {
        self.due_at = Duration::ZERO;
    }

    /// The first pieces are wanted.
    pub(super) fn start(&mut self, now: Duration) {
        self.changed();
        if !std::mem::replace(&mut self.started, true) {
            self.to_announce = self.has_tracker.then_some(AnnounceEvent::Started);
            self.frontend_at = self.frontend.map(|_| now);
        }
    }
    pub(super) fn has_started(&self) -> bool {
        self.started
    }
    /// Everything wanted is held: the tracker hears it once.
    pub(super) fn complete(&mut self) {
        self.changed();
        // From now on the tracker names only who cannot come by itself.
        self.candidates.clear();
        if self.has_tracker && !std::mem::replace(&mut self.completed, true) && self.to_announce.is_none() {
            self.to_announce = Some(AnnounceEvent::Completed);
        }
    }
    pub(super) fn stop(&mut self) {
        self.changed();
        self.stopped = true;
        self.to_announce = None;
        self.announce_at = None;
    }

    /// The tracker named these.
    pub(super) fn told(&mut self, now: Duration, peers: &[SocketAddr], interval: Duration, random: &mut Generator) {
        self.changed();
        self.announce_retry = ANNOUNCE_RETRY_MIN;
        let interval = interval.clamp(ANNOUNCE_EVERY_MIN, ANNOUNCE_EVERY_MAX);
        self.announce_at = Some(now + interval.mul_f64(0.8 + 0.4 * random.unit()));
        for address in peers {
            let is_known = Some(*address) == self.own
                || Some(*address) == self.frontend
                || self.candidates.contains(address)
                || self.pending.contains(address)
                || self.connected.contains(address)
                || self.banned_addresses.contains(address);
            if !is_known && self.candidates.len() < config::CANDIDATES_MAX {
                self.candidates.push_back(*address);
            }
        }
    }
    pub(super) fn announce_failed(&mut self, now: Duration, random: &mut Generator) {
        self.changed();
        self.announce_at = Some(now + random.around(self.announce_retry));
        self.announce_retry = (self.announce_retry * 2).min(ANNOUNCE_RETRY_MAX);
    }

    /// A handshake with this address is complete; whether it stays is another matter.
    pub(super) fn answered(&mut self, address: SocketAddr) {
        self.changed();
        self.pending.remove(&address);
    }
    /// There is a connection with who listens there.
    pub(super) fn joined(&mut self, address: SocketAddr) {
        self.changed();
        self.connected.insert(address);
    }
    pub(super) fn failed(&mut self, now: Duration, address: SocketAddr) {
        self.changed();
        self.pending.remove(&address);
        self.retry_frontend(now, address);
    }
    pub(super) fn lost(&mut self, now: Duration, peer: &Peer) {
        self.changed();
        self.connected.remove(&peer.rest.address);
        self.connected.remove(&peer.listens_at());
        if peer.is_frontend {
            self.retry_frontend(now, peer.rest.address);
        }
    }
    fn retry_frontend(&mut self, now: Duration, address: SocketAddr) {
        if Some(address) == self.frontend {
            self.frontend_at = Some(now + self.frontend_retry);
            self.frontend_retry = (self.frontend_retry * 2).min(FRONTEND_RETRY_MAX);
        }
    }
    /// The frontend gave us a piece: it is well.
    pub(super) fn frontend_works(&mut self) {
        self.frontend_retry = FRONTEND_RETRY_MIN;
    }
    /// Whether the way to the frontend's seed is still open: connected, or being tried for the first time.
    pub(super) fn frontend_may_come(&self) -> bool {
        self.frontend.is_some() && self.frontend_retry == FRONTEND_RETRY_MIN
    }

    /// Never connect there again, and let nobody of that name in. Of very many the oldest names are not kept.
    pub(super) fn ban(&mut self, id: PeerId, address: SocketAddr) {
        if self.banned_ids.len() < config::BANNED_MAX {
            self.banned_ids.insert(id);
        }
        let host = address.ip().to_canonical();
        if self.banned_hosts.len() < config::BANNED_MAX || self.banned_hosts.contains_key(&host) {
            *self.banned_hosts.entry(host).or_default() += 1;
        }
        self.never(address);
    }
    /// A machine says that another host lies; two that say so are believed, and it is let in under no name.
    pub(super) fn is_proved_to_lie(&mut self, host: IpAddr, says: IpAddr) -> bool {
        match self.accused.get(&host) {
            Some(before) if *before != says => {
                self.accused.remove(&host);
                // Twice as many as others are banned: the two may come again and again, and name hosts that are none.
                if self.banned_hosts.len() < 2 * config::BANNED_MAX || self.banned_hosts.contains_key(&host) {
                    self.banned_hosts.insert(host, HOST_BANS_MAX);
                }
                true
            }
            None if self.accused.len() < config::BANNED_MAX => {
                self.accused.insert(host, says);
                false
            }
            _ => false,
        }
    }
    /// This host did not answer what was asked of it.
    pub(super) fn is_mute(&mut self, now: Duration, host: IpAddr) {
        if self.mute_hosts.len() < config::BANNED_MAX || self.mute_hosts.contains_key(&host) {
            let (until, time) = self.mute_hosts.entry(host).or_insert((now, MUTE_FOR_MIN / 2));
            *time = (*time * 2).min(MUTE_FOR_MAX);
            *until = now + *time;
        }
    }
    /// Whether this host was mute lately.
    pub(super) fn was_mute(&self, now: Duration, host: IpAddr) -> bool {
        self.mute_hosts.get(&host).is_some_and(|(until, _)| now < *until)
    }
    pub(super) fn never(&mut self, address: SocketAddr) {
        self.changed();
        if self.banned_addresses.len() < config::BANNED_MAX {
            self.banned_addresses.insert(address);
        }
        self.candidates.retain(|candidate| *candidate != address);
    }
    pub(super) fn is_banned(&self, id: PeerId, address: SocketAddr) -> bool {
        self.banned_ids.contains(&id)
            || self.banned_addresses.contains(&address)
            || self.banned_hosts.get(&address.ip().to_canonical()).is_some_and(|times| *times >= HOST_BANS_MAX)
    }

    /// The next announce or connection that is due.
    pub(super) fn next(&mut self, now: Duration, peers: usize, left_bytes: u64) -> Option<Action> {
        if !self.started || self.stopped {
            return None;
        }
        if self.announce_at.is_some_and(|at| at <= now) {
            self.to_announce.get_or_insert(AnnounceEvent::Interval);
        }
        if let Some(event) = self.to_announce.take() {
            self.announce_at = Some(now + ANNOUNCE_ANSWER_MAX);
            return Some(Action::Announce { event, left_bytes });
        }
        if self.has_tracker && left_bytes > 0 && peers < PEERS_FEW && self.candidates.is_empty() {
            self.announce_at = self.announce_at.map(|at| at.min(now + ANNOUNCE_EVERY_MIN));
        }
        if let (Some(frontend), Some(at)) = (self.frontend, self.frontend_at)
            && at <= now
            && left_bytes > 0
        {
            self.frontend_at = None;
            self.pending.insert(frontend);
            return Some(Action::Connect { address: frontend });
        }
        if peers + self.pending.len() < config::PEERS_WANTED {
            let address = self.candidates.pop_front()?;
            self.pending.insert(address);
            return Some(Action::Connect { address });
        }
        None
    }

    /// [`Self::next`] has nothing more. When it may have something without anything having happened.
    pub(super) fn looked(&mut self, left_bytes: u64) -> Option<Duration> {
        let frontend_at = self.frontend_at.filter(|_| left_bytes > 0);
        let next_at = [self.announce_at, frontend_at].into_iter().flatten().min();
        let next_at = next_at.filter(|_| self.started && !self.stopped);
        self.due_at = next_at.unwrap_or(Duration::MAX);
        next_at
    }

    /// Checks the limits of this file.
    pub(super) fn check(&self) {
        assert!(self.candidates.len() <= config::CANDIDATES_MAX);
        assert!(self.pending.len() <= config::PEERS_WANTED + 1, "pending");
        assert!(self.mute_hosts.len() <= config::BANNED_MAX && self.accused.len() <= config::BANNED_MAX);
        // Hosts that are proved to lie come on top.
        assert!(self.banned_hosts.len() <= 2 * config::BANNED_MAX);
        assert!(self.banned_ids.len() <= config::BANNED_MAX && self.banned_addresses.len() <= config::BANNED_MAX);
    }
}
