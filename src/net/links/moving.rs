//! A block that is on its way: when its receiver says that it moves. A whole piece of 128 KiB, one of three that its sender
//! puts on a link of 10 Mbit, takes a third of a second, in which nothing else comes from there: that is no silence.

use std::time::Duration;
use tokio::time::Instant;

/// The session hears of a block each time that so much more of it is here, and so long after the last time at the
/// earliest: who drips is no better than who says nothing, and of fast links nothing need be said.
const BYTES_MIN: usize = 16 << 10;
const AFTER: Duration = Duration::from_millis(120);

/// What was said of a block that comes in.
#[derive(Debug)]
pub(super) struct Moving {
    told_at: Instant,
    told_bytes: usize,
}

impl Moving {
    /// A block begins to come in.
    pub(super) fn new(now: Instant) -> Self {
        Self { told_at: now, told_bytes: 0 }
    }

    /// Whether it is to be said that the block moves, now that so many bytes of it are here.
    pub(super) fn is_news(&mut self, now: Instant, bytes: usize) -> bool {
        let is_news = bytes - self.told_bytes >= BYTES_MIN && now.saturating_duration_since(self.told_at) >= AFTER;
        if is_news {
            *self = Self { told_at: now, told_bytes: bytes };
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often a block of 128 KiB is said to move that comes at so many bytes a millisecond.
    fn told(bytes_per_milli: usize) -> usize {
        let begun = Instant::now();
        let mut moving = Moving::new(begun);
        let millis = (128 << 10) / bytes_per_milli;
        (1..=millis).filter(|n| moving.is_news(begun + Duration::from_millis(*n as u64), n * bytes_per_milli)).count()
    }

    #[test]
    fn a_slow_block_moves_and_a_fast_one_is_there_and_one_that_drips_does_neither() {
        assert_eq!(told(128 << 10), 0, "there at once");
        assert_eq!(told(3000), 0, "24 Mbit: there within 44 ms");
        assert_eq!(told(1250), 0, "10 Mbit: there within 105 ms");
        assert_eq!(told(400), 2, "a third of that: each 120 ms");
        assert_eq!(told(64), 8, "a twentieth: each 16 KiB");
        assert_eq!(told(1), 8, "a kilobyte a second: each 16 s");
    }
}
