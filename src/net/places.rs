//! Places for connections, at the frontend and at the tracker. Many machines fit; one address cannot take the places of
//! all others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections at one time; at the limit the next one waits in the backlog.
pub(super) const CONNECTIONS_MAX: usize = 32_768;
/// From so many connections on, an address that has [`ADDRESS_CONNECTIONS_MAX`] of them gets no more.
pub(super) const CROWD_CONNECTIONS: usize = 24_576;
/// See [`CROWD_CONNECTIONS`]; where there are few places, a quarter of them. The fewer are free, the fewer it gets, so that many
/// addresses together do not take them all either.
pub(super) const ADDRESS_CONNECTIONS_MAX: usize = 256;
/// While memory for connections is short, an address that has so many gets no more; and it always gets so many, as long as
/// one is free: more than an installing machine has at one time.
pub(super) const ADDRESS_CONNECTIONS_SHORT: usize = 32;
/// File descriptors that are left for files and for the store.
const DESCRIPTORS_KEPT: usize = 512;

/// The places of a server.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    all: usize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    /// Whether memory is short, so that an address gets few.
    is_short: AtomicBool,
}

impl Places {
    /// As many as are allowed and the process has descriptors for.
    pub(super) fn new() -> Arc<Self> {
        let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let descriptors = descriptors.map_or(usize::MAX, |current| current as usize);
        Self::with(CONNECTIONS_MAX.min(descriptors.saturating_sub(DESCRIPTORS_KEPT).max(64)))
    }

    fn with(all: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(all)),
            all,
            by_address: Mutex::default(),
            is_short: false.into(),
        })
    }

    /// How many there are.
    pub(super) fn all(&self) -> usize {
        self.all
    }

    /// How many of them an address may have once they are crowded, or memory is short.
    pub(super) fn share(&self) -> usize {
        let [most, least] = [ADDRESS_CONNECTIONS_MAX, ADDRESS_CONNECTIONS_SHORT].map(|limit| limit.min(self.all / 4));
        if self.is_short.load(Ordering::Relaxed) {
            return least;
        }
        // All of it as long as a quarter of the places is free.
        (most * self.free.available_permits() * 4 / self.all).clamp(least, most)
    }

    /// Says whether memory for connections is short.
    pub(super) fn shorten(&self, is_short: bool) {
        self.is_short.store(is_short, Ordering::Relaxed);
    }

    /// Whether none is free.
    pub(super) fn is_full(&self) -> bool {
        self.free.available_permits() == 0
    }

    /// Waits for a free place.
    pub(super) async fn free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Gives a free place to a connection from this address; none where it has its share and others wait.
    pub(super) fn take(self: &Arc<Self>, free: OwnedSemaphorePermit, address: IpAddr) -> Option<Place> {
        let taken = self.all - self.free.available_permits();
        let is_crowded =
            taken * CONNECTIONS_MAX > CROWD_CONNECTIONS * self.all || self.is_short.load(Ordering::Relaxed);
        let address = who(address);
        let mut by_address = self.by_address.lock().expect("nobody panics while holding the addresses");
        let here = by_address.entry(address).or_insert(0);
        if is_crowded && *here >= self.share() {
            return None;
        }
        *here += 1;
        Some(Place { places: Arc::clone(self), address, _taken: free })
    }

    /// Waits until all places are free.
    pub(super) async fn empty(&self) {
        let _ = self.free.acquire_many(u32::try_from(self.all).unwrap_or(u32::MAX)).await;
    }
}

/// Whom an address stands for: of IPv6 a machine has as many as it likes in its network of 64 bits.
pub(super) fn who(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The place of one connection, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: IpAddr,
    _taken: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_address = self.places.by_address.lock().expect("nobody panics while holding the addresses");
        if let Some(here) = by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_cannot_take_every_place() {
        let places = Places::with(2048);
        let greedy = IpAddr::from([10, 1, 1, 1]);
        let mut held = Vec::new();
        while held.len() < 2048 {
            let free = places.free().await.expect("not closed");
            let Some(place) = places.take(free, greedy) else { break };
            held.push(place);
        }
        assert_eq!(held.len(), 2048 * CROWD_CONNECTIONS / CONNECTIONS_MAX, "three quarters, then its share is up");
        for n in 0..64 {
            let free = places.free().await.expect("not closed");
            held.push(places.take(free, IpAddr::from([10, 1, 2, n])).expect("others have places"));
        }
        // A machine has any number of addresses of IPv6: those of one network count as one.
        let v6 = |n: u64| IpAddr::from(std::net::Ipv6Addr::from_bits(0xfd00_u128 << 112 | u128::from(n)));
        let mut let_in = 0;
        for n in 0..ADDRESS_CONNECTIONS_MAX as u64 {
            let free = places.free().await.expect("not closed");
            let place = places.take(free, v6(n));
            let_in += usize::from(place.is_some());
            held.extend(place);
        }
        // 448 were free: half of what it leaves.
        assert_eq!(let_in, 149);
        drop(held);
        let free = places.free().await.expect("not closed");
        assert!(places.take(free, greedy).is_some());
        // Nobody is crowded, but memory is short.
        places.shorten(true);
        let mut held = Vec::new();
        for address in [greedy, IpAddr::from([10, 1, 2, 1])] {
            for _ in 0..2 * ADDRESS_CONNECTIONS_SHORT {
                let free = places.free().await.expect("not closed");
                held.extend(places.take(free, address));
            }
        }
        assert_eq!(held.len(), 2 * ADDRESS_CONNECTIONS_SHORT);
        drop(held);
        assert!(places.by_address.lock().expect("no panic").is_empty());
        places.empty().await;
    }

    #[tokio::test]
    async fn many_addresses_together_do_not_take_every_place_either() {
        let places = Places::with(CONNECTIONS_MAX);
        let mut held = Vec::new();
        for _ in 0..ADDRESS_CONNECTIONS_MAX {
            // Twice as many as would take them all, if each had its most.
            for n in 0..=u8::MAX {
                let free = tokio::time::timeout(std::time::Duration::from_secs(60), places.free()).await;
                let free = free.expect("one is free").expect("not closed");
                held.extend(places.take(free, IpAddr::from([10, 1, 1, n])));
            }
        }
        assert!((27_000..29_500).contains(&held.len()), "{}", held.len());
        for _ in 0..ADDRESS_CONNECTIONS_SHORT {
            let free = places.free().await.expect("not closed");
            held.push(places.take(free, IpAddr::from([10, 1, 2, 1])).expect("another has places"));
        }
    }

    #[tokio::test]
    async fn of_few_places_an_address_has_a_quarter_once_they_are_crowded() {
        let places = Places::with(64);
        let mut held = Vec::new();
        for n in 0..64 {
            let free = places.free().await.expect("not closed");
            // Every other one is the greedy one's.
            let greedy = places.take(free, IpAddr::from([10, 1, 1, 1 + n % 2 * n]));
            held.extend(greedy);
        }
        let greedy = held.iter().filter(|place| place.address == IpAddr::from([10, 1, 1, 1])).count();
        assert_eq!(
            (places.share(), greedy, held.len()),
            (16, 24, 56),
            "it takes its part of the first 48, then no more"
        );
    }
}
