//! What the Red Hat installer on a machine asks for, and how long it waits for a byte.

use super::agenda::Time;
use crate::torrent::{Bitfield, PieceIndex};
use std::collections::VecDeque;

/// A file the installer has asked for.
#[derive(Debug)]
struct Open {
    pieces: VecDeque<PieceIndex>,
    waiting_since: Time,
    bytes: u64,
}

/// An installer that takes its files in order, some at once.
#[derive(Debug)]
pub(super) struct Installer {
    files: VecDeque<Vec<PieceIndex>>,
    open: Vec<Open>,
    connections: usize,
    /// Nanoseconds a byte takes to unpack, and whether a file is unpacked before the next one is fetched.
    nanos_per_byte: f64,
    in_turn: bool,
    bytes: u64,
    /// The longest it ever waited for the next byte of a file it asked for.
    pub(super) longest_wait: Time,
    /// When it has unpacked what it has; it asks for nothing before, if it works in turn.
    busy_until: Time,
    /// When everything is unpacked, once everything is there.
    done_at: Option<Time>,
}

/// What an installer does next.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// It asks for these.
    pub(super) demand: Vec<PieceIndex>,
    /// It is to be looked at again then.
    pub(super) again_at: Option<Time>,
    /// It has everything, and is done with it then.
    pub(super) done_at: Option<Time>,
}

impl Installer {
    pub(super) fn new(files: &[Vec<PieceIndex>], connections: usize, nanos_per_byte: f64, in_turn: bool) -> Self {
        Self {
            files: files.iter().cloned().collect(),
            open: Vec::new(),
            connections,
            nanos_per_byte,
            in_turn,
            bytes: 0,
            longest_wait: 0,
            busy_until: 0,
            done_at: None,
        }
    }

    /// Whether it waits for this piece now.
    pub(super) fn waits_for(&self, piece: PieceIndex) -> bool {
        self.open.iter().any(|open| open.pieces.front() == Some(&piece))
    }

    /// Reads what is there, and asks for more.
    pub(super) fn step(&mut self, now: Time, held: &Bitfield, length: impl Fn(PieceIndex) -> u64) -> Step {
        let mut step = Step::default();
        loop {
            for open in &mut self.open {
                while let Some(piece) = open.pieces.pop_front_if(|piece| held.has(*piece)) {
                    self.longest_wait = self.longest_wait.max(now - open.waiting_since);
                    open.waiting_since = now;
                    open.bytes += length(piece);
                }
            }
            let mut read_bytes = 0;
            self.open.retain(|open| {
                read_bytes += if open.pieces.is_empty() { open.bytes } else { 0 };
                !open.pieces.is_empty()
            });
            self.bytes += read_bytes;
            if self.in_turn && read_bytes > 0 {
                self.busy_until = self.busy_until.max(now) + (read_bytes as f64 * self.nanos_per_byte) as Time;
            }
            if self.files.is_empty() && self.open.is_empty() {
                let unpack = if self.in_turn { 0 } else { (self.bytes as f64 * self.nanos_per_byte) as Time };
                step.done_at = Some(*self.done_at.get_or_insert(self.busy_until.max(now) + unpack));
                return step;
            }
            if self.in_turn && self.busy_until > now {
                step.again_at = Some(self.busy_until);
                return step;
            }
            if self.open.len() >= self.connections {
                return step;
            }
            let Some(file) = self.files.pop_front() else { return step };
            step.demand.extend(file.iter().filter(|piece| !held.has(**piece)));
            self.open.push(Open { pieces: file.into(), waiting_since: now, bytes: 0 });
        }
    }
}
