//! The extension handshake: the dictionary inside the first extended message (BEP 10, BEP 21).

use super::WireError;
use crate::torrent::bencode;
use std::collections::BTreeMap;

/// The id of the extension handshake.
pub const EXTENSION_HANDSHAKE_ID: u8 = 0;
/// The longest extended message that is read.
pub const EXTENSION_BYTES_MAX: usize = 64 * 1024;
/// The most extensions that are taken from one peer.
const NAMES_MAX: usize = 64;
/// The longest name of an extension or program that is taken.
const NAME_BYTES_MAX: usize = 128;
/// How deep the dictionary may be nested.
const DEPTH_MAX: usize = 8;

/// What a peer says of itself in the extension handshake. Unknown keys are ignored; a key whose value is of another
/// kind counts as not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extensions {
    /// Which id the peer wants to see for which extension; 0 takes one back.
    pub ids: BTreeMap<String, u8>,
    /// How many requests the peer keeps without dropping any.
    pub request_queue: Option<u32>,
    /// The program and its version.
    pub client: Option<String>,
    /// How long the info dictionary is, of who has it (BEP 9).
    pub metadata_bytes: Option<u32>,
    /// The port the peer listens on.
    pub listen_port: Option<u16>,
    /// Whether the peer wants nothing more (BEP 21), though it may not have every piece; `None` where it does not say.
    pub upload_only: Option<bool>,
    /// The rack it stands in (`rk_rack`, which only ours say).
    pub rack: Option<u32>,
}

impl Extensions {
    /// Reads the content of extended message 0.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > EXTENSION_BYTES_MAX {
            let (found, limit) = (bytes.len(), EXTENSION_BYTES_MAX);
            return Err(WireError::TooLong { what: "extension handshake", found, limit });
        }
        // Some clients let something follow the dictionary.
        let length = bencode::scan(bytes, DEPTH_MAX)?;
        let mut found = Self::default();
        for (key, value) in bencode::entries(&bytes[..length], DEPTH_MAX)? {
            match key {
                b"m" => {
                    let entries = bencode::entries(value, DEPTH_MAX).unwrap_or_default();
                    let named = entries.into_iter().filter_map(|(name, id)| Some((text(name)?, number(id)?)));
                    found.ids = named.take(NAMES_MAX).collect();
                }
                b"metadata_size" => found.metadata_bytes = number(value).filter(|&length| length != 0),
                b"reqq" => found.request_queue = number(value),
                b"v" => found.client = bencode::byte_string(value).ok().and_then(text),
                b"p" => found.listen_port = number(value).filter(|&port| port != 0),
                b"rk_rack" => found.rack = number(value),
                b"upload_only" => found.upload_only = number::<i64>(value).map(|value| value != 0),
                _ => {}
            }
        }
        Ok(found)
    }

    /// Writes the content of extended message 0.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = b"d1:md".to_vec();
        for (name, id) in &self.ids {
            bencode::put_bytes(&mut out, name.as_bytes());
            bencode::put_integer(&mut out, i64::from(*id));
        }
        out.push(b'e');
        let put_number = |out: &mut Vec<u8>, key: &str, value: Option<u32>| {
            if let Some(value) = value {
                bencode::put_bytes(out, key.as_bytes());
                bencode::put_integer(out, i64::from(value));
            }
        };
        put_number(&mut out, "metadata_size", self.metadata_bytes);
        put_number(&mut out, "p", self.listen_port.map(u32::from));
        put_number(&mut out, "reqq", self.request_queue);
        put_number(&mut out, "rk_rack", self.rack);
        put_number(&mut out, "upload_only", self.upload_only.map(u32::from));
        if let Some(client) = &self.client {
            bencode::put_bytes(&mut out, b"v");
            bencode::put_bytes(&mut out, client.as_bytes());
        }
        out.push(b'e');
        out
    }
}

fn number<T: TryFrom<i64>>(value: &[u8]) -> Option<T> {
    bencode::integer(value).ok()?.try_into().ok()
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    (text.len() <= NAME_BYTES_MAX && !text.contains(char::is_control)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_libtorrent_says_is_understood() {
        let bytes = b"d12:complete_agoi-1e1:md11:lt_donthavei7e10:share_modei8e11:upload_onlyi3e6:ut_pexi1ee1:pi6881e4:reqqi500e11:upload_onlyi1e1:v17:libtorrent/2.0.8.6:yourip4:\x7f\0\0\x01e";
        let found = Extensions::decode(bytes).expect("a real handshake");
        assert_eq!(found.ids["upload_only"], 3);
        assert_eq!((found.request_queue, found.listen_port, found.upload_only), (Some(500), Some(6881), Some(true)));
        assert_eq!(found.client.as_deref(), Some("libtorrent/2.0.8."));
    }

    #[test]
    fn values_of_another_kind_count_as_not_there() {
        let found =
            Extensions::decode(b"d1:mi1e1:p1:x4:reqqi-5e11:upload_onlyle1:vi7eetrailing").expect("a dictionary");
        assert_eq!(found, Extensions::default());
        assert!(Extensions::decode(b"i1e").is_err());
        assert!(Extensions::decode(&vec![b'l'; EXTENSION_BYTES_MAX]).is_err());
        assert!(Extensions::decode(&vec![b'd'; EXTENSION_BYTES_MAX + 1]).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            ids in proptest::collection::btree_map("[a-z_]{1,9}", any::<u8>(), 0..6),
            request_queue: Option<u32>,
            client in proptest::option::of("[ -~]{0,20}"),
            metadata_bytes in proptest::option::of(1_u32..),
            listen_port in proptest::option::of(1_u16..),
            upload_only: Option<bool>,
            rack: Option<u32>,
        ) {
            let extensions = Extensions { ids, request_queue, client, metadata_bytes, listen_port, upload_only, rack };
            prop_assert_eq!(Extensions::decode(&extensions.encode()), Ok(extensions));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in "d[dilemvp0-9:-]{0,60}e") {
            let _ = Extensions::decode(bytes.as_bytes());
        }
    }
}
