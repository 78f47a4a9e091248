//! Announces and scrapes over UDP: requests as a tracker reads them, replies as a client does.
#![no_main]

use rocks::wire::udp::{Request, Response};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(request) = Request::decode(data) {
        let mut again = Vec::new();
        request.encode(&mut again);
        assert_eq!(Request::decode(&again), Ok(request));
    }
    for is_ipv6 in [false, true] {
        if let Ok(response) = Response::decode(data, is_ipv6) {
            let mut again = Vec::new();
            response.encode(&mut again, is_ipv6);
            assert!(Response::decode(&again, is_ipv6).is_ok());
        }
    }
});
