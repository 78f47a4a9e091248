//! The extension handshake (BEP 10) as a session writes and reads it, the five small extensions of our own, and the number
//! under which peers ask for the info dictionary (`ut_metadata`, BEP 9).
//!
//! - `rk_want`: which pieces a machine wants, as a bit field; told to the frontend's seed, which offers nothing else.
//! - `rk_ask`: pieces, as 32-bit numbers, that a machine misses and finds with nobody; told to the frontend's seed.
//! - `rk_cross`: pieces a machine is fetching across racks; told to its rack-mates, which then wait for it.
//! - `rk_bad`: the address of a host that sent a wrong piece, 4 or 16 bytes; told to the frontend's seed, which closes it when
//!   a second host says so.
//! - `rk_ready`: nothing but itself; the sender had to reject a request and has room now.

use crate::torrent::{Bitfield, Layout, PieceIndex};
use crate::wire::{Extensions, METADATA_NAME, WireError};
use std::net::IpAddr;

/// The number under which peers send us `rk_want`.
pub(super) const WANT: u8 = 1;
/// The number under which peers send us `rk_ask`.
pub(super) const ASK: u8 = 2;
/// The number under which peers send us `rk_cross`.
pub(super) const CROSS: u8 = 3;
/// The number under which peers send us `rk_ready`.
pub(super) const READY: u8 = 4;
/// The number under which peers send us `rk_bad`.
pub(super) const BAD: u8 = 5;
/// The number under which peers ask us for the info dictionary.
pub(super) const METADATA: u8 = 6;
/// Pieces in one `rk_ask` or `rk_cross`.
pub(super) const NAMED_PIECES_MAX: usize = 16;
const NAMES: [(u8, &str); 6] = [
    (ASK, "rk_ask"),
    (BAD, "rk_bad"),
    (CROSS, "rk_cross"),
    (READY, "rk_ready"),
    (WANT, "rk_want"),
    (METADATA, METADATA_NAME),
];

/// Numbers of extensions, by ours.
pub(super) type Ids = [u8; 7];

/// The numbers of our own handshake.
pub(super) const OUR_IDS: Ids = [0, WANT, ASK, CROSS, READY, BAD, METADATA];

/// What an extension handshake says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Handshake {
    /// The numbers it wants our extensions under, by ours; 0 where it has none.
    pub(super) ids: Ids,
    /// How long the info dictionary is that it gives (BEP 9).
    pub(super) metadata_bytes: Option<u32>,
    /// It downloads nothing (BEP 21); `None` if it does not say.
    pub(super) upload_only: Option<bool>,
    /// How many requests it queues.
    pub(super) requests_max: Option<u32>,
    /// The port it listens at.
    pub(super) port: Option<u16>,
    /// The rack it stands in.
    pub(super) rack: Option<u32>,
}

impl Handshake {
    /// Whether the other side speaks our extensions.
    pub(super) fn is_ours(&self) -> bool {
        self.ids[usize::from(WANT)..=usize::from(BAD)].iter().all(|&id| id != 0)
    }

    /// The payload of our own handshake.
    pub(super) fn encode(&self) -> Vec<u8> {
        let ids = NAMES.iter().map(|(id, name)| ((*name).to_owned(), self.ids[usize::from(*id)]));
        let extensions = Extensions {
            ids: ids.filter(|(_, id)| *id != 0).collect(),
            request_queue: self.requests_max,
            client: Some(concat!("rocks ", env!("CARGO_PKG_VERSION")).to_owned()),
            metadata_bytes: self.metadata_bytes,
            listen_port: self.port,
            upload_only: self.upload_only,
            rack: self.rack,
        };
        extensions.encode()
    }

    /// Reads a handshake; what we do not know is skipped.
    pub(super) fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let theirs = Extensions::decode(payload)?;
        let mut handshake = Self {
            ids: Ids::default(),
            metadata_bytes: theirs.metadata_bytes,
            upload_only: theirs.upload_only,
            requests_max: theirs.request_queue,
            port: theirs.listen_port,
            rack: theirs.rack,
        };
        for (id, name) in NAMES {
            handshake.ids[usize::from(id)] = theirs.ids.get(name).copied().unwrap_or(0);
        }
        Ok(handshake)
    }
}

/// The payload of `rk_ask` and `rk_cross`.
pub(super) fn encode_pieces(pieces: &[PieceIndex]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| piece.get().to_be_bytes()).collect()
}

/// Reads such a payload; `None` if it names what does not exist, or too much.
pub(super) fn decode_pieces(payload: &[u8], layout: &Layout) -> Option<Vec<PieceIndex>> {
    let (numbers, rest) = payload.as_chunks::<4>();
    if !rest.is_empty() || numbers.len() > NAMED_PIECES_MAX {
        return None;
    }
    numbers.iter().map(|number| layout.index(u32::from_be_bytes(*number))).collect()
}

/// The payload of `rk_bad`.
pub(super) fn encode_host(host: IpAddr) -> Vec<u8> {
    match host.to_canonical() {
        IpAddr::V4(host) => host.octets().to_vec(),
        IpAddr::V6(host) => host.octets().to_vec(),
    }
}

/// Reads such a payload.
pub(super) fn decode_host(payload: &[u8]) -> Option<IpAddr> {
    let v4 = || payload.try_into().ok().map(<[u8; 4]>::into);
    v4().or_else(|| payload.try_into().ok().map(<[u8; 16]>::into))
}

/// Reads the payload of `rk_want`.
pub(super) fn decode_want(payload: &[u8], layout: &Layout) -> Option<Bitfield> {
    Bitfield::from_bytes(payload, layout.piece_count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_others_say_is_skipped_or_refused() {
        // Some clients let something follow the dictionary.
        let theirs = b"d12:complete_agoi-1e1:md11:upload_onlyi3e11:ut_metadatai2ee4:reqqi2000e1:v4:testexx";
        let handshake = Handshake::decode(theirs).expect("well-formed");
        assert_eq!(
            handshake,
            Handshake { ids: [0, 0, 0, 0, 0, 0, 2], requests_max: Some(2000), ..Handshake::default() }
        );
        assert!(!handshake.is_ours());
        assert!(Handshake::decode(b"le").is_err());
        assert!(Handshake::decode(&b"d1:a".repeat(10_000)).is_err());
    }

    proptest! {
        #[test]
        fn ours_reads_back(rack: Option<u32>, port in proptest::option::of(1_u16..), upload_only: Option<bool>, requests_max: Option<u32>, metadata_bytes in proptest::option::of(1_u32..)) {
            let handshake = Handshake { ids: OUR_IDS, metadata_bytes, upload_only, requests_max, port, rack };
            prop_assert_eq!(Handshake::decode(&handshake.encode()).ok(), Some(handshake));
            prop_assert!(handshake.is_ours());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            _ = Handshake::decode(&bytes);
        }
    }
}
