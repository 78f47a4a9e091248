//! How long a machine has asked in vain. A machine that stood still meanwhile (paused with its host, or moved to another
//! one) has not asked: that time does not count, or it would give up at the moment it goes on.

use std::time::{Duration, Instant};

/// The longest time between two looks that counts whole: to connect, to shake hands and to be answered takes no longer.
const STEP_MAX: Duration = Duration::from_secs(30);

/// Counts it.
#[derive(Debug)]
pub(super) struct Patience {
    spent: Duration,
    looked: Instant,
}

impl Patience {
    /// Begins to count.
    pub(super) fn new() -> Self {
        Self { spent: Duration::ZERO, looked: Instant::now() }
    }

    /// What was spent until now.
    pub(super) fn spent(&mut self) -> Duration {
        self.spent_at(Instant::now())
    }

    fn spent_at(&mut self, now: Instant) -> Duration {
        self.spent += now.duration_since(self.looked).min(STEP_MAX);
        self.looked = now;
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_stood_still_has_not_asked_in_vain() {
        let mut patience = Patience::new();
        let begun = patience.looked;
        let at = |secs| begun + Duration::from_secs(secs);
        assert_eq!(patience.spent_at(at(5)), Duration::from_secs(5));
        assert_eq!(patience.spent_at(at(20)), Duration::from_secs(20));
        assert_eq!(patience.spent_at(at(620)), Duration::from_secs(20) + STEP_MAX, "ten minutes without a look");
        assert_eq!(patience.spent_at(at(621)), Duration::from_secs(21) + STEP_MAX);
    }
}
