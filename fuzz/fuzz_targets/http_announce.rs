//! Announces and scrapes over HTTP: requests as a tracker reads them, replies as a client does.
#![no_main]

use rocks::wire::http::{Head, Reply, Request, announce_query, put_announce_reply, read_announce, read_announce_reply};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    while let Ok(Some((head, taken))) = Head::decode(rest) {
        if let Ok(Request::Announce(announce)) = head.request {
            assert_eq!(read_announce(announce_query(&announce).as_bytes()), Ok(announce));
        }
        rest = &rest[taken..];
    }
    let _ = read_announce(data);
    if let Ok(Reply::Peers(reply)) = read_announce_reply(data) {
        let mut again = Vec::new();
        put_announce_reply(&mut again, &reply, false);
        assert_eq!(read_announce_reply(&again), Ok(Reply::Peers(reply)));
    }
});
