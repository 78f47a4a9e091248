//! Peer links: joins one swarm's [`Session`](crate::swarm::Session) to TCP.
//!
//! One task owns the session (`owner`); each connection has a task that reads and one that writes (`link`) and
//! says what happened over a bounded channel. Payload goes from the socket to the cache and from a file to the socket;
//! the session never sees it, and what leaves a machine is spread over time (`way_out`). Digests are compared on blocking
//! threads.

mod door;
#[cfg(any(test, fuzzing))]
mod exercise;
#[cfg(test)]
mod hostile;
mod knocks;
mod link;
mod link_rate;
mod metadata;
mod moving;
mod owner;
mod spare;
mod supply;
mod way_out;

pub use door::Door;
#[cfg(any(test, fuzzing))]
pub(in crate::net) use exercise::peer;
pub(in crate::net) use metadata::{WantedInfo, info_from};
pub use owner::{Announced, Announcer, Member, Progress, Setup};
pub use supply::{Supply, WebSeed};
pub(in crate::net) use supply::{WEB_SEED_HEADER, encode_path};

#[cfg(test)]
mod tests;
