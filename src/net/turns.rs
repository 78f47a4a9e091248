//! Who may work now: so many at one time, and of these so many for one address. Those who wait have their turns by
//! address, so that one that asks without end waits behind itself and behind nobody else.
//!
//! Invariant: an address that waits either has its share at work, or all places are taken.

use super::places::who;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::oneshot;

/// The turns.
#[derive(Debug)]
pub(super) struct Turns {
    all: usize,
    of_address: usize,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    working: usize,
    by_address: HashMap<IpAddr, Address>,
    /// Addresses of which somebody waits, in the order of their next turns.
    next: VecDeque<IpAddr>,
}

#[derive(Debug, Default)]
struct Address {
    working: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// A place at work, until this is dropped; none once it was handed on.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Option<Arc<Turns>>,
    address: IpAddr,
}

impl Turns {
    /// So many places, of which one address has at most so many.
    pub(super) fn new(all: usize, of_address: usize) -> Arc<Self> {
        Arc::new(Self { all, of_address, line: Mutex::default() })
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().expect("nobody panics while holding the line")
    }

    /// Waits for a turn.
    pub(super) async fn take(self: &Arc<Self>, address: IpAddr) -> Option<Turn> {
        let address = who(address);
        let turn = {
            let mut line = self.line();
            let Line { working, by_address, next } = &mut *line;
            let here = by_address.entry(address).or_default();
            if *working < self.all && here.working < self.of_address {
                *working += 1;
                here.working += 1;
                return Some(Turn { turns: Some(Arc::clone(self)), address });
            }
            let (call, turn) = oneshot::channel();
            here.waiting.push_back(call);
            if here.waiting.len() == 1 {
                next.push_back(address);
            }
            turn
        };
        turn.await.ok()
    }

    /// One of this address is done: who is next, and its address; none where nobody can begin.
    fn hand_on(&self, done: IpAddr) -> Option<(IpAddr, oneshot::Sender<Turn>)> {
        let mut line = self.line();
        let Line { working, by_address, next } = &mut *line;
        *working -= 1;
        if let Some(here) = by_address.get_mut(&done) {
            here.working -= 1;
            if here.working == 0 && here.waiting.is_empty() {
                by_address.remove(&done);
            }
        }
        // Passed by are only those that have their share at work: there cannot be more of them than shares.
        let has_room = |address: &IpAddr| by_address.get(address).is_some_and(|here| here.working < self.of_address);
        let at = next.iter().position(has_room)?;
        let address = next.remove(at)?;
        let here = by_address.get_mut(&address)?;
        let call = here.waiting.pop_front()?;
        if !here.waiting.is_empty() {
            next.push_back(address);
        }
        here.working += 1;
        *working += 1;
        Some((address, call))
    }
}

impl Drop for Turn {
    /// Hands the place to the next address; whoever has gone meanwhile is passed by.
    fn drop(&mut self) {
        let Some(turns) = self.turns.take() else { return };
        let mut done = self.address;
        while let Some((address, call)) = turns.hand_on(done) {
            let turn = Turn { turns: Some(Arc::clone(&turns)), address };
            let Err(mut back) = call.send(turn) else { return };
            back.turns = None;
            done = address;
        }
    }
}

#[cfg(test)]
impl Turns {
    /// How many of this address wait and have not gone.
    pub(super) fn waiting(&self, address: IpAddr) -> usize {
        let line = self.line();
        let here = line.by_address.get(&who(address));
        here.map_or(0, |here| here.waiting.iter().filter(|call| !call.is_closed()).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: usize = 64;

    fn address(n: u8) -> IpAddr {
        IpAddr::from([10, 1, 1, n])
    }

    fn is_empty(turns: &Turns) -> bool {
        let line = turns.line();
        (line.working, line.next.len(), line.by_address.len()) == (0, 0, 0)
    }

    /// Lets every task come as far as it can.
    async fn settle() {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn one_address_waits_behind_itself_and_behind_nobody_else() {
        let turns = Turns::new(ALL, ALL);
        let mut held = Vec::new();
        for _ in 0..ALL {
            held.push(turns.take(address(1)).await);
        }
        let order: Arc<Mutex<Vec<u8>>> = Arc::default();
        let wait = |n: u8| {
            let (turns, order) = (Arc::clone(&turns), Arc::clone(&order));
            tokio::spawn(async move {
                let turn = turns.take(address(n)).await;
                order.lock().expect("no panic").push(n);
                drop(turn);
            })
        };
        let mut waiting: Vec<_> = (0..100).map(|_| wait(1)).collect();
        tokio::task::yield_now().await;
        // Somebody who has gone away takes no turn with him.
        let gone = wait(3);
        waiting.push(wait(2));
        tokio::task::yield_now().await;
        gone.abort();
        let _ = gone.await;
        held.pop();
        for task in waiting {
            task.await.expect("no panic");
        }
        let order = order.lock().expect("no panic").clone();
        assert_eq!((order.len(), order.iter().position(|n| *n == 2)), (101, Some(1)), "second of a hundred and one");
        drop(held);
        assert!(is_empty(&turns));
    }

    #[tokio::test]
    async fn one_address_has_its_share_of_the_places_and_others_have_the_rest() {
        const SHARE: usize = 8;
        let turns = Turns::new(ALL, SHARE);
        let at_work: Arc<Mutex<Vec<Turn>>> = Arc::default();
        let come = |n: u8| {
            let (turns, at_work) = (Arc::clone(&turns), Arc::clone(&at_work));
            tokio::spawn(async move {
                let turn = turns.take(address(n)).await.expect("the turns are there");
                at_work.lock().expect("no panic").push(turn);
            })
        };
        let working = |n| at_work.lock().expect("no panic").iter().filter(|turn| turn.address == address(n)).count();
        let mut tasks: Vec<_> = (0..200).map(|_| come(1)).collect();
        tasks.push(come(2));
        settle().await;
        assert_eq!((working(1), working(2)), (SHARE, 1), "the other one is not behind two hundred");
        // A place that the greedy one leaves is its own again; one that the other leaves is not.
        let leave = |n| {
            let turn = {
                let mut at_work = at_work.lock().expect("no panic");
                let at = at_work.iter().position(|turn| turn.address == address(n)).expect("it works");
                at_work.remove(at)
            };
            drop(turn);
        };
        leave(2);
        settle().await;
        assert_eq!((working(1), working(2)), (SHARE, 0));
        for _ in 0..200 - SHARE {
            leave(1);
            settle().await;
            assert_eq!(working(1), SHARE);
        }
        for task in tasks {
            task.await.expect("no panic");
        }
        at_work.lock().expect("no panic").clear();
        assert!(is_empty(&turns));
    }
}
