//! What the frontend's web seed may take of its link while its seed has pieces to send that nobody has: a small share.
//!
//! A machine that cannot take part in the swarm (nobody reaches it, or it lied and is banned) lives on HTTP alone and
//! takes whatever it gets; what it takes is missing where new pieces come from, for all others. So while the seed is at
//! work such requests are turned away, but for a share of what the seed sends. What the installer itself asks for, and
//! what stock clients ask, is never turned away.

use super::session::Session;
use std::time::Duration;

/// Of so many bytes that the seed sends one may be web seed.
const SHARE: u64 = 16;
/// What is saved up of that at most, or one piece, if that is longer.
const SAVED_BYTES_MAX: u64 = 1 << 20;
/// A machine that was turned away comes back after so long.
pub const WEB_SEED_RETRY: Duration = Duration::from_secs(1);

/// The web seed's account, beside one or more seeds.
#[derive(Debug, Default)]
pub struct WebSeedShare {
    /// What may be taken, in bytes.
    saved: u64,
    /// What seeds had sent when that was found out.
    sent_bytes: u64,
}

impl WebSeedShare {
    /// Whether so many bytes may be sent now, while seeds that have sent `sent_bytes` so far have pieces to offer and are
    /// sending, or not.
    pub fn admits(&mut self, bytes: u64, is_offering: bool, sent_bytes: u64) -> bool {
        let earned = sent_bytes.saturating_sub(self.sent_bytes) / SHARE;
        // What is less than a byte's worth stays to be earned.
        self.sent_bytes = if sent_bytes < self.sent_bytes { sent_bytes } else { self.sent_bytes + earned * SHARE };
        self.saved = (self.saved + earned).min(SAVED_BYTES_MAX.max(bytes));
        if is_offering && self.saved < bytes {
            return false;
        }
        self.saved = self.saved.saturating_sub(bytes);
        true
    }
}

impl Session {
    /// Whether a seed is sending, and has offers that wait to be sent.
    pub fn is_offering(&self) -> bool {
        self.offers.is_busy() && self.uploads.active() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_seed_leaves_the_web_seed_a_sixteenth() {
        let mut share = WebSeedShare::default();
        assert!(!share.admits(100, true, 0), "nothing is earned yet");
        assert!(!share.admits(100, true, 1599));
        assert!(share.admits(100, true, 1600));
        assert!(!share.admits(100, true, 1600), "it is spent");
        assert!(share.admits(1 << 30, false, 1600), "an idle seed leaves all");
        let sent = 1600 + SHARE * 10 * SAVED_BYTES_MAX;
        assert!(share.admits(SAVED_BYTES_MAX, true, sent));
        assert!(!share.admits(1, true, sent), "no more than that was saved up");
        let long = 4 * SAVED_BYTES_MAX;
        assert!(!share.admits(long, true, sent + SHARE * (long - 1)));
        assert!(share.admits(long, true, sent + SHARE * long), "one piece longer than that passes too");
        assert!(!share.admits(1, true, 0), "seeds that ended took their count with them");
    }
}
