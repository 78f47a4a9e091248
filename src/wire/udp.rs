//! Announce and scrape over UDP (BEP 15): datagrams as a tracker and a client see them.
//!
//! The family of the addresses in an announce's reply is that of the datagram's own address.

use super::WireError;
use super::announce::{Announce, AnnounceReply, Event, PEERS_MAX, SCRAPE_HASHES_MAX, ScrapeEntry};
use super::reply::{put_packed_address, unpack_v4, unpack_v6};
use crate::torrent::{InfoHash, PeerId};

/// The longest datagram that is read or written: what an Ethernet carries in one piece.
pub const DATAGRAM_BYTES_MAX: usize = 1452;
/// The most peers that fit in a reply over IPv4.
pub const PEERS_V4_MAX: usize = (DATAGRAM_BYTES_MAX - 20) / 6;
/// The most peers that fit in a reply over IPv6.
pub const PEERS_V6_MAX: usize = (DATAGRAM_BYTES_MAX - 20) / 18;

/// What a connect request begins with.
const PROTOCOL: u64 = 0x0417_2710_1980;
const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;

/// What a client asks a tracker for. `transaction` is the client's, `connection` what the tracker gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Asks for a connection id, which proves that the client hears what is sent to its address.
    Connect {
        /// To be sent back.
        transaction: u32,
    },
    /// Announces.
    Announce {
        /// From the reply to `Connect`.
        connection: u64,
        /// To be sent back.
        transaction: u32,
        /// The announce.
        announce: Announce,
    },
    /// Asks for the numbers of swarms.
    Scrape {
        /// From the reply to `Connect`.
        connection: u64,
        /// To be sent back.
        transaction: u32,
        /// The swarms.
        hashes: Vec<InfoHash>,
    },
}

impl Request {
    /// Reads a datagram. Options behind an announce (BEP 41) are ignored.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut rest = Reader(bytes);
        let what = "UDP request";
        let too_short = WireError::Length { what, found: bytes.len() };
        let connection = rest.u64().ok_or(too_short.clone())?;
        let (action, transaction) = (rest.u32().ok_or(too_short.clone())?, rest.u32().ok_or(too_short.clone())?);
        match action {
            CONNECT if connection == PROTOCOL => Ok(Self::Connect { transaction }),
            ANNOUNCE => {
                let announce = read_announce(&mut rest).ok_or(too_short)?;
                Ok(Self::Announce { connection, transaction, announce })
            }
            SCRAPE => match rest.0.as_chunks::<20>() {
                (hashes @ [_, ..], []) if hashes.len() <= SCRAPE_HASHES_MAX => {
                    Ok(Self::Scrape { connection, transaction, hashes: hashes.iter().copied().map(InfoHash).collect() })
                }
                _ => Err(WireError::Length { what: "UDP scrape", found: bytes.len() }),
            },
            _ => Err(WireError::Malformed { what }),
        }
    }

    /// Writes the datagram.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut head = |connection: u64, action: u32, transaction: u32| {
            out.extend_from_slice(&connection.to_be_bytes());
            put_u32s(out, &[action, transaction]);
        };
        match self {
            Self::Connect { transaction } => head(PROTOCOL, CONNECT, *transaction),
            Self::Announce { connection, transaction, announce } => {
                head(*connection, ANNOUNCE, *transaction);
                out.extend_from_slice(&announce.info_hash.0);
                out.extend_from_slice(&announce.peer_id.0);
                for number in [announce.downloaded_bytes, announce.left_bytes, announce.uploaded_bytes] {
                    out.extend_from_slice(&number.to_be_bytes());
                }
                let event = match announce.event {
                    Event::Periodic | Event::Paused => 0,
                    Event::Completed => 1,
                    Event::Started => 2,
                    Event::Stopped => 3,
                };
                // No address and no key of its own; -1 is "as many as the tracker likes".
                put_u32s(out, &[event, 0, 0, announce.peers_wanted.unwrap_or(u32::MAX)]);
                out.extend_from_slice(&announce.port.to_be_bytes());
            }
            Self::Scrape { connection, transaction, hashes } => {
                head(*connection, SCRAPE, *transaction);
                hashes.iter().for_each(|hash| out.extend_from_slice(&hash.0));
            }
        }
    }
}

fn read_announce(rest: &mut Reader<'_>) -> Option<Announce> {
    let (info_hash, peer_id) = (InfoHash(rest.twenty()?), PeerId(rest.twenty()?));
    let (downloaded_bytes, left_bytes, uploaded_bytes) = (rest.u64()?, rest.u64()?, rest.u64()?);
    let event = match rest.u32()? {
        1 => Event::Completed,
        2 => Event::Started,
        3 => Event::Stopped,
        _ => Event::Periodic,
    };
    let (_address, _key, wanted) = (rest.u32()?, rest.u32()?, rest.u32()?);
    let port = rest.u16()?;
    let peers_wanted = (wanted <= i32::MAX as u32).then_some(wanted);
    let announce = Announce::new(info_hash, peer_id, port);
    Some(Announce { uploaded_bytes, downloaded_bytes, left_bytes, event, peers_wanted, ..announce })
}

/// What a tracker answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// A connection id.
    Connect {
        /// The client's.
        transaction: u32,
        /// To be sent with each request for about two minutes.
        connection: u64,
    },
    /// Peers.
    Announce {
        /// The client's.
        transaction: u32,
        /// The reply; there is no `min_interval_secs` in it.
        reply: AnnounceReply,
    },
    /// Numbers, in the order of the swarms asked for.
    Scrape {
        /// The client's.
        transaction: u32,
        /// One for each swarm.
        entries: Vec<ScrapeEntry>,
    },
    /// The tracker refuses.
    Error {
        /// The client's.
        transaction: u32,
        /// Why.
        reason: String,
    },
}

impl Response {
    /// Reads a datagram that came over IPv6 or IPv4.
    pub fn decode(bytes: &[u8], is_ipv6: bool) -> Result<Self, WireError> {
        let mut rest = Reader(bytes);
        let what = "UDP reply";
        let too_short = || WireError::Length { what, found: bytes.len() };
        let (action, transaction) = (rest.u32().ok_or_else(too_short)?, rest.u32().ok_or_else(too_short)?);
        match action {
            CONNECT => Ok(Self::Connect { transaction, connection: rest.u64().ok_or_else(too_short)? }),
            ANNOUNCE => {
                let mut number = || rest.u32().ok_or_else(too_short);
                let (interval_secs, incomplete, complete) = (number()?, number()?, number()?);
                let peers = match is_ipv6 {
                    true => unpack_v6(rest.0)?.take(PEERS_MAX).collect(),
                    false => unpack_v4(rest.0)?.take(PEERS_MAX).collect(),
                };
                let reply = AnnounceReply { interval_secs, min_interval_secs: None, complete, incomplete, peers };
                Ok(Self::Announce { transaction, reply })
            }
            SCRAPE => {
                let (chunks, []) = rest.0.as_chunks::<12>() else { return Err(too_short()) };
                let entry = |chunk: &[u8; 12]| {
                    let mut numbers = Reader(chunk);
                    let (complete, downloaded, incomplete) = (numbers.u32()?, numbers.u32()?, numbers.u32()?);
                    Some(ScrapeEntry { complete, downloaded, incomplete })
                };
                Ok(Self::Scrape {
                    transaction,
                    entries: chunks.iter().take(SCRAPE_HASHES_MAX).filter_map(entry).collect(),
                })
            }
            ERROR => {
                let reason = String::from_utf8_lossy(rest.0).chars().take(500).collect();
                Ok(Self::Error { transaction, reason })
            }
            _ => Err(WireError::Malformed { what }),
        }
    }

    /// Writes the datagram; peers of the other family, and those that do not fit, are left out.
    pub fn encode(&self, out: &mut Vec<u8>, is_ipv6: bool) {
        match self {
            Self::Connect { transaction, connection } => {
                put_u32s(out, &[CONNECT, *transaction]);
                out.extend_from_slice(&connection.to_be_bytes());
            }
            Self::Announce { transaction, reply } => {
                put_u32s(out, &[ANNOUNCE, *transaction, reply.interval_secs, reply.incomplete, reply.complete]);
                let limit = if is_ipv6 { PEERS_V6_MAX } else { PEERS_V4_MAX };
                let fitting = reply.peers.iter().filter(|peer| peer.address.is_ipv6() == is_ipv6);
                fitting.take(limit).for_each(|peer| put_packed_address(out, peer.address));
            }
            Self::Scrape { transaction, entries } => {
                put_u32s(out, &[SCRAPE, *transaction]);
                entries.iter().for_each(|entry| put_u32s(out, &[entry.complete, entry.downloaded, entry.incomplete]));
            }
            Self::Error { transaction, reason } => {
                put_u32s(out, &[ERROR, *transaction]);
                out.extend_from_slice(reason.as_bytes());
            }
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }
    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }
    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }
    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
    fn twenty(&mut self) -> Option<[u8; 20]> {
        self.take()
    }
}

fn put_u32s(out: &mut Vec<u8>, numbers: &[u32]) {
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_be_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::tests::{addresses, announce_strategy};
    use proptest::prelude::*;

    #[test]
    fn what_is_no_request_is_refused() {
        let mut connect = Vec::new();
        Request::Connect { transaction: 7 }.encode(&mut connect);
        assert_eq!(connect.len(), 16);
        assert_eq!(Request::decode(&connect), Ok(Request::Connect { transaction: 7 }));
        connect[0] = 1;
        assert!(Request::decode(&connect).is_err(), "another protocol's number");
        let mut scrape = Vec::new();
        Request::Scrape { connection: 1, transaction: 2, hashes: vec![InfoHash([0; 20]); SCRAPE_HASHES_MAX + 1] }
            .encode(&mut scrape);
        assert!(Request::decode(&scrape).is_err(), "too many swarms");
        assert!(Request::decode(&scrape[..16]).is_err(), "no swarm");
        assert!(Request::decode(&scrape[..37]).is_err(), "a swarm and a bit");
    }

    #[test]
    fn replies_fit_a_datagram() {
        for is_ipv6 in [false, true] {
            let address = if is_ipv6 { "[::1]:1" } else { "127.0.0.1:1" };
            let peer = address.parse::<std::net::SocketAddr>().expect("an address").into();
            let reply = AnnounceReply { peers: vec![peer; 5000], ..AnnounceReply::default() };
            let mut out = Vec::new();
            Response::Announce { transaction: 1, reply }.encode(&mut out, is_ipv6);
            assert!(out.len() <= DATAGRAM_BYTES_MAX && out.len() > DATAGRAM_BYTES_MAX - 18);
        }
    }

    proptest! {
        #[test]
        fn a_request_that_is_written_is_read(connection: u64, transaction: u32, announce in announce_strategy(), options in proptest::collection::vec(any::<u8>(), 0..9)) {
            let request = Request::Announce { connection, transaction, announce };
            let mut out = Vec::new();
            request.encode(&mut out);
            prop_assert_eq!(out.len(), 98);
            prop_assert!(Request::decode(&out[..97]).is_err());
            out.extend(options);
            prop_assert_eq!(Request::decode(&out), Ok(request));
        }

        #[test]
        fn a_scrape_that_is_written_is_read(hashes in proptest::collection::vec(any::<[u8; 20]>().prop_map(InfoHash), 1..SCRAPE_HASHES_MAX)) {
            let request = Request::Scrape { connection: 1, transaction: 2, hashes };
            let mut out = Vec::new();
            request.encode(&mut out);
            prop_assert_eq!(Request::decode(&out), Ok(request));
        }

        #[test]
        fn a_reply_over_ipv4_is_read(transaction: u32, interval_secs: u32, complete: u32, incomplete: u32, found in addresses(true, false)) {
            let peers = found.into_iter().map(Into::into).collect();
            let reply = AnnounceReply { interval_secs, min_interval_secs: None, complete, incomplete, peers };
            let response = Response::Announce { transaction, reply };
            let mut out = Vec::new();
            response.encode(&mut out, false);
            prop_assert_eq!(Response::decode(&out, false), Ok(response));
        }

        #[test]
        fn a_reply_over_ipv6_is_read(transaction: u32, found in addresses(false, true)) {
            let peers = found.into_iter().map(Into::into).collect();
            let response = Response::Announce { transaction, reply: AnnounceReply { peers, ..AnnounceReply::default() } };
            let mut out = Vec::new();
            response.encode(&mut out, true);
            prop_assert_eq!(Response::decode(&out, true), Ok(response));
        }

        #[test]
        fn other_replies_are_read(transaction: u32, connection: u64, numbers in proptest::collection::vec(any::<(u32, u32, u32)>(), 0..9), reason in "[ -~]{0,50}") {
            let entries = numbers.into_iter().map(|(complete, downloaded, incomplete)| ScrapeEntry { complete, downloaded, incomplete }).collect();
            for response in [Response::Connect { transaction, connection }, Response::Scrape { transaction, entries }, Response::Error { transaction, reason }] {
                let mut out = Vec::new();
                response.encode(&mut out, false);
                prop_assert_eq!(Response::decode(&out, false), Ok(response));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), action in 0_u8..5) {
            let _ = Request::decode(&bytes);
            let _ = Request::decode(&[&[0; 11], &[action][..], &bytes].concat());
            let _ = Response::decode(&bytes, true);
            let _ = Response::decode(&[&[0, 0, 0, action][..], &bytes].concat(), false);
        }
    }
}
