//! The peer wire: a handshake, then messages, as a peer's bytes come.
#![no_main]

use rocks::torrent::Bitfield;
use rocks::wire::{Handshake, Message};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    if let Ok(Some((_, taken))) = Handshake::decode(rest) {
        rest = &rest[taken..];
    }
    while let Ok(Some((message, taken))) = Message::decode(rest) {
        if let Message::Bitfield(field) = message {
            if let Ok(field) = Bitfield::from_bytes(field, 1000) {
                assert_eq!(field.iter().count(), field.count() as usize);
            }
        }
        if !matches!(message, Message::Unknown(_)) {
            let mut again = Vec::new();
            message.encode(&mut again);
            assert_eq!(again, &rest[..taken]);
        }
        rest = &rest[taken..];
    }
});
