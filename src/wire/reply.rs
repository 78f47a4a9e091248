//! Replies to announces and scrapes over HTTP (BEP 3, 7, 23, 31, 48), as a tracker writes and a client reads them.

use super::WireError;
use super::announce::{AnnounceReply, NamedPeer, PEERS_MAX, ScrapeEntry};
use crate::torrent::{InfoHash, PeerId, bencode};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest reply that is read: a thousand peers, not packed.
pub const REPLY_BYTES_MAX: usize = 256 * 1024;
/// How deep a reply may be nested.
const DEPTH_MAX: usize = 8;

/// Writes the body of a reply to an announce, with addresses packed (BEP 23, 7) or listed one by one (BEP 3).
pub fn put_announce_reply(out: &mut Vec<u8>, reply: &AnnounceReply, compact: bool) {
    let put_number = |out: &mut Vec<u8>, key: &[u8], value: u32| {
        bencode::put_bytes(out, key);
        bencode::put_integer(out, i64::from(value));
    };
    out.push(b'd');
    put_number(out, b"complete", reply.complete);
    put_number(out, b"incomplete", reply.incomplete);
    put_number(out, b"interval", reply.interval_secs);
    if let Some(secs) = reply.min_interval_secs {
        put_number(out, b"min interval", secs);
    }
    bencode::put_bytes(out, b"peers");
    if compact {
        put_packed(out, reply.peers.iter().filter(|peer| peer.address.is_ipv4()));
        if reply.peers.iter().any(|peer| peer.address.is_ipv6()) {
            bencode::put_bytes(out, b"peers6");
            put_packed(out, reply.peers.iter().filter(|peer| peer.address.is_ipv6()));
        }
    } else {
        out.push(b'l');
        for peer in &reply.peers {
            out.push(b'd');
            bencode::put_bytes(out, b"ip");
            bencode::put_bytes(out, peer.address.ip().to_string().as_bytes());
            if let Some(id) = peer.peer_id {
                bencode::put_bytes(out, b"peer id");
                bencode::put_bytes(out, &id.0);
            }
            put_number(out, b"port", u32::from(peer.address.port()));
            out.push(b'e');
        }
        out.push(b'e');
    }
    out.push(b'e');
}

/// Writes the body of a reply to a scrape.
pub fn put_scrape_reply(out: &mut Vec<u8>, entries: &[(InfoHash, ScrapeEntry)]) {
    out.extend_from_slice(b"d5:filesd");
    let mut sorted = entries.to_vec();
    sorted.sort_unstable_by_key(|(hash, _)| *hash);
    sorted.dedup_by_key(|(hash, _)| *hash);
    for (hash, entry) in sorted {
        bencode::put_bytes(out, &hash.0);
        let numbers =
            [("complete", entry.complete), ("downloaded", entry.downloaded), ("incomplete", entry.incomplete)];
        out.push(b'd');
        for (key, value) in numbers {
            bencode::put_bytes(out, key.as_bytes());
            bencode::put_integer(out, i64::from(value));
        }
        out.push(b'e');
    }
    out.extend_from_slice(b"ee");
}

/// Writes the body of a refusal; the reason is shown to whoever runs the client.
pub fn put_failure(out: &mut Vec<u8>, reason: &str) {
    out.extend_from_slice(b"d14:failure reason");
    bencode::put_bytes(out, reason.as_bytes());
    out.push(b'e');
}

/// Writes the head of a reply of HTTP/1.1 whose body has so many bytes.
pub fn put_head(out: &mut Vec<u8>, status: &str, body_bytes: usize, keep_alive: bool) {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_bytes());
    out.extend_from_slice(b"\r\nContent-Type: text/plain\r\nContent-Length: ");
    out.extend_from_slice(body_bytes.to_string().as_bytes());
    out.extend_from_slice(b"\r\nConnection: ");
    out.extend_from_slice(connection.as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
}

/// What a client reads from the body of a reply to an announce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Peers.
    Peers(AnnounceReply),
    /// The tracker refuses, and says why.
    Failure {
        /// Why.
        reason: String,
        /// When to try again, if it says so (BEP 31).
        retry_in_secs: Option<u32>,
    },
}

/// Reads the body of a reply to an announce, packed or not.
pub fn read_announce_reply(bytes: &[u8]) -> Result<Reply, WireError> {
    if bytes.len() > REPLY_BYTES_MAX {
        return Err(WireError::TooLong { what: "announce reply", found: bytes.len(), limit: REPLY_BYTES_MAX });
    }
    let entries = bencode::entries(bytes, DEPTH_MAX)?;
    let find = |key: &[u8]| entries.iter().find(|(found, _)| *found == key).map(|(_, value)| *value);
    let number = |key: &[u8]| find(key).and_then(|value| bencode::integer(value).ok()?.try_into().ok());
    if let Some(reason) = find(b"failure reason") {
        let reason: String = String::from_utf8_lossy(bencode::byte_string(reason)?).chars().take(500).collect();
        let retry_in_secs = number(b"retry in").map(|minutes: u32| minutes.saturating_mul(60));
        return Ok(Reply::Failure { reason, retry_in_secs });
    }
    let mut peers = Vec::new();
    match find(b"peers") {
        Some(list) if list.starts_with(b"l") => {
            for item in bencode::items(list, DEPTH_MAX)? {
                peers.extend(read_listed(item));
            }
        }
        Some(packed) => peers.extend(unpack_v4(bencode::byte_string(packed)?)?),
        None => {}
    }
    if let Some(packed) = find(b"peers6") {
        peers.extend(unpack_v6(bencode::byte_string(packed)?)?);
    }
    // Who names no port takes no connections, packed or not.
    peers.retain(|peer: &NamedPeer| peer.address.port() != 0);
    peers.truncate(PEERS_MAX);
    Ok(Reply::Peers(AnnounceReply {
        interval_secs: number(b"interval").ok_or(WireError::Missing { what: "interval" })?,
        min_interval_secs: number(b"min interval"),
        complete: number(b"complete").unwrap_or(0),
        incomplete: number(b"incomplete").unwrap_or(0),
        peers,
    }))
}

/// Reads one peer of a list; one that names itself by a host name, or has no port, is left out.
fn read_listed(item: &[u8]) -> Option<NamedPeer> {
    let entries = bencode::entries(item, DEPTH_MAX).ok()?;
    let find = |key: &[u8]| entries.iter().find(|(found, _)| *found == key).map(|(_, value)| *value);
    let ip: IpAddr = std::str::from_utf8(bencode::byte_string(find(b"ip")?).ok()?).ok()?.parse().ok()?;
    let port: u16 = bencode::integer(find(b"port")?).ok()?.try_into().ok().filter(|&port| port != 0)?;
    let peer_id = find(b"peer id").and_then(|id| Some(PeerId(bencode::byte_string(id).ok()?.try_into().ok()?)));
    Some(NamedPeer { address: SocketAddr::new(ip, port), peer_id })
}

/// Reads packed IPv4 addresses, six bytes each (BEP 23).
pub(super) fn unpack_v4(bytes: &[u8]) -> Result<impl Iterator<Item = NamedPeer> + '_, WireError> {
    let (chunks, []) = bytes.as_chunks::<6>() else {
        return Err(WireError::Length { what: "packed peers", found: bytes.len() });
    };
    Ok(chunks.iter().map(|&[a, b, c, d, high, low]| {
        SocketAddr::from((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low]))).into()
    }))
}

/// Reads packed IPv6 addresses, eighteen bytes each (BEP 7).
pub(super) fn unpack_v6(bytes: &[u8]) -> Result<impl Iterator<Item = NamedPeer> + '_, WireError> {
    let (chunks, []) = bytes.as_chunks::<18>() else {
        return Err(WireError::Length { what: "packed peers6", found: bytes.len() });
    };
    Ok(chunks.iter().map(|chunk| {
        let mut ip = [0; 16];
        ip.copy_from_slice(&chunk[..16]);
        SocketAddr::from((Ipv6Addr::from(ip), u16::from_be_bytes([chunk[16], chunk[17]]))).into()
    }))
}

/// Writes one packed address.
pub(super) fn put_packed_address(out: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&address.port().to_be_bytes());
}

fn put_packed<'a>(out: &mut Vec<u8>, peers: impl Iterator<Item = &'a NamedPeer> + Clone) {
    let bytes = peers.clone().map(|peer| if peer.address.is_ipv4() { 6 } else { 18 }).sum::<usize>();
    out.extend_from_slice(bytes.to_string().as_bytes());
    out.push(b':');
    peers.for_each(|peer| put_packed_address(out, peer.address));
}
