//! What is to happen at one node: in the order of time, of equal times in the order in which it was planned.
//!
//! Messages come from others for the next window only ([`super::world`]) and are sorted once; what lies further ahead
//! waits in a heap. The wake-up time that a session names is kept apart, since it changes with every event.

use std::collections::BinaryHeap;
use std::time::Duration;

/// Virtual time in nanoseconds since the simulation began.
pub(super) type Time = u64;

/// A duration as virtual time.
pub(super) fn nanos(duration: Duration) -> Time {
    u64::try_from(duration.as_nanos()).unwrap_or(Time::MAX)
}

struct Planned<T> {
    at: Time,
    order: u32,
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
    // The heap gives its largest, the mail its last: the earliest.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// What is to happen at one node.
pub(super) struct Agenda<T> {
    heap: BinaryHeap<Planned<T>>,
    mail: Vec<Planned<T>>,
    planned: u32,
    /// When the session is to be woken; what that is, the caller knows.
    pub(super) wake_at: Option<Time>,
}

/// The next thing on an agenda.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<T> {
    /// Something planned.
    Planned(Time, T),
    /// The session is to be woken.
    Wake(Time),
}

impl<T> Agenda<T> {
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), mail: Vec::new(), planned: 0, wake_at: None }
    }

    fn planned(&mut self, at: Time, what: T) -> Planned<T> {
        self.planned = self.planned.wrapping_add(1);
        Planned { at, order: self.planned, what }
    }

    /// Plans something for a time that is not over.
    pub(super) fn plan(&mut self, at: Time, what: T) {
        let planned = self.planned(at, what);
        self.heap.push(planned);
    }

    /// Something comes in the next window. [`Self::sort`] is called before that begins.
    pub(super) fn mail(&mut self, at: Time, what: T) {
        let planned = self.planned(at, what);
        self.mail.push(planned);
    }

    /// Brings the mail of a window into its order.
    pub(super) fn sort(&mut self) {
        self.mail.sort_unstable();
    }

    /// When something is to happen; the mail must be in order.
    pub(super) fn next_at(&self) -> Option<Time> {
        let planned = [self.heap.peek(), self.mail.last()].into_iter().flatten().map(|planned| planned.at);
        planned.chain(self.wake_at).min()
    }

    /// What happens next before this time.
    pub(super) fn next(&mut self, until: Time) -> Option<Next<T>> {
        let is_mail = match (self.heap.peek(), self.mail.last()) {
            (Some(heap), Some(mail)) => mail > heap,
            (heap, _) => heap.is_none(),
        };
        let first = if is_mail { self.mail.last() } else { self.heap.peek() }.map(|planned| planned.at);
        if let Some(at) = self.wake_at.filter(|at| *at < until && first.is_none_or(|first| *at < first)) {
            self.wake_at = None;
            return Some(Next::Wake(at));
        }
        first.filter(|at| *at < until)?;
        let planned = if is_mail { self.mail.pop() } else { self.heap.pop() }?;
        Some(Next::Planned(planned.at, planned.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_times_keep_their_order() {
        let mut agenda = Agenda::new();
        agenda.plan(5, 'b');
        agenda.mail(5, 'c');
        agenda.plan(5, 'd');
        agenda.mail(3, 'a');
        agenda.plan(9, 'z');
        agenda.wake_at = Some(5);
        agenda.sort();
        assert_eq!(agenda.next_at(), Some(3));
        let mut order = String::new();
        while let Some(next) = agenda.next(9) {
            match next {
                Next::Planned(_, what) => order.push(what),
                Next::Wake(at) => order.push_str(&at.to_string()),
            }
        }
        assert_eq!((order.as_str(), agenda.next_at()), ("abcd5", Some(9)));
    }
}
