//! The head of an HTTP request, and the range it asks for.
#![no_main]

use rocks::net::http::{ByteRange, RequestHead, Target};

const LENGTH_BYTES: u64 = 1000;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(Some((head, taken))) = RequestHead::decode(data) else { return };
    assert!(taken <= data.len());
    let _ = (head.keeps_alive(), head.body_bytes(), head.target.decoded_path(), head.target.query_value("token"));
    assert!(head.target.path.starts_with('/'));
    let again = Target::parse(&head.target.path_and_query()).expect("our own path");
    assert_eq!((again.path, again.query), (head.target.path.clone(), head.target.query.clone()));
    if let Some(tag) = head.headers.get("if-none-match") {
        assert_eq!(head.headers.names_tag(tag.split(',').next().unwrap_or_default()), Some(true));
    }
    for (name, value) in head.headers.iter() {
        assert!(head.headers.get(name).is_some());
        let _ = head.headers.has_word(name, value);
    }
    if let ByteRange::Part(part) = ByteRange::parse(head.headers.get("range"), LENGTH_BYTES) {
        assert!(part.start <= part.end && part.end <= LENGTH_BYTES, "{part:?}");
    }
});
