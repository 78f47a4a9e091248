//! Who may read the store and compile now: so many at one time, and those who wait have their turns by address, so that
//! one that asks without end waits behind itself and behind nobody else.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::oneshot;

/// Requests that work at one time. More threads than this would make nobody faster.
pub(super) const WORKING_MAX: usize = 64;

/// The turns.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<Line>);

#[derive(Debug, Default)]
struct Line {
    working: usize,
    /// Addresses of which somebody waits, in the order of their next turns.
    next: VecDeque<IpAddr>,
    waiting: HashMap<IpAddr, VecDeque<oneshot::Sender<Turn>>>,
}

/// A place at work, until this is dropped; none once it was handed on.
#[derive(Debug)]
pub(super) struct Turn(Option<Arc<Turns>>);

impl Turns {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().expect("nobody panics while holding the line")
    }

    /// Waits for a turn.
    pub(super) async fn take(self: &Arc<Self>, address: IpAddr) -> Option<Turn> {
        let turn = {
            let mut line = self.line();
            if line.working < WORKING_MAX {
                line.working += 1;
                return Some(Turn(Some(Arc::clone(self))));
            }
            let (call, turn) = oneshot::channel();
            let of_address = line.waiting.entry(address).or_default();
            of_address.push_back(call);
            if of_address.len() == 1 {
                line.next.push_back(address);
            }
            turn
        };
        turn.await.ok()
    }

    /// Who is next; none, with a place less taken, where nobody waits.
    fn next(&self) -> Option<oneshot::Sender<Turn>> {
        let mut line = self.line();
        while let Some(address) = line.next.pop_front() {
            let Some(of_address) = line.waiting.get_mut(&address) else { continue };
            let call = of_address.pop_front();
            if of_address.is_empty() {
                line.waiting.remove(&address);
            } else {
                line.next.push_back(address);
            }
            if call.is_some() {
                return call;
            }
        }
        line.working -= 1;
        None
    }
}

impl Drop for Turn {
    /// Hands the place to the next address; whoever has gone meanwhile is passed by.
    fn drop(&mut self) {
        let mut turns = self.0.take();
        while let Some(here) = turns.take() {
            let Some(call) = here.next() else { return };
            if let Err(mut back) = call.send(Turn(Some(here))) {
                turns = back.0.take();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_waits_behind_itself_and_behind_nobody_else() {
        let turns = Arc::new(Turns::default());
        let address = |n| IpAddr::from([10, 1, 1, n]);
        let mut held = Vec::new();
        for _ in 0..WORKING_MAX {
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
        let line = turns.line();
        assert_eq!((line.working, line.next.len(), line.waiting.len()), (0, 0, 0));
    }
}
