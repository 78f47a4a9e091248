//! Any events in any order against a session: a machine's, or the frontend's seed.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rocks::swarm::exercise::session(data));
