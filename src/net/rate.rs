//! The token bucket that a whole process shares: `--rate` is its bytes per second in one direction.
//!
//! Bytes are booked on a time line: a booking moves the line forward by its share of time and is due when the line
//! was reached. Bookings are due in the order in which they were made, so nobody starves.

use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// How far the line may lag behind the clock: what may pass at once after silence. More than the timer's millisecond,
/// so that its rounding costs no rate.
const BURST: Duration = Duration::from_millis(4);

/// A limit in bytes per second, shared by everything that holds it.
#[derive(Debug)]
pub struct Bucket {
    bytes_per_sec: u64,
    line: Mutex<Instant>,
}

impl Bucket {
    /// A bucket for this many bytes per second (at least one).
    pub fn new(bytes_per_sec: u64) -> Self {
        Self { bytes_per_sec: bytes_per_sec.max(1), line: Mutex::new(Instant::now()) }
    }

    /// Waits until this many bytes may pass, and books them.
    pub async fn take(&self, bytes: u64) {
        let due = self.book(Instant::now(), bytes);
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        }
    }

    /// Books bytes; they are due at the instant that comes back.
    fn book(&self, now: Instant, bytes: u64) -> Instant {
        let mut line = self.line.lock().expect("nobody panics while holding the line");
        let due = (*line).max(now.checked_sub(BURST).unwrap_or(now));
        *line = due + Duration::from_nanos((u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_sec)) as u64);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_books_its_rate_in_order_and_silence_earns_the_burst_only() {
        let bucket = Bucket::new(1_000_000);
        let start = Instant::now();
        let due: Vec<Instant> = (0..101).map(|_| bucket.book(start, 10_000)).collect();
        let took = due[100] - start;
        assert!(due.is_sorted());
        assert!((996..=1000).contains(&took.as_millis()), "{took:?}");
        let later = start + Duration::from_secs(60);
        let due = [bucket.book(later, 4_000), bucket.book(later, 4_000), bucket.book(later, 4_000)];
        assert_eq!(due, [later - BURST, later, later + Duration::from_millis(4)]);
    }
}
