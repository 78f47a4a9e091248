//! Announce and scrape over HTTP (BEP 3, 7, 23, 48): requests as a client writes and a tracker reads them; replies are
//! in `reply`.
//!
//! Only as much of HTTP/1.1 as an announce needs: a request line, header lines that are looked through for
//! `Connection`, no body.

use super::announce::{Announce, BAD_PEERS_MAX, Event, SCRAPE_HASHES_MAX};
pub use super::reply::{
    REPLY_BYTES_MAX, Reply, put_announce_reply, put_failure, put_head, put_scrape_reply, read_announce_reply,
};
use super::{WireError, query};
use crate::torrent::{InfoHash, PeerId};
use std::fmt::Write;

/// The longest request line with its headers.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;

/// What an HTTP client asks a tracker for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `/announce`.
    Announce(Announce),
    /// `/scrape`, with the swarms it names; none means all (BEP 48).
    Scrape(Vec<InfoHash>),
    /// A path that is neither.
    Other {
        /// The path, as far as it can be shown.
        path: String,
    },
}

/// A request as it stood on the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// What it asks for, or why that cannot be read: to be told to the client as a failure, on an open connection.
    pub request: Result<Request, WireError>,
    /// Whether the connection stays open behind the answer.
    pub keep_alive: bool,
}

impl Head {
    /// Reads the first request and says how many bytes it took. An error means that the connection is not worth
    /// keeping.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, WireError> {
        const GET: &[u8] = b"GET ";
        let known = bytes.len().min(GET.len());
        if bytes[..known] != GET[..known] {
            return Err(WireError::Malformed { what: "request: only GET is answered" });
        }
        let window = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
        let Some(end) = window.windows(4).position(|four| four == b"\r\n\r\n") else {
            return match bytes.len() {
                found @ HEAD_BYTES_MAX.. => {
                    Err(WireError::TooLong { what: "request head", found, limit: HEAD_BYTES_MAX })
                }
                _ => Ok(None),
            };
        };
        let mut lines = window[..end].split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let line = lines.next().unwrap_or_default();
        let malformed = WireError::Malformed { what: "request line" };
        let rest = line.strip_prefix(GET).ok_or_else(|| malformed.clone())?;
        let space = rest.iter().rposition(|&byte| byte == b' ').ok_or_else(|| malformed.clone())?;
        let (target, version) = (&rest[..space], &rest[space + 1..]);
        let keep_by_default = match version {
            b"HTTP/1.1" => true,
            b"HTTP/1.0" => false,
            _ => return Err(malformed),
        };
        let mut keep_alive = keep_by_default;
        for header in lines {
            let Some(colon) = header.iter().position(|&byte| byte == b':') else { continue };
            let value = header[colon + 1..].trim_ascii();
            if header[..colon].eq_ignore_ascii_case(b"connection") {
                keep_alive = !value.eq_ignore_ascii_case(b"close")
                    && (keep_by_default || value.eq_ignore_ascii_case(b"keep-alive"));
            } else if header[..colon].eq_ignore_ascii_case(b"transfer-encoding")
                || (header[..colon].eq_ignore_ascii_case(b"content-length") && value != b"0")
            {
                // A body would be read as the next request.
                return Err(WireError::Malformed { what: "request: a body is not expected" });
            }
        }
        Ok(Some((Self { request: read_target(target), keep_alive }, end + 4)))
    }
}

/// Reads `/announce?...` or `/scrape?...`, also behind `http://host:port`.
fn read_target(target: &[u8]) -> Result<Request, WireError> {
    let path = match target.strip_prefix(b"http://") {
        Some(rest) => &rest[rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len())..],
        None => target,
    };
    let at = path.iter().position(|&byte| byte == b'?').unwrap_or(path.len());
    let (path, query) = (&path[..at], path.get(at + 1..).unwrap_or_default());
    match path {
        b"/announce" => read_announce(query).map(Request::Announce),
        b"/scrape" => read_scrape(query).map(Request::Scrape),
        _ => Ok(Request::Other { path: path[..path.len().min(200)].escape_ascii().to_string() }),
    }
}

/// Reads the query of an announce. Parameters that are unknown, or known but of no use here (`key`, `ip`, `ipv6`,
/// `trackerid`), may hold anything.
pub fn read_announce(query: &[u8]) -> Result<Announce, WireError> {
    let (mut info_hash, mut peer_id, mut port) = (None, None, None);
    let mut announce = Announce::new(InfoHash([0; 20]), PeerId([0; 20]), 0);
    (announce.compact, announce.no_peer_id) = (false, false);
    for (key, value) in query::pairs(query) {
        let malformed = |what| WireError::Malformed { what };
        match key {
            b"info_hash" => info_hash = Some(query::twenty(value).ok_or(malformed("info_hash"))?),
            b"peer_id" => peer_id = Some(query::twenty(value).ok_or(malformed("peer_id"))?),
            b"port" => port = Some(query::number(value).ok_or(malformed("port"))?),
            // Some clients count below zero or write nothing; these numbers are only for show, so they may.
            b"uploaded" => announce.uploaded_bytes = query::number(value).unwrap_or(0),
            b"downloaded" => announce.downloaded_bytes = query::number(value).unwrap_or(0),
            b"left" => announce.left_bytes = query::number(value).unwrap_or(u64::MAX),
            b"numwant" => announce.peers_wanted = query::number(value),
            b"compact" => announce.compact = value == b"1",
            b"no_peer_id" => announce.no_peer_id = value == b"1",
            b"event" => {
                announce.event = match value {
                    b"started" => Event::Started,
                    b"completed" => Event::Completed,
                    b"stopped" => Event::Stopped,
                    b"paused" => Event::Paused,
                    _ => Event::Periodic,
                }
            }
            b"bad" if announce.bad_peers.len() < BAD_PEERS_MAX => {
                let mut buffer = [0; 64];
                let text = query::decode(value, &mut buffer).and_then(|bytes| std::str::from_utf8(bytes).ok());
                announce.bad_peers.push(text.and_then(|text| text.parse().ok()).ok_or(malformed("bad"))?);
            }
            _ => {}
        }
    }
    announce.info_hash = InfoHash(info_hash.ok_or(WireError::Missing { what: "info_hash" })?);
    announce.peer_id = PeerId(peer_id.ok_or(WireError::Missing { what: "peer_id" })?);
    announce.port = port.ok_or(WireError::Missing { what: "port" })?;
    Ok(announce)
}

fn read_scrape(query: &[u8]) -> Result<Vec<InfoHash>, WireError> {
    let hashes = query::pairs(query).filter(|(key, _)| *key == b"info_hash");
    let read = |(_, value)| query::twenty(value).map(InfoHash).ok_or(WireError::Malformed { what: "info_hash" });
    let hashes: Vec<InfoHash> = hashes.take(SCRAPE_HASHES_MAX + 1).map(read).collect::<Result<_, _>>()?;
    if hashes.len() > SCRAPE_HASHES_MAX {
        return Err(WireError::TooLong { what: "scrape", found: hashes.len(), limit: SCRAPE_HASHES_MAX });
    }
    Ok(hashes)
}

/// The query of an announce, as a client writes it behind the tracker's address.
pub fn announce_query(announce: &Announce) -> String {
    let mut out = String::with_capacity(256);
    out.push_str("info_hash=");
    query::put_encoded(&mut out, &announce.info_hash.0);
    out.push_str("&peer_id=");
    query::put_encoded(&mut out, &announce.peer_id.0);
    let Announce { port, uploaded_bytes, downloaded_bytes, left_bytes, .. } = announce;
    // Writing to a String does not fail.
    let _ = write!(out, "&port={port}&uploaded={uploaded_bytes}&downloaded={downloaded_bytes}&left={left_bytes}");
    if let Some(wanted) = announce.peers_wanted {
        let _ = write!(out, "&numwant={wanted}");
    }
    let event = match announce.event {
        Event::Periodic => "",
        Event::Started => "&event=started",
        Event::Completed => "&event=completed",
        Event::Stopped => "&event=stopped",
        Event::Paused => "&event=paused",
    };
    out.push_str(if announce.compact { "&compact=1" } else { "&compact=0" });
    out.push_str(if announce.no_peer_id { "&no_peer_id=1" } else { "" });
    out.push_str(event);
    for bad in announce.bad_peers.iter().take(BAD_PEERS_MAX) {
        out.push_str("&bad=");
        query::put_encoded(&mut out, bad.to_string().as_bytes());
    }
    out
}

/// The query of a scrape.
pub fn scrape_query(hashes: &[InfoHash]) -> String {
    let mut out = String::new();
    for hash in hashes {
        out.push_str(if out.is_empty() { "info_hash=" } else { "&info_hash=" });
        query::put_encoded(&mut out, &hash.0);
    }
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::announce::{AnnounceReply, NamedPeer};
    use super::*;
    use proptest::prelude::*;
    use std::net::SocketAddr;

    fn head(text: &str) -> Head {
        let (head, taken) = Head::decode(text.as_bytes()).expect("well-formed").expect("whole");
        assert_eq!(taken, text.len());
        head
    }

    #[test]
    fn what_aria2_says_with_a_binary_key_is_understood() {
        let text = "GET /announce?info_hash=%C0O%16%1E%9D%C1%07%0Du%9D%91n%B7%19%F6%C0%AC%0D%FDV&peer_id=A2-1-36-0-VT%FF%1B%81%96%E6%C0%25Q\
            &uploaded=0&downloaded=0&left=163840&compact=1&key=%FF%1B%81%96%E6%C0%25Q&numwant=50&no_peer_id=1&port=6998&event=started\
            &supportcrypto=1 HTTP/1.1\r\nUser-Agent: aria2/1.36.0\r\nHost: a:1\r\nConnection: close\r\n\r\n";
        let Head { request: Ok(Request::Announce(announce)), keep_alive: false } = head(text) else {
            panic!("an announce")
        };
        assert_eq!(announce.peer_id, PeerId(*b"A2-1-36-0-VT\xff\x1b\x81\x96\xe6\xc0%Q"));
        assert_eq!(announce.info_hash.to_string(), "c04f161e9dc1070d759d916eb719f6c0ac0dfd56");
        assert_eq!((announce.port, announce.left_bytes, announce.event), (6998, 163_840, Event::Started));
        assert_eq!((announce.peers_wanted, announce.compact, announce.no_peer_id), (Some(50), true, true));
    }

    #[test]
    fn connections_stay_open_as_the_version_and_header_say() {
        for (text, keep_alive) in [
            ("GET /scrape HTTP/1.1\r\n\r\n", true),
            ("GET /scrape HTTP/1.0\r\n\r\n", false),
            ("GET /scrape HTTP/1.0\r\nconnection:  Keep-Alive \r\n\r\n", true),
            ("GET http://host:1/scrape HTTP/1.1\r\nX: y\r\nCONNECTION: Close\r\n\r\n", false),
        ] {
            assert_eq!(head(text), Head { request: Ok(Request::Scrape(vec![])), keep_alive }, "{text}");
        }
        assert_eq!(head("GET /etc?x HTTP/1.1\r\n\r\n").request, Ok(Request::Other { path: "/etc".into() }));
    }

    #[test]
    fn what_is_not_a_request_is_refused() {
        for text in [
            "POST / HTTP/1.1\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / HTTP/2\r\n\r\n",
            "\x16\x03\x01",
            "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        ] {
            assert!(Head::decode(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(Head::decode(b"GE"), Ok(None));
        assert_eq!(Head::decode(&[&b"GET /"[..], &[b'a'; 100]].concat()), Ok(None));
        assert!(Head::decode(&[&b"GET /"[..], &[b'a'; HEAD_BYTES_MAX]].concat()).is_err());
        for (query, error) in [
            ("", "no info_hash"),
            ("info_hash=aaaaaaaaaaaaaaaaaaaa", "no peer_id"),
            ("info_hash=a", "malformed info_hash"),
            ("info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=aaaaaaaaaaaaaaaaaaaaa", "malformed peer_id"),
            ("info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=aaaaaaaaaaaaaaaaaaaa", "no port"),
            ("port=65536", "malformed port"),
            ("bad=nonsense", "malformed bad"),
        ] {
            assert_eq!(read_announce(query.as_bytes()).map_err(|error| error.to_string()), Err(error.to_owned()));
        }
    }

    #[test]
    fn a_failure_carries_its_reason_and_when_to_come_again() {
        let mut out = Vec::new();
        put_failure(&mut out, "unknown host: type 'rocks list-host'");
        let reason = "unknown host: type 'rocks list-host'".to_owned();
        assert_eq!(read_announce_reply(&out), Ok(Reply::Failure { reason, retry_in_secs: None }));
        let read = read_announce_reply(b"d14:failure reason1:x8:retry ini2ee");
        assert_eq!(read, Ok(Reply::Failure { reason: "x".into(), retry_in_secs: Some(120) }));
    }

    pub(crate) fn announce_strategy() -> impl Strategy<Value = Announce> {
        let events = [Event::Periodic, Event::Started, Event::Completed, Event::Stopped];
        (
            any::<([u8; 20], [u8; 20], u16, [u64; 3])>(),
            proptest::sample::select(events.to_vec()),
            proptest::option::of(0..9999_u32),
        )
            .prop_map(
                |((hash, id, port, [uploaded_bytes, downloaded_bytes, left_bytes]), event, peers_wanted)| Announce {
                    uploaded_bytes,
                    downloaded_bytes,
                    left_bytes,
                    event,
                    peers_wanted,
                    ..Announce::new(InfoHash(hash), PeerId(id), port)
                },
            )
    }

    pub(crate) fn addresses(v4: bool, v6: bool) -> impl Strategy<Value = Vec<SocketAddr>> {
        let address = any::<(bool, [u8; 4], [u8; 16], u16)>().prop_filter_map(
            "a family that is asked for",
            move |(first, a, b, port)| match (first && v4) || !v6 {
                true => Some(SocketAddr::from((a, port.max(1)))),
                false => Some(SocketAddr::from((b, port.max(1)))),
            },
        );
        proptest::collection::vec(address, 0..50)
    }

    proptest! {
        #[test]
        fn an_announce_that_is_written_is_read(announce in announce_strategy(), bad_peers in addresses(true, true), compact: bool, no_peer_id: bool) {
            let bad_peers = bad_peers.into_iter().take(BAD_PEERS_MAX).collect();
            let announce = Announce { bad_peers, compact, no_peer_id, ..announce };
            let text = format!("GET /announce?{} HTTP/1.1\r\nHost: x\r\n\r\n", announce_query(&announce));
            prop_assert_eq!(head(&text), Head { request: Ok(Request::Announce(announce)), keep_alive: true });
        }

        #[test]
        fn a_scrape_that_is_written_is_read(hashes in proptest::collection::vec(any::<[u8; 20]>().prop_map(InfoHash), 0..5)) {
            prop_assert_eq!(read_scrape(scrape_query(&hashes).as_bytes()), Ok(hashes));
        }

        #[test]
        fn a_reply_that_is_written_is_read(
            addresses in addresses(true, true), ids: bool, compact: bool, interval_secs: u32, min: Option<u32>, complete: u32, incomplete: u32,
        ) {
            let mut peers: Vec<NamedPeer> = addresses.into_iter().map(NamedPeer::from).collect();
            if compact {
                peers.sort_by_key(|peer| peer.address.is_ipv6());
            } else if ids {
                peers.iter_mut().for_each(|peer| peer.peer_id = Some(PeerId([7; 20])));
            }
            let reply = AnnounceReply { interval_secs, min_interval_secs: min, complete, incomplete, peers };
            let mut out = Vec::new();
            put_announce_reply(&mut out, &reply, compact);
            prop_assert_eq!(read_announce_reply(&out), Ok(Reply::Peers(reply)));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), query in "[a-z_%=&0-9]{0,80}", reply in "d[a-z0-9: e]{0,60}e") {
            let _ = Head::decode(&bytes);
            let _ = Head::decode(&[&b"GET /announce?"[..], &bytes, b" HTTP/1.1\r\n\r\n"].concat());
            let _ = Head::decode(format!("GET /announce?{query} HTTP/1.1\r\n\r\n").as_bytes());
            let _ = read_announce_reply(&bytes);
            let _ = read_announce_reply(reply.as_bytes());
        }
    }
}
