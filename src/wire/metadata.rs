//! The info dictionary between peers (BEP 9): what stands in an extended message of `ut_metadata`.

use super::WireError;
use crate::torrent::bencode;

/// The info dictionary travels in parts of this length; the last one is shorter.
pub const METADATA_PART_BYTES: usize = 16 * 1024;
/// The name of the extension.
pub const METADATA_NAME: &str = "ut_metadata";
/// How deep the dictionary of a message may be nested.
const DEPTH_MAX: usize = 4;

/// A message about the info dictionary; numbers are as the peer sent them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataMessage<'a> {
    /// Asks for a part.
    Request {
        /// The part's number.
        part: u32,
    },
    /// A part.
    Data {
        /// The part's number.
        part: u32,
        /// How long the whole is.
        length_bytes: u32,
        /// Its content.
        data: &'a [u8],
    },
    /// The part will not be sent.
    Reject {
        /// The part's number.
        part: u32,
    },
    /// A message we do not know; to be ignored.
    Unknown,
}

impl<'a> MetadataMessage<'a> {
    /// Reads the content of an extended message.
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        let length = bencode::scan(payload, DEPTH_MAX)?;
        let (head, data) = payload.split_at(length);
        let entries = bencode::entries(head, DEPTH_MAX)?;
        let number = |name: &'static str| {
            let (_, value) =
                entries.iter().find(|(key, _)| *key == name.as_bytes()).ok_or(WireError::Missing { what: name })?;
            let value = bencode::integer(value)?;
            u32::try_from(value).map_err(|_| WireError::Malformed { what: name })
        };
        Ok(match number("msg_type")? {
            0 => Self::Request { part: number("piece")? },
            1 if data.len() > METADATA_PART_BYTES => {
                let (found, limit) = (data.len(), METADATA_PART_BYTES);
                return Err(WireError::TooLong { what: "part of an info dictionary", found, limit });
            }
            1 => Self::Data { part: number("piece")?, length_bytes: number("total_size")?, data },
            2 => Self::Reject { part: number("piece")? },
            _ => Self::Unknown,
        })
    }

    /// Writes the content of an extended message; nothing of one that we do not know.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, part, length_bytes, data) = match *self {
            Self::Request { part } => (0, part, None, &[][..]),
            Self::Data { part, length_bytes, data } => (1, part, Some(length_bytes), data),
            Self::Reject { part } => (2, part, None, &[][..]),
            Self::Unknown => return Vec::new(),
        };
        let mut out = Vec::with_capacity(64 + data.len());
        out.push(b'd');
        let mut put = |key: &[u8], value: u32| {
            bencode::put_bytes(&mut out, key);
            bencode::put_integer(&mut out, i64::from(value));
        };
        put(b"msg_type", kind);
        put(b"piece", part);
        if let Some(length_bytes) = length_bytes {
            put(b"total_size", length_bytes);
        }
        out.push(b'e');
        out.extend_from_slice(data);
        out
    }
}

/// How many parts an info dictionary of this length has.
pub fn metadata_parts(length_bytes: u32) -> u32 {
    length_bytes.div_ceil(METADATA_PART_BYTES as u32)
}

/// A part of an info dictionary; none where it has no such part.
pub fn metadata_part(info: &[u8], part: u32) -> Option<&[u8]> {
    info.chunks(METADATA_PART_BYTES).nth(part as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_proposal_are_read_and_written() {
        let data = vec![b'x'; METADATA_PART_BYTES];
        let whole = [b"d8:msg_typei1e5:piecei0e10:total_sizei34256ee", &data[..]].concat();
        for (bytes, message) in [
            (&b"d8:msg_typei0e5:piecei0ee"[..], MetadataMessage::Request { part: 0 }),
            (b"d8:msg_typei2e5:piecei7ee", MetadataMessage::Reject { part: 7 }),
            (&whole, MetadataMessage::Data { part: 0, length_bytes: 34_256, data: &data }),
        ] {
            assert_eq!(MetadataMessage::decode(bytes), Ok(message));
            assert_eq!(message.encode(), bytes);
        }
        assert_eq!(MetadataMessage::decode(b"d8:msg_typei9ee"), Ok(MetadataMessage::Unknown), "to be ignored");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let long = [b"d8:msg_typei1e5:piecei0e10:total_sizei1ee", &vec![0; METADATA_PART_BYTES + 1][..]].concat();
        for bytes in [
            &b""[..],
            b"le",
            b"de",
            b"d8:msg_typei0ee",
            b"d8:msg_typei0e5:piecei-1ee",
            b"d8:msg_typei0e5:piecei4294967296ee",
            b"d8:msg_type1:05:piecei0ee",
            b"d8:msg_typei1e5:piecei0eeabc",
            b"d8:msg_typei0e5:piece",
            &long,
        ] {
            assert!(MetadataMessage::decode(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn an_info_dictionary_is_the_sum_of_its_parts() {
        for length in [0, 1, METADATA_PART_BYTES, METADATA_PART_BYTES + 1, 3 * METADATA_PART_BYTES] {
            let info: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let parts = metadata_parts(length as u32);
            let again: Vec<u8> =
                (0..parts).flat_map(|part| metadata_part(&info, part).expect("a part").to_vec()).collect();
            assert_eq!(again, info);
            assert_eq!(metadata_part(&info, parts), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(part: u32, length_bytes: u32, data in proptest::collection::vec(any::<u8>(), 0..99)) {
            for message in [
                MetadataMessage::Request { part },
                MetadataMessage::Reject { part },
                MetadataMessage::Data { part, length_bytes, data: &data },
            ] {
                let bytes = message.encode();
                prop_assert_eq!(MetadataMessage::decode(&bytes), Ok(message));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in "d(8:msg_typei[0-3]e)?[dilemvp0-9:-]{0,40}e[a-z]{0,4}") {
            let _ = MetadataMessage::decode(bytes.as_bytes());
        }
    }
}
