//! The downloader and the seed: one sans-io state machine.
//!
//! The owner of a [`Session`] tells it what happened ([`Event`]), asks it what to do until it says nothing
//! ([`Session::poll`] gives [`Action`]s), and wakes it at [`Session::next_timeout`]. A session opens no socket, reads no
//! clock and draws no randomness but from the generator it was seeded with, and payload never enters it.

mod config;
mod contacts;
mod demand;
mod echoes;
mod event;
mod extension;
mod fallback;
mod flights;
mod incoming;
mod message;
mod news;
mod offers;
mod overdue;
mod pace;
mod peers;
mod pieces;
mod random;
mod requests;
mod session;
mod talk;
mod uploads;
mod web_seed;

#[cfg(any(test, fuzzing))]
pub mod exercise;
#[cfg(test)]
mod gone;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;

pub use config::*;
pub use event::{Action, AnnounceEvent, Direction, Event, PeerKey, Reason, Source, WebSeedOutcome};
pub use message::{Message, RawBlock};
pub use peers::Listener;
pub use random::Generator;
pub use session::{Session, Totals};
pub use web_seed::{WEB_SEED_RETRY, WebSeedShare};
