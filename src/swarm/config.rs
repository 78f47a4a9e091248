//! What a session is told once, and the limits it keeps. Every queue that a peer can fill has its limit here.

use crate::torrent::PeerId;
use std::net::SocketAddr;
use std::time::Duration;

/// Connections a machine holds at most.
pub const PEERS_MAX: usize = 40;
/// Connections a machine opens by itself; the rest of [`PEERS_MAX`] is for those who come to it.
pub const PEERS_WANTED: usize = 24;
/// Connections the frontend's seed holds at most.
pub const SEED_PEERS_MAX: usize = 2048;
/// Connections with one host at most; a new one takes the place of its oldest. One is what a machine needs; two while each
/// side opens one, or where it started anew and the old one is not known to be dead.
pub const PEERS_PER_HOST_MAX: usize = 2;
/// Addresses remembered from the tracker and not yet tried.
pub const CANDIDATES_MAX: usize = 256;
/// Addresses remembered as banned.
pub const BANNED_MAX: usize = 1024;
/// Pieces a machine lets its peers queue for upload, all together; what comes beyond is rejected (BEP 6).
pub const UPLOAD_QUEUE_PIECES: usize = 0;
/// Blocks one peer without the fast extension may queue (it cannot be rejected, so it is cut off beyond).
pub const STOCK_REQUESTS_MAX: usize = 512;
/// The longest block a stock client may ask for.
pub const STOCK_BLOCK_BYTES_MAX: u32 = 128 * 1024;
/// The longest block two of ours ask each other for: a whole piece of our own metainfo.
pub const OUR_BLOCK_BYTES_MAX: u32 = 1024 * 1024;
/// Pieces in flight at least, when enough is wanted.
pub const IN_FLIGHT_MIN: usize = 3;
/// Pieces in flight at most, demand and offers of the frontend not counted.
pub const IN_FLIGHT_MAX: usize = 16;
/// Pieces asked of one peer at once.
pub const IN_FLIGHT_PER_PEER: usize = 2;
/// Blocks of 16 KiB asked of one stock peer at once.
pub const STOCK_PIPELINE_BLOCKS: usize = 64;
/// The last pieces, for which a second copy may be asked.
pub const ENDGAME_PIECES: usize = 4;
/// Copies of one piece in flight in the endgame.
pub const ENDGAME_COPIES: usize = 2;
/// Pieces fetched over HTTP at once while peers are there too.
pub const HTTP_BESIDE_PEERS: usize = 1;
/// Pieces fetched over HTTP at once when there is nobody else.
pub const HTTP_ALONE: usize = 4;
/// Messages that make no sense (a request for nothing, a have twice) that a peer is forgiven.
pub const NONSENSE_MAX: u32 = 64;
/// How often a peer may ask for the info dictionary on one connection: for each of its parts so many times.
pub const METADATA_TIMES_MAX: u32 = 2;
/// A request is given to somebody else after this time without an answer, or after
/// [`REASSIGN_PIECE_TIMES`] median piece times if that is longer.
pub const REASSIGN_MIN: Duration = Duration::from_secs(1);
/// See [`REASSIGN_MIN`].
pub const REASSIGN_PIECE_TIMES: u32 = 8;

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// An installing machine: it downloads its wanted set and shares it.
    Machine,
    /// The frontend's permanent source: it has everything and offers what nobody has yet.
    Seed,
}

/// What a session is told once.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// What the session is for.
    pub role: Role,
    /// Its own name in the swarm.
    pub peer_id: PeerId,
    /// Where peers reach it: told to them, and never connected to.
    pub address: Option<SocketAddr>,
    /// The frontend's seed, as the metainfo's envelope tells; a peer at another address is never taken for it.
    pub frontend: Option<SocketAddr>,
    /// The rack it stands in.
    pub rack: Option<u32>,
    /// Whether pieces may be fetched over HTTP from the frontend (web seed).
    pub web_seed: bool,
    /// How long the info dictionary is that the driver gives to who asks (BEP 9); none where it gives none.
    pub metadata_bytes: Option<u32>,
    /// Whether there is a tracker to announce to.
    pub tracker: bool,
    /// Peers that are sent to at once. Three for a machine: of two, both may be busy with what others send them while the
    /// way out stands idle. For a seed its link divided by a machine's link.
    pub serve_at_once: usize,
}

impl SessionConfig {
    /// A machine with everything at its default.
    pub fn machine(peer_id: PeerId) -> Self {
        Self {
            role: Role::Machine,
            peer_id,
            address: None,
            frontend: None,
            rack: None,
            web_seed: true,
            metadata_bytes: None,
            tracker: true,
            serve_at_once: 3,
        }
    }

    /// A frontend's seed with everything at its default.
    pub fn seed(peer_id: PeerId) -> Self {
        Self { role: Role::Seed, web_seed: false, serve_at_once: 4, ..Self::machine(peer_id) }
    }

    /// Connections this session holds at most.
    pub fn peers_max(&self) -> usize {
        match self.role {
            Role::Machine => PEERS_MAX,
            Role::Seed => SEED_PEERS_MAX,
        }
    }
}
