//! What peers say after the handshake (BEP 3, 5, 6, 10).
//!
//! Numbers are as the peer sent them: a piece may be out of range, a block outside its piece. `Layout::index` and
//! `Layout::block` decide.

use super::WireError;
use crate::torrent::Block;

/// The longest content of a piece message: a whole piece of ours.
pub const PIECE_DATA_BYTES_MAX: usize = 1024 * 1024;
/// The longest message, without its length prefix: a piece message, or the bit field of eight million pieces.
pub const MESSAGE_BYTES_MAX: usize = PIECE_DATA_BYTES_MAX + 9;
/// The bytes of a piece message before its content.
pub const PIECE_HEAD_BYTES: usize = 13;

/// A block as a peer names it, unchecked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockRequest {
    /// The piece's number.
    pub piece: u32,
    /// Where the block begins in the piece.
    pub offset_bytes: u32,
    /// How long it is.
    pub length_bytes: u32,
}

impl From<Block> for BlockRequest {
    fn from(block: Block) -> Self {
        Self { piece: block.piece.get(), offset_bytes: block.offset_bytes, length_bytes: block.length_bytes }
    }
}

/// A message between peers; contents are borrowed from the bytes it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Nothing: the connection is to stay open.
    KeepAlive,
    /// Requests will not be answered.
    Choke,
    /// Requests will be answered.
    Unchoke,
    /// The sender wants something the receiver has.
    Interested,
    /// The sender wants nothing the receiver has.
    NotInterested,
    /// The sender has this piece now.
    Have(u32),
    /// The pieces that the sender has (`Bitfield::from_bytes`).
    Bitfield(&'a [u8]),
    /// Asks for a block.
    Request(BlockRequest),
    /// A block.
    Piece {
        /// The piece's number.
        piece: u32,
        /// Where the block begins in the piece.
        offset_bytes: u32,
        /// Its content.
        data: &'a [u8],
    },
    /// The block is no longer wanted.
    Cancel(BlockRequest),
    /// The sender's DHT port (BEP 5); we have no DHT.
    Port(u16),
    /// A piece that the receiver might ask for (BEP 6).
    Suggest(u32),
    /// The sender has every piece (BEP 6).
    HaveAll,
    /// The sender has no piece (BEP 6).
    HaveNone,
    /// The request will not be answered (BEP 6).
    Reject(BlockRequest),
    /// This piece may be asked for while choked (BEP 6).
    AllowedFast(u32),
    /// A message of an extension (BEP 10); id 0 is the extension handshake.
    Extended {
        /// The number the receiver gave the extension.
        id: u8,
        /// Its content.
        payload: &'a [u8],
    },
    /// A message we do not know; to be ignored.
    Unknown(u8),
}

impl<'a> Message<'a> {
    /// Reads the first message and says how many bytes it took. One that is too long, or of a length that its kind
    /// cannot have, is refused as soon as its first five bytes are there.
    pub fn decode(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, WireError> {
        let Some(length) = bytes.first_chunk().map(|prefix| u32::from_be_bytes(*prefix) as usize) else {
            return Ok(None);
        };
        if length == 0 {
            return Ok(Some((Self::KeepAlive, 4)));
        }
        if length > MESSAGE_BYTES_MAX {
            return Err(WireError::TooLong { what: "message", found: length, limit: MESSAGE_BYTES_MAX });
        }
        let Some(&id) = bytes.get(4) else { return Ok(None) };
        check_length(id, length)?;
        let Some(body) = bytes.get(5..4 + length) else { return Ok(None) };
        let message = match (id, body) {
            (0, _) => Self::Choke,
            (1, _) => Self::Unchoke,
            (2, _) => Self::Interested,
            (3, _) => Self::NotInterested,
            (4, &[a, b, c, d]) => Self::Have(u32::from_be_bytes([a, b, c, d])),
            (5, field) => Self::Bitfield(field),
            (6, _) => Self::Request(block_request(body)?),
            (7, _) => {
                let (head, data) =
                    body.split_at_checked(8).ok_or(WireError::Length { what: "piece", found: length })?;
                Self::Piece { piece: number(head), offset_bytes: number(&head[4..]), data }
            }
            (8, _) => Self::Cancel(block_request(body)?),
            (9, &[a, b]) => Self::Port(u16::from_be_bytes([a, b])),
            (13, _) => Self::Suggest(number(body)),
            (14, _) => Self::HaveAll,
            (15, _) => Self::HaveNone,
            (16, _) => Self::Reject(block_request(body)?),
            (17, _) => Self::AllowedFast(number(body)),
            (20, &[id, ref payload @ ..]) => Self::Extended { id, payload },
            _ => Self::Unknown(id),
        };
        Ok(Some((message, 4 + length)))
    }

    /// Writes it behind what is there.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::KeepAlive => out.extend_from_slice(&[0; 4]),
            Self::Choke => put(out, 0, &[]),
            Self::Unchoke => put(out, 1, &[]),
            Self::Interested => put(out, 2, &[]),
            Self::NotInterested => put(out, 3, &[]),
            Self::Have(piece) => put(out, 4, &[&piece.to_be_bytes()]),
            Self::Bitfield(field) => put(out, 5, &[field]),
            Self::Request(block) => put_block(out, 6, block),
            Self::Piece { piece, offset_bytes, data } => {
                put_piece_head(out, piece, offset_bytes, data.len() as u32);
                out.extend_from_slice(data);
            }
            Self::Cancel(block) => put_block(out, 8, block),
            Self::Port(port) => put(out, 9, &[&port.to_be_bytes()]),
            Self::Suggest(piece) => put(out, 13, &[&piece.to_be_bytes()]),
            Self::HaveAll => put(out, 14, &[]),
            Self::HaveNone => put(out, 15, &[]),
            Self::Reject(block) => put_block(out, 16, block),
            Self::AllowedFast(piece) => put(out, 17, &[&piece.to_be_bytes()]),
            Self::Extended { id, payload } => put(out, 20, &[&[id], payload]),
            Self::Unknown(id) => put(out, id, &[]),
        }
    }
}

/// Writes the head of a piece message, for a caller who sends the content by other means.
pub fn put_piece_head(out: &mut Vec<u8>, piece: u32, offset_bytes: u32, data_bytes: u32) {
    out.extend_from_slice(&(9 + data_bytes).to_be_bytes());
    out.push(7);
    out.extend_from_slice(&piece.to_be_bytes());
    out.extend_from_slice(&offset_bytes.to_be_bytes());
}

/// Refuses lengths (the id counts) that this kind of message cannot have.
fn check_length(id: u8, length: usize) -> Result<(), WireError> {
    let (what, fits) = match id {
        0 => ("choke", length == 1),
        1 => ("unchoke", length == 1),
        2 => ("interested", length == 1),
        3 => ("not interested", length == 1),
        4 => ("have", length == 5),
        5 => ("bit field", true),
        6 => ("request", length == 13),
        7 => ("piece", length >= 9),
        8 => ("cancel", length == 13),
        9 => ("port", length == 3),
        13 => ("suggest", length == 5),
        14 => ("have all", length == 1),
        15 => ("have none", length == 1),
        16 => ("reject", length == 13),
        17 => ("allowed fast", length == 5),
        20 => ("extended message", length >= 2),
        _ => ("message", true),
    };
    let limit = match id {
        5 | 7 => MESSAGE_BYTES_MAX,
        _ => super::EXTENSION_BYTES_MAX + 2,
    };
    if !fits {
        return Err(WireError::Length { what, found: length });
    }
    if length > limit {
        return Err(WireError::TooLong { what, found: length, limit });
    }
    Ok(())
}

fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |four| u32::from_be_bytes(*four))
}

fn block_request(body: &[u8]) -> Result<BlockRequest, WireError> {
    match body.as_chunks::<4>().0 {
        [piece, offset, length] => Ok(BlockRequest {
            piece: u32::from_be_bytes(*piece),
            offset_bytes: u32::from_be_bytes(*offset),
            length_bytes: u32::from_be_bytes(*length),
        }),
        _ => Err(WireError::Length { what: "block request", found: body.len() }),
    }
}

fn put(out: &mut Vec<u8>, id: u8, parts: &[&[u8]]) {
    let length = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    out.extend_from_slice(&(length as u32).to_be_bytes());
    out.push(id);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

fn put_block(out: &mut Vec<u8>, id: u8, block: BlockRequest) {
    put(out, id, &[&block.piece.to_be_bytes(), &block.offset_bytes.to_be_bytes(), &block.length_bytes.to_be_bytes()]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_strategy() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..64)
    }

    fn block_strategy() -> impl Strategy<Value = BlockRequest> {
        any::<(u32, u32, u32)>().prop_map(|(piece, offset_bytes, length_bytes)| BlockRequest {
            piece,
            offset_bytes,
            length_bytes,
        })
    }

    /// Every kind of message over this content.
    fn messages(n: u32, port: u16, id: u8, block: BlockRequest, data: &[u8]) -> Vec<Message<'_>> {
        use Message::*;
        let mut all =
            vec![KeepAlive, Choke, Unchoke, Interested, NotInterested, Have(n), Bitfield(data), Request(block)];
        all.extend([Piece { piece: n, offset_bytes: block.offset_bytes, data }, Cancel(block), Port(port), Suggest(n)]);
        all.extend([HaveAll, HaveNone, Reject(block), AllowedFast(n), Extended { id, payload: data }, Unknown(99)]);
        all
    }

    #[test]
    fn impossible_lengths_are_refused_at_once() {
        let head = |length: u32, id: u8| [&length.to_be_bytes()[..], &[id]].concat();
        for (length, id) in [
            (u32::MAX, 7),
            (MESSAGE_BYTES_MAX as u32 + 1, 7),
            (2, 0),
            (4, 4),
            (12, 6),
            (8, 7),
            (1, 20),
            (100_000, 20),
            (100_000, 77),
        ] {
            assert!(Message::decode(&head(length, id)).is_err(), "{length} {id}");
        }
        assert!(Message::decode(&u32::MAX.to_be_bytes()).is_err());
        assert_eq!(Message::decode(&head(MESSAGE_BYTES_MAX as u32, 7)), Ok(None));
        assert_eq!(Message::decode(&[0, 0, 0]), Ok(None));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(n: u32, port: u16, id: u8, block in block_strategy(), data in bytes_strategy()) {
            let all = messages(n, port, id, block, &data);
            let mut bytes = Vec::new();
            all.iter().for_each(|message| message.encode(&mut bytes));
            let mut rest = &bytes[..];
            for message in &all {
                let (found, taken) = Message::decode(rest).expect("our own bytes").expect("whole");
                prop_assert_eq!(&found, message);
                for cut in 0..taken {
                    prop_assert_eq!(Message::decode(&rest[..cut]), Ok(None));
                }
                rest = &rest[taken..];
            }
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in bytes_strategy(), id: u8, body in bytes_strategy()) {
            let _ = Message::decode(&bytes);
            let mut framed = (1 + body.len() as u32).to_be_bytes().to_vec();
            framed.push(id);
            framed.extend(&body);
            if let Ok(decoded) = Message::decode(&framed) {
                prop_assert_eq!(decoded.expect("whole").1, framed.len());
            }
        }

        #[test]
        fn the_head_of_a_piece_is_that_of_its_message(piece: u32, offset_bytes: u32, data in bytes_strategy()) {
            let (mut whole, mut head) = (Vec::new(), Vec::new());
            Message::Piece { piece, offset_bytes, data: &data }.encode(&mut whole);
            put_piece_head(&mut head, piece, offset_bytes, data.len() as u32);
            prop_assert_eq!(head.len(), PIECE_HEAD_BYTES);
            head.extend(&data);
            prop_assert_eq!(head, whole);
        }
    }
}
