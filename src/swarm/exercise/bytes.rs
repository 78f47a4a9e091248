//! Events that stand in bytes: numbers that are mostly in range, and messages of them.

use super::super::extension::{self, Handshake, OUR_IDS};
use super::super::{Message, RawBlock};
use super::{METADATA_BYTES, PIECES, RACK, address, layout, ours};
use crate::torrent::PieceIndex;
use crate::wire::MetadataMessage;

/// Bytes read as numbers that are mostly in range; zeros behind the end.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Bytes<'_> {
    pub(super) fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }
    pub(super) fn below(&mut self, end: u32) -> u32 {
        let high = if end > 256 { u32::from(self.byte()) << 8 } else { 0 };
        (high | u32::from(self.byte())) % end
    }
    fn number(&mut self) -> u32 {
        u32::from_be_bytes([0; 4].map(|_: u8| self.byte()))
    }
    pub(super) fn piece(&mut self) -> PieceIndex {
        layout().index(self.below(PIECES)).expect("in range")
    }
    pub(super) fn one_of<T>(&mut self, list: &mut Vec<T>) -> Option<T> {
        let at = self.byte() as usize;
        (!list.is_empty()).then(|| list.remove(at % list.len()))
    }
    fn block(&mut self) -> RawBlock {
        match self.byte() {
            0..=9 => RawBlock { piece: self.number(), offset_bytes: self.number(), length_bytes: self.number() },
            10..=99 => {
                let (piece, at) = (self.below(PIECES), self.below(16));
                RawBlock { piece, offset_bytes: at * 16_384, length_bytes: 16_384 }
            }
            _ => {
                let piece = self.piece();
                RawBlock { piece: piece.get(), offset_bytes: 0, length_bytes: layout().payload_len(piece) }
            }
        }
    }
    pub(super) fn message(&mut self) -> Message {
        match self.below(26) {
            0..=3 => Message::Unchoke,
            4 => Message::Choke,
            5 => Message::Interested,
            6 => Message::NotInterested,
            7..=10 => Message::Have(self.below(PIECES + 1)),
            11 => Message::Bitfield(vec![self.byte(), self.byte() & 0xf8]),
            12 => Message::Bitfield(vec![0xff; self.below(4) as usize]),
            13 => Message::HaveAll,
            14 => Message::HaveNone,
            15..=17 => Message::Request(self.block()),
            18 => Message::Cancel(self.block()),
            19 | 20 => Message::Reject(self.block()),
            21 => Message::Extended { id: 0, payload: ours() },
            22 => Message::Extended { id: 0, payload: self.handshake() },
            23 => Message::KeepAlive,
            _ => self.extended(),
        }
    }

    /// Whatever an extension handshake may say: of ours or not, from our rack or not.
    fn handshake(&mut self) -> Vec<u8> {
        let kind = self.byte();
        let without = usize::from(kind & 7);
        let mut ids = OUR_IDS;
        if let Some(id) = ids.get_mut(without) {
            *id = 0;
        }
        let handshake = Handshake {
            ids,
            metadata_bytes: (kind & 8 == 0).then_some(METADATA_BYTES),
            upload_only: (kind & 16 == 0).then_some(kind & 32 == 0),
            requests_max: (kind & 64 == 0).then(|| u32::from(self.byte())),
            port: (kind & 128 == 0).then_some(6881 + u16::from(self.byte() & 1)),
            rack: [Some(RACK), Some(RACK + 1), None][self.below(3) as usize],
        };
        handshake.encode()
    }

    /// A message of one of our extensions, or any bytes instead of it.
    fn extended(&mut self) -> Message {
        let id = self.below(8) as u8;
        let is_any = self.byte() < 32;
        let payload = match id {
            extension::METADATA if !is_any => MetadataMessage::Request { part: self.below(5) }.encode(),
            extension::WANT if !is_any => vec![self.byte(), self.byte() & 0xf8],
            extension::ASK | extension::CROSS if !is_any => {
                let pieces: Vec<PieceIndex> = (0..self.below(6)).map(|_| self.piece()).collect();
                extension::encode_pieces(&pieces)
            }
            extension::BAD if !is_any => extension::encode_host(address(self.below(60)).ip()),
            _ => (0..self.below(24)).map(|_| self.byte()).collect(),
        };
        Message::Extended { id, payload }
    }
}
