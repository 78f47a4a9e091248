//! The first 68 bytes of a connection between peers (BEP 3).

use super::WireError;
use crate::torrent::{InfoHash, PeerId};

/// How long a handshake is.
pub const HANDSHAKE_BYTES: usize = 68;

const PROTOCOL: [u8; 20] = *b"\x13BitTorrent protocol";

/// The eight bytes that say what a client can do beyond BEP 3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Reserved(pub [u8; 8]);

impl Reserved {
    /// What our own peers can do: the fast extension and the extension protocol.
    pub const OURS: Self = Self([0, 0, 0, 0, 0, 0x10, 0, 0x04]);

    /// The fast extension (BEP 6): have all, have none, reject, suggest, allowed fast.
    pub fn fast(self) -> bool {
        self.0[7] & 0x04 != 0
    }

    /// The extension protocol (BEP 10).
    pub fn extended(self) -> bool {
        self.0[5] & 0x10 != 0
    }
}

/// Which swarm a connection is for, and who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    /// What the client can do.
    pub reserved: Reserved,
    /// The swarm.
    pub info_hash: InfoHash,
    /// Who speaks.
    pub peer_id: PeerId,
}

impl Handshake {
    /// Our own handshake.
    pub fn ours(info_hash: InfoHash, peer_id: PeerId) -> Self {
        Self { reserved: Reserved::OURS, info_hash, peer_id }
    }

    /// Reads a handshake and says how many bytes it took. Another protocol is refused at its first wrong byte.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, WireError> {
        let known = bytes.len().min(PROTOCOL.len());
        if bytes[..known] != PROTOCOL[..known] {
            return Err(WireError::Protocol);
        }
        let Some(Ok(bytes)) = bytes.get(..HANDSHAKE_BYTES).map(<[u8; HANDSHAKE_BYTES]>::try_from) else {
            return Ok(None);
        };
        let mut handshake =
            Self { reserved: Reserved::default(), info_hash: InfoHash([0; 20]), peer_id: PeerId([0; 20]) };
        handshake.reserved.0.copy_from_slice(&bytes[20..28]);
        handshake.info_hash.0.copy_from_slice(&bytes[28..48]);
        handshake.peer_id.0.copy_from_slice(&bytes[48..]);
        Ok(Some((handshake, HANDSHAKE_BYTES)))
    }

    /// Writes it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&PROTOCOL);
        out.extend_from_slice(&self.reserved.0);
        out.extend_from_slice(&self.info_hash.0);
        out.extend_from_slice(&self.peer_id.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn another_protocol_is_refused_at_its_first_byte() {
        assert_eq!(Handshake::decode(b"GET / HTTP/1.1"), Err(WireError::Protocol));
        assert_eq!(Handshake::decode(b"\x13BitTorrent protocoL"), Err(WireError::Protocol));
        assert_eq!(Handshake::decode(b"\x13Bit"), Ok(None));
        assert_eq!(Handshake::decode(b""), Ok(None));
        assert!(Reserved::OURS.fast() && Reserved::OURS.extended());
        assert!(!Reserved::default().fast() && !Reserved::default().extended());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(reserved: [u8; 8], hash: [u8; 20], id: [u8; 20], tail in 0_usize..4) {
            let handshake = Handshake { reserved: Reserved(reserved), info_hash: InfoHash(hash), peer_id: PeerId(id) };
            let mut bytes = Vec::new();
            handshake.encode(&mut bytes);
            prop_assert_eq!(Handshake::decode(&bytes[..HANDSHAKE_BYTES - 1]), Ok(None));
            bytes.resize(HANDSHAKE_BYTES + tail, 0);
            prop_assert_eq!(Handshake::decode(&bytes), Ok(Some((handshake, HANDSHAKE_BYTES))));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Handshake::decode(&bytes);
        }
    }
}
