//! A machine, or the frontend, as the world sees it.

use super::clock::Time;
use super::installer::Installer;
use crate::swarm::{PeerKey, Session, Source};
use crate::torrent::{Block, PieceIndex};
use std::collections::{BTreeSet, VecDeque};

/// Where a machine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is not switched on yet.
    Waiting,
    /// It installs, or serves after that.
    Running,
    /// It lost power.
    Dead,
    /// It rebooted into its new system.
    Left,
}

/// Something that waits for the way out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outgoing {
    /// A block of a session.
    Block { peer: PeerKey, block: Block },
    /// A piece over HTTP, from the frontend.
    Http { node: u32, piece: PieceIndex },
}

/// A machine, or the frontend.
pub(super) struct Node {
    pub(super) session: Session,
    pub(super) installer: Option<Installer>,
    pub(super) state: State,
    /// By key: the node and key at the other end.
    pub(super) links: Vec<Option<(u32, PeerKey)>>,
    pub(super) outgoing: VecDeque<Outgoing>,
    pub(super) is_sending: bool,
    pub(super) timer_at: Option<Time>,
    pub(super) started_at: Time,
    pub(super) done_at: Option<Time>,
    /// It sends wrong bytes.
    pub(super) poisons: bool,
    /// Pieces it received wrong bytes of, and from whom.
    pub(super) bad: BTreeSet<(PieceIndex, Source)>,
}

impl Node {
    pub(super) fn new(session: Session, installer: Option<Installer>) -> Self {
        Self {
            session,
            installer,
            state: State::Waiting,
            links: Vec::new(),
            outgoing: VecDeque::new(),
            is_sending: false,
            timer_at: None,
            started_at: 0,
            done_at: None,
            poisons: false,
            bad: BTreeSet::new(),
        }
    }

    /// The other end of a connection that is open.
    pub(super) fn link(&self, key: PeerKey) -> Option<(u32, PeerKey)> {
        self.links.get(key.0 as usize).copied().flatten()
    }

    /// The key of the next connection; the caller pushes its other end.
    pub(super) fn new_key(&self) -> PeerKey {
        PeerKey(self.links.len() as u32)
    }

    /// Drops what waits for a connection that is closed.
    pub(super) fn drop_outgoing(&mut self, closed: PeerKey) {
        self.outgoing.retain(|what| !matches!(what, Outgoing::Block { peer, .. } if *peer == closed));
    }
}
