//! The way out of a machine, or of the frontend's seed: whose turn it is to put bytes on its link, and how many.
//!
//! What is written into sockets faster than the link takes it stands in queues: every request and every word of a new
//! piece waits behind it, acknowledgements too, and blocks whose receivers are busy keep the link from those whose are not.
//! So what leaves is spread over time at the rate of the link (`link_rate` finds it), and of the blocks that could leave
//! the oldest goes first: others wait for it to pass it on, and the sooner one is whole the better.

use super::link_rate::LinkRate;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

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
    /// None where nothing is spread.
    rate: Option<LinkRate>,
    /// What was booked has left by then.
    line: Instant,
    /// Blocks that began to leave so far.
    begun: u64,
    /// The blocks that wait for their turn, the oldest first.
    waiting: BTreeMap<u64, Arc<Notify>>,
}

/// A block on its way out.
#[derive(Debug)]
pub(super) struct Leaving<'a> {
    way_out: &'a WayOut,
    number: u64,
}

impl WayOut {
    /// A machine's.
    pub(super) fn new() -> Self {
        Self::with(Some(LinkRate::new()))
    }

    /// That of a seed: its sockets are always full, what left them last is known, and nothing waits behind its pieces.
    pub(super) fn of_seed() -> Self {
        Self::with(None)
    }

    fn with(rate: Option<LinkRate>) -> Self {
        Self(Mutex::new(State { rate, line: Instant::now(), begun: 0, waiting: BTreeMap::new() }))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics while holding the line")
    }

    /// A block has come in.
    pub(super) fn came(&self, now: Instant, bytes: u64) {
        if let Some(rate) = &mut self.state().rate {
            rate.came(now, bytes);
        }
    }

    /// What a socket may hold.
    pub(super) fn buffer_bytes(&self) -> usize {
        match self.state().rate() {
            Some(rate) if rate >= FAST_BYTES_PER_SEC => BUFFER_BYTES_MAX,
            _ => BUFFER_BYTES_MIN,
        }
    }

    /// A block begins to leave.
    pub(super) fn begin(&self) -> Leaving<'_> {
        let mut state = self.state();
        state.begun += 1;
        Leaving { way_out: self, number: state.begun }
    }
}

impl Leaving<'_> {
    /// Waits for a turn of a block of which so much is left; gives how much of it may be written now. While the rate of
    /// the link is not known, nobody waits.
    pub(super) async fn turn(&self, left: u64) -> u64 {
        let mut place: Option<Place<'_>> = None;
        loop {
            let due = match self.way_out.state().book(Instant::now(), self.number, left, place.is_some()) {
                Booking::Granted(bytes) => return bytes,
                Booking::Due(due) => Some(due),
                Booking::Behind => None,
            };
            let place = place.get_or_insert_with(|| Place::take(self));
            match due {
                Some(due) => sleep_until(due).await,
                None => place.woken.notified().await,
            }
        }
    }
}

/// What comes of a wish to write.
#[derive(Debug, PartialEq)]
enum Booking {
    /// So many bytes may be written now.
    Granted(u64),
    /// The turn is at this time.
    Due(Instant),
    /// An older block waits.
    Behind,
}

impl State {
    /// Bytes per second that may leave, where they are spread and the link is known.
    fn rate(&self) -> Option<f64> {
        self.rate.as_ref()?.bytes_per_sec()
    }

    fn book(&mut self, now: Instant, number: u64, left: u64, has_waited: bool) -> Booking {
        let mut bytes = left.min(STEP_BYTES_MIN);
        if let Some(rate) = self.rate() {
            if self.waiting.first_key_value().is_some_and(|(first, _)| *first < number) {
                return Booking::Behind;
            }
            let due = self.line.max(now.checked_sub(BURST).unwrap_or(now));
            if due > now {
                return Booking::Due(due);
            }
            bytes = left.min(STEP_BYTES_MIN.max((rate * STEP.as_secs_f64()) as u64));
            self.line = due + Duration::from_secs_f64(bytes as f64 / rate);
        }
        if let Some(rate) = &mut self.rate {
            rate.leaves(now, bytes, has_waited);
        }
        Booking::Granted(bytes)
    }
}

/// A place among the blocks that wait; who gives it up wakes the next.
struct Place<'a> {
    block: &'a Leaving<'a>,
    woken: Arc<Notify>,
}

impl<'a> Place<'a> {
    fn take(block: &'a Leaving<'a>) -> Self {
        let woken = Arc::new(Notify::new());
        block.way_out.state().waiting.insert(block.number, Arc::clone(&woken));
        Self { block, woken }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.block.way_out.state();
        state.waiting.remove(&self.block.number);
        if let Some((_, next)) = state.waiting.first_key_value() {
            next.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: u64 = 128 << 10;
    /// 128 KiB in 50 ms.
    const LINK: f64 = BLOCK as f64 * 20.0;

    /// The way out of a machine whose link is known, at this moment.
    fn known(millis: u64) -> (WayOut, Instant) {
        let way_out = WayOut::new();
        let mut now = Instant::now();
        let mut state = way_out.state();
        for _ in 0..200 {
            now += Duration::from_millis(millis);
            state.rate.as_mut().expect("a machine's").leaves(now, BLOCK, false);
        }
        state.line = now;
        drop(state);
        (way_out, now)
    }

    #[test]
    fn nothing_waits_before_the_rate_of_the_link_is_known_nor_at_a_seed() {
        let now = Instant::now();
        for way_out in [WayOut::new(), WayOut::of_seed()] {
            for _ in 0..100 {
                assert_eq!(way_out.state().book(now, 1, 1 << 30, false), Booking::Granted(STEP_BYTES_MIN));
            }
            assert_eq!(way_out.buffer_bytes(), BUFFER_BYTES_MIN);
        }
        assert_eq!(WayOut::new().state().book(now, 1, 5, false), Booking::Granted(5), "no more than is left");
    }

    #[test]
    fn what_leaves_is_spread_at_the_rate_of_the_link() {
        let (way_out, now) = known(50);
        let mut state = way_out.state();
        let (mut at, mut bytes) = (now, 0);
        while at < now + Duration::from_secs(1) {
            match state.book(at, 1, 1 << 20, false) {
                Booking::Granted(step) => bytes += step,
                Booking::Due(due) => at = due,
                Booking::Behind => panic!("there is no other"),
            }
        }
        let share = bytes as f64 / LINK;
        assert!((1.0..1.05).contains(&share), "two per cent faster, and a step: {share}");
    }

    #[test]
    fn the_oldest_block_that_waits_goes_first() {
        let (way_out, now) = known(50);
        let (old, new) = (way_out.begin(), way_out.begin());
        assert_eq!(way_out.state().book(now, new.number, BLOCK, false), Booking::Granted(STEP_BYTES_MIN));
        let Booking::Due(due) = way_out.state().book(now, new.number, BLOCK, false) else { panic!("not at once") };
        let (_new, old) = (Place::take(&new), Place::take(&old));
        assert_eq!(way_out.state().book(due, new.number, BLOCK, true), Booking::Behind);
        assert_eq!(way_out.state().book(due, 1, BLOCK, true), Booking::Granted(STEP_BYTES_MIN));
        drop(old);
        assert_ne!(way_out.state().book(due, new.number, BLOCK, true), Booking::Behind);
    }

    #[tokio::test]
    async fn who_waits_behind_another_is_woken_when_that_one_is_gone() {
        let (way_out, _) = known(50);
        let (old, new) = (way_out.begin(), way_out.begin());
        way_out.state().line = Instant::now() + Duration::from_secs(3600);
        let place = Place::take(&old);
        let waits = async {
            new.turn(BLOCK).await;
        };
        let goes = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            way_out.state().line = Instant::now();
            drop(place);
        };
        let both = async { tokio::join!(waits, goes) };
        tokio::time::timeout(Duration::from_secs(60), both).await.expect("its turn came");
    }

    #[test]
    fn a_faster_link_gets_longer_steps_and_larger_buffers() {
        let (way_out, now) = known(10);
        assert_eq!(way_out.buffer_bytes(), BUFFER_BYTES_MAX);
        let Booking::Granted(step) = way_out.state().book(now, 1, BLOCK, false) else { panic!("the first may leave") };
        assert!((40_000..40_200).contains(&step), "3 ms of 13.4 MB/s: {step}");
    }
}
