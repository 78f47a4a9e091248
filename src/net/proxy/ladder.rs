//! What an answer that waits for bytes does next: which source it turns to, how long it gives that source, and when it
//! gives up. Pure: time goes in, the next step comes out.
//!
//! Invariant: a source that stands still costs the installer less than [`STALL_COST`] before another one is asked; only
//! a source that stood still again and again is given longer, in case it is slow rather than dead.

use std::time::Duration;

/// How long an outage of every source is outlived.
pub const OUTAGE: Duration = Duration::from_secs(120);
/// Where nothing has come from the swarm for this long, the frontend is asked.
const FALLBACK: Duration = Duration::from_secs(2);
/// How long a source that is asked may stand still; doubled after every two in a row that did, up to the second.
const STALL: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));
/// The pause after a source failed.
const PAUSE: Duration = Duration::from_millis(400);
/// What one stall may cost the installer: waiting for the swarm, then for the frontend.
#[cfg(test)]
const STALL_COST: Duration = Duration::from_secs(5);

/// What is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing until then, unless something comes.
    Wait {
        /// The time to ask again at.
        until: Duration,
    },
    /// The frontend is asked for what is missing, and left when it stands still for so long.
    Ask {
        /// How long it may stand still.
        stall: Duration,
    },
    /// No source is left.
    GiveUp,
}

/// One answer's way through its sources. Times are since any moment that stays the same.
#[derive(Debug)]
pub(super) struct Ladder {
    /// When the installer last got bytes, or began to wait.
    fed_at: Duration,
    is_asking: bool,
    not_before: Duration,
    /// How often in a row the frontend stood still.
    stalls: u32,
}

impl Ladder {
    pub(super) fn new(now: Duration) -> Self {
        Self { fed_at: now, is_asking: false, not_before: now, stalls: 0 }
    }

    /// The installer got bytes.
    pub(super) fn fed(&mut self, now: Duration) {
        self.fed_at = now;
    }

    /// The frontend brought what it was asked for.
    pub(super) fn brought(&mut self) {
        (self.is_asking, self.stalls) = (false, 0);
    }

    /// The question to the frontend is of no use any more.
    pub(super) fn dropped(&mut self) {
        self.is_asking = false;
    }

    /// The frontend failed: at once, or by standing still.
    pub(super) fn failed(&mut self, now: Duration, stood_still: bool) {
        self.is_asking = false;
        if stood_still {
            self.stalls += 1;
        } else {
            self.not_before = now + PAUSE;
        }
    }

    /// What to do now; `has_swarm` says whether other machines may bring it.
    pub(super) fn step(&mut self, now: Duration, has_swarm: bool) -> Step {
        // A question of the outage's last moments may still stand still: the one behind it belongs to the outage too.
        let give_up_at = self.fed_at + OUTAGE + STALL.1 + PAUSE;
        if now >= give_up_at {
            return Step::GiveUp;
        }
        if self.is_asking {
            return Step::Wait { until: give_up_at };
        }
        let patience = if has_swarm { FALLBACK } else { Duration::ZERO };
        let ask_at = (self.fed_at + patience).max(self.not_before);
        if now < ask_at {
            return Step::Wait { until: ask_at.min(give_up_at) };
        }
        self.is_asking = true;
        Step::Ask { stall: (STALL.0 * 2_u32.pow((self.stalls / 2).min(8))).min(STALL.1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// What a source does when it is asked for the next part.
    #[derive(Debug, Clone, Copy)]
    enum Source {
        /// Brings it after a while.
        Brings(Duration),
        /// Says nothing more.
        Stalls,
        /// Fails at once.
        Fails,
    }

    /// Runs an answer of many parts in virtual time, millisecond by millisecond, against what the frontend does with
    /// each question; the longest wait of the installer, none where it was given up.
    fn longest_wait(
        parts: u32,
        has_swarm: bool,
        mut frontend: impl FnMut(u32, Duration) -> Source,
    ) -> Option<Duration> {
        let (mut now, mut questions, mut came) = (Duration::ZERO, 0, 0);
        let mut ladder = Ladder::new(now);
        let mut ends: Option<(Duration, bool, bool)> = None;
        let (mut fed_at, mut longest) = (now, Duration::ZERO);
        while came < parts {
            if let Some((_, brings, stalls)) = ends.take_if(|(at, ..)| *at <= now) {
                match brings {
                    true => {
                        ladder.brought();
                        ladder.fed(now);
                        (came, longest, fed_at) = (came + 1, longest.max(now - fed_at), now);
                    }
                    false => ladder.failed(now, stalls),
                }
                continue;
            }
            match ladder.step(now, has_swarm) {
                Step::GiveUp => return None,
                Step::Wait { until } => {
                    assert!(until > now, "a wait that does not end would spin");
                    now += MILLI;
                }
                Step::Ask { stall } => {
                    ends = Some(match frontend(questions, now) {
                        Source::Brings(after) if after < stall => (now + after, true, false),
                        Source::Brings(_) | Source::Stalls => (now + stall, false, true),
                        Source::Fails => (now + MILLI, false, false),
                    });
                    questions += 1;
                }
            }
        }
        Some(longest)
    }

    const SOON: Source = Source::Brings(Duration::from_millis(50));

    #[test]
    fn a_stall_costs_less_than_five_seconds() {
        for has_swarm in [false, true] {
            // Any single question of many stalls, be it the first or a later one.
            for stalled in 0..20 {
                let stalls = |question, _| if question == stalled { Source::Stalls } else { SOON };
                let waited = longest_wait(20, has_swarm, stalls).expect("never given up");
                assert!(waited < STALL_COST, "question {stalled}: {waited:?}");
                assert!(waited >= STALL.0, "the stall was seen");
            }
            // Every other question stalls.
            let stalls = |question, _| if question % 2 == 0 { Source::Stalls } else { SOON };
            assert!(longest_wait(50, has_swarm, stalls).expect("never given up") < STALL_COST);
        }
    }

    #[test]
    fn an_outage_is_outlived_for_its_time_and_no_longer() {
        for (down, survives) in [(119, true), (132, false)] {
            for kind in [Source::Fails, Source::Stalls] {
                let back = Duration::from_secs(down);
                let frontend = |_, now| if now < back { kind } else { SOON };
                let waited = longest_wait(3, true, frontend);
                assert_eq!(waited.is_some(), survives, "{kind:?} for {down} s");
                assert!(waited.is_none_or(|waited| waited >= back), "{waited:?}");
            }
        }
    }

    #[test]
    fn after_a_failure_the_next_try_comes_soon() {
        let frontend = |question, _| if question == 3 { Source::Fails } else { SOON };
        assert!(longest_wait(9, false, frontend).expect("never given up") < Duration::from_millis(600));
    }

    #[test]
    fn a_frontend_that_is_slow_rather_than_dead_is_given_the_time_it_needs() {
        let slow = |_, _| Source::Brings(Duration::from_secs(9));
        let waited = longest_wait(3, true, slow).expect("it is outlived");
        assert!(waited < Duration::from_secs(60), "{waited:?}");
    }
}
