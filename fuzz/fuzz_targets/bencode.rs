//! Bencode: the scanner, the spans it gives, and serde_bencode behind it.
#![no_main]

use rocks::torrent::bencode::{self, DEPTH_MAX};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(length) = bencode::scan(data, DEPTH_MAX) else { return };
    let value = &data[..length];
    for (key, value) in bencode::entries(value, DEPTH_MAX).unwrap_or_default() {
        let mut again = Vec::new();
        bencode::put_bytes(&mut again, key);
        assert_eq!(bencode::byte_string(&again), Ok(key));
        assert_eq!(bencode::scan(value, DEPTH_MAX), Ok(value.len()));
    }
    if let Ok(number) = bencode::integer(value) {
        let mut again = Vec::new();
        bencode::put_integer(&mut again, number);
        assert_eq!(again, value);
    }
    let _ = bencode::from_bytes::<std::collections::BTreeMap<String, i64>>(value, DEPTH_MAX);
});
