//! How fast the link of a machine is. Nobody tells; it is found as BBR finds the rate of a path: the most that went by,
//! in or out, in any of the last moments is what the link can do at least, and now and then a little more is tried.
//!
//! A rate too high fills the queue of the link; one too low leaves the link idle, and where all machines are held to too low
//! a rate none of them ever sees a higher one come in. So at first, and where it holds back what could leave, more is tried.

use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// A rate is taken over so many bytes and blocks (or steps of them), and so long, at least.
const WINDOW_BYTES: u64 = 2 << 20;
const WINDOW_BLOCKS: u32 = 16;
const WINDOW_MIN: Duration = Duration::from_millis(100);
/// The fastest of so many windows counts.
const WINDOWS: usize = 6;
/// What leaves may be faster than what went by, by this: a tenth too much costs little, a twentieth too little a lot.
const STEADY: f64 = 1.02;
/// After so many windows in which the rate held something back a higher one is tried for one window.
const TRY_EVERY: u32 = 4;
const TRY: f64 = 1.25;
/// A try that gained so much is followed by another at once, and by a bolder one; so is the first window of all.
const GAINED: f64 = 1.05;
const TRY_ON: f64 = 1.6;
/// The rate held back what leaves if three of four turns had to be waited for.
const HELD_BACK: (u32, u32) = (3, 4);
/// A window in which nothing went by for this time says nothing, and neither do those before.
const FORGET: Duration = Duration::from_secs(5);

/// The rate of a link that goes both ways alike.
#[derive(Debug)]
pub(super) struct LinkRate {
    came: Passing,
    left: Passing,
    /// Turns of what leaves in this window, and those that had to be waited for.
    turns: u32,
    waited: u32,
    /// Windows in which the rate held something back since more was tried.
    held_back: u32,
    trial: Option<Trial>,
}

/// A higher rate that is tried, and what went by before.
#[derive(Debug, Clone, Copy)]
struct Trial {
    factor: f64,
    before: f64,
}

impl LinkRate {
    pub(super) fn new() -> Self {
        let trial = Some(Trial { factor: TRY_ON, before: 0.0 });
        Self { came: Passing::default(), left: Passing::default(), turns: 0, waited: 0, held_back: 0, trial }
    }

    /// Bytes per second that may leave, once anything is known of the link.
    pub(super) fn bytes_per_sec(&self) -> Option<f64> {
        let fastest = self.fastest();
        (fastest > 0.0).then(|| fastest * self.trial.map_or(STEADY, |trial| trial.factor))
    }

    fn fastest(&self) -> f64 {
        self.came.fastest().max(self.left.fastest())
    }

    /// A block came in.
    pub(super) fn came(&mut self, now: Instant, bytes: u64) {
        self.came.passes(now, bytes);
    }

    /// Bytes leave; whether they had to wait for their turn.
    pub(super) fn leaves(&mut self, now: Instant, bytes: u64, has_waited: bool) {
        self.turns += 1;
        self.waited += u32::from(has_waited);
        if !self.left.passes(now, bytes) {
            return;
        }
        let (part, of) = HELD_BACK;
        self.held_back += u32::from(self.waited * of >= self.turns * part);
        (self.turns, self.waited) = (0, 0);
        let before = self.fastest();
        self.trial = match self.trial {
            Some(trial) if before > trial.before * GAINED => Some(Trial { factor: TRY_ON, before }),
            None if self.held_back >= TRY_EVERY => Some(Trial { factor: TRY, before }),
            _ => None,
        };
        if self.trial.is_some() {
            self.held_back = 0;
        }
    }
}

/// What goes by in one direction.
#[derive(Debug, Default)]
struct Passing {
    /// When this window began and what went by last; none before anything did.
    times: Option<(Instant, Instant)>,
    bytes: u64,
    blocks: u32,
    /// The rates of the last windows, in bytes per second.
    windows: VecDeque<f64>,
}

impl Passing {
    /// 0 while there is no window.
    fn fastest(&self) -> f64 {
        self.windows.iter().copied().fold(0.0, f64::max)
    }

    /// Says whether a window is complete.
    fn passes(&mut self, now: Instant, bytes: u64) -> bool {
        let lasts = |(_, last): &(Instant, Instant)| now.saturating_duration_since(*last) < FORGET;
        let Some((begun, _)) = self.times.filter(lasts) else {
            // How long the first took is not known.
            *self = Self { times: Some((now, now)), ..Self::default() };
            return false;
        };
        self.bytes += bytes;
        self.blocks += 1;
        let took = now.saturating_duration_since(begun);
        if self.bytes < WINDOW_BYTES || self.blocks < WINDOW_BLOCKS || took < WINDOW_MIN {
            self.times = Some((begun, now));
            return false;
        }
        if self.windows.len() == WINDOWS {
            self.windows.pop_front();
        }
        self.windows.push_back(self.bytes as f64 / took.as_secs_f64());
        (self.times, self.bytes, self.blocks) = (Some((now, now)), 0, 0);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: u64 = 128 << 10;
    /// 128 KiB in 50 ms.
    const LINK: f64 = BLOCK as f64 * 20.0;

    fn near(rate: Option<f64>, expected: f64) -> bool {
        rate.is_some_and(|rate| (rate / expected - 1.0).abs() < 0.001)
    }

    /// So many windows of blocks that leave at these distances.
    fn leave(rate: &mut LinkRate, now: &mut Instant, windows: u32, millis: u64, has_waited: bool) {
        for _ in 0..windows * WINDOW_BLOCKS {
            *now += Duration::from_millis(millis);
            rate.leaves(*now, BLOCK, has_waited);
        }
    }

    fn begun() -> (LinkRate, Instant) {
        let (mut rate, now) = (LinkRate::new(), Instant::now());
        rate.leaves(now, BLOCK, false);
        (rate, now)
    }

    #[test]
    fn at_first_more_is_tried_until_nothing_is_gained() {
        let (mut rate, mut now) = begun();
        assert_eq!(rate.bytes_per_sec(), None);
        leave(&mut rate, &mut now, 1, 100, false);
        assert!(near(rate.bytes_per_sec(), LINK / 2.0 * TRY_ON), "half of the link was used");
        leave(&mut rate, &mut now, 1, 50, false);
        assert!(near(rate.bytes_per_sec(), LINK * TRY_ON));
        leave(&mut rate, &mut now, 1, 50, false);
        assert!(near(rate.bytes_per_sec(), LINK * STEADY), "the link gives no more");
    }

    #[test]
    fn what_comes_in_tells_too_and_what_is_long_ago_does_not() {
        let (mut rate, mut now) = begun();
        leave(&mut rate, &mut now, 3, 100, false);
        assert!(near(rate.bytes_per_sec(), LINK / 2.0 * STEADY));
        for _ in 0..=WINDOW_BLOCKS {
            now += Duration::from_millis(50);
            rate.came(now, BLOCK);
        }
        assert!(near(rate.bytes_per_sec(), LINK * STEADY));
        for _ in 0..WINDOWS as u32 * WINDOW_BLOCKS {
            now += Duration::from_millis(200);
            rate.came(now, BLOCK);
        }
        assert!(near(rate.bytes_per_sec(), LINK / 2.0 * STEADY), "six slower windows later");
    }

    #[test]
    fn a_rate_that_holds_back_is_tried_out() {
        let (mut rate, mut now) = begun();
        leave(&mut rate, &mut now, 3, 50, false);
        leave(&mut rate, &mut now, TRY_EVERY - 1, 50, true);
        assert!(near(rate.bytes_per_sec(), LINK * STEADY));
        leave(&mut rate, &mut now, 1, 50, true);
        assert!(near(rate.bytes_per_sec(), LINK * TRY));
        leave(&mut rate, &mut now, 1, 40, true);
        assert!(near(rate.bytes_per_sec(), LINK * 1.25 * TRY_ON), "and more, since it gained");
        leave(&mut rate, &mut now, 1, 40, false);
        assert!(near(rate.bytes_per_sec(), LINK * 1.25 * STEADY));
        leave(&mut rate, &mut now, 20, 80, false);
        assert!(near(rate.bytes_per_sec(), LINK / 1.6 * STEADY), "nothing is held back: nothing is tried");
    }

    #[test]
    fn what_comes_at_once_or_after_a_pause_says_nothing_of_the_link() {
        let (mut rate, mut now) = (LinkRate::new(), Instant::now());
        for _ in 0..4 * WINDOW_BLOCKS {
            now += Duration::from_millis(1);
            rate.came(now, BLOCK);
        }
        assert_eq!(rate.bytes_per_sec(), None, "less than a tenth of a second");
        now += FORGET;
        rate.came(now, BLOCK);
        for _ in 0..WINDOW_BLOCKS {
            now += Duration::from_millis(50);
            rate.came(now, BLOCK);
        }
        assert!(near(rate.bytes_per_sec(), LINK * TRY_ON), "the pause does not count");
    }
}
