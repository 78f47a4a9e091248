//! What peers are told of pieces gained: at once where that counts, else many at a time.
//!
//! Most of what machines say to each other is that they have a piece. The first ones to have it must be known at once, or
//! it does not spread; but who has it can send to few, and whoever else asks for it is turned down: so some hear at once,
//! others each time. Of a piece that enough have already a peer needs no further source soon. All other news waits and
//! goes out together, one packet for many.

use super::event::Action;
use super::message::Message;
use super::session::Session;
use crate::torrent::PieceIndex;
use std::time::Duration;

/// The frontend hears of pieces that few have after so many times the time between two pieces, and this time at most: it has
/// to know that they are not lost, and gives more to who says that it has what it got. Of others after the second time,
/// many at once: each word of a machine costs an acknowledgement on the link that feeds everybody.
const FRONTEND_SOON_GAPS: u32 = 10;
const FRONTEND_SOON: Duration = Duration::from_millis(100);
const FRONTEND_LATER: Duration = Duration::from_secs(1);
/// A piece that so many peers have is common.
const COMMON: u16 = 4;
/// So many machines hear at once of a piece that is not.
const AT_ONCE_MAX: usize = 12;
/// News of common pieces waits for so many times the time between two pieces, within these bounds.
const LATER_GAPS: u32 = 8;
const LATER_MIN: Duration = Duration::from_millis(5);
const LATER_MAX: Duration = Duration::from_secs(1);

/// When those are due to be told who were not told at once; what of is in their `untold`.
#[derive(Debug, Default)]
pub(super) struct News {
    frontend_at: Option<Duration>,
    others_at: Option<Duration>,
}

impl Session {
    /// Tells of a piece that is held now, nobody who has it: the frontend by and by, others at once, or later if the piece
    /// is common.
    pub(super) fn tell(&mut self, now: Duration, piece: PieceIndex) {
        let hears = |at| !self.peers.at(at).upload_only && !self.peers.at(at).is_frontend;
        let hearing = self.peers.without(piece).filtered(hears);
        let (is_common, is_common_near) =
            (self.pieces.availability(piece) >= COMMON, self.pieces.mates(piece) >= COMMON);
        if let Some(key) = self.peers.frontend().map(|peer| peer.key)
            && let Some(frontend) = self.peers.get_mut(key)
        {
            frontend.rest.untold.push(piece);
            let soon = (self.pace.gap() * FRONTEND_SOON_GAPS).min(FRONTEND_SOON);
            let due = now + if is_common { FRONTEND_LATER } else { soon };
            self.news.frontend_at = Some(self.news.frontend_at.map_or(due, |at| at.min(due)));
        }
        // A mate asks outside the rack for what it knows of no mate; a stock client may drop who tells late.
        let may_wait = |at| {
            let peer = self.peers.at(at);
            peer.is_ours() && if peer.is_mate { is_common_near } else { is_common }
        };
        let later = hearing.filtered(may_wait);
        let at_once = hearing.filtered(|at| !may_wait(at));
        for at in later {
            self.tell_later(now, at, piece);
        }
        // In an order that changes: who hears first asks first, and it must not always be the same ones.
        let first = self.random.below(at_once.count() as u64) as usize;
        let mut told = 0;
        for at in at_once.skip(first).chain(at_once.take(first)) {
            let peer = self.peers.at_mut(at);
            if peer.is_ours() {
                told += 1;
                if told > AT_ONCE_MAX {
                    self.tell_later(now, at, piece);
                    continue;
                }
            }
            peer.said_at = now;
            self.actions.push_back(Action::Send { peer: peer.key, message: Message::Have(piece.get()) });
        }
        self.wake_for_news();
    }

    fn tell_later(&mut self, now: Duration, at: usize, piece: PieceIndex) {
        self.peers.at_mut(at).rest.untold.push(piece);
        let wait = (self.pace.gap() * LATER_GAPS).clamp(LATER_MIN, LATER_MAX);
        self.news.others_at.get_or_insert(now + wait);
    }

    /// Tells what is due, and sees to it that the rest will be told.
    pub(super) fn tell_what_is_due(&mut self, now: Duration) {
        if self.news.frontend_at.is_some_and(|at| at <= now) {
            self.news.frontend_at = None;
            self.tell_untold(now, true);
        }
        if self.news.others_at.is_some_and(|at| at <= now) {
            self.news.others_at = None;
            self.tell_untold(now, false);
        }
        self.wake_for_news();
    }

    /// Tells everything that waits.
    pub(super) fn tell_all(&mut self, now: Duration) {
        self.news = News::default();
        self.tell_untold(now, true);
        self.tell_untold(now, false);
    }

    fn wake_for_news(&mut self) {
        for at in [self.news.frontend_at, self.news.others_at].into_iter().flatten() {
            self.wake_at(at);
        }
    }

    /// Tells the frontend, or the others, what they were not told, but for what they have or need no more.
    fn tell_untold(&mut self, now: Duration, frontend: bool) {
        for peer in self.peers.iter_mut().filter(|peer| peer.is_frontend == frontend) {
            for piece in std::mem::take(&mut peer.rest.untold) {
                if frontend || (!peer.upload_only && !peer.have().has(piece)) {
                    peer.said_at = now;
                    self.actions.push_back(Action::Send { peer: peer.key, message: Message::Have(piece.get()) });
                }
            }
        }
    }
}
