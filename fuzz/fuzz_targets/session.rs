//! Any events in any order against a session: a machine's, or the frontend's seed.
#![no_main]

use rocks::swarm::exercise;

libfuzzer_sys::fuzz_target!(|data: &[u8]| match data.split_first() {
    Some((0..=63, data)) => exercise::seed(data),
    Some((_, data)) => exercise::machine(data),
    None => {}
});
