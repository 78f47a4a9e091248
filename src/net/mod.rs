//! The edges: the only room with sockets, tasks and a clock.
//!
//! [`http`] is a small HTTP/1.1 server and client of our own (files leave through `sendfile`); [`frontend`] is
//! `rocks serve`, [`announce`] is `rocks track`, [`node`] is `rocks fetch`, [`proxy`] is the door its installer
//! downloads through, [`links`] joins a swarm's session to TCP. [`rate`] is the token bucket that a whole process
//! shares, [`log`] where daemons say what happened.

pub mod addresses;
pub mod announce;
pub mod dhcp;
pub mod frontend;
pub mod http;
pub mod links;
pub mod log;
pub mod look;
pub mod node;
mod places;
pub mod proxy;
pub mod rate;
mod referral;
pub mod report;
mod roster;
mod seldom;
pub mod tls;
mod tree;
mod turns;

#[cfg(any(test, fuzzing))]
pub mod exercise;
#[cfg(test)]
mod fixture;

use crate::torrent::PeerId;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// How a socket finds its rate, where the kernel has it. One that paces by what it measured before (BBR, the default of
/// some systems) sends the next piece or file of a connection at the rate of its share then, though the link is free now.
const CONGESTION_CONTROL: &[u8] = b"cubic";

/// What can go wrong at an edge.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// An address that cannot be listened at.
    #[error("cannot listen at {address}: {}", listen_reason(source))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// An address that cannot be connected to.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The address as written.
        address: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A URL that is none of ours.
    #[error("URL '{url}' {why}")]
    Url {
        /// The text.
        url: String,
        /// Why not, as the end of a sentence.
        why: &'static str,
    },
    /// An exchange that failed on the way.
    #[error("GET {url}: {why}")]
    Exchange {
        /// What was asked for.
        url: String,
        /// What happened.
        why: String,
    },
    /// An answer that is not the wanted one.
    #[error("GET {url}: the frontend answered {status}: {message}")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The first line of the answer's text.
        message: String,
    },
    /// A file that cannot be used.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Anything that another room said, with its own words.
    #[error("{0}")]
    Said(String),
}

fn listen_reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "the port is in use".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied (ports below 1024 need a privilege)".to_owned(),
        std::io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        _ => error.to_string(),
    }
}

impl NetError {
    /// A file error with its place.
    pub fn file(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::File { path: path.display().to_string(), source }
    }
}

/// Waits for SIGTERM, SIGINT or SIGHUP. Where signals cannot be had, it waits for ever.
async fn ended() {
    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = wait(SignalKind::terminate()) => {}
        _ = wait(SignalKind::interrupt()) => {}
        _ = wait(SignalKind::hangup()) => {}
    }
}

/// Asks the system for as many file descriptors as are wanted and it allows.
fn raise_descriptors(wanted: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(wanted, |maximum| wanted.min(maximum));
    if current.is_some_and(|current| current < wanted) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}

/// A name in a swarm and a seed value for its ties, other ones each time. They are no keys, so the standard library's
/// own dice do, which need no file: an installer's ramdisk may have no `/dev/urandom` yet.
fn swarm_identity() -> (PeerId, u64) {
    use std::hash::BuildHasher;
    let dice = std::collections::hash_map::RandomState::new();
    let mut unique = [0; 12];
    for (number, four) in unique.chunks_exact_mut(4).enumerate() {
        four.copy_from_slice(&dice.hash_one(number).to_ne_bytes()[..4]);
    }
    (PeerId::new(unique), dice.hash_one("ties"))
}

/// The time of day, as [`crate::trust`] takes it.
fn wall_clock() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

/// The time of day when this was first asked for, and what has passed since. A clock that is set meanwhile, as it is when a
/// frontend has started and then finds its time server, so ends no token that lives, and prolongs none.
fn since_1970() -> Duration {
    static BEGUN: OnceLock<(Duration, Instant)> = OnceLock::new();
    let (begun, at) = BEGUN.get_or_init(|| (wall_clock(), Instant::now()));
    *begun + at.elapsed()
}
