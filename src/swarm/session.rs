//! The state machine itself.

use super::config::SessionConfig;
use super::event::PeerKey;
use super::event::{Action, Event};
use crate::torrent::{Bitfield, Block, Layout};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// What a session has moved so far, in payload bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Received from the frontend, by its seed or over HTTP.
    pub from_frontend_bytes: u64,
    /// Received from other machines.
    pub from_peers_bytes: u64,
    /// Of what was received: copies of what was there, and wrong pieces.
    pub wasted_bytes: u64,
    /// Sent.
    pub sent_bytes: u64,
}

/// A downloader or a seed of one swarm.
pub struct Session {
    config: SessionConfig,
    layout: Arc<Layout>,
    held: Bitfield,
    actions: VecDeque<Action>,
    totals: Totals,
}

impl Session {
    /// A session of this swarm that holds nothing (a seed: everything). The seed value feeds its random ties.
    pub fn new(config: SessionConfig, layout: Arc<Layout>, _seed_value: u64) -> Self {
        let held = Bitfield::none(layout.piece_count());
        Self { config, layout, held, actions: VecDeque::new(), totals: Totals::default() }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, _now: Duration, _event: Event) {}

    /// The next thing to do, if there is one.
    pub fn poll(&mut self, _now: Duration) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Event::Tick`] is due, on the clock of `now`.
    pub fn next_timeout(&self) -> Option<Duration> {
        None
    }

    /// Whether this block was asked of this peer: only then is its payload worth keeping.
    pub fn expects(&self, _peer: PeerKey, _block: Block) -> bool {
        false
    }

    /// The verified pieces.
    pub fn held(&self) -> &Bitfield {
        &self.held
    }

    /// Whether every wanted piece is held.
    pub fn is_complete(&self) -> bool {
        true
    }

    /// What has been moved so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// How it was set up.
    pub fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// What it shares.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }
}
