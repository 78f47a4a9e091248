//! Messages about the info dictionary.
#![no_main]

use rocks::wire::MetadataMessage;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(message) = MetadataMessage::decode(data) {
        if message != MetadataMessage::Unknown {
            assert_eq!(MetadataMessage::decode(&message.encode()), Ok(message));
        }
    }
});
