//! How often a client announces, and how long its silence means nothing.
//!
//! Invariant: nobody is dropped who announces as seldom as it was told to, or as seldom as any stock client does
//! whatever it is told, and misses one announce.

use super::random::Random;
use crate::torrent::PeerId;
use std::time::Duration;

/// How often one kind of client is to announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// How often, before each one's own share of the spread is added.
    pub interval_secs: u32,
    /// Announces are spread over this much more, so that machines that started together do not stay together.
    pub spread_secs: u32,
    /// Not more often than this.
    pub min_interval_secs: u32,
    /// A peer that has not announced for so long is dropped: it may miss one announce.
    pub expiry: Duration,
}

impl Rhythm {
    /// Our own machines: one that dies is soon named to nobody.
    pub const OURS: Self =
        Self { interval_secs: 24, spread_secs: 12, min_interval_secs: 5, expiry: Duration::from_secs(75) };
    /// Any other client. Some do not announce as often as they are told: libtorrent and qBittorrent every five minutes,
    /// rtorrent every ten.
    pub const STOCK: Self =
        Self { interval_secs: 300, spread_secs: 60, min_interval_secs: 60, expiry: Duration::from_secs(25 * 60) };

    /// The rhythm of this client.
    pub fn of(client: &PeerId) -> Self {
        if client.is_rocks() { Self::OURS } else { Self::STOCK }
    }

    /// What one client is told.
    pub(super) fn draw_interval_secs(&self, random: &mut Random) -> u32 {
        self.interval_secs + random.below(self.spread_secs + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_forgiven_for_longer_than_twice_what_anybody_waits() {
        // What clients wait at least, whatever they are told: none of ours, ten minutes rtorrent.
        for (rhythm, least_secs) in [(Rhythm::OURS, 0), (Rhythm::STOCK, 600)] {
            let longest = (rhythm.interval_secs + rhythm.spread_secs).max(least_secs);
            assert!(rhythm.expiry > Duration::from_secs(2 * u64::from(longest)), "{rhythm:?}");
            assert!(rhythm.min_interval_secs < rhythm.interval_secs);
        }
        assert!(Rhythm::OURS.expiry <= Duration::from_secs(90), "a dead machine is soon gone");
        assert_eq!(Rhythm::of(&PeerId::new([0; 12])), Rhythm::OURS);
        assert_eq!(Rhythm::of(&PeerId(*b"-lt0D80-abcdefghijkl")), Rhythm::STOCK);
    }
}
