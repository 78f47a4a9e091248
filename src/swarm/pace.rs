//! How fast pieces come, and so how many to ask for at once and when to stop waiting for one.

use super::config;
use std::time::Duration;

/// Piece times kept for the median.
const SAMPLES: usize = 16;
/// Pieces in flight before anything is known.
const WINDOW_AT_FIRST: usize = 4;
/// Pieces in flight beside those that the latency needs: with short queues many requests are turned down, so enough of
/// them must be out for one to be served at any time.
const WINDOW_BASE: usize = 4;
/// Pieces in flight for each round trip in the time of a piece: so many requests are turned down one after the other until
/// one is served.
const WINDOW_PER_ROUND_TRIP: f64 = 5.0;
/// A piece is overdue after this many median times, but never before [`OVERDUE_MIN`].
const OVERDUE_PIECE_TIMES: u32 = 8;
const OVERDUE_MIN: Duration = Duration::from_millis(50);
/// The piece time assumed before any is known.
const PIECE_TIME_AT_FIRST: Duration = Duration::from_millis(100);
/// The time between two pieces assumed at first.
const GAP_AT_FIRST: Duration = Duration::from_millis(2);

/// Measures piece times: from the request to the last byte.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    samples: [u32; SAMPLES],
    count: usize,
    median_micros: u32,
    least_micros: u32,
    /// The shortest time in which a request was turned down: a round trip without payload.
    round_trip_micros: Option<u32>,
    /// When the last piece came, and the smoothed time between two.
    came_at: Option<Duration>,
    gap_micros: f64,
    window: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            samples: [0; SAMPLES],
            count: 0,
            median_micros: 0,
            least_micros: 0,
            round_trip_micros: None,
            came_at: None,
            gap_micros: 0.0,
            window: WINDOW_AT_FIRST,
        }
    }
}

impl Pace {
    /// A piece came that had been asked for `took` ago. One that was overdue counts too: or a short time at the beginning
    /// would make everything look late for ever. But it counts no more than twice the time after which it was.
    pub(super) fn came(&mut self, now: Duration, took: Duration, was_overdue: bool) {
        let took = if was_overdue { took.min(self.overdue_after() * 2) } else { took };
        self.samples[self.count % SAMPLES] = took.as_micros().min(u128::from(u32::MAX)) as u32;
        self.count += 1;
        let mut known = self.samples;
        let known = &mut known[..self.count.min(SAMPLES)];
        known.sort_unstable();
        self.median_micros = known[known.len() / 2];
        self.least_micros = if self.count == 1 { known[0] } else { self.least_micros.min(known[0]) };
        if was_overdue {
            return;
        }
        if let Some(before) = self.came_at.replace(now) {
            let gap = (now.saturating_sub(before)).as_micros() as f64;
            self.gap_micros = if self.gap_micros == 0.0 { gap } else { self.gap_micros * 0.9 + gap * 0.1 };
        }
        self.window = self.fitting_window();
    }

    /// A request made `took` ago was turned down.
    pub(super) fn turned_down(&mut self, took: Duration) {
        let took = took.as_micros().min(u128::from(u32::MAX)) as u32;
        self.round_trip_micros = Some(self.round_trip_micros.map_or(took, |least| least.min(took)));
    }

    /// The median time of a piece.
    pub(super) fn piece_time(&self) -> Duration {
        match self.count {
            0 => PIECE_TIME_AT_FIRST,
            _ => Duration::from_micros(u64::from(self.median_micros)),
        }
    }

    /// Whether a piece has come yet.
    pub(super) fn is_known(&self) -> bool {
        self.count > 0
    }

    /// Whether so many pieces have come that their median says something.
    pub(super) fn is_steady(&self) -> bool {
        self.count >= SAMPLES
    }

    /// The time between two pieces: what a piece takes on our own link when it is full. Before that is known a short
    /// time: in the first moments there is one holder of each piece, and who waits for long is left behind for good.
    pub(super) fn gap(&self) -> Duration {
        match self.count {
            SAMPLES.. if self.gap_micros >= 1.0 => Duration::from_micros(self.gap_micros as u64),
            _ => GAP_AT_FIRST,
        }
    }

    /// Pieces to have in flight: [`WINDOW_BASE`], twice what the latency of an answer, its own transfer taken off, holds at
    /// the present rate, and more where a round trip is a good part of the time between two pieces. Both are the least ever
    /// seen: later ones have queues in them, and a window that grows with queues makes them longer.
    pub(super) fn window(&self) -> usize {
        self.window
    }

    fn fitting_window(&self) -> usize {
        if self.count < SAMPLES || self.gap_micros < 1.0 {
            return WINDOW_AT_FIRST;
        }
        let latency = (f64::from(self.least_micros) - self.gap_micros).max(0.0);
        let round_trip = f64::from(self.round_trip_micros.unwrap_or(0));
        let refused = (round_trip * WINDOW_PER_ROUND_TRIP / self.gap_micros).round();
        let pieces = ((2.0 * latency / self.gap_micros).ceil() + refused) as usize + WINDOW_BASE;
        pieces.clamp(config::IN_FLIGHT_MIN, config::IN_FLIGHT_MAX)
    }

    /// After this time a piece in flight no longer counts in the window.
    pub(super) fn overdue_after(&self) -> Duration {
        match self.count {
            0 => config::REASSIGN_MIN,
            _ => (self.piece_time() * OVERDUE_PIECE_TIMES).max(OVERDUE_MIN),
        }
    }

    /// After this time without a byte a piece in flight is given to somebody else.
    pub(super) fn reassign_after(&self) -> Duration {
        (self.piece_time() * config::REASSIGN_PIECE_TIMES).max(config::REASSIGN_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_follows_the_latency() {
        let pace = |took_millis: u64, gap_millis: u64| {
            let mut pace = Pace::default();
            for n in 0..100 {
                pace.came(Duration::from_millis(n * gap_millis), Duration::from_millis(took_millis), false);
            }
            pace
        };
        assert_eq!(Pace::default().window(), WINDOW_AT_FIRST);
        assert_eq!(pace(20, 20).window(), WINDOW_BASE);
        assert_eq!(pace(50, 20).window(), WINDOW_BASE + 3);
        assert_eq!(pace(500, 20).window(), config::IN_FLIGHT_MAX);
        let mut far = pace(20, 20);
        [9, 4, 5].into_iter().for_each(|millis| far.turned_down(Duration::from_millis(millis)));
        far.came(Duration::from_secs(2), Duration::from_millis(20), false);
        assert_eq!(far.window(), WINDOW_BASE + 1, "4 ms are a fifth of 20 ms");
        [24; 100].into_iter().for_each(|millis| far.turned_down(Duration::from_millis(millis)));
        far.came(Duration::from_secs(2) + Duration::from_millis(20), Duration::from_millis(20), false);
        assert_eq!(far.window(), WINDOW_BASE + 1, "what a request stands in queues does not count");
        assert_eq!(pace(20, 20).reassign_after(), config::REASSIGN_MIN);
        assert_eq!(pace(2000, 200).reassign_after(), Duration::from_secs(16));
    }
    #[test]
    fn pieces_that_are_late_make_later_ones_less_so() {
        let mut pace = Pace::default();
        let millis = Duration::from_millis;
        (1..10).for_each(|n| pace.came(millis(100 * n), millis(100), false));
        (1..8).for_each(|n| pace.came(millis(1000 * n), Duration::from_secs(3600), true));
        assert_eq!(pace.overdue_after(), millis(800), "most are in time");
        pace.came(millis(8000), Duration::from_secs(3600), true);
        assert_eq!(pace.overdue_after(), millis(12_800), "a time without end counts as twice 800 ms");
    }
}
