//! What happens when: a queue in the order of time, of equal times in the order in which they were planned.

use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

/// Virtual time in nanoseconds since the simulation began.
pub(super) type Time = u64;

/// A duration as virtual time.
pub(super) fn nanos(duration: Duration) -> Time {
    u64::try_from(duration.as_nanos()).unwrap_or(Time::MAX)
}

struct Planned<T> {
    at: Time,
    order: u64,
    what: T,
}

impl<T> PartialEq for Planned<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl<T> Eq for Planned<T> {}
impl<T> PartialOrd for Planned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Planned<T> {
    // The heap gives its largest: the earliest.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// The queue. What is planned a fixed time ahead, as every message is, goes through a plain line and not the heap.
pub(super) struct Clock<T> {
    now: Time,
    planned: u64,
    heap: BinaryHeap<Planned<T>>,
    line: VecDeque<Planned<T>>,
    latency: Time,
}

impl<T> Clock<T> {
    pub(super) fn new(latency: Duration) -> Self {
        Self { now: 0, planned: 0, heap: BinaryHeap::new(), line: VecDeque::new(), latency: nanos(latency) }
    }

    pub(super) fn now(&self) -> Time {
        self.now
    }

    /// Plans something for a time that is not over.
    pub(super) fn plan(&mut self, at: Time, what: T) {
        self.planned += 1;
        self.heap.push(Planned { at: at.max(self.now), order: self.planned, what });
    }

    /// Plans something for after one latency.
    pub(super) fn plan_message(&mut self, what: T) {
        self.planned += 1;
        self.line.push_back(Planned { at: self.now.saturating_add(self.latency), order: self.planned, what });
    }

    /// Moves on to what comes next.
    pub(super) fn next(&mut self) -> Option<(Time, T)> {
        let planned = match (self.heap.peek(), self.line.front()) {
            (Some(heap), Some(line)) if (line.at, line.order) < (heap.at, heap.order) => self.line.pop_front(),
            (None, _) => self.line.pop_front(),
            (Some(_), _) => self.heap.pop(),
        }?;
        self.now = planned.at;
        Some((planned.at, planned.what))
    }

    /// How many things were planned so far.
    pub(super) fn count(&self) -> u64 {
        self.planned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_times_keep_their_order() {
        let mut clock = Clock::new(Duration::from_nanos(5));
        clock.plan(5, 'b');
        clock.plan_message('c');
        clock.plan(5, 'd');
        clock.plan(3, 'a');
        let order: String = std::iter::from_fn(|| clock.next()).map(|(_, what)| what).collect();
        assert_eq!((order.as_str(), clock.now()), ("abcd", 5));
    }
}
