//! The dictionary of the extension handshake.
#![no_main]

use rocks::wire::Extensions;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(extensions) = Extensions::decode(data) {
        assert_eq!(Extensions::decode(&extensions.encode()), Ok(extensions));
    }
});
