//! A datagram at the peers' port: what is refused, and that a refusal is not.
#![no_main]

use rocks::wire::utp;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some(refusal) = utp::refusal(data) {
        assert!(refusal.len() <= data.len());
        assert_eq!(utp::refusal(&refusal), None);
    }
});
