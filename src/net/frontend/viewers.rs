//! Who follows the status page by server-sent events. What changed is put into words once a second for all of them
//! together; who is new is told everything, and that too is made at most once a second.

use super::{Shared, status};
use crate::net::http::{Request, Response, Segment};
use crate::net::places::who;
use bytes::Bytes;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Viewers that follow the page at one time; one more has to reload it.
const VIEWERS_MAX: usize = 32;
/// Viewers from one address, so that one cannot shut the page to all others.
const ADDRESS_VIEWERS_MAX: usize = 8;
/// How often viewers are told what changed.
const TELL: Duration = Duration::from_secs(1);
/// Events that wait for a slow viewer; then it misses some, and is told everything once it listens again.
const EVENTS_MAX: usize = 2;

/// Who follows the page.
#[derive(Debug, Default)]
pub(super) struct Viewers(Mutex<Vec<Viewer>>);

#[derive(Debug)]
struct Viewer {
    address: IpAddr,
    sender: mpsc::Sender<Segment>,
    /// Whether it has to be told everything.
    is_new: bool,
}

impl Viewers {
    fn there(&self) -> MutexGuard<'_, Vec<Viewer>> {
        self.0.lock().expect("nobody panics while holding the viewers")
    }

    /// What a new viewer is told; none where there is no room.
    fn enter(&self, address: IpAddr) -> Option<mpsc::Receiver<Segment>> {
        let address = who(address);
        let mut there = self.there();
        there.retain(|viewer| !viewer.sender.is_closed());
        let here = there.iter().filter(|viewer| viewer.address == address).count();
        if there.len() >= VIEWERS_MAX || here >= ADDRESS_VIEWERS_MAX {
            return None;
        }
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        there.push(Viewer { address, sender, is_new: true });
        Some(events)
    }

    /// Ends every viewer's answer.
    pub(super) fn end(&self) {
        self.there().clear();
    }

    /// Whether anybody is there, and whether anybody is new.
    fn who(&self) -> (bool, bool) {
        let mut there = self.there();
        there.retain(|viewer| !viewer.sender.is_closed());
        (!there.is_empty(), there.iter().any(|viewer| viewer.is_new))
    }

    /// Has everybody told everything.
    fn renew(&self) {
        self.there().iter_mut().for_each(|viewer| viewer.is_new = true);
    }

    /// Tells everything to those who are new, and what changed to the others.
    fn tell(&self, all: Option<&Bytes>, changes: &Bytes) {
        for viewer in self.there().iter_mut() {
            let event = if viewer.is_new { all } else { Some(changes) };
            let Some(event) = event else { continue };
            viewer.is_new = matches!(viewer.sender.try_send(Segment::Bytes(event.clone())), Err(TrySendError::Full(_)));
        }
    }
}

/// `/status/events`.
pub(super) fn follow(shared: &Shared, request: &Request) -> Response {
    match shared.viewers.enter(request.peer.ip()) {
        Some(events) => Response::stream(200, None, events)
            .with("Content-Type", "text/event-stream")
            .with("Cache-Control", "no-store"),
        None => Response::text(503, "enough viewers follow this page").with("Retry-After", "10"),
    }
}

/// Tells viewers for as long as the frontend lives.
pub(super) async fn tell(shared: Weak<Shared>) {
    let (mut since, mut removals) = (0, 0);
    loop {
        let Some(shared) = shared.upgrade() else { return };
        // Of who is gone no change tells: only everything does.
        let removals_now = shared.board.removals();
        if removals_now != removals {
            shared.viewers.renew();
            removals = removals_now;
        }
        let (is_followed, has_new) = shared.viewers.who();
        if is_followed {
            let making = Arc::clone(&shared);
            let make = move || (has_new.then(|| status::whole_event(&making)), status::event(&making, since));
            let Ok((all, (changes, change))) = tokio::task::spawn_blocking(make).await else { return };
            since = change;
            shared.viewers.tell(all.as_ref(), &changes);
        }
        drop(shared);
        tokio::time::sleep(TELL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_shut_the_page_to_all_others() {
        let viewers = Viewers::default();
        let [greedy, other] = [1, 2].map(|n| IpAddr::from([10, 1, 1, n]));
        let mut let_in: Vec<_> = (0..VIEWERS_MAX).filter_map(|_| viewers.enter(greedy)).collect();
        assert_eq!(let_in.len(), ADDRESS_VIEWERS_MAX);
        let first = viewers.enter(other).expect("there is room");
        let_in.pop();
        let again = viewers.enter(greedy);
        assert!(again.is_some() && viewers.enter(greedy).is_none());
        let more: Vec<_> = (10..60).filter_map(|n| viewers.enter(IpAddr::from([10, 1, 2, n]))).collect();
        assert_eq!(more.len(), VIEWERS_MAX - ADDRESS_VIEWERS_MAX - 1);
        drop((first, let_in, more));
        // Of IPv6 a machine has any number of addresses: those of one network count as one.
        let v6 = |n: u64| IpAddr::from(std::net::Ipv6Addr::from_bits(0xfd00_u128 << 112 | u128::from(n)));
        let let_in: Vec<_> = (0..VIEWERS_MAX as u64).filter_map(|n| viewers.enter(v6(n))).collect();
        assert_eq!(let_in.len(), ADDRESS_VIEWERS_MAX);
    }

    #[test]
    fn who_is_new_or_has_missed_something_is_told_everything_and_all_hear_the_same() {
        let viewers = Viewers::default();
        let words = |text: &'static str| Bytes::from_static(text.as_bytes());
        let hear = |events: &mut mpsc::Receiver<Segment>| match events.try_recv() {
            Ok(Segment::Bytes(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
            _ => String::new(),
        };
        let mut quick = viewers.enter(IpAddr::from([10, 1, 1, 1])).expect("there is room");
        let mut slow = viewers.enter(IpAddr::from([10, 1, 1, 2])).expect("there is room");
        assert_eq!(viewers.who(), (true, true));
        viewers.tell(Some(&words("all")), &words("1"));
        assert_eq!((hear(&mut quick), viewers.who()), ("all".to_owned(), (true, false)));
        for change in ["2", "3"] {
            viewers.tell(None, &words(change));
            assert_eq!(hear(&mut quick), change);
        }
        assert_eq!(viewers.who(), (true, true), "the slow one missed the third");
        assert_eq!((hear(&mut slow), hear(&mut slow)), ("all".to_owned(), "2".to_owned()));
        viewers.tell(Some(&words("all again")), &words("4"));
        assert_eq!((hear(&mut slow), hear(&mut quick)), ("all again".to_owned(), "4".to_owned()));
        viewers.end();
        assert!(slow.try_recv().is_err() && slow.is_closed());
    }
}
