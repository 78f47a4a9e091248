//! What a client tells a tracker and what it hears, whatever carries it.

use crate::torrent::{InfoHash, PeerId};
use std::net::SocketAddr;

/// The most peers that are taken from one reply.
pub const PEERS_MAX: usize = 1000;
/// The most swarms one scrape may ask for (BEP 15: what fits in a datagram).
pub const SCRAPE_HASHES_MAX: usize = 74;
/// The most peers one announce may report as bad.
pub const BAD_PEERS_MAX: usize = 8;

/// Why a client announces now (BEP 3, 21).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Event {
    /// The interval is over.
    #[default]
    Periodic,
    /// It begins.
    Started,
    /// It has just got everything.
    Completed,
    /// It leaves.
    Stopped,
    /// It has all it wants and will ask for nothing more (BEP 21).
    Paused,
}

/// A client tells a tracker of itself and asks for peers. There is no address in it: that is the connection's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announce {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Who speaks.
    pub peer_id: PeerId,
    /// The port it listens on; 0 where it takes no connections.
    pub port: u16,
    /// What it has sent since `started`.
    pub uploaded_bytes: u64,
    /// What it has got since `started`.
    pub downloaded_bytes: u64,
    /// What it has not got yet.
    pub left_bytes: u64,
    /// Why now.
    pub event: Event,
    /// How many peers it wants.
    pub peers_wanted: Option<u32>,
    /// Wants addresses packed (BEP 23); HTTP only.
    pub compact: bool,
    /// Does not need the peers' ids; HTTP only.
    pub no_peer_id: bool,
    /// Peers that sent wrong pieces or do not answer; our own addition, HTTP only.
    pub bad_peers: Vec<SocketAddr>,
}

impl Announce {
    /// An announce that says nothing but who, where and for what.
    pub fn new(info_hash: InfoHash, peer_id: PeerId, port: u16) -> Self {
        Self {
            info_hash,
            peer_id,
            port,
            uploaded_bytes: 0,
            downloaded_bytes: 0,
            left_bytes: 0,
            event: Event::Periodic,
            peers_wanted: None,
            compact: true,
            no_peer_id: true,
            bad_peers: Vec::new(),
        }
    }
}

/// A peer as a tracker names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NamedPeer {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its id, where the reply has it.
    pub peer_id: Option<PeerId>,
}

impl From<SocketAddr> for NamedPeer {
    fn from(address: SocketAddr) -> Self {
        Self { address, peer_id: None }
    }
}

/// What a tracker answers to an announce.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnnounceReply {
    /// When to announce again.
    pub interval_secs: u32,
    /// Not earlier than this.
    pub min_interval_secs: Option<u32>,
    /// Peers that have everything.
    pub complete: u32,
    /// Peers that do not.
    pub incomplete: u32,
    /// Whom to connect to.
    pub peers: Vec<NamedPeer>,
}

/// The numbers of one swarm (BEP 48).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScrapeEntry {
    /// Peers that have everything.
    pub complete: u32,
    /// How many ever said `completed`.
    pub downloaded: u32,
    /// Peers that do not have everything.
    pub incomplete: u32,
}
