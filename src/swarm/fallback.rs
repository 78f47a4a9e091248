//! The ways out when nobody has what is missing: the frontend's seed is asked for it, then its web seed (HTTP).
//!
//! Both are bounded on both sides: they are the way of a machine that is alone, whose peers died or lied, or whose
//! installer has waited too long; never the main road of a herd.

use super::config::{HTTP_ALONE, HTTP_BESIDE_PEERS};
use super::event::{Action, Source, WebSeedOutcome};
use super::extension::{self, NAMED_PIECES_MAX};
use super::flights::{Flight, FlightKind};
use super::message::Message;
use super::pieces::State;
use super::session::Session;
use crate::torrent::PieceIndex;
use std::collections::BTreeMap;
use std::time::Duration;

/// With nothing in flight for so long the frontend's seed is asked, and again each time as long.
const ASK_AFTER: Duration = Duration::from_millis(250);
/// What the installer waits for is asked of the seed at once, and again each time as long.
const ASK_DEMANDED_EVERY: Duration = Duration::from_millis(500);
/// With nothing in flight for so long, the web seed is used and the rack rule no longer holds.
const DESPERATE_AFTER: Duration = Duration::from_secs(1);
/// A machine that met nobody at all begins with the web seed after this time.
const ALONE_AFTER: Duration = Duration::from_millis(300);
/// What the installer has waited for so long is fetched over HTTP if nobody sends it.
const DEMAND_OVER_HTTP_AFTER: Duration = Duration::from_millis(1000);
/// Both times grow with the time between two pieces, or a slow link alone would lead a whole herd to the web seed, and
/// what it takes is missing where pieces come from that nobody has; and before the first piece has come from a frontend
/// that is there, since each of many must wait for its turn.
const PATIENCE_GAPS: u32 = 32;
const PATIENCE_MAX: Duration = Duration::from_secs(4);
const PATIENCE_AT_FIRST: Duration = Duration::from_secs(2);
/// After a failure the web seed is left alone for so long, doubled each time up to that.
const HTTP_RETRY_MIN: Duration = Duration::from_millis(200);
const HTTP_RETRY_MAX: Duration = Duration::from_secs(5);
/// A piece that failed is left alone for so long, doubled each time up to [`HTTP_RETRY_MAX`], or up to that where the
/// frontend does not have it: it must not keep those behind it waiting.
const PIECE_RETRY_MIN: Duration = Duration::from_secs(1);
const MISSING_RETRY_MAX: Duration = Duration::from_secs(60);
/// What follows a piece that is missing comes so soon, a little later each time; a tree that is gone altogether is not to
/// be asked for all its pieces in a moment.
const MISSING_PAUSE: Duration = Duration::from_millis(20);
const MISSING_PAUSES_MAX: u32 = 10;

/// Since when there is need, and what was done about it.
#[derive(Debug, Default)]
pub(super) struct Fallback {
    starving_since: Option<Duration>,
    /// When the installer last got something, or began to wait.
    demanded_at: Option<Duration>,
    asked_at: Option<Duration>,
    asked_demand_at: Option<Duration>,
    http_not_before: Duration,
    http_failures: u32,
    /// Pieces in a row that the frontend did not have.
    http_missing: u32,
    /// Pieces that failed: how often, and until when they are left alone. Of wanted pieces alone, so no more than there are.
    failed: BTreeMap<PieceIndex, (u32, Duration)>,
    /// How much longer than others this machine waits before it takes what the installer waits for over HTTP, of
    /// [`DEMAND_OVER_HTTP_AFTER`]: one lost piece can hold up all installers at the same moment, and whoever gets it first
    /// passes it on.
    turn: f64,
}

impl Fallback {
    /// With its turn among the machines, from 0 to 1.
    pub(super) fn new(turn: f64) -> Self {
        Self { turn, ..Self::default() }
    }
    pub(super) fn starving(&mut self, now: Duration, is_starving: bool) {
        match is_starving {
            true => _ = self.starving_since.get_or_insert(now),
            false => self.starving_since = None,
        }
    }
    pub(super) fn demanded(&mut self, now: Duration) {
        self.demanded_at.get_or_insert(now);
        self.asked_demand_at = None;
    }
    /// Something the installer waited for has come.
    pub(super) fn demand_moved(&mut self, now: Duration) {
        self.demanded_at = Some(now);
    }
    /// Nothing has been in flight for so long that every way is right.
    pub(super) fn is_desperate(&self, now: Duration) -> bool {
        self.starving_since.is_some_and(|since| now.saturating_sub(since) >= DESPERATE_AFTER)
    }
    pub(super) fn web_seed_failed(&mut self, now: Duration, piece: PieceIndex) {
        self.piece_failed(now, piece, HTTP_RETRY_MAX);
        self.http_failures += 1;
        let wait = HTTP_RETRY_MIN * 2u32.pow(self.http_failures.min(8));
        self.http_not_before = now + wait.min(HTTP_RETRY_MAX);
    }
    /// The frontend is well, and does not have the piece.
    fn web_seed_lacks(&mut self, now: Duration, piece: PieceIndex) {
        self.piece_failed(now, piece, MISSING_RETRY_MAX);
        self.http_failures = 0;
        self.http_missing = (self.http_missing + 1).min(MISSING_PAUSES_MAX);
        self.http_not_before = now + MISSING_PAUSE * self.http_missing;
    }
    fn piece_failed(&mut self, now: Duration, piece: PieceIndex, most: Duration) {
        let (times, until) = self.failed.entry(piece).or_default();
        *until = now + (PIECE_RETRY_MIN * 2u32.pow((*times).min(8))).min(most);
        *times += 1;
    }
    fn web_seed_works(&mut self, piece: PieceIndex) {
        self.failed.remove(&piece);
        (self.http_failures, self.http_missing) = (0, 0);
    }
    /// Whether a piece failed so lately that it is left alone.
    fn is_left_alone(&self, now: Duration, piece: PieceIndex) -> bool {
        self.failed.get(&piece).is_some_and(|(_, until)| now < *until)
    }
}

impl Session {
    pub(super) fn check_fallback(&mut self, now: Duration) {
        if self.is_seed() || self.pieces.idle().is_none() {
            return;
        }
        if self.demand.is_empty() {
            self.fallback.demanded_at = None;
        }
        self.ask_frontend(now);
        self.fetch_over_http(now);
    }

    /// Asks the frontend's seed for what nobody has: of the installer's pieces at once, of others after a while.
    fn ask_frontend(&mut self, now: Duration) {
        let Some((key, id)) = (self.peers.frontend())
            .filter(|peer| peer.is_ours() && peer.has_opened)
            .map(|peer| (peer.key, peer.rest.extension.ids[usize::from(extension::ASK)]))
        else {
            return;
        };
        let is_alone = |piece: &PieceIndex| self.pieces.idle().has(*piece) && self.pieces.availability(*piece) == 0;
        let mut asked: Vec<PieceIndex> = Vec::new();
        let due = self.fallback.asked_demand_at.map_or(now, |at| at + ASK_DEMANDED_EVERY);
        if due <= now {
            asked.extend(self.demand.iter().filter(is_alone).take(NAMED_PIECES_MAX / 2));
            self.fallback.asked_demand_at = Some(now);
        }
        let mut next = if self.demand.is_empty() { None } else { Some(due.max(now) + ASK_DEMANDED_EVERY) };
        if let Some(since) = self.fallback.starving_since {
            let since = self.fallback.asked_at.map_or(since, |asked| asked.max(since));
            let patience = ASK_AFTER.max(self.pace.piece_time() * 4);
            if now.saturating_sub(since) >= patience {
                self.fallback.asked_at = Some(now);
                let idle: Vec<PieceIndex> = self.pieces.idle().iter().collect();
                let start = self.random.below(idle.len() as u64) as usize;
                let around = idle[start..].iter().chain(&idle[..start]).copied();
                let first_alone = around.clone().filter(|piece| self.pieces.availability(*piece) == 0);
                let mut more: Vec<PieceIndex> = first_alone.take(NAMED_PIECES_MAX / 2).collect();
                if more.is_empty() {
                    more = around.take(2).collect();
                }
                more.retain(|piece| !asked.contains(piece));
                asked.extend(more);
            }
            let again = self.fallback.asked_at.map_or(since, |asked| asked.max(since)) + patience;
            next = Some(next.map_or(again, |next| next.min(again)));
        }
        if !asked.is_empty() {
            let payload = extension::encode_pieces(&asked);
            self.say(key, Message::Extended { id, payload });
        }
        if let Some(next) = next {
            self.wake_at(next);
        }
    }

    /// Asks the frontend's seed for a piece of which a wrong copy came, if nobody else has it.
    pub(super) fn ask_for_spoiled(&mut self, piece: PieceIndex) {
        let frontend = self.peers.frontend().filter(|peer| peer.is_ours());
        if let Some(peer) = frontend.filter(|_| self.pieces.availability(piece) == 0) {
            let (key, id) = (peer.key, peer.rest.extension.ids[usize::from(extension::ASK)]);
            self.say(key, Message::Extended { id, payload: extension::encode_pieces(&[piece]) });
        }
    }

    fn fetch_over_http(&mut self, now: Duration) {
        if !self.config.web_seed || !self.contacts.has_started() {
            return;
        }
        if now < self.fallback.http_not_before {
            return self.wake_at(self.fallback.http_not_before);
        }
        let starving_for = self.fallback.starving_since.map(|since| now.saturating_sub(since));
        let has_http = self.pieces.flights().iter().any(|flight| flight.source == Source::WebSeed);
        let is_alone = self.peers.iter().all(|peer| peer.have().is_none() && !peer.is_frontend)
            && !(self.contacts.frontend_may_come() && starving_for.is_some_and(|time| time < ALONE_AFTER));
        let patience = self.http_patience();
        let is_starving = starving_for.is_some_and(|time| time >= DESPERATE_AFTER.max(patience));
        let demand_patience = DEMAND_OVER_HTTP_AFTER.max(patience);
        // Without peers nobody could pass it on.
        let turn = if is_alone { 0.0 } else { self.fallback.turn };
        let waits_too_long = (self.fallback.demanded_at)
            .is_some_and(|at| now.saturating_sub(at) >= demand_patience + DEMAND_OVER_HTTP_AFTER.mul_f64(turn));
        let at_once = match (is_alone && (has_http || starving_for.is_some()), is_starving || waits_too_long) {
            (true, _) => HTTP_ALONE,
            (false, true) => HTTP_BESIDE_PEERS,
            (false, false) => 0,
        };
        if let Some(since) = self.fallback.starving_since {
            let next = if is_alone { since + DESPERATE_AFTER } else { since + ALONE_AFTER };
            self.wake_at(next.max(now + ALONE_AFTER / 10));
        }
        self.fetch_pieces(now, at_once, waits_too_long && !is_starving && !is_alone);
    }

    /// How long others are given, if that is longer than the times for links of the usual rates.
    fn http_patience(&self) -> Duration {
        match (self.pace.is_known(), self.peers.frontend()) {
            (true, _) => (self.pace.gap() * PATIENCE_GAPS).min(PATIENCE_MAX),
            (false, Some(_)) => PATIENCE_AT_FIRST,
            (false, None) => Duration::ZERO,
        }
    }

    fn fetch_pieces(&mut self, now: Duration, at_once: usize, only_demanded: bool) {
        let flying = self.pieces.flights().iter().filter(|flight| flight.source == Source::WebSeed).count();
        for _ in flying..at_once {
            let may_come = |piece: &PieceIndex| !self.fallback.is_left_alone(now, *piece);
            let demanded = self.demand.iter().filter(|piece| self.pieces.idle().has(*piece));
            let piece = { demanded }.find(may_come).or_else(|| {
                let nobody_has = |piece: &PieceIndex| self.pieces.availability(*piece) == 0;
                let idle = || self.pieces.idle().iter().filter(may_come);
                if only_demanded { None } else { idle().find(nobody_has).or_else(|| idle().next()) }
            });
            let Some(piece) = piece else { return };
            self.pieces.fly(Flight::new(now, piece, Source::WebSeed, FlightKind::Http));
            self.peers.count_useful(piece, false);
            self.act(Action::FetchHttp { piece });
        }
    }

    pub(super) fn on_web_seed(&mut self, now: Duration, piece: PieceIndex, outcome: WebSeedOutcome) {
        let is_flying = self.pieces.flights().of(piece).iter().any(|flight| flight.source == Source::WebSeed);
        match outcome {
            WebSeedOutcome::Received => {
                let length = u64::from(self.layout.payload_len(piece));
                self.totals.from_frontend_bytes += length;
                if is_flying && self.pieces.state(piece) == State::InFlight {
                    self.fallback.web_seed_works(piece);
                    self.arrived(piece, Source::WebSeed);
                } else {
                    self.totals.twice_bytes += length;
                }
            }
            WebSeedOutcome::Busy(wait) => {
                // Around that time: those who were turned away together need not come back together.
                self.fallback.http_not_before = now + self.random.around(wait.min(HTTP_RETRY_MAX));
                self.give_up(piece, Source::WebSeed);
            }
            WebSeedOutcome::Missing => {
                self.fallback.web_seed_lacks(now, piece);
                self.give_up(piece, Source::WebSeed);
            }
            WebSeedOutcome::Failed => {
                self.fallback.web_seed_failed(now, piece);
                self.give_up(piece, Source::WebSeed);
            }
        }
        self.refill(now);
        self.check_fallback(now);
    }
}
