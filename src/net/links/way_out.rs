//! The way out of a machine: how fast its link is, and whose turn it is to put bytes on it.
//!
//! What is written into sockets faster than the link takes it stands in queues: every request and every word of a new
//! piece waits behind it, acknowledgements too, and blocks whose receivers are busy keep the link from those whose are not.
//! So what leaves is spread over time at the rate of the link. Nobody tells that rate, but links go both ways alike and the way in
//! is full again and again: the fastest that pieces have come in is a good guess. A tenth too much costs little, a twentieth
//! too little as much as nothing of this.

use std::sync::Mutex;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The rate is taken over so many bytes, and blocks, in a row.
const WINDOW_BYTES: u64 = 2 << 20;
const WINDOW_BLOCKS: u32 = 16;
/// Windows before the rate counts as known: in the first a swarm has too little to exchange.
const WINDOWS_MIN: u32 = 2;
/// What leaves may be faster than what came by this, so that a guess that was too low mends itself with every window.
const GROWTH: f64 = 1.02;
/// What is written at once: this time of the rate, and at least so many bytes.
const STEP: Duration = Duration::from_millis(3);
const STEP_BYTES_MIN: u64 = 16 << 10;
/// How far the line of what may leave can lag behind the clock: more than the timer's millisecond.
const BURST: Duration = Duration::from_millis(4);
/// From this rate on a socket may hold [`BUFFER_BYTES_MAX`].
const FAST_BYTES_PER_SEC: f64 = 6e6;
/// What a socket takes in before it has been acknowledged (the kernel doubles it for its own bookkeeping). Left alone the
/// kernel lets it grow to megabytes: they stand in the queue of the link, and pieces count as sent that nobody has.
const BUFFER_BYTES_MIN: usize = 16 << 10;
const BUFFER_BYTES_MAX: usize = 32 << 10;

/// The way out of one machine.
#[derive(Debug)]
pub(super) struct WayOut(Mutex<State>);

#[derive(Debug)]
struct State {
    /// When the window began, and what came in it.
    begun: Option<Instant>,
    bytes: u64,
    blocks: u32,
    windows: u32,
    /// The fastest window, in bytes per second.
    fastest: f64,
    /// What was booked has left by then.
    line: Instant,
}

impl WayOut {
    pub(super) fn new() -> Self {
        let line = Instant::now();
        Self(Mutex::new(State { begun: None, bytes: 0, blocks: 0, windows: 0, fastest: 0.0, line }))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics while holding the line")
    }

    /// A block has come in.
    pub(super) fn came(&self, now: Instant, bytes: u64) {
        let mut state = self.state();
        let Some(begun) = state.begun else {
            state.begun = Some(now);
            return;
        };
        state.bytes += bytes;
        state.blocks += 1;
        if state.bytes < WINDOW_BYTES || state.blocks < WINDOW_BLOCKS {
            return;
        }
        let secs = now.saturating_duration_since(begun).as_secs_f64();
        if secs > 0.0 {
            state.fastest = state.fastest.max(state.bytes as f64 / secs);
            state.windows += 1;
        }
        (state.begun, state.bytes, state.blocks) = (Some(now), 0, 0);
    }

    /// What a socket may hold.
    pub(super) fn buffer_bytes(&self) -> usize {
        match self.state().rate() {
            Some(rate) if rate >= FAST_BYTES_PER_SEC => BUFFER_BYTES_MAX,
            _ => BUFFER_BYTES_MIN,
        }
    }

    /// What may be written at once.
    pub(super) fn step_bytes(&self) -> u64 {
        let step = self.state().rate().map_or(0, |rate| (rate * STEP.as_secs_f64()) as u64);
        step.max(STEP_BYTES_MIN)
    }

    /// Waits until this many bytes may leave; while the rate of the link is not known, they may at once.
    pub(super) async fn take(&self, bytes: u64) {
        let now = Instant::now();
        if let Some(due) = self.book(now, bytes).filter(|due| *due > now) {
            sleep_until(due).await;
        }
    }

    /// Books bytes; they are due at the instant that comes back. Bookings are due in their order, so nobody starves.
    fn book(&self, now: Instant, bytes: u64) -> Option<Instant> {
        let mut state = self.state();
        let rate = state.rate()?;
        let due = state.line.max(now.checked_sub(BURST).unwrap_or(now));
        state.line = due + Duration::from_secs_f64(bytes as f64 / rate);
        Some(due)
    }
}

impl State {
    /// Bytes per second that may leave, once they are known.
    fn rate(&self) -> Option<f64> {
        (self.windows >= WINDOWS_MIN).then_some(self.fastest * GROWTH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: u64 = 128 << 10;

    /// A way in on which blocks came at these distances.
    fn after(gaps_millis: &[(u32, u64)]) -> (WayOut, Instant) {
        let way_out = WayOut::new();
        let mut now = Instant::now();
        way_out.came(now, BLOCK);
        for (times, millis) in gaps_millis {
            for _ in 0..*times {
                now += Duration::from_millis(*millis);
                way_out.came(now, BLOCK);
            }
        }
        (way_out, now)
    }

    #[test]
    fn nothing_waits_before_the_rate_of_the_link_is_known() {
        let (way_out, now) = after(&[(2 * WINDOW_BLOCKS - 1, 50)]);
        assert_eq!(way_out.book(now, 1 << 30), None);
        assert_eq!(way_out.book(now, 1 << 30), None);
        assert_eq!((way_out.buffer_bytes(), way_out.step_bytes()), (BUFFER_BYTES_MIN, STEP_BYTES_MIN));
    }

    #[test]
    fn what_leaves_is_spread_at_the_fastest_rate_that_came_in() {
        // 128 KiB in 50 ms; the slower windows before and after do not count.
        let (way_out, now) = after(&[(WINDOW_BLOCKS, 80), (WINDOW_BLOCKS, 50), (2 * WINDOW_BLOCKS, 400)]);
        let due = |bytes| way_out.book(now, bytes).expect("the rate is known");
        let first = due(BLOCK);
        assert_eq!(first, now - BURST, "the first may leave at once");
        let (second, third) = (due(BLOCK), due(BLOCK));
        let millis = (third - second).as_secs_f64() * 1e3;
        assert!((48.9..49.1).contains(&millis), "50 ms, two per cent faster: {millis}");
        assert_eq!(second - first, third - second);
    }

    #[test]
    fn a_faster_link_gets_longer_steps_and_larger_buffers() {
        let (way_out, _) = after(&[(2 * WINDOW_BLOCKS, 10)]);
        assert_eq!(way_out.buffer_bytes(), BUFFER_BYTES_MAX);
        assert!((40_000..40_200).contains(&way_out.step_bytes()), "3 ms of 13.4 MB/s: {}", way_out.step_bytes());
    }

    #[test]
    fn long_blocks_that_come_together_say_nothing_of_the_link() {
        let way_out = WayOut::new();
        let start = Instant::now();
        way_out.came(start, 1 << 20);
        for n in 0..u64::from(2 * WINDOW_BLOCKS - 1) {
            way_out.came(start + Duration::from_millis(n / 2), 1 << 20);
        }
        assert_eq!(way_out.book(start, 1), None, "two mebibytes, but of two blocks");
    }
}
