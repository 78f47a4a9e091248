//! What would be told again and again, by a client that tries again and again or while a disk is full, is told once a while.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often one address is told of.
const INTERVAL: Duration = Duration::from_secs(60);
/// The most addresses that are kept in mind; where more than these were told of, the others are not.
const ADDRESSES_MAX: usize = 4096;

/// Addresses (or addresses and reasons) that a log was told of.
#[derive(Debug)]
pub(super) struct Seldom<K = IpAddr>(Mutex<HashMap<K, Instant>>);

impl<K> Default for Seldom<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Seldom<K> {
    /// Whether this is to be told of now; if so, it is not for a while.
    pub(super) fn is_due(&self, key: K) -> bool {
        self.is_due_at(key, Instant::now())
    }

    fn is_due_at(&self, key: K, now: Instant) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= ADDRESSES_MAX {
            told.retain(|_, when| now.duration_since(*when) < INTERVAL);
            if told.len() >= ADDRESSES_MAX {
                return false;
            }
        }
        let is_due = told.get(&key).is_none_or(|when| now.duration_since(*when) >= INTERVAL);
        if is_due {
            told.insert(key, now);
        }
        is_due
    }
}

/// What may fail again and again.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    begun: Option<Instant>,
    told: Option<Instant>,
}

impl Trouble {
    /// It failed; whether that is to be told of now: at once, and then once a while.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        self.begun.get_or_insert(now);
        let is_due = self.told.is_none_or(|when| now.duration_since(when) >= INTERVAL);
        if is_due {
            self.told = Some(now);
        }
        is_due
    }

    /// It went well; for how long it had failed, where it had.
    pub(super) fn over(&mut self, now: Instant) -> Option<Duration> {
        self.told = None;
        self.begun.take().map(|begun| now.duration_since(begun))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn what_fails_is_told_at_once_then_once_a_while_and_when_it_is_over() {
        let (mut trouble, begin) = (Trouble::default(), Instant::now());
        assert_eq!(trouble.over(begin), None, "nothing failed");
        let told = (0..INTERVAL.as_secs() * 3).filter(|secs| trouble.is_due(begin + Duration::from_secs(*secs)));
        assert_eq!(told.count(), 3);
        assert_eq!(trouble.over(begin + INTERVAL * 3), Some(INTERVAL * 3));
        assert!(trouble.is_due(begin + INTERVAL * 3), "that is another one");
    }

    #[test]
    fn an_address_is_told_of_once_a_while_and_no_more_than_fit() {
        let (seldom, begin) = (Seldom::default(), Instant::now());
        let address = |n: u32| IpAddr::from(Ipv4Addr::from(n));
        assert!(seldom.is_due_at(address(0), begin) && !seldom.is_due_at(address(0), begin));
        for n in 1..ADDRESSES_MAX as u32 {
            assert!(seldom.is_due_at(address(n), begin));
        }
        assert!(!seldom.is_due_at(address(u32::MAX), begin), "no room");
        assert!(seldom.is_due_at(address(0), begin + INTERVAL));
        assert!(seldom.is_due_at(address(u32::MAX), begin + INTERVAL));
    }
}
