//! What the reader of a connection hears of a peer's bytes, for property tests and fuzz targets: the same, in whatever pieces
//! they come.

use super::Supply;
use super::link::{Common, Expected, Reader};
use super::owner::Input;
use super::spare::Spare;
use super::way_out::WayOut;
use crate::cache::Cache;
use crate::swarm::{Event, Message, PeerKey, RawBlock};
use crate::torrent::{Block, MetainfoBuilder};
use crate::wire::MESSAGE_BYTES_MAX;
use bytes::{Bytes, BytesMut};
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

/// The lengths of the files that the peer may have: a piece each, and one of two pieces.
const FILES_BYTES: [u64; 4] = [5, 300, 16 << 10, (16 << 10) + 7];
const PIECE_BYTES: u32 = 16 << 10;
/// Of the first pieces a block was asked for, from its beginning: so much of each.
const ASKED_BYTES: [u32; 3] = [5, 300, PIECE_BYTES];
/// What waits for the owner: little, so that the reader waits too.
const INPUTS_MAX: usize = 2;

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime without sockets");
    static SUPPLY: Supply = {
        let mut builder = MetainfoBuilder::new("el9", PIECE_BYTES).expect("a plain name");
        for (name, length) in ["a", "b", "c", "d"].into_iter().zip(FILES_BYTES) {
            let pieces = length.div_ceil(PIECE_BYTES.into()) as usize;
            builder.file(name, length, vec![[0; 20]; pieces]).expect("a file");
        }
        Supply::Cache(Arc::new(Cache::in_memory(builder.finish().expect("well-formed"))))
    };
}

/// What the owner is told.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Heard {
    Message(Message),
    Block(Block, Bytes),
}

/// Has a peer's bytes read in pieces of these lengths and all at once. Panics if that makes a difference.
pub(in crate::net) fn peer(cuts: &[u8], bytes: &[u8]) {
    assert_eq!(heard(cuts, bytes), heard(&[], bytes));
}

/// What is heard of these bytes, and how it ends: of an impossible length two know, and which of them says so is a matter of
/// what has come.
fn heard(cuts: &[u8], bytes: &[u8]) -> (Vec<Heard>, ErrorKind) {
    let (to_owner, mut inputs) = mpsc::channel(INPUTS_MAX);
    let supply = SUPPLY.with(Supply::clone);
    let asked = (0..).zip(ASKED_BYTES).map(|(piece, length_bytes)| RawBlock { piece, offset_bytes: 0, length_bytes });
    let expected = Expected::new(Mutex::new(asked.collect()));
    let common = Common {
        supply,
        is_seed: false,
        way_out: Arc::new(WayOut::new()),
        upload: None,
        download: None,
        uploaded: Arc::default(),
        spare: Spare::default(),
        to_owner,
    };
    let script = Script { bytes, cuts: cuts.iter().cycle(), is_late: false };
    let mut reader = Reader::new(script, BytesMut::new(), PeerKey(1), expected, common);
    let mut all = Vec::new();
    let why = RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let mut reading = Box::pin(reader.run());
            loop {
                tokio::select! {
                    biased;
                    Some(input) = inputs.recv() => all.extend(told(input)),
                    ended = &mut reading => break ended.expect_err("bytes end"),
                }
            }
        })
    });
    while let Ok(input) = inputs.try_recv() {
        all.extend(told(input));
    }
    // A bit that a bit field names anew is the shortest that is said.
    assert!(all.len() <= 9 * bytes.len(), "{} of {} bytes", all.len(), bytes.len());
    let payload: usize = all.iter().map(|heard| if let Heard::Block(_, data) = heard { data.len() } else { 0 }).sum();
    assert!(payload <= bytes.len() && reader.unread_bytes() <= MESSAGE_BYTES_MAX + 4, "no more than came");
    (all, why.kind())
}

fn told(input: Input) -> Option<Heard> {
    match input {
        Input::Event(Event::Message { peer: PeerKey(1), message }) => Some(Heard::Message(message)),
        Input::Event(Event::BlockMoves { .. }) => None,
        Input::Block { peer: PeerKey(1), block, data } => {
            assert!(data.is_empty() || data.len() == block.length_bytes as usize, "{block:?}");
            Some(Heard::Block(block, data))
        }
        _ => panic!("a reader has nothing else to say"),
    }
}

/// Bytes that come in pieces: after a nought not at once.
struct Script<'a> {
    bytes: &'a [u8],
    cuts: std::iter::Cycle<std::slice::Iter<'a, u8>>,
    is_late: bool,
}

impl AsyncRead for Script<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let most = self.cuts.next().map_or(usize::MAX, |cut| usize::from(*cut));
        self.is_late = most == 0 && !self.is_late;
        if self.is_late {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let now = most.max(1).min(self.bytes.len()).min(buf.remaining());
        let (came, later) = self.bytes.split_at(now);
        buf.put_slice(came);
        self.bytes = later;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{self, BlockRequest};
    use proptest::prelude::*;

    /// What a peer may say, as bytes, and what is heard of it; of a block that depends on whether it was asked for.
    fn said() -> impl Strategy<Value = (Vec<u8>, Option<Message>)> {
        let block = (0..7_u32, prop_oneof![Just(0_u32), any::<u32>()], any::<u32>());
        (0..12_u8, block, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(kind, (piece, at, length), payload)| {
            let asked = BlockRequest { piece, offset_bytes: at, length_bytes: length };
            let raw = RawBlock { piece, offset_bytes: at, length_bytes: length };
            let (said, heard) = match kind {
                0 => (wire::Message::KeepAlive, Some(Message::KeepAlive)),
                1 => (wire::Message::Choke, Some(Message::Choke)),
                2 => (wire::Message::Unchoke, Some(Message::Unchoke)),
                3 => (wire::Message::Interested, Some(Message::Interested)),
                4 => (wire::Message::Have(at), Some(Message::Have(at))),
                5 => (wire::Message::Request(asked), Some(Message::Request(raw))),
                6 => (wire::Message::Cancel(asked), Some(Message::Cancel(raw))),
                7 => (wire::Message::Reject(asked), Some(Message::Reject(raw))),
                8 => (wire::Message::HaveAll, Some(Message::HaveAll)),
                9 => {
                    let heard = Message::Extended { id: 3, payload: payload.clone() };
                    (wire::Message::Extended { id: 3, payload: &payload }, Some(heard))
                }
                10 => (wire::Message::Suggest(at), None),
                _ => (wire::Message::Unknown(99), None),
            };
            let mut bytes = Vec::new();
            said.encode(&mut bytes);
            (bytes, heard)
        })
    }

    fn block(piece: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        wire::Message::Piece { piece, offset_bytes: 0, data }.encode(&mut bytes);
        bytes
    }

    #[test]
    fn a_block_that_was_asked_for_comes_once_with_its_bytes_and_any_other_without() {
        let long: Vec<u8> = (0..PIECE_BYTES).map(|n| (n / 7) as u8).collect();
        let bytes =
            [block(2, &long), block(0, b"after"), block(2, &long), block(1, b"short"), block(99, b"x")].concat();
        let supply = SUPPLY.with(Supply::clone);
        let named = |piece, length| supply.metainfo().layout().block(piece, 0, length).expect("it is one");
        let expected = [
            Heard::Block(named(2, PIECE_BYTES), long.into()),
            Heard::Block(named(0, 5), Bytes::from_static(b"after")),
            Heard::Block(named(2, PIECE_BYTES), Bytes::new()),
            Heard::Block(named(1, 5), Bytes::new()),
            Heard::Message(Message::Have(u32::MAX)),
        ];
        for cuts in [&[][..], &[1], &[0, 255], &[13, 0, 0, 200]] {
            let (all, why) = heard(cuts, &bytes);
            assert!(all == expected, "cut at {cuts:?}: {} things", all.len());
            assert_eq!(why, ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn a_bit_field_that_comes_again_is_heard_as_what_is_new_in_it() {
        let field = |bits: u8| {
            let mut bytes = Vec::new();
            wire::Message::Bitfield(&[bits]).encode(&mut bytes);
            bytes
        };
        let bytes = [field(0b1000_0000), field(0b1010_1000), field(0b1010_1000)].concat();
        let again = [Message::KeepAlive, Message::Have(2), Message::Have(4), Message::KeepAlive];
        let expected: Vec<Heard> =
            [Message::Bitfield(vec![0b1000_0000])].into_iter().chain(again).map(Heard::Message).collect();
        for cuts in [&[][..], &[1], &[7, 0]] {
            assert_eq!(heard(cuts, &bytes).0, expected);
        }
    }

    /// Whether all thirteen bytes of its head are there or only five makes another reader of it see that.
    #[test]
    fn an_impossible_length_is_refused_however_it_is_cut() {
        let bytes = [&block(0, b"after")[..], &[0x80, 0, 0, 10, 7, 0, 0, 0, 99, 0, 0, 0, 0]].concat();
        for cuts in [&[][..], &[1], &[5], &[13, 13, 200]] {
            let (all, why) = heard(cuts, &bytes);
            assert_eq!((all.len(), why), (1, ErrorKind::InvalidData), "cut at {cuts:?}");
            peer(cuts, &bytes);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_heard_however_it_is_cut(
            said in prop::collection::vec(said(), 0..20),
            cuts in prop::collection::vec(any::<u8>(), 0..6),
        ) {
            let bytes: Vec<u8> = said.iter().flat_map(|(bytes, _)| bytes).copied().collect();
            let expected: Vec<Heard> = said.into_iter().filter_map(|(_, heard)| heard.map(Heard::Message)).collect();
            prop_assert_eq!(heard(&cuts, &bytes).0, expected);
        }

        #[test]
        fn spoilt_bytes_are_the_same_however_they_are_cut(
            said in prop::collection::vec(said(), 0..12),
            (piece, data) in (0..7_u32, prop::collection::vec(any::<u8>(), 0..700)),
            (at, with) in (any::<prop::sample::Index>(), any::<u8>()),
            behind in prop::collection::vec(any::<u8>(), 0..40),
            cuts in prop::collection::vec(any::<u8>(), 0..6),
        ) {
            let said: Vec<u8> = said.iter().flat_map(|(bytes, _)| bytes).copied().collect();
            let mut bytes = [said.clone(), block(piece, &data), block(piece.min(1), &data), said, behind].concat();
            peer(&cuts, &bytes);
            let at = at.index(bytes.len());
            bytes[at] = with;
            peer(&cuts, &bytes);
        }
    }
}
